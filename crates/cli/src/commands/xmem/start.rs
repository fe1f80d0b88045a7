//! `tender xmem start`.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tender_package::{Message, Outcome, ReturnCode};
use tender_parmlib::{Member, MemberError, Operands, ServerName, Settings, Settled};

use super::places::{Places, program};
use super::running::{Answers, Holder, ask, display};
use crate::commands::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::live::Live;

/// How often to look whether it is ready; there is nothing to wait on before its socket is there.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Options of `tender xmem start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The words are those of START and of the start procedure: NAME=, MEM=, COLD, DEBUG, RESET(LOOKUP), and any KEY=VALUE, \
which the member overrides. The server goes on when this command ends; what it prints goes to its log.\n\n\
Examples:\n  tender xmem start\n  tender xmem start NAME=ZWESIS_TEST MEM=01 COLD\n  tender xmem start --check")]
pub(crate) struct Args {
    /// Words of the start command
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// How long it may take until it is ready; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Where its messages go; xmem-NAME.log where logs are when left out
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

impl Args {
    /// Starts a server and waits until it is ready.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let places = Places::find(shell)?;
        let program = program(&places)?;
        let operands = Operands::of_words(self.words.iter().map(String::as_str)).map_err(|cause| {
            RuntimeFault::new("ZWES0014E", ReturnCode::Syntax, "the start parameters cannot be read")
                .because(cause)
        })?;
        let (member, settled) = settings(&places, &operands)?;
        let name = settled.settings.name.clone();
        let holder = Holder::of(&places.run, &name);
        // A member can be looked at while its server runs: that is when it is edited.
        if let Some(holder) = holder.as_ref().filter(|_| !shell.is_check) {
            let text = format!("server {name} is run by process {} since {}", holder.pid, holder.since);
            return Err(RuntimeFault::new("ZWES0202E", ReturnCode::Busy, text)
                .with_hint(format!("`tender xmem stop {name}` stops it"))
                .into());
        }
        let log = self.log(shell, &places, &name);
        if shell.is_check {
            return Ok(would_start(&name, holder.as_ref(), &program, &log, &member, &settled));
        }
        let started = Started::new(&program, &self.words, &places, shell, &log)?;
        started.follow(shell, &places, &name, Duration::from_secs(self.wait))
    }

    fn log(&self, shell: &Shell, places: &Places, name: &ServerName) -> PathBuf {
        let logs =
            || places.installed.as_ref().map_or_else(|| shell.home.join("logs"), |there| there.logs.clone());
        self.log.clone().unwrap_or_else(|| logs().join(format!("xmem-{name}.log")))
    }
}

/// Reads what the server will read, for its name and for mistakes that need no server to be found.
fn settings(places: &Places, operands: &Operands) -> Result<(Member, Settled), CommandError> {
    let name = operands.member().map_err(|cause| {
        RuntimeFault::new("ZWES0007E", ReturnCode::Syntax, "the suffix of the member is none").because(cause)
    })?;
    let member = Member::read(std::slice::from_ref(&places.parmlib), &name).map_err(|cause| match cause {
        MemberError::NotFound { .. } => {
            RuntimeFault::new("ZWES0009E", ReturnCode::Unknown, cause.to_string())
                .with_hint("`tender xmem install` makes one; TENDER_XMEM_PARMLIB names another directory")
        }
        cause => {
            let (first, last) = cause.details();
            let text = format!("member {name} cannot be read, RC = {}, {first}, {last}", cause.return_code());
            RuntimeFault::new("ZWES0008E", ReturnCode::Refused, text).because(cause)
        }
    })?;
    let settled = Settings::from_parameters(Some(&member), operands).map_err(|cause| {
        let text = format!("no server can be started with these parameters, RC = {}", cause.return_code());
        RuntimeFault::new("ZWES0014E", ReturnCode::Syntax, text).because(cause)
    })?;
    Ok((member, settled))
}

