//! What a servlink does: which parts go, come and change, and how each new object is made.
//!
//! Old parts are named by their place in the old tree, which both sides have, so a path that stays costs nothing.

use std::collections::BTreeMap;

use super::bytes::{Cursor, Malformed, put_bytes, put_number};
use super::deflate::{self, NewPiece, OldPiece};
use crate::digest::Digest;
use crate::path::{PartPath, PartPathError};
use crate::tree::{Node, Tree};

/// Bytes of each digest in the plan. The tree's digest covers all of them in full; these only let a message name
/// the part that is wrong.
pub(super) const CHECK_BYTES: usize = 4;

/// The first bytes of an object's digest.
pub(super) type Check = [u8; CHECK_BYTES];

/// Returns the check of a digest.
pub(super) fn check_of(digest: &Digest) -> Check {
    let [a, b, c, d, ..] = *digest.as_bytes();
    [a, b, c, d]
}

/// Where the bytes of a changed file come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// From the old part with this number.
    Old(usize),
    /// From the new object with this number.
    New(usize),
}

/// What stands at a path from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    File { mode: u32, source: Source },
    Symlink { target: String },
    Directory,
}

/// A new object made of the streams of a delta group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeltaObject {
    pub(super) size: u64,
    pub(super) check: Check,
    pub(super) old: Option<usize>,
}

/// An old part that a text group refers to, with its deflate streams opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) old: usize,
    pub(super) pieces: Vec<OldPiece>,
}

/// A new object that is a stretch of a text group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextObject {
    pub(super) size: u64,
    pub(super) check: Check,
    /// Bytes of the stretch; another number than the size when streams were opened.
    pub(super) stretch: u64,
    pub(super) pieces: Vec<NewPiece>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TextGroup {
    pub(super) references: Vec<Reference>,
    pub(super) objects: Vec<TextObject>,
}

/// Everything but the streams. New objects are numbered through the delta groups, then through the text groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) removed: Vec<usize>,
    /// Parts that stay at their path, by the number of the old part.
    pub(super) changed: Vec<(usize, Change)>,
    pub(super) added: Vec<(PartPath, Change)>,
    pub(super) delta_groups: Vec<Vec<DeltaObject>>,
    pub(super) text_groups: Vec<TextGroup>,
}

/// Says why a plan cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The encoding is broken.
    #[error("the plan of the servlink is malformed: {reason}")]
    Malformed {
        /// How.
        reason: &'static str,
    },
    /// A path is not usable.
    #[error("the servlink adds a part with an unusable name")]
    Path(#[from] PartPathError),
    /// Two entries are for one part.
    #[error("the servlink has two entries for part `{path}`")]
    Duplicate {
        /// The part.
        path: PartPath,
    },
}

impl From<Malformed> for PlanError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed { reason: malformed.0 }
    }
}

/// What the plan has to say about the difference of two trees, given where each new object is numbered.
pub(super) fn tree_changes(from: &Tree, to: &Tree, new_numbers: &BTreeMap<Digest, usize>) -> Plan {
    let old_by_digest: BTreeMap<Digest, usize> =
        from.iter().enumerate().filter_map(|(index, (_, node))| Some((node.digest()?, index))).collect();
    let change_of = |node: &Node| match node {
        Node::Symlink { target } => Change::Symlink { target: target.clone() },
        Node::Directory => Change::Directory,
        Node::File { mode, digest, .. } => {
            let source = match old_by_digest.get(digest) {
                Some(old) => Source::Old(*old),
                None => Source::New(*new_numbers.get(digest).expect("every object not in old is numbered")),
            };
            Change::File { mode: *mode, source }
        }
    };
    let mut plan = Plan::default();
    for (index, (path, node)) in from.iter().enumerate() {
        match to.get(path.as_str()) {
            None => plan.removed.push(index),
            Some(new) if new != node => plan.changed.push((index, change_of(new))),
            Some(_) => {}
        }
    }
    let is_new = |path: &PartPath| from.get(path.as_str()).is_none();
    plan.added = to.iter().filter(|(p, _)| is_new(p)).map(|(p, node)| (p.clone(), change_of(node))).collect();
    plan
}

