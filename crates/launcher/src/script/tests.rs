use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::*;

fn component(name: &str, text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (dir, path)
}

fn run(command: &[String]) -> (Option<i32>, String) {
    let output =
        Command::new(&command[0]).args(&command[1..]).env_clear().env("GIVEN", "1").output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command with descriptor 3 open and returns its status and what it wrote there.
fn run_with_third(command: &[String]) -> (Option<i32>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("third");
    let mut shell = Command::new("/bin/bash");
    shell.args(["-c", r#"exec 3>"$0"; exec "$@""#]).arg(&file).args(command);
    let path = std::env::var("PATH").unwrap();
    let status =
        shell.env_clear().env("GIVEN", "1").env("PATH", path).env("TENDER_EXPORT_FD", "3").status().unwrap();
    (status.code(), fs::read(file).unwrap())
}

/// Runs a configure script and returns its status and its exports.
fn configure(text: &str, mode: u32) -> (Option<i32>, BTreeMap<String, String>) {
    let (dir, _) = component("c.sh", text, mode);
    let script = Script::find(dir.path(), Path::new("c.sh")).unwrap();
    let (code, third) = run_with_third(&script.phase_command("", Exports::Kept));
    let path = std::env::var("PATH").unwrap();
    let before = BTreeMap::from([("GIVEN".to_owned(), "1".to_owned()), ("PATH".to_owned(), path)]);
    (code, exports::exported(|name| before.get(name).map(String::as_str), exports::parse(&third)))
}

#[test]
fn exports_with_newlines_and_quotes_survive() {
    let (code, exports) = configure("export A='1\n2 \"x\" '\\''y'\nB=not\nexport GIVEN\n", 0o644);
    assert_eq!(code, Some(0));
    assert_eq!(exports, BTreeMap::from([("A".to_owned(), "1\n2 \"x\" 'y".to_owned())]));
}

#[test]
fn status_is_the_scripts_own_when_it_exits_returns_or_ends() {
    assert_eq!(configure("export A=1\nexit 7\n", 0o644).0, Some(7));
    assert_eq!(configure("export A=1\nreturn 5\n", 0o644).0, Some(5));
    assert_eq!(configure("false\n", 0o644).0, Some(1));
    assert_eq!(configure("set -e\nfalse\nexit 0\n", 0o644).0, Some(1));
}

#[test]
fn exports_before_an_exit_are_kept() {
    assert_eq!(configure("export A=1\nexit 0\n", 0o644).1["A"], "1");
}

#[test]
fn program_that_is_no_shell_script_may_write_exports_itself() {
    let text =
        "#!/usr/bin/env python3\nimport os\nos.write(int(os.environ['TENDER_EXPORT_FD']), b'A=1\\n2\\0')\n";
    let (dir, _) = component("c.py", text, 0o755);
    let script = Script::find(dir.path(), Path::new("c.py")).unwrap();
    assert_eq!(script.interpreter, Interpreter::Kernel);
    let (code, third) = run_with_third(&script.phase_command("", Exports::Kept));
    assert_eq!(code, Some(0));
    assert_eq!(exports::parse(&third)["A"], "1\n2");
}

#[test]
fn start_script_in_the_foreground_becomes_the_server() {
    for first in ["#!/bin/sh\n", "#!/bin/bash\n", ""] {
        let (dir, _) = component("s.sh", &format!("{first}A=1\nreadlink /proc/self/exe\n"), 0o644);
        let command = Script::find(dir.path(), Path::new("s.sh")).unwrap().start_command(":").unwrap();
        let child = Command::new(&command[0]).args(&command[1..]).output().unwrap();
        assert!(child.status.success());
        assert!(String::from_utf8_lossy(&child.stdout).contains("readlink"));
        // The process that was started is the one that ran the last command.
        let (dir, _) =
            component("s.sh", &format!("{first}B=$$\nexport B\n/bin/sh -c 'test $$ = $B'\n"), 0o644);
        let command = Script::find(dir.path(), Path::new("s.sh")).unwrap().start_command(":").unwrap();
        assert_eq!(run(&command).0, Some(0), "{first:?}");
    }
}

#[test]
fn start_script_of_more_than_an_argument_holds_is_sourced() {
    let text = format!("#!/bin/sh\n{}echo \"$0\"\n", "# nothing\n".repeat(20_000));
    let (dir, path) = component("s.sh", &text, 0o644);
    let command = Script::find(dir.path(), Path::new("s.sh")).unwrap().start_command("").unwrap();
    assert_eq!(run(&command), (Some(0), format!("{}\n", path.display())));
}

#[test]
fn script_outside_missing_or_unusable_is_named() {
    let (dir, _) = component("data.bin", "\x7fELF\0", 0o644);
    let find = |name: &str| Script::find(dir.path(), Path::new(name)).unwrap_err();
    assert!(matches!(find("../x.sh"), ScriptError::Outside { .. }));
    assert!(matches!(find("/bin/sh"), ScriptError::Outside { .. }));
    assert!(matches!(find("bin/none.sh"), ScriptError::Missing { .. }));
    assert!(matches!(find("data.bin"), ScriptError::NotExecutable { .. }));
}

#[test]
fn shell_named_by_the_first_line_is_used() {
    let (dir, _) = component("b.sh", "#!/usr/bin/env bash\na=(1 2); exit ${#a[@]}\n", 0o644);
    let command = Script::find(dir.path(), Path::new("b.sh")).unwrap().phase_command("", Exports::Dropped);
    assert_eq!(run(&command).0, Some(2));
}
