//! Builds servlinks.

use std::collections::BTreeMap;
use std::path::Path;

use super::delta::{self, STREAM_KINDS, Streams};
use super::file::{PackedSection, assemble};
use super::matching::{NewObject, OldPart, new_objects, old_parts};
use super::memory::MemoryBudget;
use super::plan::{DeltaObject, Plan, Reference, TextGroup, TextObject, check_of, tree_changes};
use super::{BuildError, BuildOptions, ServlinkHeader, ServlinkSummary};
use super::{deflate, differ, lzma, text};
use crate::durable::write_atomically;
use crate::progress::Progress;
use crate::store::ObjectStore;
use crate::tree::Tree;
use crate::workers::try_map;

/// Files above this go through the differ whatever they are.
const TEXT_FILE_BYTES_MAX: u64 = 1 << 20;
/// A difference above this part (in percent) of a quick estimate of the whole is compared with the real whole.
const DOUBTFUL_PERCENT: u64 = 60;

/// Builds the servlink that leads from one tree to another and writes it to `out`, atomically.
///
/// The store has the objects of both trees. `from` may be empty: then everything is sent whole.
pub fn build(
    from: &Tree,
    to: &Tree,
    store: &ObjectStore,
    out: &Path,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<ServlinkSummary, BuildError> {
    let builder = Builder {
        from,
        to,
        store,
        threads: options.threads.max(1),
        budget: MemoryBudget::new(options.memory_bytes_max),
        progress,
    };
    let old = old_parts(from, to);
    let objects = new_objects(&old, to, store)?;
    let changed_bytes: u64 = objects.iter().map(|object| object.size).sum();
    progress.begin("comparing parts", changed_bytes);
    let built = builder.smallest(&objects);
    progress.end();
    let Built { sections, plan, is_whole } = built?;
    let header = ServlinkHeader {
        base: from.digest(),
        new: to.digest(),
        parts_added: plan.added.len() as u64,
        parts_changed: plan.changed.len() as u64,
        parts_removed: plan.removed.len() as u64,
        base_bytes: from.total_bytes(),
        new_bytes: to.total_bytes(),
        changed_bytes,
        sections: sections.iter().map(PackedSection::describe).collect(),
    };
    let compress = |source| BuildError::Compress { what: "the header".to_owned(), source };
    let bytes = assemble(&header, &sections).map_err(compress)?;
    write_atomically(out, &bytes).map_err(|source| BuildError::Write { path: out.to_owned(), source })?;
    Ok(ServlinkSummary { header, servlink_bytes: bytes.len() as u64, is_whole })
}

struct Builder<'b> {
    from: &'b Tree,
    to: &'b Tree,
    store: &'b ObjectStore,
    threads: usize,
    budget: MemoryBudget,
    progress: &'b dyn Progress,
}

struct Built {
    sections: Vec<PackedSection>,
    plan: Plan,
    is_whole: bool,
}

/// What one group came to.
enum Group {
    Delta { objects: Vec<DeltaObject>, sections: Vec<PackedSection> },
    Text { group: TextGroup, sections: Vec<PackedSection> },
}

/// A new file for a text group, opened where it holds deflate streams.
struct TextFile<'t> {
    object: NewObject<'t>,
    opened: Option<deflate::Opened>,
    old_pieces: Vec<deflate::OldPiece>,
}

