//! Which form a client wants, by the rules of the Java server.

use std::time::Duration;

use tender_http::hyper::HeaderMap;
use tender_http::hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName, IF_NONE_MATCH};

use crate::discovery::snapshot::Form;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// JSON when `json` stands anywhere in what is accepted; XML for everything else, also for nothing.
pub(super) fn form(headers: &HeaderMap) -> Form {
    if has(headers, &ACCEPT, "json") { Form::Json } else { Form::Xml }
}

/// Compressed only when `gzip` is accepted by that word: some clients cannot undo it and say nothing.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|one| {
            let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
            let is_refused =
                weight.trim().strip_prefix("q=").is_some_and(|weight| weight.trim().parse() == Ok(0.0));
            coding.trim().eq_ignore_ascii_case("gzip") && !is_refused
        })
    })
}

/// Says whether the client has the document with this tag.
pub(super) fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim() == tag)
}

/// Returns for how long the client would wait for a document that it does not have: `Prefer: wait=SECONDS`, RFC 7240.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    const SECONDS_MAX: u64 = 60;
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';']));
    let seconds = preferences.find_map(|one| one.trim().strip_prefix("wait=")?.trim().parse::<u64>().ok())?;
    Some(Duration::from_secs(seconds.min(SECONDS_MAX)))
}

fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.into_iter().any(|value| value.to_ascii_lowercase().contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        let lines = lines.iter().cloned();
        lines.map(|(name, value)| (name, value.parse().unwrap())).collect()
    }

    #[test]
    fn form_is_json_only_for_who_asks_for_it() {
        for (accept, form_wanted) in [
            ("application/json", Form::Json),
            ("text/html, application/vnd.x+JSON;q=0.1", Form::Json),
            ("*/*", Form::Xml),
            ("application/xml", Form::Xml),
        ] {
            assert_eq!(form(&headers(&[(ACCEPT, accept)])), form_wanted, "{accept}");
        }
        assert_eq!(form(&headers(&[])), Form::Xml);
    }

    #[test]
    fn gzip_is_used_only_for_who_accepts_it() {
        for (accept, is_taken) in
            [("gzip, deflate", true), ("br;q=1.0, gzip;q=0.8", true), ("gzip;q=0", false), ("deflate", false)]
        {
            assert_eq!(takes_gzip(&headers(&[(ACCEPT_ENCODING, accept)])), is_taken, "{accept}");
        }
        assert!(!takes_gzip(&headers(&[])));
        let prefer = |value| wait(&headers(&[(PREFER, value)]));
        assert_eq!(prefer("respond-async, wait=5"), Some(Duration::from_secs(5)));
        assert_eq!(prefer("wait=999999"), Some(Duration::from_secs(60)));
        assert_eq!(prefer("wait=-1"), None);
        assert!(has_tag(&headers(&[(IF_NONE_MATCH, "\"a\", W/\"b\"")]), "W/\"b\""));
    }
}
