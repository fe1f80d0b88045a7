//! What is there before something is installed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, OFlags};

use super::accounts::{ACCOUNTS, uid_of};
use super::content::sample_member;
use super::failure::InstallError;
use super::request::InstallRequest;
use crate::authorised::{Digest, SealedProgram};
use crate::member::MEMBER_BYTES_MAX;

/// Where the program of a module is looked for below the prefix; the first that is there counts.
const SERVER_PLACES: [&str; 4] = ["SZWEAUTH/ZWESIS01", "bin/tender-xmemd", "tender-xmemd", "ZWESIS01"];
const AUXILIARY_PLACES: [&str; 1] = ["SZWEAUTH/ZWESAUX"];
/// Where members lie that are shipped with it.
const SAMPLES: &str = "SZWESAMP";
/// The member that others are made of.
const SAMPLE: &str = "ZWESIP00";

/// A module to be installed.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) program: Arc<SealedProgram>,
}

/// A file in the place of one that is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) digest: Digest,
    pub(super) mode: u32,
    pub(super) text: Option<String>,
}

/// Everything that a plan is made of.
#[derive(Debug, Clone)]
pub struct Found {
    pub(super) server: Source,
    pub(super) auxiliary: Source,
    /// The member as it is shipped now.
    pub(super) shipped: String,
    /// Files that are there, of those that are to be installed.
    pub(super) files: BTreeMap<PathBuf, Present>,
    /// Directories that are to be made, outermost first.
    pub(super) missing_directories: Vec<PathBuf>,
    /// Users that are not there.
    pub(super) missing_users: Vec<&'static str>,
}

impl Found {
    /// Looks at what a request is about, and changes nothing.
    pub fn look(request: &InstallRequest) -> Result<Self, InstallError> {
        if !request.prefix.is_dir() {
            return Err(InstallError::Missing { what: "directory", path: request.prefix.clone() });
        }
        let server = source(&request.prefix, &SERVER_PLACES)?.ok_or_else(|| InstallError::Missing {
            what: "program",
            path: request.prefix.join(SERVER_PLACES[1]),
        })?;
        let auxiliary = source(&request.prefix, &AUXILIARY_PLACES)?.unwrap_or_else(|| server.clone());
        let directories = [
            Some(&request.loadlib),
            Some(&request.parmlib),
            Some(&request.proclib),
            Some(&request.logs),
            request.sysusers.as_ref(),
        ];
        let named = directories.into_iter().flatten().chain([&request.prefix, &request.home]);
        if let Some(path) = named.into_iter().find(|path| path.to_str().is_none()) {
            return Err(InstallError::NotText { path: path.clone() });
        }
        let mut missing_directories = Vec::new();
        for directory in directories.into_iter().flatten() {
            look_at_directory(directory, &mut missing_directories)?;
        }
        // The journal is below it, so it is made before anything else and is no step.
        look_at_directory(&request.home, &mut Vec::new())?;
        let mut files = BTreeMap::new();
        for path in targets(request) {
            if let Some(present) = present(&path)? {
                files.insert(path, present);
            }
        }
        let mut missing_users = Vec::new();
        for account in ACCOUNTS {
            let uid = uid_of(account.name)
                .map_err(|source| InstallError::io("look up user", Path::new(account.name), source))?;
            if uid.is_none() {
                missing_users.push(account.name);
            }
        }
        let shipped = shipped(&request.prefix)?;
        Ok(Self { server, auxiliary, shipped, files, missing_directories, missing_users })
    }
}

/// Returns every file that a request may write.
fn targets(request: &InstallRequest) -> Vec<PathBuf> {
    let modules = ["ZWESIS01", "ZWESAUX"].map(|name| request.loadlib.join(name));
    let texts =
        [request.member_path(), request.shipped_path(), request.procedure_path(), request.record_path()];
    modules.into_iter().chain(texts).chain(request.sysusers_path()).collect()
}

