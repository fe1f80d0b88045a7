//! A process is killed while it uses tickets up and revokes tokens: what it has said is so for everybody after it.

use std::io::{BufRead as _, BufReader, Write as _};

use tender_identity::{Moment, TicketRefusal, TokenRefusal};

use crate::world::{application, directory, make_tickets, make_tokens, other, tickets, tokens, user};

/// How many answers are heard before the process is killed.
const MOMENTS: [usize; 8] = [0, 1, 2, 7, 30, 64, 150, 399];

/// Lets another process work until it has said so many numbers, kills it, and returns all that it has said.
fn heard_until(test: &str, directory: &std::path::Path, count: usize) -> Vec<usize> {
    let mut process = other(test, directory);
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut heard = Vec::new();
    let mut line = String::new();
    let mut is_killed = false;
    // What it said before it died still comes.
    while output.read_line(&mut line).unwrap() > 0 {
        heard.extend(line.trim().strip_prefix("done ").map(|number| number.parse::<usize>().unwrap()));
        line.clear();
        if !is_killed && heard.len() >= count {
            process.kill().unwrap();
            is_killed = true;
        }
    }
    process.wait().unwrap();
    heard
}

#[test]
fn ticket_that_was_accepted_before_the_kill_is_used_and_the_others_are_good() {
    for moment in MOMENTS {
        let dir = tempfile::tempdir().unwrap();
        let codes = make_tickets(&mut tickets(dir.path()), 400);
        std::fs::write(dir.path().join("codes"), codes.join("\n")).unwrap();
        let used = heard_until("killed::helper_uses_tickets", dir.path(), moment);
        let mut service = tickets(dir.path());
        // One more may be on the disk than was said; never two, and never one less.
        let mut unheard = 0;
        for (number, code) in codes.iter().enumerate() {
            match service.evaluate(Moment::now(), &user(), &application(), code) {
                Ok(()) => assert!(!used.contains(&number), "ticket {number} was used and is good again"),
                Err(TicketRefusal::Used) => unheard += usize::from(!used.contains(&number)),
                Err(refusal) => panic!("ticket {number} of moment {moment}: {refusal:?}"),
            }
        }
        assert!(unheard <= 1, "{unheard} tickets are used up that nobody was let in with");
    }
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_uses_tickets() {
    let Some(dir) = directory() else { return };
    let codes = std::fs::read_to_string(dir.join("codes")).unwrap();
    let mut service = tickets(&dir);
    for (number, code) in codes.lines().enumerate() {
        service.evaluate(Moment::now(), &user(), &application(), code).unwrap();
        say(number);
    }
}

fn say(number: usize) {
    let mut output = std::io::stdout();
    writeln!(output, "done {number}").unwrap();
    output.flush().unwrap();
}

#[test]
fn token_that_was_revoked_before_the_kill_is_void_and_the_others_are_good() {
    for moment in MOMENTS {
        let dir = tempfile::tempdir().unwrap();
        let made = make_tokens(&mut tokens(dir.path()), 400);
        let texts: Vec<&str> = made.iter().map(|token| &*token.text).collect();
        std::fs::write(dir.path().join("tokens"), texts.join("\n")).unwrap();
        let revoked = heard_until("killed::helper_revokes_tokens", dir.path(), moment);
        let mut service = tokens(dir.path());
        let mut unheard = 0;
        for (number, text) in texts.iter().enumerate() {
            match service.validate(Moment::now(), text, None) {
                Ok(_) => assert!(!revoked.contains(&number), "token {number} was revoked and is good again"),
                Err(TokenRefusal::Revoked) => unheard += usize::from(!revoked.contains(&number)),
                Err(refusal) => panic!("token {number} of moment {moment}: {refusal:?}"),
            }
        }
        assert!(unheard <= 1, "{unheard} tokens are void that nobody has revoked");
    }
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_revokes_tokens() {
    let Some(dir) = directory() else { return };
    let texts = std::fs::read_to_string(dir.join("tokens")).unwrap();
    let mut service = tokens(&dir);
    for (number, text) in texts.lines().enumerate() {
        if let Ok(claims) = service.validate(Moment::now(), text, None) {
            service.revoke(Moment::now(), &claims).unwrap();
        }
        say(number);
    }
}

#[test]
fn keys_that_were_being_made_or_replaced_at_the_kill_are_whole_afterwards() {
    for moment in [0, 1, 2, 5, 13, 40] {
        let dir = tempfile::tempdir().unwrap();
        heard_until("killed::helper_replaces_keys", dir.path(), moment);
        // Whoever comes next finds keys, and they sign what it checks.
        let mut service = tokens(dir.path());
        let made = make_tokens(&mut service, 1);
        assert!(service.validate(Moment::now(), &made[0].text, None).is_ok(), "moment {moment}");
        assert!(service.jwks(Moment::now()).unwrap().contains("\"keys\""));
        let codes = make_tickets(&mut tickets(dir.path()), 1);
        assert!(tickets(dir.path()).evaluate(Moment::now(), &user(), &application(), &codes[0]).is_ok());
    }
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_replaces_keys() {
    let Some(dir) = directory() else { return };
    for number in 0..200 {
        let (mut tokens, mut tickets) = (tokens(&dir), tickets(&dir));
        tickets.define(Moment::now(), &application()).unwrap();
        tickets.renew(Moment::now(), &application()).unwrap();
        match number % 2 {
            0 => tokens.rotate_keys(Moment::now()).unwrap(),
            _ => tokens.replace_keys(Moment::now()).unwrap(),
        }
        say(number);
    }
}
