//! Sandboxes: how a process gives up everything that its role does not need, and how far it got.
//!
//! A role is a program of its own, started by exec. The first thing in its `main` is
//!
//! ```no_run
//! use tender_worker::confine::{Confinement, Role};
//! let channel = tender_worker::inherited(3)?;
//! let report = Confinement::new(Role::Front).keep(&channel).apply()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! while it has one thread. It works as well in a forked child with one thread. What the kernel does not have is named
//! in the [`Report`]; what must hold in any case — identity, capabilities, no new privileges — is an error, and a
//! process that gets one has to end, because it may be half of one thing and half of another.

mod cgroup;
// The library for filters is empty on other architectures, and so would be the tables.
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), path = "confine/no_filter.rs")]
mod filter;
mod limits;
mod namespaces;
mod paths;
mod privilege;
mod report;

use std::os::fd::{AsFd, AsRawFd as _, RawFd};
use std::path::PathBuf;

pub use rustix::thread::CapabilitySet;

pub use cgroup::{Cgroup, CgroupLimits};
pub use limits::ResourceLimits;
pub use namespaces::Namespaces;
pub use privilege::Identity;
pub(crate) use privilege::{keep, switch};
pub use report::{Level, Mechanism, Report};

use crate::kind::Kind;
use crate::range::Range;
use crate::settings::Settings;
use crate::sys;
use paths::Reach;

/// What a process is; it decides which system calls it may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Decodes what clients send: no files, no new sockets, threads.
    Front,
    /// Decides: files, Unix sockets, the user database, threads; no processes.
    Monitor,
    /// Keeps files for the monitor: files, and hearing of their changes; no sockets, threads or processes.
    Keeper,
    /// Does privileged work of one kind.
    Worker(Kind),
    /// Runs a plug-in: an ordinary program without the calls that reach beyond it.
    Auxiliary,
}

/// A sandbox to be entered.
#[derive(Debug, Clone)]
pub struct Confinement {
    role: Role,
    identity: Option<Identity>,
    capabilities: CapabilitySet,
    limits: ResourceLimits,
    keep: Vec<RawFd>,
    reach: Reach,
    restrict_reach: bool,
    namespaces: Namespaces,
    cgroup: Option<CgroupChoice>,
    more_calls: Vec<libc::c_long>,
    die_with_parent: bool,
    clear_environment: bool,
}

/// What was asked for about cgroups.
#[derive(Debug, Clone)]
enum CgroupChoice {
    /// This one, and the limits that it lacks.
    In(Cgroup, String),
    /// None, and why.
    None(String),
}

impl CgroupChoice {
    fn enter(&self) -> Level {
        match self {
            Self::None(why) => Level::Missing(why.clone()),
            Self::In(cgroup, lacks) => match cgroup.enter() {
                Err(error) => Level::Missing(error.to_string()),
                Ok(()) if lacks.is_empty() => Level::Full,
                Ok(()) => Level::Partial(lacks.clone()),
            },
        }
    }
}

