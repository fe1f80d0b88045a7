//! Two processes on one directory, as a server and the one that replaces it.

use std::collections::HashSet;

use tender_identity::{Moment, TokenRefusal};

use crate::world::{
    application, directory, heard, keep, kept, make_tickets, make_tokens, other, say, tickets, tokens, user,
};

#[test]
fn ticket_is_accepted_by_one_process_only() {
    let dir = tempfile::tempdir().unwrap();
    let codes = make_tickets(&mut tickets(dir.path()), 300);
    keep(dir.path(), &codes);
    let processes: Vec<_> = (0..3).map(|_| other("together::helper_uses_what_it_can", dir.path())).collect();
    let mut accepted = HashSet::new();
    for process in processes {
        let (status, numbers) = heard(process, None);
        for number in numbers {
            assert!(accepted.insert(number), "ticket {number} was accepted twice");
        }
        assert!(status.success());
    }
    assert_eq!(accepted.len(), codes.len(), "each was accepted once");
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_uses_what_it_can() {
    let Some(dir) = directory() else { return };
    let mut service = tickets(&dir);
    for (number, code) in kept(&dir).iter().enumerate() {
        if service.evaluate(Moment::now(), &user(), &application(), code).is_ok() {
            say(number);
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
