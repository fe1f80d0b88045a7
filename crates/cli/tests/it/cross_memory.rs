//! `tender xmem`: installing on real directories, and running a server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::{Answer, World, answer, wait_until};

const INSTALL: &str =
    "xmem install -d prefix -b lib -a parm -r proc -l log --procedure script --sysusers users";

/// A world with a delivery in `prefix/`.
fn world() -> World {
    let world = World::new();
    fs::create_dir_all(world.path("prefix/bin")).unwrap();
    fs::copy("/bin/true", world.path("prefix/bin/tender-xmemd")).unwrap();
    world
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn is_root() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    println!("skipped: mounting needs root");
    false
}

/// Runs a line of shell in mount namespace of its own; `$TENDER` is the command.
fn in_namespace(world: &World, script: &str) -> Answer {
    let tender = env!("CARGO_BIN_EXE_tender");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-euc", script])
        .current_dir(world.path("."))
        .env("TENDER", tender)
        .env("TENDER_HOME", world.path("host"))
        .env("COLUMNS", "140")
        .env_remove("TENDER_FAULT")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    answer(script, &output)
}

fn files_below(world: &World) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for top in ["lib", "parm", "proc", "users"] {
        found.extend(fs::read_dir(world.path(top)).into_iter().flatten().map(|entry| entry.unwrap().path()));
    }
    found.sort();
    found
}

