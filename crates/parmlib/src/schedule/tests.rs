use std::fs;
use std::path::PathBuf;

use super::*;
use crate::install::{UnitFacts, unit_text};

fn unit_facts() -> UnitFacts {
    UnitFacts {
        program: "/usr/lib/tender/ZWESIS01".into(),
        parmlib: "/etc/tender/xmem".into(),
        suffix: "00".to_owned(),
        home: "/var/lib/tender".into(),
        written: Vec::new(),
        is_running_others: false,
        is_inspecting: false,
    }
}

fn facts(text: String, path: PathBuf) -> HostFacts {
    HostFacts {
        missing_users: Vec::new(),
        procedure: StartProcedure::Unit { path, text },
        written: Vec::new(),
        is_running_others: false,
        suid_dumpable: Some(0),
        memfd_noexec: Some(0),
        has_memory_controller: true,
        processes: Vec::new(),
    }
}

fn unmet(facts: &HostFacts) -> Vec<String> {
    check(facts).into_iter().filter(|item| !item.is_met).map(|item| item.what).collect()
}

#[test]
fn unit_that_was_installed_meets_everything() {
    let facts = facts(unit_text(&unit_facts()), "/x/tender-xmem@.service".into());
    assert_eq!(unmet(&facts), Vec::<String>::new());
    assert!(check(&facts).iter().any(|item| item.attribute == Attribute::Noswap));
}

#[test]
fn everything_that_is_missing_is_told_with_its_remedy() {
    let mut facts = facts("[Service]\nExecStart=/x\n".to_owned(), "/x/tender-xmem@.service".into());
    facts.missing_users = vec!["zwesaux"];
    facts.suid_dumpable = Some(1);
    facts.memfd_noexec = Some(2);
    facts.has_memory_controller = false;
    let items = check(&facts);
    assert!(items.iter().all(|item| !item.is_met && item.remedy.is_some()), "{items:?}");
    assert_eq!(items.len(), 10);
}

#[test]
fn processes_that_can_be_looked_into_or_killed_early_are_told() {
    let mut facts = facts(unit_text(&unit_facts()), "/x/tender-xmem@.service".into());
    let process = |pid: u32, role: &str| ProcessFacts {
        pid,
        role: role.to_owned(),
        uid: 990,
        oom_score: 0,
        swapped_kib: 4,
        is_without_new_privileges: false,
        is_filtered: false,
        is_dumpable: Some(true),
        core_bytes_max: Some(0),
    };
    facts.processes = vec![process(7, "@monitor")];
    assert_eq!(unmet(&facts).len(), 5);
    let remedy = check(&facts).into_iter().find_map(|item| match item.remedy {
        Some(Remedy::OomScore { pid, score }) => Some((pid, score)),
        _ => None,
    });
    assert_eq!(remedy, Some((7, -900)));
    // What is started again may be killed before the server, and nothing else of it may.
    for (role, is_dumpable, expected) in [
        ("MOD=ECHO", true, 0),
        ("@front", false, 0),
        ("@worker", false, 0),
        ("@monitor", false, 1),
        ("@keeper", false, 1),
    ] {
        facts.processes = vec![ProcessFacts {
            is_without_new_privileges: true,
            is_filtered: true,
            swapped_kib: 0,
            is_dumpable: Some(is_dumpable),
            ..process(8, role)
        }];
        assert_eq!(unmet(&facts).len(), expected, "{role}: {:?}", unmet(&facts));
    }
}

#[test]
fn directory_of_the_member_that_the_unit_closes_is_opened_by_a_drop_in() {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("tender-xmem@.service");
    fs::write(&unit, unit_text(&unit_facts()).replace("LimitCORE=0\n", "LimitCORE=infinity\n")).unwrap();
    let look = || {
        let mut facts = HostFacts::look(&unit, None).unwrap();
        facts.written = vec!["/srv/slots/a b".into()];
        // Whatever this machine has besides.
        check(&facts)
            .into_iter()
            .filter(|item| !item.is_met && item.what.starts_with("unit:"))
            .collect::<Vec<_>>()
    };
    let items = look();
    assert_eq!(items.len(), 2, "{items:?}");
    let procedure = HostFacts::look(&unit, None).unwrap().procedure;
    let applied = apply(&items, &procedure).unwrap();
    let text = fs::read_to_string(applied.drop_in.unwrap()).unwrap();
    assert!(text.contains("[Service]\nLimitCORE=0\nReadWritePaths=\"-/srv/slots/a b\"\n"), "{text}");
    assert_eq!(look(), []);
    // Another directory later does not lose the first.
    let more = ScheduleItem {
        remedy: Some(Remedy::UnitLine("ReadWritePaths=-/srv/b".to_owned())),
        ..items[0].clone()
    };
    let applied = apply(&[more], &procedure).unwrap();
    let text = fs::read_to_string(applied.drop_in.unwrap()).unwrap();
    assert!(text.contains("/srv/slots/a b\"\n") && text.contains("/srv/b\n"), "{text}");
}

#[test]
fn process_of_this_test_is_looked_at_as_it_is() {
    let facts = HostFacts::look(std::path::Path::new("/nowhere/ZWESISTC"), Some(std::process::id())).unwrap();
    assert_eq!(facts.procedure, StartProcedure::Missing);
    let own = facts.processes.iter().find(|process| process.pid == std::process::id()).unwrap();
    assert_eq!(own.uid, rustix::process::geteuid().as_raw());
    let score: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    assert_eq!(own.oom_score, score);
}

#[test]
fn process_that_nobody_may_look_into_is_told_from_one_that_its_user_may() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    if !rustix::process::geteuid().is_root() {
        println!("skipped: running a program as somebody else needs root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // The kernel makes undumpable what its user can execute but not read.
    for (mode, wanted) in [(0o755, true), (0o711, false)] {
        let program = dir.path().join(format!("sleep{mode:o}"));
        fs::copy("/bin/sleep", &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        let mut child = Command::new(&program).arg("60").uid(65_534).spawn().unwrap();
        let facts = HostFacts::look(std::path::Path::new("/nowhere/ZWESISTC"), Some(child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(facts.processes[0].is_dumpable, Some(wanted), "{mode:o}");
    }
}
