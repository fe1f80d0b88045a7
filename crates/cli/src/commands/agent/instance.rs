//! `tender agent instance`: which instances follow the slots of this managed system.

use std::path::{Path, PathBuf};

use tender_agent::Home;
use tender_agent::slots::Slot;
use tender_package::{Message, Outcome, ReturnCode, Severity, Table};

use super::{Shell, failed, open};
use crate::activation::settings::{Bound, Settings};
use crate::commands::status::amounts;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::Which;

/// Options of `tender agent instance`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender agent instance\n  tender agent instance --production /srv/tender/prod --ready-limit 90s\n  \
                  tender agent instance --test /srv/tender/test\n  tender agent instance --remove\n\n\
                  PUT2PROD then validates and configures the production instance under the new level, switches, \
                  restarts what changed and goes back when it does not become ready in time. SEND (TEST starts the \
                  test instance on the new level and tells the principal what it showed."
)]
pub(crate) struct Args {
    /// The instance that runs slot `current`
    #[arg(long, value_name = "DIR")]
    production: Option<PathBuf>,
    /// Its HA instance on this host
    #[arg(long, value_name = "ID", requires = "production")]
    production_ha: Option<String>,
    /// The instance that runs slot `test`; it needs ports and a workspace of its own
    #[arg(long, value_name = "DIR")]
    test: Option<PathBuf>,
    /// Its HA instance on this host
    #[arg(long, value_name = "ID", requires = "test")]
    test_ha: Option<String>,
    /// How long components may take until they are ready, such as 90s or 5min
    #[arg(long, value_name = "TIME", value_parser = amounts::parse_time_ms)]
    ready_limit: Option<u64>,
    /// Whether the test instance goes on running after its test
    #[arg(long, value_name = "YES|NO", value_parser = yes_or_no)]
    keep_test: Option<bool>,
    /// Let no instance follow the slots
    #[arg(long, conflicts_with_all = ["production", "test", "ready_limit", "keep_test"])]
    remove: bool,
}

fn yes_or_no(word: &str) -> Result<bool, String> {
    match word.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("it is yes or no".to_owned()),
    }
}

impl Args {
    /// Writes the settings down, or shows them.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let home = open(shell)?;
        let before = Settings::read(home.root())
            .map_err(failed("read which instances follow the slots", ReturnCode::Outside))?;
        let after = self.applied_to(before.clone().unwrap_or_default())?;
        let mut outcome = shown(&after);
        for (slot, bound) in [(Slot::Current, &after.production), (Slot::Test, &after.test)] {
            if let Some(stray) = bound.as_ref().and_then(|bound| stray(&home, slot, bound)) {
                outcome.say(stray);
            }
        }
        if before.as_ref() == Some(&after) || (before.is_none() && after == Settings::default()) {
            return Ok(outcome);
        }
        if shell.is_check {
            outcome.say(Message::csm(87, Severity::I, "this is how it would be; nothing was changed"));
            return Ok(outcome);
        }
        after
            .write(home.root())
            .map_err(failed("write which instances follow the slots", ReturnCode::Outside))?;
        outcome.say(Message::csm(88, Severity::I, "it holds from the next request on"));
        Ok(outcome)
    }

    fn applied_to(self, mut settings: Settings) -> Result<Settings, CommandError> {
        if self.remove {
            return Ok(Settings::default());
        }
        if let Some(directory) = self.production {
            settings.production = Some(bound(&directory, self.production_ha)?);
        }
        if let Some(directory) = self.test {
            settings.test = Some(bound(&directory, self.test_ha)?);
        }
        settings.ready_limit_ms = self.ready_limit.unwrap_or(settings.ready_limit_ms);
        settings.is_test_kept = self.keep_test.unwrap_or(settings.is_test_kept);
        let same = matches!((&settings.production, &settings.test), (Some(production), Some(test)) if production.directory == test.directory);
        if same {
            let text = "production and test cannot be the same instance";
            return Err(RuntimeFault::new("CSM0070E", ReturnCode::Refused, text)
                .with_hint("make another one for tests with `tender instance init`: own ports, own workspace")
                .into());
        }
        Ok(settings)
    }
}

fn bound(directory: &Path, ha_instance: Option<String>) -> Result<Bound, CommandError> {
    let which =
        Which { instance: Some(directory.to_owned()), config: None, ha_instance: ha_instance.clone() };
    let directory = which.directory()?;
    which.check_ha_instance()?;
    let directory = directory.canonicalize().map_err(|source| CommandError::File {
        doing: "find",
        path: directory.clone(),
        source,
    })?;
    Ok(Bound { directory, ha_instance })
}

/// Warns of an instance that runs something else than the slot it is to follow: a switch would change nothing for it.
fn stray(home: &Home, slot: Slot, bound: &Bound) -> Option<Message> {
    let instance = bound.directory.clone();
    let which = Which { instance: Some(instance), config: None, ha_instance: bound.ha_instance.clone() };
    // One that cannot be read yet says nothing about it.
    let runtime = which.load().ok()?.instance.runtime_directory()?;
    let link = home.slot_link(slot);
    let place = |path: &Path| Some((path.parent()?.canonicalize().ok()?, path.file_name()?.to_owned()));
    if place(&runtime) == place(&link) {
        return None;
    }
    let text = format!(
        "{} runs {} and not slot {}: switching the slot changes nothing there",
        bound.directory.display(),
        runtime.display(),
        slot.word()
    );
    let hint = format!("set zowe.runtimeDirectory to {}", link.display());
    Some(Message::csm(93, Severity::W, text).with_hint(hint))
}

fn shown(settings: &Settings) -> Outcome {
    let mut outcome = Outcome::default();
    let mut table = Table::new("Instances that follow the slots", &["slot", "instance", "HA instance"]);
    for (slot, bound) in [("current", &settings.production), ("test", &settings.test)] {
        let Some(bound) = bound else { continue };
        let id = bound.ha_instance.clone().unwrap_or_else(|| "-".to_owned());
        table.row([slot.to_owned(), bound.directory.display().to_string(), id]);
    }
    let text = if table.rows.is_empty() {
        "no instance follows the slots: PUT2PROD only switches".to_owned()
    } else {
        let kept = if settings.is_test_kept { "goes on" } else { "is stopped" };
        let limit = amounts::time(settings.ready_limit_ms);
        format!("components have {limit} to become ready; a test instance {kept} after its test")
    };
    outcome.tables.push(table);
    outcome.say(Message::csm(89, Severity::I, text));
    outcome.data = serde_json::json!(settings);
    outcome
}
