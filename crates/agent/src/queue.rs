//! Requests on their way: accepted, under way, ended, and how far each is.
//!
//! ```text
//! requests/<id>/request.json   accepted, durable before anyone is told so
//! requests/<id>/journal.json   begun: the plan and how many of its steps are done
//! requests/<id>/ended.json     the return code; stays as proof that the id was used
//! results/<id>.json            the result, until the principal has it
//! ```

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_package::request::{Request, RequestResult, RequestState};
use tender_package::{Message, ReturnCode};

use crate::executor::step::Step;
use crate::home::{Home, HomeError, read_json, remove_file, write_json};

/// Ids of ended requests that are remembered, so that a request that comes again is not carried out again.
const IDS_REMEMBERED: usize = 10_000;

/// What a request will do, step by step, and what undoes it when a step fails.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// Steps that lead back when one of `steps` fails.
    pub(crate) undo: Vec<Step>,
    /// What people are told when all went well.
    pub(crate) done: Option<Message>,
    /// What people must know besides.
    pub(crate) notes: Vec<Message>,
}

/// How far a request is: `requests/<id>/journal.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) began: Timestamp,
    pub(crate) plan: Plan,
    /// Steps that are done, of `plan.steps` or, after a failure, of `plan.undo`.
    pub(crate) done: usize,
    /// Why a step failed; from then on the plan is undone.
    pub(crate) failure: Option<Failure>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: ReturnCode,
    pub(crate) text: String,
}

impl Journal {
    /// Returns the steps being carried out now.
    pub(crate) fn steps(&self) -> &[Step] {
        if self.failure.is_some() { &self.plan.undo } else { &self.plan.steps }
    }
}

/// The durable mark that a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    code: ReturnCode,
    at: Timestamp,
    is_acknowledged: bool,
}

/// Tells whether `id` may name a request: it becomes a file name on both ends.
#[must_use]
pub fn is_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Writes a request down; from now on it will be carried out, whatever happens.
///
/// A request whose id is known changes nothing.
pub fn submit(home: &Home, request: &Request) -> Result<RequestState, HomeError> {
    let known = state(home, &request.id)?;
    if known != RequestState::Unknown {
        return Ok(known);
    }
    let dir = home.request_dir(&request.id);
    std::fs::create_dir_all(&dir).map_err(HomeError::io("make directory", &dir))?;
    write_json(&dir.join("request.json"), request)?;
    let requests = home.root().join("requests");
    tender_content::durable::sync_directory(&requests).map_err(HomeError::durable(&requests))?;
    Ok(RequestState::Queued)
}

/// Says how far a request is.
pub fn state(home: &Home, id: &str) -> Result<RequestState, HomeError> {
    if !is_request_id(id) {
        return Ok(RequestState::Unknown);
    }
    let dir = home.request_dir(id);
    if let Some(ended) = read_json::<Ended>(&dir.join("ended.json"))? {
        return Ok(RequestState::Ended { code: ended.code });
    }
    if let Some(journal) = journal(home, id)? {
        let step = journal.steps().get(journal.done).map_or_else(|| "result".to_owned(), Step::describe);
        let step = if journal.failure.is_some() { format!("going back: {step}") } else { step };
        return Ok(RequestState::Running { step });
    }
    let is_queued = dir.join("request.json").exists();
    Ok(if is_queued { RequestState::Queued } else { RequestState::Unknown })
}

/// Lists the requests that are not ended, oldest first: by the principal's time, then by id.
pub fn open_requests(home: &Home) -> Result<Vec<Request>, HomeError> {
    let mut open = Vec::new();
    for id in ids(home)? {
        let dir = home.request_dir(&id);
        if !dir.join("ended.json").exists() {
            open.extend(read_json::<Request>(&dir.join("request.json"))?);
        }
    }
    open.sort_by(|a, b| (a.made, &a.id).cmp(&(b.made, &b.id)));
    Ok(open)
}

fn ids(home: &Home) -> Result<Vec<String>, HomeError> {
    let dir = home.root().join("requests");
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(HomeError::io("list", &dir))? {
        let entry = entry.map_err(HomeError::io("list", &dir))?;
        ids.extend(entry.file_name().into_string().ok().filter(|id| is_request_id(id)));
    }
    Ok(ids)
}

/// Reads a result that is still kept.
pub fn result(home: &Home, id: &str) -> Result<Option<RequestResult>, HomeError> {
    if is_request_id(id) { read_json(&home.result_file(id)) } else { Ok(None) }
}

/// Notes that the principal has the result; it may go when enough newer ones are kept.
pub fn acknowledge(home: &Home, id: &str) -> Result<RequestState, HomeError> {
    let state = state(home, id)?;
    let path = home.request_dir(id).join("ended.json");
    if let Some(mut ended) = read_json::<Ended>(&path)? {
        ended.is_acknowledged = true;
        write_json(&path, &ended)?;
        forget_old(home)?;
    }
    Ok(state)
}

/// Drops acknowledged results beyond the number to keep, and the ids of requests from long ago.
fn forget_old(home: &Home) -> Result<(), HomeError> {
    let mut acknowledged = Vec::new();
    for id in ids(home)? {
        match read_json::<Ended>(&home.request_dir(&id).join("ended.json"))? {
            Some(ended) if ended.is_acknowledged => acknowledged.push((ended.at, id)),
            _ => {}
        }
    }
    acknowledged.sort_unstable_by(|a, b| b.cmp(a));
    let kept = usize::from(home.config().results_kept.get());
    for (_, id) in acknowledged.iter().skip(kept) {
        remove_file(&home.result_file(id))?;
        remove_file(&home.log_file(id))?;
    }
    for (_, id) in acknowledged.iter().skip(IDS_REMEMBERED.max(kept)) {
        let dir = home.request_dir(id);
        std::fs::remove_dir_all(&dir).map_err(HomeError::io("remove", &dir))?;
    }
    Ok(())
}

pub(crate) fn journal(home: &Home, id: &str) -> Result<Option<Journal>, HomeError> {
    read_json(&home.request_dir(id).join("journal.json"))
}

pub(crate) fn write_journal(home: &Home, id: &str, journal: &Journal) -> Result<(), HomeError> {
    write_json(&home.request_dir(id).join("journal.json"), journal)
}

/// Writes the result, then the mark that the request ended; a crash in between writes the same result again.
pub(crate) fn end(home: &Home, result: &RequestResult) -> Result<(), HomeError> {
    let id = &result.request.id;
    write_json(&home.result_file(id), result)?;
    let ended = Ended { code: result.outcome.code, at: result.ended, is_acknowledged: false };
    let dir = home.request_dir(id);
    std::fs::create_dir_all(&dir).map_err(HomeError::io("make directory", &dir))?;
    write_json(&dir.join("ended.json"), &ended)?;
    clean(&dir)
}

/// Removes what only a request under way needs.
fn clean(dir: &Path) -> Result<(), HomeError> {
    remove_file(&dir.join("journal.json"))?;
    remove_file(&dir.join("request.json"))?;
    let staged = dir.join("staged");
    match std::fs::remove_dir_all(&staged) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(HomeError::io("remove", &staged)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_id_with_anything_but_letters_digits_and_hyphens_is_refused() {
        assert!(is_request_id("20080102-VM01-1"));
        for id in ["", "a/b", "..", "a.b", "a b", "a\0", &"x".repeat(65)] {
            assert!(!is_request_id(id), "{id:?}");
        }
    }
}
