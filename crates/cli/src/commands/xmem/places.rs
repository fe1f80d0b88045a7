//! Where servers and what belongs to them are.

use std::path::{Path, PathBuf};

use tender_parmlib::{Installation, ServerName};

use crate::commands::Shell;
use crate::error::{CommandError, RuntimeFault};
use tender_package::ReturnCode;

/// Places of one user's servers, as `docs/cross-memory.md` says.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Sockets and locks, one directory a server below it.
    pub(super) run: PathBuf,
    /// What servers keep, one directory a server below it.
    pub(super) state: PathBuf,
    /// Members and the list of authorised modules.
    pub(super) parmlib: PathBuf,
    /// What was installed last.
    pub(super) installed: Option<Installation>,
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

impl Places {
    /// Finds them.
    pub(super) fn find(shell: &Shell) -> Result<Self, CommandError> {
        let is_root = rustix::process::geteuid().is_root();
        let installed = Installation::read(&shell.home).map_err(|source| CommandError::File {
            doing: "read what was installed, below",
            path: shell.home.clone(),
            source,
        })?;
        let run = variable("TENDER_XMEM_RUN").unwrap_or_else(|| match variable("XDG_RUNTIME_DIR") {
            _ if is_root => PathBuf::from("/run/tender/xmem"),
            Some(runtime) => runtime.join("tender/xmem"),
            None => shell.home.join("xmem/run"),
        });
        let parmlib = variable("TENDER_XMEM_PARMLIB")
            .or_else(|| installed.as_ref().map(|installed| installed.parmlib.clone()))
            .unwrap_or_else(|| {
                if is_root { PathBuf::from("/etc/tender/xmem") } else { shell.home.join("xmem/parmlib") }
            });
        let state = variable("TENDER_XMEM_STATE").unwrap_or_else(|| shell.home.join("xmem"));
        Ok(Self { run, state, parmlib, installed })
    }

    /// Returns the directory below which the server of a name is: this user's, or that of root when only that is there.
    pub(super) fn run_of(&self, name: &ServerName) -> PathBuf {
        let system = Path::new("/run/tender/xmem");
        let is_elsewhere = variable("TENDER_XMEM_RUN").is_none()
            && !self.run.join(name.as_str()).is_dir()
            && system.join(name.as_str()).is_dir();
        if is_elsewhere { system.to_owned() } else { self.run.clone() }
    }

    /// Returns the list of authorised modules.
    pub(super) fn authorised(&self) -> PathBuf {
        self.parmlib.join("authorised")
    }
}

/// Which server a command is for.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Which {
    /// The server; ZWESIS_STD when left out
    #[arg(long, short = 's', value_name = "NAME", default_value_t, value_parser = server_name)]
    pub(super) server: ServerName,
}

/// Reads the name of a server: `NAME`, or `NAME=NAME` as start commands have it.
pub(super) fn server_name(text: &str) -> Result<ServerName, tender_parmlib::ServerNameError> {
    text.strip_prefix("NAME=").unwrap_or(text).parse()
}

/// Returns the program `tender-xmemd`: `TENDER_XMEMD`, the module that was installed, or what lies beside `tender`.
pub(super) fn program(places: &Places) -> Result<PathBuf, CommandError> {
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("tender-xmemd"));
    let installed = || places.installed.as_ref().map(|installed| installed.loadlib.join("ZWESIS01"));
    let named = variable("TENDER_XMEMD");
    let candidates: Vec<PathBuf> = match named {
        Some(named) => vec![named],
        None => installed().into_iter().chain(beside()).collect(),
    };
    if let Some(found) = candidates.iter().find(|candidate| candidate.is_file()) {
        return Ok(found.clone());
    }
    let shown: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
    let text = format!("the program of the cross-memory server is not there: {}", shown.join(", "));
    Err(RuntimeFault::new("ZWES2101E", ReturnCode::Unknown, text)
        .with_hint("`tender xmem install` installs it, TENDER_XMEMD names another place")
        .into())
}
