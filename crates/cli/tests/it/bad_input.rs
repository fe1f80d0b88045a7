//! Bad input: a clear message that names the thing, the right return code, and nothing changed.

use std::fs;
use std::process::Command;

use crate::world::World;

/// Runs a line that must be refused and asserts that the principal's answers are the same as before.
#[track_caller]
fn refused(world: &World, line: &str, code: i32, names: &str) {
    let look = "servmgr srvlvl query 720 all";
    let before = world.json("principal", look)["data"].clone();
    world.run("principal", line).ends(code).says(names);
    assert_eq!(world.json("principal", look)["data"], before, "`{line}` changed something");
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
fn missing_requisite_is_named_with_its_chain_and_cure() {
    let world = World::with_level_one();
    world.run("principal", "servmgr srvlvl add 720 two basedon BASE").ends(0);
    fs::write(
        world.path("lonely.yaml"),
        "fixes:\n  - id: UM20001\n    component: beacon\n    requisites: [{ kind: pre, fix: UM20000 }]\n",
    )
    .unwrap();
    let create = "envelope create lonely.envelope --from media/base --to media/rsu0801 --overlay \
                  --describe lonely.yaml --vendor example --key vendor.key";
    world.run("principal", create).ends(0);
    refused(&world, "servmgr srvlvl service 720 two all lonely.envelope --check", 16, "UM20000");
}

#[test]
fn held_fix_is_refused_until_it_is_accepted() {
    let world = World::with_level_one();
    world.run("principal", "servmgr srvlvl add 720 two basedon BASE").ends(0);
    world.run("principal", "servmgr hold add 720 UM10001 error PM007 --text 'loses entries'").says("UM10001");
    refused(&world, "servmgr srvlvl service 720 two all rsu0801.envelope --check", 16, "PM007");
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
    for (when, names) in [("+20y", "expire"), ("-20y", "")] {
        world.start_agent("vm01", &[("LD_PRELOAD", &library), ("FAKETIME", when)]);
        let answer = world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'");
        assert_ne!(answer.code, Some(0), "{when}: {}", answer.text);
        assert!(answer.text.contains(names), "{when}: {}", answer.text);
        assert_eq!(world.slot("vm01", "test"), None, "{when}");
        world.kill_agent("vm01");
    }
    world.start_agent("vm01", &[]);
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
}

/// Finds the library of Debian's `faketime`.
fn faketime_library() -> String {
    let output =
        Command::new("sh").args(["-c", "ls /usr/lib/*/faketime/libfaketimeMT.so.1"]).output().unwrap();
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(!path.is_empty(), "Debian's `faketime` is missing: apt-get install faketime");
    path
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