#[test]
fn installation_is_planned_done_repeated_and_merged() {
    let world = world();
    let run = |line: &str| world.run("host", line);
    run(&format!("{INSTALL} --dry-run"))
        .ends(if is_root() { 4 } else { 0 })
        .says("ZWESIS01")
        .says("nothing is changed");
    assert_eq!(files_below(&world), Vec::<PathBuf>::new());
    // What it ends with leads to a first call.
    let installed = run(INSTALL)
        .says("7 files written")
        .says("tender xmem apf add")
        .says("tender saf create\n")
        .says("tender security init\n")
        .says("tender xmem start NAME=ZWESIS_STD\n")
        .says("tender xmem call STATUS hello\n");
    assert!(matches!(installed.code, Some(0 | 4)), "{installed:?}");
    assert!(Command::new(world.path("lib/ZWESIS01")).status().unwrap().success());
    let log = fs::read_dir(world.path("log")).unwrap().next().unwrap().unwrap();
    assert_eq!(log.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    run(INSTALL).says("everything was as it should be");
    let member = world.path("parm/ZWESIP00");
    let edited = fs::read_to_string(&member).unwrap().replace("AUTH.CLASS=ZOWE", "AUTH.CLASS=MINE");
    fs::write(&member, format!("* ours\n{edited}")).unwrap();
    run(&format!("{INSTALL} --name ZWESIS_TEST")).says("member: ZWES.NAME: `ZWESIS_TEST` is added");
    let merged = fs::read_to_string(&member).unwrap();
    assert!(merged.starts_with("* ours\n") && merged.contains("ZWES.AUTH.CLASS=MINE"), "{merged}");
    let json = world.json("host", &format!("{INSTALL} --check"));
    assert_eq!(json["data"]["plan"]["steps"][0]["file"]["before"], "same", "{json}");
}

#[test]
fn installation_that_cannot_be_says_why_and_changes_nothing() {
    let world = world();
    let run = |line: &str| world.run("host", line);
    let long = "A".repeat(45);
    run(&format!("xmem install -d prefix -b {long} -a parm")).ends(24).says("at most 44");
    run("xmem install -b lib -a parm").ends(24).says("-d <PREFIX>");
    run("xmem install -d nowhere -b lib -a parm -r proc -l log").ends(28).says("no directory");
    run("xmem install -d media -b lib -a parm -r proc -l log").ends(28).says("bin/tender-xmemd");
    run(&format!("{INSTALL} --name A2345678901234567")).ends(24).says("at most 16");
    run(&format!("{INSTALL} --mem 000")).ends(24).says("exactly 2");
    fs::write(world.path("proc"), "").unwrap();
    run(INSTALL).ends(16).says("is not a directory");
    fs::remove_file(world.path("proc")).unwrap();
    fs::create_dir_all(world.path("parm")).unwrap();
    fs::write(world.path("parm/ZWESIP00"), b"A=\xff\n").unwrap();
    run(INSTALL).ends(16).says("not a regular file");
    fs::remove_file(world.path("parm/ZWESIP00")).unwrap();
    assert_eq!(files_below(&world), Vec::<PathBuf>::new());
}

#[test]
fn installation_on_a_full_or_read_only_disk_is_taken_back_whole() {
    if !is_root() {
        return;
    }
    let world = world();
    fs::create_dir(world.path("parm")).unwrap();
    in_namespace(&world, &format!("mount -t tmpfs -o size=4k none parm; \"$TENDER\" {INSTALL}"))
        .ends(12)
        .says("nothing is installed")
        .says("No space left");
    in_namespace(&world, &format!("mount -t tmpfs -o ro none parm; \"$TENDER\" {INSTALL}"))
        .ends(12)
        .says("cannot be written to");
    assert_eq!(files_below(&world), Vec::<PathBuf>::new());
}

#[test]
fn installation_while_somebody_holds_the_member_is_refused() {
    let world = world();
    let run = |line: &str| world.run("host", line);
    run(INSTALL).says("files written");
    let held = fs::File::open(world.path("parm/ZWESIP00")).unwrap();
    held.lock().unwrap();
    run(&format!("{INSTALL} --name A")).ends(20).says("in use").says("ZWESIP00");
    drop(held);
    run(&format!("{INSTALL} --name A")).says("files written");
}

#[test]
fn installation_that_is_killed_is_taken_back_by_the_next() {
    for point in ["install.begun", "install.staged:2", "install.kept", "install.replaced:3"] {
        let world = world();
        world.run("host", INSTALL).says("files written");
        fs::copy("/bin/false", world.path("prefix/bin/tender-xmemd")).unwrap();
        world.run_until(point, "host", &format!("{INSTALL} --name A")).was_killed();
        let again = world.run("host", INSTALL).says("taken back first").says("files written");
        assert!(matches!(again.code, Some(0 | 4)), "{again:?}");
        assert_eq!(fs::read(world.path("lib/ZWESAUX")).unwrap(), fs::read("/bin/false").unwrap());
        let member = fs::read_to_string(world.path("parm/ZWESIP00")).unwrap();
        assert!(!member.contains("\nZWES.NAME=A\n"), "{point}: the run that was killed never was");
        let left: Vec<_> = files_below(&world)
            .into_iter()
            .filter(|path| path.to_string_lossy().contains(".tender-"))
            .collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "{point}");
    }
}

#[test]
fn users_are_created_and_taken_away_again_when_it_fails() {
    if !is_root() {
        return;
    }
    let world = world();
    let own_etc = "mkdir -p etc; cp -a /etc/. etc/; mount --bind etc /etc; ";
    let found = "echo found: $(getent passwd zwesiusr zwesfrnt zwesaux | wc -l)";
    let install = format!("\"$TENDER\" {INSTALL} --create-users");
    in_namespace(&world, &format!("{own_etc} {install}; {found}")).ends(0).says("created").says("found: 3");
    if !Path::new("/usr/bin/systemd-sysusers").exists() {
        return;
    }
    // A program that fails takes everything back.
    let world = self::world();
    let failing = "mount --bind /bin/false \"$(readlink -f /usr/bin/systemd-sysusers)\"; ";
    in_namespace(&world, &format!("{own_etc} {failing} {install} || {found}"))
        .ends(0)
        .says("systemd-sysusers failed")
        .says("found: 0");
    assert_eq!(files_below(&world), Vec::<PathBuf>::new());
    // Without it there is useradd.
    let without = "mkdir up work; mount -t overlay -o lowerdir=/usr/bin,upperdir=up,workdir=work none /usr/bin; \
                   rm /usr/bin/systemd-sysusers; ";
    in_namespace(&world, &format!("{own_etc} {without} {install}; {found}")).ends(0).says("found: 3");
}

