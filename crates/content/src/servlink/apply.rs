//! Applies servlinks.
//!
//! Everything a servlink says is checked against the limits and against what it says elsewhere before memory or disk
//! is taken for it. Objects are named by what their bytes really are, so a wrong one can never stand for a right one;
//! the tree made of them must have the digest the header promises, or it is not returned.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufWriter, Read};
use std::path::Path;

use super::delta::{Decoder, STREAMS};
use super::file::{ServlinkFile, changed_meanwhile};
use super::plan::{Change, Check, DeltaObject, Plan, Source, TextGroup, TextObject, check_of};
use super::reference::{Laid, Reference};
use super::{ApplyError, ApplyLimits};
use super::{deflate, lzma, text};
use crate::digest::Digest;
use crate::fault;
use crate::mapped::Mapped;
use crate::path::PartPath;
use crate::progress::Progress;
use crate::store::{ObjectStore, StoreError};
use crate::tree::{Node, Tree};

const PLAN_BYTES_MAX: u64 = 256 << 20;
const CORRECTIONS_BYTES_MAX: u64 = 8 << 20;
const WRITE_BYTES: usize = 128 * 1024;

/// Makes the tree a servlink leads to; returns it when its digest is the promised one.
///
/// The store has the objects of `from` and receives the new ones, durably. An error leaves at most objects that no
/// tree refers to.
pub fn apply(
    path: &Path,
    from: &Tree,
    store: &ObjectStore,
    limits: &ApplyLimits,
    progress: &dyn Progress,
) -> Result<Tree, ApplyError> {
    let file = ServlinkFile::open(path)?;
    let found = from.digest();
    if file.header.base != found {
        return Err(ApplyError::WrongBase { wanted: file.header.base, found });
    }
    let old: Vec<(&PartPath, &Node)> = from.iter().collect();
    let plan = read_plan(&file, path, limits)?;
    check_sizes(&plan, limits)?;
    let names = object_names(&plan, &old);
    progress.begin("making parts", plan.object_bytes().unwrap_or(0));
    let mut applier = Applier { file: &file, path, old: &old, store, progress, names, objects: Vec::new() };
    let made = applier.objects(&plan);
    progress.end();
    made?;
    let tree = new_tree(from, &old, plan, &applier.objects)?;
    let found = tree.digest();
    if found != file.header.new {
        return Err(ApplyError::TreeDigest { wanted: file.header.new, found });
    }
    fault::point("content.sync");
    store.sync().map_err(|source| ApplyError::Store { part: "all".to_owned(), source })?;
    Ok(tree)
}

fn too_large(what: &'static str, size: u64, limit: u64) -> Result<(), ApplyError> {
    if size > limit { Err(ApplyError::TooLarge { what, size, limit }) } else { Ok(()) }
}

fn mismatch(what: impl Into<String>) -> ApplyError {
    ApplyError::PlanMismatch { what: what.into() }
}

fn read_plan(file: &ServlinkFile, path: &Path, limits: &ApplyLimits) -> Result<Plan, ApplyError> {
    let (section, packed) = file.section(0).ok_or_else(|| mismatch("there is no plan"))?;
    too_large("its plan", section.plain_bytes, PLAN_BYTES_MAX)?;
    let plain = unpack_section(packed, section.plain_bytes)
        .map_err(|source| ApplyError::Stream { part: "the plan".to_owned(), source })?;
    let plan = Plan::decode(&plain)?;
    let entries = plan.removed.len() + plan.changed.len() + plan.added.len() + plan.objects();
    too_large("the number of its entries", entries as u64, limits.parts_max)?;
    let sections = 1 + STREAMS * plan.delta_groups.len() + 2 * plan.text_groups.len();
    if sections != file.header.sections.len() {
        return Err(changed_meanwhile(path).into());
    }
    Ok(plan)
}

/// Reads a section of a declared size, without trusting the declaration for more memory than really comes.
fn unpack_section(packed: impl io::BufRead, plain_bytes: u64) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    lzma::unpack(packed)?.take(plain_bytes + 1).read_to_end(&mut plain)?;
    if plain.len() as u64 == plain_bytes {
        Ok(plain)
    } else {
        Err(io::Error::other("it has another size than declared"))
    }
}

fn check_sizes(plan: &Plan, limits: &ApplyLimits) -> Result<(), ApplyError> {
    let new_bytes = plan.object_bytes().unwrap_or(u64::MAX);
    too_large("the size of its new parts", new_bytes, limits.new_bytes_max)?;
    for group in &plan.text_groups {
        let stretches = group.objects.iter().try_fold(0_u64, |sum, object| sum.checked_add(object.stretch));
        too_large("a text group", stretches.unwrap_or(u64::MAX), text::GROUP_BYTES_MAX as u64)?;
        let corrections = group
            .objects
            .iter()
            .try_fold(0_u64, |sum, object| sum.checked_add(deflate::corrections_bytes(&object.pieces)?));
        too_large("the corrections of a text group", corrections.unwrap_or(u64::MAX), CORRECTIONS_BYTES_MAX)?;
    }
    Ok(())
}

