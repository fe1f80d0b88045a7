//! Files of our pages, and the headers by which browsers hold everything to what it is.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};
use tender_http::{Bytes, ResponseBody};

/// What pages may do: their own scripts and styles, their own server, and nothing written into the page itself.
pub(crate) const PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

/// A file of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset {
    pub(crate) name: &'static str,
    pub(crate) content: &'static [u8],
}

/// Names files below `web/` and takes them into the program.
macro_rules! assets {
    ($($name:literal from $path:literal),+ $(,)?) => {
        &[$(crate::page::Asset { name: $name, content: include_bytes!(concat!("web/", $path)) }),+]
    };
}
pub(crate) use assets;

impl Asset {
    /// Answers with the file, or that the browser has it.
    pub(crate) fn answer(&self, asked: &HeaderMap, policy: &str) -> Response<ResponseBody> {
        let mut hasher = DefaultHasher::new();
        self.content.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        let body = Bytes::from_static(self.content);
        guarded(tagged(asked, &tag, content_type(self.name), body), policy)
    }
}

/// Answers with a document, or that the client has it already.
pub(crate) fn tagged(
    asked: &HeaderMap,
    tag: &str,
    content_type: &'static str,
    body: Bytes,
) -> Response<ResponseBody> {
    let is_known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|line| {
        line.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    });
    let mut answer = Response::new(if is_known { ResponseBody::Empty } else { ResponseBody::from(body) });
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Kept, and asked for again each time: an upgrade counts at once.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
    answer
}

/// Adds what every answer says: it is nothing else than it says it is, and framed by ourselves alone.
pub(crate) fn guarded(mut answer: Response<ResponseBody>, policy: &str) -> Response<ResponseBody> {
    let policy = HeaderValue::from_str(policy).expect("a policy is made of letters and punctuation");
    answer.headers_mut().entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    let said: [(HeaderName, &'static str); 3] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "SAMEORIGIN"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in said {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// Returns the content type of a file by its name.
pub(crate) fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("woff") => "font/woff",
        Some("wasm") => "application/wasm",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
