//! What the new process does before it becomes the plug-in.

use std::convert::Infallible;
use std::ffi::{CString, NulError};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tender_worker::confine::{
    Cgroup, ConfineError, Confinement, Identity, Namespaces, Report, ResourceLimits, Role,
};

use tender_xmem::plugin::{CONTROL_DESCRIPTOR, SERVE_DESCRIPTOR};

use crate::sys;

/// Where the module stays open: a script is opened once more by its interpreter, through this number.
const MODULE_DESCRIPTOR: i32 = 5;

/// The environment of every plug-in.
const ENVIRONMENT: [&str; 3] = ["PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/"];

/// Where programs and libraries are; a plug-in may read and run what is there and write nothing anywhere.
const PROGRAMS: [&str; 8] =
    ["/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc/ld.so.cache", "/proc/self"];

/// What a host is to become.
///
/// Shape: JSON, sent to the new process together with its three descriptors. Units: bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entrance {
    /// The module's name, the first argument; a script gets its own path instead.
    pub module: String,
    /// The second argument, a [`StartString`](crate::StartString).
    pub argument: String,
    /// User and group to become; `None` to stay who it is, where the server has no privilege either.
    pub identity: Option<(u32, u32)>,
    /// Memory that it may have; `None` for no limit.
    pub memory_bytes_max: Option<u64>,
    /// Descriptors that it may have open.
    pub descriptors_max: u64,
    /// Its cgroup.
    pub cgroup: CgroupPlace,
}

/// Where a host is counted and held together with everything that it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupPlace {
    /// In this cgroup, which has its limits already but for those that the text names.
    In {
        /// Its directory.
        directory: PathBuf,
        /// Limits that it cannot hold, and why; empty when it holds all.
        lacks: String,
    },
    /// In none of its own, and why.
    None {
        /// Why.
        why: String,
    },
}

/// Says why a process does not become a plug-in. It has to end.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// An argument holds a zero byte.
    #[error("an argument of a plug-in holds a zero byte")]
    Argument(#[source] NulError),
    /// Descriptors could not be put where the plug-in looks for them.
    #[error("put descriptor {descriptor} in its place")]
    Place {
        /// Which.
        descriptor: i32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The sandbox could not be entered.
    #[error("enter the sandbox")]
    Confine(#[source] ConfineError),
    /// The module is not a program.
    #[error("run the module")]
    Execute(#[source] io::Error),
}

/// Enters the sandbox and becomes the plug-in; returns only when that failed.
///
/// `told` is called with what the sandbox could do, once it has been entered, and `parent`: the only descriptor that is
/// open beside those of the plug-in, until then; its number is above theirs. It must not need anything else from outside.
/// The process must have one thread.
pub fn enter<P: AsFd>(
    entrance: &Entrance,
    module: OwnedFd,
    control: OwnedFd,
    calls: OwnedFd,
    mut parent: P,
    told: impl FnOnce(&mut P, &Report),
) -> Result<Infallible, EnterError> {
    let argument = |text: &str| CString::new(text).map_err(EnterError::Argument);
    let arguments = [argument(&entrance.module)?, argument(&entrance.argument)?];
    let number = parent.as_fd().as_raw_fd();
    if number <= MODULE_DESCRIPTOR {
        let source = io::Error::other("it is the number of one of the plug-in's own");
        return Err(EnterError::Place { descriptor: number, source });
    }
    place([(control, CONTROL_DESCRIPTOR), (calls, SERVE_DESCRIPTOR), (module, MODULE_DESCRIPTOR)])?;
    let placed = [CONTROL_DESCRIPTOR, SERVE_DESCRIPTOR, MODULE_DESCRIPTOR].map(sys::placed);
    let report = confinement(entrance, &placed).keep(&parent).apply().map_err(EnterError::Confine)?;
    told(&mut parent, &report);
    drop(parent);
    let environment =
        ENVIRONMENT.map(|variable| CString::new(variable).expect("no variable holds a zero byte"));
    Err(EnterError::Execute(tender_worker::execute(placed[2], &arguments, &environment)))
}

fn confinement(entrance: &Entrance, placed: &[BorrowedFd<'_>]) -> Confinement {
    let limits = ResourceLimits {
        descriptors: Some(entrance.descriptors_max),
        memory_bytes: entrance.memory_bytes_max,
        ..ResourceLimits::default()
    };
    let is_root = rustix::process::geteuid().is_root();
    let namespaces = Namespaces { user: !is_root, mount: true, network: true, ipc: true, host: true };
    let mut confinement = Confinement::new(Role::Auxiliary).limits(limits).namespaces(namespaces);
    for descriptor in placed {
        confinement = confinement.keep(descriptor);
    }
    // Not every machine has all of them.
    for path in PROGRAMS.iter().filter(|path| Path::new(path).exists()) {
        confinement = confinement.execute(*path);
    }
    for path in ["/dev/null", "/dev/urandom", "/dev/fd", "/etc/localtime"] {
        confinement = confinement.read(path);
    }
    confinement = match &entrance.cgroup {
        CgroupPlace::In { directory, lacks } => match Cgroup::open(directory) {
            Ok(cgroup) => confinement.cgroup(cgroup, lacks),
            Err(error) => confinement.no_cgroup(error.to_string()),
        },
        CgroupPlace::None { why } => confinement.no_cgroup(why),
    };
    match entrance.identity {
        Some((uid, gid)) => confinement.identity(Identity { uid, gid, groups: Vec::new() }),
        None => confinement,
    }
}

/// Puts descriptors where the plug-in looks for them; no number may be overwritten before it has been moved.
fn place(wanted: [(OwnedFd, i32); 3]) -> Result<(), EnterError> {
    let failed =
        |descriptor| move |source: rustix::io::Errno| EnterError::Place { descriptor, source: source.into() };
    let mut moved = Vec::new();
    for (descriptor, number) in wanted {
        let away = rustix::io::fcntl_dupfd_cloexec(descriptor.as_fd(), 16).map_err(failed(number))?;
        moved.push((away, number));
    }
    for (descriptor, number) in moved {
        sys::place(descriptor.as_fd(), number).map_err(failed(number))?;
    }
    Ok(())
}
