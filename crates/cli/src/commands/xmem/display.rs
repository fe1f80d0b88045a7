//! `tender xmem display`.

use tender_package::{Outcome, Table};
use tender_xmem::code::{CmsCode, RouterCode};

use super::modify::command;
use super::places::Which;
use crate::commands::Shell;
use crate::error::CommandError;

/// Options of `tender xmem display`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`codes` needs no server: it lists every return code of a call with its meaning. Anything else is the server's command \
DISPLAY.\n\nExamples:\n  tender xmem display\n  tender xmem display services --server ZWESIS_TEST\n  \
tender xmem display codes")]
pub(crate) struct Args {
    /// What to show, CONFIG when left out
    #[arg(value_name = "WHAT")]
    words: Vec<String>,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Shows it.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        if let [word] = &self.words[..]
            && word.eq_ignore_ascii_case("codes")
        {
            return Ok(codes());
        }
        // As the console of z/OS does, words of the server are folded.
        let words = self.words.iter().map(|word| word.to_uppercase());
        let text = std::iter::once("DISPLAY".to_owned()).chain(words).collect::<Vec<_>>().join(" ");
        command(shell, &self.which.server, &text)
    }
}

fn codes() -> Outcome {
    let mut outcome = Outcome::default();
    let mut calls = Table::new("The call", &["code", "means"]);
    let mut data = Vec::new();
    for code in CmsCode::ALL {
        calls.row([code.number().to_string(), code.text().to_owned()]);
        data.push(serde_json::json!({ "of": "call", "code": code.number(), "text": code.text() }));
    }
    let mut router = Table::new("The router to plug-ins", &["code", "means"]);
    for code in RouterCode::ALL {
        router.row([code.number().to_string(), code.text().to_owned()]);
        data.push(serde_json::json!({ "of": "router", "code": code.number(), "text": code.text() }));
    }
    outcome.tables = vec![calls, router];
    outcome.data = serde_json::json!({ "codes": data });
    outcome
}
