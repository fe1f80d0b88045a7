//! Running one script to its end: for validate and configure, apart from the supervisor.
//!
//! Callable from several threads at once. Nothing of the caller's environment or descriptors is inherited, and nothing
//! of the script's tree is left when the call returns.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};

use crate::process::ending::Ending;
use crate::process::proc::{self, Stat};
use crate::process::spawn::{self, Program, Spawned, Verdict};
use crate::process::tree::{self, Snapshot};

/// Marks the processes of one script.
const MARKER: &str = "TENDER_SCRIPT";
/// More than this on descriptor 3 is not taken, in bytes.
const THIRD_BYTES_MAX: usize = 16 << 20;
/// How long the processes that a script left behind may take to be killed.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// Rounds of looking for processes to kill before it is given up.
const KILL_ROUNDS_MAX: usize = 50;

static SCRIPTS: AtomicU64 = AtomicU64::new(0);

/// A script and what it gets.
#[derive(Clone, PartialEq, Eq)]
pub struct ScriptSpec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// Time after which its whole tree is killed, in milliseconds.
    pub limit_ms: u64,
    /// Output that is kept, in bytes: the first half of it and the last.
    pub output_bytes_max: usize,
    /// Opens descriptor 3 for writing and returns what the script wrote there.
    pub takes_third: bool,
}

impl std::fmt::Debug for ScriptSpec {
    /// Shows no values of the environment: they may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptSpec")
            .field("command", &self.command)
            .field("directory", &self.directory)
            .field("environment", &self.environment.keys())
            .field("limit_ms", &self.limit_ms)
            .finish_non_exhaustive()
    }
}

/// How a script went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptResult {
    /// How it ended.
    pub end: ScriptEnd,
    /// What it printed on both streams, in lines.
    pub output: Vec<String>,
    /// Lines in the middle were left out.
    pub is_cut: bool,
    /// What it wrote on descriptor 3.
    pub third: Vec<u8>,
    /// Processes it left running, which were killed.
    pub left_behind: usize,
    /// Time it took, in milliseconds.
    pub took_ms: u64,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptEnd {
    /// By itself.
    Code(i32),
    /// By a signal, such as `KILL`.
    Signal(String),
    /// It was killed because its time was over.
    TimeOver,
    /// It could not be executed, for this reason.
    NotExecuted(String),
}

impl ScriptEnd {
    /// Says whether the script ended with 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl std::fmt::Display for ScriptEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
            Self::TimeOver => f.write_str("time over"),
            Self::NotExecuted(why) => f.write_str(why),
        }
    }
}