impl<'b> Builder<'b> {
    /// Builds the difference, and the whole when there is doubt which is smaller.
    fn smallest(&self, objects: &[NewObject<'b>]) -> Result<Built, BuildError> {
        let difference = self.sections(objects, false)?;
        if objects.iter().all(|object| object.old.is_none()) {
            return Ok(difference);
        }
        let packed = |built: &Built| built.sections.iter().map(|s| s.packed.len() as u64).sum::<u64>();
        if packed(&difference) < self.whole_estimate(objects)? * DOUBTFUL_PERCENT / 100 {
            return Ok(difference);
        }
        let alone: Vec<_> = objects.iter().map(|object| NewObject { old: None, ..*object }).collect();
        let whole = self.sections(&alone, true)?;
        Ok(if packed(&whole) < packed(&difference) { whole } else { difference })
    }

    /// Returns what the new objects take when they are compressed quickly one by one.
    fn whole_estimate(&self, objects: &[NewObject<'b>]) -> Result<u64, BuildError> {
        let sizes = try_map(self.threads, objects, |object| {
            let bytes = self.store.map(&object.digest)?;
            let packed = zstd::bulk::compress(&bytes, 1);
            packed.map(|p| p.len() as u64).map_err(|source| compress_error(object.path.as_str(), source))
        });
        Ok(sizes?.iter().sum())
    }

    fn sections(&self, objects: &[NewObject<'b>], is_whole: bool) -> Result<Built, BuildError> {
        let mut large = Vec::new();
        let mut textual = Vec::new();
        for file in try_map(self.threads, objects, |object| self.classify(object))? {
            match file {
                Class::Large(object) => large.push(object),
                Class::Textual(file) => textual.push(file),
            }
        }
        let delta_jobs = delta_groups(large, self.budget.delta_group_bytes());
        let text_jobs = self.text_groups(textual);
        let order: Vec<_> = delta_jobs
            .iter()
            .flatten()
            .chain(text_jobs.iter().flat_map(|job| job.files.iter().map(|f| &f.object)))
            .collect();
        let numbers: BTreeMap<_, _> =
            order.iter().enumerate().map(|(number, o)| (o.digest, number)).collect();
        let mut plan = tree_changes(self.from, self.to, &numbers);
        let jobs: Vec<Job<'_, 'b>> = text_jobs
            .iter()
            .enumerate()
            .map(|(number, job)| Job::Text(number, job))
            .chain(delta_jobs.iter().enumerate().map(|(number, group)| Job::Delta(number, group)))
            .collect();
        let groups = try_map(self.threads, &jobs, |job| match job {
            Job::Delta(number, objects) => self.delta_group(*number, objects),
            Job::Text(number, job) => self.text_group(*number, job),
        })?;
        let (mut delta_sections, mut text_sections) = (Vec::new(), Vec::new());
        for group in groups {
            match group {
                Group::Delta { objects, sections } => {
                    plan.delta_groups.push(objects);
                    delta_sections.extend(sections);
                }
                Group::Text { group, sections } => {
                    plan.text_groups.push(group);
                    text_sections.extend(sections);
                }
            }
        }
        let plain = plan.encode();
        let packed =
            lzma::pack(&plain, lzma::Content::Code).map_err(|source| compress_error("the plan", source))?;
        let mut sections =
            vec![PackedSection { name: "plan".to_owned(), plain_bytes: plain.len() as u64, packed }];
        sections.append(&mut delta_sections);
        sections.append(&mut text_sections);
        Ok(Built { sections, plan, is_whole })
    }

    /// Decides how a new file is treated; opens its deflate streams when it has any.
    fn classify(&self, object: &NewObject<'b>) -> Result<Class<'b>, BuildError> {
        let new = self.store.map(&object.digest)?;
        let is_small = object.size <= text::GROUP_BYTES_MAX as u64;
        if is_small && let Some(old) = object.old {
            let old = self.store.map(&old.digest)?;
            if let Some((opened, old_pieces)) = deflate::open(&old, &new)
                && opened.bytes.len() <= text::GROUP_BYTES_MAX
            {
                return Ok(Class::Textual(TextFile { object: *object, opened: Some(opened), old_pieces }));
            }
        }
        if object.size > TEXT_FILE_BYTES_MAX || new.starts_with(b"\x7fELF") {
            return Ok(Class::Large(*object));
        }
        Ok(Class::Textual(TextFile { object: *object, opened: None, old_pieces: Vec::new() }))
    }

    fn delta_group(&self, number: usize, objects: &[NewObject<'b>]) -> Result<Group, BuildError> {
        let parts = try_map(self.threads, objects, |object| self.delta(object))?;
        let mut streams = Streams::default();
        parts.iter().for_each(|part| streams.append(part));
        drop(parts);
        let jobs: Vec<_> = streams.in_order().into_iter().zip(STREAM_KINDS).collect();
        let sections = try_map(self.threads, &jobs, |(plain, (name, content))| {
            let name = format!("delta group {number}: {name}");
            let packed =
                self.budget.with(lzma::pack_memory_bytes(plain.len()), || lzma::pack(plain, *content));
            let packed = packed.map_err(|source| compress_error(&name, source))?;
            Ok::<_, BuildError>(PackedSection { name, plain_bytes: plain.len() as u64, packed })
        })?;
        let objects = objects.iter().map(|object| DeltaObject {
            size: object.size,
            check: check_of(&object.digest),
            old: object.old.map(|old| old.index),
        });
        Ok(Group::Delta { objects: objects.collect(), sections })
    }

    fn delta(&self, object: &NewObject<'b>) -> Result<Streams, BuildError> {
        let new = self.store.map(&object.digest)?;
        let old = object.old.map(|old| self.store.map(&old.digest)).transpose()?;
        let old: &[u8] = old.as_deref().unwrap_or_default();
        let window_bytes_max = self.budget.window_bytes_max(old.len(), new.len());
        let index_bytes = old.len().min(window_bytes_max) as u64 * differ::INDEX_BYTES_PER_OLD_BYTE;
        let memory_bytes = index_bytes + differ::table_bytes(old.len()) + old.len() as u64 + new.len() as u64;
        let steps = self.budget.with(memory_bytes, || differ::diff(old, &new, window_bytes_max));
        self.progress.advance(object.size);
        Ok(delta::encode(old, &new, &steps))
    }

    fn text_groups(&self, files: Vec<TextFile<'b>>) -> Vec<TextJob<'b>> {
        let bytes_max = self.budget.text_bytes_max();
        let new_max = text::GROUP_BYTES_MAX.min(bytes_max / 2);
        let reference_max = (bytes_max - new_max) as u64;
        let mut jobs: Vec<TextJob<'b>> = Vec::new();
        for file in files {
            let bytes = file.stretch_bytes();
            let old_bytes = file.object.old.map_or(0, |old| old.size);
            let fits = jobs.last().is_some_and(|job| {
                job.new_bytes + bytes <= new_max as u64 && job.reference_bytes + old_bytes <= reference_max
            });
            if !fits {
                jobs.push(TextJob::default());
            }
            let job = jobs.last_mut().expect("a job was pushed when there was none");
            job.new_bytes += bytes;
            if let Some(old) = file.object.old
                && let std::collections::btree_map::Entry::Vacant(entry) = job.references.entry(old.index)
            {
                job.reference_bytes += old_bytes;
                entry.insert((old, file.old_pieces.clone()));
            }
            job.files.push(file);
        }
        jobs
    }

    fn text_group(&self, number: usize, job: &TextJob<'b>) -> Result<Group, BuildError> {
        let memory_bytes = text::pack_memory_bytes(as_usize(job.new_bytes + job.reference_bytes));
        let name = format!("text group {number}: content");
        let (plain_bytes, packed) =
            self.budget.with(memory_bytes + job.new_bytes + job.reference_bytes, || {
                let mut reference = Vec::new();
                for (old, pieces) in job.references.values() {
                    let bytes = self.store.map(&old.digest)?;
                    deflate::open_old(&bytes, pieces, &mut reference)
                        .map_err(|e| compress_error(&name, e))?;
                }
                let mut plain = Vec::new();
                for file in &job.files {
                    match &file.opened {
                        Some(opened) => plain.extend_from_slice(&opened.bytes),
                        None => plain.extend_from_slice(&self.store.map(&file.object.digest)?),
                    }
                    self.progress.advance(file.object.size);
                }
                let packed =
                    text::pack(&reference, &plain).map_err(|source| compress_error(&name, source))?;
                Ok::<_, BuildError>((plain.len() as u64, packed))
            })?;
        let opened = job.files.iter().filter_map(|file| file.opened.as_ref());
        let corrections = opened.flat_map(|opened| &opened.corrections).copied().collect::<Vec<u8>>();
        let corrections_name = format!("text group {number}: corrections");
        let packed_corrections = lzma::pack(&corrections, lzma::Content::Numbers);
        let packed_corrections =
            packed_corrections.map_err(|source| compress_error(&corrections_name, source))?;
        let objects = job.files.iter().map(|file| TextObject {
            size: file.object.size,
            check: check_of(&file.object.digest),
            stretch: file.stretch_bytes(),
            pieces: file.opened.as_ref().map(|opened| opened.pieces.clone()).unwrap_or_default(),
        });
        let references =
            job.references.iter().map(|(old, (_, pieces))| Reference { old: *old, pieces: pieces.clone() });
        let group = TextGroup { references: references.collect(), objects: objects.collect() };
        let plain_corrections = corrections.len() as u64;
        let sections = vec![
            PackedSection { name, plain_bytes, packed },
            PackedSection {
                name: corrections_name,
                plain_bytes: plain_corrections,
                packed: packed_corrections,
            },
        ];
        Ok(Group::Text { group, sections })
    }
}

enum Class<'t> {
    Large(NewObject<'t>),
    Textual(TextFile<'t>),
}

enum Job<'j, 't> {
    Delta(usize, &'j [NewObject<'t>]),
    Text(usize, &'j TextJob<'t>),
}

impl TextFile<'_> {
    /// Bytes the file takes in the plain stream of its group.
    fn stretch_bytes(&self) -> u64 {
        self.opened.as_ref().map_or(self.object.size, |opened| opened.bytes.len() as u64)
    }
}

/// The files of one text group and what they refer to.
#[derive(Default)]
struct TextJob<'t> {
    files: Vec<TextFile<'t>>,
    references: BTreeMap<usize, (OldPart<'t>, Vec<deflate::OldPiece>)>,
    new_bytes: u64,
    reference_bytes: u64,
}

fn delta_groups<'t>(objects: Vec<NewObject<'t>>, bytes_max: u64) -> Vec<Vec<NewObject<'t>>> {
    let mut groups: Vec<Vec<NewObject<'t>>> = Vec::new();
    let mut bytes = u64::MAX;
    for object in objects {
        bytes = bytes.saturating_add(object.size);
        if bytes > bytes_max {
            groups.push(Vec::new());
            bytes = object.size;
        }
        groups.last_mut().expect("the first object opens a group").push(object);
    }
    groups
}

fn compress_error(what: &str, source: std::io::Error) -> BuildError {
    BuildError::Compress { what: what.to_owned(), source }
}

fn as_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
