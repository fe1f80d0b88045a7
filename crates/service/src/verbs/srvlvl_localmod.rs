//! SRVLVL LOCALMOD: the customer's own change to a part of a level.

use std::path::PathBuf;

use tender_content::{Digest, Node, PartPath};
use tender_package::{ComponentName, FixId, LevelName, Message, Outcome, Severity, Vrm};

use super::srvlvl_service::join;
use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::level::{Level, Operation as Asked, Work};
use crate::localmod::Contents as _;
use crate::operation::{self, LOCALMOD, StoreContents};
use crate::principal::{Principal, Share};
use crate::shapes::{LevelContent, LocalMod, LocalModKind, LocalModState, Operation};
use crate::tables::levels;

/// What to do with a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalmodAction {
    /// Put a file in its place.
    Replace {
        /// The part.
        path: PartPath,
        /// The file.
        from: PathBuf,
    },
    /// Lay a patch (`diff -u`) over it.
    Patch {
        /// The part.
        path: PartPath,
        /// The patch.
        from: PathBuf,
    },
    /// Add a part.
    Add {
        /// The part.
        path: PartPath,
        /// The file.
        from: PathBuf,
    },
    /// Leave a part out.
    Delete {
        /// The part.
        path: PartPath,
    },
    /// Note that a merged local modification was looked at.
    Reviewed {
        /// Its id.
        id: FixId,
    },
    /// Drop a local modification.
    Drop {
        /// Its id.
        id: FixId,
    },
}

/// SRVLVL LOCALMOD vrm level component ….
#[derive(Debug, Clone)]
pub struct SrvlvlLocalmod {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// The component.
    pub component: ComponentName,
    /// Id of the local modification; the next free one when absent.
    pub id: Option<FixId>,
    /// What to do.
    pub action: LocalmodAction,
    /// Fixes that bring the same.
    pub fixed_in: Vec<FixId>,
    /// Why.
    pub reason: String,
}

impl SrvlvlLocalmod {
    fn title(&self) -> String {
        format!("{} {}", self.vrm, self.level)
    }

    /// Plans the change, and keeps its contents when `operator` carries it out; an unfinished operation is changed instead of the level when it waits for this very part.
    fn plan(
        &self,
        principal: &Principal,
        operator: Option<&str>,
    ) -> Result<(Level, Option<Operation>, LevelContent, FixId), ServiceError> {
        let (level, open, content) = {
            let tables = principal.tables();
            let level = levels::expect(&tables, &self.vrm, &self.level)?;
            let open = levels::operation(&tables, &self.vrm, &self.level)?;
            (level, open, levels::content(&tables, &self.vrm, &self.level)?)
        };
        let open = open.filter(|_| level.work == Work::Incomplete);
        match &open {
            Some(open) if self.names_conflict(open) => {}
            _ => level.permits(Asked::Change)?,
        }
        let mut content = open.as_ref().map_or(content, |open| open.after.clone());
        if content.components.iter().all(|component| component.name != self.component) {
            return Err(ServiceError::Unknown {
                kind: "component",
                name: self.component.to_string(),
                hint: format!("list them with `tender servmgr srvlvl query {}`", self.title()),
            });
        }
        let id = match &self.action {
            LocalmodAction::Drop { id } => self.drop_mod(&mut content, id)?,
            LocalmodAction::Reviewed { id } => self.review_mod(&mut content, id)?,
            _ => self.put_mod(principal, &mut content, operator)?,
        };
        Ok((level, open, content, id))
    }

    fn names_conflict(&self, open: &Operation) -> bool {
        let id = match &self.action {
            LocalmodAction::Drop { id } | LocalmodAction::Reviewed { id } => Some(id),
            _ => self.id.as_ref(),
        };
        // One that was reworked since may be reworked again before the RESTART.
        let is_there =
            |id: &FixId| open.after.mods.iter().any(|one| one.id == *id && one.component == self.component);
        id.is_some_and(|id| open.conflicts.contains(id) || is_there(id))
    }

    fn drop_mod(&self, content: &mut LevelContent, id: &FixId) -> Result<FixId, ServiceError> {
        let before = content.mods.len();
        content.mods.retain(|one| !(one.id == *id && one.component == self.component));
        if content.mods.len() == before {
            return Err(self.unknown_mod(id));
        }
        Ok(id.clone())
    }

    fn review_mod(&self, content: &mut LevelContent, id: &FixId) -> Result<FixId, ServiceError> {
        let one = content.mods.iter_mut().find(|one| one.id == *id && one.component == self.component);
        one.ok_or_else(|| self.unknown_mod(id))?.state = LocalModState::Carried;
        Ok(id.clone())
    }

    fn unknown_mod(&self, id: &FixId) -> ServiceError {
        ServiceError::Unknown {
            kind: "local modification",
            name: format!("{id} of {}", self.component),
            hint: format!("list them with `tender servmgr srvlvl query {}`", self.title()),
        }
    }

