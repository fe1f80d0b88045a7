//! Takes in the list of revoked certificates that the principal stored, when the authority signed it.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use jiff::Timestamp;
use tender_transport::revocation::{self, LIST_BYTES_MAX, RevocationError, Revocations};

use crate::audit::{self, AuditError, AuditEvent};
use crate::home::{Home, HomeError, remove_file};

/// The file in `incoming/`.
const FILE: &str = "revocations";

/// Says why a list was not taken in.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeError {
    /// It cannot be read.
    #[error("read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not believed, or could not be kept.
    #[error("revoke certificates")]
    Revocation(#[source] RevocationError),
    /// A file of this system could not be used.
    #[error("use the files of this system")]
    Home(#[source] HomeError),
    /// It could not be recorded.
    #[error("record the revocation")]
    Audit(#[source] AuditError),
}

/// What became of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// Its number.
    pub(super) number: u64,
    /// Whether it was not known before.
    pub(super) is_new: bool,
}

pub(super) fn accept(home: &Home) -> Result<Taken, TakeError> {
    let path = home.incoming().join(FILE);
    let read = |source| TakeError::Read { path: path.clone(), source };
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("open flags fit an int");
    let file = std::fs::File::options().read(true).custom_flags(no_follow).open(&path).map_err(read)?;
    let mut text = String::new();
    file.take(LIST_BYTES_MAX).read_to_string(&mut text).map_err(read)?;
    let identity = home.identity();
    let before = Revocations::of_identity(&identity).map_err(TakeError::Revocation)?;
    let list = revocation::install(&identity, &text).map_err(TakeError::Revocation)?;
    let is_new = list != before;
    if is_new {
        let event = AuditEvent {
            who: "CSMWORK".to_owned(),
            what: "REVOKE".to_owned(),
            subject: format!("list {} of {} certificates", list.number, list.certificates.len()),
            result: "0".to_owned(),
        };
        audit::append(&home.audit_log(), Timestamp::now(), event).map_err(TakeError::Audit)?;
    }
    remove_file(&path).map_err(TakeError::Home)?;
    Ok(Taken { number: list.number, is_new })
}
