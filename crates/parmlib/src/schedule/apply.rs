//! Making it so.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::host::{StartProcedure, drop_in_directory};
use super::{Applied, Remedy, ScheduleItem};
use crate::install::{InstallError, create_accounts};

/// The drop-in that is written; numbers below are left to the administrator, and those above win over it.
const DROP_IN: &str = "50-tender-schedule.conf";

/// Carries the remedies of unmet items out, but for those that only a person can. What holds already is left alone.
pub fn apply(items: &[ScheduleItem], procedure: &StartProcedure) -> Result<Applied, InstallError> {
    let mut applied = Applied::default();
    let mut lines = BTreeSet::new();
    for remedy in items.iter().filter_map(|item| item.remedy.as_ref()) {
        match remedy {
            Remedy::CreateUsers(names) => {
                create_accounts(names, None)?;
                applied.users.clone_from(names);
            }
            Remedy::UnitLine(line) => {
                lines.insert(line.as_str());
            }
            Remedy::OomScore { pid, score } => {
                let path = PathBuf::from(format!("/proc/{pid}/oom_score_adj"));
                std::fs::write(&path, score.to_string())
                    .map_err(|fault| InstallError::io("write", &path, fault))?;
                applied.processes.push(*pid);
            }
            Remedy::Advice(_) => {}
        }
    }
    if let StartProcedure::Unit { path, .. } = procedure
        && !lines.is_empty()
    {
        applied.drop_in = Some(write_drop_in(path, &lines)?);
    }
    Ok(applied)
}

/// Adds lines to the drop-in; those that it has already stay, but for those of the same key.
fn write_drop_in(unit: &Path, lines: &BTreeSet<&str>) -> Result<PathBuf, InstallError> {
    let directory = drop_in_directory(unit);
    std::fs::create_dir_all(&directory).map_err(|fault| InstallError::io("make", &directory, fault))?;
    let path = directory.join(DROP_IN);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let key = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
    let is_list = |line: &str| line.starts_with("ReadWritePaths=");
    let is_replaced = |line: &str| {
        lines.contains(line) || (!is_list(line) && lines.iter().any(|new| key(new) == key(line)))
    };
    let mut text = "# Written by `tender xmem schedule --apply`.\n[Service]\n".to_owned();
    let kept =
        before.lines().filter(|line| line.contains('=') && !line.starts_with('#') && !is_replaced(line));
    for line in kept.chain(lines.iter().copied()) {
        text.push_str(line);
        text.push('\n');
    }
    let staged = directory.join(format!(".{DROP_IN}.tender-new"));
    let written = File::create(&staged).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&staged, &path)?;
        File::open(&directory)?.sync_all()
    });
    written.map_err(|fault| InstallError::io("write", &path, fault))?;
    Ok(path)
}
