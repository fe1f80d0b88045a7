//! `tender xmem apf check`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tender_package::{Message, Outcome, ReturnCode, Table};
use tender_parmlib::{AuthorisedList, ModuleError, ModuleName, Purpose};

use super::{Which, add::modules_in, read};
use crate::commands::Shell;
use crate::commands::xmem::places::Places;
use crate::error::{CommandError, RuntimeFault};

/// Options of `tender xmem apf check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends with 0 when every module on the list is there and would be run; 32 when one is another \
                        program than the list says; 16 when one could be changed by others; 28 when one is missing.\n\n\
                        Example:\n  tender xmem apf check /usr/lib/tender/xmem"
)]
pub(crate) struct Args {
    /// Directories of modules; the load library that was installed when left out
    #[arg(value_name = "LOADLIB")]
    loadlibs: Vec<PathBuf>,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Compares.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let path = self.which.path(shell)?;
        let list = read(&path)?;
        let loadlibs = self.loadlibs(shell)?;
        let mut outcome = Outcome::default();
        let mut table = Table::new("", &["module", "purpose", "state", "where"]);
        let mut rows = Vec::new();
        let listed: BTreeSet<(ModuleName, Purpose)> =
            list.modules().map(|module| (module.name.clone(), module.purpose)).collect();
        for (name, purpose) in &listed {
            let (state, found) = judge(&list, &loadlibs, name, *purpose, &mut outcome);
            table.row([name.to_string(), purpose.to_string(), state.to_owned(), found.clone()]);
            rows.push(serde_json::json!({ "name": name, "purpose": purpose, "state": state, "path": found }));
        }
        for file in loadlibs.iter().filter(|loadlib| loadlib.is_dir()).map(|loadlib| modules_in(loadlib)) {
            for file in file? {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if !listed.iter().any(|(listed, _)| listed.as_str() == name) {
                    let found = file.display().to_string();
                    table.row([name.clone(), "-".to_owned(), "NOT LISTED".to_owned(), found.clone()]);
                    rows.push(serde_json::json!({ "name": name, "state": "NOT LISTED", "path": found }));
                }
            }
        }
        outcome.tables.push(table);
        outcome.data = serde_json::json!({ "list": path, "modules": rows });
        Ok(outcome)
    }

    fn loadlibs(&self, shell: &Shell) -> Result<Vec<PathBuf>, CommandError> {
        if self.loadlibs.is_empty() {
            let Some(installed) = Places::find(shell)?.installed else {
                let text = "nothing was installed here, so nobody knows where modules are";
                return Err(RuntimeFault::new("ZWES2105E", ReturnCode::Syntax, text)
                    .with_hint("name the directory of modules: tender xmem apf check LOADLIB")
                    .into());
            };
            return Ok(vec![installed.loadlib]);
        }
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).map_err(|source| CommandError::File {
                doing: "find the place of",
                path: path.clone(),
                source,
            })
        };
        self.loadlibs.iter().map(absolute).collect()
    }
}

/// Does what the server does before it runs a module, and says what came of it.
fn judge(
    list: &AuthorisedList,
    loadlibs: &[PathBuf],
    name: &ModuleName,
    purpose: Purpose,
    outcome: &mut Outcome,
) -> (&'static str, String) {
    let fault = match list.open_verified(loadlibs, name, purpose) {
        Ok(module) => return ("OK", module.path.display().to_string()),
        Err(fault) => fault,
    };
    let (state, code) = match &fault {
        ModuleError::NotFound { .. } => ("MISSING", ReturnCode::Unknown),
        ModuleError::Mismatch { .. } => ("CHANGED", ReturnCode::Integrity),
        ModuleError::Io { .. } | ModuleError::TooLarge { .. } => ("UNREADABLE", ReturnCode::Outside),
        _ => ("UNSAFE", ReturnCode::Refused),
    };
    outcome.say(Message::with_id("ZWES2124W", tender_http::chain(&fault)));
    outcome.code = outcome.code.max(code);
    (state, String::new())
}
