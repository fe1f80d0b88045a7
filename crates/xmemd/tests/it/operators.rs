//! Operator commands, and who may give them.

use tender_xmem::control::Control;

use crate::wire::Raw;
use crate::world::{ANN, BOB, USUAL, World, as_user, is_root};

#[test]
fn commands_show_what_the_server_is_and_does() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "ZWES.PUBLIC.A=b\n");
    let mut bob = Raw::enter(&world, BOB);
    bob.call(4, b"");
    let said = |command: &str| {
        let (lines, code) = world.modify(command);
        (lines.join("\n"), code)
    };
    for (command, wanted) in [
        ("DISPLAY", "server ZWESIS_STD generation 1"),
        ("D CONFIG", "ZWES.PUBLIC.A=b"),
        ("DIS SERVICES", "ZWES.IS.SRV.STATUS"),
        ("D CLIENTS", "uid 60002"),
        ("D STATS", "STATUS"),
        ("D CODES", "permission denied"),
        ("D SANDBOX", "  keeper: pid "),
        ("D PLUGINS", "none"),
        ("D COMMANDS", "FLUSH"),
        ("STATISTICS", "1 refused"),
        ("LIST SERVICES", "EXPLAIN"),
        ("EXPLAIN", "ZWES.IS.SRV.STATUS"),
        ("EXPLAIN BOB STATUS", "refused"),
        ("FLUSH", "ZWES0281I"),
        ("LOG CMSPC DEBUG", "ZWES0280I"),
        ("RELOAD", "ZWES0264I"),
    ] {
        let (text, code) = said(command);
        assert!(text.contains(wanted) && code == 0, "{command}: {code} {text}");
    }
    for (command, wanted) in [
        ("", "ZWES0228W"),
        ("DISPLAY NONSENSE", "ZWES0230W"),
        ("LOG STC", "ZWES0224W"),
        ("LOG XXX INFO", "ZWES0225W"),
        ("LOG STC LOUD", "ZWES0226W"),
        ("NONSENSE", "ZWES0227W"),
        ("D(NONE) X", "ZWES0227W"),
        ("D(TOOLONG) X", "ZWES0227W"),
        ("COLD", "ZWES0282W"),
        ("RESET(LOOKUP)", "ZWES0282W"),
    ] {
        let (text, code) = said(command);
        assert!(text.contains(wanted) && code == 4, "{command}: {code} {text}");
    }
    // Every process has said what its sandbox became, in the log as well.
    bob.call(4, b"");
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(13, br#"{"capacity":5}"#).0.code, 0);
    let (text, _) = said("D SANDBOX");
    for (process, user) in
        [("keeper", "root"), ("monitor", "daemon"), ("front", "bin"), ("worker network", "daemon")]
    {
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{process}: pid ")));
        let line = line.unwrap_or_else(|| panic!("no {process} in\n{text}"));
        let uid = nix::unistd::User::from_name(user).unwrap().unwrap().uid;
        assert!(line.contains(&format!("uid {uid}, ")) && line.contains("seccomp"), "{line}");
        let begins = format!("ZWES0262I Process {process} started, pid ");
        assert!(world.log().contains(&begins), "{begins}\n{}", world.log());
    }
    assert!(text.contains("  root: pid "), "{text}");
    let (text, code) = said(&"X".repeat(65));
    assert!(text.contains("ZWES0218E") && code == 8, "{text}");
}

#[test]
fn operator_who_is_not_root_needs_a_profile_and_everything_is_written_down() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    // The socket is for root and one group; here it is opened for everybody, and the profile still counts.
    let control = world.path("run/ZWESIS_STD/control");
    let mode = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&control, permissions).unwrap();
    };
    let found = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&control).unwrap().permissions());
    assert_eq!(found & 0o777, 0o660);
    mode(0o666);
    let options = world.options();
    let modify = |text: &str| {
        let mut control =
            as_user(ANN, || Control::connect(&"ZWESIS_STD".parse().unwrap(), &options)).unwrap();
        let mut output = control.modify(text).unwrap();
        let lines: Vec<String> = output.by_ref().map(|line| line.unwrap()).collect();
        (lines.join("\n"), output.outcome().unwrap())
    };
    let (text, code) = modify("FLUSH");
    assert_eq!(code, 33, "{text}");
    assert!(text.contains("ZWES.IS.OPER.FLUSH UPDATE"), "{text}");
    world.saf(&[
        "RDEFINE FACILITY ZWES.IS.OPER.FLUSH UACC(NONE) AUDIT(ALL(READ))",
        "PERMIT ZWES.IS.OPER.FLUSH CLASS(FACILITY) ID(ANN) ACCESS(UPDATE)",
    ]);
    crate::world::wait_until("the permission is in force", || modify("FLUSH").1 == 0);
    assert_eq!(modify("STOP").1, 33);
    world.modify("FLUSH");
    let audit = world.audit();
    let of = |user: Option<&str>, resource: &str, verdict| {
        let is_it = |entry: &&tender_saf::AuditEntry| {
            entry.resource == resource
                && entry.verdict == verdict
                && user.is_none_or(|user| entry.user.as_deref() == Some(user))
        };
        audit.iter().filter(is_it).count()
    };
    assert!(of(Some("ANN"), "ZWES.IS.OPER.FLUSH", tender_saf::Verdict::Refused) >= 1);
    assert_eq!(of(Some("ANN"), "ZWES.IS.OPER.STOP", tender_saf::Verdict::Refused), 1);
    assert!(of(None, "ZWES.IS.OPER.FLUSH", tender_saf::Verdict::Granted) >= 2);
}

#[test]
fn stop_by_command_is_an_orderly_one() {
    if !is_root() {
        return;
    }
    let mut world = World::start(USUAL, "");
    let (lines, _) = world.modify("STOP");
    assert!(lines.concat().contains("ZWES0223I"), "{lines:?}");
    assert_eq!(world.ended().code(), Some(0));
}