/// Returns for each new object the first part it is for, to name it in messages.
fn object_names(plan: &Plan, old: &[(&PartPath, &Node)]) -> Vec<String> {
    let mut names = vec![String::new(); plan.objects()];
    let changed = plan.changed.iter().filter_map(|(index, change)| Some((old.get(*index)?.0, change)));
    for (path, change) in changed.chain(plan.added.iter().map(|(path, change)| (path, change))) {
        if let Change::File { source: Source::New(number), .. } = change
            && let Some(name) = names.get_mut(*number)
        {
            path.as_str().clone_into(name);
        }
    }
    names
}

struct Applier<'a> {
    file: &'a ServlinkFile,
    path: &'a Path,
    old: &'a [(&'a PartPath, &'a Node)],
    store: &'a ObjectStore,
    progress: &'a dyn Progress,
    names: Vec<String>,
    /// The objects made so far, in their order.
    objects: Vec<(Digest, u64)>,
}

impl Applier<'_> {
    fn objects(&mut self, plan: &Plan) -> Result<(), ApplyError> {
        let mut section = 1;
        for group in &plan.delta_groups {
            self.delta_group(section, group)?;
            section += STREAMS;
        }
        for group in &plan.text_groups {
            self.text_group(section, group)?;
            section += 2;
        }
        Ok(())
    }

    /// Names the object made next.
    fn name(&self) -> String {
        self.names.get(self.objects.len()).cloned().unwrap_or_default()
    }

    fn broken(&self) -> impl FnOnce(io::Error) -> ApplyError {
        let part = self.name();
        move |source| ApplyError::Stream { part, source }
    }

    fn unstored(&self) -> impl FnOnce(StoreError) -> ApplyError {
        let part = self.name();
        move |source| ApplyError::Store { part, source }
    }

    fn section(&self, number: usize) -> Result<Box<dyn io::BufRead + '_>, ApplyError> {
        let section = self.file.section(number).ok_or_else(|| changed_meanwhile(self.path))?;
        Ok(section.1)
    }

    fn old_part(&self, index: usize) -> Result<(&PartPath, Digest, u64), ApplyError> {
        let part = self.old.get(index).and_then(|(path, node)| Some((*path, node.digest()?, node.size())));
        part.ok_or_else(|| {
            mismatch(format!("part `{}` is made from something that is no old file", self.name()))
        })
    }

    fn old_bytes(&self, index: usize) -> Result<Mapped, ApplyError> {
        let (path, digest, _) = self.old_part(index)?;
        self.store.map(&digest).map_err(|source| ApplyError::OldPart { part: path.to_string(), source })
    }

    fn delta_group(&mut self, first_section: usize, group: &[DeltaObject]) -> Result<(), ApplyError> {
        let file = self.file;
        let path = self.path;
        let stream = |number: usize| {
            let section = file.section(first_section + number).ok_or_else(|| changed_meanwhile(path));
            section.map(|(_, reader)| reader)
        };
        let packed = [stream(0)?, stream(1)?, stream(2)?, stream(3)?, stream(4)?, stream(5)?];
        let mut decoder = Decoder::new(packed).map_err(self.broken())?;
        for object in group {
            let old =
                object.old.map_or_else(|| Ok(Mapped::from_vec(Vec::new())), |old| self.old_bytes(old))?;
            let mut writer =
                BufWriter::with_capacity(WRITE_BYTES, self.store.writer().map_err(self.unstored())?);
            decoder.object(&old, object.size, &mut writer).map_err(self.broken())?;
            self.finish(writer, object.size, object.check, object.old)?;
        }
        Ok(())
    }

    fn text_group(&mut self, first_section: usize, group: &TextGroup) -> Result<(), ApplyError> {
        let reference = self.reference(group)?;
        let stretches = group.objects.iter().map(|object| as_usize(object.stretch)).sum();
        let mut packed = Vec::new();
        self.section(first_section)?.read_to_end(&mut packed).map_err(self.broken())?;
        let plain = text::unpack(&reference, &packed, stretches).map_err(self.broken())?;
        drop((packed, reference));
        let corrections_bytes =
            group.objects.iter().filter_map(|o| deflate::corrections_bytes(&o.pieces)).sum();
        let corrections = unpack_section(self.section(first_section + 1)?, corrections_bytes);
        let corrections = corrections.map_err(self.broken())?;
        let (mut plain, mut corrections) = (&plain[..], &corrections[..]);
        for object in &group.objects {
            let own;
            (own, plain) = plain.split_at(as_usize(object.stretch));
            let own_corrections;
            let count = as_usize(deflate::corrections_bytes(&object.pieces).unwrap_or(0));
            (own_corrections, corrections) = corrections.split_at(count);
            self.text_object(object, own, own_corrections)?;
        }
        Ok(())
    }

    fn text_object(&mut self, object: &TextObject, own: &[u8], corrections: &[u8]) -> Result<(), ApplyError> {
        if object.pieces.is_empty() {
            let digest = Digest::of(own);
            if check_of(&digest) != object.check || own.len() as u64 != object.size {
                return Err(ApplyError::PartDigest { part: self.name() });
            }
            self.store.put_hashed(&digest, own).map_err(self.unstored())?;
            self.objects.push((digest, object.size));
            self.progress.advance(object.size);
            return Ok(());
        }
        let mut writer = BufWriter::with_capacity(WRITE_BYTES, self.store.writer().map_err(self.unstored())?);
        deflate::close(own, &object.pieces, corrections, &mut writer).map_err(self.broken())?;
        self.finish(writer, object.size, object.check, None)
    }

    /// Lays out the bytes a group refers to: in memory when they are few, else in a file that is mapped.
    fn reference(&self, group: &TextGroup) -> Result<Reference, ApplyError> {
        let mut reference = Laid::new(self.store.tmp_dir());
        for part in &group.references {
            let (path, digest, size) = self.old_part(part.old)?;
            let unusable = |source| ApplyError::OldPart { part: path.to_string(), source };
            let broken = |source| ApplyError::Stream { part: path.to_string(), source };
            if part.pieces.is_empty()
                && let Some(memory) = reference.room(size)
            {
                self.store.append_to(&digest, size, memory).map_err(unusable)?;
                continue;
            }
            let old = self.store.map(&digest).map_err(unusable)?;
            deflate::open_old(&old, &part.pieces, &mut reference).map_err(broken)?;
        }
        reference.finish().map_err(self.broken())
    }

    fn finish(
        &mut self,
        writer: BufWriter<crate::store::ObjectWriter<'_>>,
        size: u64,
        check: Check,
        old: Option<usize>,
    ) -> Result<(), ApplyError> {
        let writer = writer.into_inner().map_err(io::IntoInnerError::into_error).map_err(self.broken())?;
        if check_of(&writer.digest()) != check || writer.size() != size {
            return Err(self.wrong_digest(old));
        }
        let (digest, size) = writer.finish().map_err(self.unstored())?;
        self.objects.push((digest, size));
        self.progress.advance(size);
        Ok(())
    }

    /// Says whether the old part or the servlink is to blame for wrong bytes.
    fn wrong_digest(&self, old: Option<usize>) -> ApplyError {
        let part = self.name();
        let Some((old_path, digest, _)) = old.and_then(|old| self.old_part(old).ok()) else {
            return ApplyError::PartDigest { part };
        };
        match self.store.verify(&digest) {
            Ok(()) => ApplyError::PartDigest { part },
            Err(source) => ApplyError::OldPart { part: old_path.to_string(), source },
        }
    }
}

