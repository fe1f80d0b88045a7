//! The engine: waits for something to happen, has it decided, and carries out what was decided.
//!
//! ```text
//!   descriptors ──► what happened ──► events ──► life: decide ──► actions ──► processes, timers, messages
//!   timers ────────►                    ▲                            │
//!   requests ──────►                    └──── admission, order ◄─────┘
//! ```
//!
//! One thread owns everything. No call of it waits for anything but [`Poller::wait`]; files are written where a write
//! goes to memory, and programs are started where the kernel makes a process.

mod act;
mod clients;
mod environment;
mod journal;
mod kept;
mod members;
mod notify;
mod operator;
mod orphans;
mod probe;
mod pump;
mod reap;
mod reload;
mod requests;
mod schedule;
mod status;
mod tell;
mod unit;
mod waits;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use crate::clock;
use crate::console::Reply;
use crate::life::{Event, Moment, Timer};
use crate::lock::InstanceLock;
use crate::messages::{message, seconds};
use crate::options::{Exit, Options, SuperviseError};
use crate::order;
use crate::output::notable::Notable;
use crate::plan::{Instance, LeftOut, LogSettings, Plan};
use crate::poller::{Interest, Poller, Token};
use crate::process::cgroup::{ComponentCgroup, InstanceCgroup};
use crate::process::oom::OutOfMemory;
use crate::process::sys::{self, SignalMask};
use crate::process::{proc, spawn};
use crate::timers::Timers;
use clients::Clients;
use journal::Journal;
use reload::Planning;
use tell::Backlog;
use unit::{Owner, Unit};
use waits::Wait;

/// Read from one descriptor in one turn, in bytes: a component that floods gets no more than the others.
const PIECE_BYTES: usize = 64 << 10;

/// Runs until told to shut down.
///
/// The process becomes the sub-reaper of everything below it, and every child of it is waited for here: the caller has
/// no other children and no other threads that start any. SIGTERM and SIGINT shut down, a second one without grace
/// time; SIGHUP reloads and opens log files anew.
///
/// Errors: all but one come before anything is started, and then nothing is left behind. When events cannot be waited for any
/// more ([`SuperviseError::System`]), components go on without a supervisor; the next one of the instance stops them before it
/// starts its own.
pub fn run(plan: Plan, options: Options) -> Result<Exit, SuperviseError> {
    let mut engine = Engine::new(plan, options)?;
    engine.clear_orphans();
    engine.begin()?;
    engine.turn_until_over()?;
    Ok(engine.end())
}

/// Timers of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    Unit(u32, Timer),
    /// Sockets of a component are not kept any longer.
    Kept(u32),
    /// A component floods: its output is read again then.
    Flood(u32),
    /// What a client waits for is over.
    Client(u32),
    Planner,
    Journal,
    /// What could not be said is said.
    Backlog,
    /// Connections are accepted again.
    Listener,
}

/// How trees of processes are held.
#[derive(Debug)]
enum Containment {
    Cgroups(InstanceCgroup),
    /// With the reason why not by cgroups.
    SubReaper(String),
}

/// What the engine is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    ShuttingDown,
}

/// Owns everything.
pub(super) struct Engine {
    instance: Instance,
    log: LogSettings,
    left_out: Vec<LeftOut>,
    notable: Notable,
    options: Options,
    /// Kept for what it holds back.
    _lock: Option<InstanceLock>,
    _signal_mask: SignalMask,
    signals: OwnedFd,
    poller: Poller,
    timers: Timers<Key>,
    events: VecDeque<(u32, Event)>,
    units: BTreeMap<u32, Unit>,
    /// In the order of the configuration.
    order: Vec<u32>,
    names: HashMap<String, u32>,
    /// Who waits for whom at the start, and is stopped earlier.
    dependents: HashMap<u32, Vec<u32>>,
    ids_used: u32,
    owners: HashMap<i32, Owner>,
    containment: Containment,
    /// Names this instance on this machine, also to a later supervisor.
    uuid: String,
    /// No supervisor was here before: nobody named the instance.
    is_first: bool,
    clients: Clients,
    waits: Vec<Wait>,
    journal: Journal,
    backlog: Backlog,
    planning: Option<Planning>,
    piece: Vec<u8>,
    batch: Vec<u8>,
    began_ms: u64,
    /// States changed: order, waits and readiness are to be looked at.
    is_dirty: bool,
    is_ready_told: bool,
    mode: Mode,
    exit: Exit,
    /// Soft and hard number of open files, as this process got it.
    files: (u64, u64),
    chance: u64,
    out_of_memory: OutOfMemory,
}

