//! A way in for fuzzers, to what nobody else should reach; it is there only when they are built.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::headers::{self, Seen, Way};
use crate::table::Table;
use crate::target;

/// Returns how a path begins that leads to a service, and its rest; nothing when it leads nowhere.
#[must_use]
pub fn found<'p>(table: &Table, path: &'p str) -> Option<(&'p str, &'p str)> {
    target::check(path).ok()?;
    let found = table.find(path).ok()?;
    Some((found.prefix, found.rest))
}

/// Makes the headers that a service gets of those that `client` sent.
pub fn to_service(headers: &mut HeaderMap, client: &HeaderValue, ignored: &[HeaderName]) {
    let way = Way {
        prefix: HeaderValue::from_static("/service/api/v1"),
        client,
        authority: None,
        is_tls: true,
        port: 7554,
        ignored,
        is_upgrade: false,
    };
    let seen = Seen::of(headers);
    headers::to_service(headers, seen, &way);
}

/// Takes from the headers of an answer what is not for the client.
pub fn to_client(headers: &mut HeaderMap) {
    headers::to_client(headers, true, false);
}
