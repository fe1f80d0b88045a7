//! Who may what: the gate, each service, the actor, and what is said to whom.

use tender_saf::Verdict;
use tender_xmem::Refusal;
use tender_xmem::client::{Client, Options};
use tender_xmem::frame::Kind;

use crate::wire::Raw;
use crate::world::{ANN, BOB, EVE, USUAL, World, as_user, is_root, wait_until};

#[test]
fn matrix_of_gate_and_service_gives_what_profiles_say() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    // No gate: nothing, and no word about why.
    let (eve, header, payload) = Raw::greet(&world, EVE);
    assert_eq!((header.kind, header.code, payload.len()), (Kind::Welcome, 33, 0));
    assert!(header.reference > 0);
    assert!(matches!(eve.hear(), crate::wire::Heard::End));
    // Gate without services.
    let mut bob = Raw::enter(&world, BOB);
    for service in [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 17, 20, 21, 22, 23, 24, 25, 26, 64, 65] {
        let payload: &[u8] = if service >= 64 { &[b'X'; 32] } else { b"{}" };
        let (reply, payload) = bob.call(service, payload);
        assert_eq!((reply.code, payload.len()), (33, 0), "service {service}");
        assert!(reply.reference > 0, "service {service}");
    }
    // Gate and services.
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(4, b"x").0.code, 0);
    assert_eq!(ann.call(5, b"").0.code, 0);
}

#[test]
fn number_that_does_not_exist_is_refused_like_one_that_may_not_be_called() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut bob = Raw::enter(&world, BOB);
    for service in [0, 7, 10, 63, 66, 127, 128, 60_000] {
        assert_eq!(bob.call(service, b"").0.code, 33, "service {service}");
    }
}

#[test]
fn privileged_flag_and_root_give_nothing() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut bob = Raw::enter(&world, BOB);
    let mut header = bob.next_call(4, 0);
    header.flags = tender_xmem::frame::Flags::NO_SAF_CHECK;
    bob.send(&header.encode(), &[]).unwrap();
    assert_eq!(bob.hear().frame().0.code, 33);
    // ROOT is a user like any other.
    let (_, header, _) = Raw::greet(&world, 0);
    assert_eq!(header.code, 33);
}

#[test]
fn refusal_is_explained_to_those_who_may_know_and_written_down_for_all() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    world.saf(&["RDEFINE FACILITY ZWES.IS.SRV.PORT UACC(NONE)"]);
    let mut ann = Raw::enter(&world, ANN);
    wait_until("the profile is in force", || ann.call(25, b"{}").0.code == 33);
    let (reply, payload) = ann.call(25, b"{}");
    let refusal: Refusal = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&*refusal.subject, &*refusal.class), ("ANN", "FACILITY"));
    assert_eq!((&*refusal.resource, &*refusal.level), ("ZWES.IS.SRV.PORT", "UPDATE"));
    assert!(refusal.rule.contains("UACC") && refusal.remedy.contains("PERMIT"), "{refusal:?}");
    assert_eq!(refusal.reference, reply.reference);
    // The number is that of the line in the log.
    let entry = &world.audit()[usize::try_from(reply.reference).unwrap() - 1];
    assert_eq!((entry.verdict, &*entry.resource), (Verdict::Refused, "ZWES.IS.SRV.PORT"));
    assert!(entry.origin.as_ref().unwrap().contains("uid 60001"), "{entry:?}");
}

#[test]
fn connection_loses_what_was_revoked_and_gets_what_was_given() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let (mut ann, mut bob) = (Raw::enter(&world, ANN), Raw::enter(&world, BOB));
    assert_eq!(bob.call(4, b"").0.code, 33);
    world.saf(&["PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(BOB) ACCESS(READ)"]);
    wait_until("BOB may", || bob.call(4, b"").0.code == 0);
    world.saf(&["PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(ANN) ACCESS(NONE)"]);
    wait_until("ANN may not", || ann.call(4, b"").0.code == 33);
    world.saf(&["PERMIT ZWES.IS CLASS(FACILITY) ID(ANN) ACCESS(NONE)"]);
    let (code, text) = ann.hear_goodbye();
    assert_eq!(code, 33, "{text}");
    assert_eq!(bob.call(4, b"").0.code, 0);
}

