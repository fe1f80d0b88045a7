//! `tender launcher prepare`.

use std::io;

use clap::ValueEnum;
use tender_launcher::launch::child::{self, Output};
use tender_launcher::prepare::PrepareRequest;
use tender_package::{Outcome, ReturnCode};
use tender_supervisor::Scope;

use super::program;
use crate::error::CommandError;
use crate::instance::Which;

/// Options of `tender launcher prepare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender launcher prepare --instance /srv/prod --output events\n\n\
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
        };
        let has_plan = child::serve(&instance, &request, output, &mut io::stdout(), &mut io::stderr())
            .map_err(CommandError::Print)?;
        let code = if has_plan { ReturnCode::Done } else { ReturnCode::Outside };
        Ok(Outcome { code, ..Outcome::default() })
    }
}
