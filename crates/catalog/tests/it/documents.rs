//! API documents: from services as they should be, and from all others.

use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};
use tender_http::{ClientAuth, EventSink, Identity, Tls, TlsFiles, Transport};

use crate::world::{Reply, SAMPLE, Service, World, serve_over};

fn document() -> Value {
    json!({
        "openapi": "3.0.0", "info": { "title": "Sample", "version": "1", "description": "All of it" },
        "servers": [{ "url": "http://inner:1/sample/api" }],
        "paths": { "/pets": { "get": { "responses": {} } }, "/admin": { "get": { "tags": ["apimlHidden"] } } },
    })
}

/// Defines the sample with another address of its document.
async fn with_address(address: &str) -> World {
    let usual = "http://localhost:SERVICE/sample/docs";
    World::new(&SAMPLE.replace(usual, address)).await
}

#[tokio::test]
async fn document_leads_to_the_gateway_and_is_asked_for_once() {
    let world = World::new(SAMPLE).await;
    world.service.set("/sample/docs", Reply::json(document().to_string()));
    for path in ["/apidoc/sample", "/apidoc/sample/org.sample%20v1.0.0", "/apidoc/sample/v1"] {
        let found = world.get(path).await;
        let found = found.is(200, "").json();
        let base = format!("http://localhost:{}/sample/api/v1", world.gateway_at.port);
        assert_eq!(found["servers"], json!([{ "url": base }]));
        assert_eq!(found["paths"], json!({ "/pets": { "get": { "responses": {} } } }));
        assert_eq!(found["externalDocs"]["url"], "https://docs.example.com/");
    }
    let tile = world.get("/containers/samples").await.is(200, "").json();
    let inside: Value = serde_json::from_str(tile[0]["services"][0]["apiDoc"].as_str().unwrap()).unwrap();
    assert_eq!(inside["info"]["title"], "Sample");
    let asked = || world.service.asked().iter().filter(|path| *path == "/sample/docs").count();
    assert_eq!(asked(), 1);
    let new = ["-u", "user:user", "-H", "Cache-Control: no-cache"];
    world.direct("/apicatalog/apidoc/sample", &new).await.is(200, "age: 0");
    assert_eq!(asked(), 2);
    world.get("/apidoc/sample/org.other%20v1.0.0").await.is(404, "`org.sample v1.0.0`").is(404, "ZWEAC103E");
    world.get("/apidoc/nobody").await.is(404, "ZWEAC706E");
    // The catalog describes itself, and through the gateway like any other.
    world.get("/apidoc/apicatalog").await.is(200, "/apicatalog/api/v1").is(200, "static-api");
}

#[tokio::test]
async fn document_that_was_good_stays_in_use_and_says_why_it_is_old() {
    let world = World::new(SAMPLE).await;
    world.service.set("/sample/docs", Reply::json(document().to_string()));
    world.get("/apidoc/sample").await.is(200, "");
    let redirect = Reply { headers: vec![("location", "/\"log\\in".to_owned())], ..Reply::status(302) };
    world.service.set("/sample/docs", redirect);
    let new = ["-u", "user:user", "-H", "Cache-Control: no-cache"];
    let old = world.direct("/apicatalog/apidoc/sample", &new).await;
    let warning = old.is(200, "").header("warning").unwrap();
    assert!(warning.starts_with("111 ") && warning.contains("302 Found to `/'log'in`"), "{warning}");
}

