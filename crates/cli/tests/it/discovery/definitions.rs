//! Static definitions in a service that runs.

use std::fs;

use super::server::Server;
use crate::world::wait_until;

fn definition(id: &str, port: u16) -> String {
    format!(
        "services:\n  - serviceId: {id}\n    title: Title of {id}\n    instanceBaseUrls:\n      - http://127.0.0.1:{port}/base\n    \
         routes:\n      - gatewayUrl: api/v1\n        serviceRelativeUrl: /api\n"
    )
}

#[test]
fn definitions_come_and_go_with_their_files_and_a_bad_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["a", "b"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("a/one.yml"), definition("one", 8001)).unwrap();
    let list = format!("{};{}", at("a").display(), at("b").display());
    let server = Server::plain(&["--definitions", &list]);
    assert_eq!(
        server.status_of("STATIC-127.0.0.1:one:8001").as_deref(),
        Some("UP"),
        "from the first request on"
    );

    fs::write(at("b/two.yml"), definition("two", 8002)).unwrap();
    fs::write(at("b/bad.yml"), definition("bad", 8003).replace("title:", "titel:")).unwrap();
    wait_until("the second definition", || server.status_of("STATIC-127.0.0.1:two:8002").is_some());
    let said = server.await_line("ZWEAD702W");
    assert!(said.contains("b/bad.yml:3:5: error") && said.contains("`titel` is not known"), "{said}");
    let instance = &server.json("/eureka/apps/two")["application"]["instance"][0];
    assert_eq!(instance["metadata"]["apiml.routes.api-v1.serviceUrl"], "/base/api");

    // A file that has become wrong leaves in use what it said; one that has gone does not, also not one that nobody reads.
    let (good, bad) = (definition("two", 8002), "services: [");
    fs::write(at("b/two.yml"), bad).unwrap();
    server.await_line("b/two.yml` said before stays in use: 1 instances");
    assert!(server.status_of("STATIC-127.0.0.1:two:8002").is_some());
    fs::write(at("b/two.yml"), good).unwrap();
    fs::remove_file(at("a/one.yml")).unwrap();
    fs::rename(at("b/bad.yml"), at("b/bad.yaml")).unwrap();
    let read = server.ask("/discovery/api/v1/staticApi", &["-X", "POST"]).is(200).json();
    assert_eq!(read["errors"], serde_json::json!([]), "{read}");
    assert_eq!(read["registeredServices"], serde_json::json!(["two"]));
    assert_eq!(server.status_of("STATIC-127.0.0.1:one:8001"), None, "gone with its file, at once");
    let listed = server.ask("/discovery/api/v1/staticApi", &[]).is(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["instanceId"], "STATIC-127.0.0.1:two:8002");
}

#[test]
fn additional_metadata_is_added_to_what_services_say_of_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let text = "additionalServiceMetadata:\n  - serviceId: svc\n    title: Added\n    customMetadata: { more: { a: 1 } }\n";
    fs::write(directory.path().join("a.yml"), text).unwrap();
    let server = Server::plain(&["--definitions", &directory.path().display().to_string()]);
    server
        .register("svc", "h:svc:1", r#","metadata":{"version":"2.0.0","apiml.service.title":"Own"}"#)
        .is(204);
    let metadata = &server.json("/eureka/instances/h:svc:1")["instance"]["metadata"];
    assert_eq!(metadata["apiml.service.title"], "Own");
    assert_eq!(metadata["more.a"], "1");
}
