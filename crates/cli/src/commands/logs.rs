//! `tender logs`: what components print.

use std::io;

use jiff::Timestamp;
use tender_package::{Outcome, ReturnCode};
use tender_supervisor::console::{Reply, Request};

use super::Shell;
use crate::error::CommandError;
use crate::instance::{Which, answered};
use crate::live::Live;

/// Options of `tender logs`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender logs\n  tender logs -n 200 gateway\n  tender logs -f gateway discovery\n\n\
                  With --json every line is a document of its own, and the last one tells how it ended."
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
        let reached = self.which.reach()?;
        let live = Live::new(shell.audience);
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
}

fn line(component: &str, text: &str, at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.3} {component} {text}")
}
