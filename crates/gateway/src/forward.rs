//! One instance after the other until one answers, as long as that repeats nothing.
//!
//! ```text
//!                 ┌── cannot be reached: nothing was sent, whatever the method ──────────┐
//!   instance ─────┤                                                                      ├──► next instance
//!                 ├── 503, or broke off, and the method only reads ──────────────────────┘
//!                 ├── broke off, and the method changes something ──► told: it may have been done
//!                 └── answer ──► client
//! ```

use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};

use crate::candidates::Candidates;
use crate::table::End;
use crate::upstream::{SharedBody, Unanswered, Upstream};

/// Tries of one request at most.
const TRIES_MAX: usize = 6;

/// A request as every instance gets it.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: SharedBody,
    /// What follows the instance's own path, with the query.
    pub(crate) rest: String,
    /// How long the head of an answer may take, when the service says so.
    pub(crate) timeout: Option<Duration>,
}

/// Why no instance answered.
#[derive(Debug, thiserror::Error)]
#[error("ask instance {instance}")]
pub(crate) struct Failed {
    pub(crate) instance: String,
    #[source]
    pub(crate) why: Unanswered,
}

/// Sends a request to the first instance that answers; `ends` has at least one.
pub(crate) async fn send(
    upstream: &Upstream,
    candidates: &Candidates,
    ends: &[End],
    outgoing: &Outgoing,
) -> Result<(Response<Incoming>, End), Failed> {
    let only_reads = matches!(outgoing.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    let tries = ends.len().min(TRIES_MAX);
    let mut number = 0;
    loop {
        let end = &ends[number];
        let is_last = number + 1 >= tries;
        let id = &end.instance.id;
        let outcome = match request(end, outgoing) {
            Ok(request) => upstream.send(request, outgoing.timeout).await,
            Err(error) => Err(Unanswered::Address(error)),
        };
        match outcome {
            Ok(answer) => {
                candidates.answers(id);
                let is_busy = answer.status() == StatusCode::SERVICE_UNAVAILABLE;
                if is_last || !(is_busy && only_reads && outgoing.body.is_whole()) {
                    return Ok((answer, end.clone()));
                }
            }
            Err(why) => {
                if !matches!(why, Unanswered::Body(_) | Unanswered::Late(_)) {
                    candidates.unreachable(id, Instant::now());
                }
                let was_sent = match &why {
                    Unanswered::Unreachable(_) | Unanswered::Tls(_) | Unanswered::Address(_) => false,
                    Unanswered::Broken(_) => !only_reads,
                    Unanswered::Body(_) | Unanswered::Late(_) => true,
                };
                if is_last || was_sent || !outgoing.body.is_whole() {
                    return Err(Failed { instance: id.clone(), why });
                }
            }
        }
        number += 1;
    }
}

fn request(end: &End, outgoing: &Outgoing) -> Result<Request<SharedBody>, hyper::http::Error> {
    let scheme = if end.instance.is_secure { "https" } else { "http" };
    let host = if end.instance.host.contains(':') && !end.instance.host.starts_with('[') {
        format!("[{}]", end.instance.host)
    } else {
        end.instance.host.clone()
    };
    let path = format!("{}{}", end.path, outgoing.rest);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let uri: Uri = format!("{scheme}://{host}:{}{slash}{path}", end.instance.port).parse()?;
    let mut request = Request::builder().method(outgoing.method.clone()).uri(uri).version(Version::HTTP_11);
    if let Some(headers) = request.headers_mut() {
        headers.clone_from(&outgoing.headers);
    }
    request.body(outgoing.body.clone())
}
