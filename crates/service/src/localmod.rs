//! What becomes of a local modification when the vendor's part changes under it (specification 4.7).
//!
//! | class | situation                                             | outcome                       |
//! |-------|-------------------------------------------------------|-------------------------------|
//! | a     | the vendor's part is what the modification was for    | carried                       |
//! | b     | a fix brings the same                                 | dropped, with a notice        |
//! | c     | both changed, and the changes merge                   | merged, to be reviewed        |
//! | d     | both changed the same, or something that cannot merge | conflict: rework, or drop it  |

use tender_content::{Digest, Node};
use tender_package::FixId;

use crate::error::ServiceError;
use crate::shapes::{LocalMod, LocalModKind, LocalModState};

/// What becomes of a local modification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciled {
    /// It stays as it is, or needs a look when the vendor's part changed.
    Carried(LocalMod),
    /// The vendor brings the same.
    Dropped {
        /// The fix that says so, when one does.
        by: Option<FixId>,
    },
    /// Its changes and the vendor's were put together.
    Merged(LocalMod),
    /// People must decide.
    Conflict {
        /// Why it cannot be merged.
        reason: &'static str,
    },
}

/// Reads and keeps the contents of parts.
pub trait Contents {
    /// Reads contents.
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ServiceError>;
    /// Keeps contents.
    fn keep(&self, bytes: &[u8]) -> Result<Digest, ServiceError>;
}

/// Decides what becomes of a local modification over the vendor's part as it is now.
pub fn reconcile(
    local_mod: &LocalMod,
    vendor: Option<&Node>,
    is_on: &dyn Fn(&FixId) -> bool,
    contents: &dyn Contents,
) -> Result<Reconciled, ServiceError> {
    if let Some(by) = local_mod.fixed_in.iter().find(|fix| is_on(fix)) {
        return Ok(Reconciled::Dropped { by: Some(by.clone()) });
    }
    if vendor == local_mod.base.as_ref() {
        return Ok(Reconciled::Carried(local_mod.clone()));
    }
    if vendor == local_mod.body.as_ref() {
        return Ok(Reconciled::Dropped { by: None });
    }
    match (local_mod.kind, vendor) {
        (LocalModKind::Add, None) => Ok(Reconciled::Carried(LocalMod { base: None, ..local_mod.clone() })),
        (LocalModKind::Add, Some(_)) => {
            Ok(Reconciled::Conflict { reason: "the vendor now has a part of this name" })
        }
        (LocalModKind::Delete, _) => Ok(Reconciled::Carried(LocalMod {
            base: vendor.cloned(),
            state: LocalModState::Review,
            ..local_mod.clone()
        })),
        (_, None) => Ok(Reconciled::Conflict { reason: "the vendor removed the part" }),
        (_, Some(vendor)) => merge(local_mod, vendor, contents),
    }
}

fn merge(local_mod: &LocalMod, vendor: &Node, contents: &dyn Contents) -> Result<Reconciled, ServiceError> {
    let (Some(base), Some(body)) = (&local_mod.base, &local_mod.body) else {
        return Ok(Reconciled::Conflict { reason: "there is nothing to merge it with" });
    };
    let (
        Node::File { mode: base_mode, digest: base, .. },
        Node::File { mode: body_mode, digest: body, .. },
        Node::File { mode: vendor_mode, digest: vendor_digest, .. },
    ) = (base, body, vendor)
    else {
        return Ok(Reconciled::Conflict { reason: "links cannot be merged" });
    };
    let merged = merge_text(&contents.read(base)?, &contents.read(body)?, &contents.read(vendor_digest)?);
    let text = match merged {
        Merge::Clean(text) => text,
        Merge::NotText => return Ok(Reconciled::Conflict { reason: "the part is not text" }),
        Merge::Overlaps => {
            return Ok(Reconciled::Conflict { reason: "the vendor changed the same lines" });
        }
    };
    let mode = if body_mode == base_mode { *vendor_mode } else { *body_mode };
    let node = Node::File { mode, size: text.len() as u64, digest: contents.keep(text.as_bytes())? };
    Ok(Reconciled::Merged(LocalMod {
        base: Some(vendor.clone()),
        body: Some(node),
        state: LocalModState::Review,
        rework_count: local_mod.rework_count + 1,
        ..local_mod.clone()
    }))
}

/// How a merge of three texts came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// Both sides' changes are in.
    Clean(String),
    /// One of them is not text.
    NotText,
    /// Both sides changed the same lines.
    Overlaps,
}

/// Puts the changes from `base` to `ours` and from `base` to `theirs` together.
#[must_use]
pub fn merge_text(base: &[u8], ours: &[u8], theirs: &[u8]) -> Merge {
    let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let (Some(base), Some(ours), Some(theirs)) = (text(base), text(ours), text(theirs)) else {
        return Merge::NotText;
    };
    match diffy::merge(base, ours, theirs) {
        Ok(text) => Merge::Clean(text),
        Err(_) => Merge::Overlaps,
    }
}

#[cfg(test)]
mod tests;
