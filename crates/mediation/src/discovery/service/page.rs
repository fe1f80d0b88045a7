//! A page for people: who is there, and how.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use tender_http::hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS};

use super::Discovery;
use super::answer::{self, Answer};
use crate::discovery::Instance;

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
            (registry.all().cloned().collect::<Vec<_>>(), registry.is_preserving(now_ms))
        };
        let bytes = instances.len() * ROW_BYTES;
        let page = state.made(bytes, move || written(&instances, is_preserving, now_ms)).await;
        let mut answer = answer::body("text/html; charset=utf-8", page.into_bytes());
        let headers = answer.headers_mut();
        let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer
    }
}

fn written(instances: &[Arc<Instance>], is_preserving: bool, now_ms: u64) -> String {
    let mut out = HEAD.to_owned();
    let mut add = |text: fmt::Arguments<'_>| out.write_fmt(text).expect("writing to a string cannot fail");
    let heartbeats =
        if is_preserving { "fewer heartbeats than expected arrive" } else { "heartbeats arrive as expected" };
    add(format_args!("<p>{} instances; {heartbeats}.</p>\n<table>\n<thead><tr>", instances.len()));
    for head in ["Service", "Instance", "Status", "Address", "Last heartbeat"] {
        add(format_args!("<th scope=\"col\">{head}</th>"));
    }
    add(format_args!("</tr></thead>\n<tbody>\n"));
    for instance in instances {
        let port = if instance.secure_port.is_enabled { instance.secure_port } else { instance.port };
        add(format_args!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}:{}</td><td>{} s ago</td></tr>\n",
            Escaped(&instance.app),
            Escaped(&instance.id),
            instance.status.name(),
            Escaped(&instance.host),
            port.number,
            now_ms.saturating_sub(instance.lease.renewed_ms) / 1000,
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