impl Plan {
    /// Returns how many new objects there are.
    pub(super) fn objects(&self) -> usize {
        let delta: usize = self.delta_groups.iter().map(Vec::len).sum();
        delta + self.text_groups.iter().map(|group| group.objects.len()).sum::<usize>()
    }

    /// Returns the sizes of all new objects together; `None` when that is beyond counting.
    pub(super) fn object_bytes(&self) -> Option<u64> {
        let delta = self.delta_groups.iter().flatten().map(|object| object.size);
        let text = self.text_groups.iter().flat_map(|group| &group.objects).map(|object| object.size);
        delta.chain(text).try_fold(0_u64, u64::checked_add)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_indices(&mut bytes, self.removed.iter().copied());
        put_indices(&mut bytes, self.changed.iter().map(|(index, _)| *index));
        self.changed.iter().for_each(|(_, change)| put_change(&mut bytes, change));
        put_number(&mut bytes, self.added.len() as u64);
        self.added.iter().for_each(|(path, _)| put_bytes(&mut bytes, path.as_str().as_bytes()));
        self.added.iter().for_each(|(_, change)| put_change(&mut bytes, change));
        put_number(&mut bytes, self.delta_groups.len() as u64);
        for group in &self.delta_groups {
            put_number(&mut bytes, group.len() as u64);
            group.iter().for_each(|object| put_number(&mut bytes, object.size));
            group
                .iter()
                .for_each(|object| put_number(&mut bytes, object.old.map_or(0, |old| old as u64 + 1)));
            group.iter().for_each(|object| bytes.extend(object.check));
        }
        put_number(&mut bytes, self.text_groups.len() as u64);
        self.text_groups.iter().for_each(|group| put_text_group(&mut bytes, group));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PlanError> {
        let from = &mut Cursor::new(bytes);
        let removed = indices(from)?;
        let changed_indices = indices(from)?;
        let changed = changed_indices.into_iter().map(|index| Ok((index, change(from)?)));
        let changed = changed.collect::<Result<_, PlanError>>()?;
        let count = from.records()?;
        let paths = (0..count).map(|_| Ok(PartPath::new(from.text()?)?));
        let paths = paths.collect::<Result<Vec<_>, PlanError>>()?;
        if let Some(pair) = paths.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(PlanError::Duplicate { path: pair[1].clone() });
        }
        let added = paths.into_iter().map(|path| Ok((path, change(from)?)));
        let added = added.collect::<Result<_, PlanError>>()?;
        let delta_count = from.records()?;
        let delta_groups = (0..delta_count).map(|_| delta_group(from)).collect::<Result<_, _>>()?;
        let text_count = from.records()?;
        let text_groups = (0..text_count).map(|_| text_group(from)).collect::<Result<_, _>>()?;
        if !from.is_at_end() {
            return Err(PlanError::Malformed { reason: "something follows its end" });
        }
        Ok(Self { removed, changed, added, delta_groups, text_groups })
    }
}

/// Appends ascending numbers by their distances.
fn put_indices(into: &mut Vec<u8>, indices: impl ExactSizeIterator<Item = usize>) {
    put_number(into, indices.len() as u64);
    let mut next = 0;
    for index in indices {
        put_number(into, (index - next) as u64);
        next = index + 1;
    }
}

fn indices(from: &mut Cursor<'_>) -> Result<Vec<usize>, Malformed> {
    let mut next = 0_usize;
    let count = from.records()?;
    let read = (0..count).map(|_| {
        let index = next.checked_add(from.count()?).ok_or(Malformed("a part's number is too large"))?;
        next = index.checked_add(1).ok_or(Malformed("a part's number is too large"))?;
        Ok(index)
    });
    read.collect()
}

fn put_change(into: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Symlink { target } => {
            into.push(2);
            put_bytes(into, target.as_bytes());
        }
        Change::Directory => into.push(3),
        Change::File { mode, source } => {
            let (kind, number) = match source {
                Source::Old(number) => (0, *number),
                Source::New(number) => (1, *number),
            };
            into.push(kind);
            put_number(into, u64::from(*mode));
            put_number(into, number as u64);
        }
    }
}

