use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::FlockOperation;

use super::*;
use crate::keys::{KEYS, Settings};
use crate::member::{Member, MemberName};
use crate::operands::Operands;

/// A machine below one directory.
struct World {
    dir: tempfile::TempDir,
    request: InstallRequest,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("prefix/bin")).unwrap();
        fs::copy("/bin/true", at("prefix/bin/tender-xmemd")).unwrap();
        let request = InstallRequest {
            prefix: at("prefix"),
            loadlib: at("lib/loadlib"),
            parmlib: at("etc/xmem"),
            proclib: at("etc/units"),
            procedure: Procedure::Systemd,
            logs: at("var/log"),
            member: MemberName::of_suffix("00").unwrap(),
            name: None,
            sysusers: Some(at("etc/sysusers.d")),
            is_creating_users: false,
            home: at("var/home"),
        };
        Self { dir, request }
    }

    fn plan(&self) -> InstallPlan {
        plan(&self.request, &Found::look(&self.request).unwrap()).unwrap()
    }

    fn install(&self) -> Installed {
        commit(&self.plan(), &mut |_| {}).unwrap()
    }

    fn member(&self) -> PathBuf {
        self.request.member_path()
    }

    /// A newer delivery: another program, and a member with one line more.
    fn deliver(&self, more: &str) {
        fs::copy("/bin/false", self.request.prefix.join("bin/tender-xmemd")).unwrap();
        let samples = self.request.prefix.join("SZWESAMP");
        fs::create_dir_all(&samples).unwrap();
        fs::write(samples.join("ZWESIP00"), format!("{}{more}", sample_member())).unwrap();
    }

    /// Everything outside of the delivery and the journal, with permissions.
    fn state(&self) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
        let mut state = BTreeMap::new();
        let mut todo = vec![self.dir.path().to_owned()];
        while let Some(at) = todo.pop() {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path == self.request.prefix || path == self.request.home {
                    continue;
                }
                let metadata = fs::symlink_metadata(&path).unwrap();
                let content = metadata.is_file().then(|| fs::read(&path).unwrap());
                if metadata.is_dir() {
                    todo.push(path.clone());
                }
                state.insert(path, (metadata.permissions().mode(), content));
            }
        }
        // Directories above those of the request are made and taken back too.
        state.retain(|path, _| ![self.request.home.parent().unwrap()].contains(&path.as_path()));
        state
    }
}

#[test]
fn first_installation_puts_everything_in_its_place() {
    let world = World::new();
    let installed = world.install();
    assert_eq!(installed.written.len(), 7, "{installed:?}");
    for module in ["ZWESIS01", "ZWESAUX"] {
        let path = world.request.loadlib.join(module);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o755);
        assert!(Command::new(path).status().unwrap().success());
    }
    assert_eq!(fs::read_to_string(world.member()).unwrap(), sample_member());
    assert_eq!(fs::metadata(&world.request.logs).unwrap().permissions().mode() & 0o7777, 0o750);
    let unit = fs::read_to_string(world.request.proclib.join(UNIT_FILE)).unwrap();
    assert!(
        unit.contains(&format!("ExecStart={}/ZWESIS01 run NAME=%I", world.request.loadlib.display())),
        "{unit}"
    );
    assert!(
        fs::read_to_string(world.dir.path().join("etc/sysusers.d/tender-xmem.conf"))
            .unwrap()
            .contains("zwesaux")
    );
}

#[test]
fn second_installation_changes_nothing() {
    let world = World::new();
    world.install();
    let before = world.state();
    let plan = world.plan();
    assert!(plan.is_empty());
    let installed = commit(&plan, &mut |_| {}).unwrap();
    assert_eq!((installed.written.len(), installed.unchanged.len()), (0, 7));
    assert_eq!(world.state(), before);
}

#[test]
fn planning_changes_nothing() {
    let world = World::new();
    let before = world.state();
    let plan = world.plan();
    assert!(!plan.is_empty());
    assert!(!world.request.home.exists());
    assert_eq!(world.state(), before);
    assert!(serde_json::to_string(&plan).unwrap().contains("ZWESIS01"));
}

#[test]
fn edited_member_is_kept_and_gets_what_is_new() {
    let world = World::new();
    world.install();
    let edited = format!(
        "* Mine\n{}",
        fs::read_to_string(world.member()).unwrap().replace("SECMGMT.CLASS=ZOWE", "SECMGMT.CLASS=MINE")
    );
    fs::write(world.member(), &edited).unwrap();
    world.deliver("\n* New in this release\nZWES.CHECKAUTH=YES\n");
    world.install();
    let merged = fs::read_to_string(world.member()).unwrap();
    assert_eq!(merged, format!("{}\n* New in this release\nZWES.CHECKAUTH=YES\n", edited), "{merged}");
    assert!(world.plan().is_empty());
}

