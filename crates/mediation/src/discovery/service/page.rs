//! A page for people: who is there, and how.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use tender_http::hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS};

use super::Discovery;
use super::answer::{self, Answer};
use super::cluster::Shared;
use crate::discovery::registry::Kept;
use crate::discovery::{Entry, Instance};

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Discovery service</title>\n\
                    <style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}\
                    th,td{border:1px solid #888;padding:.3em .6em;text-align:left}</style>\n</head>\n<body>\n\
                    <h1>Discovery service</h1>\n";

/// About what an instance takes of the page.
const ROW_BYTES: usize = 256;

impl Discovery {
    /// Writes the page.
    pub(super) async fn page(&self) -> Answer {
        let state = &self.0.state;
        let now_ms = state.clock.now_ms();
        let (instances, is_preserving) = {
            let mut registry = state.registry();
            let is_here = |entry: &Entry| entry.kept() != Kept::Elsewhere;
            let listed = registry.entries().map(|entry| (Arc::clone(&entry.instance), is_here(entry)));
            (listed.collect::<Vec<_>>(), registry.is_preserving(now_ms))
        };
        let bytes = instances.len() * ROW_BYTES;
        let shared = self.shared();
        let page = state.made(bytes, move || written(&instances, shared, is_preserving, now_ms)).await;
        let mut answer = answer::body("text/html; charset=utf-8", page.into_bytes());
        let headers = answer.headers_mut();
        let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer
    }
}

/// Writes it of instances, each with whether it is heard of here.
fn written(
    instances: &[(Arc<Instance>, bool)],
    shared: Option<Shared>,
    is_preserving: bool,
    now_ms: u64,
) -> String {
    let mut out = HEAD.to_owned();
    let mut add = |text: fmt::Arguments<'_>| out.write_fmt(text).expect("writing to a string cannot fail");
    let heartbeats =
        if is_preserving { "fewer heartbeats than expected arrive" } else { "heartbeats arrive as expected" };
    add(format_args!("<p>{} instances; {heartbeats}.</p>\n", instances.len()));
    match shared {
        Some(shared) if shared.is_reached() => {
            add(format_args!("<p>The registry is shared through etcd.</p>\n"));
        }
        Some(shared) => add(format_args!(
            "<p>etcd, through which the registry is shared, does not answer: what others registered is {} s old.</p>\n",
            shared.age_s()
        )),
        None => {}
    }
    add(format_args!("<table>\n<thead><tr>"));
    for head in ["Service", "Instance", "Status", "Address", "Last heartbeat"] {
        add(format_args!("<th scope=\"col\">{head}</th>"));
    }
    add(format_args!("</tr></thead>\n<tbody>\n"));
    for (instance, is_here) in instances {
        let port = if instance.secure_port.is_enabled { instance.secure_port } else { instance.port };
        let heard = match is_here {
            true => format!("{} s ago", now_ms.saturating_sub(instance.lease.renewed_ms) / 1000),
            false => "elsewhere".to_owned(),
        };
        add(format_args!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}:{}</td><td>{heard}</td></tr>\n",
            Escaped(&instance.app),
            Escaped(&instance.id),
            instance.status.name(),
            Escaped(&instance.host),
            port.number,
        ));
    }
    add(format_args!("</tbody>\n</table>\n</body>\n</html>\n"));
    out
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quick_xml::escape::escape(self.0))
    }
}
