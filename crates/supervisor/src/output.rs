//! What components print: framed in lines, stamped, kept in files and, the last of it, in memory.

pub mod history;
pub(crate) mod lines;
pub(crate) mod log_file;
pub(crate) mod notable;
pub(crate) mod tail;

use std::path::Path;

use regex_lite::Regex;

use crate::clock;
use lines::Framer;
use log_file::{LogFile, Written};
use notable::Notable;
use tail::Tail;

/// The output of one component.
#[derive(Debug)]
pub(crate) struct Output {
    framer: Framer,
    /// The line that is not complete can be shown as it is, so far.
    is_rest_plain: bool,
    file: LogFile,
    tail: Tail,
}

/// How a batch of output is treated.
#[derive(Debug)]
pub(crate) struct Treatment<'t> {
    pub(crate) name: &'t str,
    pub(crate) pid: i32,
    pub(crate) is_json: bool,
    pub(crate) wall_ms: i64,
    /// Makes a component ready, while it is STARTING.
    pub(crate) ready: Option<&'t Regex>,
    pub(crate) notable: &'t Notable,
    /// Somebody follows: lines are wanted.
    pub(crate) is_followed: bool,
}

/// What came of a batch.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) is_ready: bool,
    pub(crate) notable: Vec<String>,
    pub(crate) lines: Vec<String>,
    pub(crate) written: Option<Written>,
}

/// How much care lines need.
#[derive(Debug, Clone, Copy)]
struct Care {
    /// They can be shown as they are.
    is_plain: bool,
    /// Somebody may want to know of them.
    is_looked_at: bool,
}

impl Treatment<'_> {
    /// Says whether bytes have something notable in them.
    fn is_notable(&self, bytes: &[u8]) -> bool {
        self.notable.is_in(bytes)
    }
}

impl Taken {
    fn look_at(&mut self, line: &[u8], treatment: &Treatment<'_>) {
        if let Some(pattern) = treatment.ready {
            self.is_ready |= pattern.is_match(&String::from_utf8_lossy(line));
        }
        if treatment.is_notable(line) {
            self.notable.push(lines::visible(line));
        }
        if treatment.is_followed {
            self.lines.push(lines::visible(line));
        }
    }
}

/// Bytes of a piece of output, or its end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece<'b> {
    Bytes(&'b [u8]),
    /// Nothing follows: what is left is a line.
    End,
}

impl Output {
    pub(crate) fn new(path: &Path, settings: &crate::plan::LogSettings) -> Self {
        Self {
            framer: Framer::new(settings.line_bytes),
            is_rest_plain: true,
            file: LogFile::new(path, settings.rotate_bytes, settings.keep),
            tail: Tail::new(),
        }
    }

    /// Takes a piece of output; `batch` is a buffer that many share.
    pub(crate) fn take(&mut self, piece: Piece<'_>, treatment: &Treatment<'_>, batch: &mut Vec<u8>) -> Taken {
        let mut taken = Taken::default();
        batch.clear();
        let prefix = prefix(treatment);
        let lines = match piece {
            Piece::Bytes(bytes) => self.take_bytes(bytes, &prefix, treatment, batch, &mut taken),
            Piece::End => {
                let care = Care { is_plain: self.is_rest_plain, is_looked_at: true };
                self.is_rest_plain = true;
                self.write_lines(piece, care, &prefix, treatment, batch, &mut taken)
            }
        };
        if lines > 0 {
            self.tail.take(batch, prefix.len(), treatment.is_json);
            taken.written = self.file.write(batch, lines, treatment.wall_ms);
        }
        taken
    }

    /// Takes bytes: what ends the line that began before them with all care, what follows with no more than it needs.
    ///
    /// Components may print more than anything else here has to do; most of it is plain text that nobody waits for.
    fn take_bytes(
        &mut self,
        bytes: &[u8],
        prefix: &[u8],
        treatment: &Treatment<'_>,
        batch: &mut Vec<u8>,
        taken: &mut Taken,
    ) -> u64 {
        let is_plain = lines::is_plain(bytes);
        let begun = match memchr::memchr(b'\n', bytes) {
            _ if self.framer.is_empty() => 0,
            Some(at) => at + 1,
            None => bytes.len(),
        };
        let (first, rest) = bytes.split_at(begun);
        let mut lines = 0;
        if begun > 0 {
            let care = Care { is_plain: is_plain && self.is_rest_plain, is_looked_at: true };
            lines += self.write_lines(Piece::Bytes(first), care, prefix, treatment, batch, taken);
            self.is_rest_plain &= is_plain;
        }
        if !rest.is_empty() {
            let is_looked_at =
                treatment.ready.is_some() || treatment.is_followed || treatment.is_notable(rest);
            let care = Care { is_plain, is_looked_at };
            lines += self.write_lines(Piece::Bytes(rest), care, prefix, treatment, batch, taken);
            self.is_rest_plain = is_plain;
        }
        if self.framer.is_empty() {
            self.is_rest_plain = true;
        }
        lines
    }

    /// Writes lines into a batch and returns how many.
    fn write_lines(
        &mut self,
        piece: Piece<'_>,
        care: Care,
        prefix: &[u8],
        treatment: &Treatment<'_>,
        batch: &mut Vec<u8>,
        taken: &mut Taken,
    ) -> u64 {
        let mut lines = 0;
        if care.is_plain && !care.is_looked_at && !treatment.is_json {
            // The way of a flood: nothing is decided line by line.
            self.framer.feed(piece, &mut |line| {
                lines += 1;
                write_plain(batch, prefix, line);
            });
            return lines;
        }
        self.framer.feed(piece, &mut |line| {
            lines += 1;
            write_line(batch, prefix, line, care.is_plain, treatment.is_json);
            if care.is_looked_at {
                taken.look_at(line, treatment);
            }
        });
        lines
    }

