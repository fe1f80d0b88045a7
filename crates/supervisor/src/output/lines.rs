//! Lines out of a stream of bytes.

use std::fmt::Write as _;

use super::Piece;

/// A buffer with more room than this is given back when it is empty.
const ROOM_KEPT: usize = 4 << 10;

/// Makes lines of pieces that end anywhere.
#[derive(Debug)]
pub(crate) struct Framer {
    /// The beginning of a line that is not complete.
    partial: Vec<u8>,
    line_bytes: usize,
}

impl Framer {
    pub(crate) fn new(line_bytes: usize) -> Self {
        Self { partial: Vec::new(), line_bytes: line_bytes.max(80) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// Hands over every line that a piece completes, without its end; longer ones than allowed in parts.
    pub(crate) fn feed(&mut self, piece: Piece<'_>, each: &mut impl FnMut(&[u8])) {
        let mut rest = match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::End => {
                if !self.partial.is_empty() {
                    let line = std::mem::take(&mut self.partial);
                    self.cut(&line, each);
                }
                return;
            }
        };
        if let (false, Some(end)) = (self.partial.is_empty(), memchr::memchr(b'\n', rest)) {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            self.cut(&whole, each);
            whole.clear();
            if whole.capacity() <= ROOM_KEPT {
                self.partial = whole;
            }
        }
        let mut from = 0;
        // Nothing is begun now, or there is no end of a line.
        for end in memchr::memchr_iter(b'\n', rest) {
            self.cut(&rest[from..end], each);
            from = end + 1;
        }
        self.partial.extend_from_slice(&rest[from..]);
        while self.partial.len() > self.line_bytes {
            let at = boundary(&self.partial, self.line_bytes);
            each(&self.partial[..at]);
            self.partial.drain(..at);
        }
    }

    #[inline]
    fn cut(&self, line: &[u8], each: &mut impl FnMut(&[u8])) {
        let mut rest = line.strip_suffix(b"\r").unwrap_or(line);
        while rest.len() > self.line_bytes {
            let (part, after) = rest.split_at(boundary(rest, self.line_bytes));
            each(part);
            rest = after;
        }
        each(rest);
    }
}

/// Returns where to cut at the latest so that no character is cut in two.
fn boundary(bytes: &[u8], at: usize) -> usize {
    let is_inside = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (at.saturating_sub(3)..=at).rev().find(|at| !is_inside(at)).unwrap_or(at)
}

/// Says whether bytes can be shown as they are: ASCII and, but for tabs and line ends, no control characters.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    // Blocks without a branch, for the compiler to do many bytes at a time: this runs over all that components print.
    let is_special = |byte: u8| ((byte < 0x20) & (byte != b'\t') & (byte != b'\n')) | (byte >= 0x7f);
    bytes.chunks(4096).all(|block| !block.iter().fold(false, |found, byte| found | is_special(*byte)))
}

/// Writes a line so that it does no harm to a terminal: control characters and broken UTF-8 as `\x1b`.
pub(crate) fn write_visible(into: &mut Vec<u8>, line: &[u8]) {
    if is_plain(line) && !line.contains(&b'\n') {
        into.extend_from_slice(line);
        return;
    }
    for chunk in line.utf8_chunks() {
        let text = chunk.valid();
        if text.chars().any(char::is_control) {
            let mut shown = String::with_capacity(text.len() + 8);
            for character in text.chars() {
                if character.is_control() && character != '\t' {
                    write!(shown, "\\x{:02x}", u32::from(character)).expect("memory takes it");
                } else {
                    shown.push(character);
                }
            }
            into.extend_from_slice(shown.as_bytes());
        } else {
            into.extend_from_slice(text.as_bytes());
        }
        for byte in chunk.invalid() {
            into.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
}

/// Returns a line as text that does no harm to a terminal.
pub(crate) fn visible(line: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(line.len());
    write_visible(&mut bytes, line);
    String::from_utf8(bytes).expect("what is written is UTF-8")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(pieces: &[&[u8]], line_bytes: usize) -> Vec<Vec<u8>> {
        let mut framer = Framer { partial: Vec::new(), line_bytes };
        let mut lines = Vec::new();
        for piece in pieces {
            framer.feed(Piece::Bytes(piece), &mut |line| lines.push(line.to_vec()));
        }
        framer.feed(Piece::End, &mut |line| lines.push(line.to_vec()));
        lines
    }

    #[test]
    fn frame_joins_pieces_and_keeps_a_last_line_without_an_end() {
        let lines = frame(&[b"a", b"b\n\nc\r\nlo", b"ng", b"er"], 4);
        assert_eq!(lines, [b"ab".to_vec(), vec![], b"c".to_vec(), b"long".to_vec(), b"er".to_vec()]);
    }

    #[test]
    fn frame_of_a_long_line_cuts_between_characters() {
        let lines = frame(&["ääää\n".as_bytes()], 5);
        assert_eq!(lines, ["ää".as_bytes(), "ää".as_bytes()]);
        assert_eq!(frame(&[&[0x80; 9]], 4).concat(), [0x80; 9]);
    }

    proptest! {
        #[test]
        fn frame_loses_nothing_however_the_stream_is_cut(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'x'), Just(0xc3), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(1..40_usize, 1..20),
            line_bytes in 4..60_usize,
        ) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'\r').collect();
            let mut pieces = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            let lines = frame(&pieces, line_bytes);
            prop_assert!(lines.iter().all(|line| line.len() <= line_bytes && !line.contains(&b'\n')));
            let without_ends: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\n').collect();
            prop_assert_eq!(lines.concat(), without_ends);
        }

        #[test]
        fn visible_text_has_no_control_characters(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let text = visible(&bytes);
            prop_assert!(text.chars().all(|character| character == '\t' || !character.is_control()));
            if is_plain(&bytes) && !bytes.contains(&b'\n') {
                prop_assert_eq!(text.as_bytes(), bytes.as_slice());
            }
        }
    }
}
