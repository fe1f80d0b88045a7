//! `tender xmem status`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tender_package::{Outcome, ReturnCode, Table};
use tender_parmlib::ServerName;

use super::places::{Places, server_name};
use super::running::{Answers, Holder, ask};
use super::stop::not_running;
use crate::commands::Shell;
use crate::error::CommandError;

/// How long a server may take to answer.
const PATIENCE_MS: u32 = 2000;

/// Options of `tender xmem status`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "READY takes calls, CLOSED does not take yours, STARTING does not answer yet, STOPPED left its \
                        directory. With a name: 0 when it is READY or CLOSED, 4 when it does not answer, 28 when it \
                        does not run.\n\nExamples:\n  tender xmem status\n  tender xmem status ZWESIS_TEST --json"
)]
pub(crate) struct Args {
    /// Only this server
    #[arg(value_name = "NAME", value_parser = server_name)]
    name: Option<ServerName>,
}

impl Args {
    /// Lists servers.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let places = Places::find(shell)?;
        let servers: Vec<(PathBuf, ServerName)> = match &self.name {
            Some(name) => vec![(places.run_of(name), name.clone())],
            None => all(&places),
        };
        let mut outcome = Outcome::default();
        let mut table = Table::new("", &["server", "state", "process", "since", "version"]);
        let mut rows = Vec::new();
        for (run, name) in &servers {
            let holder = Holder::of(run, name);
            let state = match &holder {
                // Who may not look at the lock can still call.
                None if Holder::is_hidden(run, name) => match ask(run, name, PATIENCE_MS) {
                    Ok(Answers::Ready) => "READY",
                    Ok(Answers::Closed) => "CLOSED",
                    Err(_) => "STOPPED",
                },
                None => "STOPPED",
                Some(_) => match ask(run, name, PATIENCE_MS) {
                    Ok(Answers::Ready) => "READY",
                    Ok(Answers::Closed) => "CLOSED",
                    Err(_) => "STARTING",
                },
            };
            if self.name.is_some() {
                match state {
                    "STOPPED" => return Err(not_running(name)),
                    "STARTING" => outcome.code = ReturnCode::Warning,
                    _ => {}
                }
            }
            let (pid, since, version) = holder
                .as_ref()
                .map(|holder| (holder.pid.to_string(), holder.since.clone(), holder.version.clone()))
                .unwrap_or_default();
            table.row([name.to_string(), state.to_owned(), pid, since, version]);
            rows.push(serde_json::json!({ "server": name, "state": state, "holder": holder, "run": run }));
        }
        outcome.tables.push(table);
        outcome.data = serde_json::json!({ "servers": rows });
        if servers.is_empty() {
            outcome
                .say(tender_package::Message::with_id("ZWES2156I", "no server was started on this machine"));
        }
        Ok(outcome)
    }
}

/// Returns every server that left a directory.
fn all(places: &Places) -> Vec<(PathBuf, ServerName)> {
    let mut found = BTreeSet::new();
    for run in [places.run.as_path(), Path::new("/run/tender/xmem")] {
        // With a directory named, only what is there is meant.
        if run != places.run && std::env::var_os("TENDER_XMEM_RUN").is_some() {
            continue;
        }
        for entry in std::fs::read_dir(run).into_iter().flatten().flatten() {
            if let Some(name) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                found.insert((run.to_owned(), name));
            }
        }
    }
    found.into_iter().collect()
}
