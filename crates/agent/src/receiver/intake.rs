//! Takes a request in: reads it strictly, verifies the package it speaks of, writes it down.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use tender_package::request::{PROTOCOL, Request, RequestResult, RequestState, Verb};
use tender_package::{LevelRef, Outcome};

use crate::audit::{self, AuditError, AuditEvent};
use crate::executor::{Refusal, validate_load};
use crate::home::{Home, HomeError, remove_file};
use crate::info::{self, InfoError};
use crate::queue;

/// The largest request that is read.
const REQUEST_BYTES_MAX: u64 = 1 << 20;

/// Says why a request was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The request file cannot be had.
    #[error("`incoming/requests/{id}.json` is not there; store the request first")]
    NoFile {
        /// The request.
        id: String,
    },
    /// The request file is no regular file, or too large.
    #[error("`{}` is not a request: {reason}", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The request speaks a newer protocol.
    #[error(
        "request {id} speaks protocol {protocol}, this Tender up to {PROTOCOL}; bring it up to date first"
    )]
    Protocol {
        /// The request.
        id: String,
        /// Its protocol.
        protocol: u32,
    },
    /// The request is not what a request must look like.
    #[error("request {id} is not of the shape of protocol {PROTOCOL}")]
    Shape {
        /// The request.
        id: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The request has another id than its file.
    #[error("`{id}.json` holds request {found}")]
    OtherId {
        /// The name of the file.
        id: String,
        /// The id in it.
        found: String,
    },
    /// A file of this system could not be used.
    #[error("write the request down")]
    Home(#[source] HomeError),
    /// The refusal of a package could not be written down.
    #[error("describe this system")]
    Info(#[source] InfoError),
    /// The refusal of a package could not be recorded.
    #[error("record the refusal")]
    Audit(#[source] AuditError),
}

/// Takes in request `id` from `incoming/requests/`, once; a known request answers its state.
///
/// A package that does not verify ends the request at once, with a result that says why.
pub(super) fn accept(home: &Home, id: &str) -> Result<RequestState, IntakeError> {
    let known = queue::state(home, id).map_err(IntakeError::Home)?;
    if known != RequestState::Unknown {
        return Ok(known);
    }
    let path = home.incoming().join("requests").join(format!("{id}.json"));
    let request = read(&path, id)?;
    let state = match verify(home, &request) {
        Ok(()) => queue::submit(home, &request).map_err(IntakeError::Home)?,
        Err(refusal) => refuse(home, &request, refusal)?,
    };
    remove_file(&path).map_err(IntakeError::Home)?;
    Ok(state)
}

/// Reads only what tells whether the rest can be understood.
#[derive(Deserialize)]
struct ProtocolOnly {
    protocol: u32,
}

fn read(path: &Path, id: &str) -> Result<Request, IntakeError> {
    let not_a_file = |reason| IntakeError::NotAFile { path: path.to_owned(), reason };
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(IntakeError::NoFile { id: id.to_owned() });
        }
        Err(error) => return Err(IntakeError::Home(HomeError::io("look at", path)(error))),
    };
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(not_a_file("it is not a regular file"));
    }
    if metadata.len() > REQUEST_BYTES_MAX {
        return Err(not_a_file("it is larger than a request can be"));
    }
    let bytes = std::fs::read(path).map_err(|error| IntakeError::Home(HomeError::io("read", path)(error)))?;
    parse(&bytes, id)
}

fn parse(bytes: &[u8], id: &str) -> Result<Request, IntakeError> {
    let shape = |source| IntakeError::Shape { id: id.to_owned(), source };
    let protocol = serde_json::from_slice::<ProtocolOnly>(bytes).map_err(shape)?.protocol;
    if protocol > PROTOCOL {
        return Err(IntakeError::Protocol { id: id.to_owned(), protocol });
    }
    let request: Request = serde_json::from_slice(bytes).map_err(shape)?;
    if request.id != id {
        return Err(IntakeError::OtherId { id: id.to_owned(), found: request.id });
    }
    Ok(request)
}

fn verify(home: &Home, request: &Request) -> Result<(), Refusal> {
    let Verb::Load { level, .. } = &request.verb else { return Ok(()) };
    let superseded = validate_load(home, request)?;
    // Left over from packages that the principal no longer lists. What cannot be removed counts against the quota.
    superseded.into_iter().for_each(|path| drop(std::fs::remove_file(path)));
    prune_empty(home, level);
    Ok(())
}

fn prune_empty(home: &Home, level: &LevelRef) {
    let targets = home.received(&level.vrm).join("targets").join(level.vrm.as_str());
    for below in ["levels", "servlinks", "trees"] {
        // Fails when something is in it, which is what keeps it.
        drop(std::fs::remove_dir(targets.join(below)));
    }
}

fn refuse(home: &Home, request: &Request, refusal: Refusal) -> Result<RequestState, IntakeError> {
    let now = Timestamp::now();
    let code = refusal.code;
    let event = AuditEvent {
        who: request.operator.clone(),
        what: request.verb.word().to_owned(),
        subject: request.id.clone(),
        result: format!("{} at reception", u8::from(code)),
    };
    audit::append(&home.audit_log(), now, event).map_err(IntakeError::Audit)?;
    let result = RequestResult {
        request: request.clone(),
        began: now,
        ended: now,
        outcome: Outcome { code, messages: refusal.messages, ..Outcome::default() },
        info: info::system(home).map_err(IntakeError::Info)?,
        servcheck: None,
        test_run: None,
    };
    queue::end(home, &result).map_err(IntakeError::Home)?;
    Ok(RequestState::Ended { code })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"protocol":1,"id":"r1","made":"2026-01-01T00:00:00Z","operator":"op","verb":{"verb":"UNLOAD"}}"#;

    #[test]
    fn request_of_our_protocol_is_read() {
        assert_eq!(parse(GOOD.as_bytes(), "r1").unwrap().verb, Verb::Unload);
    }

    #[test]
    fn request_of_a_newer_protocol_is_refused_whatever_its_shape() {
        let error = parse(br#"{"protocol":2,"new":"field"}"#, "r1").unwrap_err();
        assert!(matches!(error, IntakeError::Protocol { protocol: 2, .. }), "{error}");
    }

    #[test]
    fn request_of_another_shape_or_id_is_refused() {
        assert!(matches!(parse(GOOD.as_bytes(), "r2"), Err(IntakeError::OtherId { .. })));
        let extra = GOOD.replace("\"operator\"", "\"x\":1,\"operator\"");
        for text in ["", "[]", "{}", &GOOD.replace("UNLOAD", "FORMAT"), &extra] {
            assert!(matches!(parse(text.as_bytes(), "r1"), Err(IntakeError::Shape { .. })), "{text}");
        }
    }

    #[test]
    fn request_that_is_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), GOOD).unwrap();
        let link = dir.path().join("r1.json");
        std::os::unix::fs::symlink(dir.path().join("secret"), &link).unwrap();
        assert!(matches!(read(&link, "r1"), Err(IntakeError::NotAFile { .. })));
        std::fs::remove_file(&link).unwrap();
        std::fs::hard_link(dir.path().join("secret"), &link).unwrap();
        assert!(matches!(read(&link, "r1"), Err(IntakeError::NotAFile { .. })));
        assert!(matches!(read(&dir.path().join("none"), "r1"), Err(IntakeError::NoFile { .. })));
    }
}
