//! The monitor: it takes connections, asks the kernel who they are, decides what they may, and orders work.
//!
//! ```text
//! accept ─► who? (kernel) ─► names (thread, deadline) ─► subject ─► table of rights ─► front, with the socket
//!                                                                      ▲
//!                                 keeper: the profiles have changed ───┘ made anew for everybody
//! ```
//!
//! It never reads a client's socket. What the front passes on is checked again: whether the connection exists, and whether
//! its subject still may.

mod accept;
mod audit;
pub(crate) mod calls;
mod control;
mod floods;
mod front_link;
mod names;
mod peer;
mod plugins;
mod policy;
pub(crate) mod proofs;
mod refusals;
pub(crate) mod rights;
mod tables;
mod workers;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tender_identity::{ActorOptions, Actors};
use tender_saf::{AuditOptions, LinuxIdentity, Subject};
use tender_worker::Kind;
use tender_worker::confine::{Confinement, Role};
use tender_xmem::service::RefusalRecord;

use self::accept::Waiting;
use self::audit::Audit;
use self::calls::{Asking, Waits};
use self::control::{Commanding, Operator};
use self::floods::Floods;
use self::names::{Answered, Names};
use self::plugins::Plugins;
use self::policy::Policy;
use self::proofs::Proofs;
use self::rights::PluginService;
use self::tables::Tables;
use self::workers::Worker;
use crate::channel::{Channel, Message};
use crate::link::{Begin, FromMonitor, ToFront, ToMonitor};
use crate::messages;
use crate::poller::{Poller, Ready};
use crate::role::{self, RoleError};
use crate::settings::Settings;
use crate::sysprint::Sysprint;
use crate::timers::{Clock, Timers};

mod token {
    pub(super) const ROOT: u64 = 0;
    pub(super) const FRONT: u64 = 1;
    pub(super) const KEEPER: u64 = 2;
    pub(super) const LISTENER: u64 = 3;
    pub(super) const CONTROL: u64 = 4;
    pub(super) const NAMES: u64 = 5;
    pub(super) const AUDIT: u64 = 6;
    /// With the number of an operator below.
    pub(super) const OPERATOR: u64 = 1 << 32;
    /// With the number of a kind below.
    pub(super) const WORKER: u64 = 2 << 32;
    /// With the number of a host below.
    pub(super) const HOST: u64 = 3 << 32;
    /// With the number of a keeper below.
    pub(super) const REPLACED_KEEPER: u64 = 4 << 32;
}

/// A deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// Of the names of somebody who waits.
    Names(u64),
    /// Plug-ins have had their time.
    Loaded,
    /// A host wants to know that time has passed.
    Host(u64),
    /// A host that was replaced has had its time.
    Retire(u64),
    /// Of draining.
    Drain,
    /// Refusals of a user were counted for long enough.
    Refusals(u32),
}

/// A connection that the front has.
#[derive(Debug)]
struct Connection {
    uid: u32,
    pid: u32,
    pidfd: OwnedFd,
    program: String,
    identity: LinuxIdentity,
    subject: Subject,
    table: u32,
}

impl Connection {
    /// Where a question came from, for the audit log.
    fn origin(&self, id: u64) -> String {
        format!("connection {id} uid {} pid {} {}", self.uid, self.pid, self.program)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

/// Says whether a process has ended; one that cannot be looked at has.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> bool {
    peer::has_ended(std::os::fd::AsFd::as_fd(pidfd)).unwrap_or(true)
}

/// A refusal that is remembered.
#[derive(Debug)]
struct Remembered {
    /// Of its record in the audit log.
    ticket: u64,
    shown: RefusalRecord,
}

/// What waits for a refusal to be on disk.
#[derive(Debug)]
enum AfterAudit {
    /// The front, with a ticket of its own.
    Front(u64),
    /// A call that the monitor itself refused.
    Call { call: u64, code: u32, refusal: Option<String> },
    /// A command, which is then carried out.
    Command(u64),
    /// Nobody.
    Nobody,
}

/// How far a monitor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No profiles yet.
    Starting,
    Ready,
    Draining,
}

#[derive(Debug)]
pub(crate) struct Monitor {
    begin: Begin,
    settings: Settings,
    print: Sysprint,
    poller: Poller,
    clock: Clock,
    timers: Timers<Timer>,
    root: Channel,
    front: Option<Channel>,
    keeper: Option<Channel>,
    keeper_number: u64,
    /// Whether the profiles that are in force are those of the keeper.
    is_keeper_heard: bool,
    /// Keepers before that one which have not answered everything.
    replaced_keepers: HashMap<u64, Channel>,
    listener: Option<OwnedFd>,
    /// Whether connections are waited for.
    is_listening: bool,
    control: Option<OwnedFd>,
    operators: HashMap<u64, Operator>,
    commanding: HashMap<u64, Commanding>,
    /// The last refusals, the newest first.
    refusals: VecDeque<Remembered>,
    floods: Floods,
    waits: HashMap<u64, (Asking, Waits)>,
    workers: HashMap<Kind, Worker>,
    actors: Actors,
    proofs: Proofs,
    phase: Phase,
    policy: Option<Policy>,
    names: Names,
    audit: Audit,
    waiting: HashMap<u64, Waiting>,
    /// Whose names are known, and who waits for profiles.
    admitted_later: Vec<(Waiting, tender_saf::LinuxIdentity)>,
    connections: HashMap<u64, Connection>,
    connections_of_uid: HashMap<u32, u32>,
    tables: Tables,
    plugins: Plugins,
    plugin_services: Vec<PluginService>,
    after_audit: HashMap<u64, AfterAudit>,
    next_id: u64,
    next_ticket: u64,
}

