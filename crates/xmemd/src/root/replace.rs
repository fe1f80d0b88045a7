//! Replacing the server while calls are under way, and going back if the new one does not come up.
//!
//! ```text
//!          checked: on the list, understands the state          READY                       old boxes have ended
//!   one set ─────────────────────────────────────► two sets ──────────► new one counts ────────────────────► execute
//!      ▲                                              │                 (old: GOODBYE 30, drains)             itself
//!      └──────────── not ready in time, or ended ─────┘
//! ```
//!
//! The last step is that the root process executes the new program in its own place, with the same lock, sockets and
//! children. What it was is in a memory file with a checksum; a program that does not understand that is not let in.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use serde::{Deserialize, Serialize};
use tender_parmlib::Purpose;
use tender_worker::confine::Cgroup;

use super::boxes::{Boxed, Kind};
use super::cgroups::Cgroups;
use super::spawn::{self, Process};
use super::{Phase, Root, Timer, token};
use crate::channel::{self, Channel};
use crate::link::ToMonitor;
use crate::lock::Lock;
use crate::messages;
use crate::options::RunOptions;
use crate::places::{self, Places};
use crate::poller::Poller;
use crate::settings::Settings;
use crate::sysprint::{Level, Sysprint};
use crate::timers::{Clock, Timers};

/// The format of a state.
const FORMAT: u32 = 2;
/// The module that a server is, unless somebody says another.
const MODULE: &str = "ZWESIS01";
/// How long a new program may take to look at a state.
const CHECK: Duration = Duration::from_secs(5);
/// How long new boxes may take to become ready.
pub(super) const READY_MS: u64 = 15_000;
/// GOODBYE of boxes that are being replaced.
const REPLACED: u32 = 30;

/// A replacement that is under way.
#[derive(Debug)]
pub(super) struct Replacing {
    /// The set of boxes that is replaced.
    pub(super) old: u64,
    old_program: PathBuf,
    old_generation: u64,
    /// Keeps the new program open.
    module: OwnedFd,
    /// That of the new program; its monitor says it.
    pub(super) version: String,
    /// Whether the new set counts already.
    pub(super) is_switched: bool,
    ticket: Option<(u64, u64)>,
}

/// What one root process leaves to the next.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    format: u32,
    version: String,
    name: String,
    words: Vec<String>,
    log: Option<PathBuf>,
    database: Option<PathBuf>,
    parmlib: Option<PathBuf>,
    settings: Settings,
    places: Places,
    users: [Option<(u32, u32)>; 3],
    level: Level,
    generation: u64,
    set: u64,
    next_box: u64,
    lock: RawFd,
    listener: RawFd,
    control: RawFd,
    boxes: Vec<KeptBox>,
    starts: Vec<(Kind, u64)>,
    cgroup: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptBox {
    id: u64,
    kind: Kind,
    module: String,
    pid: u32,
    pidfd: RawFd,
    channel: RawFd,
    uid: u32,
    sandbox: Option<String>,
    cgroup: Option<PathBuf>,
}

/// Puts a state into a memory file: its checksum, then JSON.
fn seal(state: &State) -> io::Result<OwnedFd> {
    let json = serde_json::to_vec(state).map_err(io::Error::other)?;
    let mut content = blake3::hash(&json).to_hex().as_bytes().to_vec();
    content.push(b'\n');
    content.extend_from_slice(&json);
    channel::memory_file(&content)
}

fn unseal(content: &[u8]) -> io::Result<State> {
    let wrong = |what: &str| io::Error::other(format!("the state that was left {what}"));
    let place = content.iter().position(|byte| *byte == b'\n').ok_or_else(|| wrong("is cut"))?;
    let (sum, json) = (&content[..place], &content[place + 1..]);
    if blake3::hash(json).to_hex().as_bytes() != sum {
        return Err(wrong("is damaged: its checksum is wrong"));
    }
    let state: State =
        serde_json::from_slice(json).map_err(|error| wrong(&format!("is not understood: {error}")))?;
    if state.format != FORMAT {
        return Err(wrong(&format!("has format {}, this version understands {FORMAT}", state.format)));
    }
    Ok(state)
}

