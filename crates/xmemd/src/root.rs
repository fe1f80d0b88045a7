//! The root process: it starts, watches and replaces the boxes, and reads nothing that a client wrote.
//!
//! ```text
//!             keeper, monitor, front READY           SIGTERM, STOP              drained, or time is up
//!   STARTING ──────────────────────────────► RUNNING ───────────────► DRAINING ───────────────────────► ended
//!                                             │   ▲
//!                                    REPLACE  ▼   │ the old boxes have ended
//!                                            REPLACING: a second set of boxes beside the first
//! ```
//!
//! A box that ends is started again, after a pause that grows while it keeps ending; its callers get 36, and the others go
//! on.

mod again;
mod boxes;
mod cgroups;
mod host;
mod listen;
mod reload;
pub(crate) mod replace;
mod sockets;
mod spawn;
mod start;

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use self::boxes::{BoxId, Boxed, Kind};
use self::cgroups::Cgroups;
use self::replace::Replacing;
use self::start::{Prepared, StartError, Users};
use crate::link::ToMonitor;
use crate::lock::Lock;
use crate::messages;
use crate::options::RunOptions;
use crate::places::Places;
use crate::poller::Poller;
use crate::role;
use crate::settings::Settings;
use crate::sysprint::{Level, Sysprint};
use crate::timers::{Clock, Timers};

/// How long the boxes have to become ready.
const START_MS: u64 = 30_000;
/// How long a box that was told to end has to do so.
const END_MS: u64 = 3000;
/// GOODBYE of a server that stops.
const STOPPING: u32 = 25;

mod token {
    pub(super) const SIGNALS: u64 = 0;
    /// With the number of a box below.
    pub(super) const CHANNEL: u64 = 1 << 32;
    pub(super) const PIDFD: u64 = 2 << 32;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// Boxes have not become ready.
    Start,
    /// A box is started again.
    Again(Kind, u64),
    /// A box that was told to end alone has not.
    Late(BoxId),
    /// A stop has taken too long.
    Drain,
    /// Boxes that were told to end have not.
    End,
    /// The boxes of a replacement have not become ready.
    Replace,
    /// The boxes that were replaced have not ended.
    OldSet,
    /// Something was still dying in a cgroup.
    Tidy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Draining,
    Ending,
}

/// A pause that grows.
#[derive(Debug, Clone, Copy, Default)]
struct Restarts {
    count: u32,
    last_ms: u64,
}

#[derive(Debug)]
struct Root {
    options: RunOptions,
    name: String,
    settings: Settings,
    places: Places,
    users: Users,
    is_cold: bool,
    level: Level,
    generation: u64,
    lock: Lock,
    listener: OwnedFd,
    control: OwnedFd,
    print: Sysprint,
    poller: Poller,
    clock: Clock,
    timers: Timers<Timer>,
    signals: SignalFd,
    phase: Phase,
    boxes: HashMap<BoxId, Boxed>,
    next_box: BoxId,
    /// Which set of boxes is the one that counts; another one only while it is being replaced.
    set: u64,
    starts: HashMap<Kind, u64>,
    restarts: HashMap<Kind, Restarts>,
    /// Boxes that are ready, with their set.
    ready_boxes: HashSet<(Kind, u64)>,
    /// What the boxes are started from.
    program: PathBuf,
    replacing: Option<Replacing>,
    cgroups: Cgroups,
    /// Descriptors that paths go through.
    kept_open: Vec<OwnedFd>,
    failure: Option<String>,
    unclean: bool,
}