impl Engine {
    fn new(plan: Plan, mut options: Options) -> Result<Self, SuperviseError> {
        order::check(&plan.components).map_err(SuperviseError::Order)?;
        plan.components.iter().try_for_each(unit::check)?;
        let Plan { instance, mut components, left_out, log, notable } = plan;
        let shared = environment::share(&mut components);
        make_directory(&instance.private_directory)?;
        let lock = match options.lock.take() {
            Some(lock) => lock,
            None => InstanceLock::acquire(&instance.directory, &instance.id).map_err(SuperviseError::Lock)?,
        };
        let files = spawn::files_limit();
        spawn::raise_files_limit();
        let system = |step| move |source: io::Error| SuperviseError::System { step, source };
        rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1))
            .map_err(|error| system("become a sub-reaper")(error.into()))?;
        let signals = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP];
        let (signal_mask, signals) =
            SignalMask::as_descriptor(&signals).map_err(system("take signals as a descriptor"))?;
        let poller = Poller::new().map_err(system("make an epoll descriptor"))?;
        poller.add(&signals, Token::Signals, Interest::Read).map_err(system("wait for signals"))?;
        let (uuid, is_first) = instance_uuid(&instance.private_directory)?;
        let short = &uuid[..uuid.len().min(8)];
        let group = InstanceCgroup::open(&options.cgroups, &format!("tender-{}-{short}", instance.id));
        let group = group.and_then(|group| group.check(|trial| survives(trial, files)).map(|()| group));
        let journal = Journal::new(&instance.private_directory);
        let mut engine = Self {
            clients: Clients::new(&instance),
            instance,
            log,
            left_out,
            notable: Notable::new(&notable),
            options,
            _lock: Some(lock),
            _signal_mask: signal_mask,
            signals,
            poller,
            timers: Timers::new(),
            events: VecDeque::new(),
            units: BTreeMap::new(),
            order: Vec::new(),
            names: HashMap::new(),
            dependents: HashMap::new(),
            ids_used: 0,
            owners: HashMap::new(),
            containment: match group {
                Ok(group) => Containment::Cgroups(group),
                Err(why) => Containment::SubReaper(why),
            },
            chance: clock::wall_ms().unsigned_abs() | 1,
            uuid,
            is_first,
            waits: Vec::new(),
            journal,
            backlog: Backlog::default(),
            planning: None,
            piece: vec![0; PIECE_BYTES],
            batch: Vec::new(),
            began_ms: clock::monotonic_ms(),
            is_dirty: true,
            is_ready_told: false,
            mode: Mode::Running,
            exit: Exit::default(),
            files,
            out_of_memory: OutOfMemory::new(),
        };
        for component in components {
            engine.add_unit(component, &shared)?;
        }
        engine.connect_units();
        Ok(engine)
    }

    /// Opens the console and starts everything.
    fn begin(&mut self) -> Result<(), SuperviseError> {
        self.open_console()?;
        if let Containment::SubReaper(why) = &self.containment {
            let text =
                format!("trees of processes are held by sub-reaper and markers, not by cgroups: {why}");
            self.tell(message("ZWEL0094W", text));
        }
        for left_out in self.left_out.clone() {
            let text =
                format!("component {} is left out: {}: {}", left_out.name, left_out.phase, left_out.reason);
            self.tell(message("ZWEL0095W", text));
        }
        self.tell(message("ZWEL0006I", format!("starting {} components", self.order.len())));
        for id in self.order.clone() {
            self.push(id, Event::Start);
        }
        Ok(())
    }

    /// Takes turns until everything is at rest after a shutdown.
    fn turn_until_over(&mut self) -> Result<(), SuperviseError> {
        loop {
            self.settle();
            if self.is_over() {
                return Ok(());
            }
            let now_ms = clock::monotonic_ms();
            let next_ms = self.timers.next_ms().map(|at_ms| at_ms.saturating_sub(now_ms));
            let wait_ms = if self.has_waiting_request() { Some(0) } else { next_ms };
            let tokens = self
                .poller
                .wait(wait_ms)
                .map_err(|source| SuperviseError::System { step: "wait for events", source })?;
            for token in tokens {
                self.dispatch(token);
            }
            let now_ms = clock::monotonic_ms();
            while let Some(key) = self.timers.take_due(now_ms) {
                self.time_over(key);
            }
            self.serve_clients();
        }
    }

    fn dispatch(&mut self, token: Token) {
        match token {
            Token::Signals => self.take_signals(),
            Token::Listener => self.accept_clients(),
            Token::Client(id) => self.client_event(id),
            Token::Output(id) => self.pump(id),
            Token::Report(id) => self.take_report(id),
            // The child is waited for with all others that ended meanwhile.
            Token::Process(_) => self.reap(),
            Token::Notify(id) => self.take_notifications(id),
            Token::Probe(id) => self.probe_event(id),
            Token::PlannerOutput => self.read_plan(),
            Token::PlannerMessages => self.read_planner_messages(),
        }
    }

    fn time_over(&mut self, key: Key) {
        match key {
            Key::Unit(id, Timer::Probe) => self.ask(id),
            Key::Unit(id, Timer::Answer) => self.answer_overdue(id),
            Key::Unit(id, Timer::Look) => self.look_again(id),
            Key::Unit(id, timer) => self.push(id, Event::Due(timer)),
            Key::Flood(id) => self.end_flood(id),
            Key::Kept(id) => self.drop_sockets(id),
            Key::Client(id) => self.wait_overdue(id),
            Key::Planner => self.planner_overdue(),
            Key::Journal => self.write_journal(),
            Key::Backlog => self.say_backlog(),
            Key::Listener => self.accept_again(),
        }
    }

    /// Decides and acts until nothing follows any more.
    fn settle(&mut self) {
        loop {
            self.process_events();
            if !self.is_dirty {
                break;
            }
            self.is_dirty = false;
            self.put_successors_in_place();
            self.schedule();
            self.tell_ready();
            self.answer_waits();
        }
        self.keep_journal();
        self.flush_clients();
    }

    fn take_signals(&mut self) {
        // Each record has 128 bytes and begins with the number of the signal.
        let mut records = [0; 128 * 8];
        let length = rustix::io::read(&self.signals, &mut records).unwrap_or(0);
        for record in records[..length].chunks_exact(128) {
            let number = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
            match i32::try_from(number).unwrap_or_default() {
                libc::SIGCHLD => self.reap(),
                libc::SIGHUP => self.hang_up(),
                libc::SIGTERM | libc::SIGINT => {
                    self.tell(message("ZWEL0019I", "the launcher is told to stop by a signal"));
                    self.shut_down();
                }
                _ => {}
            }
        }
    }

    fn is_over(&self) -> bool {
        self.mode == Mode::ShuttingDown
            && self.units.values().all(|unit| {
                let is_lost = unit.life.state == crate::console::State::Failed;
                unit.pending.is_none() && (!unit.life.has_tree || is_lost)
            })
    }

    /// Clears away what this supervisor made.
    fn end(mut self) -> Exit {
        let unkillable = self.units.values().filter(|unit| unit.life.has_tree);
        self.exit.unkillable = unkillable.map(|unit| unit.name().to_owned()).collect();
        self.kill_strays();
        let names = |names: &[String]| names.join(", ");
        if self.exit.forced.is_empty() && self.exit.unkillable.is_empty() {
            self.tell(message("ZWEL0009I", "components stopped"));
        } else {
            let text = format!("not all components stopped by themselves: {}", names(&self.exit.forced));
            self.tell(message("ZWEL0053W", text));
        }
        self.close_console();
        self.journal.remove();
        if let Containment::Cgroups(group) = &self.containment {
            group.remove();
        }
        self.end_backlog();
        self.exit
    }

    fn push(&mut self, id: u32, event: Event) {
        self.events.push_back((id, event));
    }

    fn arm(&mut self, id: u32, timer: Timer, after_ms: u64) {
        self.timers.arm(Key::Unit(id, timer), clock::monotonic_ms().saturating_add(after_ms));
    }

    fn disarm(&mut self, id: u32, timer: Timer) {
        self.timers.disarm(Key::Unit(id, timer));
    }

    /// Returns now, with a number drawn by chance (xorshift: it spreads restarts, nothing else hangs on it).
    fn moment(&mut self) -> Moment {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        Moment { now_ms: clock::monotonic_ms(), chance: (self.chance >> 32) as u32 }
    }

    /// Says once that everything is READY.
    fn tell_ready(&mut self) {
        if self.is_ready_told || self.mode != Mode::Running || !self.is_ready() {
            return;
        }
        self.is_ready_told = true;
        let after = seconds(clock::monotonic_ms().saturating_sub(self.began_ms));
        let left_out = match self.left_out.len() {
            0 => String::new(),
            count => format!("; {count} left out"),
        };
        self.tell(message("ZWEL0007I", "components started"));
        let text = format!(
            "instance {} is ready after {after}: {} components{left_out}",
            self.instance.id,
            self.order.len()
        );
        self.tell(message("ZWEL0075I", text));
        notify::tell_parent("READY=1\nSTATUS=every component is ready");
        // The plan came as text, and was large.
        sys::give_memory_back();
    }

    fn is_ready(&self) -> bool {
        self.units.values().all(|unit| unit.is_fine() && unit.pending.is_none())
    }

    /// Tells everybody who watches.
    fn broadcast(&mut self, reply: &Reply) {
        self.clients.broadcast_event(reply);
    }
}

