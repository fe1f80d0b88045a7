//! The whole path on this machine.

use std::process::{Command, Stdio};

use super::Programs;
use crate::failure::Failure;
use crate::load::work_dir;
use crate::program;
use crate::workspace::Workspace;

/// Takes a fix from its vendor to running components.
pub(super) fn train(workspace: &Workspace, programs: &Programs) -> Result<(), Failure> {
    let work = work_dir(workspace, "train-spine")?;
    let mut quickstart = Command::new(&programs.tender);
    quickstart.args(["quickstart", "--quiet", "--directory"]).arg(work.join("fleet"));
    program::run(quickstart.stdout(Stdio::null()))
}
