//! What components print: framed in lines, stamped, kept in files and, the last of it, in memory.

pub(crate) mod history;
pub(crate) mod lines;
pub(crate) mod log_file;
pub(crate) mod tail;

use std::path::Path;

use memchr::memmem::Finder;
use regex_lite::Regex;

use crate::clock;
use lines::Framer;
use log_file::{LogFile, Written};
use tail::Tail;

/// The output of one component.
#[derive(Debug)]
pub(crate) struct Output {
    framer: Framer,
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
    pub(crate) notable: &'t [Finder<'static>],
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
            file: LogFile::new(path, settings.rotate_bytes, settings.keep),
            tail: Tail::new(),
        }
    }

    /// Takes a piece of output; `batch` is a buffer that many share.
    pub(crate) fn take(&mut self, piece: Piece<'_>, treatment: &Treatment<'_>, batch: &mut Vec<u8>) -> Taken {
        let mut taken = Taken::default();
        batch.clear();
        let is_plain = matches!(piece, Piece::Bytes(bytes) if lines::is_plain(bytes));
        let hits = |bytes: &[u8]| treatment.notable.iter().any(|finder| finder.find(bytes).is_some());
        // Most pieces have nothing notable: asked once a piece, and for the line that began before it.
        let mut is_hit = matches!(piece, Piece::Bytes(bytes) if hits(bytes)) || !self.framer.is_empty();
        if matches!(piece, Piece::End) {
            is_hit = true;
        }
        let prefix = prefix(treatment);
        let mut lines = 0;
        let tail = &mut self.tail;
        tail.begin_batch();
        self.framer.feed(piece, &mut |line| {
            lines += 1;
            let from = batch.len() + prefix.len();
            write_line(batch, &prefix, line, is_plain && !treatment.is_json, treatment.is_json);
            tail.note(from, batch.len() - 1);
            if treatment.ready.is_some() || treatment.is_followed || is_hit {
                let text = String::from_utf8_lossy(line);
                taken.is_ready |= treatment.ready.is_some_and(|regex| regex.is_match(&text));
                if is_hit && hits(line) {
                    taken.notable.push(lines::visible(line));
                }
                if treatment.is_followed {
                    taken.lines.push(lines::visible(line));
                }
            }
        });
        tail.end_batch(batch, treatment.is_json);
        if lines > 0 {
            taken.written = self.file.write(batch, lines);
        }
        taken
    }

    /// Returns the last lines.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.tail.lines()
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

fn write_line(batch: &mut Vec<u8>, prefix: &[u8], line: &[u8], is_plain: bool, is_json: bool) {
    batch.extend_from_slice(prefix);
    if is_json {
        let text = String::from_utf8_lossy(line);
        serde_json::to_writer(&mut *batch, &text).expect("a string is JSON, and memory takes it");
        batch.push(b'}');
    } else if is_plain {
        batch.extend_from_slice(line);
    } else {
        lines::write_visible(batch, line);
    }
    batch.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn treatment<'t>(notable: &'t [Finder<'static>], is_json: bool) -> Treatment<'t> {
        let name = "redis";
        Treatment { name, pid: 7, is_json, wall_ms: 0, ready: None, notable, is_followed: true }
    }

    #[test]
    fn output_is_stamped_escaped_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("redis.log");
        let mut output = Output::new(&path, &crate::plan::LogSettings::default());
        let mut batch = Vec::new();
        let notable = [Finder::new("UP").into_owned()];
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
    fn output_as_json_is_one_object_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("redis.log");
        let mut output = Output::new(&path, &crate::plan::LogSettings::default());
        output.take(Piece::Bytes(b"say \"hi\"\x01\n"), &treatment(&[], true), &mut Vec::new());
        let text = std::fs::read_to_string(&path).unwrap();
        let object: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(object["text"], "say \"hi\"\u{1}");
        assert_eq!(object["at"], "1970-01-01T00:00:00.000Z");
        assert_eq!(output.last_lines(), ["say \"hi\"\u{1}"]);
    }
}
