//! `tender launcher run`.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::sync::Arc;

use clap::ValueEnum;
use tender_launcher::instance::Instance;
use tender_launcher::launch::{self, Ended, LaunchError, RunRequest};
use tender_launcher::message::{Message, chain, log_line};
use tender_launcher::progress::Event;
use tender_launcher::summary::{Outcome as RowOutcome, Phase, PhaseSummary};
use tender_package::{Outcome, ReturnCode};
use tender_supervisor::lock::LockError;

use super::program;
use crate::commands::start::phases;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::{Which, loaded};
use crate::render;

/// Options of `tender launcher run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender launcher run --instance /srv/prod\n  systemd: see `tender instance init --systemd`\n\n\
                  Ends with 0 when it was stopped, 4 when components had to be killed, 12 or 16 when nothing could be \
                  started, 20 when another launcher runs the instance, 28 when there is no such instance."
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Leave the terminal and log into a file of the instance
    #[arg(long, hide = true)]
    detached: bool,
    /// What standard output is for
    #[arg(long, value_enum, default_value_t = Told::Text, hide = true)]
    output: Told,
}

/// What the launcher writes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Told {
    /// Lines for people and journals.
    Text,
    /// What happens as JSON lines, for `tender start`.
    Events,
}

impl Args {
    /// Reads a plain line of `launcher run` without the definition of the whole command line.
    ///
    /// A launcher lives for months and should stay small; what the definition touches would stay in its memory.
    /// `None` leaves the line, its errors and its help to the definition.
    pub(crate) fn plain(words: &[OsString]) -> Option<Self> {
        let mut words = words.iter().skip(1);
        if words.next()? != "launcher" || words.next()? != "run" {
            return None;
        }
        let mut args = Self::foreground(Which::default());
        while let Some(word) = words.next() {
            match word.to_str()? {
                "--instance" => args.which.instance = Some(words.next()?.into()),
                "--config" | "-c" => args.which.config = Some(words.next()?.to_str()?.to_owned()),
                "--ha-instance" | "-i" => args.which.ha_instance = Some(words.next()?.to_str()?.to_owned()),
                "--detached" => args.detached = true,
                "--output" => {
                    args.output = match words.next()?.to_str()? {
                        "text" => Told::Text,
                        "events" => Told::Events,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        (args.which.instance.is_none() || args.which.config.is_none()).then_some(args)
    }

    /// Asks to run an instance in the foreground, for people.
    pub(crate) fn foreground(which: Which) -> Self {
        Self { which, detached: false, output: Told::Text }
    }

    /// Runs until told to stop.
    pub(crate) fn run(self, is_check: bool) -> Result<Outcome, CommandError> {
        if is_check {
            return crate::commands::validate::check(&self.which);
        }
        let instance = self.which.open()?;
        let told = self.output;
        let request = RunRequest {
            program: program()?,
            is_detached: self.detached,
            // Without a reader it goes on all the same.
            progress: Arc::new(move |event: &Event| drop(tell(told, event))),
        };
        let mut outcome = Outcome::default();
        let ended = launch::run(&instance, &request).map_err(|failure| why(&instance, failure)).inspect_err(
            |fault| {
                // Whoever follows events reads nothing else.
                if told == Told::Events {
                    drop(tell(told, &Event::Message(told_of(fault))));
                }
            },
        )?;
        match ended {
            Ended::NotPrepared(prepared) => outcome.code = not_prepared(&prepared.phases),
            Ended::Stopped(exit) if exit.forced.is_empty() && exit.unkillable.is_empty() => {}
            Ended::Stopped(_) => outcome.code = ReturnCode::Warning,
        }
        Ok(outcome)
    }
}

/// Returns the code of an instance that could not be prepared: a configuration that does not hold or that starts
/// nothing is refused, trying again does not help; a component or host that is not ready may be so later.
pub(super) fn not_prepared(phases: &[PhaseSummary]) -> ReturnCode {
    let worst = |summary: &PhaseSummary| summary.worst();
    let is_wrong =
        phases.iter().any(|one| one.phase == Phase::Configuration && worst(one) == RowOutcome::Failed);
    let is_well = phases.iter().all(|one| worst(one) <= RowOutcome::Nothing);
    if is_wrong || is_well { ReturnCode::Refused } else { ReturnCode::Outside }
}

/// Makes one message of a fault and its causes.
fn told_of(fault: &CommandError) -> Message {
    Message::new(fault.id(), chain(fault))
}

fn tell(told: Told, event: &Event) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match (told, event) {
        (Told::Events, event) => {
            serde_json::to_writer(&mut out, event)?;
            writeln!(out)?;
        }
        (Told::Text, Event::Message(message)) => writeln!(out, "{}", log_line(message))?,
        (Told::Text, Event::PhaseDone(summary)) => {
            let mut outcome = Outcome::default();
            phases::add(&mut outcome, std::slice::from_ref(summary));
            write!(out, "{}", render::text(&outcome)?)?;
        }
        (Told::Text, _) => {}
    }
    out.flush()
}

/// Says why an instance could not be run, in its own words when it cannot even be read.
///
/// Only the child reads the configuration; it is read here when nothing will run anyway.
fn why(instance: &Instance, failure: LaunchError) -> CommandError {
    let unusable = matches!(failure, LaunchError::Child(_)).then(|| instance.load().err()).flatten();
    unusable.map_or_else(|| fault(failure), loaded::fault)
}

/// Says why an instance could not be run.
fn fault(fault: LaunchError) -> CommandError {
    let (id, code, hint) = match &fault {
        LaunchError::Lock(LockError::Held { .. }) => {
            ("ZWEL0820E", ReturnCode::Busy, Some("`tender status` shows it, `tender stop` ends it"))
        }
        LaunchError::Lock(_) | LaunchError::Log { .. } => ("ZWEL0036E", ReturnCode::Outside, None),
        LaunchError::Child(_) => ("ZWEL0030E", ReturnCode::Outside, Some("`tender validate` says more")),
        LaunchError::Supervise(_) => ("ZWEL0040E", ReturnCode::Outside, None),
    };
    let mut told = RuntimeFault::new(id, code, "failed to run the instance").because(fault);
    told.hint = hint.map(str::to_owned);
    told.into()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::commands::Command;
    use crate::commands::launcher::Launcher;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn plain_line_means_what_the_definition_means() {
        for line in [
            "tender launcher run",
            "tender launcher run --instance /srv/prod --ha-instance a",
            "tender launcher run --detached --output events --config FILE(a):FILE(b) -i a",
            "tender launcher run --output text -c /srv/zowe.yaml",
        ] {
            let plain = Args::plain(&words(line)).unwrap();
            let Command::Launcher(Launcher::Run(defined)) =
                crate::Tender::try_parse_from(words(line)).unwrap().command
            else {
                panic!("`{line}` is another command");
            };
            assert_eq!(format!("{plain:?}"), format!("{defined:?}"), "{line}");
        }
    }

    #[test]
    fn line_that_is_not_plain_is_left_to_the_definition() {
        for line in [
            "tender launcher run --help",
            "tender launcher run --instance",
            "tender launcher run --instance a --config b",
            "tender --json launcher run",
            "tender launcher run --output nonsense",
            "tender launcher prepare",
        ] {
            assert!(Args::plain(&words(line)).is_none(), "{line}");
        }
    }
}
