//! The front: it decodes every byte that clients send, and has no power to misuse.
//!
//! One event loop. Rings that were used a moment ago are looked at without being asked to, for as long as that pays;
//! everything else wakes the loop through epoll, but for one connection that is busy: a thread of its own waits for that.
//! What needs neither privilege nor policy is answered here; a call that the table of its connection does not grant goes no
//! further than that.

mod admission;
mod busy;
mod calls;
mod connection;
mod incoming;
mod link;
mod plugins;
mod report;
mod rights;
mod rings;
mod slab;
mod turns;

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use tender_worker::confine::{Confinement, Role};
use tender_xmem::frame::PACKET_BYTES_MAX;
use tender_xmem::ring::Spin;

use self::admission::Admission;
use self::busy::Busy;
use self::calls::Pending;
pub(crate) use self::calls::{Logging, Said};
pub(crate) use self::connection::Connection;
use self::connection::{Broken, Phase};
use self::plugins::Plugins;
use self::report::Counters;
use self::rights::Rights;
use self::slab::{Key, Slab};
use self::turns::Turns;
use crate::alarm::Alarm;
use crate::channel::Channel;
use crate::link::{Begin, FromFront, FrontToRoot, RootToFront};
use crate::poller::{Poller, Ready};
use crate::role::{self, RoleError};
use crate::settings::Settings;
use crate::sysprint::Sysprint;
use crate::timers::{Clock, Timers};

/// What a token is about; beside a key.
mod kind {
    pub(super) const ROOT: u8 = 0;
    pub(super) const MONITOR: u8 = 1;
    pub(super) const SOCKET: u8 = 2;
    pub(super) const PROCESS: u8 = 3;
    pub(super) const DOORBELL: u8 = 4;
    pub(super) const PLUGIN: u8 = 5;
    pub(super) const ALARM: u8 = 6;
}

const ROOT: u64 = 0;
const MONITOR: u64 = (kind::MONITOR as u64) << 60;
const ALARM: u64 = (kind::ALARM as u64) << 60;

/// HELLO comes within this.
const HELLO_MS: u64 = 5000;
/// A client reads within this.
const READ_MS: u64 = 10_000;
/// Grants are told at least so often.
const GRANTS_MS: u64 = 500;
/// A full ring is looked at again after this.
const RING_MS: u64 = 1;
/// Turns of looking at rings between two looks at everything else.
const TURNS: u32 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A client has not said HELLO.
    Hello(Key),
    /// A client has not read from its socket.
    Read(Key),
    /// A client has not read from its ring.
    ReadRing(Key),
    /// A call has taken too long.
    Call(u64),
    /// Grants are to be told.
    Grants,
    /// A ring was full.
    Ring(Key),
    /// Draining has taken too long.
    Drain,
}

/// Everything but the connections themselves.
#[derive(Debug)]
struct Shared {
    begin: Begin,
    settings: Settings,
    print: Sysprint,
    poller: Poller,
    clock: Clock,
    timers: Timers<Timer>,
    monitor: Option<Channel>,
    admission: Admission,
    pending: HashMap<u64, Pending>,
    next_call: u64,
    plugins: Plugins,
    counters: Counters,
    /// Connections with something for the audit log.
    counting: Vec<Key>,
    /// Rings that are looked at without being asked to.
    awake: Vec<Key>,
    is_draining: bool,
}

#[derive(Debug)]
struct Front {
    shared: Shared,
    root: Channel,
    /// Set for the earliest of the timers.
    alarm: Alarm,
    connections: Slab<Connection>,
    by_id: HashMap<u64, Key>,
    tables: HashMap<u32, Arc<Rights>>,
    buffer: Vec<u8>,
    ring_buffer: Vec<u8>,
    spin: Spin,
    busy: Busy,
}

