//! What may be opened, bound and signalled: landlock, as far as the kernel has it.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::{Level, Mechanism, Report};

/// The newest version of landlock that is asked for; an older kernel does what it can.
const NEWEST: ABI = ABI::V6;

/// What may be reached. Everything else may not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) read: Vec<PathBuf>,
    pub(super) write: Vec<PathBuf>,
    pub(super) execute: Vec<PathBuf>,
    /// `None`: landlock leaves TCP alone.
    pub(super) bind: Option<Vec<u16>>,
    /// Whether processes and abstract sockets outside the box can be signalled and connected to.
    pub(super) outside: bool,
}

impl Reach {
    pub(super) fn apply(&self, report: &mut Report) {
        let level = match self.restrict() {
            Ok((RulesetStatus::FullyEnforced, missing)) if missing.is_empty() => Level::Full,
            Ok((RulesetStatus::NotEnforced, _)) => Level::Missing("the kernel has none".to_owned()),
            Ok((_, missing)) if missing.is_empty() => {
                Level::Partial("the kernel has an older version".to_owned())
            }
            Ok((_, missing)) => Level::Partial(format!("not there: {}", missing.join(", "))),
            Err(error) => Level::Missing(error.to_string()),
        };
        report.note(Mechanism::Landlock, level);
    }

    /// Returns also the paths that do not exist: they are not reachable, which is safe, but somebody expects them.
    fn restrict(&self) -> Result<(RulesetStatus, Vec<String>), RulesetError> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?;
        if self.bind.is_some() {
            ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
        }
        if !self.outside {
            ruleset = ruleset.scope(Scope::from_all(NEWEST))?;
        }
        let mut ruleset = ruleset.create()?;
        let read = AccessFs::from_read(NEWEST) & !BitFlags::from(AccessFs::Execute);
        let lists = [
            (&self.read, read),
            (&self.write, read | AccessFs::from_write(NEWEST)),
            (&self.execute, AccessFs::from_read(NEWEST)),
        ];
        let mut missing = Vec::new();
        for (paths, access) in lists {
            for path in paths {
                let Ok(opened) = PathFd::new(path) else {
                    missing.push(path.display().to_string());
                    continue;
                };
                let access = if is_directory(path) { access } else { access & AccessFs::from_file(NEWEST) };
                ruleset = ruleset.add_rule(PathBeneath::new(opened, access))?;
            }
        }
        for &port in self.bind.iter().flatten() {
            ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
        }
        Ok((ruleset.restrict_self()?.ruleset, missing))
    }
}

fn is_directory(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_dir())
}
