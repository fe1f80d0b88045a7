//! The whole story, as a new user sees it.

use std::process::Command;

use crate::world::World;

#[test]
fn quickstart_in_fresh_directory_tells_the_whole_story_and_cleans_up() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("fleet");
    let output = Command::new(env!("CARGO_BIN_EXE_tender"))
        .args(["quickstart", "--directory"])
        .arg(&directory)
        .env("HOME", parent.path())
        .env_remove("TENDER_HOME")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for milestone in [
        "tender servmgr initialize 720",
        "VM01    0   720 VM010802_BLD2.1 is in production",
        "was merged with the vendor's change",
        "etc/ledger.ini  modified",
        "is not what was signed",
        "ledger is BACKOFF",
        "720 VM010802_BLD2.1 is in production again",
        "Where everything stands",
    ] {
        assert!(text.contains(milestone), "the story lacks `{milestone}`:\n{text}");
    }
    assert!(!directory.exists(), "the quickstart leaves {} behind", directory.display());
}

#[test]
fn quickstart_in_directory_with_something_in_it_touches_nothing() {
    let world = World::new();
    let before = std::fs::read_dir(world.path("media")).unwrap().count();
    let line = format!("quickstart --directory {}", world.path("media").display());
    world.run("principal", &line).ends(12).says("is not empty");
    assert_eq!(std::fs::read_dir(world.path("media")).unwrap().count(), before);
}

#[test]
fn level_in_production_is_what_the_vendor_shipped_byte_for_byte() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(stable'").ends(0);
    world.run("principal", "servmgr system put2prod 720 vm01").ends(0);
    // What the vendor means: BASE with the parts of the RSU over it, and the page built from its pieces.
    let expected = world.path("expected");
    crate::world::copy(&world.path("media/base"), &expected);
    crate::world::copy(&world.path("media/rsu0801"), &expected);
    let pieces = ["head", "body", "foot"]
        .map(|piece| std::fs::read_to_string(expected.join(format!("portal/src/{piece}.html"))).unwrap());
    std::fs::write(expected.join("portal/www/index.html"), pieces.concat()).unwrap();
    let production = std::fs::canonicalize(world.path("vm01/system/current")).unwrap();
    let diff = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .arg(&expected)
        .arg(&production)
        .output()
        .unwrap();
    let differences = String::from_utf8_lossy(&diff.stdout).into_owned();
    // The build recipe takes the pieces away; all else is the same.
    let pieces_alone =
        differences.lines().all(|line| line.starts_with("Only in") && line.contains("expected/portal"));
    assert!(pieces_alone, "{differences}");
}

#[test]
fn quickstart_interrupted_in_the_middle_removes_everything() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("fleet");
    let mut quickstart = Command::new(env!("CARGO_BIN_EXE_tender"))
        .args(["quickstart", "--directory"])
        .arg(&directory)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let enrolled = directory.join("vm02/system/current");
    crate::world::wait_until("the first production", || enrolled.is_symlink());
    let pid = rustix::process::Pid::from_child(&quickstart);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(quickstart.wait().unwrap().code(), Some(12));
    assert!(!directory.exists(), "{} is left behind", directory.display());
}
