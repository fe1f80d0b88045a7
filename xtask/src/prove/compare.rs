//! Comparison by programs that know nothing of Tender.

use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::program;

/// Compares bytes, digests, links and modes; a loaded level has the vendor's modes without write bits.
pub(super) fn same(expected: &Path, found: &Path) -> Result<(), Failure> {
    let mut diff = Command::new("diff");
    let differences =
        text(diff.args(["--recursive", "--no-dereference", "--brief"]).arg(expected).arg(found))?;
    equal("bytes", found, "", &differences)?;
    let digests = "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum";
    equal("digests", found, &shell(expected, digests)?, &shell(found, digests)?)?;
    let links = "find . -type l -printf '%P -> %l\\n' | LC_ALL=C sort";
    equal("links", found, &shell(expected, links)?, &shell(found, links)?)?;
    let modes = "find . -type f -printf '%m %P\\n' | LC_ALL=C sort -k 2";
    equal("modes", found, &without_write(&shell(expected, modes)?), &shell(found, modes)?)
}

fn shell(dir: &Path, script: &str) -> Result<String, Failure> {
    text(Command::new("bash").args(["-o", "pipefail", "-c", script]).current_dir(dir))
}

fn text(command: &mut Command) -> Result<String, Failure> {
    let output = program::output(command)?;
    // `diff` ends with 1 when there are differences, which are on its standard output.
    if output.status.code() > Some(1) || !output.stderr.is_empty() {
        return Err(Failure::Unexpected {
            what: format!("`{}` works", program::line(command)),
            found: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Clears the write bits of lines that begin with an octal mode.
fn without_write(modes: &str) -> String {
    let cleared = |line: &str| {
        let (mode, path) = line.split_once(' ')?;
        Some(format!("{:o} {path}\n", u32::from_str_radix(mode, 8).ok()? & 0o555))
    };
    modes.lines().map(|line| cleared(line).unwrap_or_else(|| format!("{line}\n"))).collect()
}

fn equal(what: &str, dir: &Path, expected: &str, found: &str) -> Result<(), Failure> {
    if expected == found {
        return Ok(());
    }
    let missing = expected.lines().filter(|line| !found.lines().any(|other| other == *line));
    let extra = found.lines().filter(|line| !expected.lines().any(|other| other == *line));
    let shown: Vec<_> =
        missing.map(|line| format!("- {line}")).chain(extra.map(|line| format!("+ {line}"))).collect();
    Err(Failure::Unexpected {
        what: format!("the {what} of {} are those of the archive", dir.display()),
        found: format!("\n{}", shown[..shown.len().min(10)].join("\n")),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn tree(dir: &Path, mode: u32) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(dir.join("run"), fs::Permissions::from_mode(mode)).unwrap();
        symlink("run", dir.join("link")).unwrap();
    }

    fn outcome(change: impl FnOnce(&Path)) -> Result<(), Failure> {
        let dir = tempfile::tempdir().unwrap();
        let (expected, found) = (dir.path().join("expected"), dir.path().join("found"));
        tree(&expected, 0o755);
        tree(&found, 0o555);
        change(&found);
        same(&expected, &found)
    }

    #[test]
    fn same_tree_without_write_bits_is_the_same() {
        outcome(|_| {}).unwrap();
    }

    #[test]
    fn same_with_another_byte_mode_link_or_file_is_refused() {
        let run = |found: &Path| found.join("run");
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = |what: &str, change: &dyn Fn(&Path)| {
            let failure = outcome(change).unwrap_err().to_string();
            assert!(failure.contains(what), "{failure}");
        };
        refused("bytes", &|found| {
            set(&run(found), 0o755);
            fs::write(run(found), "#!/bin/SH\n").unwrap();
        });
        refused("modes", &|found| set(&run(found), 0o755));
        refused("modes", &|found| set(&run(found), 0o444));
        refused("bytes", &|found| {
            fs::remove_file(found.join("link")).unwrap();
            symlink("./run", found.join("link")).unwrap();
        });
        refused("bytes", &|found| fs::write(found.join("more"), "").unwrap());
    }
}
