//! Bad input: a clear message that names the thing, the right return code, and nothing changed.

use std::fs;
use std::process::Command;

use crate::world::{World, faketime_library};

/// What the principal says of its levels.
fn levels(world: &World) -> serde_json::Value {
    world.json("principal", "servmgr srvlvl query 720 all")["data"].clone()
}

/// What the slots of a system name.
fn slots(world: &World, host: &str) -> [Option<String>; 3] {
    ["test", "current", "previous"].map(|slot| world.slot(host, slot))
}

/// Runs a line that must be refused and asserts that the principal's answers are the same as before.
#[track_caller]
fn refused(world: &World, line: &str, code: i32, names: &str) {
    refused_in_words(world, line, code, &[names]);
}

/// The same, where the message must have several things.
#[track_caller]
fn refused_in_words(world: &World, line: &str, code: i32, words: &[&str]) {
    let before = levels(world);
    let mut answer = world.run("principal", line).ends(code);
    for word in words {
        answer = answer.says(word);
    }
    assert_eq!(levels(world), before, "`{line}` changed something");
}

/// Makes an envelope of the fixes in a description, from what the first RSU changes.
fn envelope(world: &World, name: &str, description: &str) {
    fs::write(world.path(name).with_extension("yaml"), description).unwrap();
    let create = format!(
        "envelope create {name}.envelope --from media/base --to media/rsu0801 --overlay \
         --describe {name}.yaml --vendor example --key vendor.key"
    );
    world.run("principal", &create).ends(0);
}

#[test]
fn unknown_names_and_wrong_words_are_refused() {
    let world = World::with_level_one();
    refused(&world, "servmgr srvlvl query 730 all", 28, "730");
    refused(&world, "servmgr srvlvl package 720 nosuch", 28, "NOSUCH");
    refused(&world, "servmgr srvlvl send 720 one vm99 '(test'", 28, "VM99");
    refused(&world, "servmgr srvlvl add 720 two basedon nosuch", 28, "NOSUCH");
    refused(&world, "servmgr srvlvl add 720 one basedon BASE", 16, "ONE");
    refused(&world, "servmgr srvlvl add 720 name_that_is_too_long basedon BASE", 24, "too_long");
    refused(&world, "servmgr srvlvl frobnicate 720 one", 24, "frobnicate");
    refused(&world, "servmgr srvlvl send 720 one vm01 '(sable'", 24, "sable");
    refused(&world, "servmgr srvlvl service 720 one nosuch rsu0802.envelope", 28, "nosuch");
    refused(&world, "servmgr srvlvl service 720 one all nosuch.envelope", 28, "nosuch");
    refused(&world, "servmgr fix query 720 UM99999", 28, "UM99999");
    let exclude = "servmgr srvlvl service 720 one all rsu0802.envelope --exclude UM10003";
    refused_in_words(&world, exclude, 16, &["UM10003 is on level 720 ONE already", "basedon BASE"]);
    refused(&world, "servmgr initialize 740", 28, "--from DIR");
}

#[test]
fn locked_and_stable_levels_refuse_change() {
    let mut world = World::with_level_one();
    world.run("principal", "servmgr srvlvl setlock 720 one on").ends(0);
    refused(&world, "servmgr srvlvl service 720 one all rsu0802.envelope", 16, "ONE");
    refused(&world, "servmgr srvlvl localmod 720 one beacon --delete lib/beat.sh", 16, "ONE");
    refused(&world, "servmgr srvlvl service 720 base all rsu0801.envelope", 16, "BASE");
    world.add_system("vm01");
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
    refused(&world, "servmgr system put2prod 720 vm01", 16, "for a test only");
    world.run("principal", "servmgr srvlvl promote 720 one").ends(0);
    refused(&world, "servmgr srvlvl setlock 720 one off", 16, "ONE");
    refused(&world, "servmgr srvlvl package 720 one", 16, "ONE");
    refused(&world, "servmgr srvlvl delete 720 one", 16, "ONE");
}