    fn put_mod(
        &self,
        principal: &Principal,
        content: &mut LevelContent,
        operator: Option<&str>,
    ) -> Result<FixId, ServiceError> {
        let (kind, path) = match &self.action {
            LocalmodAction::Replace { path, .. } => (LocalModKind::Replace, path),
            LocalmodAction::Patch { path, .. } => (LocalModKind::Patch, path),
            LocalmodAction::Add { path, .. } => (LocalModKind::Add, path),
            LocalmodAction::Delete { path } => (LocalModKind::Delete, path),
            LocalmodAction::Drop { .. } | LocalmodAction::Reviewed { .. } => {
                unreachable!("DROP and REVIEWED put nothing")
            }
        };
        let vendor = operation::vendor_tree(principal, &self.vrm, content, &self.component)?;
        let base = vendor.get(path.as_str()).cloned();
        self.check_part(kind, path, base.is_some())?;
        let id = self.id.clone().unwrap_or_else(|| next_id(content));
        let same_part = |one: &LocalMod| one.component == self.component && one.path == *path;
        if let Some(other) = content.mods.iter().find(|one| same_part(one) && one.id != id) {
            let text =
                format!("part `{path}` of {} already has local modification {}", self.component, other.id);
            return Err(Refusal::new(141, text)
                .hint(format!("use --id {} to change it, or --drop {}", other.id, other.id))
                .into());
        }
        if let Some(other) = content.mods.iter().find(|one| one.id == id && !same_part(one)) {
            let text =
                format!("{id} is the local modification of part `{}` of {}", other.path, other.component);
            return Err(Refusal::new(142, text).hint("choose another id").into());
        }
        let rework_count = content.mods.iter().find(|one| one.id == id).map_or(0, |one| one.rework_count + 1);
        let body = self.body(principal, base.as_ref(), operator.is_some())?;
        content.mods.retain(|one| one.id != id);
        content.mods.push(LocalMod {
            id: id.clone(),
            component: self.component.clone(),
            path: path.clone(),
            kind,
            base,
            body,
            fixed_in: self.fixed_in.clone(),
            reason: self.reason.clone(),
            owner: operator.unwrap_or_default().to_owned(),
            state: LocalModState::Carried,
            rework_count,
        });
        content.mods.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(id)
    }

    fn check_part(&self, kind: LocalModKind, path: &PartPath, exists: bool) -> Result<(), ServiceError> {
        match (kind, exists) {
            (LocalModKind::Add, true) => {
                let text = format!("component {} has a part `{path}` already", self.component);
                Err(Refusal::new(143, text).hint("use --replace or --patch").into())
            }
            (LocalModKind::Add, false) | (_, true) => Ok(()),
            (_, false) => Err(ServiceError::Unknown {
                kind: "part",
                name: format!("`{path}` of component {}", self.component),
                hint: "parts are named as below the component's directory, such as etc/x.conf".to_owned(),
            }),
        }
    }

    fn body(
        &self,
        principal: &Principal,
        base: Option<&Node>,
        is_kept: bool,
    ) -> Result<Option<Node>, ServiceError> {
        let (from, is_patch) = match &self.action {
            LocalmodAction::Replace { from, .. } | LocalmodAction::Add { from, .. } => (from, false),
            LocalmodAction::Patch { from, .. } => (from, true),
            LocalmodAction::Delete { .. } | LocalmodAction::Drop { .. } | LocalmodAction::Reviewed { .. } => {
                return Ok(None);
            }
        };
        let given = std::fs::read(from).map_err(ServiceError::file("reading", from))?;
        let contents = StoreContents(principal);
        let bytes = match base {
            Some(Node::File { digest, .. }) if is_patch => patched(&contents.read(digest)?, &given, from)?,
            Some(Node::Symlink { .. } | Node::Directory) if is_patch => {
                let text = "only a file can be patched, not a link or a directory";
                return Err(Refusal::new(144, text).hint("use --replace").into());
            }
            _ => given,
        };
        let mode = match base {
            Some(Node::File { mode, .. }) => *mode,
            _ => file_mode(from)?,
        };
        let digest = if is_kept { contents.keep(&bytes)? } else { Digest::of(&bytes) };
        Ok(Some(Node::File { mode, size: bytes.len() as u64, digest }))
    }

