//! The way of a request through the gateway: a path, and headers line by line.
//!
//! What is found is what was asked for, no step leads elsewhere, and no header that belongs to a connection or to the gateway
//! gets through, whatever a client says.

#![no_main]

use std::sync::LazyLock;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tender_gateway::{Table, fuzzing, read};

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let document = r#"{"applications":{"application":[{"name":"SAMPLE","instance":[{"instanceId":"h:sample:1","app":"SAMPLE",
        "hostName":"h","status":"UP","port":{"$":1,"@enabled":"true"},"metadata":{
        "apiml.routes.a.gatewayUrl":"api/v1","apiml.routes.a.serviceUrl":"/own",
        "apiml.routes.u.gatewayUrl":"ui/v1","apiml.routes.u.serviceUrl":"/pages",
        "apiml.routes.n.gatewayUrl":"","apiml.routes.n.serviceUrl":"/"}}]}]}}"#;
    Table::new(read(document.as_bytes()).expect("the document is a registry"))
});

const NEVER: [&str; 14] = [
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "proxy-authorization",
    "proxy-connection",
    "client-cert",
    "forwarded",
    "host",
    "x-certificate-distinguishedname",
    "x-zowe-auth-failure",
];

fn route(path: &str) {
    let Some((prefix, rest)) = fuzzing::found(&TABLE, path) else { return };
    assert_eq!(format!("{prefix}{rest}"), path);
    assert!(rest.is_empty() || rest.starts_with('/'));
    assert!(prefix.to_ascii_lowercase().contains("sample"));
    let plain = rest.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    assert!(!plain.split(['/', '\\', ';']).any(|step| step == "." || step == ".."), "{path}");
    assert!(rest.bytes().all(|byte| !byte.is_ascii_control()));
}

fn headers(lines: &str) {
    let mut sent = HeaderMap::new();
    for line in lines.lines().take(64) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value.trim())) {
            sent.append(name, value);
        }
    }
    let client = HeaderValue::from_static("192.0.2.9");
    let named: Vec<_> = sent
        .get_all("connection")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        // `close` is an option of the connection, and no header.
        .filter(|name| *name != "close" && !name.as_str().starts_with("x-forwarded-"))
        .collect();
    let mut got = sent.clone();
    fuzzing::to_service(&mut got, &client, &[HeaderName::from_static("x-unwanted")]);
    for name in NEVER.iter().copied().chain(named.iter().map(HeaderName::as_str)).chain(["x-unwanted"]) {
        assert!(!got.contains_key(name), "{name} of {lines:?}");
    }
    let list: Vec<_> = got.get_all("x-forwarded-for").iter().collect();
    assert!(list.len() == 1 && list[0].as_bytes().ends_with(client.as_bytes()));
    assert_eq!(got.get_all("x-forwarded-prefix").iter().count(), 1);
    let mut answer = sent;
    fuzzing::to_client(&mut answer);
    for name in &NEVER[..8] {
        assert!(!answer.contains_key(*name), "{name} of an answer");
    }
    assert!(answer.contains_key("x-frame-options"));
}

fuzz_target!(|text: &str| {
    let (path, lines) = text.split_once('\n').unwrap_or((text, ""));
    route(path);
    headers(lines);
});