/// Says why a script could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// There is no process for it.
    #[error("start `{command}`")]
    Start {
        /// The program.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process was lost sight of.
    #[error("watch `{command}`")]
    Watch {
        /// The program.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Runs a script to its end.
pub fn run(spec: &ScriptSpec) -> Result<ScriptResult, ScriptError> {
    let began = Instant::now();
    let start = |source: io::Error| ScriptError::Start { command: name(spec), source };
    let (output, child_output) = spawn::output_pipe().map_err(start)?;
    let third = if spec.takes_third { Some(spawn::output_pipe().map_err(start)?) } else { None };
    let child_third = third.as_ref().map(|(_, child)| child.as_fd());
    let number = SCRIPTS.fetch_add(1, Ordering::Relaxed);
    let marker = format!(
        "{}-{number}-{}",
        std::process::id(),
        rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_nsec
    );
    let program = Program {
        command: &spec.command,
        directory: &spec.directory,
        environment: &spec.environment,
        shared: &BTreeMap::new(),
        markers: &[(MARKER, &marker)],
        output: child_output.as_fd(),
        more: child_third.as_slice(),
        cgroup: None,
        files: spawn::files_limit(),
    };
    let spawned = match program.spawn() {
        Ok(spawned) => spawned,
        Err(error) if error.has_no_room() => return Err(start(io::Error::other(error))),
        Err(error) => return Ok(not_executed(error.to_string(), began)),
    };
    drop(child_output);
    let third = third.map(|(read, _)| read);
    let watch = |source| ScriptError::Watch { command: name(spec), source };
    Watched { spec, began, spawned, marker, output, third }.watch().map_err(watch)
}

fn name(spec: &ScriptSpec) -> String {
    spec.command.first().cloned().unwrap_or_default()
}

fn not_executed(why: String, began: Instant) -> ScriptResult {
    let took_ms = ms(began.elapsed());
    let end = ScriptEnd::NotExecuted(why);
    ScriptResult { end, output: Vec::new(), is_cut: false, third: Vec::new(), left_behind: 0, took_ms }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A script under way.
struct Watched<'s> {
    spec: &'s ScriptSpec,
    began: Instant,
    spawned: Spawned,
    marker: String,
    output: OwnedFd,
    third: Option<OwnedFd>,
}

impl Watched<'_> {
    /// Reads until the process has ended and its pipes are empty, or its time is over.
    fn watch(self) -> io::Result<ScriptResult> {
        let deadline = self.began + Duration::from_millis(self.spec.limit_ms);
        let mut kept = Kept::new(self.spec.output_bytes_max);
        let mut third = Vec::new();
        let (mut has_output, mut has_third) = (true, self.third.is_some());
        let mut is_over = false;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                is_over = true;
                break;
            }
            let ready = self.wait(left, has_output, has_third)?;
            if has_output && ready.output {
                has_output = read_all(self.output.as_fd(), |bytes| kept.take(bytes))?;
            }
            if let (true, Some(pipe)) = (has_third && ready.third, &self.third) {
                has_third = read_all(pipe.as_fd(), |bytes| take_third(&mut third, bytes))?;
            }
            if ready.process {
                break;
            }
        }
        let verdict = self.spawned.report.read(&self.spec.command, &self.spec.directory);
        // Only what can still write may have left something behind.
        let is_suspicious = is_over || self.has_group() || (has_output && !self.is_at_end(&mut kept)?);
        let ending = if is_over { None } else { Some(self.reap()?) };
        let left_behind = if is_suspicious { self.kill_tree() } else { 0 };
        if is_over {
            self.reap()?;
        }
        read_all(self.output.as_fd(), |bytes| kept.take(bytes))?;
        if let Some(pipe) = &self.third {
            read_all(pipe.as_fd(), |bytes| take_third(&mut third, bytes))?;
        }
        let end = match (verdict, ending) {
            (Verdict::NotExecuted(why), _) => ScriptEnd::NotExecuted(why),
            (_, None) => ScriptEnd::TimeOver,
            (_, Some(ending)) => end_of(ending),
        };
        let left_behind = if is_over { left_behind.saturating_sub(1) } else { left_behind };
        let (output, is_cut) = kept.lines();
        Ok(ScriptResult { end, output, is_cut, third, left_behind, took_ms: ms(self.began.elapsed()) })
    }

    fn wait(&self, left: Duration, has_output: bool, has_third: bool) -> io::Result<Ready> {
        let mut fds = vec![PollFd::new(&self.spawned.pidfd, PollFlags::IN)];
        if has_output {
            fds.push(PollFd::new(&self.output, PollFlags::IN));
        }
        if let (true, Some(third)) = (has_third, &self.third) {
            fds.push(PollFd::new(third, PollFlags::IN));
        }
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let third_at = if has_output { 2 } else { 1 };
        Ok(Ready {
            process: is_ready(0),
            output: has_output && is_ready(1),
            third: has_third && is_ready(third_at),
        })
    }

    /// Reads the rest, and says whether nobody can write any more.
    fn is_at_end(&self, kept: &mut Kept) -> io::Result<bool> {
        Ok(!read_all(self.output.as_fd(), |bytes| kept.take(bytes))?)
    }

    /// Says whether a process of the script's group, other than itself, lives. It is asked before the script is
    /// reaped: until then its number, which names the group too, means nobody else.
    fn has_group(&self) -> bool {
        let Some(stat) = Stat::of(self.spawned.pid) else { return false };
        proc::pids()
            .into_iter()
            .filter_map(Stat::of)
            .any(|other| other.session == stat.pid && other.pid != stat.pid && !other.is_zombie)
    }

    fn reap(&self) -> io::Result<Ending> {
        // Waits for this one child by its descriptor, so that nobody else's child is taken.
        rustix::process::waitid(
            WaitId::PidFd(self.spawned.pidfd.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )?;
        let pid = Pid::from_raw(self.spawned.pid);
        Ok(match rustix::process::waitpid(pid, WaitOptions::empty())? {
            Some((_, status)) => Ending::from_wait(status),
            None => Ending::unknown(),
        })
    }

    /// Kills the tree round by round until nothing of it is left; returns how many were found.
    fn kill_tree(&self) -> usize {
        let mut killed = std::collections::BTreeSet::new();
        let until = Instant::now() + KILL_LIMIT;
        for _ in 0..KILL_ROUNDS_MAX {
            let snapshot = Snapshot::take();
            let marked: Vec<i32> = snapshot
                .all()
                .filter(|stat| !stat.is_zombie && stat.session != self.spawned.pid)
                .filter(|stat| proc::variable(stat.pid, MARKER).as_deref() == Some(self.marker.as_str()))
                .map(|stat| stat.pid)
                .collect();
            let session: Vec<i32> = snapshot.session(self.spawned.pid).map(|stat| stat.pid).collect();
            let tree = snapshot.tree(None, marked.into_iter().chain(session));
            if tree.is_empty() || Instant::now() > until {
                break;
            }
            for stat in &tree {
                tree::send(stat, Signal::KILL);
                killed.insert((stat.pid, stat.start_ticks));
                wait_for_end(stat);
            }
        }
        killed.len()
    }
}