/// Says what kept a process from being confined. It has to end.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// It has more than one thread; the others would stay as they were.
    #[error("a process is confined while it has one thread")]
    Threads {
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// It could not become the user.
    #[error("become user {uid} of group {gid}")]
    Identity {
        /// Which user.
        uid: u32,
        /// Which group.
        gid: u32,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A step that must work did not.
    #[error("{what}")]
    System {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The filter of system calls could not be set.
    #[error("set the filter of system calls: {0}")]
    Filter(String),
    /// The parent ended meanwhile.
    #[error("the parent of this process has ended")]
    Orphan,
}

impl Confinement {
    /// A sandbox for a role: no capability, no path, no TCP port, nothing outside that could be signalled.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self {
            role,
            identity: None,
            capabilities: CapabilitySet::empty(),
            limits: ResourceLimits::default(),
            keep: Vec::new(),
            reach: Reach { bind: Some(Vec::new()), ..Reach::default() },
            restrict_reach: true,
            namespaces: Namespaces::default(),
            cgroup: None,
            more_calls: Vec::new(),
            die_with_parent: true,
            clear_environment: true,
        }
    }

    /// The sandbox of a worker of a kind: the capabilities and paths that its work needs with these settings.
    ///
    /// A worker that [`Kind::runs_as_root`] needs [`Identity::root`], others any user.
    #[must_use]
    pub fn worker(kind: Kind, settings: &Settings) -> Self {
        let mut new = Self::new(Role::Worker(kind));
        new.capabilities = kind.capabilities_with(settings);
        new.limits.descriptors = Some(1024);
        match kind {
            // Whatever is run here is not ours to keep from anything.
            Kind::Password | Kind::RunAs => {
                new.restrict_reach = false;
                new.limits.descriptors = Some(4096);
                new
            }
            // Who is in a landlock domain may not look into processes outside it, whatever capability it has.
            Kind::Inspect => {
                new.restrict_reach = false;
                new
            }
            Kind::Network => {
                new.restrict_reach = !settings.network.owners;
                new.read("/proc")
            }
            Kind::Place => settings.place.roots.iter().fold(new, Self::write),
            Kind::Port => {
                // The kernel takes one rule a port.
                let ports = &settings.port.ports;
                let ports = |port: &u16| Range::any_has(ports, u32::from(*port));
                new.reach.bind = Some((1..=u16::MAX).filter(ports).collect());
                new
            }
        }
    }

    /// Becomes this user.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Keeps these capabilities instead of the role's.
    #[must_use]
    pub fn capabilities(mut self, capabilities: CapabilitySet) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Keeps this descriptor open, beside standard input, output and error.
    #[must_use]
    pub fn keep(mut self, descriptor: impl AsFd) -> Self {
        self.keep.push(descriptor.as_fd().as_raw_fd());
        self
    }

    /// Allows reading this file, or what is below this directory.
    #[must_use]
    pub fn read(mut self, path: impl Into<PathBuf>) -> Self {
        self.reach.read.push(path.into());
        self
    }

    /// Allows reading and changing this file, or what is below this directory.
    #[must_use]
    pub fn write(mut self, path: impl Into<PathBuf>) -> Self {
        self.reach.write.push(path.into());
        self
    }

    /// Allows reading and running this file, or what is below this directory. A program that is run from a memfd needs
    /// no such permission, but the loader and the libraries of one that is linked dynamically do.
    #[must_use]
    pub fn execute(mut self, path: impl Into<PathBuf>) -> Self {
        self.reach.execute.push(path.into());
        self
    }

    /// Leaves connecting and listening over TCP, signals and abstract sockets alone.
    #[must_use]
    pub fn network(mut self) -> Self {
        self.reach.bind = None;
        self.reach.outside = true;
        self
    }

    /// Sets limits of resources.
    #[must_use]
    pub fn limits(mut self, limits: ResourceLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Enters new namespaces.
    #[must_use]
    pub fn namespaces(mut self, namespaces: Namespaces) -> Self {
        self.namespaces = namespaces;
        self
    }

    /// Enters a cgroup. What limits it `lacks` is told in the report; nothing when it holds all that was asked for.
    #[must_use]
    pub fn cgroup(mut self, cgroup: Cgroup, lacks: impl Into<String>) -> Self {
        self.cgroup = Some(CgroupChoice::In(cgroup, lacks.into()));
        self
    }

    /// Has a cgroup that cannot be had told in the report.
    #[must_use]
    pub fn no_cgroup(mut self, why: impl Into<String>) -> Self {
        self.cgroup = Some(CgroupChoice::None(why.into()));
        self
    }

    /// Allows further system calls, by their `libc::SYS_` numbers, in a role that has a list of them.
    #[must_use]
    pub fn allow_calls(mut self, calls: &[libc::c_long]) -> Self {
        self.more_calls.extend_from_slice(calls);
        self
    }

    /// Lives on when the parent ends; otherwise the process is killed with it, or with that thread of it which started
    /// it.
    #[must_use]
    pub fn outlive_parent(mut self) -> Self {
        self.die_with_parent = false;
        self
    }

    /// Leaves the environment as it is.
    #[must_use]
    pub fn keep_environment(mut self) -> Self {
        self.clear_environment = false;
        self
    }

    /// Enters the sandbox and says how far it got. There is no way back.
    pub fn apply(self) -> Result<Report, ConfineError> {
        sys::check_single_threaded().map_err(|error| ConfineError::Threads { source: error.into() })?;
        let parent = rustix::process::getppid();
        let mut report = Report::default();
        if self.clear_environment {
            report.try_note(Mechanism::Environment, sys::clear_environment());
        }
        let closed = sys::fill_standard_streams().and_then(|()| sys::close_all_but(&self.keep));
        report.try_note(Mechanism::Descriptors, closed);
        if let Some(choice) = &self.cgroup {
            report.note(Mechanism::Cgroup, choice.enter());
        }
        let limited = self.limits.apply();
        limited.map_err(|error| ConfineError::System { what: "set limits", source: error.into() })?;
        report.note(Mechanism::Limits, Level::Full);
        self.namespaces.enter(&mut report);
        privilege::apply(self.identity.as_ref(), self.capabilities, &mut report)?;
        if self.die_with_parent {
            privilege::die_with_parent(parent)?;
            report.note(Mechanism::ParentDeath, Level::Full);
        }
        if self.restrict_reach {
            self.reach.apply(&mut report);
        }
        filter::apply(self.role, &self.more_calls, &mut report)?;
        Ok(report)
    }
}
