//! STORE GC: removes objects that nothing refers to, and what interrupted work left.

use std::collections::HashSet;

use tender_content::{Digest, Node, Tree, remove_tree};
use tender_package::{Message, Outcome, Severity};

use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::principal::{Principal, Share};
use crate::shapes::{LevelContent, LocalMod};
use crate::tables::{fixes, levels, releases};

/// STORE GC.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreGc;

/// Collects what is referred to.
struct Live<'p> {
    principal: &'p Principal,
    digests: HashSet<Digest>,
}

impl Live<'_> {
    fn tree(&mut self, digest: &Digest) -> Result<(), ServiceError> {
        if self.digests.insert(*digest) {
            let tree: Tree = self.principal.tree(digest)?;
            self.digests.extend(tree.iter().filter_map(|(_, node)| node.digest()));
        }
        Ok(())
    }

    fn node(&mut self, node: Option<&Node>) {
        self.digests.extend(node.and_then(Node::digest));
    }

    fn content(&mut self, content: &LevelContent) -> Result<(), ServiceError> {
        for component in &content.components {
            self.tree(&component.source)?;
            self.tree(&component.tree)?;
        }
        for LocalMod { base, body, .. } in &content.mods {
            self.node(base.as_ref());
            self.node(body.as_ref());
        }
        Ok(())
    }
}

fn live(principal: &Principal) -> Result<HashSet<Digest>, ServiceError> {
    let mut live = Live { principal, digests: HashSet::new() };
    let releases = releases::all(&principal.tables())?;
    for release in releases {
        let vrm = &release.vrm;
        let base = releases::components(&principal.tables(), vrm)?;
        for component in base {
            live.tree(&component.tree)?;
        }
        let received = fixes::all(&principal.tables(), vrm)?;
        for part in received.iter().flat_map(|(fix, _)| &fix.parts) {
            live.node(part.becomes.as_ref());
        }
        let names = levels::all(&principal.tables(), vrm)?;
        for level in names {
            let content = levels::content(&principal.tables(), vrm, &level.name)?;
            live.content(&content)?;
            let open = levels::operation(&principal.tables(), vrm, &level.name)?;
            if let Some(open) = open {
                live.content(&open.after)?;
            }
        }
    }
    for outputs in levels::all_built(&principal.tables())? {
        live.tree(&outputs)?;
    }
    Ok(live.digests)
}

impl Verb for StoreGc {
    fn word(&self) -> &'static str {
        "STORE GC"
    }

    fn subject(&self) -> Subject {
        Subject::general("")
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let live = live(principal)?;
        let mut outcome = Outcome::default();
        outcome.say(Message::csm(206, Severity::I, format!("{} objects are in use", live.len())));
        outcome.data = serde_json::json!({ "in_use": live.len() });
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let releases = releases::all(&principal.tables())?;
        // Objects of work under way are referred to by nothing yet: nobody may be at work.
        let locks: Result<Vec<_>, ServiceError> = releases
            .iter()
            .map(|release| {
                principal.lock_release(&release.vrm, Share::Exclusive, &context.operator, self.word())
            })
            .collect();
        let _locks = locks?;
        let live = live(principal)?;
        let report =
            principal.store().gc(&live).map_err(ServiceError::content("removing what nothing refers to"))?;
        for release in &releases {
            for directory in ["work", "views"] {
                let path = principal.release_dir(&release.vrm).join(directory);
                remove_tree(&path).map_err(ServiceError::content(format!("removing {}", path.display())))?;
            }
        }
        let mut outcome = Outcome::default();
        let text = format!(
            "{} objects removed, {} bytes freed, {} kept",
            report.removed, report.freed_bytes, report.kept
        );
        outcome.say(Message::csm(207, Severity::I, text));
        outcome.data = serde_json::json!({
            "removed": report.removed, "freed_bytes": report.freed_bytes, "kept": report.kept,
        });
        Ok(outcome)
    }
}
