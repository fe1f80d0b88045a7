//! Starting a program: directly, in a session of its own, with nothing inherited that was not meant to be.

use std::collections::BTreeMap;
use std::ffi::{CString, NulError, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::pipe::PipeFlags;
use rustix::process::{Resource, Rlimit};

use super::sys::{self, Image, Pointers, Trouble, TroubleStep};

/// The mask of every component: what it writes is for its owner and group.
const UMASK: u32 = 0o027;
/// The number from which descriptors are free: below stand the streams of a child.
const FIRST_FREE: i32 = 3 + MORE_MAX as i32;
/// Descriptors that a program gets beside its three streams, at most.
pub(crate) const MORE_MAX: usize = 16;

/// A program and what it gets.
#[derive(Debug)]
pub(crate) struct Program<'p> {
    /// Program and arguments; without a slash the program is looked up in the `PATH` of `environment`.
    pub(crate) command: &'p [String],
    pub(crate) directory: &'p Path,
    pub(crate) environment: &'p BTreeMap<String, String>,
    /// More of its environment, kept once for many; a name is in one of the two.
    pub(crate) shared: &'p BTreeMap<String, String>,
    /// Variables that come last, so that a program which writes its title over its environment spares them longest.
    pub(crate) markers: &'p [(&'p str, &'p str)],
    /// Takes standard output and standard error, in the order of writing.
    pub(crate) output: BorrowedFd<'p>,
    /// Become descriptor 3 and those that follow.
    pub(crate) more: &'p [BorrowedFd<'p>],
    pub(crate) cgroup: Option<BorrowedFd<'p>>,
    /// Soft and hard number of open files.
    pub(crate) files: (u64, u64),
}

/// A process that was just made.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) pid: i32,
    /// Means this process and never another; readable when it ended.
    pub(crate) pidfd: OwnedFd,
    /// Tells whether the program could be run.
    pub(crate) report: Report,
}

/// Becomes readable when the program runs, or could not be run.
#[derive(Debug)]
pub(crate) struct Report {
    pipe: OwnedFd,
}

/// What a report says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Executed,
    NotExecuted(String),
    NotYet,
}

