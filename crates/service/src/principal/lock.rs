//! Locks between processes and threads: files held by `flock`, which the kernel releases when the holder is gone.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::Principal;
use crate::error::ServiceError;

/// Whether others may hold the lock too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Nobody else.
    Exclusive,
    /// Others that share.
    Shared,
}

/// Holds a lock until it is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Guard {
    _file: File,
}

impl Principal {
    /// Takes the lock on `resource`, or says who has it.
    ///
    /// Shape: `locks/<resource>.lock` names its last holder: owner, process, time, verb.
    pub(crate) fn lock(
        &self,
        resource: &str,
        share: Share,
        owner: &str,
        verb: &str,
    ) -> Result<Guard, ServiceError> {
        let path = self.home.join("locks").join(format!("{resource}.lock"));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(ServiceError::file("opening the lock", &path))?;
        let operation = match share {
            Share::Exclusive => FlockOperation::NonBlockingLockExclusive,
            Share::Shared => FlockOperation::NonBlockingLockShared,
        };
        if let Err(error) = flock(&file, operation) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(ServiceError::file("taking the lock", &path)(error.into()));
            }
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(ServiceError::file("reading the lock", &path))?;
            let holder = if holder.is_empty() { "somebody who just took it".to_owned() } else { holder };
            return Err(ServiceError::Busy { resource: resource.to_owned(), holder });
        }
        let text =
            format!("{verb} by {owner}, process {}, since {:.0}", std::process::id(), Timestamp::now());
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())
        };
        write(&mut file).map_err(ServiceError::file("writing the lock", &path))?;
        Ok(Guard { _file: file })
    }

    /// Takes the lock under which one release's levels change.
    pub(crate) fn lock_release(
        &self,
        vrm: &tender_package::Vrm,
        share: Share,
        owner: &str,
        verb: &str,
    ) -> Result<Guard, ServiceError> {
        self.lock(&format!("release-{vrm}"), share, owner, verb)
    }

    /// Takes the lock under which one system is worked on.
    pub(crate) fn lock_system(
        &self,
        system: &tender_package::SystemName,
        owner: &str,
        verb: &str,
    ) -> Result<Guard, ServiceError> {
        self.lock(&format!("system-{system}"), Share::Exclusive, owner, verb)
    }
}
