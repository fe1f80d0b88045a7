//! Return codes of the commands about instances: every command against every way in which it can fail.
//!
//! The table of the README holds for all of them: 4 warnings, 8 partly, 12 outside, 16 refused, 20 somebody else is at
//! work, 24 not understood, 28 does not exist, 32 integrity.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::installation::{Installation, is_alive};
use crate::world::{Answer, answer, copy, words};

/// Marks a command that would start something there.
const STARTS: i32 = -1;

/// Commands, and what they end with where there is no instance, where zowe.yaml is no YAML, where it cannot be opened,
/// for an HA instance that is not configured, and where all is well and no launcher runs.
const COMMANDS: &[(&str, [i32; 5])] = &[
    ("start", [28, 16, 12, 28, STARTS]),
    ("start echo", [28, 28, 28, 28, 28]),
    ("start --check", [28, 16, 12, 28, 0]),
    ("stop", [28, 4, 4, 28, 4]),
    ("stop echo", [28, 4, 4, 28, 4]),
    ("stop --check", [28, 4, 4, 28, 4]),
    ("restart", [28, 28, 28, 28, 28]),
    ("restart echo --reconfigure", [28, 28, 28, 28, 28]),
    ("reload", [28, 28, 28, 28, 28]),
    ("reload --check", [28, 28, 28, 28, 28]),
    ("status", [28, 28, 28, 28, 28]),
    ("logs", [28, 16, 12, 28, 0]),
    ("logs nosuch", [28, 16, 12, 28, 28]),
    ("console DISP", [28, 28, 28, 28, 28]),
    ("validate", [28, 16, 12, 28, 0]),
    ("config validate", [28, 16, 12, 28, 0]),
    ("config get zowe", [28, 16, 12, 28, 0]),
    ("config get nosuch.key", [28, 16, 12, 28, 28]),
    ("config explain zowe.logDirectory", [28, 16, 12, 28, 0]),
    ("config explain nosuch.key", [28, 16, 12, 28, 28]),
    ("config env echo", [28, 16, 12, 28, 0]),
    ("config env nosuch", [28, 16, 12, 28, 28]),
    // One file for all of them: their own values have keys of their own.
    ("config set zowe.job.name=ZWE1SV --check", [28, 16, 12, 24, 0]),
    ("component list", [28, 16, 12, 28, 0]),
    ("component verify echo", [28, 16, 12, 28, 0]),
    ("component verify nosuch", [28, 16, 12, 28, 28]),
    ("component enable nosuch", [28, 16, 12, 28, 28]),
    ("component disable nosuch", [28, 16, 12, 28, 28]),
    ("component uninstall nosuch", [28, 16, 12, 28, 28]),
    ("component uninstall echo", [28, 16, 12, 28, 16]),
    ("component install nosuch.zip", [28, 16, 12, 28, 28]),
    ("component upgrade nosuch.zip", [28, 16, 12, 28, 28]),
    ("certificate init --check", [28, 16, 12, 28, 0]),
    ("certificate show", [28, 16, 12, 28, 28]),
    ("certificate verify", [28, 16, 12, 28, 28]),
    ("certificate renew", [28, 16, 12, 28, 28]),
    ("certificate trust localhost:1", [28, 16, 12, 28, 28]),
    ("certificate import nosuch.pem", [28, 16, 12, 28, 28]),
    ("verify", [28, 16, 12, 28, 8]),
    // It is there for configurations that cannot be used.
    ("support --target-dir bundles", [28, 0, 0, 28, 0]),
    ("launcher run", [28, 16, 12, 28, STARTS]),
    ("launcher prepare", [28, 16, 12, 28, 0]),
    ("launcher prepare --output events", [28, 16, 12, 28, 0]),
    ("launcher prepare --output text", [28, 16, 12, 28, 0]),
    ("launcher prepare --component nosuch", [28, 16, 12, 28, 28]),
    ("launcher prepare --component nosuch --output text", [28, 16, 12, 28, 28]),
];

