//! Figures of the principal: requisite closure and queries, measured by examples of the service crate.

use std::process::Command;

use super::build_example;
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// Closes 10 000 and 50 000 fixes.
pub(crate) fn closure(workspace: &Workspace) -> Result<(), Failure> {
    program::run(&mut Command::new(build_example(workspace, "tender-service", "closure_bench")?))
}

/// Asks 10 000 systems for a fix.
pub(crate) fn query(workspace: &Workspace) -> Result<(), Failure> {
    program::run(&mut Command::new(build_example(workspace, "tender-service", "query_bench")?))
}
