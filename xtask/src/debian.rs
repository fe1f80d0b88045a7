//! Debian packages that tests and benches drive.

use std::process::Command;

use crate::failure::Failure;
use crate::program;

/// A program from outside the workspace, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needed {
    /// The Debian package.
    pub(crate) package: &'static str,
    /// A command that works exactly when it is installed.
    pub(crate) probe: &'static [&'static str],
    /// What it is needed for.
    pub(crate) purpose: &'static str,
}

/// What apt-get says when the fault is not ours.
const NO_ANSWER: &[&str] = &[
    "Failed to fetch",
    "Could not resolve",
    "Temporary failure",
    "Could not connect",
    "Connection failed",
    "Connection timed out",
    "Some index files failed to download",
];
const ATTEMPTS_MAX: usize = 3;

/// Makes sure that programs are there: installs them as root on Debian, names them otherwise.
pub(crate) fn require(needed: &[Needed]) -> Result<(), Failure> {
    let missing: Vec<_> = needed.iter().filter(|needed| !program::works(needed.probe)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|needed| needed.package).collect();
    let install = format!("apt-get install {}", packages.join(" "));
    let report = |missing: &[&Needed]| {
        let what =
            missing.iter().map(|needed| format!("{} (for {})", needed.package, needed.purpose)).collect();
        Failure::Missing { what, install: format!("as root: {install}") }
    };
    if !is_root() || !program::works(&["apt-get", "--version"]) {
        return Err(report(&missing));
    }
    println!("    {install}");
    apt_get(&["update"])?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments)?;
    let still: Vec<_> = missing.into_iter().filter(|needed| !program::works(needed.probe)).collect();
    if still.is_empty() { Ok(()) } else { Err(report(&still)) }
}

/// Runs apt-get without questions; an archive that does not answer is told apart from a failure.
pub(crate) fn apt_get(arguments: &[&str]) -> Result<(), Failure> {
    let mut said = String::new();
    for _ in 0..ATTEMPTS_MAX {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "Acquire::Retries=3"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
        let output = program::output(&mut command)?;
        said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let is_outside = NO_ANSWER.iter().any(|words| said.contains(words));
        // `apt-get update` succeeds with warnings when an archive is away; old lists may do.
        if output.status.success() {
            return Ok(());
        }
        if !is_outside {
            eprint!("{said}");
            return Err(Failure::Ended { command: program::line(&command), status: output.status });
        }
    }
    Err(Failure::registry("the Debian archive", &said))
}

/// Returns the versions of a package that the configured sources offer, newest first.
pub(crate) fn offered(package: &str) -> Result<Vec<String>, Failure> {
    let output = program::output(Command::new("apt-cache").args(["madison", package]))?;
    Ok(versions_of(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads lines of `package | version | source`.
fn versions_of(madison: &str) -> Vec<String> {
    madison
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(|version| version.trim().to_owned())
        .collect()
}

/// Returns the version asked for, or the one that shares most of its beginning.
pub(crate) fn nearest<'o>(version: &str, offered: &'o [String]) -> Option<&'o str> {
    let shared = |other: &str| version.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    offered.iter().max_by_key(|other| (*other == version, shared(other))).map(String::as_str)
}

/// Returns whether this process runs as root.
pub(crate) fn is_root() -> bool {
    program::output(Command::new("id").arg("-u")).is_ok_and(|output| output.stdout == b"0\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn require_with_everything_there_installs_nothing() {
        let shell = Needed { package: "dash", probe: &["sh", "-c", "exit 0"], purpose: "this test" };
        assert!(require(&[shell]).is_ok());
    }

    #[test]
    fn nearest_of_versions_is_the_one_asked_for_or_the_most_alike() {
        let offered = versions_of("p | 3.0.22-1~deb12u2 | http://a\n p | 3.0.20-1~deb12u3 | http://b\n");
        assert_eq!(nearest("3.0.20-1~deb12u3", &offered), Some("3.0.20-1~deb12u3"));
        assert_eq!(nearest("3.0.20-1~deb12u2", &offered), Some("3.0.20-1~deb12u3"));
        assert_eq!(nearest("1.0", &[]), None);
    }

    #[test]
    fn probe_of_an_absent_program_fails() {
        assert!(!program::works(&["no-such-program", "--version"]));
        assert!(!program::works(&["sh", "-c", "exit 1"]));
    }
}