/// Says whether this program can go on with the state on standard input.
pub(crate) fn check() -> ExitCode {
    let mut content = Vec::new();
    let read = io::stdin().take(64 << 20).read_to_end(&mut content);
    match read.and_then(|_| unseal(&content)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            // The exit code says it as well.
            io::Write::write_all(&mut io::stderr(), format!("{error}\n").as_bytes()).ok();
            ExitCode::from(16)
        }
    }
}

/// Goes on with what an earlier root process left.
pub(crate) fn resume(state: RawFd) -> ExitCode {
    let resumed = take_over(state);
    let mut root = match resumed {
        Ok(root) => root,
        Err(error) => return super::refuse(&messages::MAIN_LOOP_FAILED.with(&[&error]), 8),
    };
    let version = env!("CARGO_PKG_VERSION");
    root.print.say(messages::REPLACED, &[&root.generation, &version]);
    let is_dying = root.cgroups.tidy();
    root.tidy_later(is_dying);
    let code = root.go_on();
    root.print.flush(Duration::from_secs(2));
    ExitCode::from(code)
}

fn take_over(number: RawFd) -> io::Result<Root> {
    let file = crate::sys::adopt(number)?;
    let state = unseal(&channel::read_memory_file(&file, 64 << 20)?)?;
    let signals = super::take_signals()?;
    let print = Sysprint::start("ROOT", state.level)?;
    crate::role::harden()?;
    let poller = Poller::new()?;
    poller.add(&signals, token::SIGNALS)?;
    let cgroups = {
        let kept: Vec<PathBuf> = state.boxes.iter().filter_map(|kept| kept.cgroup.clone()).collect();
        Cgroups::resume(state.cgroup, &kept)
    };
    let mut boxes = HashMap::new();
    for kept in state.boxes {
        let pidfd = crate::sys::adopt(kept.pidfd)?;
        let channel = Channel::new(crate::sys::adopt(kept.channel)?)?;
        poller.add(&pidfd, token::PIDFD | kept.id)?;
        poller.add(&channel, token::CHANNEL | kept.id)?;
        let process = Process { pid: kept.pid, pidfd, channel };
        let cgroup = kept.cgroup.and_then(|directory| Cgroup::open(directory).ok());
        let boxed = Boxed {
            kind: kept.kind,
            set: state.set,
            module: kept.module,
            process,
            uid: kept.uid,
            sandbox: kept.sandbox,
            cgroup,
            is_ending: false,
        };
        boxes.insert(kept.id, boxed);
    }
    let [monitor, front, auxiliary] = state.users;
    let (words, log, database, parmlib) = (state.words, state.log, state.database, state.parmlib);
    Ok(Root {
        options: RunOptions { words, log, database, parmlib },
        name: state.name,
        settings: state.settings,
        places: state.places,
        users: super::Users { monitor, front, auxiliary },
        is_cold: false,
        level: state.level,
        generation: state.generation,
        lock: Lock::adopt(crate::sys::adopt(state.lock)?)?,
        listener: crate::sys::adopt(state.listener)?,
        control: crate::sys::adopt(state.control)?,
        print,
        poller,
        clock: Clock::start(),
        timers: Timers::new(),
        signals,
        phase: Phase::Running,
        boxes,
        next_box: state.next_box,
        set: state.set,
        starts: state.starts.into_iter().collect(),
        restarts: HashMap::new(),
        ready_boxes: std::collections::HashSet::new(),
        program: PathBuf::from("/proc/self/exe"),
        replacing: None,
        cgroups,
        kept_open: Vec::new(),
        failure: None,
        unclean: false,
    })
}

