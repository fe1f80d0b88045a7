//! Makes the sections of one group of new files.

use std::io::{self, BufWriter, Write};

use super::super::delta::{Encoder, STREAM_KINDS, STREAMS};
use super::super::matching::NewObject;
use super::super::plan::{DeltaObject, Reference, TextGroup, TextObject, check_of};
use super::super::spill::Spilled;
use super::super::{BuildError, deflate, differ, lzma, text};
use super::sort::TextJob;
use super::{Builder, Digested, PackedSection, compress_error};
use crate::mapped::Mapped;
use crate::workers::try_map;

const WRITE_BYTES: usize = 128 * 1024;

/// What one group came to.
pub(super) enum Group {
    Delta { objects: Vec<DeltaObject>, sections: Vec<PackedSection> },
    Text { group: TextGroup, sections: Vec<PackedSection> },
}

impl<'b> Builder<'b> {
    pub(super) fn delta_group(&self, number: usize, objects: &[NewObject<'b>]) -> Result<Group, BuildError> {
        let parts = try_map(self.threads, objects, |object| self.delta(object))?;
        let kinds: Vec<_> = STREAM_KINDS.into_iter().enumerate().collect();
        let sections = try_map(self.threads, &kinds, |(stream, (name, content))| {
            let name = format!("delta group {number}: {name}");
            let plain_bytes = parts.iter().map(|part| part[*stream].bytes).sum();
            let mut plain = self.spill.reader(parts.iter().map(|part| &part[*stream]));
            self.packed(&name, name.clone(), &mut plain, plain_bytes, *content)
        })?;
        let objects = objects.iter().map(|object| DeltaObject {
            size: object.size,
            check: check_of(&object.digest),
            old: object.old.map(|old| old.index),
        });
        Ok(Group::Delta { objects: objects.collect(), sections })
    }

    /// Returns the streams of one file.
    fn delta(&self, object: &NewObject<'b>) -> Result<[Spilled; STREAMS], BuildError> {
        let new = self.store.map(&object.digest)?;
        let old = object.old.map(|old| self.store.map(&old.digest)).transpose()?;
        let old: &[u8] = old.as_deref().unwrap_or_default();
        let streams = self.budget.with(self.budget.delta_bytes(old.len()), || {
            let mut encoder = Encoder::new(old, &new, std::array::from_fn(|_| self.spill.writer()));
            differ::diff(old, &new, self.budget.window_bytes_max(), |step| encoder.step(step))?;
            let mut streams: [Spilled; STREAMS] = std::array::from_fn(|_| Spilled::default());
            for (stream, writer) in streams.iter_mut().zip(encoder.finish()) {
                *stream = writer.finish()?;
            }
            Ok(streams)
        });
        self.progress.advance(object.size);
        streams.map_err(|source| compress_error(object.path.as_str(), source))
    }

    pub(super) fn text_group(&self, number: usize, job: &TextJob<'b>) -> Result<Group, BuildError> {
        let name = format!("text group {number}: content");
        let (laid, reference_bytes) = self.lay_out(&name, job)?;
        let (reference, plain) = laid.split_at(reference_bytes);
        let packed = self.budget.with(text::pack_memory_bytes(laid.len(), plain.len()), || {
            let mut into = Digested { inner: self.spill.writer(), hasher: blake3::Hasher::new() };
            into.write_all(&text::pack(reference, plain)?)?;
            into.finish()
        });
        let packed = packed.map_err(|source| compress_error(&name, source))?;
        let content = PackedSection::new(name, plain.len() as u64, packed);
        let corrections = job.files.iter().filter_map(|file| Some(&file.opened.as_ref()?.corrections));
        let corrections_bytes = corrections.clone().map(|piece| piece.bytes).sum();
        let name = format!("text group {number}: corrections");
        let corrections = self.packed(
            &name,
            name.clone(),
            &mut self.spill.reader(corrections),
            corrections_bytes,
            lzma::Content::Numbers,
        )?;
        let objects = job.files.iter().map(|file| TextObject {
            size: file.object.size,
            check: check_of(&file.object.digest),
            stretch: file.stretch_bytes(),
            pieces: file.opened.as_ref().map(|file| file.opened.pieces.clone()).unwrap_or_default(),
        });
        let references =
            job.references.iter().map(|(old, (_, pieces))| Reference { old: *old, pieces: pieces.clone() });
        let group = TextGroup { references: references.collect(), objects: objects.collect() };
        Ok(Group::Text { group, sections: vec![content, corrections] })
    }

    /// Lays the old bytes of a group and then the new ones out in a mapped file; returns how many are old.
    fn lay_out(&self, name: &str, job: &TextJob<'b>) -> Result<(Mapped, usize), BuildError> {
        let failed = |source: io::Error| compress_error(name, source);
        let mut file =
            BufWriter::with_capacity(WRITE_BYTES, tempfile::tempfile_in(self.directory).map_err(failed)?);
        for (old, pieces) in job.references.values() {
            let bytes = self.store.map(&old.digest)?;
            deflate::open_old(&bytes, pieces, &mut file).map_err(failed)?;
        }
        file.flush().map_err(failed)?;
        let reference_bytes = file.get_ref().metadata().map_err(failed)?.len();
        for one in &job.files {
            match &one.opened {
                Some(opened) => self.spill.copy(&opened.bytes, &mut file).map_err(failed)?,
                None => file.write_all(&self.store.map(&one.object.digest)?).map_err(failed)?,
            }
            self.progress.advance(one.object.size);
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
        io::Seek::rewind(&mut &file).map_err(failed)?;
        let laid = Mapped::of_immutable(&file).map_err(failed)?;
        Ok((laid, usize::try_from(reference_bytes).expect("it is mapped, so it fits the address space")))
    }
}
