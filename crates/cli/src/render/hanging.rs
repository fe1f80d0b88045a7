//! Tables whose last column would be squeezed or broken in the middle of a word: its words hang below their row instead.
//!
//! ```text
//!  component  state     pid   ports
//!  gateway    STARTING  2699  -
//!             the connection is refused
//! ```

use tender_package::Table;

/// A last column that gets at least so much room stays one.
const COLUMN_MIN: usize = 24;
/// Blanks between two columns.
const GAP: usize = 2;

/// Lays a table out with its last column hanging, or says that it need not be.
///
/// `said` are the columns that say something, `width` what a line may have.
pub(super) fn lines(table: &Table, said: &[usize], width: usize) -> Option<Vec<String>> {
    let (&last, columns) = said.split_last()?;
    let widths: Vec<usize> = columns.iter().map(|at| column_width(table, *at)).collect();
    let taken: usize = 1 + widths.iter().map(|width| width + GAP).sum::<usize>();
    let wanted = column_width(table, last);
    let is_squeezed = taken + COLUMN_MIN > width || taken + longest_word(table, last) > width;
    let fits = taken + wanted <= width;
    if columns.len() < 2 || fits || !is_squeezed || taken > width + GAP {
        return None;
    }
    let indent = 1 + widths.first()? + GAP;
    let row = |cells: &[String]| {
        let cell = |at: &usize| cells.get(*at).map_or("", String::as_str);
        let padded = columns.iter().zip(&widths).map(|(at, width)| format!("{:<width$}", cell(at)));
        let line = format!(" {}", padded.collect::<Vec<_>>().join("  "));
        line.trim_end().to_owned()
    };
    let mut lines = vec![row(&table.header)];
    for cells in &table.rows {
        lines.push(row(cells));
        let words = cells.get(last).map_or("", String::as_str);
        let room = width.saturating_sub(indent).max(COLUMN_MIN);
        lines.extend(wrapped(words, room).map(|line| format!("{:indent$}{line}", "")));
    }
    Some(lines)
}

fn column_width(table: &Table, at: usize) -> usize {
    let cells = table.rows.iter().chain([&table.header]).filter_map(|row| row.get(at));
    cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
}

/// Paths and the like are what one copies; a column of its own would break them.
fn longest_word(table: &Table, at: usize) -> usize {
    let words = table.rows.iter().filter_map(|row| row.get(at)).flat_map(|cell| cell.split_whitespace());
    words.map(|word| word.chars().count()).max().unwrap_or_default()
}

/// Breaks a text between words; a word longer than the room stays whole, so that it can be copied.
fn wrapped(text: &str, room: usize) -> impl Iterator<Item = String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Table {
        let mut table = Table::new("", &["component", "state", "memory", "reason"]);
        table.row([
            "gateway",
            "STARTING",
            "17.0 MiB",
            "the connection is refused: Connection refused (os error 111)",
        ]);
        table.row(["redis", "READY", "1.0 MiB", ""]);
        table
    }

    #[test]
    fn squeezed_last_column_hangs_below_its_row() {
        let lines = lines(&status(), &[0, 1, 2, 3], 50).unwrap();
        assert_eq!(
            lines,
            [
                " component  state     memory",
                " gateway    STARTING  17.0 MiB",
                "            the connection is refused: Connection",
                "            refused (os error 111)",
                " redis      READY     1.0 MiB",
            ]
        );
    }

    #[test]
    fn path_that_its_column_would_break_hangs_whole() {
        let mut table = Table::new("", &["component", "version", "directory"]);
        table.row(["gateway", "1.0.0", "/opt/product/releases/2026-11/components/gateway"]);
        let lines = lines(&table, &[0, 1, 2], 60).unwrap();
        assert_eq!(lines[2], "            /opt/product/releases/2026-11/components/gateway");
    }

    #[test]
    fn column_with_room_and_table_of_pairs_stay_as_they_are() {
        assert_eq!(lines(&status(), &[0, 1, 2, 3], 120), None);
        assert_eq!(lines(&status(), &[0, 1, 2, 3], 60), None, "a column of its own is readable there");
        assert_eq!(lines(&status(), &[0, 3], 20), None, "nothing would hang below one column alone");
        assert_eq!(lines(&status(), &[0, 1, 2, 3], 20), None, "the rest does not fit either");
    }
}
