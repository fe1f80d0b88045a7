//! `tender config env COMPONENT`.

use clap::ValueEnum;
use tender_config::environment::{self, EnvironmentError};
use tender_package::{Outcome, ReturnCode};

use super::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::Which;
use crate::live::Live;

/// Options of `tender config env`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender config env gateway\n  tender config env gateway --json | jq '.data.ZWE_configs_port'\n\n\
                  Secrets show as (secret); a component gets them only when it starts."
)]
pub(crate) struct Args {
    /// The component; without one, what all components share
    component: Option<String>,
    #[command(flatten)]
    which: Which,
    /// How to write it down
    #[arg(long, value_enum, default_value_t = Form::Shell)]
    form: Form,
}

/// Ways to write an environment down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// NAME='value' lines, which a shell reads back
    Shell,
    /// With the configuration key every variable comes from
    Explained,
}

impl Args {
    /// Prints the variables.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let loaded = self.which.load()?;
        let environment = match &self.component {
            None => environment::instance(&loaded.instance),
            Some(component) => environment::component(&loaded.instance, component).map_err(|fault| {
                let known: Vec<_> =
                    loaded.instance.components.iter().map(|component| component.name.as_str()).collect();
                unknown(fault, component, &known)
            })?,
        };
        let text = match self.form {
            Form::Shell => environment.render(environment::Format::Shell),
            Form::Explained => environment
                .iter()
                .map(|(name, value)| format!("{name}={} # {}\n", value.text, value.source))
                .collect(),
        };
        Live::new(shell.audience).line(text.trim_end()).map_err(CommandError::Print)?;
        let data = environment
            .iter()
            .map(|(name, value)| (name.to_owned(), value.text.to_string().into()))
            .collect::<serde_json::Map<_, _>>();
        Ok(Outcome { data: data.into(), ..Outcome::default() })
    }
}

fn unknown(fault: EnvironmentError, component: &str, known: &[&str]) -> CommandError {
    let is_unknown = !known.contains(&component);
    let code = if is_unknown { ReturnCode::Unknown } else { ReturnCode::Refused };
    let text = format!("failed to make the environment of {component}");
    let told = RuntimeFault::new("ZWEL0132E", code, text).because(fault);
    if is_unknown { told.with_hint(format!("there are: {}", known.join(" "))).into() } else { told.into() }
}
