//! The users that the processes of a server run as.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::User;
use serde::Serialize;

use super::failure::InstallError;

/// One user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub title: &'static str,
}

/// Every user of a server with its default names.
pub const ACCOUNTS: [Account; 3] = [
    Account { name: "zwesiusr", title: "Cross-memory server, decides" },
    Account { name: "zwesfrnt", title: "Cross-memory server, talks to clients" },
    Account { name: "zwesaux", title: "Cross-memory server, hosts plug-ins" },
];

/// Where programs are looked for, whatever the caller's environment says.
const SEARCH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Says whether a user is known to this machine.
pub(crate) fn uid_of(name: &str) -> io::Result<Option<u32>> {
    Ok(User::from_name(name).map_err(io::Error::from)?.map(|user| user.uid.as_raw()))
}

/// Creates users that are missing: with systemd-sysusers out of its file, otherwise with useradd.
pub(crate) fn create(names: &[&str], sysusers_file: Option<&Path>) -> Result<(), InstallError> {
    let is_made = match sysusers_file {
        Some(file) => run("systemd-sysusers", &[file.as_os_str()])?,
        None => false,
    };
    for name in names {
        let is_there =
            || uid_of(name).map_err(|source| InstallError::io("look up user", Path::new(name), source));
        if !is_made && is_there()?.is_none() {
            let options = [
                "--system",
                "--user-group",
                "--no-create-home",
                "--home-dir",
                "/",
                "--shell",
                "/usr/sbin/nologin",
            ];
            let words: Vec<_> = options.iter().chain([name]).map(std::ffi::OsStr::new).collect();
            if !run("useradd", &words)? {
                return Err(InstallError::NoUserTool);
            }
        }
        match is_there()? {
            Some(uid) if uid > 0 => {}
            _ => return Err(InstallError::UserNotMade { name: (*name).to_owned() }),
        }
    }
    Ok(())
}

/// Removes a user that a run that failed has made.
pub(super) fn remove(name: &str) -> Result<(), InstallError> {
    let is_there =
        uid_of(name).map_err(|source| InstallError::io("look up user", Path::new(name), source))?;
    if is_there.is_some() && !run("userdel", &[name.as_ref()])? {
        return Err(InstallError::NoUserTool);
    }
    Ok(())
}

/// Runs a program; says whether there is one.
fn run(program: &'static str, words: &[&std::ffi::OsStr]) -> Result<bool, InstallError> {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", SEARCH).env("LC_ALL", "C").args(words).stdin(Stdio::null());
    match command.output() {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(fault) => Err(InstallError::io("run", Path::new(program), fault)),
        Ok(output) if output.status.success() => Ok(true),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(InstallError::Program { program, status: output.status.to_string(), said })
        }
    }
}
