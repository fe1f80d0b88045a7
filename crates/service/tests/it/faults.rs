//! The principal killed at every fault point: a rerun ends where an undisturbed run ends.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tender_package::ReturnCode;
use tender_service::Verb;
use tender_service::fault::POINTS;
use tender_service::system::Target;
use tender_service::verbs::{
    LocalmodAction, PrincipalRenew, ReleaseDelete, SrvlvlAdd, SrvlvlLocalmod, SystemFallback, SystemPut2prod,
};

use crate::site::{CONFIG, Site, level, vrm, write};

/// Every verb with fault points, in an order in which each can be done; running all again must do no harm.
fn story(site: &Site) -> Vec<Box<dyn Verb>> {
    let put2prod = SystemPut2prod {
        vrm: vrm(),
        target: Target::All,
        expect: Some((level("L1"), None)),
        acknowledge: Vec::new(),
        force: None,
        parallel_max: None,
    };
    let add = SrvlvlAdd {
        vrm: vrm(),
        level: level("L1"),
        basedon: level("BASE"),
        variant: None,
        description: String::new(),
    };
    let localmod = SrvlvlLocalmod {
        vrm: vrm(),
        level: level("L1"),
        component: "alpha".parse().unwrap(),
        id: Some("L0001".parse().unwrap()),
        action: LocalmodAction::Replace {
            path: "etc/app.conf".parse().unwrap(),
            from: site.dir.join("ours.conf"),
        },
        fixed_in: Vec::new(),
        reason: "why".to_owned(),
    };
    vec![
        Box::new(site.initialize()),
        Box::new(add),
        Box::new(site.service("L1", &site.dir.join("rsu1.envelope"))),
        Box::new(localmod),
        Box::new(site.package("L1")),
        Box::new(site.send("L1", "ALL", false)),
        Box::new(site.send("L1", "ALL", true)),
        Box::new(put2prod),
        Box::new(SystemFallback { vrm: vrm(), target: Target::All }),
        Box::new(PrincipalRenew { reason: "stolen".to_owned() }),
        Box::new(ReleaseDelete { vrm: vrm(), force: Some("no longer sold".to_owned()) }),
    ]
}

/// What belongs to no story: it is killed, and looked at, on its own.
const ALONE: [&str; 2] = ["renew.", "release_delete."];

/// Which verb of the story passes a point.
fn verb_of(point: &str) -> usize {
    let (verb, _) = point.split_once('.').unwrap();
    let verbs = [
        ("initialize", 0),
        ("srvlvl_add", 1),
        ("service", 2),
        ("localmod", 3),
        ("package", 4),
        ("send", 5),
        ("promote", 6),
        ("put2prod", 7),
        ("fallback", 8),
        ("renew", 9),
        ("release_delete", 10),
    ];
    verbs.iter().find(|(name, _)| *name == verb).unwrap().1
}

/// Makes what the vendor ships and what the verbs read.
fn prepare(site: &Site) {
    site.rsu1();
    write(site.dir.join("ours.conf"), &CONFIG.replace("one = 1", "one = 11"));
}

/// Does what the story needs besides its own verbs.
fn between(site: &Site, next: usize) {
    if next == 1 {
        site.initialise();
        site.add_system("vm01");
    }
}

fn accepts(verb: usize, code: ReturnCode) -> bool {
    // A level that was added before the kill is there: adding it again is refused, and nothing is lost.
    code <= ReturnCode::Warning || verb == 1 && code == ReturnCode::Refused
}

/// What must be the same whether or not a kill came between.
fn end_of(site: &Site) -> serde_json::Value {
    let level = site.query("L1");
    let info = site.fleet.load("vm01").info;
    let slot = |slot: Option<tender_package::report::SlotInfo>| slot.map(|slot| slot.level.to_string());
    serde_json::json!({
        "content": level["content"], "generation": level["generation"], "state": level["state"],
        "incomplete": level["incomplete"], "fixes": level["fixes"], "mods": level["local_mods"][0]["id"],
        "test": slot(info.test), "current": slot(info.current), "previous": slot(info.previous),
    })
}

fn tell(site: &Site, kill_at: Option<&'static str>) -> serde_json::Value {
    prepare(site);
    for next in 0..story(site).len() - ALONE.len() {
        between(site, next);
        if kill_at.is_some_and(|point| verb_of(point) == next) {
            kill(&site.dir, kill_at.unwrap(), next);
        }
        let verb = story(site).swap_remove(next);
        let outcome = site.run(verb.as_ref());
        assert!(accepts(next, outcome.code), "{kill_at:?}, {}: {:#?}", verb.word(), outcome.messages);
    }
    end_of(site)
}

/// Runs one verb of the story in another process that is killed at a point.
fn kill(dir: &Path, point: &str, verb: usize) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::verb_in_a_process_of_its_own", "--ignored", "--quiet"])
        .env("TENDER_FAULT", point)
        .env("TENDER_TEST_SITE", dir)
        .env("TENDER_TEST_VERB", verb.to_string())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(9), "{point} is never passed");
}

#[test]
#[ignore = "not a test of its own: the tests of this module start it"]
fn verb_in_a_process_of_its_own() {
    let site = Site::open(&PathBuf::from(std::env::var("TENDER_TEST_SITE").unwrap()));
    let verb: usize = std::env::var("TENDER_TEST_VERB").unwrap().parse().unwrap();
    site.run(story(&site).swap_remove(verb).as_ref());
}

#[test]
fn principal_killed_at_any_point_ends_where_it_would_have_without() {
    let undisturbed = tell(&Site::new(), None);
    assert_eq!(undisturbed["current"], "720 ADOPTED.0");
    assert_eq!(undisturbed["previous"], "720 L1.1");
    assert_eq!(undisturbed["state"], "STABLE");
    for point in POINTS.iter().filter(|point| !ALONE.iter().any(|verb| point.starts_with(verb))) {
        assert_eq!(tell(&Site::new(), Some(point)), undisturbed, "{point}");
    }
}

#[test]
fn release_delete_killed_is_made_good_by_deleting_or_initialising_again() {
    for again in ["delete", "initialize"] {
        let site = Site::new();
        prepare(&site);
        site.initialise();
        site.add_level("L1", "BASE");
        site.done(&site.service("L1", &site.dir.join("rsu1.envelope")));
        site.done(&site.package("L1"));
        let delete = verb_of("release_delete.recorded");
        kill(&site.dir, "release_delete.recorded", delete);
        let directory = site.dir.join("principal/releases/720");
        assert!(directory.exists(), "the kill came too late");
        if again == "delete" {
            site.done(story(&site).swap_remove(delete).as_ref());
            assert!(!directory.exists());
            site.refused(story(&site).swap_remove(delete).as_ref(), ReturnCode::Unknown);
        }
        // The release can be taken in anew, and nothing of before is in it.
        site.done(&site.initialize());
        site.add_level("L1", "BASE");
        assert_eq!(site.query("L1")["fixes"].as_array().map(Vec::len), Some(0));
        site.done(&site.service("L1", &site.dir.join("rsu1.envelope")));
        site.done(&site.package("L1"));
        assert_eq!(site.query("L1")["generation"], 1);
    }
}

#[test]
fn renew_killed_is_made_good_by_renewing_again() {
    let site = Site::initialised();
    site.add_system("vm01");
    for point in ["renew.revoked", "renew.told"] {
        let renew = verb_of(point);
        kill(&site.dir, point, renew);
        let outcome = site.run(story(&site).swap_remove(renew).as_ref());
        assert!(outcome.messages.iter().any(|message| message.text.contains("is revoked")), "{point}");
    }
}
