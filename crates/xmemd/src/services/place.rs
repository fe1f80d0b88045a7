//! PLACE (24): a file put into a slot that belongs to root.
//!
//! FACILITY `ZWES.IS.PLACE.<slot>` UPDATE, and the directory that `ZWES.PLACE.<slot>` names.

use std::os::fd::OwnedFd;

use tender_saf::AccessLevel;
use tender_worker::order::{Bytes, Outcome, Refusal, Work};
use tender_worker::place as order;
use tender_xmem::code::{CmsCode, PlaceCode};
use tender_xmem::frame::PAYLOAD_BYTES_MAX;
use tender_xmem::service::{Invalid, Parcel, Place, Placed, Request as _};

use crate::channel;
use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Step};
use crate::monitor::rights::CLASS;

pub(super) fn call(monitor: &mut Monitor, asked: Asking, payload: &[u8], file: Option<OwnedFd>) -> Step {
    let read;
    let payload = match &file {
        None => payload,
        Some(file) => match channel::read_memory_file(file, PAYLOAD_BYTES_MAX as u64) {
            Ok(content) => {
                read = content;
                &*read
            }
            Err(_) => return Answer::detail(PlaceCode::Missing),
        },
    };
    let parcel = match Parcel::<Place>::decode(payload) {
        Ok(parcel) => parcel,
        Err(error) => return Answer::not_taken::<Place>(&error.to_invalid(PlaceCode::Missing)),
    };
    let request = parcel.head;
    if let Err(invalid) = request.validate() {
        return Answer::not_taken::<Place>(&invalid);
    }
    let Some(subject) = monitor.subject(asked) else { return Answer::code(CmsCode::Error) };
    let resource = format!("ZWES.IS.PLACE.{}", request.slot);
    if let Err(step) = monitor.require(asked, &subject, (CLASS, &resource, AccessLevel::Update)) {
        return step;
    }
    let places = &monitor.settings().places;
    let root = places.iter().find(|(id, _)| *id == request.slot).and_then(|(_, roots)| roots.first());
    let Some(root) = root.cloned() else { return Answer::detail(PlaceCode::NoSlot) };
    let (content, fds) = if parcel.bytes.len() <= order::INLINE_BYTES_MAX {
        (order::Content::Inline(Bytes(parcel.bytes.to_vec())), Vec::new())
    } else {
        match channel::memory_file(parcel.bytes) {
            Ok(file) => (order::Content::Descriptor, vec![file]),
            Err(_) => return Answer::code(CmsCode::NoRoom),
        }
    };
    let path = root.join(&request.name).display().to_string();
    let action = order::Action::Put {
        content,
        digest: request.digest,
        mode: request.mode,
        uid: 0,
        gid: 0,
        replace: request.replaces.is_some(),
        expected: request.replaces.clone(),
    };
    Step::Work {
        work: Box::new(Work::Place(order::PlaceOrder { root, name: request.name.into(), action })),
        fds,
        then: Box::new(move |monitor, _, done| match done {
            None => Answer::code(CmsCode::ServiceEnded),
            Some((Outcome::Place(outcome), _)) => {
                let unchanged = outcome == order::PlaceOutcome::Unchanged;
                Answer::json(&Placed { path, unchanged })
            }
            Some((Outcome::Refused(Refusal::TimedOut), _)) => Answer::code(CmsCode::DeadlinePassed),
            Some((Outcome::Refused(refusal), _)) => {
                monitor.debug(|| format!("place: {refusal}"));
                refused(refusal)
            }
            Some(_) => Answer::detail(PlaceCode::NotWritten),
        }),
    }
}

/// Says why a file was not placed, and names what was in the way.
fn refused(refusal: Refusal) -> Step {
    let (code, field) = match &refusal {
        Refusal::Invalid { field, .. } if field == "digest" => (PlaceCode::Digest, "digest"),
        Refusal::Invalid { field, .. } if field == "mode" => (PlaceCode::Mode, "mode"),
        Refusal::NotAllowed { .. } => (PlaceCode::Way, "name"),
        Refusal::System { errno, .. } if *errno == libc::EEXIST => (PlaceCode::Changed, "replaces"),
        _ => (PlaceCode::NotWritten, "request"),
    };
    let reason = match refusal {
        Refusal::NotAllowed { what } => what,
        Refusal::Invalid { why, .. } => why,
        other => other.to_string(),
    };
    Answer::not_taken::<Place>(&Invalid::new(code, field, reason))
}