fn source(prefix: &Path, places: &[&str]) -> Result<Option<Source>, InstallError> {
    for place in places {
        let path = prefix.join(place);
        let mut file = match open(&path) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => continue,
            Err(fault) => return Err(InstallError::io("read", &path, fault)),
            Ok(file) => file,
        };
        if !file.metadata().map_err(|fault| InstallError::io("read", &path, fault))?.is_file() {
            return Err(InstallError::NotAFile { path });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // In memory the program stays what it is now, whatever happens to the file until it is installed.
        let program = SealedProgram::copy(&mut file, &name).map_err(|fault| match fault.kind() {
            io::ErrorKind::FileTooLarge => InstallError::TooLarge { path: path.clone() },
            _ => InstallError::io("read", &path, fault),
        })?;
        return Ok(Some(Source { path, program: Arc::new(program) }));
    }
    Ok(None)
}

/// Opens what may be anything; a pipe must not block.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Returns the member that is shipped: that of the prefix where it has samples, otherwise ours.
fn shipped(prefix: &Path) -> Result<String, InstallError> {
    let samples = prefix.join(SAMPLES);
    if !samples.is_dir() {
        return Ok(sample_member());
    }
    let path = samples.join(SAMPLE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            Err(InstallError::Missing { what: "member", path })
        }
        Err(fault) => Err(InstallError::io("read", &path, fault)),
    }
}

/// Makes sure that a directory can be written to, or can be made.
fn look_at_directory(directory: &Path, missing: &mut Vec<PathBuf>) -> Result<(), InstallError> {
    let mut to_make = Vec::new();
    let mut at = directory;
    let there = loop {
        match std::fs::metadata(at) {
            Ok(found) if found.is_dir() => break at,
            Ok(_) => return Err(InstallError::NotADirectory { path: at.to_owned() }),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                if std::fs::symlink_metadata(at).is_ok() {
                    // A link that leads nowhere.
                    return Err(InstallError::NotADirectory { path: at.to_owned() });
                }
                to_make.push(at.to_owned());
                at = at.parent().unwrap_or(Path::new("/"));
            }
            Err(fault) => return Err(InstallError::io("look at", at, fault)),
        }
    };
    let mode = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(rustix::fs::CWD, there, mode, AtFlags::EACCESS)
        .map_err(|error| InstallError::NotWritable { path: there.to_owned(), source: error.into() })?;
    for path in to_make.into_iter().rev() {
        if !missing.contains(&path) {
            missing.push(path);
        }
    }
    Ok(())
}

/// Returns what is in the place of a file. Its text is kept where it can be a member.
pub(super) fn present(path: &Path) -> Result<Option<Present>, InstallError> {
    let failed = |fault| InstallError::io("read", path, fault);
    let file = match open(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            if std::fs::symlink_metadata(path).is_ok() {
                return Err(InstallError::NotAFile { path: path.to_owned() });
            }
            return Ok(None);
        }
        opened => opened.map_err(failed)?,
    };
    // Replacing a link would leave what it leads to as it is, which is not what anybody expects.
    let is_link = std::fs::symlink_metadata(path).map_err(failed)?.is_symlink();
    let metadata = file.metadata().map_err(failed)?;
    if is_link || !metadata.is_file() {
        return Err(InstallError::NotAFile { path: path.to_owned() });
    }
    let mut hasher = blake3::Hasher::new();
    let mut start = Vec::new();
    let mut reader = io::BufReader::with_capacity(1 << 16, file);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = reader.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        if start.len() <= MEMBER_BYTES_MAX {
            start.extend_from_slice(&buffer[..count]);
        }
    }
    let text = (start.len() <= MEMBER_BYTES_MAX).then(|| String::from_utf8(start).ok()).flatten();
    let mode = metadata.permissions().mode() & 0o7777;
    Ok(Some(Present { digest: Digest(*hasher.finalize().as_bytes()), mode, text }))
}
