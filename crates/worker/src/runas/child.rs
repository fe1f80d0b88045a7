//! From fork to exec: becoming the user and the program.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, Signal};
use rustix::thread::CapabilitySet;

use super::{Limits, RunAsOrder, Stage};
use crate::confine::{self, ResourceLimits};
use crate::order::Refusal;
use crate::sys::{self, Fork};

/// Written before exec. An end without it is the end of the child, not of the program.
const REACHED: u8 = 0xFF;

/// Everything that is made before the fork.
#[derive(Debug)]
pub(super) struct Program {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    directory: CString,
    identity: confine::Identity,
    limits: Limits,
    /// Standard input, output and error; `None` is `/dev/null`.
    streams: [Option<OwnedFd>; 3],
}

/// A program that was started, or is about to fail to.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) process: OwnedFd,
    report: OwnedFd,
}

impl Program {
    pub(super) fn new(order: RunAsOrder, limits: Limits, descriptors: Vec<OwnedFd>) -> Result<Self, Refusal> {
        let path = text("program", order.program.as_os_str().as_bytes())?;
        let mut arguments = vec![path.clone()];
        for argument in &order.arguments {
            arguments.push(text("arguments", argument.as_bytes())?);
        }
        let mut environment = Vec::with_capacity(order.environment.len());
        for (name, value) in &order.environment {
            if name.is_empty() || name.contains('=') {
                return Err(Refusal::invalid("environment", "a name is not empty and has no `=`"));
            }
            environment.push(text("environment", format!("{name}={value}").as_bytes())?);
        }
        let mut came = descriptors.into_iter();
        let streams =
            [order.stdin, order.stdout, order.stderr].map(|here| if here { came.next() } else { None });
        Ok(Self {
            path,
            arguments,
            environment,
            directory: text("directory", order.directory.as_os_str().as_bytes())?,
            identity: confine::Identity {
                uid: order.identity.uid,
                gid: order.identity.gid,
                groups: order.identity.groups,
            },
            limits,
            streams,
        })
    }

    /// Forks, and lets the child become the program.
    pub(super) fn start(&self, null: BorrowedFd<'_>) -> Result<Child, Errno> {
        let (report, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        match sys::fork()? {
            Fork::Child => {
                let (stage, errno) = self.become_it(null, write.as_fd());
                let mut record = [stage as u8, 0, 0, 0, 0];
                record[1..].copy_from_slice(&errno.raw_os_error().to_le_bytes());
                let _nobody_listens = rustix::io::write(&write, &record);
                sys::end(127)
            }
            Fork::Parent(pid) => {
                let process = rustix::process::pidfd_open(pid, PidfdFlags::empty());
                let process = process.inspect_err(|_| {
                    let _swept_later = rustix::process::kill_process(pid, Signal::KILL);
                })?;
                Ok(Child { pid, process, report })
            }
        }
    }

    /// Returns only with what went wrong.
    fn become_it(&self, null: BorrowedFd<'_>, report: BorrowedFd<'_>) -> (Stage, Errno) {
        if let Err(error) = self.prepare(null, report) {
            return (Stage::Prepare, error);
        }
        if let Err(error) = self.switch() {
            return (Stage::Switch, error);
        }
        if let Err(error) = rustix::process::chdir(&self.directory) {
            return (Stage::Directory, error);
        }
        if let Err(error) = rustix::io::write(report, &[REACHED]) {
            return (Stage::Prepare, error);
        }
        (Stage::Program, sys::execute_path(&self.path, &self.arguments, &self.environment))
    }

    fn prepare(&self, null: BorrowedFd<'_>, report: BorrowedFd<'_>) -> Result<(), Errno> {
        rustix::process::setsid()?;
        let [stdin, stdout, stderr] =
            self.streams.each_ref().map(|stream| stream.as_ref().map_or(null, |fd| fd.as_fd()));
        rustix::stdio::dup2_stdin(stdin)?;
        rustix::stdio::dup2_stdout(stdout)?;
        rustix::stdio::dup2_stderr(stderr)?;
        sys::close_all_but(&[report.as_raw_fd()])?;
        sys::default_signals();
        rustix::process::umask(Mode::from_raw_mode(0o022));
        let some = |limit| if limit == 0 { None } else { Some(limit) };
        ResourceLimits {
            core_bytes: Some(0),
            descriptors: some(self.limits.descriptors),
            processes: some(self.limits.processes),
            memory_bytes: some(self.limits.memory_bytes),
            processor_s: some(self.limits.processor_s),
            file_bytes: some(self.limits.file_bytes),
        }
        .apply()
    }

    /// Becomes the user and nothing more. Who is still anything else afterwards does not go on.
    fn switch(&self) -> Result<(), Errno> {
        confine::switch(&self.identity)?;
        confine::keep(CapabilitySet::empty())?;
        // There is no way back, or this is not the user's process.
        let back = rustix::thread::set_thread_uid(rustix::fs::Uid::ROOT);
        if back.is_ok() || !rustix::thread::no_new_privs()? {
            std::process::abort();
        }
        // The change of user has reset both. Until exec this process holds the memory of the worker.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
    }
}

/// How far a child got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Got {
    /// It became the program.
    Program,
    /// It failed.
    Failed(Stage, i32),
}

impl Child {
    /// Looks how far the child got; for when it has ended.
    pub(super) fn got(&self) -> Got {
        let mut bytes = [0; 6];
        // The child has ended, and with it the only other end: this does not wait.
        let mut length = 0;
        while let Ok(read) = rustix::io::read(&self.report, &mut bytes[length..]) {
            if read == 0 {
                break;
            }
            length += read;
        }
        let rest = match bytes[..length] {
            [REACHED] => return Got::Program,
            [REACHED, ..] => &bytes[1..length],
            _ => &bytes[..length],
        };
        let [stage, errno @ ..] = rest else { return Got::Failed(Stage::Switch, libc::EPERM) };
        let stage = [Stage::Prepare, Stage::Switch, Stage::Directory, Stage::Program]
            .into_iter()
            .find(|one| *one as u8 == *stage)
            .unwrap_or(Stage::Prepare);
        Got::Failed(stage, errno.try_into().map_or(0, i32::from_le_bytes))
    }
}

fn text(field: &str, bytes: &[u8]) -> Result<CString, Refusal> {
    CString::new(bytes).map_err(|_zero| Refusal::invalid(field, "has a zero byte"))
}
