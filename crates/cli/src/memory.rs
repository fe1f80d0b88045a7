//! Memory of a launcher: what only its start needed is given back.
#![expect(unsafe_code, reason = "advising the kernel about mappings is an unsafe function")]

use std::fs;

use rustix::mm::{Advice, madvise};

/// Gives back pages of this program's file that were read so far; those that are needed are mapped again.
///
/// A launcher lives for months and needs a small part of what its start went through. Nothing is lost by this and
/// nothing depends on it: where the kernel does not tell its mappings, everything stays as it is.
pub(crate) fn forget_program_pages() {
    let Ok(program) = fs::read_link("/proc/self/exe") else { return };
    let Ok(smaps) = fs::read_to_string("/proc/self/smaps") else { return };
    for (start, end) in unchanged_mappings(&smaps, &program.display().to_string()) {
        let address = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range is one mapping of this program's file, private, not writable, and without a single
        // anonymous page by the kernel's own count. Every page in it equals the file, so a page that is dropped comes
        // back with the same bytes at the next access.
        let advised = unsafe { madvise(address, end - start, Advice::LinuxDontNeed) };
        // Refused advice leaves the pages where they are.
        advised.ok();
    }
}

/// Finds mappings of `program` that no write ever changed, in the text of `/proc/self/smaps`.
fn unchanged_mappings(smaps: &str, program: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some(range) = range_of(first) {
            let is_ours =
                words.next().is_some_and(|mode| mode.starts_with('r') && mode[1..].starts_with('-'))
                    && line.contains('/')
                    && line[line.find('/').unwrap_or_default()..] == *program;
            candidate = is_ours.then_some(range);
        } else if first == "Anonymous:" && words.next() == Some("0") {
            found.extend(candidate.take());
        }
    }
    found
}

fn range_of(word: &str) -> Option<(usize, usize)> {
    let (start, end) = word.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
1000-3000 r--p 00000000 08:01 7 /usr/bin/tender
Pss:                  8 kB
Anonymous:            0 kB
3000-9000 r-xp 00002000 08:01 7 /usr/bin/tender
Anonymous:            0 kB
9000-a000 r--p 00008000 08:01 7 /usr/bin/tender
Anonymous:            4 kB
a000-b000 rw-p 00009000 08:01 7 /usr/bin/tender
Anonymous:            0 kB
b000-c000 rw-p 00000000 00:00 0 [heap]
Anonymous:            0 kB
c000-d000 r-xp 00000000 08:01 8 /usr/lib/libc.so.6
Anonymous:            0 kB
";

    #[test]
    fn only_mappings_of_the_program_without_a_changed_page_are_given_back() {
        assert_eq!(unchanged_mappings(SMAPS, "/usr/bin/tender"), [(0x1000, 0x3000), (0x3000, 0x9000)]);
        assert_eq!(unchanged_mappings("", "/usr/bin/tender"), []);
    }

    #[test]
    fn program_goes_on_after_its_pages_were_given_back() {
        let before = unchanged_mappings(SMAPS, "/usr/bin/tender");
        forget_program_pages();
        assert_eq!(unchanged_mappings(SMAPS, "/usr/bin/tender"), before);
    }
}
