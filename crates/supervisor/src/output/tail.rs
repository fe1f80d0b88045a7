//! The last lines of a component, in memory.

use std::collections::VecDeque;

use super::lines;

const LINES_MAX: usize = 20;
/// A longer line is cut, in bytes.
const LINE_BYTES_MAX: usize = 400;

/// The last lines.
#[derive(Debug)]
pub(crate) struct Tail {
    lines: VecDeque<Box<str>>,
}

impl Tail {
    pub(crate) fn new() -> Self {
        Self { lines: VecDeque::new() }
    }

    /// Takes the last lines of a batch; each has a prefix of this length and an end.
    pub(crate) fn take(&mut self, batch: &[u8], prefix_bytes: usize, is_json: bool) {
        let mut found = [(0, 0); LINES_MAX];
        let mut count = 0;
        let mut to = batch.len().saturating_sub(1);
        while count < LINES_MAX && to > 0 {
            let from = memchr::memrchr(b'\n', &batch[..to]).map_or(0, |at| at + 1);
            found[count] = (from + prefix_bytes, to);
            count += 1;
            to = from.saturating_sub(1);
        }
        for (from, to) in found[..count].iter().rev() {
            let bytes = batch.get(*from..*to).unwrap_or_default();
            let text = if is_json {
                // The value and the bracket that closes the object.
                let value = bytes.strip_suffix(b"}").unwrap_or(bytes);
                serde_json::from_slice::<String>(value).unwrap_or_default()
            } else {
                lines::visible(bytes)
            };
            if self.lines.len() == LINES_MAX {
                self.lines.pop_front();
            }
            self.lines.push_back(cut(&text).into());
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.to_string()).collect()
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=LINE_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_keeps_the_last_lines_over_batches() {
        let mut tail = Tail::new();
        for number in 0..15 {
            tail.take(format!("> {number}\n> {number}b\n").as_bytes(), 2, false);
        }
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[0].as_str(), lines[19].as_str()), (LINES_MAX, "5", "14b"));
    }

    #[test]
    fn tail_of_a_large_batch_is_its_last_lines() {
        let mut tail = Tail::new();
        let batch: String =
            (0..1000).map(|number| format!("> {}\n", if number % 2 == 0 { "" } else { "x" })).collect();
        tail.take(batch.as_bytes(), 2, false);
        assert_eq!(tail.lines().concat(), "x".repeat(10));
        assert_eq!(tail.lines().len(), LINES_MAX);
        tail.take(b"> last\n", 2, false);
        assert_eq!(tail.lines().last().map(String::as_str), Some("last"));
    }

    #[test]
    fn tail_of_a_long_line_is_cut_between_characters() {
        assert_eq!(cut(&"ä".repeat(300)).len(), LINE_BYTES_MAX);
        assert_eq!(cut(&format!("x{}", "ä".repeat(300))).len(), LINE_BYTES_MAX - 1);
    }
}