    fn outcome(&self, id: &FixId, is_done: bool) -> Outcome {
        let (what, path) = match &self.action {
            LocalmodAction::Replace { path, .. } => ("replaces", Some(path)),
            LocalmodAction::Patch { path, .. } => ("patches", Some(path)),
            LocalmodAction::Add { path, .. } => ("adds", Some(path)),
            LocalmodAction::Delete { path } => ("leaves out", Some(path)),
            LocalmodAction::Drop { .. } => ("is dropped from", None),
            LocalmodAction::Reviewed { .. } => ("was looked at in", None),
        };
        let part = path.map_or_else(String::new, |path| format!("part `{path}` of "));
        let tense = if is_done { "" } else { " (not done: --check)" };
        let mut outcome = Outcome::default();
        let text = format!("local modification {id} {what} {part}component {}{tense}", self.component);
        outcome.say(Message::csm(145, Severity::I, text));
        outcome.data = serde_json::json!({ "vrm": self.vrm, "level": self.level, "id": id, "component": self.component });
        outcome
    }
}

pub(super) fn next_id(content: &LevelContent) -> FixId {
    let numbers =
        content.mods.iter().filter_map(|one| one.id.as_str().strip_prefix('L')?.parse::<u32>().ok());
    let next = numbers.max().unwrap_or(0) + 1;
    FixId::new(&format!("L{next:04}")).expect("L and digits are an id")
}

fn patched(base: &[u8], patch: &[u8], from: &std::path::Path) -> Result<Vec<u8>, ServiceError> {
    let refuse = |reason: String| {
        let text = format!("the patch {} does not fit the part: {reason}", from.display());
        ServiceError::from(
            Refusal::new(146, text).hint("make it with `diff -u` against the part as the level has it"),
        )
    };
    let patch = diffy::Patch::from_bytes(patch).map_err(|error| refuse(error.to_string()))?;
    if patch.hunks().is_empty() {
        return Err(refuse("it changes nothing, there is no hunk in it".to_owned()));
    }
    let patched = diffy::apply_bytes(base, &patch).map_err(|error| refuse(error.to_string()))?;
    if patched == base {
        return Err(refuse("the part is the same with it".to_owned()));
    }
    Ok(patched)
}

fn file_mode(path: &std::path::Path) -> Result<u32, ServiceError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).map_err(ServiceError::file("reading", path))?;
    Ok(if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 })
}

impl Verb for SrvlvlLocalmod {
    fn word(&self) -> &'static str {
        "SRVLVL LOCALMOD"
    }

    fn subject(&self) -> Subject {
        let action = match &self.action {
            LocalmodAction::Replace { path, from } => format!("REPLACE {path} FROM {}", from.display()),
            LocalmodAction::Patch { path, from } => format!("PATCH {path} FROM {}", from.display()),
            LocalmodAction::Add { path, from } => format!("ADD {path} FROM {}", from.display()),
            LocalmodAction::Delete { path } => format!("DELETE {path}"),
            LocalmodAction::Drop { id } => format!("DROP {id}"),
            LocalmodAction::Reviewed { id } => format!("REVIEWED {id}"),
        };
        let id = self.id.as_ref().map_or_else(String::new, |id| format!(" ID {id}"));
        Subject::new(&self.vrm, format!("{} {}{id} {action}", self.level, self.component))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let (_, _, _, id) = self.plan(principal, None)?;
        Ok(self.outcome(&id, false))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        let mut level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        let open = levels::operation(&principal.tables(), &self.vrm, &self.level)?;
        if let Some(open) = open.filter(|open| open.command == self.subject().operands) {
            return operation::carry_on(principal, context, &mut level, open, LOCALMOD);
        }
        let (mut level, open, after, id) = self.plan(principal, Some(&context.operator))?;
        principal.sync_store()?;
        let mut outcome = self.outcome(&id, true);
        if let Some(mut open) = open {
            open.after = after;
            open.conflicts.retain(|conflict| *conflict != id);
            if !open.dirty.contains(&self.component) {
                open.dirty.push(self.component.clone());
            }
            levels::set_operation(&principal.tables(), &self.vrm, &self.level, Some(&open))?;
            let hint = format!("tender servmgr srvlvl service {} --restart", self.title());
            let (severity, text) = match open.conflicts.as_slice() {
                [] => (Severity::I, "no local modification waits any more".to_owned()),
                open => (Severity::W, format!("{} local modifications still wait", open.len())),
            };
            outcome.say(Message::csm(147, severity, text).with_hint(hint));
            return Ok(outcome);
        }
        if matches!(self.action, LocalmodAction::Reviewed { .. }) {
            // Nothing that runs changes by it: the package stays what it is.
            principal.transaction(|tables| levels::write_content(tables, &self.vrm, &self.level, &after))?;
            return Ok(outcome);
        }
        let operation = Operation {
            verb: self.word().to_owned(),
            command: self.subject().operands,
            began: (context.now)(),
            after,
            dirty: vec![self.component.clone()],
            conflicts: Vec::new(),
        };
        operation::begin(principal, &mut level, &operation, LOCALMOD)?;
        let rest = operation::carry_on(principal, context, &mut level, operation, LOCALMOD)?;
        Ok(join(outcome, rest))
    }
}
