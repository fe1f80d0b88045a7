//! What a program costs: CPU, peak memory, time.
//!
//! `wait4` reports the CPU time of a program and of all its children it waited for, and the largest resident set of any
//! of them. A program that needs less memory than xtask itself is reported with xtask's own size, about 8 MB.

#![expect(unsafe_code, reason = "wait4 is the only call that gives the resources of one child")]

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::ops::AddAssign;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Said};
use crate::program;

/// How often the private memory of a program is looked at.
const SAMPLE: Duration = Duration::from_millis(2);

/// What one or several runs cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cost {
    /// User and system time, children included.
    pub(crate) cpu_s: f64,
    /// Time on the wall, which other programs on the machine lengthen.
    pub(crate) wall_s: f64,
    /// Largest resident set of one process, mapped files included.
    pub(crate) peak_bytes: u64,
    /// Largest private memory seen, mapped files left out; sampled, of the process itself.
    pub(crate) private_bytes: u64,
}

impl Cost {
    /// Writes the figures on one line.
    pub(crate) fn to_line(self) -> String {
        format!("{} {} {} {}", self.cpu_s, self.wall_s, self.peak_bytes, self.private_bytes)
    }

    /// Reads what [`Cost::to_line`] wrote.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        Some(Self {
            cpu_s: words.next()?.parse().ok()?,
            wall_s: words.next()?.parse().ok()?,
            peak_bytes: words.next()?.parse().ok()?,
            private_bytes: words.next()?.parse().ok()?,
        })
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.cpu_s += other.cpu_s;
        self.wall_s += other.wall_s;
        self.peak_bytes = self.peak_bytes.max(other.peak_bytes);
        self.private_bytes = self.private_bytes.max(other.private_bytes);
    }
}

/// Runs a program to its end and returns its cost; what it writes to standard output goes where the command says.
pub(crate) fn measure(command: &mut Command) -> Result<Cost, Failure> {
    let errors = tempfile::tempfile().map_err(Failure::file("make", "a temporary file"))?;
    let kept = errors.try_clone().map_err(Failure::file("make", "a temporary file"))?;
    let (status, cost) = run(command.stdin(Stdio::null()).stderr(errors))?;
    if status.success() { Ok(cost) } else { Err(failed(command, status, kept)) }
}

/// Runs a program with the streams of this process.
pub(crate) fn measure_inherited(command: &mut Command) -> Result<Cost, Failure> {
    let (status, cost) = run(command)?;
    if status.success() { Ok(cost) } else { Err(Failure::Ended { command: program::line(command), status }) }
}

fn run(command: &mut Command) -> Result<(ExitStatus, Cost), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let start = |source| Failure::Start { program: name, source };
    let begun = Instant::now();
    let waited = command.spawn().and_then(|child| watch(child.id()));
    let wall_s = begun.elapsed().as_secs_f64();
    let (status, usage, private_bytes) = waited.map_err(start)?;
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let cost = Cost {
        cpu_s: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        wall_s,
        peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
        private_bytes,
    };
    Ok((status, cost))
}

/// Waits for a child of ours, looking at its private memory meanwhile.
fn watch(id: u32) -> io::Result<(ExitStatus, libc::rusage, u64)> {
    let (done, is_done) = mpsc::channel::<()>();
    let sampler = thread::spawn(move || sample(id, &is_done));
    let waited = wait(id);
    drop(done);
    let private_bytes = sampler.join().expect("sampling does not panic");
    let (status, usage) = waited?;
    Ok((status, usage, private_bytes))
}

fn failed(command: &Command, status: ExitStatus, mut errors: fs::File) -> Failure {
    use std::io::{Read as _, Seek as _};
    let mut said = String::new();
    // What cannot be read back is missing from the message, no more.
    if errors.rewind().is_ok() && errors.read_to_string(&mut said).is_err() {
        "(not text)".clone_into(&mut said);
    }
    let tail: Vec<_> = said.lines().rev().take(5).collect();
    let tail: Vec<_> = tail.into_iter().rev().collect();
    Failure::Measured { command: program::line(command), status, source: Said(tail.join("; ")) }
}

/// Waits for a child of ours and reaps it.
fn wait(id: u32) -> io::Result<(ExitStatus, libc::rusage)> {
    let id =
        libc::pid_t::try_from(id).expect("the kernel's process ids are positive numbers of its own type");
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    loop {
        // SAFETY: both pointers are valid for the call; `id` is a child that nobody else waits for.
        let answer = unsafe { libc::wait4(id, &raw mut status, 0, usage.as_mut_ptr()) };
        if answer == id {
            // SAFETY: wait4 filled the structure, because it returned the child.
            return Ok((ExitStatus::from_raw(status), unsafe { usage.assume_init() }));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Looks at the private memory of a process until told that it is done.
fn sample(id: u32, is_done: &mpsc::Receiver<()>) -> u64 {
    let path = format!("/proc/{id}/status");
    let mut peak = 0;
    while is_done.recv_timeout(SAMPLE) == Err(mpsc::RecvTimeoutError::Timeout) {
        peak = peak.max(fs::read_to_string(&path).ok().and_then(|text| private(&text)).unwrap_or(0));
    }
    peak
}

fn private(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measure_of_a_busy_program_counts_its_children_too() {
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'"]);
        let cost = measure(&mut command).unwrap();
        assert!(cost.cpu_s > 0.0 && cost.peak_bytes > 100_000, "{cost:?}");
    }

    #[test]
    fn measure_of_a_failing_program_tells_what_it_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such thing >&2; exit 4"]);
        assert!(measure(&mut command).unwrap_err().with_causes().contains("no such thing"));
    }

    #[test]
    fn private_memory_of_a_status_file_is_read_in_bytes() {
        assert_eq!(private("VmRSS:\t 9 kB\nRssAnon:\t     120 kB\nRssFile: 3 kB\n"), Some(122_880));
    }
}
