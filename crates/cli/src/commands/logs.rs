//! `tender logs`: what components print.

use std::io;

use jiff::Timestamp;
use tender_launcher::logs::{self, LoggedLine};
use tender_package::{Message, Outcome, ReturnCode};
use tender_supervisor::console::{Reply, Request};

use super::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::{Which, answered, loaded};
use crate::live::Live;

/// Options of `tender logs`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender logs\n  tender logs -n 200 gateway\n  tender logs -f gateway discovery\n\n\
                  When no launcher runs, the last lines come from the log files. With --json every line is a document of its own, and the last one tells how it ended."
)]
pub(crate) struct Args {
    /// Components; without any, all of them
    #[arg(value_name = "COMPONENT")]
    components: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Go on with new lines as they come
    #[arg(long, short)]
    follow: bool,
    /// How many lines to begin with
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N")]
    lines: usize,
}

impl Args {
    /// Shows lines as the launcher sends them.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let live = Live::new(shell.audience);
        let Some(reached) = self.which.reach_running()? else { return self.stored(live) };
        let request = Request::Logs { components: self.components, lines: self.lines, follow: self.follow };
        let mut rest = Vec::new();
        let mut written = Ok(());
        let streamed = reached.stream(&request, &mut |reply| {
            let Reply::Line { component, text, at_ms } = &reply else {
                rest.push(reply);
                return true;
            };
            written = live.line(&line(component, text, *at_ms)).and_then(|()| live.value(&reply));
            written.is_ok()
        });
        match written {
            Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => return Ok(Outcome::default()),
            written => written.map_err(CommandError::Print)?,
        }
        streamed?;
        let mut outcome = answered(rest);
        // A launcher that ends while its lines are followed is an end, not a failure.
        if self.follow && outcome.messages.is_empty() {
            outcome.code = ReturnCode::Done;
        }
        Ok(outcome)
    }

    /// Shows what was logged when no launcher runs that could be asked.
    fn stored(&self, live: Live) -> Result<Outcome, CommandError> {
        let loaded = self.which.load()?;
        let layout = loaded.layout().map_err(loaded::fault)?;
        let failed = |source| CommandError::File { doing: "read logs in", path: layout.logs.clone(), source };
        let known = logs::components(&layout).map_err(failed)?;
        let is_known = |name: &String| known.contains(name) || loaded.instance.component(name).is_some();
        if let Some(unknown) = self.components.iter().find(|name| !is_known(name)) {
            let text = format!("there is no component {unknown}");
            return Err(RuntimeFault::new("ZWEL0054E", ReturnCode::Unknown, text)
                .with_hint(format!("there are logs of: {}", known.join(" ")))
                .into());
        }
        let wanted = if self.components.is_empty() { &known } else { &self.components };
        let lines = logs::last_lines(&layout, wanted, self.lines).map_err(failed)?;
        for logged in &lines {
            let LoggedLine { component, text, at_ms } = logged;
            let reply = Reply::Line { component: component.clone(), text: text.clone(), at_ms: *at_ms };
            let written = live.line(&line(component, text, *at_ms)).and_then(|()| live.value(&reply));
            match written {
                Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => return Ok(Outcome::default()),
                written => written.map_err(CommandError::Print)?,
            }
        }
        let mut outcome = Outcome::default();
        let what = if lines.is_empty() { "and nothing was logged" } else { "this was logged before" };
        let id = if self.follow { "ZWEL0802W" } else { "ZWEL0802I" };
        let text = format!("no launcher runs in {}, {what}", self.which.directory()?.display());
        outcome.say(Message::with_id(id, text).with_hint("`tender start` starts it"));
        Ok(outcome)
    }
}

fn line(component: &str, text: &str, at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.3} {component} {text}")
}
