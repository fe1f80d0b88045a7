//! Work in a process of its own: one that a test may kill, or that has little memory.
//!
//! The child is this very test program, told by its environment to run nothing but the work.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DIRECTORY: &str = "TENDER_CONTENT_TEST_DIRECTORY";

/// Runs the test `name` of this program as a child that works in `directory`.
pub(crate) fn run(name: &str, directory: &Path, environment: &[(&str, String)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--test-threads=1", "--nocapture"]).env(DIRECTORY, directory);
    command.envs(environment.iter().map(|(key, value)| (key, value)));
    command.output().unwrap()
}

/// Returns where this process is to work when it is a child, and `None` in the test program itself.
pub(crate) fn directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}