#[test]
fn member_that_was_there_before_the_first_installation_keeps_its_values() {
    let world = World::new();
    fs::create_dir_all(&world.request.parmlib).unwrap();
    fs::write(world.member(), "ZWES.AUTH.CLASS=MINE\n").unwrap();
    world.install();
    let text = fs::read_to_string(world.member()).unwrap();
    let member = Member::parse("ZWESIP00", text.as_bytes()).unwrap();
    assert_eq!(member.parameter("ZWES.AUTH.CLASS").unwrap().value.as_deref(), Some("MINE"));
    assert_eq!(member.parameter("ZWES.SECMGMT.CLASS").unwrap().value.as_deref(), Some("ZOWE"));
}

#[test]
fn name_is_set_in_the_member() {
    let mut world = World::new();
    world.request.name = Some("ZWESIS_TEST".parse().unwrap());
    world.install();
    let member = fs::read(world.member()).unwrap();
    let member = Member::parse("ZWESIP00", &member).unwrap();
    assert_eq!(member.parameter("ZWES.NAME").unwrap().value.as_deref(), Some("ZWESIS_TEST"));
    assert!(world.plan().is_empty());
}

#[test]
fn what_the_request_names_and_is_not_there_is_told() {
    let mut world = World::new();
    fs::remove_file(world.request.prefix.join("bin/tender-xmemd")).unwrap();
    let error = Found::look(&world.request).unwrap_err();
    assert!(matches!(error, InstallError::Missing { what: "program", .. }), "{error}");
    fs::create_dir(world.request.prefix.join("SZWESAMP")).unwrap();
    fs::write(world.request.prefix.join("tender-xmemd"), "x").unwrap();
    let error = Found::look(&world.request).unwrap_err();
    assert!(matches!(error, InstallError::Missing { what: "member", .. }), "{error}");
    world.request.prefix = world.dir.path().join("nowhere");
    let error = Found::look(&world.request).unwrap_err();
    assert!(matches!(error, InstallError::Missing { what: "directory", .. }), "{error}");
}

#[test]
fn something_else_in_the_place_of_a_target_is_refused_before_anything_is_done() {
    let world = World::new();
    fs::create_dir_all(world.request.loadlib.join("ZWESAUX")).unwrap();
    assert!(matches!(Found::look(&world.request), Err(InstallError::NotAFile { .. })));
    fs::remove_dir(world.request.loadlib.join("ZWESAUX")).unwrap();
    std::os::unix::fs::symlink("/bin/true", world.request.loadlib.join("ZWESAUX")).unwrap();
    assert!(matches!(Found::look(&world.request), Err(InstallError::NotAFile { .. })));
    fs::remove_file(world.request.loadlib.join("ZWESAUX")).unwrap();
    fs::create_dir_all(world.request.proclib.parent().unwrap()).unwrap();
    fs::write(&world.request.proclib, "").unwrap();
    assert!(matches!(Found::look(&world.request), Err(InstallError::NotADirectory { .. })));
}

#[test]
fn names_without_a_slash_have_at_most_44_characters() {
    assert_eq!(library(&"A".repeat(44)).unwrap(), PathBuf::from("A".repeat(44)));
    assert!(matches!(library(&"A".repeat(45)), Err(LibraryError::TooLong { .. })));
    assert!(library(&format!("/srv/{}", "a".repeat(100))).is_ok());
    assert!(matches!(library(&format!("/srv/{}", "a".repeat(256))), Err(LibraryError::PathTooLong { .. })));
    assert!(matches!(library(&"/srv".repeat(1100)), Err(LibraryError::PathTooLong { .. })));
    assert!(matches!(library("/srv/a\nb"), Err(LibraryError::Character { .. })));
    assert!(matches!(library(""), Err(LibraryError::Empty)));
}

#[test]
fn member_that_somebody_holds_is_busy_and_everything_stays() {
    let world = World::new();
    world.install();
    world.deliver("ZWES.CHECKAUTH=YES\n");
    let before = world.state();
    let held = fs::File::open(world.member()).unwrap();
    rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
    let error = commit(&world.plan(), &mut |_| {}).unwrap_err();
    assert!(matches!(&error, InstallError::Busy { path } if *path == world.member()), "{error}");
    assert_eq!(world.state(), before);
    drop(held);
    world.install();
}

#[test]
fn two_at_once_are_one_after_the_other() {
    let world = World::new();
    let plan = world.plan();
    let mut seen = None;
    commit(&plan, &mut |point| {
        if point == "install.begun" {
            seen = Some(commit(&plan, &mut |_| {}).map(drop));
        }
    })
    .unwrap();
    assert!(matches!(seen, Some(Err(InstallError::Busy { .. }))), "{seen:?}");
}