/// Runs a server; returns when it has ended.
pub(crate) fn run(options: RunOptions) -> ExitCode {
    // What the server makes is for nobody else, unless it says so.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if let Err(error) = redirect(&options) {
        return refuse(&messages::NOT_STARTED.with(&[&error]), 8);
    }
    // Signals are taken as a file; threads that come later must not get them.
    let signals = match take_signals() {
        Ok(signals) => signals,
        Err(error) => return refuse(&messages::NOT_STARTED.with(&[&error]), 8),
    };
    let print = match Sysprint::start("ROOT", Level::Info) {
        Ok(print) => print,
        Err(error) => return refuse(&messages::NOT_STARTED.with(&[&error]), 8),
    };
    let build = if cfg!(debug_assertions) { " (debug build)" } else { "" };
    print.say(messages::STARTING, &[&env!("CARGO_PKG_VERSION"), &build]);
    let begun = start::prepare(&options, &print).and_then(|prepared| {
        let failed = |error: io::Error| StartError::new(8, messages::NOT_STARTED, &[&error]);
        role::harden().map_err(failed)?;
        role::raise_files_limit();
        // Others are sacrificed before the one that everybody else depends on.
        std::fs::write("/proc/self/oom_score_adj", "-900").ok();
        Root::new(options, prepared, signals, print.clone()).map_err(failed)
    });
    let code = match begun {
        Ok(mut root) => root.work(),
        Err(error) => {
            print.line(crate::sysprint::stamped("ROOT", &error.text));
            print.say(messages::TERMINATED_WITH_ERROR, &[&format!("RC {}", error.code)]);
            error.code
        }
    };
    print.flush(Duration::from_secs(2));
    ExitCode::from(code)
}

fn refuse(text: &str, code: u8) -> ExitCode {
    use std::io::Write as _;
    // Nothing is left to be done when even this cannot be said.
    std::io::stdout().write_all(crate::sysprint::stamped("ROOT", text).as_bytes()).ok();
    ExitCode::from(code)
}

/// Sends standard output and error to a file.
fn redirect(options: &RunOptions) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let Some(path) = &options.log else { return Ok(()) };
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .map_err(|error| io::Error::new(error.kind(), format!("open log `{}`: {error}", path.display())))?;
    rustix::stdio::dup2_stdout(&file)?;
    rustix::stdio::dup2_stderr(&file)?;
    Ok(())
}

fn take_signals() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGPIPE]
    {
        set.add(signal);
    }
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