/// Lines that fail by themselves.
const LINES: &[(&str, i32)] = &[
    ("start --ready-limit soon", 24),
    ("start --instance instance --config instance/zowe.yaml", 24),
    ("config set novalue", 24),
    ("config get", 24),
    ("config get zowe --config FILE(instance/zowe.yaml", 24),
    ("config get zowe --config nosuch.yaml", 28),
    ("config schema nosuch", 28),
    ("config convert nosuch", 28),
    ("certificate trust localhost", 24),
    ("certificate show nosuch.p12", 28),
    ("certificate export nosuch.p12 --pem out", 28),
    ("certificate export nosuch.p12", 24),
    ("certificate export notes.txt --pem out", 16),
    ("certificate show notes.txt --password-file nosuch", 28),
    ("certificate show notes.txt --password-env TENDER_NO_SUCH_VARIABLE", 28),
    ("certificate init --directory made --host 'no name'", 24),
    ("certificate init --directory made --days 0", 24),
    ("certificate init --directory made --import nosuch.p12", 28),
    ("certificate renew --directory nosuch", 28),
    ("certificate verify --service localhost:1", 28),
    ("component install extension.tar --sha256 00", 32),
    ("component install notes.txt", 16),
    ("component install cut.zip", 32),
    ("component install cut.tar", 32),
    ("instance init made --runtime nosuch", 28),
    ("instance init made --runtime product --systemd --user nosuchuser", 28),
    ("instance init made --runtime product --user root", 24),
    ("instance init made --runtime product --job-name 'no name'", 24),
    ("instance init product/made --runtime product", 16),
    ("launcher probe https://127.0.0.1:1/", 12),
    ("diagnose", 24),
    ("diagnose ZWEL9999E", 28),
    ("diagnose ZWEL0030E", 0),
];

/// Lines about an instance that runs.
const RUNNING: &[(&str, i32)] = &[
    ("start", 20),
    ("launcher run", 20),
    ("start echo", 4),
    ("start nosuch", 28),
    ("stop nosuch", 28),
    ("restart nosuch", 28),
    ("restart nosuch --reconfigure", 28),
    ("logs nosuch", 28),
    ("console START(nosuch)", 28),
    ("console FROB", 24),
    ("console START", 24),
    ("status", 0),
    ("reload", 0),
    ("launcher prepare", 0),
    ("launcher prepare --component nosuch", 28),
    ("component uninstall echo", 16),
    ("component enable nosuch", 28),
];

/// Lines of `zwe`.
const ZWE: &[(&str, i32)] = &[
    ("nonsense", 24),
    ("init vsam", 120),
    ("certificate pkcs12 create ca", 24),
    ("start --ha-instance lpar9", 28),
    ("stop -i lpar9", 28),
    ("stop", 4),
    ("validate", 0),
    ("config get --path nosuch.key", 28),
    ("config validate", 0),
    ("components disable --component nosuch", 28),
    ("components uninstall -o nosuch", 28),
    ("components install --component-file nosuch.zip", 28),
    ("internal start prepare -i lpar9", 28),
    ("internal start prepare", 0),
    ("internal start component --component nosuch", 28),
    ("internal get-launch-components", 0),
    ("diagnose -e ZWEL9999E", 28),
];

/// Gathers what does not end as the table says, so that one run shows all of it.
#[derive(Default)]
struct Verdicts(Vec<String>);

impl Verdicts {
    fn expect(&mut self, answer: &Answer, code: i32) {
        if answer.code != Some(code) {
            self.0.push(format!(
                "`{}` ended with {:?}, not {code}:\n{}",
                answer.line, answer.code, answer.text
            ));
        }
    }
}

impl Drop for Verdicts {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.is_empty(), "{}", self.0.join("\n"));
        }
    }
}

