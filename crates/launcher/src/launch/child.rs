//! The child that prepares: what it is started with, and what it says on its standard output.
//!
//! One JSON object a line: who the instance is, then events, then the result. The plan is in the result and holds
//! secrets: it goes through the pipe and nowhere else.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use tender_supervisor::plan::Plan;

use crate::instance::{Instance, InstanceError};
use crate::message::{Message, chain};
use crate::prepare::{PrepareError, PrepareRequest, Prepared, prepare, prepare_loaded};
use crate::progress::{Event, Progress};
use crate::summary::{Outcome, Phase};

/// Which instance it is: what is needed to lock it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The HA instance id.
    pub ha_id: String,
    /// The instance directory.
    pub directory: PathBuf,
    /// The directory of this HA instance alone.
    pub private: PathBuf,
    /// Where logs go.
    pub logs: PathBuf,
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// First, when the configuration can be read.
    Identity(Identity),
    /// What happens.
    Event(Event),
    /// Before the result: variables that all components of its plan have besides their own.
    ///
    /// Written with each of them they would grow with the square of the number of components.
    Shared(BTreeMap<String, String>),
    /// Last.
    Prepared(Box<Prepared>),
    /// Last, when nothing could be tried.
    Failed(String),
}

/// Says why the child gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("start `{}`", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What it said could not be read.
    #[error("read what the preparing process says")]
    Read(#[source] io::Error),
    /// It said something else.
    #[error("understand what the preparing process says")]
    Line(#[source] serde_json::Error),
    /// It ended without a result.
    #[error("the preparing process ended with {status} and without a result")]
    Ended {
        /// How.
        status: ExitStatus,
    },
    /// It could not try.
    #[error("{reason}")]
    Failed {
        /// Why, as it said.
        reason: String,
    },
}

/// What the child's standard output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Identity, events and result, a line each: for [`run`](super::run).
    Events,
    /// The plan alone, and messages on standard error: for the supervisor.
    Plan,
}

/// Prepares and says what came of it on `out` and `error`; says whether there is a plan.
///
/// This is all that `tender launcher prepare` does.
pub fn serve(
    instance: &Instance,
    request: &PrepareRequest,
    output: Output,
    out: &mut (dyn Write + Send),
    error: &mut (dyn Write + Send),
) -> io::Result<bool> {
    match output {
        Output::Events => serve_events(instance, request, out),
        Output::Plan => serve_plan(instance, request, out, error),
    }
}

fn serve_events(
    instance: &Instance,
    request: &PrepareRequest,
    out: &mut (dyn Write + Send),
) -> io::Result<bool> {
    let loaded = match instance.load() {
        Ok(loaded) => loaded,
        Err(failure) => {
            write_line(out, &Line::Failed(reason(&failure.into())))?;
            return Ok(false);
        }
    };
    if let Ok(identity) = loaded.identity(instance) {
        write_line(out, &Line::Identity(identity))?;
    }
    let shared = Mutex::new(out);
    let progress = |event: &Event| {
        let mut out = shared.lock().expect("no thread panics while it writes");
        // Nobody reads any more: the one who started us is gone, and our result is not wanted either.
        write_line(&mut **out, &Line::Event(event.clone())).ok();
    };
    let result = prepare_loaded(instance, &loaded, request, &progress);
    let out = shared.into_inner().expect("no thread panics while it writes");
    match result {
        Ok(mut prepared) => {
            let has_plan = prepared.plan.is_some();
            if let Some(plan) = &mut prepared.plan {
                write_line(out, &Line::Shared(take_shared(plan)))?;
            }
            write_line(out, &Line::Prepared(Box::new(prepared)))?;
            Ok(has_plan)
        }
        Err(failure) => {
            write_line(out, &Line::Failed(reason(&failure)))?;
            Ok(false)
        }
    }
}

fn serve_plan(
    instance: &Instance,
    request: &PrepareRequest,
    out: &mut (dyn Write + Send),
    error: &mut (dyn Write + Send),
) -> io::Result<bool> {
    let prepared = match prepare(instance, request, &crate::progress::Silent) {
        Ok(prepared) => prepared,
        Err(failure) => {
            writeln!(error, "ZWEL0030E {}", reason(&failure))?;
            return Ok(false);
        }
    };
    for line in faults(&prepared) {
        writeln!(error, "{line}")?;
    }
    let Some(plan) = prepared.plan else { return Ok(false) };
    serde_json::to_writer(&mut *out, &plan)?;
    out.flush()?;
    Ok(true)
}

