//! Two processes on one directory, as a server and the one that replaces it.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};

use tender_identity::{Moment, TokenRefusal};

use crate::world::{application, directory, make_tickets, make_tokens, other, tickets, tokens, user};

#[test]
fn ticket_is_accepted_by_one_process_only() {
    let dir = tempfile::tempdir().unwrap();
    let codes = make_tickets(&mut tickets(dir.path()), 300);
    std::fs::write(dir.path().join("codes"), codes.join("\n")).unwrap();
    let processes: Vec<_> = (0..3).map(|_| other("together::helper_uses_what_it_can", dir.path())).collect();
    let mut accepted = HashSet::new();
    for mut process in processes {
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            if let Some(number) = line.unwrap().strip_prefix("done ") {
                assert!(accepted.insert(number.to_owned()), "ticket {number} was accepted twice");
            }
        }
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(accepted.len(), codes.len(), "each was accepted once");
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_uses_what_it_can() {
    let Some(dir) = directory() else { return };
    let codes = std::fs::read_to_string(dir.join("codes")).unwrap();
    let mut service = tickets(&dir);
    for (number, code) in codes.lines().enumerate() {
        if service.evaluate(Moment::now(), &user(), &application(), code).is_ok() {
            writeln!(std::io::stdout(), "done {number}").unwrap();
        }
    }
}

#[test]
fn token_of_one_service_is_good_at_the_other_until_either_revokes_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut old, mut new) = (tokens(dir.path()), tokens(dir.path()));
    let made = make_tokens(&mut old, 3);
    for token in &made {
        assert!(new.validate(Moment::now(), &token.text, None).is_ok());
    }
    new.revoke(Moment::now(), &made[0].claims).unwrap();
    assert!(matches!(old.validate(Moment::now(), &made[0].text, None), Err(TokenRefusal::Revoked)));
    assert!(old.validate(Moment::now(), &made[1].text, None).is_ok());
    // A key that one has made signs for the other; one that was replaced by it signs no more.
    old.rotate_keys(Moment::now()).unwrap();
    let after = make_tokens(&mut new, 1);
    assert!(old.validate(Moment::now(), &after[0].text, None).is_ok());
    old.replace_keys(Moment::now()).unwrap();
    for token in made.iter().chain(&after) {
        assert!(new.validate(Moment::now(), &token.text, None).is_err());
    }
}