impl Root {
    /// Begins to replace the server; says what is wrong when it cannot.
    pub(super) fn replace(
        &mut self,
        module: Option<PathBuf>,
        ticket: Option<(u64, u64)>,
    ) -> Result<(), String> {
        if self.phase != Phase::Running || self.replacing.is_some() {
            return Err("the server starts, stops or is being replaced".to_owned());
        }
        let name = module.map_or_else(|| MODULE.to_owned(), |module| module.display().to_string());
        self.print.say(messages::REPLACING, &[&name]);
        let module = self.open_module(&name, Purpose::Server)?.program.into_fd();
        let program = PathBuf::from(format!("/proc/self/fd/{}", module.as_raw_fd()));
        let system = |error: io::Error| error.to_string();
        let state = self.state().and_then(|state| seal(&state)).map_err(system)?;
        check_with(&program, state)?;
        let state = places::open_directory(&self.places.state).map_err(|error| crate::role::chain(&error))?;
        let path = self.places.state.join("generation");
        let generation =
            places::next_generation(&state, &path).map_err(|error| crate::role::chain(&error))?;
        self.replacing = Some(Replacing {
            old: self.set,
            old_program: std::mem::replace(&mut self.program, program),
            old_generation: std::mem::replace(&mut self.generation, generation),
            module,
            version: String::new(),
            is_switched: false,
            ticket,
        });
        // Not the number of a set that was taken away: what is left of that one ends just now.
        self.set = self.take_number();
        self.timers.arm(Timer::Replace, self.clock.now_ms() + READY_MS);
        if let Err(error) = self.start_boxes() {
            self.roll_back(&error.to_string());
        }
        Ok(())
    }

    /// The new boxes did not come up: they are taken away, and nothing has changed.
    pub(super) fn roll_back(&mut self, why: &str) {
        let Some(replacing) = self.replacing.take() else { return };
        self.timers.disarm(Timer::Replace);
        let new = std::mem::replace(&mut self.set, replacing.old);
        self.program = replacing.old_program;
        self.generation = replacing.old_generation;
        for boxed in self.boxes.values_mut().filter(|boxed| boxed.set == new) {
            boxed.close(&self.poller);
            boxed.kill();
        }
        self.print.say(messages::REPLACE_FAILED, &[&why]);
        self.tell_operator(replacing.ticket, messages::REPLACE_FAILED.with(&[&why]));
    }

    /// The program that boxes of the set on behalf of which something is done are started from.
    pub(super) fn program_of_set(&self) -> &Path {
        self.replacing
            .as_ref()
            .filter(|replacing| replacing.old == self.set)
            .map_or(&self.program, |replacing| &replacing.old_program)
    }

    /// The generation of that set.
    pub(super) fn generation_of_set(&self) -> u64 {
        self.replacing
            .as_ref()
            .filter(|replacing| replacing.old == self.set)
            .map_or(self.generation, |replacing| replacing.old_generation)
    }

    /// Whether the new boxes have yet to become ready.
    pub(super) fn is_unswitched(&self) -> bool {
        self.replacing.as_ref().is_some_and(|replacing| !replacing.is_switched)
    }

    fn tell_operator(&mut self, ticket: Option<(u64, u64)>, line: String) {
        if let Some((set, ticket)) = ticket {
            let said = ToMonitor::Said { ticket, lines: vec![line], is_last: true };
            self.on_behalf_of(set, |root| root.tell_monitor(&said, Vec::new()));
        }
    }

    /// A box of the new set is ready; when both are, they count.
    pub(super) fn replacement_ready(&mut self) {
        let is_ready =
            [Kind::Monitor, Kind::Front].iter().all(|kind| self.ready_boxes.contains(&(*kind, self.set)));
        let within_ms = self.settings.drain_ms;
        let Some(replacing) = &mut self.replacing else { return };
        if !is_ready || replacing.is_switched {
            return;
        }
        replacing.is_switched = true;
        let (old, ticket) = (replacing.old, replacing.ticket.take());
        let done = messages::REPLACED.with(&[&self.generation, &replacing.version]);
        self.timers.disarm(Timer::Replace);
        self.print.line(crate::sysprint::stamped("ROOT", &done));
        self.tell_operator(ticket, done);
        let drain = ToMonitor::Drain { code: REPLACED, within_ms };
        self.timers.arm(Timer::OldSet, self.clock.now_ms() + within_ms + 3000);
        if !self.on_behalf_of(old, |root| root.tell_monitor(&drain, Vec::new())) {
            self.end_old_set(false);
        }
    }

    /// The old boxes have nothing left to do.
    pub(super) fn end_old_set(&mut self, is_clean: bool) {
        let Some(replacing) = &self.replacing else { return };
        let old = replacing.old;
        self.timers.disarm(Timer::OldSet);
        self.unclean |= !is_clean;
        for boxed in self.boxes.values_mut().filter(|boxed| boxed.set == old) {
            boxed.close(&self.poller);
            if matches!(boxed.kind, Kind::Host(_) | Kind::Worker(_)) || !is_clean {
                boxed.kill();
            }
        }
        self.old_set_ended();
    }

