//! Places where a test may kill the executor, to show that the next one goes on rightly.
//!
//! When the environment variable `TENDER_FAULT` names a point, the process kills itself there with SIGKILL: no
//! destructor runs and nothing is flushed, as when the power fails. `name:3` means the third time it comes by.

use std::sync::atomic::{AtomicU32, Ordering};

/// The verbs and the labels of their steps; those that undo begin with `undo.`.
const VERBS: [(&str, &[&str]); 8] = [
    (
        "load",
        &["stage", "apply", "materialise", "verify", "base", "record", "slot", "collect", "undo.collect"],
    ),
    ("unload", &["slot", "collect"]),
    (
        "put2prod",
        &[
            "validate",
            "previous",
            "switch",
            "clear",
            "restart",
            "collect",
            "undo.switch",
            "undo.previous",
            "undo.clear",
            "undo.restart",
        ],
    ),
    (
        "fallback",
        &[
            "materialise",
            "validate",
            "switch",
            "previous",
            "restart",
            "undo.switch",
            "undo.previous",
            "undo.restart",
        ],
    ),
    ("servcheck", &[]),
    ("managed", &["state"]),
    ("enter", &["state"]),
    ("leave", &["state"]),
];

/// Lists every point, so that a test can drive each: before the first step (`planned`), after the effect of a step
/// but before its journal entry (`.done`), after the entry, and after the result was written (`result`).
#[must_use]
pub fn points() -> Vec<String> {
    let mut points = Vec::new();
    for (verb, labels) in VERBS {
        points.push(format!("{verb}.planned"));
        for label in labels {
            points.push(format!("{verb}.{label}.done"));
            points.push(format!("{verb}.{label}"));
        }
        points.push(format!("{verb}.result"));
    }
    points
}

/// Kills the process when the environment names this point; does nothing otherwise.
pub(crate) fn point(name: &str) {
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let Ok(wanted) = std::env::var("TENDER_FAULT") else { return };
    let (wanted, nth) = match wanted.rsplit_once(':') {
        Some((wanted, nth)) => (wanted.to_owned(), nth.parse().unwrap_or(1)),
        None => (wanted, 1),
    };
    if wanted == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == nth {
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::KILL)
            .expect("a process may always signal itself");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn points_are_named_once_each() {
        let points = super::points();
        let unique: std::collections::BTreeSet<_> = points.iter().collect();
        assert_eq!(unique.len(), points.len());
        assert!(points.contains(&"put2prod.switch".to_owned()));
    }
}
