//! `tender instance init DIR`.

use std::path::PathBuf;

use tender_launcher::instance::init::{self, InitError, InitRequest, InitStep, SystemdRequest};
use tender_package::{Message, Outcome, ReturnCode, Table};

use super::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::place;

/// Options of `tender instance init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender instance init /srv/tender/prod --runtime /var/lib/tender/system/current\n  \
                  tender instance init /srv/tender/prod --runtime /opt/product --systemd --user tender\n\n\
                  What is there already is kept; the same command again only adds what is missing."
)]
pub(crate) struct Args {
    /// The instance directory
    directory: PathBuf,
    /// The product tree it runs; the slot `current` of a managed system, for example
    #[arg(long, value_name = "DIR")]
    runtime: PathBuf,
    /// Where extensions are installed; `extensions` in the instance directory when left out
    #[arg(long, value_name = "DIR")]
    extensions: Option<PathBuf>,
    /// The name of this host for its users
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The name of the whole in tables and cgroups; ZWE1SV when left out
    #[arg(long, value_name = "NAME")]
    job_name: Option<String>,
    /// Write a systemd unit beside the configuration
    #[arg(long)]
    systemd: bool,
    /// The user the unit runs it as
    #[arg(long, value_name = "NAME", requires = "systemd")]
    user: Option<String>,
    /// The HA instance the unit runs
    #[arg(long, short = 'i', value_name = "ID", requires = "systemd")]
    ha_instance: Option<String>,
}

impl Args {
    /// Makes what is missing.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let systemd = if self.systemd {
            let program = std::env::current_exe().map_err(|source| CommandError::File {
                doing: "find",
                path: "this program".into(),
                source,
            })?;
            Some(SystemdRequest { program, user: self.user, ha_id: self.ha_instance })
        } else {
            None
        };
        let request = InitRequest {
            directory: self.directory,
            runtime: self.runtime,
            extensions: self.extensions,
            host: self.host,
            job_name: self.job_name,
            systemd,
        };
        let plan = init::plan(&request).map_err(fault)?;
        if !shell.is_check {
            init::execute(&plan).map_err(fault)?;
        }
        Ok(told(&plan, shell.is_check))
    }
}

fn told(plan: &init::InitPlan, is_check: bool) -> Outcome {
    let mut outcome = Outcome::default();
    let directory = plan.directory.display();
    let typed = place::typed(&plan.directory.display().to_string());
    let mut table = Table::new("", &["what", "path", "mode"]);
    let mut unit = None;
    for step in &plan.steps {
        let (what, path, mode) = match step {
            InitStep::Directory { path, mode } => ("directory", path, mode),
            InitStep::File { path, mode, .. } => ("file", path, mode),
        };
        if path.extension().is_some_and(|extension| extension == "service") {
            unit = Some(path.clone());
        }
        table.row([what.to_owned(), path.display().to_string(), format!("{mode:o}")]);
    }
    let text = match (table.rows.is_empty(), is_check) {
        (true, _) => format!("instance {directory} is there already; nothing is missing"),
        (false, true) => format!("would make instance {directory}"),
        (false, false) => format!("instance {directory} is made"),
    };
    outcome.tables.push(table);
    let next = format!(
        "next: edit {directory}/zowe.yaml, then `tender validate --instance {typed}` and `tender start \
         --instance {typed}`"
    );
    outcome.say(Message::with_id("ZWEL0805I", text).with_hint(next));
    if let Some(unit) = unit {
        let text = format!("the systemd unit is in {}", unit.display());
        let name = unit.file_name().unwrap_or_default().to_string_lossy();
        let (path, name) = (place::typed(&unit.display().to_string()), place::typed(&name));
        let hint = format!("`systemctl link {path}`, then `systemctl enable --now {name}`");
        outcome.say(Message::with_id("ZWEL0806I", text).with_hint(hint));
    }
    outcome.data = serde_json::json!(plan);
    outcome
}

fn fault(fault: InitError) -> CommandError {
    let (id, code, hint) = match &fault {
        InitError::NoRuntime { .. } => {
            ("ZWEL0032E", ReturnCode::Unknown, Some("load a level first, or install the product"))
        }
        InitError::InsideRuntime { .. } => (
            "ZWEL0062E",
            ReturnCode::Refused,
            Some("choose a directory elsewhere: the product may be replaced at any time"),
        ),
        InitError::JobName { .. } => ("ZWEL0035E", ReturnCode::Syntax, None),
        InitError::User { .. } => {
            ("ZWEL0062E", ReturnCode::Unknown, Some("make the user first, or name another one"))
        }
        InitError::Path { .. } => ("ZWEL0062E", ReturnCode::Refused, None),
        _ => ("ZWEL0062E", ReturnCode::Outside, None),
    };
    let mut told = RuntimeFault::new(id, code, "failed to make the instance").because(fault);
    told.hint = hint.map(str::to_owned);
    told.into()
}