#[test]
fn service_that_is_required_and_not_granted_is_refused_at_once() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let options = |name: &str| Options { requires: vec![name.to_owned()], ..world.options() };
    let connect =
        |uid, options| as_user(uid, move || Client::connect("ZWESIS_STD".parse().unwrap(), options));
    assert!(connect(ANN, options("STATUS")).is_ok());
    assert!(connect(BOB, options("STATUS")).is_err());
    assert!(connect(ANN, options("NO_SUCH_SERVICE")).is_err());
}

#[test]
fn actor_is_proven_and_good_on_one_connection_only() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut ann = Raw::enter(&world, ANN);
    let surrogate = br#"{"issue":{"proof":{"surrogate":{"user":"BOB"}}}}"#;
    assert_eq!(ann.call(6, surrogate).0.code, 33);
    world.saf(&[
        "SETROPTS CLASSACT(SURROGAT)",
        "RDEFINE SURROGAT BOB.ZWES UACC(NONE)",
        "PERMIT BOB.ZWES CLASS(SURROGAT) ID(ANN) ACCESS(READ)",
    ]);
    wait_until("the permission is in force", || ann.call(6, surrogate).0.code == 0);
    let (_, payload) = ann.call(6, surrogate);
    let answer: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let handle = answer["issued"]["handle"].as_u64().unwrap();
    let who = |raw: &mut Raw| {
        let mut header = raw.next_call(5, 0);
        header.actor = handle;
        raw.send(&header.encode(), &[]).unwrap();
        let (_, payload) = raw.hear().frame();
        serde_json::from_slice::<serde_json::Value>(&payload).unwrap()
    };
    let own = who(&mut ann);
    assert_eq!((own["user"].as_str(), own["actor"].as_str()), (Some("ANN"), Some("BOB")));
    let mut second = Raw::enter(&world, ANN);
    assert!(who(&mut second)["actor"].is_null());
    // A token for the actor needs one.
    assert_eq!(second.call(22, br#"{"generate":{}}"#).0.detail, 20);
    let mut header = ann.next_call(22, 15);
    header.actor = handle;
    ann.send(&[&header.encode()[..], br#"{"generate":{}}"#].concat(), &[]).unwrap();
    let (reply, payload) = ann.hear().frame();
    assert_eq!((reply.code, reply.detail), (0, 0), "{}", String::from_utf8_lossy(&payload));
    let token: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let validate = serde_json::json!({"validate": {"token": token["generated"]["token"]}}).to_string();
    let (reply, payload) = second.call(22, validate.as_bytes());
    assert_eq!(reply.detail, 0);
    assert!(String::from_utf8_lossy(&payload).contains("BOB"));
}

#[test]
fn refusals_that_flood_are_one_line_and_a_number_and_the_audit_log_has_each() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut bob = Raw::enter(&world, BOB);
    for _ in 0..200 {
        assert_eq!(bob.call(4, b"").0.code, 33);
    }
    assert_eq!(bob.call(1, b"x").0.code, 33);
    world.wait_for_log("ZWES0283W");
    let log = world.log();
    let lines = |what: &str| log.lines().filter(|line| line.contains(what)).collect::<Vec<_>>();
    assert_eq!(lines("ZWES0279W").len(), 2, "one for each kind\n{log}");
    let counted = lines("ZWES0283W");
    assert!(counted.len() == 1 && counted[0].contains("Refused 199 more times"), "{counted:?}");
    assert!(counted[0].contains("uid 60002") && counted[0].contains("ZWES.IS.SRV.STATUS"), "{counted:?}");
    let refused = world.audit().into_iter().filter(|entry| {
        entry.resource == "ZWES.IS.SRV.STATUS" && entry.verdict == tender_saf::Verdict::Refused
    });
    assert_eq!(refused.count(), 200);
}