/// Runs until the root process is gone.
pub(crate) fn run() -> Result<(), RoleError> {
    let mut root = role::enter()?;
    let mut message = role::first(&mut root)?;
    let RootToFront::Begin(begin) = message.head()? else { return Err(RoleError::Order) };
    let monitor = Channel::new(message.take_fd()?)?;
    role::raise_files_limit();
    // This is the box that clients can make large; let it be the one that goes.
    std::fs::write("/proc/self/oom_score_adj", "0").ok();
    let confinement = Confinement::new(Role::Front).keep(&root).keep(&monitor);
    let sandbox = role::confine(confinement, begin.run_as)?;
    let (to_thread, assignments) = std::sync::mpsc::channel();
    role::tell_confined(&mut root, sandbox)?;
    let mut front = Front::new(root, *begin, monitor, Busy::new(to_thread))?;
    let poller = front.shared.poller.clone();
    front.root.send(&FrontToRoot::Ready, &[], Vec::new())?;
    let turns = Arc::new(Turns::new(front));
    busy::start(&turns, assignments)?;
    work(&turns, &poller)
}

/// The event loop.
fn work(turns: &Turns<Front>, poller: &Poller) -> Result<(), RoleError> {
    let mut ready = Vec::new();
    let mut front = turns.lock_first();
    let mut has_looked = false;
    loop {
        let timeout = front.prepare(has_looked)?;
        drop(front);
        poller.wait(timeout, &mut ready)?;
        front = turns.lock_first();
        for ready in &ready {
            if !front.handle(*ready)? {
                return Ok(());
            }
        }
        front.look_for_busy(&ready);
        has_looked = front.serve_rings();
    }
}

impl Front {
    fn new(root: Channel, begin: Begin, monitor: Channel, busy: Busy) -> Result<Self, RoleError> {
        let poller = Poller::new()?;
        poller.add(&root, ROOT)?;
        poller.add(&monitor, MONITOR)?;
        let alarm = Alarm::new()?;
        poller.add(&alarm, ALARM)?;
        let print = Sysprint::start("FRONT", begin.level)?;
        let settings = begin.settings.clone();
        let mut admission = Admission::default();
        admission.set_limits(settings.calls_max, settings.calls_per_uid_max);
        let spin = Spin::new(Duration::from_micros(settings.spin_us));
        let mut timers = Timers::new();
        timers.arm(Timer::Grants, GRANTS_MS);
        let shared = Shared {
            settings,
            print,
            poller,
            clock: Clock::start(),
            timers,
            monitor: Some(monitor),
            admission,
            pending: HashMap::new(),
            next_call: 1,
            plugins: Plugins::default(),
            counters: Counters::default(),
            counting: Vec::new(),
            awake: Vec::new(),
            is_draining: false,
            begin,
        };
        Ok(Self {
            shared,
            root,
            alarm,
            connections: Slab::new(),
            by_id: HashMap::new(),
            tables: HashMap::new(),
            buffer: vec![0; PACKET_BYTES_MAX + 1],
            ring_buffer: Vec::new(),
            spin,
            busy,
        })
    }

    /// What is to be done before waiting; says how long to wait, without end for `None`.
    ///
    /// `has_looked` says that rings were just looked at for as long as it is worth it.
    fn prepare(&mut self, has_looked: bool) -> Result<Option<u64>, RoleError> {
        // The clock is asked when the alarm rings or has to be set anew: not for each call.
        if self.alarm.is_due() {
            let now_ms = self.shared.clock.now_ms();
            while let Some(timer) = self.shared.timers.take_due(now_ms) {
                self.due(timer)?;
            }
        }
        let timeout = self.rings_have_work(has_looked).then_some(0);
        self.alarm.set(self.shared.timers.next_ms(), self.shared.clock)?;
        Ok(timeout)
    }