/// Runs until the root process is gone or says so.
pub(crate) fn run() -> Result<(), RoleError> {
    let mut root = role::enter()?;
    let mut message = role::first(&mut root)?;
    let ToMonitor::Begin(begin) = message.head()? else { return Err(RoleError::Order) };
    let listener = message.take_fd()?;
    let control = message.take_fd()?;
    role::raise_files_limit();
    role::raise_memory_lock_limit();
    // What the name service reads is anywhere; what can be written is only what is the monitor's.
    let confinement = Confinement::new(Role::Monitor)
        .keep(&root)
        .keep(&listener)
        .keep(&control)
        .write(&begin.state)
        .read("/")
        .allow_calls(&[libc::SYS_mlockall]);
    let sandbox = role::confine(confinement, begin.run_as)?;
    // Before there are keys. It fails where the limit is low, and then they are where everything is.
    let kept = match crate::sys::lock_memory() {
        Ok(()) => "memory kept out of swap".to_owned(),
        Err(error) => format!("memory not kept out of swap ({error})"),
    };
    role::tell_confined(&mut root, format!("{sandbox}, {kept}"))?;
    let mut monitor = Monitor::new(root, *begin, [listener, control])?;
    monitor.load_plugins();
    monitor.work()
}

impl Monitor {
    fn new(root: Channel, begin: Begin, [listener, control]: [OwnedFd; 2]) -> Result<Self, RoleError> {
        let print = Sysprint::start("MONITOR", begin.level)?;
        let settings = begin.settings.clone();
        let options = AuditOptions {
            queue_entries_max: settings.audit_queue_entries_max,
            linger_ms: settings.audit_linger_ms,
            wait_ms: settings.audit_wait_ms,
            retry_ms: settings.audit_retry_ms,
        };
        let path = begin.state.join("audit.log");
        let audit = Audit::start(&path, options).map_err(|error| io::Error::other(role::chain(&error)))?;
        let names = Names::start()?;
        let proofs = Proofs::open(&begin).map_err(io::Error::other)?;
        let poller = Poller::new()?;
        for socket in [&listener, &control] {
            rustix::io::ioctl_fionbio(socket, true).map_err(io::Error::from)?;
        }
        poller.add(&root, token::ROOT)?;
        if !begin.is_replacement {
            // Operators hear that it is not ready; those of a server that is being replaced are heard by that one.
            poller.add(&control, token::CONTROL)?;
        }
        poller.add(names.waker(), token::NAMES)?;
        poller.add(audit.waker(), token::AUDIT)?;
        let first_id = (begin.start << 32) + 1;
        Ok(Self {
            settings,
            print,
            poller,
            clock: Clock::start(),
            timers: Timers::new(),
            root,
            front: None,
            keeper: None,
            keeper_number: 0,
            is_keeper_heard: false,
            replaced_keepers: HashMap::new(),
            listener: Some(listener),
            is_listening: false,
            control: Some(control),
            operators: HashMap::new(),
            commanding: HashMap::new(),
            refusals: VecDeque::new(),
            floods: Floods::default(),
            waits: HashMap::new(),
            workers: HashMap::new(),
            actors: Actors::new(ActorOptions::default()),
            proofs,
            phase: Phase::Starting,
            policy: None,
            names,
            audit,
            waiting: HashMap::new(),
            admitted_later: Vec::new(),
            connections: HashMap::new(),
            connections_of_uid: HashMap::new(),
            tables: Tables::default(),
            plugins: Plugins::default(),
            plugin_services: Vec::new(),
            after_audit: HashMap::new(),
            next_id: first_id,
            next_ticket: 1,
            begin,
        })
    }

    fn work(&mut self) -> Result<(), RoleError> {
        let mut ready = Vec::new();
        loop {
            let timeout = self.timers.left_ms(self.clock.now_ms());
            self.poller.wait(timeout, &mut ready)?;
            for ready in ready.drain(..) {
                if !self.handle(ready)? {
                    return Ok(());
                }
            }
            while let Some(timer) = self.timers.take_due(self.clock.now_ms()) {
                match timer {
                    Timer::Names(id) => self.names_late(id),
                    Timer::Loaded => self.become_ready()?,
                    Timer::Host(host) => self.host_tick(host),
                    Timer::Retire(host) => self.retire(host),
                    Timer::Drain => self.drained(false)?,
                    Timer::Refusals(uid) => self.tell_refusals(uid),
                }
            }
        }
    }