fn change(from: &mut Cursor<'_>) -> Result<Change, Malformed> {
    let kind = from.byte()?;
    if kind == 2 {
        return Ok(Change::Symlink { target: from.text()?.to_owned() });
    }
    if kind == 3 {
        return Ok(Change::Directory);
    }
    let mode = u32::try_from(from.number()?).map_err(|_| Malformed("a mode is too large"))?;
    let source = match kind {
        0 => Source::Old(from.count()?),
        1 => Source::New(from.count()?),
        _ => return Err(Malformed("a part is of an unknown kind")),
    };
    Ok(Change::File { mode, source })
}

fn delta_group(from: &mut Cursor<'_>) -> Result<Vec<DeltaObject>, Malformed> {
    let count = from.records()?;
    let sizes = (0..count).map(|_| from.number()).collect::<Result<Vec<_>, _>>()?;
    let olds = (0..count).map(|_| from.count()).collect::<Result<Vec<_>, _>>()?;
    let pairs = sizes.into_iter().zip(olds);
    pairs.map(|(size, old)| Ok(DeltaObject { size, old: old.checked_sub(1), check: check(from)? })).collect()
}

fn check(from: &mut Cursor<'_>) -> Result<Check, Malformed> {
    from.take(CHECK_BYTES)?.try_into().map_err(|_| Malformed("a check is short"))
}

fn put_text_group(into: &mut Vec<u8>, group: &TextGroup) {
    put_indices(into, group.references.iter().map(|reference| reference.old));
    group.references.iter().for_each(|reference| deflate::put_old_pieces(into, &reference.pieces));
    put_number(into, group.objects.len() as u64);
    for object in &group.objects {
        put_number(into, object.size);
        deflate::put_new_pieces(into, &object.pieces);
        if !object.pieces.is_empty() {
            put_number(into, object.stretch);
        }
    }
    group.objects.iter().for_each(|object| into.extend(object.check));
}

fn text_group(from: &mut Cursor<'_>) -> Result<TextGroup, Malformed> {
    let olds = indices(from)?;
    let references = olds.into_iter().map(|old| Ok(Reference { old, pieces: deflate::old_pieces(from)? }));
    let references = references.collect::<Result<_, Malformed>>()?;
    let count = from.records()?;
    let mut objects = Vec::with_capacity(count);
    for _ in 0..count {
        let size = from.number()?;
        let pieces = deflate::new_pieces(from)?;
        let stretch = if pieces.is_empty() { size } else { from.number()? };
        objects.push(TextObject { size, check: Check::default(), stretch, pieces });
    }
    for object in &mut objects {
        object.check = check(from)?;
    }
    Ok(TextGroup { references, objects })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Plan {
        let file = |mode, source| Change::File { mode, source };
        Plan {
            removed: vec![0, 3, 4],
            changed: vec![(1, file(0o755, Source::New(0))), (7, Change::Symlink { target: "a".into() })],
            added: vec![
                (PartPath::new("b/c").unwrap(), file(0o644, Source::Old(2))),
                (PartPath::new("b/d").unwrap(), Change::Directory),
            ],
            delta_groups: vec![vec![DeltaObject { size: 9, check: [1; 4], old: Some(1) }], vec![]],
            text_groups: vec![TextGroup {
                references: vec![Reference { old: 5, pieces: vec![] }],
                objects: vec![TextObject { size: 3, check: [2; 4], stretch: 3, pieces: vec![] }],
            }],
        }
    }

    #[test]
    fn plan_through_bytes_is_unchanged() {
        assert_eq!(Plan::decode(&sample().encode()).unwrap(), sample());
        assert_eq!(sample().object_bytes(), Some(12));
    }

    #[test]
    fn plan_cut_short_or_followed_by_more_is_refused() {
        let bytes = sample().encode();
        for end in 0..bytes.len() {
            assert!(Plan::decode(&bytes[..end]).is_err(), "{end}");
        }
        assert!(Plan::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn plan_with_a_path_twice_or_leading_out_is_refused() {
        let mut plan = sample();
        plan.added.insert(0, plan.added[0].clone());
        assert!(
            matches!(Plan::decode(&plan.encode()), Err(PlanError::Duplicate { path }) if path.as_str() == "b/c")
        );
        let mut bytes = sample().encode();
        let at = bytes.windows(3).position(|w| w == b"b/c").unwrap();
        bytes[at..at + 3].copy_from_slice(b"../");
        assert!(matches!(Plan::decode(&bytes), Err(PlanError::Path(_))));
    }
}
