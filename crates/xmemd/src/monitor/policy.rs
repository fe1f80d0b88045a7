//! The profiles that are in force, and what follows when they change.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use tender_saf::{AuditEntry, Compiled, Database, LinuxIdentity, Record, Subject};

use super::rights::{self, Whom};
use super::{Monitor, tables, token};
use crate::channel::{Channel, Message};
use crate::link::{FromKeeper, Table, ToFront};
use crate::messages;
use crate::role::RoleError;

/// The profiles.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) database: Database,
    pub(crate) compiled: Compiled,
    pub(crate) epoch: u64,
    /// Where they are from.
    pub(crate) path: PathBuf,
}

impl Monitor {
    pub(super) fn hear_keeper(&mut self) -> Result<(), RoleError> {
        loop {
            let Some(keeper) = &mut self.keeper else { return Ok(()) };
            keeper.flush().ok();
            match keeper.receive() {
                Ok(Some(message)) => self.told_by_keeper(&message)?,
                Ok(None) => {
                    let wants_write = keeper.wants_write();
                    return Ok(self.poller.want_write(&*keeper, token::KEEPER, wants_write)?);
                }
                // The root process brings the next one; until then the profiles stay as they are.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.keeper_ended();
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the link to a keeper that was just started. The one before is heard until it has answered everything: what it
    /// has committed was committed, whichever database counts by now.
    pub(super) fn keeper_started(&mut self, link: OwnedFd) -> io::Result<()> {
        let before = self.keeper_number;
        if let Some(keeper) = self.keeper.take() {
            self.poller.remove(&keeper);
            if !self.waiting_for_keeper(before).is_empty() {
                self.poller.add(&keeper, token::REPLACED_KEEPER | before)?;
                self.replaced_keepers.insert(before, keeper);
            }
        }
        let keeper = Channel::new(link)?;
        self.poller.add(&keeper, token::KEEPER)?;
        (self.keeper, self.keeper_number, self.is_keeper_heard) = (Some(keeper), before + 1, false);
        Ok(())
    }

    /// Hears what a keeper of before has yet to answer; its profiles do not count any more.
    pub(super) fn hear_replaced_keeper(&mut self, number: u64) -> Result<(), RoleError> {
        loop {
            let Some(keeper) = self.replaced_keepers.get_mut(&number) else { return Ok(()) };
            keeper.flush().ok();
            match keeper.receive() {
                Ok(Some(message)) => match message.head()? {
                    FromKeeper::Loaded { .. } | FromKeeper::NotLoaded { .. } => {}
                    FromKeeper::Committed { ticket, .. } => self.committed(ticket, Ok(())),
                    FromKeeper::NotCommitted { ticket, why, is_conflict } => {
                        self.committed(ticket, Err((why, is_conflict)));
                    }
                },
                Ok(None) => {
                    let (wants_write, token) = (keeper.wants_write(), token::REPLACED_KEEPER | number);
                    return Ok(self.poller.want_write(&*keeper, token, wants_write)?);
                }
                Err(_) => {
                    self.poller.remove(keeper);
                    self.replaced_keepers.remove(&number);
                    self.unanswered_by_keeper(number);
                    return Ok(());
                }
            }
        }
    }

    fn keeper_ended(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            self.poller.remove(&keeper);
            self.unanswered_by_keeper(self.keeper_number);
        }
    }

    /// A keeper is gone: what it was asked for may have been done or not.
    fn unanswered_by_keeper(&mut self, number: u64) {
        for ticket in self.waiting_for_keeper(number) {
            let why = "the keeper ended before it answered; look whether the change was made";
            self.committed(ticket, Err((why.to_owned(), false)));
        }
    }

    fn told_by_keeper(&mut self, message: &Message) -> Result<(), RoleError> {
        match message.head()? {
            FromKeeper::Loaded { epoch, path } => {
                let records: Vec<Record> =
                    serde_json::from_slice(message.body()).map_err(io::Error::other)?;
                let mut database = Database::default();
                for record in records {
                    database.insert(record);
                }
                let compiled = Compiled::new(&database);
                self.print.say(messages::POLICY_LOADED, &[&path.display(), &epoch]);
                self.policy = Some(Policy { database, compiled, epoch, path });
                self.is_keeper_heard = true;
                self.renew_tables();
                self.admit_late();
                self.become_ready()?;
            }
            FromKeeper::NotLoaded { why } => self.print.say(messages::POLICY_FAILED, &[&why]),
            FromKeeper::Committed { ticket, .. } => self.committed(ticket, Ok(())),
            FromKeeper::NotCommitted { ticket, why, is_conflict } => {
                self.committed(ticket, Err((why, is_conflict)));
            }
        }
        Ok(())
    }

    /// Takes the table of a subject for one more connection, making it if need be.
    pub(super) fn take_table(&mut self, key: String, identity: &LinuxIdentity, subject: &Subject) -> u32 {
        let Some(policy) = &self.policy else { return 0 };
        let make = || make(policy, identity, subject, &self.plugin_services, &self.settings.parameters);
        let (id, is_new) = self.tables.take(key, make);
        if is_new {
            self.send_table(id);
        }
        id
    }

    pub(super) fn give_table_back(&mut self, id: u32) {
        if self.tables.give_back(id) {
            self.tell_front(&ToFront::Forget { id }, &[], Vec::new());
        }
    }

    pub(super) fn send_table(&mut self, id: u32) {
        let (Some(table), Some(policy)) = (self.tables.get(id), &self.policy) else { return };
        let message = ToFront::Table { id, epoch: policy.epoch, table: Box::new(table.clone()) };
        self.tell_front(&message, &[], Vec::new());
    }

    /// Makes every table anew and tells the front what has changed.
    pub(super) fn renew_tables(&mut self) {
        let Some(policy) = &self.policy else { return };
        let mut renewed = std::collections::HashMap::new();
        let mut moved = Vec::new();
        for (id, connection) in &mut self.connections {
            let subject = policy.compiled.subject(&connection.identity);
            if subject == connection.subject {
                renewed.entry(connection.table).or_insert_with(|| {
                    make(
                        policy,
                        &connection.identity,
                        &subject,
                        &self.plugin_services,
                        &self.settings.parameters,
                    )
                });
            } else {
                // The database calls somebody else so now.
                connection.subject = subject;
                moved.push(*id);
            }
        }
        for (id, table) in renewed {
            if self.tables.put(id, table) {
                self.send_table(id);
            }
        }
        for id in moved {
            let Some(connection) = self.connections.get(&id) else { continue };
            let (identity, subject) = (connection.identity.clone(), connection.subject.clone());
            let key = tables::key(&identity, &subject);
            let table = self.take_table(key, &identity, &subject);
            let old = match self.connections.get_mut(&id) {
                Some(connection) => std::mem::replace(&mut connection.table, table),
                None => continue,
            };
            self.tell_front(&ToFront::Retable { connection: id, table }, &[], Vec::new());
            self.give_table_back(old);
        }
    }

    /// Decides a question of a connection anew, and returns what is to be written down about it.
    pub(super) fn decide(
        &self,
        connection: u64,
        class: &str,
        resource: &str,
        level: tender_saf::AccessLevel,
    ) -> Option<(bool, bool, AuditEntry, Option<String>)> {
        let policy = self.policy.as_ref()?;
        let known = self.connections.get(&connection)?;
        let asked = rights::question(class, resource, level);
        let decision = policy.compiled.decide(&known.subject, &asked);
        let mut entry = AuditEntry::of(jiff::Timestamp::now(), &known.subject, &asked, &decision);
        entry.origin = Some(known.origin(connection));
        let explain = rights::question(rights::CLASS, rights::EXPLAIN, tender_saf::AccessLevel::Read);
        let may_know = !decision.granted && policy.compiled.decide(&known.subject, &explain).granted;
        let whom = Whom { subject: &known.subject, uid: known.uid, name: known.identity.name.as_deref() };
        let refusal = may_know.then(|| rights::refusal(&policy.compiled, &whom, &asked));
        Some((decision.granted, decision.audit, entry, refusal))
    }
}

fn make(
    policy: &Policy,
    identity: &LinuxIdentity,
    subject: &Subject,
    plugins: &[rights::PluginService],
    parameters: &[(String, String)],
) -> Table {
    let whom = Whom { subject, uid: identity.uid, name: identity.name.as_deref() };
    rights::table(&policy.compiled, &whom, plugins, parameters)
}
