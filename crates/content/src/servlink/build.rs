//! Builds servlinks.

mod groups;
mod sort;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use self::groups::Group;
use self::sort::{Sorted, TextJob};
use super::file::assemble;
use super::matching::{NewObject, new_objects, old_parts};
use super::memory::{MemoryBudget, TooLittle};
use super::plan::{Plan, tree_changes};
use super::spill::{Spill, Spilled};
use super::{BuildError, BuildOptions, Section, ServlinkHeader, ServlinkSummary, lzma};
use crate::digest::Digest;
use crate::durable::{fill_atomically, parent_of};
use crate::mapped::give_back_freed_blocks;
use crate::progress::Progress;
use crate::store::ObjectStore;
use crate::tree::Tree;
use crate::workers::try_map;

/// A difference above this part (in percent) of a quick estimate of the whole is compared with the real whole.
const DOUBTFUL_PERCENT: u64 = 60;

/// Builds the servlink that leads from one tree to another and writes it to `out`, atomically.
///
/// The store has the objects of both trees. `from` may be empty: then everything is sent whole. What is finished lies
/// in a temporary file beside `out`, without a name, until all is.
pub fn build(
    from: &Tree,
    to: &Tree,
    store: &ObjectStore,
    out: &Path,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<ServlinkSummary, BuildError> {
    let limit_bytes = options.memory_bytes_max;
    let budget =
        MemoryBudget::new(limit_bytes, from.len() + to.len()).map_err(|TooLittle { smallest_bytes }| {
            BuildError::TooLittleMemory { limit_bytes, smallest_bytes }
        })?;
    give_back_freed_blocks();
    let directory = parent_of(out);
    let spill = Spill::new_in(directory)
        .map_err(|source| BuildError::Spill { directory: directory.to_owned(), source })?;
    let threads = options.threads.max(1);
    let builder = Builder { from, to, store, directory, threads, budget, spill, progress };
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
        sections: sections.iter().map(|section| section.section.clone()).collect(),
    };
    let write = |into: &mut dyn Write| {
        assemble(&header, into, |into| {
            sections.iter().try_for_each(|section| builder.spill.copy(&section.packed, into))
        })
    };
    let servlink_bytes =
        fill_atomically(out, write).map_err(|source| BuildError::Write { path: out.to_owned(), source })?;
    Ok(ServlinkSummary { header, servlink_bytes, is_whole })
}

struct Builder<'b> {
    from: &'b Tree,
    to: &'b Tree,
    store: &'b ObjectStore,
    /// Where temporary files go.
    directory: &'b Path,
    threads: usize,
    budget: MemoryBudget,
    spill: Spill,
    progress: &'b dyn Progress,
}

struct Built {
    sections: Vec<PackedSection>,
    plan: Plan,
    is_whole: bool,
}

/// A section on its way into a file.
struct PackedSection {
    section: Section,
    packed: Spilled,
}

impl<'b> Builder<'b> {
    /// Builds the difference, and the whole when there is doubt which is smaller.
    fn smallest(&self, objects: &[NewObject<'b>]) -> Result<Built, BuildError> {
        let difference = self.sections(objects, false)?;
        if objects.iter().all(|object| object.old.is_none()) {
            return Ok(difference);
        }
        let packed = |built: &Built| built.sections.iter().map(|s| s.packed.bytes).sum::<u64>();
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
            estimate(&bytes).map_err(|source| compress_error(object.path.as_str(), source))
        });
        Ok(sizes?.iter().sum())
    }

    fn sections(&self, objects: &[NewObject<'b>], is_whole: bool) -> Result<Built, BuildError> {
        let Sorted { delta_jobs, text_jobs } = self.sort(objects)?;
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
        let mut sections = vec![self.packed(
            "the plan",
            "plan".to_owned(),
            &mut &plain[..],
            plain.len() as u64,
            lzma::Content::Code,
        )?];
        sections.append(&mut delta_sections);
        sections.append(&mut text_sections);
        Ok(Built { sections, plan, is_whole })
    }

    /// Compresses what `plain` gives to a section.
    fn packed(
        &self,
        what: &str,
        name: String,
        plain: &mut dyn io::Read,
        plain_bytes: u64,
        content: lzma::Content,
    ) -> Result<PackedSection, BuildError> {
        let most = self.budget.dictionary_bytes_max();
        let packed = self.budget.with(lzma::pack_memory_bytes(plain_bytes, most), || {
            let mut into = Digested { inner: self.spill.writer(), hasher: blake3::Hasher::new() };
            lzma::pack_into(plain, plain_bytes, content, most, &mut into)?;
            into.finish()
        });
        let packed = packed.map_err(|source| compress_error(what, source))?;
        Ok(PackedSection::new(name, plain_bytes, packed))
    }
}

impl PackedSection {
    fn new(name: String, plain_bytes: u64, (packed, digest): (Spilled, Digest)) -> Self {
        Self { section: Section { name, plain_bytes, packed_bytes: packed.bytes, digest }, packed }
    }
}

enum Job<'j, 't> {
    Delta(usize, &'j [NewObject<'t>]),
    Text(usize, &'j TextJob<'t>),
}

/// Computes the digest of what is spilled.
struct Digested<'s> {
    inner: super::spill::SpillWriter<'s>,
    hasher: blake3::Hasher,
}

impl Digested<'_> {
    fn finish(self) -> io::Result<(Spilled, Digest)> {
        Ok((self.inner.finish()?, self.hasher.finalize().into()))
    }
}

impl Write for Digested<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns about what `bytes` take compressed quickly.
fn estimate(bytes: &[u8]) -> io::Result<u64> {
    struct Counted(u64);
    impl Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut encoder = zstd::stream::write::Encoder::new(Counted(0), 1)?;
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.0)
}

fn compress_error(what: &str, source: io::Error) -> BuildError {
    BuildError::Compress { what: what.to_owned(), source }
}
