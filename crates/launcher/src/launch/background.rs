//! Starting a launcher in the background, and following it until the instance is ready.

use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};
use tender_supervisor::client::{self, ClientError};
use tender_supervisor::console::{InstanceStatus, Reply, Request};
use tender_supervisor::lock::{Holder, InstanceLock};

use super::child::{ChildError, Identity};
use crate::instance::{Instance, InstanceError};
use crate::progress::{Event, Progress};

/// How a launcher is started in the background.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// The `tender` program.
    pub program: PathBuf,
    /// How long components may take until they are READY, in milliseconds; 0 does not wait.
    pub ready_limit_ms: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Started {
    /// Every component is READY.
    Ready(InstanceStatus),
    /// The launcher runs, but not every component is READY.
    NotReady(InstanceStatus),
    /// The launcher runs; nobody waited.
    Running,
    /// Nothing runs, and the events told why.
    NotPrepared {
        /// The exit code of the launcher; nothing when a signal ended it.
        code: Option<u8>,
    },
}

/// Says why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be read.
    #[error("read the configuration")]
    Instance(#[from] InstanceError),
    /// A launcher runs this instance already.
    #[error("the instance is run by process {} on {} since {}", holder.pid, holder.host, holder.since)]
    Running {
        /// Which.
        holder: Holder,
    },
    /// A launcher could not keep its lock, its console or its files there.
    #[error("write in `{}`, which belongs to user {owner}", path.display())]
    NotWritable {
        /// Where.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The launcher could not be started.
    #[error("start the launcher")]
    Child(#[from] ChildError),
    /// Its console could not be used.
    #[error("ask the launcher")]
    Console(#[from] ClientError),
    /// It gave no answer.
    #[error("the launcher ended before it was asked")]
    Gone,
}

/// Starts a launcher that goes on when this process ends, and follows it until it is ready or gives up.
pub fn start(
    instance: &Instance,
    request: &StartRequest,
    progress: &dyn Progress,
) -> Result<Started, StartError> {
    let identity = instance.identity()?;
    if let Some(holder) = InstanceLock::holder(&identity.directory, &identity.ha_id) {
        return Err(StartError::Running { holder });
    }
    for path in [&identity.directory, &identity.private, &identity.logs] {
        check_writable(path)?;
    }
    let mut child = spawn(instance, request)?;
    if !follow(&mut child, progress)? {
        // It has said why, and ends.
        let status = child.wait().map_err(ChildError::Read)?;
        return Ok(Started::NotPrepared { code: status.code().and_then(|code| u8::try_from(code).ok()) });
    }
    if request.ready_limit_ms == 0 {
        return Ok(Started::Running);
    }
    await_ready(&identity, request.ready_limit_ms, &mut child)
}

/// Finds out whether a launcher could write in a directory, or make it.
fn check_writable(path: &Path) -> Result<(), StartError> {
    let Some(there) = path.ancestors().find(|ancestor| ancestor.exists()) else { return Ok(()) };
    access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| StartError::NotWritable {
        path: there.to_owned(),
        owner: std::fs::metadata(there).map_or(0, |metadata| metadata.uid()),
        source: error.into(),
    })
}

fn spawn(instance: &Instance, request: &StartRequest) -> Result<Child, ChildError> {
    let mut command = Command::new(&request.program);
    command
        .args(["launcher", "run", "--detached", "--output", "events"])
        .args(instance.arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().map_err(|source| ChildError::Start { program: request.program.clone(), source })
}

/// Passes events on until the launcher supervises; says whether it came to that.
fn follow(child: &mut Child, progress: &dyn Progress) -> Result<bool, ChildError> {
    let stdout = child.stdout.take().expect("standard output was asked for");
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(ChildError::Read)?;
        let event: Event = serde_json::from_str(&line).map_err(ChildError::Line)?;
        progress.event(&event);
        if matches!(event, Event::Supervising { .. }) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits until the launcher listens, and then until the instance is ready.
fn await_ready(identity: &Identity, limit_ms: u64, child: &mut Child) -> Result<Started, StartError> {
    const LISTEN_LIMIT: Duration = Duration::from_secs(60);
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let socket = client::socket_path(&identity.directory, &identity.ha_id);
    let deadline = Instant::now() + LISTEN_LIMIT;
    let mut connected = loop {
        match client::connect(&socket) {
            Ok(connected) => break connected,
            Err(_) if child.try_wait().map_err(ChildError::Read)?.is_some() => return Err(StartError::Gone),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            // The socket appears within milliseconds; there is nothing to wait on before it is there.
            Err(_) => std::thread::park_timeout(LOOK_AGAIN),
        }
    };
    let replies = connected.ask(&Request::AwaitReady { timeout_ms: limit_ms })?;
    let status = replies.into_iter().find_map(|reply| match reply {
        Reply::Status(status) => Some(status),
        _ => None,
    });
    let status = match status {
        Some(status) => status,
        None => ask_status(&mut connected)?,
    };
    Ok(if status.is_ready { Started::Ready(status) } else { Started::NotReady(status) })
}

/// Asks for the state of everything.
pub(crate) fn ask_status(client: &mut client::Client) -> Result<InstanceStatus, StartError> {
    let replies = client.ask(&Request::Status)?;
    let status = replies.into_iter().find_map(|reply| match reply {
        Reply::Status(status) => Some(status),
        _ => None,
    });
    status.ok_or(StartError::Gone)
}
