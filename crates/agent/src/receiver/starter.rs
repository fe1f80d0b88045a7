//! Starts the executor when there is work, and sees how it ends.
//!
//! ```text
//! work ─► start ─► runs ─► ends by itself: nothing more
//!                   └────► was killed, requests are open: started once more; then whoever asks next starts it
//! ```

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::home::{Home, HomeError};
use crate::queue;

/// Says why the executor does not run.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No command was given.
    #[error("no command to start the executor was given")]
    NoCommand,
    /// Its log cannot be written.
    #[error("open the executor's log")]
    Log(#[source] HomeError),
    /// The command does not start.
    #[error("start the executor `{command}`")]
    Start {
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What starts the executor, one at a time.
#[derive(Debug)]
pub(super) struct Starter {
    home: Home,
    command: Vec<OsString>,
    is_running: Mutex<bool>,
}

/// Whether an executor that is killed is started once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chance {
    First,
    Last,
}

impl Starter {
    pub(super) fn new(home: Home, command: Vec<OsString>) -> Arc<Self> {
        Arc::new(Self { home, command, is_running: Mutex::new(false) })
    }

    /// Starts the executor, unless the last one still runs.
    pub(super) fn start(self: &Arc<Self>) -> Result<(), SpawnError> {
        self.start_for(Chance::First)
    }

    fn start_for(self: &Arc<Self>, chance: Chance) -> Result<(), SpawnError> {
        let mut is_running = self.running();
        if *is_running {
            return Ok(());
        }
        let child = self.spawn()?;
        // Not kept alive by its executor: a receiver that is gone starts nothing any more.
        let starter = Arc::downgrade(self);
        let seen = std::thread::Builder::new().name("executor".to_owned());
        seen.spawn(move || see_to_its_end(&starter, child, chance)).map_err(|source| self.failed(source))?;
        *is_running = true;
        Ok(())
    }

    /// Starts it in a process group of its own, without a shell.
    fn spawn(&self) -> Result<Child, SpawnError> {
        let (program, arguments) = self.command.split_first().ok_or(SpawnError::NoCommand)?;
        let path = self.home.root().join("logs/executor.log");
        let open = || OpenOptions::new().create(true).append(true).open(&path);
        let log = |error| SpawnError::Log(HomeError::io("open", &path)(error));
        let (out, err) = (open().map_err(log)?, open().map_err(log)?);
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        command.spawn().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> SpawnError {
        let program = self.command.first().map(|word| word.to_string_lossy().into_owned());
        SpawnError::Start { command: program.unwrap_or_default(), source }
    }

    fn running(&self) -> MutexGuard<'_, bool> {
        self.is_running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for an executor, so that nothing is left of it, and starts the next one when it was killed at its work.
///
/// The principal that would ask again may be gone by then, and a switch half done is nothing to leave alone.
fn see_to_its_end(starter: &Weak<Starter>, mut child: Child, chance: Chance) {
    let was_killed = child.wait().is_ok_and(|status| status.signal().is_some());
    let Some(starter) = starter.upgrade() else { return };
    *starter.running() = false;
    let has_work = || queue::open_requests(&starter.home).is_ok_and(|open| !open.is_empty());
    if was_killed && chance == Chance::First && has_work() {
        // Whoever asks next is told why it does not start.
        drop(starter.start_for(Chance::Last));
    }
}
