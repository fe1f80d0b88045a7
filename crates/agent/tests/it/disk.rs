//! A file system that runs full.

use std::path::{Path, PathBuf};
use std::process::Command;

use tender_package::{Mode, ReturnCode};

use crate::world::{Principal, System, load, vrm};

/// A small file system of its own; taken away at the end.
struct Tmpfs {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Tmpfs {
    fn mount(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("full");
        std::fs::create_dir(&path).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success(), "mounting a tmpfs needs root and CAP_SYS_ADMIN");
        Self { path, _dir: dir }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.path).status());
    }
}

fn fill(path: &Path, leave_bytes: u64) {
    let stat = rustix::fs::statvfs(path).unwrap();
    let free = stat.f_bavail * stat.f_frsize;
    let bytes = usize::try_from(free.saturating_sub(leave_bytes)).unwrap();
    std::fs::write(path.join("ballast"), vec![0; bytes]).unwrap();
}

/// Loads while `leave_bytes` are free; nothing may change, and with room again the same must succeed.
fn check(leave_bytes: u64) {
    let principal = Principal::new();
    let tmpfs = Tmpfs::mount("3m");
    let root = tmpfs.path.join("system");
    System::make(&root, &principal);
    let system = System::open(&root);
    let media = principal.media("BASE");
    tender_agent::import(&system.home, &vrm(), &media, "op", &tender_content::progress::NoProgress).unwrap();
    system.produce(&principal, "BLD1");
    system.receive(&principal, "BLD2");
    let id = system.queue(load("BLD2", Mode::Test));
    fill(&tmpfs.path, leave_bytes);
    let executed =
        tender_agent::execute(&system.home, &tender_agent::NoHooks, &tender_content::progress::NoProgress);
    match executed {
        Ok(_) => assert_eq!(system.result(&id).outcome.code, ReturnCode::Outside),
        // Not even the journal could be written: the request stays open.
        Err(error) => assert_eq!(error.code(), ReturnCode::Outside, "{error}"),
    }
    std::fs::remove_file(tmpfs.path.join("ballast")).unwrap();
    assert_eq!(system.slots(), ["-", "BLD1", "-"]);
    system.check_slots_are_whole(&principal);
    if system.info().open_requests.is_empty() {
        system.done(load("BLD2", Mode::Test));
    } else {
        tender_agent::execute(&system.home, &tender_agent::NoHooks, &tender_content::progress::NoProgress)
            .unwrap();
        assert_eq!(system.result(&id).outcome.code, ReturnCode::Done);
    }
    assert_eq!(system.slots(), ["BLD2", "BLD1", "-"]);
    system.check_slots_are_whole(&principal);
}

#[test]
fn load_onto_a_full_disk_changes_nothing_and_succeeds_later() {
    if !rustix::process::geteuid().is_root() {
        // Only root may mount; the guard itself is covered by a unit test, and CI runs as root.
        eprintln!("not root: a file system that runs full cannot be made, run this test as root");
        return;
    }
    for leave_bytes in [0, 8 << 10, 32 << 10, 64 << 10] {
        check(leave_bytes);
    }
}
