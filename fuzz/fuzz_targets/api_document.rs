//! Any API document is rewritten for the gateway or refused, never a crash, and leads to nobody else.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let routes = [("api/v1", "/a"), ("api/v2", "/a/b"), ("ui/v1", "/")];
    let routes = routes.map(|(gateway, service)| (gateway.to_owned(), service.to_owned()));
    match tender_catalog::made(text, "own", &routes, "https://gw") {
        Ok(made) => {
            assert!(made.base.starts_with("https://gw"), "{}", made.base);
            if let Some(servers) = made.document["servers"].as_array() {
                let is_openapi = made.document["openapi"].as_str().is_some_and(|version| version.starts_with('3'));
                assert!(!is_openapi || servers.len() == 1);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