    /// Handles one descriptor; false when the root process is gone.
    fn handle(&mut self, ready: Ready) -> Result<bool, RoleError> {
        let (what, key) = Key::of_token(ready.token);
        match what {
            kind::ROOT => return self.hear_root(),
            kind::MONITOR => self.hear_monitor()?,
            kind::SOCKET => self.socket_ready(key, ready),
            kind::PROCESS => self.process_ended(key),
            kind::DOORBELL => self.wake_ring(key),
            kind::ALARM => self.alarm.rang(),
            kind::PLUGIN => self.hear_plugin(u64::from(key.index)),
            _ => {}
        }
        Ok(true)
    }

    fn due(&mut self, timer: Timer) -> Result<(), RoleError> {
        match timer {
            Timer::Hello(key) => {
                let is_fresh = self.connections.get_mut(key).is_some_and(|found| found.phase == Phase::Fresh);
                if is_fresh {
                    self.violated(key, "no HELLO within 5 seconds");
                }
            }
            Timer::Read(key) | Timer::ReadRing(key) => self.broken(key, Broken::SlowReader),
            Timer::Call(call) => self.call_late(call),
            Timer::Grants => {
                self.tell_grants();
                self.shared.timers.arm(Timer::Grants, self.shared.clock.now_ms() + GRANTS_MS);
            }
            Timer::Ring(key) => self.ring_was_full(key),
            Timer::Drain => self.drained(false)?,
        }
        Ok(())
    }

    /// Ends a connection that cannot go on.
    fn broken(&mut self, key: Key, how: Broken) {
        self.end(key, how.why());
    }

    /// Ends a connection that does not keep to the protocol, and says so.
    fn violated(&mut self, key: Key, what: &str) {
        self.turn_out(key, crate::wire::VIOLATED, what);
    }

    /// Says GOODBYE and ends at once.
    fn turn_out(&mut self, key: Key, code: u32, what: &str) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.goodbye(code, what).ok();
        }
        self.end(key, Some(what.to_owned()));
    }

    /// Ends a connection and everything it has.
    fn end(&mut self, key: Key, why: Option<String>) {
        self.tell_grants_of(key);
        let Some(mut connection) = self.connections.remove(key) else { return };
        self.by_id.remove(&connection.who.id);
        let shared = &mut self.shared;
        shared.poller.remove(&connection.socket);
        shared.poller.remove(&connection.pidfd);
        if let Some(ring) = &connection.ring {
            shared.poller.remove(ring.ring.doorbell());
            shared.awake.retain(|awake| *awake != key);
            shared.counters.rings -= 1;
        }
        for timer in [Timer::Hello(key), Timer::Read(key), Timer::ReadRing(key), Timer::Ring(key)] {
            shared.timers.disarm(timer);
        }
        for call in connection.in_flight.values() {
            shared.abandon(*call);
        }
        shared.admission.disconnected(connection.who.uid);
        shared.tell(&FromFront::Ended { connection: connection.who.id, why }, &[], Vec::new());
        connection.shut();
        crate::wire::drain(connection.socket.as_fd());
        drop(connection);
        if shared.is_draining && self.connections.len() == 0 {
            self.drained(true).ok();
        }
    }

    /// Ends a connection whose good-bye was said, when nothing is left to be done on it.
    fn end_if_done(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.is_done() {
            return;
        }
        if !connection.is_shut {
            // From here on the client cannot send; what it has sent already is answered, and was not done.
            connection.shut();
            if connection.is_busy {
                // By the thread that waits for it, which is woken by this, and ends it when there is nothing more.
                return;
            }
            self.take_ring(key, usize::MAX);
            self.read_rest(key);
        }
        if self.connections.get_mut(key).is_some_and(|connection| connection.is_done() && !connection.is_busy)
        {
            self.end(key, None);
        }
    }

    fn drained(&mut self, is_clean: bool) -> io::Result<()> {
        if !self.shared.is_draining {
            return Ok(());
        }
        self.shared.is_draining = false;
        self.shared.timers.disarm(Timer::Drain);
        self.tell_grants();
        self.shared.print.flush(Duration::from_secs(1));
        self.shared.tell(&FromFront::Drained { is_clean }, &[], Vec::new());
        Ok(())
    }
}
