//! Finding the most specific profile of a resource without looking at the others.
//!
//! Discrete names are in a hash map. Generic names are in a tree, one qualifier a step, whose branches are tried in order
//! of specificity; as names compare from the left, the first leaf reached is the most specific. After a `**` places only
//! line up from the end, so the names that go on after it are in trees of their own, one for each number of qualifiers.

use std::collections::HashMap;

use crate::id::RESOURCE_BYTES_MAX;
use crate::pattern::{Pattern, Qualifier};

/// Finds profiles by resource.
#[derive(Debug, Default)]
pub(crate) struct Index {
    discrete: HashMap<Box<str>, usize>,
    generic: Node,
}

/// A place in a name.
#[derive(Debug, Default)]
struct Node {
    /// The profile whose name ends here.
    end: Option<usize>,
    /// Where a qualifier leads that is exactly so.
    literals: HashMap<Box<str>, Node>,
    /// Where qualifiers lead that match this, most specific first.
    masks: Vec<(Qualifier, Branch)>,
    /// What comes after a `**` here.
    spread: Option<Box<Spread>>,
}

/// What is behind a qualifier.
#[derive(Debug)]
enum Branch {
    /// More qualifiers.
    On(Node),
    /// The end of a name whose `*` goes on past periods.
    Rest(usize),
}

/// The names that go on after a `**`, by how many qualifiers they go on.
#[derive(Debug, Default)]
struct Spread {
    /// Fewest last.
    tails: Vec<Tails>,
}

#[derive(Debug)]
struct Tails {
    count: usize,
    /// Those that end with the resource.
    anchored: Node,
    /// Those that end with a `*` that goes on past periods: they may begin anywhere.
    floating: Node,
}

/// A resource split into its qualifiers without allocating.
struct Parts<'a> {
    resource: &'a str,
    /// Where each qualifier begins; one more stands behind the last.
    starts: [u8; RESOURCE_BYTES_MAX + 2],
    count: usize,
}

impl<'a> Parts<'a> {
    /// Splits a resource of at most [`RESOURCE_BYTES_MAX`] bytes.
    fn split(resource: &'a str) -> Self {
        let mut starts = [0; RESOURCE_BYTES_MAX + 2];
        let mut count = 0;
        for (at, byte) in resource.bytes().chain([b'.']).enumerate() {
            if byte == b'.' {
                count += 1;
                starts[count] = u8::try_from(at + 1).expect("a resource has fewer than 255 bytes");
            }
        }
        Self { resource, starts, count }
    }

    fn get(&self, at: usize) -> &'a str {
        &self.resource[usize::from(self.starts[at])..usize::from(self.starts[at + 1]) - 1]
    }
}

impl Index {
    /// Makes the index of profiles, of which the generic ones come first and in order of specificity.
    pub(crate) fn new<'a>(profiles: impl Iterator<Item = (&'a Pattern, &'a str)>) -> Self {
        let mut index = Self::default();
        for (place, (pattern, name)) in profiles.enumerate() {
            if pattern.is_generic() {
                index.generic.insert(&pattern.qualifiers, place);
            } else {
                index.discrete.insert(name.into(), place);
            }
        }
        index
    }

    /// Returns the place of the most specific profile that matches.
    ///
    /// Limits: a resource of more than [`RESOURCE_BYTES_MAX`] bytes has none.
    pub(crate) fn find(&self, resource: &str) -> Option<usize> {
        if resource.len() > RESOURCE_BYTES_MAX {
            return None;
        }
        if let Some(place) = self.discrete.get(resource) {
            return Some(*place);
        }
        self.generic.find(&Parts::split(resource), 0)
    }
}

impl Node {
    /// Adds the rest of a name; names are added most specific first.
    fn insert(&mut self, qualifiers: &[Qualifier], place: usize) {
        let Some((first, after)) = qualifiers.split_first() else {
            self.end = Some(place);
            return;
        };
        if *first == Qualifier::Spread {
            self.spread.get_or_insert_default().insert(after, place);
        } else if let Some(literal) = first.literal() {
            self.literals.entry(literal.into()).or_default().insert(after, place);
        } else if first.is_rest() {
            self.masks.push((first.clone(), Branch::Rest(place)));
        } else if let Some((mask, Branch::On(node))) = self.masks.last_mut()
            && mask == first
        {
            // Equal qualifiers come one after the other, because names come in order.
            node.insert(after, place);
        } else {
            let mut node = Self::default();
            node.insert(after, place);
            self.masks.push((first.clone(), Branch::On(node)));
        }
    }

    fn find(&self, parts: &Parts<'_>, at: usize) -> Option<usize> {
        if at == parts.count {
            // A `**` at the end also matches nothing; a name that ends here is more specific.
            return self.end.or_else(|| self.spread.as_ref()?.find(parts, at));
        }
        let part = parts.get(at);
        let literal = self.literals.get(part).and_then(|node| node.find(parts, at + 1));
        if literal.is_some() {
            return literal;
        }
        for (mask, branch) in &self.masks {
            if !mask.matches(part) {
                continue;
            }
            let found = match branch {
                Branch::Rest(place) => Some(*place),
                Branch::On(node) => node.find(parts, at + 1),
            };
            if found.is_some() {
                return found;
            }
        }
        self.spread.as_ref()?.find(parts, at)
    }
}

impl Spread {
    fn insert(&mut self, after: &[Qualifier], place: usize) {
        let count = after.len();
        if self.tails.last().is_none_or(|tails| tails.count != count) {
            self.tails.push(Tails { count, anchored: Node::default(), floating: Node::default() });
        }
        let tails = self.tails.last_mut().expect("one was just made sure of");
        let is_floating = after.last().is_some_and(Qualifier::is_rest);
        if is_floating { tails.floating.insert(after, place) } else { tails.anchored.insert(after, place) }
    }

    fn find(&self, parts: &Parts<'_>, at: usize) -> Option<usize> {
        self.tails.iter().find_map(|tails| {
            let last = parts.count.checked_sub(tails.count).filter(|last| *last >= at)?;
            let anchored = tails.anchored.find(parts, last);
            let floating = (at..=last).filter_map(|from| tails.floating.find(parts, from)).min();
            anchored.into_iter().chain(floating).min()
        })
    }
}
