//! Every place where a test may kill the executor, to show that the next one goes on rightly.

pub(crate) use tender_content::fault::point;

/// The verbs and the labels of their steps; those that undo begin with `undo.`.
const VERBS: [(&str, &[&str]); 9] = [
    (
        "load",
        &[
            "stage",
            "apply",
            "materialise",
            "verify",
            "base",
            "record",
            "slot",
            "test-run",
            "state",
            "collect",
            "undo.collect",
        ],
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
            "state",
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
            "record",
            "materialise",
            "validate",
            "switch",
            "previous",
            "clear",
            "restart",
            "state",
            "undo.switch",
            "undo.previous",
            "undo.clear",
            "undo.restart",
        ],
    ),
    ("servcheck", &["state"]),
    ("managed", &["seal", "state", "open"]),
    ("exception", &["state", "record"]),
    ("enter", &["state"]),
    ("leave", &["state"]),
];

/// Points of what people do on the system itself, outside any request.
const LOCAL: [(&str, &[&str]); 2] = [
    ("import", &["parts", "tree", "synced", "record", "audit"]),
    ("adopt", &["parts", "tree", "synced", "directory", "record", "switch", "audit"]),
];

/// Lists every point of taking in a BASE and of adopting a directory, each after the step it is named by.
#[must_use]
pub fn local_points() -> Vec<String> {
    let points =
        LOCAL.iter().flat_map(|(what, labels)| labels.iter().map(move |label| format!("{what}.{label}")));
    points.collect()
}

/// Lists every point of the executor, so that a test can drive each: before the first step (`planned`), after the effect of a step
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

#[cfg(test)]
mod tests {
    #[test]
    fn points_are_named_once_each() {
        let points = [super::points(), super::local_points()].concat();
        let unique: std::collections::BTreeSet<_> = points.iter().collect();
        assert_eq!(unique.len(), points.len());
        assert!(points.contains(&"put2prod.switch".to_owned()));
    }
}
