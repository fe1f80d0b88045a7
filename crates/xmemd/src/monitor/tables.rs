//! Tables of rights: one for all connections of one subject.

use std::collections::HashMap;

use tender_saf::{LinuxIdentity, Subject};

use crate::link::Table;

#[derive(Debug)]
struct Kept {
    key: String,
    users: usize,
    table: Table,
}

/// Tables that connections have.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    by_key: HashMap<String, u32>,
    kept: HashMap<u32, Kept>,
    next: u32,
}

/// Returns what a table depends on besides the profiles.
pub(crate) fn key(identity: &LinuxIdentity, subject: &Subject) -> String {
    let user = subject.user.as_ref().map_or("-", tender_saf::Id::as_str);
    let mut key = format!("{} {} {user}", identity.uid, identity.name.as_deref().unwrap_or("-"));
    for group in &subject.groups {
        key.push(' ');
        key.push_str(group.as_str());
    }
    key
}

impl Tables {
    /// Takes the table of a key for one more connection; says whether it was made just now.
    pub(crate) fn take(&mut self, key: String, make: impl FnOnce() -> Table) -> (u32, bool) {
        if let Some(id) = self.by_key.get(&key) {
            if let Some(kept) = self.kept.get_mut(id) {
                kept.users += 1;
            }
            return (*id, false);
        }
        self.next += 1;
        self.by_key.insert(key.clone(), self.next);
        self.kept.insert(self.next, Kept { key, users: 1, table: make() });
        (self.next, true)
    }

    /// Gives a table back; says whether nobody has it any more.
    pub(crate) fn give_back(&mut self, id: u32) -> bool {
        let Some(kept) = self.kept.get_mut(&id) else { return false };
        kept.users -= 1;
        if kept.users > 0 {
            return false;
        }
        if let Some(kept) = self.kept.remove(&id) {
            self.by_key.remove(&kept.key);
        }
        true
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Table> {
        self.kept.get(&id).map(|kept| &kept.table)
    }

    /// Puts a table in the place of another; says whether they differ.
    pub(crate) fn put(&mut self, id: u32, table: Table) -> bool {
        let Some(kept) = self.kept.get_mut(&id) else { return false };
        let differs = kept.table != table;
        kept.table = table;
        differs
    }
}
