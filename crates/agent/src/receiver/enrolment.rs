//! How a managed system gets its certificate and its trusted root: once, with a join token.

use std::path::PathBuf;
use std::sync::Mutex;

use jiff::Timestamp;
use tender_content::durable::{self, DurableError};
use tender_transport::enrolment::{self, EnrolmentError, JoinToken, TokenError};
use tender_transport::identity::{Identity, IdentityError};

use super::{Answer, AnswerKind};
use crate::audit::{self, AuditError, AuditEvent};
use crate::chain;
use crate::home::{Home, HomeError, remove_file};

/// The further file of enrolment: the root of trust for packages.
pub(super) const ROOT_FILE: &str = "root.json";

/// Says why this system is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token is not one.
    #[error("read the join token")]
    Token(#[source] TokenError),
    /// The token was made for another system.
    #[error("the join token is for system {token}, this is {system}")]
    OtherSystem {
        /// The system in the token.
        token: String,
        /// This system.
        system: String,
    },
    /// This system has a certificate already.
    #[error("this system is enrolled already; to move it to another principal, say so")]
    Enrolled,
    /// Its key cannot be used.
    #[error("use this system's key")]
    Identity(#[source] IdentityError),
    /// The exchange of enrolment failed.
    #[error("enrol")]
    Exchange(#[source] EnrolmentError),
    /// A file of this system could not be used.
    #[error("use the files of this system")]
    Home(#[source] HomeError),
    /// The token or the root could not be kept.
    #[error("keep `{}`", path.display())]
    Keep {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DurableError,
    },
    /// No token was given to this system.
    #[error("this system has no join token; get one from the principal and give it to `tender agent enrol`")]
    NoToken,
    /// The enrolment could not be recorded.
    #[error("record the enrolment")]
    Audit(#[source] AuditError),
}

/// Makes a key and a signing request for the principal that made the token.
///
/// `again` moves a system that is enrolled to another principal: what it remembers of the old one is forgotten.
/// `tender agent run` then waits for the principal to bring the certificate.
pub fn enrol(home: &Home, token: &str, again: bool) -> Result<(), EnrolError> {
    let decoded = JoinToken::decode(token).map_err(EnrolError::Token)?;
    if decoded.expires() < Timestamp::now() {
        let (system, expires) = (decoded.system().to_owned(), decoded.expires());
        return Err(EnrolError::Exchange(EnrolmentError::Expired { system, expires }));
    }
    let system = &home.config().name;
    if !decoded.system().eq_ignore_ascii_case(system) {
        return Err(EnrolError::OtherSystem { token: decoded.system().to_owned(), system: system.clone() });
    }
    let identity = Identity::open_or_create(&home.identity()).map_err(EnrolError::Identity)?;
    if identity.is_enrolled() && !again {
        return Err(EnrolError::Enrolled);
    }
    enrolment::offer(&exchange_dir(home), &decoded, &identity).map_err(EnrolError::Exchange)?;
    let path = token_file(home);
    durable::write_secret_atomically(&path, token.trim().as_bytes())
        .map_err(|source| EnrolError::Keep { path, source })
}

pub(super) fn exchange_dir(home: &Home) -> PathBuf {
    home.root().join("enrol")
}

fn token_file(home: &Home) -> PathBuf {
    home.identity().join("join-token")
}

/// Reads the token of an enrolment that waits for the principal.
pub(super) fn pending(home: &Home) -> Result<Option<JoinToken>, EnrolError> {
    let path = token_file(home);
    match std::fs::read_to_string(&path) {
        Ok(word) => JoinToken::decode(&word).map(Some).map_err(EnrolError::Token),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EnrolError::Home(HomeError::io("read", &path)(error))),
    }
}

/// Checks what the principal brought, puts everything in its place, and forgets the token.
///
/// The token goes last: cut off in between, the same exchange is simply made again.
pub(super) fn conclude(home: &Home) -> Result<(), EnrolError> {
    let token = pending(home)?.ok_or(EnrolError::NoToken)?;
    let dir = exchange_dir(home);
    let identity = Identity::open(&home.identity()).map_err(EnrolError::Identity)?;
    let files = enrolment::accept(&dir, &token, &identity, &[ROOT_FILE], Timestamp::now())
        .map_err(EnrolError::Exchange)?;
    // What was accepted from another principal before must not hold this one's packages back.
    let memory = home.identity().join("tuf");
    let fresh = std::fs::remove_dir_all(&memory).and_then(|()| std::fs::create_dir(&memory));
    fresh.map_err(|error| EnrolError::Home(HomeError::io("renew", &memory)(error)))?;
    let root = home.trusted_root();
    let bytes = files.get(ROOT_FILE).map(Vec::as_slice).unwrap_or_default();
    durable::write_atomically(&root, bytes).map_err(|source| EnrolError::Keep { path: root, source })?;
    let event = AuditEvent {
        who: "CSMWORK".to_owned(),
        what: "ENROL".to_owned(),
        subject: token.ca_fingerprint().to_owned(),
        result: "0".to_owned(),
    };
    audit::append(&home.audit_log(), Timestamp::now(), event).map_err(EnrolError::Audit)?;
    remove_file(&token_file(home)).map_err(EnrolError::Home)?;
    std::fs::remove_dir_all(&dir).map_err(|error| EnrolError::Home(HomeError::io("remove", &dir)(error)))
}

/// Answers the one word of enrolment and tells the server when it succeeded.
#[derive(Debug)]
pub(super) struct EnrolmentWords {
    pub(super) home: Home,
    pub(super) done: Mutex<Option<tokio::sync::oneshot::Sender<()>>>,
}

impl EnrolmentWords {
    pub(super) fn answer(&self) -> Answer {
        match conclude(&self.home) {
            Ok(()) => {
                // The other end is gone only when the server is ending anyway.
                if let Ok(mut done) = self.done.lock()
                    && let Some(done) = done.take()
                {
                    done.send(()).ok();
                }
                Answer { kind: AnswerKind::Done, text: "enrolled".to_owned() }
            }
            Err(error) => Answer { kind: AnswerKind::Refused, text: format!("CSM0604E {}", chain(&error)) },
        }
    }
}