#[tokio::test]
async fn what_is_no_document_is_told_with_what_is_wrong() {
    let world = World::new(SAMPLE).await;
    let huge = [b"{\"a\":\"".to_vec(), vec![b'x'; 9 << 20], b"\"}".to_vec()].concat();
    let redirect = Reply {
        status: 302,
        headers: vec![("location", "http://169.254.169.254/latest".to_owned())],
        body: Vec::new(),
    };
    let new = ["-u", "user:user", "-H", "Cache-Control: no-cache"];
    for (reply, status, words) in [
        (Reply::status(404), 404, "answers 404 Not Found"),
        (Reply::status(401), 404, "answers 401 Unauthorized"),
        (redirect, 404, "redirects are not followed"),
        (Reply::json("{\n\"openapi\": }"), 502, "expected value at line 2 column 12"),
        (Reply::json("<html>log in</html>"), 502, "HTML page"),
        (Reply::json(""), 502, "it is empty"),
        (Reply::json("[]"), 502, "it is a list"),
        (Reply::json("{}"), 502, "it says no version"),
        (Reply::json("[".repeat(100_000)), 502, "recursion limit"),
        (Reply::json(huge), 502, "more than 8388608 bytes"),
    ] {
        world.service.set("/sample/docs", reply);
        let answer = world.direct("/apicatalog/apidoc/sample", &new).await;
        let address = format!("http://localhost:{}/sample/docs", world.service_at.port);
        answer.is(status, words).is(status, &address).is(status, "`sample`");
    }
    let tile = world.get("/containers/samples").await.is(200, "").json();
    let service = &tile[0]["services"][0];
    assert!(service["apiDoc"].is_null());
    assert!(service["apiDocErrorMessage"].as_str().unwrap().contains("8388608"), "{service}");
}

#[tokio::test]
async fn address_that_leads_elsewhere_is_not_asked() {
    let elsewhere = Service::default();
    let other = crate::world::serve(elsewhere.clone());
    for (address, words) in [
        (format!("http://localhost:{}/docs", other.port), "the service is registered at localhost:"),
        (format!("http://127.0.0.1:{}/docs", other.port), "documents are read there alone"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "no address of a service"),
        ("file:///etc/passwd".to_owned(), "no http or https address"),
        ("http://localhost:SERVICE@evil.example.com/docs".to_owned(), "no http or https address"),
    ] {
        let world = with_address(&address).await;
        world.get("/apidoc/sample").await.is(404, words).is(404, "ZWEAC103E");
        assert_eq!(world.service.asked(), Vec::<String>::new());
    }
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn service_without_a_document_has_one_with_links_and_one_that_is_down_says_so() {
    let none = SAMPLE.replace("        swaggerUrl: http://localhost:SERVICE/sample/docs\n", "");
    let world = World::new(&none).await;
    let found = world.get("/apidoc/sample").await.is(200, "x-tender-substitute").json();
    let text = found["info"]["description"].as_str().unwrap();
    assert!(text.contains("[Home page](http://localhost:") && text.contains("For trials"), "{text}");
    let mut world = World::new(SAMPLE).await;
    let gone = crate::world::serve(Service::default());
    world.service_at = gone;
    let answer = world.get("/apidoc/sample").await;
    answer.is(502, "ZWEAC105W").is(502, "Connection refused");
}

#[tokio::test]
async fn certificate_that_is_not_trusted_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["elsewhere.example.com".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "payroll of the test");
    let certificate = params.self_signed(&key).unwrap();
    let (key_file, certificate_file) = (directory.path().join("key"), directory.path().join("crt"));
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    let events: EventSink = std::sync::Arc::new(|_| {});
    let files = TlsFiles {
        identity: Identity::Pem { key: key_file, certificate: certificate_file },
        trust: Vec::new(),
        client_auth: ClientAuth::None,
    };
    let service = serve_over(Transport::Tls(Tls::load(files, &events).unwrap()), Service::default());
    let text = SAMPLE.replace("http://localhost:SERVICE", &format!("https://localhost:{}", service.port));
    let world = World::new(&text).await;
    let answer = world.get("/apidoc/sample").await;
    answer
        .is(502, "ZWEAC105W")
        .is(502, "payroll of the test")
        .is(502, "not for localhost")
        .is(502, "valid until");
    let plain = World::new(&SAMPLE.replace("http://localhost:SERVICE", "https://localhost:SERVICE")).await;
    plain.get("/apidoc/sample").await.is(502, "does a TLS server listen there?");
}