#[test]
fn wrong_release_is_refused_wherever_it_is_named() {
    let mut world = World::with_level_one();
    world.run("principal", "servmgr initialize 730 --from media/base").ends(0);
    world.run("principal", "servmgr srvlvl add 730 other basedon BASE").ends(0);
    world.add_system("vm01");
    let before = slots(&world, "vm01");
    refused_in_words(&world, "servmgr srvlvl add 730 two basedon one", 28, &["ONE", "730"]);
    refused_in_words(&world, "servmgr srvlvl send 730 base vm01 '(test'", 28, &["VM01", "730"]);
    refused_in_words(&world, "servmgr system put2prod 730 vm01", 28, &["VM01", "730"]);
    // The vendor's envelope says for which release it is.
    let line = "servmgr srvlvl service 730 other all rsu0801.envelope";
    refused_in_words(&world, line, 16, &["rsu0801.envelope", "for release 720"]);
    let other = world.json("principal", "servmgr srvlvl query 730 other");
    assert_eq!(other["data"]["fixes"].as_array().map(Vec::len), Some(0));
    assert_eq!(slots(&world, "vm01"), before);
}

#[test]
fn missing_requisite_is_named_with_its_chain_and_cure() {
    let world = World::with_level_one();
    world.run("principal", "servmgr srvlvl add 720 two basedon BASE").ends(0);
    envelope(
        &world,
        "lonely",
        "fixes:\n  - id: UM20001\n    component: beacon\n    requisites: [{ kind: pre, fix: UM20000 }]\n",
    );
    for check in ["--check", ""] {
        let line = format!("servmgr srvlvl service 720 two all lonely.envelope {check}");
        refused_in_words(
            &world,
            &line,
            16,
            &["UM20001 needs UM20000", "add the envelope that holds UM20000", "--exclude UM20001"],
        );
    }
    // Nothing of it stays: a fix that was refused was not received either.
    world.run("principal", "servmgr fix query 720 UM20001").ends(28).says("UM20001");
}

#[test]
fn cyclic_requisites_are_named_as_a_ring() {
    let world = World::with_level_one();
    world.run("principal", "servmgr srvlvl add 720 two basedon BASE").ends(0);
    envelope(
        &world,
        "ring",
        "fixes:\n  - id: UM20001\n    component: beacon\n    requisites: [{ kind: pre, fix: UM20002 }]\n  \
         - id: UM20002\n    component: ledger\n    requisites: [{ kind: pre, fix: UM20001 }]\n",
    );
    let line = "servmgr srvlvl service 720 two all ring.envelope";
    refused_in_words(&world, line, 16, &["UM20001", "UM20002", "form a ring", "ask the vendor"]);
}

#[test]
fn fix_that_would_put_a_part_back_is_a_regression() {
    let world = World::with_level_one();
    world.run("principal", "servmgr srvlvl add 720 two basedon one").ends(0);
    envelope(&world, "stray", "fixes:\n  - id: UM20001\n    component: beacon\n");
    let line = "servmgr srvlvl service 720 two all stray.envelope";
    refused_in_words(&world, line, 16, &["regression", "UM20001", "lib/beat.sh", "UM10003"]);
}

#[test]
fn held_fix_is_refused_until_it_is_accepted() {
    let world = World::with_level_one();
    world.run("principal", "servmgr srvlvl add 720 two basedon BASE").ends(0);
    world.run("principal", "servmgr hold add 720 UM10001 error PM007 --text 'loses entries'").says("UM10001");
    let line = "servmgr srvlvl service 720 two all rsu0801.envelope";
    for line in [format!("{line} --check"), line.to_owned()] {
        refused_in_words(&world, &line, 16, &["PM007", "UM10001", "hold accept 720 TWO"]);
    }
    world.run("principal", "servmgr hold accept 720 two 1 --reason 'we have no such entries'").ends(0);
    world.run("principal", line).says("went on");
}