    /// Returns the last lines.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.tail.lines()
    }

    /// Returns its log file.
    pub(crate) fn file(&self) -> &LogFile {
        &self.file
    }

    pub(crate) fn file_mut(&mut self) -> &mut LogFile {
        &mut self.file
    }
}

/// Returns what stands before each line: `2026-11-20 16:17:55.123 <redis:4711> `, or the beginning of a JSON object.
fn prefix(treatment: &Treatment<'_>) -> Vec<u8> {
    let stamp = clock::stamp(treatment.wall_ms);
    if treatment.is_json {
        let name = serde_json::to_string(treatment.name).expect("a string is JSON");
        let stamp = stamp.replace(' ', "T");
        return format!("{{\"at\":\"{stamp}Z\",\"component\":{name},\"pid\":{},\"text\":", treatment.pid)
            .into_bytes();
    }
    format!("{stamp} <{}:{}> ", treatment.name, treatment.pid).into_bytes()
}

#[inline]
fn write_plain(batch: &mut Vec<u8>, prefix: &[u8], line: &[u8]) {
    batch.reserve(prefix.len() + line.len() + 1);
    batch.extend_from_slice(prefix);
    batch.extend_from_slice(line);
    batch.push(b'\n');
}

fn write_line(batch: &mut Vec<u8>, prefix: &[u8], line: &[u8], is_plain: bool, is_json: bool) {
    if is_json {
        batch.extend_from_slice(prefix);
        let text = String::from_utf8_lossy(line);
        serde_json::to_writer(&mut *batch, &text).expect("a string is JSON, and memory takes it");
        batch.extend_from_slice(b"}\n");
    } else if is_plain {
        write_plain(batch, prefix, line);
    } else {
        batch.extend_from_slice(prefix);
        lines::write_visible(batch, line);
        batch.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn treatment(notable: &Notable, is_json: bool) -> Treatment<'_> {
        let name = "redis";
        Treatment { name, pid: 7, is_json, wall_ms: 0, ready: None, notable, is_followed: true }
    }

    #[test]
    fn output_is_stamped_escaped_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("redis.log");
        let mut output = Output::new(&path, &crate::plan::LogSettings::default());
        let mut batch = Vec::new();
        let notable = Notable::new(&["UP".to_owned()]);
        let treatment = treatment(&notable, false);
        let taken = output.take(Piece::Bytes(b"one\nis U"), &treatment, &mut batch);
        assert_eq!((taken.lines, taken.notable.len()), (vec!["one".to_owned()], 0));
        let taken = output.take(Piece::Bytes(b"P \x1b[1m\xff\nlast"), &treatment, &mut batch);
        assert_eq!(taken.notable, ["is UP \\x1b[1m\\xff"]);
        assert_eq!(output.take(Piece::End, &treatment, &mut batch).lines, ["last"]);
        let text = std::fs::read_to_string(&path).unwrap();
        let at = "1970-01-01 00:00:00.000 <redis:7>";
        assert_eq!(text, format!("{at} one\n{at} is UP \\x1b[1m\\xff\n{at} last\n"));
        assert_eq!(output.last_lines(), ["one", "is UP \\x1b[1m\\xff", "last"]);
    }

    #[test]
    fn output_whose_line_began_with_control_characters_is_escaped_wherever_it_is_cut() {
        let text = b"\x1b[31mred and a long way to the end\nplain\nb\x07ell\n";
        for at in 0..text.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("redis.log");
            let mut output = Output::new(&path, &crate::plan::LogSettings::default());
            let mut batch = Vec::new();
            let notable = Notable::default();
            let treatment = Treatment { is_followed: false, ..treatment(&notable, false) };
            for piece in [&text[..at], &text[at..]] {
                output.take(Piece::Bytes(piece), &treatment, &mut batch);
            }
            let written = std::fs::read(&path).unwrap();
            assert!(!written.contains(&0x1b) && !written.contains(&7), "cut at {at}");
            let expected = ["\\x1b[31mred and a long way to the end", "plain", "b\\x07ell"];
            assert_eq!(output.last_lines(), expected, "cut at {at}");
        }
    }

    #[test]
    fn notable_line_is_found_wherever_it_is_cut() {
        let text = b"one\ntwo UP and on\nthree\n";
        for at in 0..text.len() {
            let dir = tempfile::tempdir().unwrap();
            let mut output = Output::new(&dir.path().join("redis.log"), &crate::plan::LogSettings::default());
            let notable = Notable::new(&["UP".to_owned()]);
            let treatment = Treatment { is_followed: false, ..treatment(&notable, false) };
            let mut found = Vec::new();
            for piece in [&text[..at], &text[at..]] {
                found.extend(output.take(Piece::Bytes(piece), &treatment, &mut Vec::new()).notable);
            }
            assert_eq!(found, ["two UP and on"], "cut at {at}");
        }
    }

    #[test]
    fn output_as_json_is_one_object_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("redis.log");
        let mut output = Output::new(&path, &crate::plan::LogSettings::default());
        let notable = Notable::default();
        output.take(Piece::Bytes(b"say \"hi\"\x01\n"), &treatment(&notable, true), &mut Vec::new());
        let text = std::fs::read_to_string(&path).unwrap();
        let object: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(object["text"], "say \"hi\"\u{1}");
        assert_eq!(object["at"], "1970-01-01T00:00:00.000Z");
        assert_eq!(output.last_lines(), ["say \"hi\"\u{1}"]);
    }
}