/// Says why no process could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    #[error("the command is empty")]
    Empty,
    #[error("the command or its environment holds a NUL character")]
    Nul(#[source] NulError),
    #[error("no program `{0}` in the PATH of the component")]
    NotFound(String),
    #[error("make a process: {0}")]
    System(#[source] io::Error),
}

impl SpawnError {
    /// Says whether the system had no room: nothing is wrong with the program.
    pub(crate) fn has_no_room(&self) -> bool {
        let errors = [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE];
        matches!(self, Self::System(error) if error.raw_os_error().is_some_and(|e| errors.contains(&e)))
    }

    /// Says whether the fault is that of the cgroup.
    pub(crate) fn is_of_cgroup(&self) -> bool {
        let errors = [libc::EBADF, libc::EINVAL, libc::EACCES, libc::EBUSY, libc::EOPNOTSUPP, libc::ENODEV];
        matches!(self, Self::System(error) if error.raw_os_error().is_some_and(|e| errors.contains(&e)))
    }
}

impl Program<'_> {
    /// Starts the program.
    pub(crate) fn spawn(&self) -> Result<Spawned, SpawnError> {
        let program = CString::new(self.path()?).map_err(SpawnError::Nul)?;
        let strings = |text: &[String]| -> Result<Vec<CString>, SpawnError> {
            text.iter().map(|text| CString::new(text.as_str()).map_err(SpawnError::Nul)).collect()
        };
        let arguments = strings(self.command)?;
        let mut environment: Vec<String> = self
            .shared
            .iter()
            .chain(self.environment)
            .filter(|(name, _)| !self.markers.iter().any(|(marker, _)| marker == name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        environment.extend(self.markers.iter().map(|(name, value)| format!("{name}={value}")));
        let environment = strings(&environment)?;
        let directory = CString::new(self.directory.as_os_str().as_bytes()).map_err(SpawnError::Nul)?;
        let system = |error: rustix::io::Errno| SpawnError::System(error.into());
        let (report, child_report) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(system)?;
        rustix::io::ioctl_fionbio(&report, true).map_err(system)?;
        let child_report = Lifted::new(child_report.as_fd()).map_err(SpawnError::System)?;
        let nothing = File::open("/dev/null").map_err(SpawnError::System)?;
        let mut streams = Vec::with_capacity(3 + self.more.len());
        for stream in [nothing.as_fd(), self.output, self.output].iter().chain(self.more).copied() {
            streams.push(Lifted::new(stream).map_err(SpawnError::System)?);
        }
        let streams: Vec<BorrowedFd<'_>> = streams.iter().map(Lifted::as_fd).collect();
        let image = Image {
            program: &program,
            arguments: &Pointers::new(arguments.iter().map(CString::as_c_str)),
            environment: &Pointers::new(environment.iter().map(CString::as_c_str)),
            directory: &directory,
            streams: &streams,
            report: child_report.as_fd(),
            cgroup: self.cgroup,
            umask: UMASK,
            files: self.files,
        };
        let (pid, pidfd) = sys::spawn(&image).map_err(SpawnError::System)?;
        Ok(Spawned { pid, pidfd, report: Report { pipe: report } })
    }

    /// Returns the path of the program.
    fn path(&self) -> Result<Vec<u8>, SpawnError> {
        let name = self.command.first().filter(|name| !name.is_empty()).ok_or(SpawnError::Empty)?;
        if name.contains('/') {
            return Ok(name.as_bytes().to_vec());
        }
        let path = self
            .environment
            .get("PATH")
            .or_else(|| self.shared.get("PATH"))
            .map_or("/usr/bin:/bin", String::as_str);
        path.split(':')
            .filter(|directory| !directory.is_empty())
            .map(|directory| Path::new(directory).join(name))
            .find(|file| file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok())
            .map(|file| file.as_os_str().as_bytes().to_vec())
            .ok_or_else(|| SpawnError::NotFound(name.clone()))
    }
}

/// A descriptor with a number that no stream of a child has.
enum Lifted<'f> {
    Same(BorrowedFd<'f>),
    Copy(OwnedFd),
}

impl<'f> Lifted<'f> {
    fn new(fd: BorrowedFd<'f>) -> io::Result<Self> {
        if fd.as_raw_fd() >= FIRST_FREE {
            return Ok(Self::Same(fd));
        }
        Ok(Self::Copy(rustix::io::fcntl_dupfd_cloexec(fd, FIRST_FREE)?))
    }
}

impl AsFd for Lifted<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Same(fd) => fd.as_fd(),
            Self::Copy(fd) => fd.as_fd(),
        }
    }
}

impl Report {
    /// Reads what there is to read.
    pub(crate) fn read(&self, command: &[String], directory: &Path) -> Verdict {
        let mut bytes = [0; 8];
        match rustix::io::read(&self.pipe, &mut bytes) {
            Ok(8) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Verdict::NotYet,
            _ => return Verdict::Executed,
        }
        let Some(trouble) = Trouble::from_bytes(bytes) else { return Verdict::Executed };
        let error = io::Error::from_raw_os_error(trouble.errno);
        let program = command.first().map_or("", String::as_str);
        Verdict::NotExecuted(match trouble.step {
            TroubleStep::Prepare => format!("the process for `{program}` cannot be prepared: {error}"),
            TroubleStep::Directory => format!("directory `{}` cannot be used: {error}", directory.display()),
            TroubleStep::Execute => format!("`{program}` cannot be executed: {error}"),
        })
    }
}

impl AsFd for Report {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// Returns the soft and hard number of open files of this process.
pub(crate) fn files_limit() -> (u64, u64) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// Lets this process open as many files as it may: a supervisor has up to four a component.
pub(crate) fn raise_files_limit() {
    let (_, hard) = files_limit();
    // More than this makes no sense, and `u64::MAX` is not allowed.
    let wanted = hard.min(1 << 20);
    let limit =
        Rlimit { current: Some(wanted), maximum: rustix::process::getrlimit(Resource::Nofile).maximum };
    // With the old limit it works as well, for fewer components.
    rustix::process::setrlimit(Resource::Nofile, limit).ok();
}

/// Makes a pipe whose reading end never blocks.
pub(crate) fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}

/// Says whether a name may stand in an environment.
pub(crate) fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && !OsStr::new(name).as_bytes().iter().any(|byte| matches!(byte, b'=' | 0))
}