#[test]
fn program_that_runs_is_replaced_all_the_same() {
    let world = World::new();
    fs::copy("/bin/sleep", world.request.prefix.join("bin/tender-xmemd")).unwrap();
    world.install();
    let mut running = Command::new(world.request.loadlib.join("ZWESIS01")).arg("60").spawn().unwrap();
    world.deliver("");
    world.install();
    assert!(running.try_wait().unwrap().is_none(), "the old one runs on");
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(fs::read(world.request.loadlib.join("ZWESIS01")).unwrap(), fs::read("/bin/false").unwrap());
}

/// Puts a directory where a file is about to be put: the rename fails, as on a disk that does.
fn obstruct(path: &Path) {
    drop(fs::remove_file(path));
    fs::create_dir(path).unwrap();
    fs::write(path.join("x"), "").unwrap();
}

#[test]
fn failure_in_the_middle_takes_everything_back() {
    let world = World::new();
    let before = world.state();
    let sysusers = world.dir.path().join("etc/sysusers.d/tender-xmem.conf");
    let mut replaced = 0;
    let plan = world.plan();
    let error = commit(&plan, &mut |point| {
        replaced += u32::from(point == "install.replaced");
        if replaced == 3 && point == "install.replaced" {
            obstruct(&sysusers);
        }
    })
    .unwrap_err();
    assert!(matches!(error, InstallError::Io { .. }), "{error:?}");
    assert!(replaced >= 3, "several files were in place already");
    // What somebody else put there is not ours to remove.
    fs::remove_dir_all(&sysusers).unwrap();
    let mut after = world.state();
    after.retain(|path, _| !path.ends_with("etc/sysusers.d") && !path.ends_with("etc"));
    assert_eq!(after, before);
    world.install();
}

