//! `tender launcher prepare`.

use std::io;

use clap::ValueEnum;
use tender_launcher::discover;
use tender_launcher::instance::Instance;
use tender_launcher::launch::child::{self, Output};
use tender_launcher::prepare::{PrepareRequest, prepare};
use tender_launcher::progress::Silent;
use tender_package::{Message, Outcome, ReturnCode};
use tender_supervisor::Scope;

use super::{program, run};
use crate::commands::start::{phases, prepare_fault};
use crate::error::CommandError;
use crate::instance::{Which, loaded};

/// Options of `tender launcher prepare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender launcher prepare --instance /srv/prod --output text\n\n\
                  The launcher calls this. It validates and configures, and writes the plan of what is to run as JSON \
                  on its standard output: with secrets, so keep it off the disk. `tender validate` is for people.")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// What standard output is for
    #[arg(long, value_enum, default_value_t = Form::Plan)]
    output: Form,
    /// Only this component; may be repeated
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<String>,
}

/// What standard output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// The plan alone.
    Plan,
    /// Who the instance is, what happens, and the result; one JSON object a line.
    Events,
    /// The phases, for people; there is no plan.
    Text,
}

impl Args {
    /// Prepares, and says what came of it to whoever started it.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        let instance = self.which.open()?;
        let mut request = PrepareRequest::full(&program()?);
        if !self.component.is_empty() {
            request.scope = Scope::Components(self.component);
        }
        let output = match self.output {
            Form::Plan => Output::Plan,
            Form::Events => Output::Events,
            Form::Text => return told(&instance, &request),
        };
        let has_plan = child::serve(&instance, &request, output, &mut io::stdout(), &mut io::stderr())
            .map_err(CommandError::Print)?;
        let code = if has_plan { ReturnCode::Done } else { without_plan(&instance, &request.scope) };
        Ok(Outcome { code, ..Outcome::default() })
    }
}

/// Returns the code of an instance of which no plan could be made; why was told already.
fn without_plan(instance: &Instance, scope: &Scope) -> ReturnCode {
    let loaded = match instance.load() {
        Err(failure) => return loaded::fault(failure).code(),
        Ok(loaded) => loaded,
    };
    let launched = discover::launched(&loaded);
    let is_unknown = match scope {
        Scope::Components(names) => names.iter().any(|name| !launched.contains(name)),
        Scope::All => false,
    };
    match (is_unknown, loaded.report.errors().next()) {
        (true, _) => ReturnCode::Unknown,
        (_, Some(_)) => ReturnCode::Refused,
        _ => ReturnCode::Outside,
    }
}

/// Prepares and shows what came of it.
fn told(instance: &Instance, request: &PrepareRequest) -> Result<Outcome, CommandError> {
    let prepared = prepare(instance, request, &Silent).map_err(prepare_fault)?;
    let mut outcome = Outcome::default();
    phases::add(&mut outcome, &prepared.phases);
    for message in &prepared.messages {
        outcome.messages.push(Message::with_id(&message.id, message.text.clone()));
    }
    if prepared.is_failed() {
        outcome.code = run::not_prepared(&prepared.phases);
    }
    outcome.data = serde_json::json!({ "phases": prepared.phases, "messages": prepared.messages });
    Ok(outcome)
}