#[test]
fn modules_are_authorised_checked_and_taken_off_the_list() {
    let world = world();
    let run = |line: &str| world.run("host", line);
    run(INSTALL).says("files written");
    run("xmem apf check").says("NOT LISTED");
    run("xmem apf add lib --check").ends(0).says("nothing is changed");
    run("xmem apf list").ends(0).says("nothing is authorised");
    run("xmem apf add lib").ends(0).says("ZWESIS01 blake3:").says("as a server");
    run("xmem apf add lib").ends(0).says("was on the list");
    run("xmem apf check").ends(0).says("OK");
    fs::copy("/bin/true", world.path("echo")).unwrap();
    run("xmem apf add echo").ends(24).says("--as NAME");
    run("xmem apf add echo --as ECHOPL01 --comment ours").ends(0).says("as a plugin");
    run("xmem apf list").ends(0).says("ours");
    run("xmem apf check").ends(28).says("MISSING");
    run("xmem apf remove ECHOPL01").ends(0);
    run("xmem apf remove ECHOPL01").ends(28);
    fs::write(world.path("lib/ZWESAUX"), "another").unwrap();
    run("xmem apf check").ends(32).says("CHANGED").says("no line for module ZWESAUX allows");
    run("xmem apf add lib --replace").ends(0).says("off the list");
    run("xmem apf check lib").ends(0);
    fs::set_permissions(world.path("lib/ZWESAUX"), fs::Permissions::from_mode(0o777)).unwrap();
    run("xmem apf check").ends(16).says("UNSAFE");
    let key = format!("ed25519:{}", "00".repeat(32));
    run(&format!("xmem apf add VENDOR --signer {key}")).ends(0);
    run("xmem apf add VENDOR --signer blake3:00").ends(24);
    // Two that change the list at once do not lose each other's lines.
    let held = fs::File::open(world.path("parm")).unwrap();
    held.lock().unwrap();
    for line in [&format!("xmem apf add OTHER --signer {key}"), "xmem apf remove VENDOR"] {
        run(line).ends(20).says("somebody else is changing the list");
    }
    run("xmem apf list").ends(0).says("VENDOR");
    run("xmem apf remove VENDOR --check").ends(0);
    drop(held);
    run("xmem apf remove VENDOR").ends(0);
    fs::write(world.path("parm/authorised"), "NONSENSE\n").unwrap();
    run("xmem apf list").ends(32).says("line 1");
}

#[test]
fn schedule_tells_what_key_and_noswap_come_to() {
    let world = world();
    world.run("host", INSTALL).says("files written");
    let json = world.json("host", "xmem schedule");
    let items = json["data"]["items"].as_array().unwrap();
    let of_script: Vec<_> = items
        .iter()
        .filter(|item| item["what"].as_str().unwrap().starts_with("start procedure"))
        .map(|item| item["is_met"].as_bool().unwrap())
        .collect();
    assert_eq!(of_script, [true, true, true], "{json}");
    world.run("host", "xmem schedule").says("KEY(4)").says("NOSWAP");
}

