//! Words after SITE.

use tender_transport::client::{Link, LinkError};

use crate::world::World;

#[test]
fn word_said_is_answered_in_one_line() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    assert_eq!(
        link.site("CSMECHO", "LOAD r-1 'with blanks'").unwrap(),
        "heard: LOAD r-1 'with blanks' all of it"
    );
    assert_eq!(link.site("csmecho", "").unwrap(), "heard:  all of it");
}

#[test]
fn word_refused_or_unknown_says_so_and_the_link_stays_good() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    match link.site("CSMREFUSE", "") {
        Err(LinkError::Refused { code: 550, text, .. }) => assert_eq!(text, "never"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(link.site("EXEC", "rm"), Err(LinkError::Refused { code: 502, .. })));
    assert!(link.site("CSMECHO", "still").is_ok());
}

#[test]
fn word_with_a_line_break_is_not_sent() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    assert!(matches!(link.site("CSMECHO", "x\r\nDELE y"), Err(LinkError::Word { .. })));
    assert!(matches!(link.delete("x\ny"), Err(LinkError::Word { .. })));
}

#[test]
fn word_that_takes_long_does_not_keep_another_client_waiting() {
    let world = World::new();
    let running = world.serve();
    let mut slow = world.connect(&running);
    let mut quick = world.connect(&running);
    let waiting = std::thread::spawn(move || slow.site("CSMWAIT", ""));
    assert!(quick.site("CSMECHO", "hello").is_ok());
    assert!(!waiting.is_finished());
    running.release.send(()).unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), "released");
}
