//! `tender diagnose ID`: what a message id means, and what to do.

mod catalogue;

use tender_package::{Outcome, ReturnCode, Table};

use crate::error::{CommandError, RuntimeFault};
use catalogue::{CATALOGUE, Entry};

/// Options of `tender diagnose`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender diagnose ZWEL0030E\n  tender diagnose 157\n  tender diagnose --list\n\n\
                  Capitals, the letters in front and the last letter may be left out."
)]
pub(crate) struct Args {
    /// The id of a message of the launcher, such as ZWEL0030E
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
                "`tender diagnose --list` has those of the launcher; CSM messages say it all themselves",
            )
        })?;
        let mut table = Table::new("", &["message", entry.id]);
        table.row(["it means", entry.meaning]);
        table.row(["to do", entry.action]);
        Ok(Outcome { data: serde_json::json!(entry), tables: vec![table], ..Outcome::default() })
    }
}

fn listed() -> Outcome {
    let mut table = Table::new("", &["id", "meaning"]);
    for entry in CATALOGUE {
        table.row([entry.id, entry.meaning]);
    }
    Outcome { data: serde_json::json!(CATALOGUE), tables: vec![table], ..Outcome::default() }
}

/// Finds an id, however it is written: whole, without its severity, or its number alone.
fn find(asked: &str) -> Option<&'static Entry> {
    let upper = asked.trim().to_ascii_uppercase();
    let number = upper.trim_start_matches("ZWEL").trim_end_matches(['I', 'W', 'E']);
    let number: u16 = number.parse().ok()?;
    let stem = format!("ZWEL{number:04}");
    let of_number = |entry: &&Entry| entry.id.starts_with(&stem);
    // A number may have several letters; the one asked for goes first.
    let exact = CATALOGUE.iter().find(|entry| entry.id == upper);
    exact.or_else(|| CATALOGUE.iter().rev().find(of_number))
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
        assert!(find("ZWEL9999E").is_none() && find("x").is_none());
    }

    #[test]
    fn every_id_is_there_once_and_in_order() {
        let ids: Vec<&str> = CATALOGUE.iter().map(|entry| entry.id).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        let mut once = ids.clone();
        once.dedup();
        assert_eq!(once, ids);
    }
}
