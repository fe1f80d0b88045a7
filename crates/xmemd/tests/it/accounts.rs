//! Who somebody is, and how that is proven: passwords of real Linux users through PAM, tickets, tokens.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::wire::Raw;
use crate::world::{ANN, BOB, USUAL, World, has_program, is_root, wait_until};

/// Of the password `correct horse`.
const HASH: &str =
    "$6$tendersalt$4wqs/nt9HojcDHqw8uCHwrXMLXi6koqT4CuoouCDb6GCTyd1CnARlO8YHZZm3Wb.g3ocLeZ3aZ8ffgt/2kikO.";

/// Users of the database: two whose Linux names are theirs, one whose Linux name is longer than a name here may be.
const PEOPLE: &[&str] = &[
    "ADDUSER TNDFINE",
    "ADDUSER TNDGONE",
    "ADDUSER TNDLOCK",
    "ADDUSER LONG OMVS(UID(61053))",
    "RDEFINE FACILITY ZWES.IS.RUNAS UACC(READ)",
];

fn value(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(payload)))
}

/// Starts a server in a mount namespace in which `/etc/passwd`, `/etc/shadow` and `/etc/pam.d` are the test's own.
fn server(member: &str) -> Option<World> {
    let modules = ["/lib", "/usr/lib", "/usr/lib64"].iter().any(|directory| {
        let below = |path: std::path::PathBuf| path.join("security/pam_unix.so").exists();
        let at = std::path::Path::new(directory);
        below(at.to_owned())
            || std::fs::read_dir(at)
                .is_ok_and(|mut found| found.any(|found| found.is_ok_and(|found| below(found.path()))))
    });
    if !is_root() || !has_program("/usr/bin/unshare") {
        return None;
    }
    if !modules {
        println!("skipped: there is no pam_unix");
        return None;
    }
    let mut world = World::prepare(&[USUAL, PEOPLE].concat(), member);
    let mut passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let mut shadow = String::from("root:*:19000:0:99999:7:::\n");
    for (uid, user, hash, rest) in [
        (61_050, "tndfine", HASH.to_owned(), "19000:0:99999:7:::"),
        (61_051, "tndgone", HASH.to_owned(), "19000:0:99999:7::2:"),
        (61_052, "tndlock", format!("!{HASH}"), "19000:0:99999:7:::"),
        (61_053, "tender-with-a-long-name", HASH.to_owned(), "19000:0:99999:7:::"),
    ] {
        writeln!(passwd, "{user}:x:{uid}:{uid}::/:/bin/sh").unwrap();
        writeln!(shadow, "{user}:{hash}:{rest}").unwrap();
    }
    std::fs::write(world.path("passwd"), passwd).unwrap();
    std::fs::write(world.path("shadow"), shadow).unwrap();
    std::fs::set_permissions(world.path("shadow"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::create_dir(world.path("pam.d")).unwrap();
    let stack = "auth required pam_unix.so\naccount required pam_unix.so\n";
    std::fs::write(world.path("pam.d/tender"), stack).unwrap();
    std::fs::write(world.path("pam.d/other"), "auth required pam_deny.so\naccount required pam_deny.so\n")
        .unwrap();
    let script = "cd \"$0\" && for one in passwd shadow pam.d; do mount --bind $one /etc/$one || exit 1; done\n\
                  cd / && exec \"$@\"";
    let directory = world.dir.path().display().to_string();
    world.started_by = ["unshare", "--mount", "sh", "-c", script, &directory].map(str::to_owned).to_vec();
    world.run(&[]);
    Some(world)
}

fn password(user: &str, password: &str) -> Vec<u8> {
    json!({"password": {"user": user, "password": password}}).to_string().into_bytes()
}

#[test]
fn password_of_a_linux_user_is_right_or_wrong_and_nothing_else_is_told() {
    let Some(world) = server("ZWES.AUTH.ATTEMPTS=50\n") else { return };
    let mut ann = Raw::enter(&world, ANN);
    let mut said = |user: &str, text: &str| {
        let (reply, payload) = ann.call(11, &password(user, text));
        assert_eq!(reply.code, 0);
        let status = value(&payload)["status"].clone();
        let number = |field: &str| status[field].as_u64().unwrap();
        (reply.detail, number("saf"), number("racf"))
    };
    for (user, text, expected) in [
        ("TNDFINE", "correct horse", (0, 0, 0)),
        ("tndfine", "correct horse", (0, 0, 0)),
        ("LONG", "correct horse", (0, 0, 0)),
        ("TNDFINE", "wrong horse", (11, 8, 8)),
        // Unknown here, unknown to Linux, locked: like a wrong one.
        ("ROOT", "correct horse", (11, 8, 8)),
        ("NOBODYS", "correct horse", (11, 8, 8)),
        ("TNDLOCK", "correct horse", (11, 8, 8)),
        // The account has expired: told only to who has the password.
        ("TNDGONE", "correct horse", (11, 8, 28)),
        ("TNDGONE", "wrong horse", (11, 8, 8)),
    ] {
        assert_eq!(said(user, text), expected, "{user} {text}\n{}", world.log());
    }
    for text in [world.log(), format!("{:?}", world.audit())] {
        assert!(!text.contains("horse"), "a password is written down");
    }
    // Revoked in the database: the Linux password does not help.
    world.saf(&["ALTUSER TNDFINE REVOKE"]);
    wait_until("it is revoked", || said("TNDFINE", "correct horse") == (11, 8, 8));
}

#[test]
fn password_makes_a_token_and_both_make_an_actor_that_runs_programs() {
    let Some(world) = server("ZWES.RUNAS.UIDS=61000-61999\n") else { return };
    let mut ann = Raw::enter(&world, ANN);
    let token = |user: &str, field: &str, secret: &str| {
        json!({"token": {"user": user, field: secret}}).to_string().into_bytes()
    };
    let (reply, _) = ann.call(11, &token("TNDFINE", "password", "wrong horse"));
    assert_eq!((reply.code, reply.detail), (0, 11));
    let (reply, payload) = ann.call(11, &token("TNDFINE", "password", "correct horse"));
    assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
    let made = value(&payload)["token"].as_str().unwrap().to_owned();
    assert_eq!(ann.call(11, &token("TNDFINE", "token", &made)).0.detail, 0);
    assert_eq!(ann.call(11, &token("LONG", "token", &made)).0.detail, 16, "somebody else's token");
    assert_eq!(ann.call(11, &token("TNDFINE", "token", &format!("{made}x"))).0.detail, 16);
    let head = br#"{"program":"/usr/bin/id","arguments":["-u"]}"#;
    let run = [&(head.len() as u32).to_le_bytes()[..], head].concat();
    for proof in [
        json!({"password": {"user": "TNDFINE", "password": "correct horse"}}),
        json!({"token": {"token": made}}),
    ] {
        let request = json!({"issue": {"proof": proof}}).to_string();
        let (reply, payload) = ann.call(6, request.as_bytes());
        assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
        let handle = value(&payload)["issued"]["handle"].as_u64().unwrap();
        let (reply, payload) = ann.call_as(handle, 23, &run);
        assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
        assert!(payload.ends_with(b"61050\n"), "{}", String::from_utf8_lossy(&payload));
        let release = json!({"release": handle}).to_string();
        assert_eq!(ann.call(6, release.as_bytes()).0.detail, 0);
        assert_eq!(ann.call_as(handle, 23, &run).0.detail, 15, "released");
    }
    let wrong = json!({"issue": {"proof": {"password": {"user": "TNDFINE", "password": "no"}}}}).to_string();
    assert_eq!(ann.call(6, wrong.as_bytes()).0.detail, 11);
}

/// Who may make tickets for BOB at an application, and who may use them up.
const TICKETS: &[&str] = &[
    "SETROPTS CLASSACT(PTKTDATA)",
    "RDEFINE PTKTDATA IRRPTAUTH.MYAPP.BOB UACC(NONE) AUDIT(ALL(READ))",
    "PERMIT IRRPTAUTH.MYAPP.BOB CLASS(PTKTDATA) ID(ANN) ACCESS(UPDATE)",
    "RDEFINE PTKTDATA IRRPTAUTH.OTHER.BOB UACC(NONE)",
    "PERMIT IRRPTAUTH.OTHER.BOB CLASS(PTKTDATA) ID(ANN) ACCESS(UPDATE)",
    "PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(BOB) ACCESS(UPDATE)",
];

fn generate(raw: &mut Raw, application: &str) -> (u32, u32, Option<String>) {
    let request = json!({"generate": {"user": "BOB", "application": application}}).to_string();
    let (reply, payload) = raw.call(21, request.as_bytes());
    let ticket = serde_json::from_slice::<Value>(&payload).ok();
    let ticket = ticket.and_then(|answer| Some(answer["generated"]["ticket"].as_str()?.to_owned()));
    (reply.code, reply.detail, ticket)
}

fn evaluate(raw: &mut Raw, application: &str, ticket: &str) -> (u32, u32) {
    let evaluate = json!({"user": "BOB", "application": application, "ticket": ticket});
    let (reply, _) = raw.call(21, json!({"evaluate": evaluate}).to_string().as_bytes());
    (reply.code, reply.detail)
}

#[test]
fn ticket_is_good_once_for_its_user_and_application_also_after_a_restart() {
    if !is_root() {
        return;
    }
    let mut world = World::start(&[USUAL, TICKETS].concat(), "");
    let mut ann = Raw::enter(&world, ANN);
    let (code, detail, ticket) = generate(&mut ann, "MYAPP");
    assert_eq!((code, detail), (0, 0), "{}", world.log());
    let ticket = ticket.unwrap();
    assert!(ticket.len() == 16 && ticket.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{ticket}");
    // For another application it is no ticket, and that does not use it up.
    assert_eq!(evaluate(&mut ann, "OTHER", &ticket), (0, 20), "no ticket was ever made for it");
    generate(&mut ann, "OTHER");
    assert_eq!(evaluate(&mut ann, "OTHER", &ticket), (0, 16));
    assert_eq!(evaluate(&mut ann, "MYAPP", "AAAAAAAAAAAAAAAA"), (0, 16));
    assert_eq!(evaluate(&mut ann, "MYAPP", &ticket), (0, 0));
    assert_eq!(evaluate(&mut ann, "MYAPP", &ticket), (0, 16), "a second time");
    // Neither a monitor that is killed nor a server that is started again forgets that it was used.
    let unused = generate(&mut ann, "MYAPP").2.unwrap();
    let monitor = world.kill_box("monitor");
    wait_until("another monitor is there", || world.boxes("monitor").iter().any(|pid| *pid != monitor));
    wait_until("it answers", || evaluate(&mut ann, "MYAPP", &ticket) == (0, 16));
    world.stop();
    world.run(&[]);
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(evaluate(&mut ann, "MYAPP", &ticket), (0, 16), "after a restart");
    assert_eq!(evaluate(&mut ann, "MYAPP", &unused), (0, 0), "one that was not used is good after a restart");
    assert_eq!(evaluate(&mut ann, "MYAPP", &unused), (0, 16));
    assert!(!world.log().contains(&ticket), "a ticket is written down");
}

#[test]
fn ticket_needs_its_own_profile_and_makes_an_actor() {
    if !is_root() {
        return;
    }
    let world = World::start(&[USUAL, TICKETS].concat(), "");
    let (mut ann, mut bob) = (Raw::enter(&world, ANN), Raw::enter(&world, BOB));
    assert_eq!(generate(&mut bob, "MYAPP").0, 33, "BOB may not make tickets, not even for BOB");
    assert_eq!(evaluate(&mut bob, "MYAPP", "AAAAAAAAAAAAAAAA").0, 33);
    assert_eq!(generate(&mut ann, "NOAPP").0, 33, "no profile");
    assert_eq!(generate(&mut ann, "TOOLONGNAME").1, 13);
    let ticket = generate(&mut ann, "MYAPP").2.unwrap();
    let proof = json!({"ticket": {"user": "BOB", "application": "MYAPP", "ticket": ticket}});
    let issue = json!({"issue": {"proof": proof}}).to_string();
    let (reply, payload) = ann.call(6, issue.as_bytes());
    assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
    let handle = value(&payload)["issued"]["handle"].as_u64().unwrap();
    let (_, payload) = ann.call_as(handle, 5, b"");
    assert_eq!(value(&payload)["actor"].as_str(), Some("BOB"));
    assert_eq!(ann.call(6, issue.as_bytes()).0.detail, 11, "the ticket is used up");
}

#[test]
fn tickets_that_are_guessed_run_into_a_bound() {
    if !is_root() {
        return;
    }
    let world = World::start(&[USUAL, TICKETS].concat(), "");
    let mut ann = Raw::enter(&world, ANN);
    let good = generate(&mut ann, "MYAPP").2.unwrap();
    let said: Vec<u32> =
        (0..15).map(|guess| evaluate(&mut ann, "MYAPP", &format!("AAAAAAAAAAAAAA{guess:02}")).1).collect();
    assert!(said[..10].iter().all(|detail| *detail == 16), "{said:?}");
    assert!(said[10..].iter().all(|detail| *detail == 22), "{said:?}");
    // While the bound holds not even the right one is good: nobody learns that it would be.
    assert_eq!(evaluate(&mut ann, "MYAPP", &good), (0, 22));
}