fn make_directory(path: &Path) -> Result<(), SuperviseError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| SuperviseError::Path {
        step: "make directory",
        path: path.to_owned(),
        source,
    })
}

/// Returns what names the instance, the same for every supervisor of it on this machine, and whether it is new.
fn instance_uuid(directory: &Path) -> Result<(String, bool), SuperviseError> {
    let path = directory.join("instance-uuid");
    if let Ok(text) = fs::read_to_string(&path) {
        let text = text.trim();
        if text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Ok((text.to_owned(), false));
        }
    }
    let failed = |path: PathBuf| move |source| SuperviseError::Path { step: "write", path, source };
    let uuid = proc::new_uuid().map_err(failed(path.clone()))?;
    journal::replace(&path, uuid.as_bytes()).map_err(failed(path))?;
    Ok((uuid, true))
}

/// Returns the value of `WATCHDOG_USEC`, when a component's health is its saying that it lives.
fn watchdog_us(component: &crate::plan::Component) -> Option<String> {
    let health = component.health.as_ref().filter(|health| health.probe == crate::plan::Probe::Notify)?;
    Some(health.period_ms.saturating_mul(1000).to_string())
}

/// Says whether a process that is started in a cgroup lives to its own end.
fn survives(group: &ComponentCgroup, files: (u64, u64)) -> Result<bool, String> {
    let descriptor = group.descriptor().map_err(|error| error.to_string())?;
    let (_output, child_output) = spawn::output_pipe().map_err(|error| error.to_string())?;
    let program = spawn::Program {
        command: &["true".to_owned()],
        directory: Path::new("/"),
        environment: &BTreeMap::new(),
        shared: &BTreeMap::new(),
        markers: &[],
        output: child_output.as_fd(),
        more: &[],
        cgroup: Some(descriptor.as_fd()),
        files,
    };
    let spawned = program.spawn().map_err(|error| error.to_string())?;
    let pid = rustix::process::Pid::from_raw(spawned.pid);
    let ended = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
    Ok(ended.is_ok_and(|ended| ended.is_some_and(|(_, status)| status.exited())))
}