/// A world with a member and a program that can be started.
struct Host {
    world: World,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Host {
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn new() -> Option<Self> {
        if Command::new("python3").arg("--version").output().is_err() {
            println!("skipped: python3 is not on this machine");
            return None;
        }
        let world = World::new();
        fs::create_dir(world.path("parm")).unwrap();
        fs::write(world.path("parm/ZWESIP00"), "ZWES.NAME=ZWESIS_TEST\n").unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stand_in.py");
        let program = world.path("tender-xmemd");
        let text = format!("#!/bin/sh\nexec python3 '{}' \"$@\"\n", script.display());
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let environment = vec![
            ("TENDER_XMEM_RUN", world.path("run")),
            ("TENDER_XMEM_PARMLIB", world.path("parm")),
            ("TENDER_XMEMD", program),
        ];
        // Sockets are only used below directories that nobody else can change.
        fs::create_dir(world.path("run")).unwrap();
        Some(Self { world, environment })
    }

    fn run(&self, line: &str) -> Answer {
        let mut command = self.world.command("host", line);
        answer(
            line,
            &command.envs(self.environment.iter().map(|(name, value)| (name, value))).output().unwrap(),
        )
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.run("xmem stop ZWESIS_TEST --wait 0 --kill");
        self.run("xmem stop OTHER --wait 0 --kill");
    }
}

#[test]
fn server_is_started_asked_and_stopped() {
    let Some(host) = Host::new() else { return };
    host.run("xmem status").ends(0).says("no server");
    host.run("xmem start --check").ends(0).says("would start server ZWESIS_TEST");
    host.run("xmem start").ends(0).says("ZWES0109I ready").says("server ZWESIS_TEST is ready");
    host.run("xmem start").ends(20).says("is run by process");
    host.run("xmem start --check").ends(0).says("the member can be used").says("RELOAD");
    host.run("xmem start NAME=OTHER").ends(0).says("server OTHER is ready");
    host.run("xmem status").ends(0).says("ZWESIS_TEST").says("OTHER").says("READY");
    host.run("xmem status ZWESIS_TEST").ends(0);
    host.run("xmem status NOBODY").ends(28);
    host.run("xmem call STATUS 'hello there' -s ZWESIS_TEST").ends(0).says("hello there");
    host.run("xmem call IDENTIFY -s ZWESIS_TEST")
        .ends(16)
        .says("BOB needs READ on FACILITY ZWES.IS.SRV.IDENTIFY: no profile")
        .says("RDEFINE FACILITY ZWES.IS.SRV.IDENTIFY")
        .says("audit record 7");
    host.run("xmem call NETWORK {} -s ZWESIS_TEST").ends(16).says("code 14").says("\\u{1b}[2J");
    host.run("xmem call NONSENSE").ends(24).says("STATUS");
    host.run("xmem modify DISPLAY CONFIG -s ZWESIS_TEST").ends(0).says("ZWES0222I DISPLAY CONFIG");
    host.run("xmem modify NONSENSE -s ZWESIS_TEST").ends(24).says("ZWES0227W");
    host.run("xmem display services -s ZWESIS_TEST").ends(0).says("ZWES0222I DISPLAY SERVICES");
    host.run("xmem stop ZWESIS_TEST --check").ends(0).says("would stop");
    host.run("xmem stop ZWESIS_TEST").ends(0).says("has ended");
    host.run("xmem stop ZWESIS_TEST").ends(28).says("does not run");
    host.run("xmem call STATUS -s ZWESIS_TEST").ends(12).says("tender xmem start");
    host.run("xmem display -s ZWESIS_TEST").ends(28).says("does not run");
    host.run("xmem stop NAME=OTHER").ends(0);
    host.run("xmem status").ends(0).says("STOPPED");
}

#[test]
fn server_that_does_not_become_ready_says_why() {
    let Some(host) = Host::new() else { return };
    host.run("xmem start FAIL=80")
        .ends(32)
        .says("ended before it was ready")
        .says("ZWES0117E not authorised");
    host.run("xmem start FAIL=21").ends(20);
    host.run("xmem start MEM=77").ends(28).says("ZWES0009E").says("ZWESIP77");
    host.run("xmem start MEM=7").ends(24).says("ZWES0007E");
    host.run("xmem start NAME=A2345678901234567").ends(24).says("at most 16");
    fs::write(host.world.path("parm/ZWESIP02"), "ZWES.NAM=A\nZWES.CHECKAUTH=yes\n").unwrap();
    host.run("xmem start MEM=02 --check").ends(4).says("is `ZWES.NAME` meant?").says("write `YES`");
    let long = format!("KEY=\\\n{}\n", "x".repeat(4092));
    fs::write(host.world.path("parm/ZWESIP03"), long).unwrap();
    host.run("xmem start MEM=03").ends(16).says("RC = 19, 1, 2");
    let world = World::new();
    world.run("host", "xmem start").ends(28).says("tender xmem install");
}

#[test]
fn server_that_does_not_end_is_killed_only_when_asked() {
    let Some(host) = Host::new() else { return };
    host.run("xmem start STUBBORN=1").ends(0);
    host.run("xmem stop ZWESIS_TEST --wait 0").ends(8).says("has not ended");
    host.run("xmem stop ZWESIS_TEST --wait 0 --kill").ends(4).says("was killed");
    wait_until("the lock is free", || host.run("xmem status ZWESIS_TEST").code == Some(28));
}

#[test]
fn codes_are_explained_without_a_server() {
    let world = World::new();
    world.run("host", "xmem display codes").ends(0).says("33").says("permission denied");
    let json = world.json("host", "xmem display codes");
    assert!(json["data"]["codes"].as_array().unwrap().len() > 90);
}

#[test]
fn real_server_is_installed_authorised_started_asked_and_stopped() {
    let program = Path::new(env!("CARGO_BIN_EXE_tender")).with_file_name("tender-xmemd");
    if !program.exists() {
        println!("skipped: {} is not built", program.display());
        return;
    }
    if !is_root() {
        return;
    }
    let world = world();
    // Its processes have users of their own, who must get to their directories.
    fs::set_permissions(world.path("."), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(program, world.path("prefix/bin/tender-xmemd")).unwrap();
    let script = format!(
        "mkdir -p etc run; cp -a /etc/. etc/; mount --bind etc /etc; export TENDER_XMEM_RUN=$PWD/run
         \"$TENDER\" {INSTALL} --create-users --name ZWESIS_TEST
         \"$TENDER\" xmem apf add lib; \"$TENDER\" xmem apf check
         \"$TENDER\" saf create; \"$TENDER\" security init
         trap '\"$TENDER\" xmem stop ZWESIS_TEST --wait 10 --kill' EXIT
         \"$TENDER\" xmem start
         \"$TENDER\" xmem status ZWESIS_TEST
         \"$TENDER\" xmem call STATUS 'hello there' -s ZWESIS_TEST
         \"$TENDER\" xmem call PORT '{{}}' -s ZWESIS_TEST || echo refused: $?
         \"$TENDER\" xmem modify DISPLAY -s ZWESIS_TEST
         \"$TENDER\" xmem modify NONSENSE -s ZWESIS_TEST || echo not understood: $?
         echo \"score of the root process: $(cat /proc/$(sed 's/.*pid[^0-9]*\\([0-9]*\\).*/\\1/' run/ZWESIS_TEST/lock)/oom_score_adj)\"
         \"$TENDER\" xmem schedule -s ZWESIS_TEST | tr -s ' ' | grep 'killed last' | grep NO || echo each is killed as late as it should be"
    );
    // Lowering a score takes a capability that root may not have; then the score is what it was, and is called wrong.
    let lower = ["-c", "echo -900 >/proc/self/oom_score_adj"];
    let may_lower = Command::new("sh").args(lower).stderr(Stdio::null()).status().unwrap().success();
    let (score, verdict) = match may_lower {
        true => ("score of the root process: -900", "each is killed as late as it should be"),
        false => ("score of the root process: 0", "@keeper: killed last -900 0 NO"),
    };
    in_namespace(&world, &script)
        .ends(0)
        .says("server ZWESIS_TEST is ready")
        .says("hello there")
        .says("PERMIT ZWES.IS.SRV.** CLASS(FACILITY) ID(ROOT) ACCESS(UPDATE)")
        .says("refused: 16")
        .says("ZWES0222I")
        .says("not understood: 24")
        .says(score)
        .says(verdict)
        .says("server ZWESIS_TEST has ended");
}