impl Root {
    fn new(options: RunOptions, prepared: Prepared, signals: SignalFd, print: Sysprint) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&signals, token::SIGNALS)?;
        let level = if prepared.is_debug { Level::Debug } else { Level::Info };
        print.set_level(level);
        let cgroups = Cgroups::prepare(&prepared.name);
        if prepared.settings.is_dev_mode {
            print.say(messages::DEV_MODE, &[]);
        }
        Ok(Self {
            options,
            name: prepared.name,
            settings: prepared.settings,
            places: prepared.places,
            users: prepared.users,
            is_cold: prepared.is_cold,
            level,
            generation: prepared.generation,
            lock: prepared.lock,
            listener: prepared.listener,
            control: prepared.control,
            print,
            poller,
            clock: Clock::start(),
            timers: Timers::new(),
            signals,
            phase: Phase::Starting,
            boxes: HashMap::new(),
            next_box: 1,
            set: 1,
            starts: HashMap::new(),
            restarts: HashMap::new(),
            ready_boxes: HashSet::new(),
            replacing: None,
            cgroups,
            kept_open: Vec::new(),
            program: PathBuf::from("/proc/self/exe"),
            failure: None,
            unclean: false,
        })
    }

    /// Runs the server; returns the code that the program ends with.
    fn work(&mut self) -> u8 {
        self.print.say(messages::CORE_STARTING, &[&self.name]);
        self.timers.arm(Timer::Start, self.clock.now_ms() + START_MS);
        if let Err(error) = self.start_boxes() {
            self.print.say(messages::CORE_FAILED, &[&error]);
            self.failure = Some(error.to_string());
            return self.finish();
        }
        self.go_on()
    }

    /// Runs a server whose boxes are there.
    fn go_on(&mut self) -> u8 {
        if let Err(error) = self.turns() {
            self.print.say(messages::MAIN_LOOP_FAILED, &[&error]);
            self.failure = Some(error.to_string());
        }
        self.finish()
    }

    fn finish(&mut self) -> u8 {
        for boxed in self.boxes.values() {
            boxed.kill();
        }
        self.cgroups.remove();
        match &self.failure {
            None => {
                self.print.say(messages::STOPPED, &[]);
                self.print.say(messages::TERMINATED, &[]);
                u8::from(self.unclean) * 4
            }
            Some(why) => {
                self.print.say(messages::STOPPED_WITH_ERROR, &[why]);
                self.print.say(messages::TERMINATED_WITH_ERROR, &[&"RC 8"]);
                8
            }
        }
    }

    fn turns(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        while !(self.phase == Phase::Ending && self.boxes.is_empty()) {
            let timeout = self.timers.left_ms(self.clock.now_ms());
            self.poller.wait(timeout, &mut ready)?;
            for ready in ready.drain(..) {
                let id = ready.token & u64::from(u32::MAX);
                match ready.token >> 32 {
                    0 => self.take_signals()?,
                    1 => self.hear(id)?,
                    _ => self.ended(id)?,
                }
            }
            while let Some(timer) = self.timers.take_due(self.clock.now_ms()) {
                self.due(timer)?;
            }
        }
        Ok(())
    }

    fn due(&mut self, timer: Timer) -> io::Result<()> {
        match timer {
            Timer::Start => {
                let missing: Vec<&str> = [Kind::Monitor, Kind::Front]
                    .iter()
                    .filter(|kind| !self.ready_boxes.contains(&(**kind, self.set)))
                    .map(|kind| kind.role())
                    .collect();
                let why = format!("not ready within {} s: {}", START_MS / 1000, missing.join(", "));
                self.print.say(messages::CORE_FAILED, &[&why]);
                self.failure = Some(why);
                self.end();
                Ok(())
            }
            Timer::Again(kind, set) => {
                self.pause_is_over(kind, set);
                Ok(())
            }
            Timer::Late(id) => {
                if let Some(boxed) = self.boxes.get(&id) {
                    boxed.kill();
                }
                Ok(())
            }
            Timer::Drain => {
                self.unclean = true;
                self.end();
                Ok(())
            }
            Timer::Replace => {
                self.roll_back(&format!(
                    "the new processes were not ready within {} s",
                    replace::READY_MS / 1000
                ));
                Ok(())
            }
            Timer::OldSet => {
                self.end_old_set(false);
                Ok(())
            }
            Timer::Tidy => {
                let is_dying = self.cgroups.tidy();
                self.tidy_later(is_dying);
                Ok(())
            }
            Timer::End => {
                self.boxes.values().for_each(Boxed::kill);
                Ok(())
            }
        }
    }

    fn take_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read_signal()? {
            match Signal::try_from(signal.ssi_signo.cast_signed()) {
                Ok(Signal::SIGTERM | Signal::SIGINT) => self.stop(),
                Ok(Signal::SIGHUP) => drop(self.reload()),
                Ok(Signal::SIGUSR2) => {
                    if let Err(why) = self.replace(None, None) {
                        self.print.say(messages::REPLACE_FAILED, &[&why]);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Begins an orderly stop; asked twice, ends at once.
    fn stop(&mut self) {
        match self.phase {
            Phase::Draining => {
                self.unclean = true;
                self.end();
            }
            Phase::Ending => {}
            Phase::Starting | Phase::Running => {
                self.print.say(messages::STOP_RECEIVED, &[]);
                if self.replacing.as_ref().is_some_and(|replacing| !replacing.is_switched) {
                    self.roll_back("the server stops");
                }
                self.phase = Phase::Draining;
                self.timers.disarm(Timer::Start);
                let within_ms = self.settings.drain_ms;
                self.timers.arm(Timer::Drain, self.clock.now_ms() + within_ms + 2000);
                if !self.tell_monitor(&ToMonitor::Drain { code: STOPPING, within_ms }, Vec::new()) {
                    self.end();
                }
            }
        }
    }

    /// Has every box end: its channel is closed, and it notices.
    fn end(&mut self) {
        if self.phase == Phase::Ending {
            return;
        }
        self.phase = Phase::Ending;
        self.timers.disarm(Timer::Drain);
        self.timers.disarm(Timer::Start);
        self.timers.arm(Timer::End, self.clock.now_ms() + END_MS);
        for boxed in self.boxes.values_mut() {
            boxed.close(&self.poller);
        }
    }
}