#[test]
fn envelope_that_is_unsigned_damaged_or_of_another_vendor_is_refused() {
    let world = World::with_level_one();
    world.run("principal", "servmgr srvlvl add 720 two basedon BASE").ends(0);
    let create = "envelope create unsigned.envelope --from media/base --to media/rsu0801 --overlay \
                  --describe media/rsu0801.yaml --name OTHER";
    world.run("principal", create).ends(0);
    refused(&world, "servmgr srvlvl service 720 two all unsigned.envelope", 16, "not signed");
    let mut bytes = fs::read(world.path("rsu0802.envelope")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(world.path("damaged.envelope"), &bytes).unwrap();
    refused(&world, "servmgr srvlvl service 720 two all damaged.envelope", 32, "damaged.envelope");
    world.run("principal", "envelope verify damaged.envelope").ends(32).says("damaged.envelope");
    fs::write(world.path("short.envelope"), &bytes[..100]).unwrap();
    world.run("principal", "envelope inspect short.envelope").says("short.envelope");
    world.run("principal", "envelope key other.key").ends(0);
    world.run("principal", "envelope verify rsu0802.envelope --key other.key.pub").ends(32).says("signature");
}

#[test]
fn principal_whose_directory_cannot_be_written_says_so() {
    let world = World::new();
    fs::write(world.path("file"), "").unwrap();
    let line = format!("--home {} servmgr srvlvl query 720 all", world.path("file").display());
    world.run("principal", &line).ends(12).says("file");
}

#[test]
fn directory_without_permission_is_named_and_left_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    let world = World::with_level_one();
    // Root may write everywhere, so somebody else tries; with a copy of the program that he may read.
    let program = world.path("tender");
    fs::copy(env!("CARGO_BIN_EXE_tender"), &program).unwrap();
    let open =
        |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(&world.path("."), 0o755);
    let is_root = rustix::process::geteuid().is_root();
    let attempt = |line: &str| {
        let mut command = Command::new(&program);
        command.args(crate::world::words(line)).current_dir("/").env("TENDER_HOME", world.path("principal"));
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        crate::world::answer(line, &command.output().unwrap())
    };
    let before = levels(&world);
    if is_root {
        attempt("servmgr srvlvl setlock 720 one on").ends(12).says("principal").says("ermission denied");
    }
    // A home that others may look into, but not write.
    let home = world.path("principal");
    let closed = if is_root { [0o755, 0o700] } else { [0o500, 0o700] };
    open(&home, closed[0]);
    attempt("servmgr srvlvl setlock 720 one on").ends(12).says("principal").says("ermission denied");
    open(&home, closed[1]);
    assert_eq!(levels(&world), before);
    world.run("principal", "servmgr srvlvl setlock 720 one on").ends(0);
}

/// Mounts a small file system of its own; root only.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(at: std::path::PathBuf, size: &str) -> Self {
        fs::create_dir_all(&at).unwrap();
        let options = format!("size={size},mode=0700");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&at).status().unwrap();
        assert!(status.success(), "mounting a tmpfs needs root and CAP_SYS_ADMIN");
        Self(at)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[test]
fn principal_on_a_full_disk_says_so_keeps_its_levels_and_goes_on_later() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: a file system that runs full cannot be made, run this test as root");
        return;
    }
    let world = World::with_level_one();
    let disk = Tmpfs::mount(world.path("small"), "6m");
    crate::world::copy(&world.path("principal"), &disk.0.join("principal"));
    world.run("small/principal", "servmgr srvlvl add 720 two basedon one").ends(0);
    let look = || world.json("small/principal", "servmgr srvlvl query 720 two")["data"]["content"].clone();
    let before = look();
    assert!(before.is_string(), "{before}");
    let stat = rustix::fs::statvfs(&disk.0).unwrap();
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![0; usize::try_from(stat.f_bavail * stat.f_frsize).unwrap()]).unwrap();
    let service = "servmgr srvlvl service 720 two all rsu0802.envelope";
    world.run("small/principal", service).ends(12).says("tables.db").says("the disk is full");
    // With room for the tables and none for parts, it is an object that is not built, and running it again resumes.
    fs::write(&ballast, vec![0; usize::try_from(stat.f_bavail * stat.f_frsize).unwrap() - (160 << 10)])
        .unwrap();
    let answer = world.run("small/principal", service);
    assert!(matches!(answer.code, Some(8 | 12)), "{}", answer.text);
    assert!(answer.text.contains("No space left") || answer.text.contains("is full"), "{}", answer.text);
    assert_eq!(look(), before);
    fs::remove_file(&ballast).unwrap();
    assert_eq!(look(), before);
    world.run("small/principal", service).ends(0);
    world.run("small/principal", "servmgr srvlvl package 720 two").ends(0);
}

