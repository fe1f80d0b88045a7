//! `tender catalog check`.

use std::path::PathBuf;

use tender_catalog::{Made, made};
use tender_package::{Message, Outcome, ReturnCode};

use crate::error::{CommandError, RuntimeFault};

/// Options of `tender catalog check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tender catalog check openapi.yaml --service payroll --route api/v1=/payroll/api\n\n\
                        With --json the answer holds the document as users of the catalog would get it.\n\n\
                        Ends with 0 when all is well, 4 when no route leads to some of its paths, 16 when it is no document that\n\
                        the catalog can use, 28 when there is no such file."
)]
pub(crate) struct Args {
    /// The document: Swagger 2.0 or OpenAPI 3, as JSON or YAML
    file: PathBuf,
    /// The id of the service
    #[arg(long, value_name = "ID")]
    service: String,
    /// A route: part of the gateway's paths, and where it leads on the service; that of the API comes first
    #[arg(long, value_name = "GATEWAY=SERVICE", value_parser = route, required = true)]
    route: Vec<(String, String)>,
    /// The gateway
    #[arg(long, value_name = "URL", default_value = "https://localhost:7554")]
    gateway: String,
}

fn route(text: &str) -> Result<(String, String), String> {
    let (gateway, service) = text.split_once('=').ok_or("give it as api/v1=/path/on/the/service")?;
    Ok((gateway.to_owned(), service.to_owned()))
}

impl Args {
    /// Says what would become of the document.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        let fault =
            |id, code, doing: &str| RuntimeFault::new(id, code, format!("{doing} `{}`", self.file.display()));
        let text = std::fs::read(&self.file)
            .map_err(|why| fault("ZWEAC704E", ReturnCode::Unknown, "failed to read").because(why))?;
        let made = made(&text, &self.service, &self.route, &self.gateway).map_err(|why| {
            fault("ZWEAC704E", ReturnCode::Refused, "the catalog could not use").because(why)
        })?;
        let Made { document, base, operations, unreachable } = made;
        let mut outcome = Outcome::default();
        outcome.say(Message::with_id("ZWEAC711I", format!("{operations} operations would be at {base}")));
        if !unreachable.is_empty() {
            outcome.code = ReturnCode::Warning;
            let text = format!("no route leads to {}", unreachable.join(", "));
            outcome.say(
                Message::with_id("ZWEAC712W", text).with_hint("add a --route, or correct the base path"),
            );
        }
        outcome.data = serde_json::json!({ "base": base, "operations": operations, "unreachable": unreachable,
            "document": document });
        Ok(outcome)
    }
}
