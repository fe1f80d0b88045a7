//! The box around a worker: what it is held to, and then `tender-worker` itself.

use std::collections::BTreeMap;

use tender_worker::confine::{Confinement, Identity};
use tender_worker::{Kind, Range, Settings};

use crate::link::RootToWorker;
use crate::role::{self, RoleError};

/// Runs until nobody orders any more.
pub(crate) fn run() -> Result<(), RoleError> {
    let mut root = role::enter()?;
    let mut message = role::first(&mut root)?;
    let RootToWorker::Begin { kind, begin } = message.head()?;
    let orders = message.take_fd()?;
    let kind = Kind::named(&kind).ok_or(RoleError::Order)?;
    let settings = settings(&begin.settings);
    std::fs::write("/proc/self/oom_score_adj", "0").ok();
    let confinement = Confinement::worker(kind, &settings).keep(&orders).keep(&root);
    let confinement = match (begin.run_as.uid, begin.run_as.gid) {
        (Some(uid), Some(gid)) => confinement.identity(Identity { uid, gid, groups: Vec::new() }),
        _ => confinement,
    };
    let report = confinement.apply().map_err(RoleError::Confine)?;
    role::tell_confined(&mut root, report.to_string())?;
    // The root process kills it when it is to end; whoever has its orders closes them before.
    drop(root);
    tender_worker::serve(kind, orders, settings)
        .map_err(|error| std::io::Error::other(role::chain(&error)).into())
}

/// Returns what the member allows workers.
fn settings(from: &crate::settings::Settings) -> Settings {
    let mut settings = Settings::default();
    settings.runas.uids = ranges(&from.runas_uids);
    settings.port.ports = ranges(&from.ports);
    settings.inspect.enabled = from.is_inspect_on;
    // Never the processes of root.
    settings.inspect.uids = vec![Range::new(1, u32::MAX - 1)];
    let roots: BTreeMap<_, _> =
        from.places.iter().flat_map(|(_, roots)| roots).map(|root| (root, ())).collect();
    settings.place.roots = roots.into_keys().cloned().collect();
    if !settings.place.roots.is_empty() {
        settings.place.uids = vec![Range::new(0, 0)];
        settings.place.gids = vec![Range::new(0, 0)];
    }
    settings
}

/// Reads `1-5,7`, which was checked when the member was read.
fn ranges(text: &str) -> Vec<Range> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let range = |word: &str| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some(Range::new(number(first)?, number(last)?))
    };
    text.split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_written() {
        assert_eq!(ranges("1000-1999,2005"), [Range::new(1000, 1999), Range::new(2005, 2005)]);
        assert_eq!(ranges(""), []);
    }
}