/// Adds two HA instances, of which the tests name a third.
fn with_ha_instances(here: &Installation) {
    let path = here.path("ha/zowe.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let ids = "haInstances:\n  lpar1:\n    hostname: localhost\n  lpar2:\n    hostname: localhost\n";
    fs::write(&path, text + ids).unwrap();
}

#[test]
fn commands_end_with_the_code_of_their_failure() {
    let here = Installation::new();
    for copied in ["broken", "closed", "ha"] {
        copy(&here.path("instance"), &here.path(copied));
    }
    fs::write(here.path("broken/zowe.yaml"), "zowe: [unclosed\n").unwrap();
    fs::remove_file(here.path("closed/zowe.yaml")).unwrap();
    // A file that nobody can read to its end, root neither.
    std::os::unix::fs::symlink("/proc/self/mem", here.path("closed/zowe.yaml")).unwrap();
    with_ha_instances(&here);
    let places = ["nosuch", "broken", "closed", "ha --ha-instance lpar9", "instance"];
    let mut verdicts = Verdicts::default();
    for (command, codes) in COMMANDS {
        for (place, code) in places.iter().zip(codes).filter(|(_, code)| **code != STARTS) {
            verdicts.expect(&here.tender(&format!("{command} --instance {place}")), *code);
        }
    }
}

#[test]
fn unknown_ha_instance_is_told_those_that_are_configured() {
    let here = Installation::new();
    copy(&here.path("instance"), &here.path("ha"));
    with_ha_instances(&here);
    for command in ["start", "stop", "status", "reload", "launcher run", "launcher prepare", "support"] {
        here.tender(&format!("{command} --instance ha --ha-instance lpar9")).ends(28).says("lpar1 lpar2");
    }
}

#[test]
fn lines_that_fail_by_themselves_end_with_their_code() {
    let here = Installation::new();
    fs::write(here.path("notes.txt"), "no archive\n").unwrap();
    fs::write(here.path("extension.tar"), "no archive either\n").unwrap();
    fs::write(here.path("cut.zip"), b"PK\x03\x04 and nothing more").unwrap();
    fs::write(here.path("cut.tar"), tar_header(4096)).unwrap();
    let mut verdicts = Verdicts::default();
    for (line, code) in LINES {
        verdicts.expect(&here.tender(line), *code);
    }
}

#[test]
fn change_of_components_during_another_is_told_that_somebody_else_is_at_work() {
    let here = Installation::new();
    fs::write(here.path("notes.txt"), "no archive\n").unwrap();
    let lock = lock_of_extensions(&here);
    here.tender("component install notes.txt").ends(20).says("by another process");
    drop(lock);
    here.tender("component install notes.txt").ends(16);
}

#[test]
fn commands_about_a_running_instance_end_with_the_code_of_their_failure() {
    let here = Installation::new();
    here.tender("start").ends(0);
    let (echo, pulse) = (here.pid("echo"), here.pid("pulse"));
    let mut verdicts = Verdicts::default();
    for (line, code) in RUNNING {
        verdicts.expect(&here.tender(line), *code);
    }
    assert!(is_alive(echo) && is_alive(pulse), "a command that failed has stopped something");
}

#[test]
fn lines_of_zwe_end_with_the_codes_of_ours() {
    let here = Installation::new();
    copy(&here.path("instance"), &here.path("ha"));
    with_ha_instances(&here);
    let zwe = here.path("zwe");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tender"), &zwe).unwrap();
    let run = |line: &str| {
        let place = if line.contains("lpar9") { "ha" } else { "instance" };
        let output = command(&zwe, line, &here.path(place)).output().unwrap();
        answer(line, &output)
    };
    let mut verdicts = Verdicts::default();
    for (line, code) in ZWE {
        verdicts.expect(&run(line), *code);
    }
}

/// Returns the header of a file of so many bytes in a tar, with its checksum.
fn tar_header(bytes: usize) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..13].copy_from_slice(b"manifest.yaml");
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{bytes:011o}").as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Holds the lock that a change of components takes.
fn lock_of_extensions(here: &Installation) -> fs::File {
    let private = here.path("instance/extensions/.tender");
    fs::create_dir_all(&private).unwrap();
    let lock = fs::File::create(private.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    lock
}

fn command(program: &Path, line: &str, instance: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(words(line)).env("TENDER_INSTANCE", instance).stdin(std::process::Stdio::null());
    command
}
