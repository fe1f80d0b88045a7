//! `tender diagnose ID`: what a message id means, and what to do.

mod entry;
mod launcher;
mod mediation;

use tender_package::{Outcome, ReturnCode, Table};

use crate::error::{CommandError, RuntimeFault};
use entry::Entry;
use launcher::LAUNCHER;
use mediation::MEDIATION;

/// Options of `tender diagnose`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender diagnose ZWEL0030E\n  tender diagnose zweag708\n  tender diagnose 157\n  \
                  tender diagnose --list\n\nCapitals and the last letter may be left out; a number alone is one of the \
                  launcher's."
)]
pub(crate) struct Args {
    /// The id of a message of the launcher or of the mediation layer, such as ZWEL0030E
    #[arg(value_name = "ID", required_unless_present = "list")]
    id: Option<String>,
    /// List every id that is known
    #[arg(long, conflicts_with = "id")]
    list: bool,
}

impl Args {
    /// Explains an id, or lists them.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        let Some(asked) = self.id else { return Ok(listed()) };
        let entry = find(&asked).ok_or_else(|| {
            let text = format!("there is no message {asked}");
            RuntimeFault::new("ZWEL0102E", ReturnCode::Unknown, text).with_hint(
                "`tender diagnose --list` has those of the launcher and the mediation layer; CSM messages say it all themselves",
            )
        })?;
        let mut table = Table::new("", &["message", entry.id]);
        table.row(["it means", entry.meaning]);
        table.row(["to do", entry.action]);
        Ok(Outcome { data: serde_json::json!(entry), tables: vec![table], ..Outcome::default() })
    }
}

/// Every message that is explained, in order of their ids.
fn catalogue() -> impl DoubleEndedIterator<Item = &'static Entry> {
    MEDIATION.iter().chain(LAUNCHER)
}

fn listed() -> Outcome {
    let mut table = Table::new("", &["id", "meaning"]);
    for entry in catalogue() {
        table.row([entry.id, entry.meaning]);
    }
    let entries: Vec<_> = catalogue().collect();
    Outcome { data: serde_json::json!(entries), tables: vec![table], ..Outcome::default() }
}

/// Finds an id, however it is written: whole, without its severity, or, for the launcher's, its number alone.
fn find(asked: &str) -> Option<&'static Entry> {
    let upper = asked.trim().to_ascii_uppercase();
    let stem = upper.trim_end_matches(['I', 'W', 'E']);
    let (range, number) = stem.split_at(stem.find(|letter: char| letter.is_ascii_digit())?);
    let stem = match range {
        "" | "ZWEL" => format!("ZWEL{:04}", number.parse::<u16>().ok()?),
        _ => stem.to_owned(),
    };
    let of_stem = |entry: &&Entry| entry.id.strip_prefix(stem.as_str()).is_some_and(|rest| rest.len() == 1);
    // A number may have several letters; the one asked for goes first.
    let exact = catalogue().find(|entry| entry.id == upper);
    exact.or_else(|| catalogue().rev().find(of_stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_found_in_every_spelling() {
        for asked in ["ZWEL0157E", "zwel0157e", "ZWEL0157", "0157", "157"] {
            assert_eq!(find(asked).map(|entry| entry.id), Some("ZWEL0157E"), "{asked}");
        }
        assert_eq!(find("ZWEL0054W").map(|entry| entry.id), Some("ZWEL0054W"));
        for asked in ["ZWEAG708E", "zweag708", "ZWEAG708"] {
            assert_eq!(find(asked).map(|entry| entry.id), Some("ZWEAG708E"), "{asked}");
        }
        for asked in ["ZWEL9999E", "x", "", "ZWEAG70", "ZWEAM0"] {
            assert!(find(asked).is_none(), "{asked}");
        }
    }

    #[test]
    fn every_id_is_there_once_and_in_order() {
        let ids: Vec<&str> = catalogue().map(|entry| entry.id).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        let mut once = ids.clone();
        once.dedup();
        assert_eq!(once, ids);
    }

    /// Ids of a range that source code says.
    fn said(range: &str, text: &str) -> Vec<String> {
        let is_id = |id: &&str| {
            let number = &id[range.len()..id.len() - 1];
            number.bytes().all(|byte| byte.is_ascii_digit()) && id.ends_with(['I', 'W', 'E'])
        };
        let places = text.match_indices(range).filter_map(|(at, _)| text.get(at..at + range.len() + 4));
        places.filter(is_id).map(str::to_owned).collect()
    }

    #[test]
    fn every_id_that_the_mediation_layer_says_is_explained() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut directories: Vec<_> = ["http", "mediation", "gateway", "cache", "catalog", "cli"]
            .map(|name| crates.join(name).join("src"))
            .to_vec();
        let mut count = 0;
        while let Some(directory) = directories.pop() {
            for found in std::fs::read_dir(directory).unwrap() {
                let path = found.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for range in ["ZWEAC", "ZWEAD", "ZWEAG", "ZWEAM", "ZWEAO", "ZWEAS", "ZWEAT", "ZWECS"] {
                    for id in said(range, &text) {
                        assert!(catalogue().any(|entry| entry.id == id), "{id} of {}", path.display());
                        count += 1;
                    }
                }
            }
        }
        assert!(count > 100, "{count}");
    }
}
