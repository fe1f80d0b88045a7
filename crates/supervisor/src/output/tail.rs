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
    /// Where the last lines of the current batch stand in it.
    marks: VecDeque<(usize, usize)>,
}

impl Tail {
    pub(crate) fn new() -> Self {
        Self { lines: VecDeque::new(), marks: VecDeque::new() }
    }

    pub(crate) fn begin_batch(&mut self) {
        self.marks.clear();
    }

    /// Notes where a line stands; only the last few of a batch are looked at in the end.
    pub(crate) fn note(&mut self, from: usize, to: usize) {
        if self.marks.len() == LINES_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back((from, to));
    }

    pub(crate) fn end_batch(&mut self, batch: &[u8], is_json: bool) {
        for (from, to) in std::mem::take(&mut self.marks) {
            let bytes = batch.get(from..to).unwrap_or_default();
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
        for number in 0..30 {
            tail.begin_batch();
            let batch = format!("{number}\n");
            tail.note(0, batch.len() - 1);
            tail.end_batch(batch.as_bytes(), false);
        }
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[0].as_str(), lines[19].as_str()), (LINES_MAX, "10", "29"));
    }

    #[test]
    fn tail_of_a_long_line_is_cut_between_characters() {
        assert_eq!(cut(&"ä".repeat(300)).len(), LINE_BYTES_MAX);
        assert_eq!(cut(&format!("x{}", "ä".repeat(300))).len(), LINE_BYTES_MAX - 1);
    }
}
