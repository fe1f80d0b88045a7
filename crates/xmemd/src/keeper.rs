//! The keeper: the one box that opens the profile database.
//!
//! It runs as whoever owns the database, watches it, sends it to the monitor whenever it has changed, and commits what the
//! monitor has planned. So neither the monitor nor anything that clients talk to can read or write the file itself.

use std::io;
use std::os::fd::AsFd as _;

use tender_saf::{Change, Store, StoreError, Transaction, Watch};
use tender_worker::confine::{Confinement, Role};

use crate::channel::{Channel, Message};
use crate::link::{Begin, FromKeeper, RootToKeeper, ToKeeper};
use crate::poller::{Poller, Ready};
use crate::role::{self, RoleError};

const ROOT: u64 = 0;
const LINK: u64 = 1;
const WATCH: u64 = 2;
/// How often a database that cannot be watched or read is tried again.
const RETRY_MS: u64 = 1000;

struct Keeper {
    root: Channel,
    link: Channel,
    poller: Poller,
    begin: Begin,
    store: Option<Box<dyn Store>>,
    watch: Option<Watch>,
    /// Why the database could not be read the last time.
    trouble: Option<String>,
}

/// Runs until the root process is gone.
pub(crate) fn run() -> Result<(), RoleError> {
    let mut root = role::enter()?;
    let mut message = role::first(&mut root)?;
    let RootToKeeper::Begin(begin) = message.head()? else { return Err(RoleError::Order) };
    let link = Channel::new(message.take_fd()?)?;
    let directory = match begin.database.is_dir() {
        true => begin.database.clone(),
        false => begin.database.parent().map_or_else(|| "/".into(), std::path::Path::to_owned),
    };
    let confinement = Confinement::new(Role::Keeper).keep(&root).keep(&link).write(directory);
    let sandbox = role::confine(confinement, begin.run_as)?;
    role::tell_confined(&mut root, sandbox)?;
    let poller = Poller::new()?;
    poller.add(&root, ROOT)?;
    poller.add(&link, LINK)?;
    let mut keeper = Keeper { root, link, poller, begin: *begin, store: None, watch: None, trouble: None };
    keeper.load()?;
    let mut ready = Vec::new();
    loop {
        let timeout_ms = keeper.watch.is_none().then_some(RETRY_MS);
        keeper.poller.wait(timeout_ms, &mut ready)?;
        if keeper.watch.is_none() && !ready.iter().any(|ready| ready.token == ROOT) {
            keeper.load()?;
        }
        for ready in ready.drain(..) {
            if keeper.handle(ready)?.is_none() {
                return Ok(());
            }
        }
    }
}

impl Keeper {
    /// Handles one descriptor; `None` when the root process is gone.
    fn handle(&mut self, ready: Ready) -> io::Result<Option<()>> {
        match ready.token {
            ROOT => loop {
                match self.root.receive() {
                    Ok(None) => return Ok(Some(())),
                    Ok(Some(message)) => self.told_by_root(message)?,
                    // What it was asked for before it was told to end is done and answered.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        self.orders()?;
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            },
            LINK => self.orders()?,
            WATCH => self.look()?,
            _ => {}
        }
        Ok(Some(()))
    }

    fn told_by_root(&mut self, mut message: Message) -> io::Result<()> {
        if let RootToKeeper::Monitor = message.head()? {
            self.poller.remove(&self.link);
            self.link = Channel::new(message.take_fd()?)?;
            self.poller.add(&self.link, LINK)?;
            self.trouble = None;
            self.send_database()?;
        }
        Ok(())
    }

    fn orders(&mut self) -> io::Result<()> {
        self.link.flush().or_else(gone)?;
        loop {
            match self.link.receive() {
                Ok(Some(message)) => match message.head()? {
                    ToKeeper::Load => self.send_database()?,
                    ToKeeper::Commit { ticket, who, what } => {
                        let reply = self.commit(ticket, who, what, message.body());
                        self.say(&reply, &[])?;
                        self.look()?;
                    }
                },
                Ok(None) => return Ok(()),
                // The root process will bring the link to the next monitor.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.poller.remove(&self.link);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn commit(&self, ticket: u64, who: String, what: String, body: &[u8]) -> FromKeeper {
        let failed = |why: String| FromKeeper::NotCommitted { ticket, why, is_conflict: false };
        let changes: Vec<Change> = match serde_json::from_slice(body) {
            Ok(changes) => changes,
            Err(error) => return failed(error.to_string()),
        };
        let Some(store) = &self.store else { return failed("the database cannot be used".to_owned()) };
        let transaction = Transaction { who, at: jiff::Timestamp::now(), what, changes };
        match store.commit(&transaction) {
            Ok(done) => FromKeeper::Committed { ticket, transaction: done.transaction, epoch: done.epoch.0 },
            Err(error) => {
                let is_conflict = matches!(error, StoreError::Conflict { .. });
                FromKeeper::NotCommitted { ticket, why: role::chain(&error), is_conflict }
            }
        }
    }

    /// Opens the database and begins to watch it.
    fn load(&mut self) -> io::Result<()> {
        match tender_saf::open(&self.begin.database) {
            Ok(store) => self.store = Some(store),
            Err(error) => return self.report(role::chain(&error)),
        }
        self.send_database()
    }

    fn look(&mut self) -> io::Result<()> {
        let (Some(store), Some(watch)) = (&self.store, &mut self.watch) else { return Ok(()) };
        match watch.changed(&**store) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => self.send_database(),
            Err(error) => {
                let why = role::chain(&error);
                self.unwatch();
                self.report(why)
            }
        }
    }

    fn unwatch(&mut self) {
        if let Some(watch) = self.watch.take() {
            self.poller.remove(watch.as_fd());
        }
    }

    /// Reads the whole database and sends it.
    fn send_database(&mut self) -> io::Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let (database, epoch) = match store.load() {
            Ok(loaded) => loaded,
            Err(error) => {
                let why = role::chain(&error);
                self.unwatch();
                return self.report(why);
            }
        };
        if self.watch.is_none() {
            match Watch::new(&**store, epoch) {
                Ok(watch) => {
                    self.poller.add(watch.as_fd(), WATCH)?;
                    self.watch = Some(watch);
                }
                Err(error) => self.report(role::chain(&error))?,
            }
        }
        self.trouble = None;
        let records = serde_json::to_vec(&database.records()).map_err(io::Error::other)?;
        let path = self.begin.database.clone();
        self.say(&FromKeeper::Loaded { epoch: epoch.0, path }, &records)
    }

    /// Tells once about each trouble.
    fn report(&mut self, why: String) -> io::Result<()> {
        if self.trouble.as_ref() == Some(&why) {
            return Ok(());
        }
        self.trouble = Some(why.clone());
        self.say(&FromKeeper::NotLoaded { why }, &[])
    }

    fn say(&mut self, what: &FromKeeper, body: &[u8]) -> io::Result<()> {
        self.link.send(what, body, Vec::new()).or_else(gone)?;
        self.poller.want_write(&self.link, LINK, self.link.wants_write()).or_else(gone)
    }
}

/// A monitor that is gone is replaced by the root process.
fn gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}
