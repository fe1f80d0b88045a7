//! A process is killed while it uses tickets up and revokes tokens: what it has said is so for everybody after it.

use std::path::Path;

use tender_identity::{Moment, TicketRefusal, TokenRefusal};

use crate::world::{
    application, directory, heard, keep, kept, make_tickets, make_tokens, other, say, tickets, tokens, user,
};

/// How many answers are heard before the process is killed.
const MOMENTS: [usize; 8] = [0, 1, 2, 7, 30, 64, 150, 399];

/// What whoever comes next finds of a ticket or token.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Good,
    Spent,
}

/// Lets another process spend what was made, one after the other, kills it at each of the moments, and looks at all of it
/// as whoever comes next.
fn what_was_said_is_so<Look: FnMut(&str) -> Found>(
    spender: &str,
    make: impl Fn(&Path) -> Vec<String>,
    open: impl Fn(&Path) -> Look,
) {
    for moment in MOMENTS {
        let dir = tempfile::tempdir().unwrap();
        let made = make(dir.path());
        keep(dir.path(), &made);
        let spent = heard(other(spender, dir.path()), Some(moment)).1;
        let mut look = open(dir.path());
        // One more may be on the disk than was said; never two, and never one less.
        let mut unheard = 0;
        for (number, text) in made.iter().enumerate() {
            match look(text) {
                Found::Good => {
                    assert!(
                        !spent.contains(&number),
                        "{number} of moment {moment} was spent and is good again"
                    );
                }
                Found::Spent => unheard += usize::from(!spent.contains(&number)),
            }
        }
        assert!(unheard <= 1, "{unheard} of moment {moment} are spent, and nobody has heard that");
    }
}

#[test]
fn ticket_that_was_accepted_before_the_kill_is_used_and_the_others_are_good() {
    let open = |dir: &Path| {
        let mut service = tickets(dir);
        move |code: &str| match service.evaluate(Moment::now(), &user(), &application(), code) {
            Ok(()) => Found::Good,
            Err(TicketRefusal::Used) => Found::Spent,
            Err(refusal) => panic!("{refusal:?}"),
        }
    };
    what_was_said_is_so("killed::helper_uses_tickets", |dir| make_tickets(&mut tickets(dir), 400), open);
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_uses_tickets() {
    let Some(dir) = directory() else { return };
    let mut service = tickets(&dir);
    for (number, code) in kept(&dir).iter().enumerate() {
        service.evaluate(Moment::now(), &user(), &application(), code).unwrap();
        say(number);
    }
}

#[test]
fn token_that_was_revoked_before_the_kill_is_void_and_the_others_are_good() {
    let make = |dir: &Path| {
        make_tokens(&mut tokens(dir), 400).into_iter().map(|token| token.text.to_string()).collect()
    };
    let open = |dir: &Path| {
        let mut service = tokens(dir);
        move |text: &str| match service.validate(Moment::now(), text, None) {
            Ok(_) => Found::Good,
            Err(TokenRefusal::Revoked) => Found::Spent,
            Err(refusal) => panic!("{refusal:?}"),
        }
    };
    what_was_said_is_so("killed::helper_revokes_tokens", make, open);
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_revokes_tokens() {
    let Some(dir) = directory() else { return };
    let mut service = tokens(&dir);
    for (number, text) in kept(&dir).iter().enumerate() {
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
        heard(other("killed::helper_replaces_keys", dir.path()), Some(moment));
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
