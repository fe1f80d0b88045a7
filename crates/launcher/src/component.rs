//! Components: installed, replaced, removed, switched on and off.

mod change;
mod ownership;
pub mod source;
pub mod transaction;
pub mod verify;

use std::path::PathBuf;

use serde::Serialize;
use tender_config::edit::EditError;
use tender_config::problem::Report;

use crate::instance::InstanceError;
use crate::library::LibraryError;
use source::SourceError;
use transaction::TransactionError;

pub use change::{disable, enable, install, uninstall, upgrade};

/// What is to be installed, or to take the place of what is.
#[derive(Debug, Clone)]
pub struct InstallRequest {
    /// A directory or an archive.
    pub source: PathBuf,
    /// A directory is linked to instead of copied.
    pub is_link: bool,
    /// It is enabled afterwards; an upgrade keeps what is.
    pub is_enabled: bool,
    /// SHA-256 that the archive must have, in hexadecimal.
    pub sha256: Option<String>,
    /// Nothing is changed.
    pub is_check: bool,
    /// Time after which `commands.install` is killed, in milliseconds.
    pub script_limit_ms: u64,
}

/// What was done, or with a check would be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Change {
    /// The component.
    pub name: String,
    /// Where it lies.
    pub place: PathBuf,
    /// Its version before.
    pub from_version: Option<String>,
    /// Its version afterwards.
    pub to_version: Option<String>,
    /// The steps, in order, as sentences.
    pub steps: Vec<String>,
    /// What `commands.install` printed.
    pub output: Vec<String>,
    /// What to look at.
    pub warnings: Vec<String>,
}

/// Says why a component was not changed; then it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The configuration cannot be read.
    #[error("read the configuration")]
    Instance(#[from] InstanceError),
    /// There is nowhere to put extensions.
    #[error("zowe.extensionDirectory is not configured, or is `/`")]
    NoExtensions,
    /// The source cannot be used.
    #[error("read the component")]
    Source(#[from] SourceError),
    /// Its manifest cannot be used.
    #[error("the manifest of the component cannot be used")]
    Manifest {
        /// What is wrong with it, all of it.
        report: Box<Report>,
    },
    /// Its name is no name of a directory.
    #[error("`{name}` cannot name a component: letters, digits, `-`, `_` and `.` can")]
    Name {
        /// The name.
        name: String,
    },
    /// It is there already.
    #[error("component `{name}` is installed already; use upgrade")]
    Installed {
        /// Its name.
        name: String,
    },
    /// It is not there.
    #[error("component `{name}` is not installed; there are {}", known.join(" "))]
    NotInstalled {
        /// Its name.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// It is part of the product.
    #[error("component `{name}` is part of the product and is serviced by levels, not by this command")]
    Core {
        /// Its name.
        name: String,
    },
    /// It needs components that are not there.
    #[error("component `{name}` requires {}, which are not installed", missing.join(", "))]
    Requires {
        /// Its name.
        name: String,
        /// What is missing.
        missing: Vec<String>,
    },
    /// Others need it.
    #[error("component `{name}` is required by {}", by.join(", "))]
    Required {
        /// Its name.
        name: String,
        /// By whom.
        by: Vec<String>,
    },
    /// Its own install command failed.
    #[error("the install command of component `{name}` failed: {reason}")]
    Hook {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
        /// What it printed.
        output: Vec<String>,
    },
    /// The shell library cannot be written.
    #[error("run the install command")]
    Library(#[from] LibraryError),
    /// The component could not be put in its place.
    #[error("change component")]
    Transaction(#[from] TransactionError),
    /// The configuration could not be changed.
    #[error("change the configuration")]
    Edit(#[from] EditError),
    /// The configuration is one of version 1, which is not edited.
    #[error("`{}` is a configuration of version 1; convert it first with `tender config convert`", path.display())]
    Version1 {
        /// The file.
        path: PathBuf,
    },
    /// A link to an archive is asked for.
    #[error("`{}` is not a directory, so it cannot be linked to", path.display())]
    Link {
        /// The source.
        path: PathBuf,
    },
}
