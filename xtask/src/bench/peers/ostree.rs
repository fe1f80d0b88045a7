//! OSTree's self-contained static delta: bsdiff and LZMA, the best there is for programs.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Figures, Job, Peer, size, verify};
use crate::bench::measure::measure;
use crate::debian::Needed;
use crate::failure::Failure;
use crate::program;

pub(super) const PEER: Peer = Peer {
    name: "ostree static delta",
    needed: Needed { package: "ostree", probe: &["ostree", "--version"], purpose: "comparison" },
    run,
};

/// Everything inside one file, every object by bsdiff, however large.
const SELF_CONTAINED: &[&str] =
    &["--inline", "--min-fallback-size=0", "--max-bsdiff-size=1024", "--max-chunk-size=1024"];

fn ostree(repository: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("ostree");
    command.arg(format!("--repo={}", repository.display())).args(arguments).stdout(Stdio::null());
    command
}

fn run(job: &Job<'_>) -> Result<Figures, Failure> {
    let (server, client) = (job.work.join("server"), job.work.join("client"));
    program::run(&mut ostree(&server, &["init", "--mode=archive"]))?;
    let old = commit(&server, job.old)?;
    let new = commit(&server, job.new)?;
    program::run(&mut ostree(&client, &["init", "--mode=bare-user"]))?;
    program::run(ostree(&client, &["pull-local"]).arg(&server).arg(&old))?;

    let delta = job.work.join("delta");
    let mut generate = ostree(&server, &["static-delta", "generate"]);
    generate.arg(format!("--from={old}")).arg(format!("--to={new}")).args(SELF_CONTAINED);
    let build = measure(generate.arg(format!("--filename={}", delta.display())))?;
    let apply = measure(ostree(&client, &["static-delta", "apply-offline"]).arg(&delta))?;

    let result = job.work.join("result");
    program::run(ostree(&client, &["checkout", "--user-mode"]).arg(&new).arg(&result))?;
    verify(job.new, &result)?;
    Ok(Figures { bytes: size(&delta)?, build, apply })
}

fn commit(repository: &Path, dir: &Path) -> Result<String, Failure> {
    let mut commit = ostree(repository, &["commit", "--branch=bench", "--owner-uid=0", "--owner-gid=0"]);
    commit.args(["--no-xattrs", "--no-bindings"]).arg(format!("--tree=dir={}", dir.display()));
    let output = program::output(commit.stdout(Stdio::piped()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(Failure::Ended { command: program::line(&commit), status: output.status })
    }
}