fn would_start(
    name: &ServerName,
    holder: Option<&Holder>,
    program: &Path,
    log: &Path,
    member: &Member,
    settled: &Settled,
) -> Outcome {
    let mut outcome = Outcome {
        data: serde_json::json!({
            "server": name, "program": program, "log": log, "warnings": member.warnings(),
            "problems": settled.problems, "settings": settled.settings,
        }),
        ..Outcome::default()
    };
    for warning in member.warnings() {
        outcome.say(Message::with_id("ZWES0023W", format!("member {}: {warning}", member.name())));
    }
    for problem in &settled.problems {
        outcome.say(Message::with_id(problem.id(), format!("member {}: {problem}", member.name())));
    }
    match holder {
        _ if !settled.is_usable() => outcome.code = outcome.code.max(ReturnCode::Refused),
        None => {
            let text = format!("would start server {name}: {}", program.display());
            outcome.say(Message::with_id("ZWES2140I", text));
        }
        Some(holder) => {
            let text = format!("server {name} is run by process {}; the member can be used", holder.pid);
            let hint = "`tender xmem modify RELOAD` takes changes over; plug-ins and users count from the next start";
            outcome.say(Message::with_id("ZWES2145I", text).with_hint(hint));
        }
    }
    outcome
}

/// Does for a process what its start procedure would: no core with secrets, room to lock them, killed last.
///
/// Without root nothing of it may be possible; `tender xmem schedule` tells.
fn spare(child: &Child) {
    let Some(pid) = Pid::from_raw(child.id().cast_signed()) else { return };
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    let _ = prlimit(Some(pid), Resource::Core, limit(0));
    if rustix::process::geteuid().is_root() {
        let _ = prlimit(Some(pid), Resource::Memlock, limit(LOCKED_BYTES));
        drop(std::fs::write(format!("/proc/{}/oom_score_adj", child.id()), "-900"));
    }
}

/// Says which walls of the sandboxes are missing on this machine; who may not ask is told nothing.
fn tell_sandbox(run: &Path, name: &ServerName, outcome: &mut Outcome) {
    let Ok(lines) = display(run, name, "DISPLAY SANDBOX") else { return };
    for (part, walls) in lines.iter().filter_map(|line| line.trim().split_once(": ")) {
        let missing: Vec<&str> = missing_walls(walls).collect();
        if !missing.is_empty() {
            let text = format!("the sandbox of the {part} is not whole: {}", missing.join(", "));
            // It runs all the same: whoever goes on with `&&` is not stopped.
            outcome.messages.push(Message::with_id("ZWES2144W", text));
        }
    }
}

/// Returns what a report of a sandbox says that was not reached.
fn missing_walls(report: &str) -> impl Iterator<Item = &str> {
    report
        .split(", ")
        .filter(|wall| wall.starts_with("no ") || wall.contains(" in part (") || wall.contains(" not kept "))
        .filter(|wall| !wall.starts_with("no new privileges"))
}

/// Memory that a server may lock.
const LOCKED_BYTES: u64 = 64 << 20;

/// A server that was just started.
#[derive(Debug)]
struct Started {
    child: Child,
    /// Its log, from where it begins.
    log: File,
    path: PathBuf,
    /// The end of a line that is not whole yet.
    rest: Vec<u8>,
    lines: Vec<String>,
}

impl Started {
    fn new(
        program: &Path,
        words: &[String],
        places: &Places,
        shell: &Shell,
        path: &Path,
    ) -> Result<Self, CommandError> {
        let failed = |doing| move |source| CommandError::File { doing, path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(failed("make the directory of"))?;
        }
        let out = File::options().create(true).append(true).mode(0o640).open(path).map_err(failed("open"))?;
        let mut log = File::open(path).map_err(failed("read"))?;
        log.seek(SeekFrom::End(0)).map_err(failed("read"))?;
        let error = out.try_clone().map_err(failed("open"))?;
        let home = std::path::absolute(&shell.home).map_err(failed("find the place of"))?;
        let mut command = Command::new(program);
        command
            .arg("run")
            .args(words)
            .arg("--parmlib")
            .arg(&places.parmlib)
            .env("TENDER_HOME", home)
            .env("TENDER_XMEM_RUN", &places.run)
            .env("TENDER_XMEM_STATE", &places.state)
            .env("TENDER_XMEM_PARMLIB", &places.parmlib)
            .current_dir("/")
            // Signals of this terminal are not for it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(error);
        let child = command.spawn().map_err(|source| CommandError::File {
            doing: "run",
            path: program.to_owned(),
            source,
        })?;
        spare(&child);
        Ok(Self { child, log, path: path.to_owned(), rest: Vec::new(), lines: Vec::new() })
    }

