//! Decides how each new file is treated: by the differ, or as text, its deflate streams opened or not.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::super::deflate::{self, OldPiece, Opened};
use super::super::matching::{NewObject, OldPart};
use super::super::memory::MemoryBudget;
use super::super::spill::Spilled;
use super::super::{BuildError, text};
use super::{Builder, compress_error};
use crate::workers::try_map;

/// Files above this go through the differ whatever they are.
const TEXT_FILE_BYTES_MAX: u64 = 1 << 20;
/// New bytes in one delta group: a stream's dictionary covers no more, and a receiver reads six of them at a time.
const DELTA_GROUP_BYTES: u64 = 111 << 20;
/// What a receiver may spend on making deflate streams again, in nanoseconds for each byte of the new tree.
///
/// A quarter of the 0.4 s that applying 75 MB may take. Beyond that a stream costs the receiver more than the bytes it
/// saves are worth: making a large one takes as long as compressing it with gzip.
const CLOSING_NS_PER_TREE_BYTE_PERCENT: u64 = 133;
/// And however small the tree: nobody notices so little.
const CLOSING_NS: u64 = 15_000_000;

/// New files in the groups they are sent in.
pub(super) struct Sorted<'t> {
    pub(super) delta_jobs: Vec<Vec<NewObject<'t>>>,
    pub(super) text_jobs: Vec<TextJob<'t>>,
}

/// The files of one text group and what they refer to.
#[derive(Default)]
pub(super) struct TextJob<'t> {
    pub(super) files: Vec<TextFile<'t>>,
    pub(super) references: BTreeMap<usize, (OldPart<'t>, Vec<OldPiece>)>,
    pub(super) new_bytes: u64,
    pub(super) reference_bytes: u64,
}

/// A new file for a text group, opened where it holds deflate streams.
pub(super) struct TextFile<'t> {
    pub(super) object: NewObject<'t>,
    pub(super) opened: Option<OpenedFile>,
}

/// A new file whose deflate streams are opened.
pub(super) struct OpenedFile {
    pub(super) opened: Opened,
    pub(super) bytes: Spilled,
    pub(super) corrections: Spilled,
}

impl TextFile<'_> {
    /// Bytes the file takes in the plain stream of its group.
    pub(super) fn stretch_bytes(&self) -> u64 {
        self.opened.as_ref().map_or(self.object.size, |file| file.opened.bytes)
    }

    /// Bytes its counterpart takes in the reference of its group.
    fn old_bytes(&self) -> u64 {
        let opened = self.opened.as_ref().map(|file| file.opened.old_bytes);
        opened.or(self.object.old.map(|old| old.size)).unwrap_or(0)
    }
}

/// How large a text group may be.
#[derive(Clone, Copy)]
struct TextBounds {
    new_bytes: u64,
    reference_bytes: u64,
}

