//! `tender config get KEY`.

use tender_config::node::Node;
use tender_launcher::instance::Loaded;
use tender_package::{Message, Outcome, ReturnCode};

use super::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::{Which, loaded};
use crate::live::Live;

/// Options of `tender config get`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender config get zowe.job.name\n  tender config get 'zowe.externalDomains[0]'\n  \
                  tender config get components.gateway --json\n\nA value that is no text is printed as JSON."
)]
pub(crate) struct Args {
    /// The key, such as components.gateway.port
    #[arg(required_unless_present = "path")]
    key: Option<String>,
    /// The same, as an option
    #[arg(long, short = 'p', value_name = "KEY", conflicts_with = "key")]
    path: Option<String>,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Prints the bare value, so that scripts can use it.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let key = self.key.or(self.path).unwrap_or_default();
        let read = self.which.load()?;
        let Some(node) = loaded::node(&read, &key)? else {
            let text = format!("{key} is not configured");
            return Err(RuntimeFault::new("ZWEL0303E", ReturnCode::Unknown, text)
                .with_hint("`tender config get --path components` lists a part of what is")
                .into());
        };
        let wrong = problems_at(&read, &key);
        if node.is_null()
            && let Some(first) = wrong.first()
        {
            let text = format!("{key} has no value");
            return Err(RuntimeFault::new("ZWEL0072E", ReturnCode::Refused, text)
                .with_hint(first.clone())
                .into());
        }
        let value = node.to_json();
        let shown = node.scalar().unwrap_or_else(|| pretty(node));
        Live::new(shell.audience).line(&shown).map_err(CommandError::Print)?;
        let mut outcome = Outcome::default();
        for problem in wrong {
            outcome.say(Message::with_id("ZWEL0072E", problem));
            // The rest was printed.
            outcome.code = ReturnCode::Warning;
        }
        outcome.data = serde_json::json!({ "key": key, "value": value });
        Ok(outcome)
    }
}

/// Returns the errors in the value of a key, as a template that cannot be evaluated.
fn problems_at(read: &Loaded, key: &str) -> Vec<String> {
    let is_below = |path: &str, of: &str| {
        path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let found =
        read.report.errors().filter(|problem| !problem.path.is_empty() && is_below(&problem.path, key));
    found.map(ToString::to_string).collect()
}

fn pretty(node: &Node) -> String {
    match node.to_json() {
        // A secret is a text in JSON and nothing else.
        serde_json::Value::String(text) => text,
        value => serde_json::to_string_pretty(&value).unwrap_or_default(),
    }
}