#[test]
fn failure_of_an_update_brings_every_old_file_back() {
    let world = World::new();
    world.install();
    fs::write(world.member(), "* mine\nZWES.AUTH.CLASS=MINE\n").unwrap();
    world.deliver("ZWES.CHECKAUTH=YES\n");
    let before = world.state();
    let plan = world.plan();
    let shipped = world.request.shipped_path();
    let kept = fs::read(&shipped).unwrap();
    let mut is_first = true;
    let error = commit(&plan, &mut |point| {
        if point == "install.replaced" && std::mem::take(&mut is_first) {
            obstruct(&shipped);
        }
    })
    .unwrap_err();
    assert!(matches!(error, InstallError::Io { .. }), "{error:?}");
    fs::remove_dir_all(&shipped).unwrap();
    fs::write(&shipped, kept).unwrap();
    fs::set_permissions(&shipped, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(world.state(), before);
}

/// Takes back what was begun. A program that another test starts holds the lock, too, until it is there.
fn recovered(request: &InstallRequest) -> bool {
    let mut tries = 0..1_000_000;
    loop {
        match recover(request) {
            Err(InstallError::Busy { .. }) if tries.next().is_some() => std::thread::yield_now(),
            outcome => return outcome.unwrap(),
        }
    }
}

#[test]
fn run_that_is_cut_off_anywhere_is_taken_back_and_done_anew() {
    let points =
        ["install.begun", "install.directories", "install.staged", "install.kept", "install.replaced"];
    for is_update in [false, true] {
        for (point, nth) in points.into_iter().flat_map(|point| [1, 4].map(move |nth| (point, nth))) {
            let world = World::new();
            if is_update {
                world.install();
                fs::write(world.member(), "* mine\nZWES.AUTH.CLASS=MINE\n").unwrap();
                world.deliver("ZWES.CHECKAUTH=YES\n");
            }
            let before = world.state();
            let plan = world.plan();
            let mut passed = 0;
            // A panic runs none of the code that takes back, as a kill does not.
            let cut_off = catch_unwind(AssertUnwindSafe(|| {
                commit(&plan, &mut |at| {
                    passed += u32::from(at == point);
                    assert!(at != point || passed != nth, "cut off");
                })
            }));
            if cut_off.is_ok() {
                continue;
            }
            assert!(recovered(&world.request), "{point} {nth}");
            assert_eq!(world.state(), before, "{point} {nth}");
            assert!(!recovered(&world.request));
            world.install();
            assert!(world.plan().is_empty(), "{point} {nth}");
        }
    }
}

#[test]
fn run_cut_off_is_taken_back_by_the_next_one_without_being_asked() {
    let world = World::new();
    let plan = world.plan();
    let cut_off = catch_unwind(AssertUnwindSafe(|| {
        commit(&plan, &mut |at| assert!(at != "install.replaced", "cut off"))
    }));
    assert!(cut_off.is_err());
    let installed = commit(&plan, &mut |_| {}).unwrap();
    assert!(installed.is_recovered);
    assert_eq!(installed.written.len(), 7);
}

#[test]
fn run_cut_off_after_its_end_is_done() {
    let world = World::new();
    world.install();
    world.deliver("");
    let plan = world.plan();
    let cut_off =
        catch_unwind(AssertUnwindSafe(|| commit(&plan, &mut |at| assert!(at != "install.ended", "cut off"))));
    assert!(cut_off.is_err());
    assert!(!recover(&world.request).unwrap());
    assert!(world.plan().is_empty());
    world.install();
    let left: Vec<_> =
        world.state().into_keys().filter(|path| path.to_string_lossy().contains(".tender-")).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn file_changed_between_plan_and_run_is_not_overwritten() {
    let world = World::new();
    world.install();
    world.deliver("ZWES.CHECKAUTH=YES\n");
    let plan = world.plan();
    fs::write(world.member(), "* just now\n").unwrap();
    let error = commit(&plan, &mut |_| {}).unwrap_err();
    assert!(matches!(error, InstallError::Changed { .. }), "{error}");
    assert_eq!(fs::read_to_string(world.member()).unwrap(), "* just now\n");
}

#[test]
fn file_that_appears_where_none_was_is_not_overwritten_nor_removed() {
    let world = World::new();
    let plan = world.plan();
    let member = world.member();
    let error = commit(&plan, &mut |point| {
        if point == "install.replaced" && !member.exists() {
            fs::write(&member, "* just now\n").unwrap();
        }
    })
    .unwrap_err();
    assert!(matches!(error, InstallError::Io { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&member).unwrap(), "* just now\n");
    assert!(!world.request.loadlib.exists());
}

#[test]
fn script_starts_the_program_with_its_words() {
    let mut world = World::new();
    world.request.procedure = Procedure::Script;
    world.request.proclib = world.dir.path().join("it's a proclib");
    world.request.logs = world.dir.path().join("lo gs");
    fs::copy("/bin/echo", world.request.prefix.join("bin/tender-xmemd")).unwrap();
    world.install();
    let output = Command::new(world.request.procedure_path()).arg("COLD").env("NAME", "A").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (parmlib, logs) = (world.request.parmlib.display(), world.request.logs.display());
    assert_eq!(said, format!("run NAME=A MEM=00 COLD --parmlib {parmlib} --log {logs}/A.log\n"));
}

#[test]
fn sample_member_is_a_member_without_a_problem_and_names_every_key() {
    let text = sample_member();
    let member = Member::parse("ZWESIP00", text.as_bytes()).unwrap();
    assert_eq!(member.warnings(), []);
    let settled = Settings::from_parameters(Some(&member), &Operands::default()).unwrap();
    assert_eq!(settled.problems, []);
    for key in KEYS.iter().filter(|key| key.name.starts_with("ZWES.")) {
        assert!(text.contains(key.name), "{}", key.name);
    }
    // Every example is one, too.
    let all: String = text
        .lines()
        .map(|line| line.strip_prefix("* ").filter(|rest| rest.starts_with("ZWES.")).unwrap_or(line))
        .fold(String::new(), |all, line| all + line + "\n");
    let member = Member::parse("ZWESIP00", all.as_bytes()).unwrap();
    let settled = Settings::from_parameters(Some(&member), &Operands::default()).unwrap();
    assert_eq!(settled.problems, []);
    assert!(text.lines().all(|line| line.len() <= 72));
}

#[test]
fn unit_is_one_that_systemd_understands() {
    let facts = UnitFacts {
        program: "/bin/true".into(),
        parmlib: "/etc/tender/x mem".into(),
        suffix: "00".to_owned(),
        home: "/var/lib/tender".into(),
        written: Vec::new(),
        is_running_others: false,
        is_inspecting: false,
    };
    let member =
        Member::parse("X", b"ZWES.PLACE.A=/srv/a:/srv/b\nZWES.RUNAS.UIDS=1000\nZWES.INSPECT=YES\n").unwrap();
    let settings = Settings::from_parameters(Some(&member), &Operands::default()).unwrap().settings;
    let strict = unit_text(&facts);
    for line in [
        "OOMScoreAdjust=-900\n",
        "MemorySwapMax=0\n",
        "NoNewPrivileges=yes\n",
        "ProtectSystem=strict\n",
        "MemoryDenyWriteExecute=yes\n",
        "LimitCORE=0\n",
    ] {
        assert!(strict.contains(line), "{line}");
    }
    let open = unit_text(&facts.with_settings(&settings));
    assert!(open.contains("ReadWritePaths=-/srv/a\n") && open.contains("CAP_SYS_PTRACE"));
    assert!(!open.contains("MemoryDenyWriteExecute"));
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("tender-xmem@strict.service", strict), ("tender-xmem@open.service", open)] {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output();
        let Ok(verified) = verified else {
            println!("skipped: systemd-analyze is not on this machine");
            return;
        };
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        let ours: Vec<_> = said.lines().filter(|line| line.contains("tender-xmem")).collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}