/// Waits, a moment at most, until a killed process has ended.
fn wait_for_end(stat: &Stat) {
    let Some(pid) = Pid::from_raw(stat.pid) else { return };
    if let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        // One that takes longer is looked at again in the next round.
        rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 })).ok();
    }
}

struct Ready {
    process: bool,
    output: bool,
    third: bool,
}

fn end_of(ending: Ending) -> ScriptEnd {
    match (ending.code(), ending.signal()) {
        (Some(code), _) => ScriptEnd::Code(code),
        (None, Some(number)) => ScriptEnd::Signal(crate::process::signal::name(number)),
        (None, None) => ScriptEnd::Signal("unknown".to_owned()),
    }
}

/// Reads what is there; returns whether more may come.
fn read_all(pipe: BorrowedFd<'_>, mut take: impl FnMut(&[u8])) -> io::Result<bool> {
    let mut buffer = [0; 16 << 10];
    loop {
        match rustix::io::read(pipe, &mut buffer) {
            Ok(0) => return Ok(false),
            Ok(length) => take(&buffer[..length]),
            Err(rustix::io::Errno::AGAIN) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn take_third(third: &mut Vec<u8>, bytes: &[u8]) {
    let room = THIRD_BYTES_MAX.saturating_sub(third.len());
    third.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// The first and the last bytes of an output.
struct Kept {
    half_max: usize,
    first: Vec<u8>,
    last: std::collections::VecDeque<u8>,
    is_cut: bool,
}

impl Kept {
    fn new(bytes_max: usize) -> Self {
        Self {
            half_max: bytes_max / 2,
            first: Vec::new(),
            last: std::collections::VecDeque::new(),
            is_cut: false,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = self.half_max - self.first.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.first.extend_from_slice(first);
        self.last.extend(rest);
        if self.last.len() > self.half_max {
            self.last.drain(..self.last.len() - self.half_max);
            self.is_cut = true;
        }
    }

    /// Returns the lines; those cut in the middle are left out.
    fn lines(mut self) -> (Vec<String>, bool) {
        let split = |bytes: &[u8]| -> Vec<String> {
            let text = String::from_utf8_lossy(bytes);
            text.lines().map(str::to_owned).collect()
        };
        if !self.is_cut {
            self.first.extend(self.last);
            return (split(&self.first), false);
        }
        let mut lines = split(&self.first);
        lines.pop();
        lines.push("… lines are left out here …".to_owned());
        lines.extend(split(self.last.make_contiguous()).into_iter().skip(1));
        (lines, true)
    }
}

#[cfg(test)]
mod tests;