    /// Looks whether the last of the old boxes has ended, and becomes the new program then.
    pub(super) fn old_set_ended(&mut self) {
        let Some(replacing) = &self.replacing else { return };
        let is_over = !self.boxes.values().any(|boxed| boxed.set == replacing.old);
        // A server that stops meanwhile stops as what it is.
        if !replacing.is_switched || !is_over || self.phase != Phase::Running {
            return;
        }
        self.print.say(messages::DRAINED, &[&""]);
        let failed = self.execute();
        // Still here: the old program goes on with the new boxes.
        self.print.say(messages::REPLACE_FAILED, &[&format!("the root process stays what it was: {failed}")]);
        if let Some(replacing) = self.replacing.take() {
            // Boxes that are started from now on are those of the new program, which has to stay open for that.
            self.kept_open.push(replacing.module);
        }
    }

    fn state(&self) -> io::Result<State> {
        let boxes = self.boxes.iter().filter(|(_, boxed)| boxed.set == self.set && !boxed.is_ending);
        Ok(State {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: self.name.clone(),
            words: self.options.words.clone(),
            log: self.options.log.clone(),
            database: self.options.database.clone(),
            parmlib: self.options.parmlib.clone(),
            settings: self.settings.clone(),
            places: self.places.clone(),
            users: [self.users.monitor, self.users.front, self.users.auxiliary],
            level: self.level,
            generation: self.generation,
            set: self.set,
            next_box: self.next_box,
            lock: self.lock.file().as_raw_fd(),
            listener: self.listener.as_raw_fd(),
            control: self.control.as_raw_fd(),
            boxes: boxes
                .map(|(id, boxed)| KeptBox {
                    id: *id,
                    kind: boxed.kind,
                    module: boxed.module.clone(),
                    pid: boxed.process.pid,
                    pidfd: boxed.process.pidfd.as_raw_fd(),
                    channel: std::os::fd::AsFd::as_fd(&boxed.process.channel).as_raw_fd(),
                    uid: boxed.uid,
                    sandbox: boxed.sandbox.clone(),
                    cgroup: boxed.cgroup.as_ref().map(|cgroup| cgroup.directory().to_owned()),
                })
                .collect(),
            starts: self.starts.iter().map(|(kind, start)| (*kind, *start)).collect(),
            cgroup: self.cgroups.base().map(Path::to_owned),
        })
    }

    /// Executes the new program in place of this one; returns only when that failed.
    fn execute(&mut self) -> io::Error {
        let state = match self.state().and_then(|state| Ok((seal(&state)?, state))) {
            Ok(state) => state,
            Err(error) => return error,
        };
        let (file, state) = state;
        let kept: Vec<RawFd> = [file.as_raw_fd(), state.lock, state.listener, state.control]
            .into_iter()
            .chain(state.boxes.iter().flat_map(|kept| [kept.pidfd, kept.channel]))
            .collect();
        for number in &kept {
            if let Err(error) = crate::sys::set_inherited(*number, true) {
                return error;
            }
        }
        self.print.flush(Duration::from_secs(2));
        let error = Command::new(&self.program)
            .arg0("tender-xmemd")
            .arg("resume")
            .arg(file.as_raw_fd().to_string())
            .exec();
        for number in kept {
            // It was open a moment ago.
            crate::sys::set_inherited(number, false).ok();
        }
        error
    }
}

/// Has a program look at a state.
fn check_with(program: &Path, state: OwnedFd) -> Result<(), String> {
    rustix::fs::seek(&state, rustix::fs::SeekFrom::Start(0)).map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .arg0("tender-xmemd")
        .arg("check-handover")
        .arg("0")
        .env_clear()
        .stdin(Stdio::from(state))
        .spawn()
        .map_err(|error| format!("the program cannot be executed: {error}"))?;
    let pid = Pid::from_raw(child.id().cast_signed()).ok_or("no process")?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + CHECK;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            if status.success() {
                return Ok(());
            }
            return Err(format!("the program does not go on with the state of this one ({status})"));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            spawn::kill(&pidfd);
            child.wait().ok();
            return Err("the program did not look at the state in time".to_owned());
        }
        let timeout = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(1), tv_nsec: 10_000_000 };
        // Looked at again in any case.
        rustix::event::poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)).ok();
    }
}
