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

use hyper::header::{HOST, HeaderMap};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri};
use tender_http::ResponseBody;

use crate::candidates::Candidates;
use crate::table::End;
use crate::upstream::{SharedBody, Unanswered, Upstream};

/// Tries of one request at most.
const TRIES_MAX: usize = 6;

/// A request as every instance gets it.
#[derive(Debug)]
pub(crate) struct Outgoing<'r> {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: SharedBody,
    /// What follows the instance's own path, with the query.
    pub(crate) rest: &'r str,
    /// How long the head of an answer may take, when the service says so.
    pub(crate) timeout: Option<Duration>,
    /// The number of the thread that asks.
    pub(crate) worker: usize,
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
pub(crate) async fn send<'e>(
    upstream: &Upstream,
    candidates: &Candidates,
    ends: &[&'e End],
    outgoing: &mut Outgoing<'_>,
) -> Result<(Response<ResponseBody>, &'e End), Failed> {
    let only_reads = matches!(outgoing.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    let tries = ends.len().min(TRIES_MAX);
    let mut number = 0;
    loop {
        let end = ends[number];
        let is_last = number + 1 >= tries;
        let id = &end.instance.id;
        let outcome = match request(end, outgoing, is_last) {
            Ok(request) => upstream.send(end, request, outgoing.timeout, outgoing.worker).await,
            Err(error) => Err(Unanswered::Address(error)),
        };
        match outcome {
            Ok(answer) => {
                candidates.answers(id);
                let is_busy = answer.status() == StatusCode::SERVICE_UNAVAILABLE;
                if is_last || !(is_busy && only_reads && outgoing.body.is_whole()) {
                    return Ok((answer, end));
                }
            }
            Err(why) => {
                if !matches!(why, Unanswered::Body(_)) {
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

/// Makes the request for an end; the headers go with it when no other end will need them.
fn request(
    end: &End,
    outgoing: &mut Outgoing<'_>,
    is_last: bool,
) -> Result<Request<SharedBody>, hyper::http::Error> {
    let slash = if end.path.starts_with('/') || outgoing.rest.starts_with('/') { "" } else { "/" };
    let parts = [slash, &end.path, outgoing.rest];
    let mut target = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    target.extend(parts);
    let mut request = Request::new(outgoing.body.clone());
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() = Uri::from(PathAndQuery::try_from(target)?);
    let mut headers = if is_last { std::mem::take(&mut outgoing.headers) } else { outgoing.headers.clone() };
    if let Some(host) = &end.host {
        headers.insert(HOST, host.clone());
    }
    *request.headers_mut() = headers;
    Ok(request)
}
