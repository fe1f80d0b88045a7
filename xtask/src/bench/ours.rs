//! Our own servlink, measured as a program of its own like every peer.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::build_example;
use super::measure::measure;
use super::peers::{Figures, Job, verify};
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// The program that calls the content crate.
#[derive(Debug)]
pub(crate) struct Ours {
    program: PathBuf,
}

impl Ours {
    /// Builds it.
    pub(crate) fn build(workspace: &Workspace) -> Result<Self, Failure> {
        Ok(Self { program: build_example(workspace, "xtask", "content")? })
    }

    /// Returns a call of one of its verbs.
    pub(crate) fn call(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).stdout(Stdio::null());
        command
    }

    /// Builds and applies a servlink; both ends have their trees in an object store, as in real life.
    pub(crate) fn run(&self, job: &Job<'_>) -> Result<Figures, Failure> {
        let at = |name: &str| job.work.join(name);
        for (store, dir, tree) in
            [("sender", job.old, "old"), ("sender", job.new, "new"), ("receiver", job.old, "had")]
        {
            program::run(self.call("import").args([at(store), dir.to_owned(), at(tree)]))?;
        }
        let servlink = at("servlink");
        let build = measure(self.call("build").args([&at("sender"), &at("old"), &at("new"), &servlink]))?;
        let apply = measure(self.call("apply").args([&at("receiver"), &at("had"), &servlink, &at("got")]))?;
        let result = at("result");
        program::run(self.call("materialise").args([&at("receiver"), &at("got"), &result]))?;
        verify(job.new, &result)?;
        let bytes = std::fs::metadata(&servlink).map_err(Failure::file("read", &servlink))?.len();
        Ok(Figures { bytes, build, apply })
    }
}
