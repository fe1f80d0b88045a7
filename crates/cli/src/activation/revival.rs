//! A launcher that ended while its instance was being taken to another level is started again.
//!
//! What it ran goes on without anybody to restart it, and may be of the level that was taken back.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use tender_launcher::activation::ActivationError;
use tender_launcher::instance::Instance;
use tender_launcher::launch::background::{self, StartError, StartRequest, Started};
use tender_launcher::launch::child::Identity;
use tender_launcher::progress::Event;
use tender_supervisor::client;
use tender_supervisor::lock::InstanceLock;

/// How long a service manager may take until it has started a launcher again; our unit says 5 s.
const SERVICE_MANAGER_LIMIT: Duration = Duration::from_secs(15);
/// How long a launcher that dies may take until its lock is free.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Time between two looks.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// Says whether a launcher runs.
pub(super) fn runs(identity: &Identity) -> bool {
    InstanceLock::holder(&identity.directory, &identity.ha_id).is_some()
}

/// Gives a launcher that broke off its answer the time to be gone: whoever looks next must not find it half dead.
pub(super) fn await_end(identity: &Identity) {
    within(END_LIMIT, || !runs(identity));
}

/// Starts the launcher of an instance; what its components then come to is for the caller to wait for.
///
/// When the instance has a systemd unit, its manager goes first: two would get in each other's way.
pub(super) fn start(instance: &Instance, program: &Path, limit: Duration) -> Result<(), ActivationError> {
    let identity = instance.identity()?;
    if has_unit(&identity.directory) && within(SERVICE_MANAGER_LIMIT, || runs(&identity)) {
        listens(&identity, limit);
        return Ok(());
    }
    let directory = identity.directory.display();
    if let Some(owner) = other_owner(&identity.directory) {
        let text = format!("user {owner}, whose instance {directory} is, has to start it: `tender start`");
        return Err(ActivationError::Refused { messages: vec![text] });
    }
    let ready_limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
    let request = StartRequest { program: program.to_owned(), ready_limit_ms };
    match background::start(instance, &request, &|_: &Event| {}) {
        // Somebody else was faster.
        Err(StartError::Running { .. }) => {
            listens(&identity, limit);
            Ok(())
        }
        Ok(Started::NotPrepared { .. }) => {
            let text = format!("nothing of {directory} was started again; `tender validate` there says why");
            Err(ActivationError::Refused { messages: vec![text] })
        }
        Ok(_) => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

/// Returns the owner of a directory that is not this user's.
fn other_owner(directory: &Path) -> Option<u32> {
    let owner = std::fs::metadata(directory).ok()?.uid();
    (owner != rustix::process::geteuid().as_raw()).then_some(owner)
}

fn has_unit(directory: &Path) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|word| word == "service"))
}

/// Waits until a launcher that prepares can be asked; one that never can is found out by who asks it.
fn listens(identity: &Identity, limit: Duration) {
    let socket = client::socket_path(&identity.directory, &identity.ha_id);
    within(limit, || client::connect(&socket).is_ok());
}

fn within(limit: Duration, is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::park_timeout(LOOK_PERIOD);
    }
    true
}