/// Returns what did not go well as lines of text, output of scripts included.
#[must_use]
pub fn faults(prepared: &Prepared) -> Vec<String> {
    let mut lines = Vec::new();
    for (phase, row) in prepared.faults() {
        let id = match (row.outcome, phase) {
            (Outcome::Failed, Phase::Configuration) => "ZWEL0070E",
            (Outcome::Failed, Phase::Configure) => "ZWEL0317E",
            (Outcome::Failed, _) => "ZWEL0030E",
            _ => "ZWEL0801W",
        };
        let reason = row.reason.as_deref().unwrap_or("not all right");
        lines.push(Message::new(id, format!("{}: {}: {reason}", phase.name(), row.name)).to_string());
        lines.extend(row.output.iter().map(|line| format!("  {line}")));
    }
    lines
}

fn reason(failure: &PrepareError) -> String {
    if let PrepareError::Instance(InstanceError::Configuration { report, .. }) = failure {
        return format!("{}\n{}", chain(failure), report);
    }
    chain(failure)
}

/// Moves what all components have alike out of their environments.
fn take_shared(plan: &mut Plan) -> BTreeMap<String, String> {
    let Some((first, others)) = plan.components.split_first() else { return BTreeMap::new() };
    let mut shared = first.environment.0.clone();
    shared.retain(|name, value| others.iter().all(|other| other.environment.0.get(name) == Some(value)));
    for component in &mut plan.components {
        component.environment.0.retain(|name, _| !shared.contains_key(name));
    }
    shared
}

/// Undoes [`take_shared`].
fn give_shared(plan: &mut Plan, shared: &BTreeMap<String, String>) {
    for component in &mut plan.components {
        let own = std::mem::replace(&mut component.environment.0, shared.clone());
        component.environment.0.extend(own);
    }
}

fn write_line(out: &mut dyn Write, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)?;
    out.flush()
}

/// A child under way.
#[derive(Debug)]
pub(super) struct Preparing {
    child: Child,
    lines: io::Lines<BufReader<ChildStdout>>,
    /// Read while looking for the identity, to be given out later.
    ahead: Vec<Line>,
}

/// Starts the child.
pub(super) fn start(instance: &Instance, program: &Path) -> Result<Preparing, ChildError> {
    let mut command = Command::new(program);
    command
        .args(["launcher", "prepare", "--output", "events"])
        .args(instance.arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let spawned = command.spawn();
    let mut child = spawned.map_err(|source| ChildError::Start { program: program.to_owned(), source })?;
    let stdout = child.stdout.take().expect("standard output was asked for");
    Ok(Preparing { child, lines: BufReader::new(stdout).lines(), ahead: Vec::new() })
}

impl Preparing {
    fn next(&mut self) -> Result<Option<Line>, ChildError> {
        let Some(line) = self.lines.next() else { return Ok(None) };
        let line = line.map_err(ChildError::Read)?;
        serde_json::from_str(&line).map(Some).map_err(ChildError::Line)
    }

    /// Returns who the instance is; nothing when its configuration cannot be read.
    pub(super) fn identity(&mut self) -> Result<Option<Identity>, ChildError> {
        match self.next()? {
            Some(Line::Identity(identity)) => Ok(Some(identity)),
            Some(other) => {
                self.ahead.push(other);
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Ends the child: its result is not wanted.
    pub(super) fn abandon(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Passes on what happens and returns the result.
    ///
    /// A child that gave a plan is not waited for: it has nothing more to say, and the supervisor takes the end of every
    /// child.
    pub(super) fn finish(
        mut self,
        progress: &dyn Progress,
        message: &mut dyn FnMut(&Message),
    ) -> Result<Prepared, ChildError> {
        let mut result = None;
        let mut shared = BTreeMap::new();
        let mut ahead = std::mem::take(&mut self.ahead).into_iter();
        while let Some(line) = ahead.next().map_or_else(|| self.next(), |line| Ok(Some(line)))? {
            match line {
                Line::Identity(_) => {}
                Line::Event(Event::Message(said)) => message(&said),
                Line::Event(event) => progress.event(&event),
                Line::Shared(variables) => shared = variables,
                Line::Prepared(mut prepared) => {
                    if let Some(plan) = &mut prepared.plan {
                        give_shared(plan, &shared);
                        return Ok(*prepared);
                    }
                    result = Some(Ok(*prepared));
                }
                Line::Failed(reason) => result = Some(Err(ChildError::Failed { reason })),
            }
        }
        let status = self.child.wait().map_err(ChildError::Read)?;
        result.unwrap_or(Err(ChildError::Ended { status }))
    }
}