#[test]
fn second_principal_for_a_system_that_has_one_is_turned_away() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    let before = slots(&world, "vm01");
    let query = world.run("principal", "servmgr system query 720 vm01").text;
    let (_, port) = query.split_once("127.0.0.1:").unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    world.run("rival", "servmgr initialize 720 --from media/base").ends(0);
    let add = format!("servmgr system add 720 vm01 BASE --hostname 127.0.0.1 --port {port}");
    let invited = world.run("rival", &add).ends(4);
    let token = invited.text.split_whitespace().find(|word| word.starts_with("tender-join-")).unwrap();
    // It has neither the system's trust nor its administrator's.
    world.run("rival", &add).ends(32).says("VM01");
    world.run("vm01", &format!("agent enrol {token}")).ends(16).says("enrolled").says("principal");
    assert_eq!(slots(&world, "vm01"), before);
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
}

#[test]
fn second_principal_at_once_is_refused_with_the_holder() {
    let world = World::with_level_one();
    world.run("principal", "servmgr srvlvl add 720 two basedon BASE").ends(0);
    // A build that waits until it is told holds the release.
    fs::create_dir_all(world.path("slow/portal/src")).unwrap();
    let gate = world.path("gate");
    rustix::fs::mkfifoat(rustix::fs::CWD, &gate, rustix::fs::Mode::RWXU).unwrap();
    let started = world.path("started");
    let script = format!(
        "#!/bin/sh\nmkdir -p www\n: > {}\ncat {} > www/index.html\n",
        started.display(),
        gate.display()
    );
    fs::write(world.path("slow/portal/src/build.sh"), script).unwrap();
    let create = "envelope create slow.envelope --from media/base --to slow --overlay --fix UM30001 \
                  --vendor example --key vendor.key";
    world.run("principal", create).ends(0);
    let service = "servmgr srvlvl service 720 two all slow.envelope";
    let mut first = world.command("principal", service).stdout(std::process::Stdio::null()).spawn().unwrap();
    // Seen from outside: a look through the command itself might be what the first one finds in its way.
    crate::world::wait_until("the build of the first", || started.exists());
    world.run("principal", "servmgr srvlvl setlock 720 one on").ends(20);
    world.run("principal", "servmgr srvlvl delete 720 one").ends(20).says("SERVICE");
    fs::write(&gate, "done\n").unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    world.run("principal", "servmgr srvlvl add 720 three basedon BASE").ends(0);
}

#[test]
fn join_token_of_another_system_or_used_twice_is_refused() {
    let mut world = World::with_level_one();
    let add = "servmgr system add 720 vm07 BASE --hostname 127.0.0.1 --port 4999";
    let invited = world.run("principal", add).ends(4);
    let token = invited.text.split_whitespace().find(|word| word.starts_with("tender-join-")).unwrap();
    world.run("vm08", "agent init vm08 --listen 127.0.0.1:4998").ends(0);
    world.run("vm08", &format!("agent enrol {token}")).ends(16).says("VM07");
    world.run("vm08", "agent enrol tender-join-1-nonsense").ends(16);
    world.add_system("vm01");
    world.run("vm01", &format!("agent enrol {token}")).ends(16);
}

#[test]
fn clock_in_the_past_or_far_future_refuses_the_package() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    world.kill_agent("vm01");
    let library = faketime_library();
    let before = (levels(&world), slots(&world, "vm01"));
    let names = "the clock of the system is wrong";
    for when in ["+20y", "-20y"] {
        world.start_agent("vm01", &[("LD_PRELOAD", &library), ("FAKETIME", when)]);
        let answer = world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'");
        assert_ne!(answer.code, Some(0), "{when}: {}", answer.text);
        assert!(answer.text.contains(names), "{when}: {}", answer.text);
        assert_eq!((levels(&world), slots(&world, "vm01")), before, "{when}");
        world.kill_agent("vm01");
    }
    world.start_agent("vm01", &[]);
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
}

#[test]
fn category_hold_names_the_missing_fix_and_blocks_nothing() {
    let world = World::with_level_one();
    world
        .run("principal", "servmgr hold add 720 UM10001 category SEPA --resolved-by UM10010")
        .says("UM10001");
    let query = world.run("principal", "servmgr srvlvl query 720 one").ends(4);
    query.says("for category SEPA, fix UM10001 needs UM10010");
    world.run("principal", "servmgr srvlvl add 720 two basedon one").ends(0);
    world.run("principal", "servmgr srvlvl service 720 two all rsu0802.envelope").ends(0);
    world.run("principal", "servmgr srvlvl query 720 two").ends(0);
}