    /// Shows its messages until it is ready or has ended.
    fn follow(
        mut self,
        shell: &Shell,
        places: &Places,
        name: &ServerName,
        limit: Duration,
    ) -> Result<Outcome, CommandError> {
        let live = Live::new(shell.audience);
        let deadline = Instant::now() + limit;
        let mut outcome = Outcome::default();
        let answer = loop {
            self.show(live)?;
            let ended = self.child.try_wait().map_err(|source| CommandError::File {
                doing: "wait for",
                path: self.path.clone(),
                source,
            })?;
            if let Some(status) = ended {
                self.show(live)?;
                return Err(self.ended(name, status));
            }
            match ask(&places.run, name, 1000) {
                Err(_) if Instant::now() < deadline => std::thread::park_timeout(LOOK_AGAIN),
                answer => break answer,
            }
        };
        self.show(live)?;
        let pid = self.child.id();
        outcome.data = serde_json::json!({
            "server": name, "pid": pid, "state": answer.as_ref().ok(), "log": self.path, "messages": self.lines,
        });
        match answer {
            Ok(Answers::Ready) => {
                outcome.say(Message::with_id("ZWES2141I", format!("server {name} is ready, process {pid}")));
                tell_sandbox(&places.run, name, &mut outcome);
            }
            Ok(Answers::Closed) => {
                let text = format!("server {name} runs, process {pid}, and does not let you call it");
                let hint = "`tender xmem call STATUS` says what that would take";
                outcome.say(Message::with_id("ZWES2141I", text).with_hint(hint));
                tell_sandbox(&places.run, name, &mut outcome);
            }
            Err(_) if limit.is_zero() => {
                outcome
                    .say(Message::with_id("ZWES2142I", format!("server {name} is starting, process {pid}")));
            }
            Err(why) => {
                let text =
                    format!("server {name}, process {pid}, is not ready after {} s: {why}", limit.as_secs());
                outcome.say(
                    Message::with_id("ZWES2143W", text).with_hint(format!("see {}", self.path.display())),
                );
                outcome.code = outcome.code.max(ReturnCode::Partial);
            }
        }
        Ok(outcome)
    }

    /// Shows the lines that have come since.
    fn show(&mut self, live: Live) -> Result<(), CommandError> {
        let mut bytes = Vec::new();
        self.log.read_to_end(&mut bytes).map_err(|source| CommandError::File {
            doing: "read",
            path: self.path.clone(),
            source,
        })?;
        self.rest.extend(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            live.line(&line).map_err(CommandError::Print)?;
            self.lines.push(line);
        }
        Ok(())
    }

    /// Makes a fault of a server that ended before it was ready.
    fn ended(&self, name: &ServerName, status: ExitStatus) -> CommandError {
        // The numbers of the reference: parameters, name held, name too short or long, not authorised.
        let code = match status.code() {
            Some(8 | 16 | 88 | 89) => ReturnCode::Refused,
            Some(20..=22) => ReturnCode::Busy,
            Some(24 | 44 | 45) => ReturnCode::Syntax,
            Some(28) => ReturnCode::Unknown,
            Some(32 | 80..=82) => ReturnCode::Integrity,
            _ => ReturnCode::Outside,
        };
        let text = format!("server {name} ended before it was ready ({status})");
        let last = self.lines.iter().rev().find(|line| !line.trim().is_empty());
        let fault = RuntimeFault::new("ZWES0011E", code, text);
        let fault = match last {
            Some(last) => fault.because(std::io::Error::other(last.clone())),
            None => fault,
        };
        fault.with_hint(format!("all it said is in {}", self.path.display())).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_that_are_missing_are_found_in_a_report() {
        let missing = |report| missing_walls(report).collect::<Vec<_>>();
        let whole = "environment, descriptors, limits, no new privileges, not dumpable, landlock, seccomp";
        assert_eq!(missing(whole), Vec::<&str>::new());
        let there =
            "environment, no seccomp (no tables for s390x), landlock in part (no ports), not dumpable";
        assert_eq!(missing(there), ["no seccomp (no tables for s390x)", "landlock in part (no ports)"]);
        assert_eq!(missing("no no new privileges (EPERM)"), ["no no new privileges (EPERM)"]);
    }
}