impl<'b> Builder<'b> {
    /// Puts new files into groups, in an order that depends on nothing but the trees and the memory allowed.
    pub(super) fn sort(&self, objects: &[NewObject<'b>]) -> Result<Sorted<'b>, BuildError> {
        let bytes_max = self.budget.text_bytes_max();
        let new_bytes = text::GROUP_BYTES_MAX.min(bytes_max / 2);
        let bounds =
            TextBounds { new_bytes: new_bytes as u64, reference_bytes: (bytes_max - new_bytes) as u64 };
        let mut opened = try_map(self.threads, objects, |object| self.open(object, bounds))?;
        let allowance_ns = CLOSING_NS + self.to.total_bytes() * CLOSING_NS_PER_TREE_BYTE_PERCENT / 100;
        keep_affordable(&mut opened, allowance_ns);
        let mut large = Vec::new();
        let mut textual = Vec::new();
        for (object, opened) in objects.iter().zip(opened) {
            if opened.is_some() || self.is_text(object, bounds)? {
                textual.push(TextFile { object: *object, opened });
            } else {
                large.push(*object);
            }
        }
        Ok(Sorted { delta_jobs: delta_groups(large), text_jobs: text_groups(textual, bounds) })
    }

    /// Opens the deflate streams of a new file when it has any and a counterpart.
    fn open(&self, object: &NewObject<'b>, bounds: TextBounds) -> Result<Option<OpenedFile>, BuildError> {
        let Some(old) = object.old.filter(|old| old.size.max(object.size) <= text::GROUP_BYTES_MAX as u64)
        else {
            return Ok(None);
        };
        let new = self.store.map(&object.digest)?;
        if !deflate::is_container(&new) {
            return Ok(None);
        }
        let old = self.store.map(&old.digest)?;
        let stream_bytes_max = self.budget.stream_bytes_max(deflate::STREAM_BYTES_MAX);
        let opened = self.budget.with(MemoryBudget::open_bytes(stream_bytes_max), || {
            let (mut bytes, mut corrections) = (self.spill.writer(), self.spill.writer());
            let opened = deflate::open(&old, &new, stream_bytes_max, &mut bytes, &mut corrections)?;
            let file = |opened| {
                Ok::<_, std::io::Error>(OpenedFile {
                    opened,
                    bytes: bytes.finish()?,
                    corrections: corrections.finish()?,
                })
            };
            opened.map(file).transpose()
        });
        let opened = opened.map_err(|source| compress_error(object.path.as_str(), source))?;
        Ok(opened.filter(|file| {
            file.opened.bytes <= bounds.new_bytes && file.opened.old_bytes <= bounds.reference_bytes
        }))
    }

    fn is_text(&self, object: &NewObject<'b>, bounds: TextBounds) -> Result<bool, BuildError> {
        let old_bytes = object.old.map_or(0, |old| old.size);
        if object.size > bounds.new_bytes || old_bytes > bounds.reference_bytes {
            return Ok(false);
        }
        let bytes = self.store.map(&object.digest)?;
        // A gzip file left closed has nothing in common with any other, and text is the faster of the two to undo.
        let is_small = object.size <= TEXT_FILE_BYTES_MAX || deflate::is_gzip(&bytes);
        Ok(is_small && !bytes.starts_with(b"\x7fELF"))
    }
}

/// Leaves those files open that save most for what they cost the receiver, as far as the allowance goes.
fn keep_affordable(files: &mut [Option<OpenedFile>], mut allowance_ns: u64) {
    let mut order: Vec<usize> = (0..files.len()).filter(|at| files[*at].is_some()).collect();
    let worth = |opened: &Opened| opened.packed_bytes.saturating_mul(1 << 20) / opened.cost_ns.max(1);
    order.sort_by_key(|at| std::cmp::Reverse(files[*at].as_ref().map(|file| worth(&file.opened))));
    for at in order {
        let cost_ns = files[at].as_ref().map_or(0, |file| file.opened.cost_ns);
        match allowance_ns.checked_sub(cost_ns) {
            Some(left) => allowance_ns = left,
            None => files[at] = None,
        }
    }
}

fn text_groups(files: Vec<TextFile<'_>>, bounds: TextBounds) -> Vec<TextJob<'_>> {
    let mut jobs: Vec<TextJob<'_>> = Vec::new();
    for file in files {
        let (bytes, old_bytes) = (file.stretch_bytes(), file.old_bytes());
        let fits = jobs.last().is_some_and(|job| {
            job.new_bytes + bytes <= bounds.new_bytes
                && job.reference_bytes + old_bytes <= bounds.reference_bytes
        });
        if !fits {
            jobs.push(TextJob::default());
        }
        let job = jobs.last_mut().expect("a job was pushed when there was none");
        job.new_bytes += bytes;
        if let Some(old) = file.object.old
            && let Entry::Vacant(entry) = job.references.entry(old.index)
        {
            job.reference_bytes += old_bytes;
            let pieces = file.opened.as_ref().map(|file| file.opened.old_pieces.clone());
            entry.insert((old, pieces.unwrap_or_default()));
        }
        job.files.push(file);
    }
    jobs
}

fn delta_groups(objects: Vec<NewObject<'_>>) -> Vec<Vec<NewObject<'_>>> {
    let mut groups: Vec<Vec<NewObject<'_>>> = Vec::new();
    let mut bytes = u64::MAX;
    for object in objects {
        bytes = bytes.saturating_add(object.size);
        if bytes > DELTA_GROUP_BYTES {
            groups.push(Vec::new());
            bytes = object.size;
        }
        groups.last_mut().expect("the first object opens a group").push(object);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(packed_bytes: u64, cost_ns: u64) -> Option<OpenedFile> {
        let opened = Opened { packed_bytes, cost_ns, ..Opened::default() };
        Some(OpenedFile { opened, bytes: Spilled::default(), corrections: Spilled::default() })
    }

    #[test]
    fn files_kept_open_are_those_that_save_most_for_their_cost() {
        let mut files = [file(100, 100), None, file(300, 100), file(50, 40), file(1, 30)];
        keep_affordable(&mut files, 145);
        let kept: Vec<_> = files.iter().map(Option::is_some).collect();
        assert_eq!(kept, [false, false, true, true, false]);
        keep_affordable(&mut files, 0);
        assert!(files.iter().all(Option::is_none));
    }
}
