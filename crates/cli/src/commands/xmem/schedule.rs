//! `tender xmem schedule`.

use std::path::PathBuf;

use tender_package::{Message, Outcome, ReturnCode, Table};
use tender_parmlib::schedule::{HostFacts, Remedy, ScheduleItem, apply, check};
use tender_parmlib::{Installation, Member, MemberName, Operands, Settings, UNIT_FILE, UnitFacts};

use super::fault;
use super::places::{Places, Which};
use super::running::Holder;
use crate::commands::Shell;
use crate::error::CommandError;

/// Options of `tender xmem schedule`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
PPT PGMNAME(ZWESIS01) KEY(4) NOSWAP becomes: users of their own, processes that nobody can look into, no core, no new \
privileges, a file system that can only be read (KEY(4)); locked secrets, no swap, killed last (NOSWAP). Ends with 4 \
while something is not so.\n\n\
Examples:\n  tender xmem schedule\n  tender xmem schedule --apply --check\n  tender xmem schedule --apply")]
pub(crate) struct Args {
    /// Make it so where that can be done without a person
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Checks, and with --apply makes it so.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let places = Places::find(shell)?;
        let facts = self.facts(&places)?;
        let items = check(&facts);
        let mut outcome = shown(&items);
        if !self.apply || items.iter().all(|item| item.is_met) {
            return Ok(outcome);
        }
        if shell.is_check {
            outcome.say(Message::with_id("ZWES2111I", "nothing is changed"));
            return Ok(outcome);
        }
        let failed = |cause| fault::install("not everything could be made so", cause);
        let applied = apply(&items, &facts.procedure).map_err(failed)?;
        let items = check(&self.facts(&places)?);
        let mut outcome = shown(&items);
        outcome.data = serde_json::json!({ "items": items, "applied": applied });
        if let Some(drop_in) = &applied.drop_in {
            let text = format!("{} is written; it counts from the next start", drop_in.display());
            outcome.say(Message::with_id("ZWES2131I", text).with_hint("systemctl daemon-reload"));
        }
        if !applied.users.is_empty() {
            let text = format!("users are created: {}", applied.users.join(", "));
            outcome.say(Message::with_id("ZWES2132I", text));
        }
        Ok(outcome)
    }

    fn facts(&self, places: &Places) -> Result<HostFacts, CommandError> {
        let procedure = places.installed.as_ref().map_or_else(
            || PathBuf::from("/etc/systemd/system").join(UNIT_FILE),
            |installed| installed.procedure.clone(),
        );
        let pid = Holder::of(&places.run_of(&self.which.server), &self.which.server).map(|holder| holder.pid);
        let mut facts = HostFacts::look(&procedure, pid)
            .map_err(|cause| fault::install("this machine cannot be looked at", cause))?;
        if let Some(settings) = settings(places) {
            let unit = unit_facts(places.installed.as_ref()).with_settings(&settings);
            facts.written = unit.written;
            facts.is_running_others = unit.is_running_others;
        }
        Ok(facts)
    }
}

fn unit_facts(installed: Option<&Installation>) -> UnitFacts {
    UnitFacts {
        program: installed.map(|installed| installed.loadlib.join("ZWESIS01")).unwrap_or_default(),
        parmlib: installed.map(|installed| installed.parmlib.clone()).unwrap_or_default(),
        suffix: "00".to_owned(),
        home: PathBuf::from("/var/lib/tender"),
        written: Vec::new(),
        is_running_others: false,
        is_inspecting: false,
    }
}

/// Reads the member; without one, or with one that is wrong, nothing depends on it.
fn settings(places: &Places) -> Option<Settings> {
    let name = places.installed.as_ref().map_or("ZWESIP00", |installed| installed.member.as_str());
    let name: MemberName = name.parse().ok()?;
    let member = Member::read(std::slice::from_ref(&places.parmlib), &name).ok()?;
    Some(Settings::from_parameters(Some(&member), &Operands::default()).ok()?.settings)
}

fn shown(items: &[ScheduleItem]) -> Outcome {
    let mut outcome = Outcome { data: serde_json::json!({ "items": items }), ..Outcome::default() };
    let mut table = Table::new("", &["PPT", "what", "wanted", "is", "", "remedy"]);
    for item in items {
        let remedy = match &item.remedy {
            None => String::new(),
            Some(Remedy::Advice(text)) => text.clone(),
            Some(Remedy::UnitLine(line)) => format!("{line} (--apply)"),
            Some(Remedy::CreateUsers(_) | Remedy::OomScore { .. }) => "--apply".to_owned(),
        };
        let state = if item.is_met { "ok" } else { "NO" };
        table.row([
            item.attribute.to_string(),
            item.what.clone(),
            item.wanted.clone(),
            item.found.clone(),
            state.to_owned(),
            remedy,
        ]);
    }
    outcome.tables.push(table);
    let unmet = items.iter().filter(|item| !item.is_met).count();
    if unmet > 0 {
        outcome.say(Message::with_id(
            "ZWES2130W",
            format!("{unmet} of {} are not as they should be", items.len()),
        ));
        outcome.code = outcome.code.max(ReturnCode::Warning);
    }
    outcome
}
