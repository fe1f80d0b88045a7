//! A disk without room: nothing is accepted that could not be written down, and nothing is lost.

use std::io::Write as _;
use std::process::Command;

use tender_identity::{Moment, TicketRefusal};

use crate::world::{application, command, directory, make_tickets, make_tokens, tickets, tokens, user};

#[test]
fn disk_that_is_full_refuses_what_cannot_be_kept_and_all_is_well_when_it_has_room() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: mounting needs root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("unshare");
    let script = "mount -t tmpfs -o size=256k none \"$0\" && exec \"$@\"";
    shell.args(["--mount", "sh", "-c", script]).arg(dir.path()).arg(std::env::current_exe().unwrap());
    let ended = command(shell, "full_disk::helper_works_on_a_full_disk", dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("it was full"), "{said}");
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_works_on_a_full_disk() {
    let Some(dir) = directory() else { return };
    let (mut tickets_of, mut tokens_of) = (tickets(&dir), tokens(&dir));
    let codes = make_tickets(&mut tickets_of, 400);
    let made = make_tokens(&mut tokens_of, 400);
    let use_up = |service: &mut tender_identity::TicketService, code: &str| {
        service.evaluate(Moment::now(), &user(), &application(), code)
    };
    use_up(&mut tickets_of, &codes[0]).unwrap();
    tokens_of.revoke(Moment::now(), &made[0].claims).unwrap();
    let filler = dir.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[7; 512]).is_ok() {}
    drop(file);
    // The last page of a file has room of its own; when that is gone nothing is accepted any more.
    let mut accepted = vec![0];
    let mut refused = None;
    for (number, code) in codes.iter().enumerate().skip(1) {
        match use_up(&mut tickets_of, code) {
            Ok(()) => accepted.push(number),
            Err(TicketRefusal::Files { .. }) => {
                refused = Some(number);
                break;
            }
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
    let refused = refused.expect("the disk is full");
    let mut void = vec![0];
    let mut kept_good = None;
    for (number, token) in made.iter().enumerate().skip(1) {
        match tokens_of.revoke(Moment::now(), &token.claims) {
            Ok(()) => void.push(number),
            Err(_) => {
                kept_good = Some(number);
                break;
            }
        }
    }
    let kept_good = kept_good.expect("the disk is full");
    assert!(tickets_of.define(Moment::now(), &"OTHER".parse().unwrap()).is_err(), "a secret without room");
    println!("it was full after {} tickets and {} tokens", accepted.len(), void.len());
    // What was accepted is used, also for a service that starts on the full disk.
    for service in [&mut tickets_of, &mut tickets(&dir)] {
        for number in &accepted {
            let again = use_up(service, &codes[*number]);
            assert!(matches!(again, Err(TicketRefusal::Used)), "{number}: {again:?}");
        }
        assert!(matches!(use_up(service, &codes[refused]), Err(TicketRefusal::Files { .. })));
    }
    for number in &void {
        assert!(tokens(&dir).validate(Moment::now(), &made[*number].text, None).is_err(), "{number}");
    }
    // With room everything goes on: what could not be kept was not done.
    std::fs::remove_file(filler).unwrap();
    use_up(&mut tickets_of, &codes[refused]).unwrap();
    assert!(matches!(use_up(&mut tickets(&dir), &codes[refused]), Err(TicketRefusal::Used)));
    let token = &made[kept_good];
    assert!(tokens_of.validate(Moment::now(), &token.text, None).is_ok());
    tokens_of.revoke(Moment::now(), &token.claims).unwrap();
    assert!(tokens(&dir).validate(Moment::now(), &token.text, None).is_err());
    assert!(tickets_of.define(Moment::now(), &"OTHER".parse().unwrap()).unwrap());
}
