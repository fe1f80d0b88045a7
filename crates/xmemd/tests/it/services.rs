//! The services that workers and the monitor do.

use crate::wire::{Heard, Raw};
use crate::world::{ANN, USUAL, World, is_root, wait_until};

fn json(payload: &[u8]) -> serde_json::Value {
    serde_json::from_slice(payload).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(payload)))
}

#[test]
fn access_of_others_is_answered_for_the_configured_class_only() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "ZWES.AUTH.CLASS=FACILITY\n");
    let mut ann = Raw::enter(&world, ANN);
    let mut ask = |request: &str| {
        let (reply, payload) = ann.call(11, request.as_bytes());
        assert_eq!(reply.code, 0);
        (reply.detail, payload)
    };
    let entity = |class: &str, level: &str| {
        format!(r#"{{"entity":{{"user":"BOB","class":"{class}","entity":"ZWES.IS","level":"{level}"}}}}"#)
    };
    assert_eq!(ask(&entity("", "READ")).0, 0);
    assert_eq!(ask(&entity("FACILITY", "UPDATE")).0, 16);
    assert_eq!(ask(&entity("STARTED", "READ")).0, 20);
    let (detail, payload) = ask(r#"{"level":{"user":"BOB","entity":"ZWES.IS"}}"#);
    assert_eq!((detail, json(&payload)["level"].as_str()), (0, Some("READ")));
    assert_eq!(ask(r#"{"user":{"user":"NOBODY"}}"#).0, 11);
    assert_eq!(ask(r#"{"user":{"user":"BOB"}}"#).0, 0);
}

#[test]
fn password_guesses_run_into_a_bound_and_the_server_goes_on() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut ann = Raw::enter(&world, ANN);
    let reasons: Vec<u64> = (0..7)
        .map(|_| {
            let (reply, payload) = ann.call(11, br#"{"password":{"user":"BOB","password":"guess"}}"#);
            assert_eq!((reply.code, reply.detail), (0, 11));
            json(&payload)["status"]["racf"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(reasons[0], 8);
    assert_eq!(reasons[6], 28, "{reasons:?}");
    // Another subject is not locked out with it.
    let (_, payload) = ann.call(11, br#"{"password":{"user":"ANN","password":"guess"}}"#);
    assert_eq!(json(&payload)["status"]["racf"].as_u64(), Some(8));
}

#[test]
fn guesses_in_a_row_are_as_many_as_the_member_says_also_when_it_is_read_again() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "ZWES.AUTH.ATTEMPTS=2\n");
    let mut ann = Raw::enter(&world, ANN);
    let mut guesses_before_waiting = || {
        let mut guess = || {
            let (_, payload) = ann.call(11, br#"{"password":{"user":"BOB","password":"guess"}}"#);
            json(&payload)["status"]["racf"].as_u64().unwrap()
        };
        (0..20).take_while(|_| guess() == 8).count()
    };
    assert_eq!(guesses_before_waiting(), 2);
    world.write_member("ZWES.AUTH.ATTEMPTS=9\n");
    assert_eq!(world.modify("RELOAD").1, 0);
    assert_eq!(guesses_before_waiting(), 9);
}

#[test]
fn request_that_is_not_taken_is_told_why_and_what_one_looks_like() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut ann = Raw::enter(&world, ANN);
    for (service, request, field) in [
        (11, &br#"{"password":{"user":"","password":"x"}}"#[..], "user"),
        (13, b"{", "request"),
        (21, br#"{"generate":{"user":"BOB","application":"TOOLONGNAME"}}"#, "application"),
        (26, br#"{"refusals":{"count":"many"}}"#, "request"),
    ] {
        let (reply, payload) = ann.call(service, request);
        assert_eq!(reply.code, 0, "{service}");
        assert_ne!(reply.detail, 0, "{service}");
        let answer = json(&payload);
        assert_eq!(answer["field"], field, "{service}: {answer}");
        assert!(answer["reason"].as_str().is_some_and(|reason| reason.len() > 3), "{service}: {answer}");
        // What is shown as an example is understood: it is not refused as a request that is none.
        let examples = answer["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{service}: {answer}");
        for example in examples {
            let (reply, payload) = ann.call(service, example.to_string().as_bytes());
            let said: serde_json::Value = serde_json::from_slice(&payload).unwrap_or_default();
            assert!(said["examples"].is_null(), "{service} {example}: {} {said}", reply.detail);
        }
    }
}

#[test]
fn low_port_comes_back_as_a_descriptor_that_listens() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "ZWES.PORTS=900-950\n");
    world.saf(&[
        "RDEFINE FACILITY ZWES.IS.PORT.* UACC(NONE)",
        "PERMIT ZWES.IS.PORT.* CLASS(FACILITY) ID(ANN) ACCESS(READ)",
    ]);
    let mut ann = Raw::enter(&world, ANN);
    wait_until("the permission is in force", || {
        ann.call(25, br#"{"port":99,"address":"127.0.0.1"}"#).0.code == 0
    });
    assert_eq!(ann.call(25, br#"{"port":99,"address":"127.0.0.1"}"#).0.detail, 16);
    let port = (900..950).find(|port| {
        ann.cast(25, format!(r#"{{"port":{port},"address":"127.0.0.1"}}"#).as_bytes());
        let Heard::Frame(header, _, fds) = ann.hear() else { panic!("gone") };
        assert_eq!((header.code, header.detail == 0 || header.detail == 17), (0, true), "{header:?}");
        let Some(fd) = fds.into_iter().next() else { return false };
        let listener = std::net::TcpListener::from(fd);
        assert_eq!(listener.local_addr().unwrap().port(), *port);
        let client = std::net::TcpStream::connect(("127.0.0.1", *port)).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        true
    });
    assert!(port.is_some(), "no port was free");
}

#[test]
fn sockets_are_listed_with_their_owners() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut ann = Raw::enter(&world, ANN);
    let request = format!(r#"{{"protocols":["tcp"],"listening":true,"port":{port},"capacity":10}}"#);
    let (reply, payload) = ann.call(13, request.as_bytes());
    assert_eq!((reply.code, reply.detail), (0, 0));
    let found = json(&payload);
    assert_eq!(found["sockets"][0]["pid"].as_u64(), Some(std::process::id().into()), "{found}");
}

#[test]
fn program_runs_as_the_actor_and_nobody_else() {
    if !is_root() {
        return;
    }
    let member = "ZWES.RUNAS.UIDS=2000-70000\n";
    let world = World::start(USUAL, member);
    world.saf(&[
        // A name that Linux knows: a program needs a home in the user database.
        "ADDUSER NOBODY",
        "RDEFINE FACILITY ZWES.IS.RUNAS UACC(NONE)",
        "PERMIT ZWES.IS.RUNAS CLASS(FACILITY) ID(NOBODY) ACCESS(READ)",
        "SETROPTS CLASSACT(SURROGAT)",
        "RDEFINE SURROGAT NOBODY.ZWES UACC(NONE)",
        "PERMIT NOBODY.ZWES CLASS(SURROGAT) ID(ANN) ACCESS(READ)",
    ]);
    let mut ann = Raw::enter(&world, ANN);
    let surrogate = br#"{"issue":{"proof":{"surrogate":{"user":"NOBODY"}}}}"#;
    wait_until("the permission is in force", || ann.call(6, surrogate).0.code == 0);
    let handle = json(&ann.call(6, surrogate).1)["issued"]["handle"].as_u64().unwrap();
    let head = br#"{"program":"/usr/bin/id","arguments":["-u"]}"#;
    let payload = [&(head.len() as u32).to_le_bytes()[..], head].concat();
    let (reply, _) = ann.call(23, &payload);
    assert_eq!((reply.code, reply.detail), (0, 15), "without an actor");
    let mut header = ann.next_call(23, payload.len());
    header.actor = handle;
    ann.send(&[&header.encode()[..], &payload].concat(), &[]).unwrap();
    let (reply, payload) = ann.hear().frame();
    assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
    let text = String::from_utf8_lossy(&payload).into_owned();
    let uid = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid;
    assert!(text.contains(r#""exit":0"#) && text.ends_with(&format!("{uid}\n")), "{text}");
}

#[test]
fn security_management_shows_first_and_changes_only_when_told_to() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "ZWES.SECMGMT.CLASS=FACILITY\n");
    world.saf(&[
        "ADDUSER BOSS SPECIAL",
        "SETROPTS CLASSACT(SURROGAT)",
        "RDEFINE SURROGAT BOSS.ZWES UACC(NONE)",
        "PERMIT BOSS.ZWES CLASS(SURROGAT) ID(ANN) ACCESS(READ)",
    ]);
    let mut ann = Raw::enter(&world, ANN);
    let surrogate = br#"{"issue":{"proof":{"surrogate":{"user":"BOSS"}}}}"#;
    wait_until("the permission is in force", || ann.call(6, surrogate).0.code == 0);
    let handle = json(&ann.call(6, surrogate).1)["issued"]["handle"].as_u64().unwrap();
    let mut ask = |service, request: &str, actor| {
        let mut header = ann.next_call(service, request.len());
        header.actor = actor;
        ann.send(&[&header.encode()[..], request.as_bytes()].concat(), &[]).unwrap();
        let (reply, payload) = ann.hear().frame();
        assert_eq!(reply.code, 0);
        (reply.detail, json(&payload))
    };
    let define = r#"{"function":"define","profile":"ZOWE.TEST"}"#;
    assert_eq!(ask(17, define, 0).0, 14, "without an actor");
    let (detail, shown) = ask(17, define, handle);
    assert_eq!((detail, shown["changed"].as_bool()), (0, Some(false)), "{shown}");
    assert!(shown["command"].as_str().unwrap().contains("RDEFINE FACILITY ZOWE.TEST"), "{shown}");
    let really = r#"{"function":"define","profile":"ZOWE.TEST","dry_run":false}"#;
    let (detail, done) = ask(17, really, handle);
    assert_eq!((detail, done["changed"].as_bool()), (0, Some(true)), "{done}");
    let foreign = r#"{"function":"define","profile":"ZWES.IS.SRV.AUTH","dry_run":false}"#;
    let mut header = ann.next_call(17, foreign.len());
    header.actor = handle;
    ann.send(&[&header.encode()[..], foreign.as_bytes()].concat(), &[]).unwrap();
    assert_eq!(ann.hear().frame().0.detail, 11);
    wait_until("it is in the list", || {
        let request = r#"{"start":"ZOWE","count":1}"#;
        let mut header = ann.next_call(15, request.len());
        header.actor = handle;
        ann.send(&[&header.encode()[..], request.as_bytes()].concat(), &[]).unwrap();
        let (reply, payload) = ann.hear().frame();
        reply.detail == 0 && json(&payload)["profiles"][0]["profile"].as_str() == Some("ZOWE.TEST")
    });
}

#[test]
fn call_is_cancelled_runs_out_of_time_and_has_no_room() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "ZWES.CALLS_PER_CONNECTION=2\n");
    let mut ann = Raw::enter(&world, ANN);
    let slow = br#"{"password":{"user":"BOB","password":"guess"}}"#;
    // Time runs out.
    let mut header = ann.next_call(11, slow.len());
    header.detail = 50;
    ann.send(&[&header.encode()[..], slow].concat(), &[]).unwrap();
    assert_eq!(ann.hear().frame().0.code, 96);
    // Cancelled.
    let sequence = ann.cast(11, slow);
    let cancel = tender_xmem::frame::Header::new(tender_xmem::frame::Kind::Cancel, sequence);
    ann.send(&cancel.encode(), &[]).unwrap();
    let (reply, _) = ann.hear().frame();
    assert_eq!((reply.sequence, reply.code), (sequence, 97));
    // No room for a third.
    ann.cast(11, slow);
    ann.cast(11, slow);
    let third = ann.cast(11, slow);
    let (reply, _) = ann.hear().frame();
    assert_eq!((reply.sequence, reply.code), (third, 52));
    // What needs no room is answered all the same.
    let ping = ann.cast(4, b"x");
    let answered: Vec<u64> = (0..3).map(|_| ann.hear().frame().0.sequence).collect();
    assert_eq!(answered[0], ping);
}