fn new_tree(
    from: &Tree,
    old: &[(&PartPath, &Node)],
    plan: Plan,
    objects: &[(Digest, u64)],
) -> Result<Tree, ApplyError> {
    let mut nodes: BTreeMap<PartPath, Node> = from.clone().into_nodes();
    let mut touched: HashSet<&PartPath> = HashSet::new();
    let beyond = || mismatch("it names an old part that there is not");
    for index in &plan.removed {
        let (path, _) = *old.get(*index).ok_or_else(beyond)?;
        touched.insert(path);
        nodes.remove(path);
    }
    for (index, change) in plan.changed {
        let (path, _) = *old.get(index).ok_or_else(beyond)?;
        if !touched.insert(path) {
            return Err(ApplyError::Duplicate { path: path.clone() });
        }
        nodes.insert(path.clone(), node_of(path, change, old, objects)?);
    }
    for (path, change) in plan.added {
        if from.get(path.as_str()).is_some() {
            return Err(ApplyError::Duplicate { path });
        }
        let node = node_of(&path, change, old, objects)?;
        nodes.insert(path, node);
    }
    Ok(Tree::from_nodes(nodes)?)
}

fn node_of(
    path: &PartPath,
    change: Change,
    old: &[(&PartPath, &Node)],
    objects: &[(Digest, u64)],
) -> Result<Node, ApplyError> {
    let (mode, source) = match change {
        Change::Symlink { target } => return Ok(Node::Symlink { target }),
        Change::Directory => return Ok(Node::Directory),
        Change::File { mode, source } => (mode, source),
    };
    let found = match source {
        Source::New(number) => objects.get(number).copied(),
        Source::Old(index) => old.get(index).and_then(|(_, node)| Some((node.digest()?, node.size()))),
    };
    let (digest, size) = found.ok_or_else(|| mismatch(format!("part `{path}` has no bytes")))?;
    Ok(Node::File { mode, size, digest })
}

fn as_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