    /// Handles one descriptor; false when the root process is gone.
    fn handle(&mut self, ready: Ready) -> Result<bool, RoleError> {
        match ready.token {
            token::ROOT => return self.hear_root(),
            token::FRONT => self.hear_front()?,
            token::KEEPER => self.hear_keeper()?,
            token::LISTENER => self.accept(),
            token::CONTROL => self.accept_operators(),
            token::NAMES => {
                while let Some(found) = self.names.answered() {
                    match found {
                        Answered::Process(found) => self.named(&found),
                        Answered::User(ticket, identity) => self.resolved(ticket, identity),
                    }
                }
            }
            token::AUDIT => self.audit_written(),
            other if other >> 32 == 4 => self.hear_replaced_keeper(other & u64::from(u32::MAX))?,
            other if other >> 32 == 3 => self.hear_host(other & u64::from(u32::MAX)),
            other if other >> 32 == 2 => self.hear_worker(other & u64::from(u32::MAX)),
            other if other >> 32 == 1 => self.hear_operator(other & u64::from(u32::MAX)),
            _ => {}
        }
        Ok(true)
    }

    fn hear_root(&mut self) -> Result<bool, RoleError> {
        self.root.flush()?;
        loop {
            match self.root.receive() {
                Ok(None) => break,
                Ok(Some(message)) => self.told_by_root(message)?,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.audit.flush(Duration::from_secs(2)).ok();
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.poller.want_write(&self.root, token::ROOT, self.root.wants_write())?;
        Ok(true)
    }

    fn told_by_root(&mut self, mut message: Message) -> Result<(), RoleError> {
        match message.head()? {
            ToMonitor::Begin(_) => return Err(RoleError::Order),
            ToMonitor::Front => self.front_started(message.take_fd()?)?,
            ToMonitor::Keeper => self.keeper_started(message.take_fd()?)?,
            ToMonitor::Settings(settings) => {
                self.settings = (*settings).clone();
                self.proofs.set_attempts(self.settings.auth_attempts_max);
                self.tell_front(&ToFront::Settings(settings), &[], Vec::new());
                self.renew_tables();
                self.load_new_plugins();
            }
            ToMonitor::Drain { code, within_ms } => self.drain(code, within_ms)?,
            ToMonitor::Worker { kind } => self.worker_started(&kind, message.take_fd()?)?,
            ToMonitor::NoWorker { kind, why } => self.no_worker(&kind, &why),
            ToMonitor::Host { start, pid, .. } => {
                let sockets = [message.take_fd()?, message.take_fd()?];
                self.host_started(start, pid, sockets);
            }
            ToMonitor::NoHost { start, why, .. } => self.host_not_started(start, &why),
            ToMonitor::HostEnded { start, how, .. } => self.host_ended(start, &how),
            ToMonitor::Said { ticket, lines, is_last } => self.root_said(ticket, lines, is_last),
        }
        Ok(())
    }

    /// Tells the root process something; that it is gone is noticed where it is listened to.
    fn tell_root(&mut self, what: &FromMonitor) -> io::Result<()> {
        match self.root.send(what, &[], Vec::new()) {
            Ok(()) => self.poller.want_write(&self.root, token::ROOT, self.root.wants_write()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Tells the root process that calls can be taken, once.
    fn become_ready(&mut self) -> io::Result<()> {
        let is_complete = self.policy.is_some() && self.front.is_some() && self.are_plugins_loaded();
        if self.phase == Phase::Starting && is_complete {
            self.phase = Phase::Ready;
            let plugins: std::collections::HashSet<&str> =
                self.plugin_services.iter().map(|service| &*service.plugin).collect();
            let ready = FromMonitor::Ready {
                services: crate::services::ALL.len(),
                plugins: plugins.len(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            };
            self.tell_root(&ready)?;
            if let Some(control) = self.control.as_ref().filter(|_| self.begin.is_replacement) {
                self.poller.add(control, token::CONTROL)?;
            }
            self.listen();
        }
        Ok(())
    }

    fn drain(&mut self, code: u32, within_ms: u64) -> Result<(), RoleError> {
        self.phase = Phase::Draining;
        for socket in [self.listener.take(), self.control.take()].into_iter().flatten() {
            self.poller.remove(&socket);
        }
        self.waiting.clear();
        self.tell_front(&ToFront::Drain { code, within_ms }, &[], Vec::new());
        // The front is quicker, unless it hangs.
        self.timers.arm(Timer::Drain, self.clock.now_ms() + within_ms + 1000);
        if self.front.is_none() {
            self.drained(true)?;
        }
        Ok(())
    }

    fn drained(&mut self, is_clean: bool) -> Result<(), RoleError> {
        self.timers.disarm(Timer::Drain);
        self.stop_plugins();
        let is_written = self.audit.flush(Duration::from_secs(5));
        if let Err(error) = is_written {
            self.print.say(messages::AUDIT_FAILED, &[&role::chain(&error)]);
        }
        self.print.flush(Duration::from_secs(1));
        Ok(self.tell_root(&FromMonitor::Drained { is_clean })?)
    }
}
