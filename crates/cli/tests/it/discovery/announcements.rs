//! Announcements as clients write them, and those that are not taken.

use super::server::Server;

const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<instance>
  <app>sampleservice</app>
  <instanceId>localhost:sampleservice:10080</instanceId>
  <hostName>localhost</hostName>
  <ipAddr>127.0.0.1</ipAddr>
  <port>10080</port>
  <securePort enabled="true">10443</securePort>
  <vipAddress>sampleservice</vipAddress>
  <status>UP</status>
  <dataCenterInfo><name>MyOwn</name></dataCenterInfo>
  <metadata>
    <apiml.routes.api__v1.gatewayUrl>api/v1</apiml.routes.api__v1.gatewayUrl>
    <apiml.service.title>Sample &amp; more</apiml.service.title>
    <version>2.0.0</version>
  </metadata>
</instance>"#;

#[test]
fn xml_registration_keeps_keys_with_underscores() {
    let server = Server::tls(&[]);
    let post = ["-H", "Content-Type: application/xml", "--data-binary", XML];
    assert_eq!(server.ask("/eureka/apps/sampleservice", &post).is(204).body, b"");
    let path = "/eureka/apps/sampleservice/localhost:sampleservice:10080";
    server.ask(path, &["-X", "PUT"]).is(200);
    let xml = server.ask(path, &[]).is(200);
    for part in [
        "<apiml.routes.api__v1.gatewayUrl>api/v1</apiml.routes.api__v1.gatewayUrl>",
        "<apiml.service.title>Sample &amp; more</apiml.service.title>",
        "<securePort enabled=\"true\">10443</securePort>",
        "<dataCenterInfo class=\"com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo\"><name>MyOwn</name>",
        "<overriddenstatus>UNKNOWN</overriddenstatus>",
    ] {
        assert!(xml.text().contains(part), "{part}: {}", xml.text());
    }
    let metadata = &server.json(path)["instance"]["metadata"];
    assert_eq!(metadata["apiml.routes.api_v1.gatewayUrl"], "api/v1");
    assert_eq!(metadata["apiml.service.title"], "Sample & more");
    server.ask(path, &["-X", "DELETE"]).is(200);
}

#[test]
fn announcement_may_be_chunked_compressed_or_without_a_content_type() {
    let server = Server::plain(&[]);
    let post = ["-H", "Content-Type: text/xml", "-H", "Transfer-Encoding: chunked", "--data-binary", XML];
    server.ask("/eureka/apps/SampleService", &post).is(204);
    server.ask("/eureka/apps/SAMPLESERVICE/", &["-H", "Content-Type:", "--data-binary", XML]).is(204);
    let file = server.path().join("body");
    std::fs::write(&file, XML).unwrap();
    assert!(std::process::Command::new("gzip").arg(&file).status().unwrap().success());
    let packed = format!("@{}", server.path().join("body.gz").display());
    let post =
        ["-H", "Content-Type: application/xml", "-H", "Content-Encoding: gzip", "--data-binary", &packed];
    server.ask("/eureka/apps/sampleservice", &post).is(204);
    assert_eq!(server.count("registrations_total"), 3);
}

#[test]
fn first_format_of_metadata_is_translated() {
    let server = Server::plain(&[]);
    let old = r#","metadata":{"routed-services.api_v1.gateway-url":"api/v1","mfaas.discovery.enableApiDoc":"true"}"#;
    server.register("old", "h:old:1", old).is(204);
    let metadata = &server.json("/eureka/instances/h:old:1")["instance"]["metadata"];
    assert_eq!(*metadata, serde_json::json!({ "apiml.routes.api_v1.gatewayUrl": "api/v1" }));
}

#[test]
fn announcement_that_is_not_taken_says_why_and_changes_nothing() {
    let server = Server::plain(&[]);
    let json = |body: &str| {
        server.ask("/eureka/apps/svc", &["-H", "Content-Type: application/json", "--data-binary", body])
    };
    let whole = r#"{"instance":{"app":"svc","hostName":"h","ipAddr":"1","dataCenterInfo":{"name":"MyOwn"}}}"#;
    for (body, reason) in [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[]", "no `instance`"),
        (&*whole.replace(r#""hostName":"h","#, ""), "`hostName` of the instance is missing"),
        (&*whole.replace(r#""app":"svc""#, r#""app":"other""#), "the path is of `svc`, the body of `OTHER`"),
        (&*whole.replace(r#","dataCenterInfo":{"name":"MyOwn"}"#, ""), "`dataCenterInfo`"),
        (&*whole.replace(r#""hostName":"h""#, r#""hostName":"h\nInjected: line""#), "control characters"),
        (&*whole.replace("\"h\"", &format!("\"{}\"", "h".repeat(2000))), "more than 1024 bytes"),
    ] {
        json(body).is(400).says(reason);
    }
    let post = ["-H", "Content-Type: text/plain", "--data-binary", whole];
    server.ask("/eureka/apps/svc", &post).is(415).says("application/xml are taken");
    let post = ["-H", "Content-Type: application/json", "-H", "Content-Encoding: br", "--data-binary", whole];
    server.ask("/eureka/apps/svc", &post).is(415).says("gzip and identity");
    server.ask("/eureka/apps/svc", &["-X", "PATCH"]).is(405).says("ZWEAO405E");
    server.ask("/apps", &[]).is(404).says("ZWEAM104E");
    assert_eq!(server.json("/eureka/apps")["applications"]["apps__hashcode"], "UP_1_", "only itself");
    json(whole).is(204);
    assert_eq!(server.status_of("h").as_deref(), Some("UP"), "the host name is the id when there is none");
}

#[test]
fn batch_of_another_server_is_taken_item_by_item() {
    let server = Server::plain(&[]);
    let instance = |dirty: u64| {
        serde_json::json!({
            "instanceId": "h:far:1", "app": "FAR", "hostName": "h", "ipAddr": "10.0.0.1", "status": "UP",
            "port": { "$": 1, "@enabled": "true" }, "dataCenterInfo": { "name": "MyOwn" },
            "lastDirtyTimestamp": dirty.to_string(),
        })
    };
    let item = |action: &str, more: serde_json::Value| {
        let mut item = serde_json::json!({ "appName": "FAR", "id": "h:far:1", "action": action });
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    let batch = serde_json::json!({ "replicationList": [
        item("Heartbeat", serde_json::json!({ "lastDirtyTimestamp": 100 })),
        item("Register", serde_json::json!({ "instanceInfo": instance(100) })),
        item("Heartbeat", serde_json::json!({ "lastDirtyTimestamp": 100 })),
        item("Heartbeat", serde_json::json!({ "lastDirtyTimestamp": 99 })),
        item("Heartbeat", serde_json::json!({ "lastDirtyTimestamp": 101, "instanceInfo": instance(101) })),
        item("StatusUpdate", serde_json::json!({ "status": "OUT_OF_SERVICE" })),
        item("DeleteStatusOverride", serde_json::json!({ "status": "UP" })),
        item("Register", serde_json::json!({ "instanceInfo": { "app": "OTHER" } })),
        item("Explode", serde_json::json!({})),
        serde_json::json!(3),
    ] });
    let post = ["-H", "Content-Type: application/json", "--data-binary", &batch.to_string()];
    let answer = server.ask("/eureka/peerreplication/batch/", &post).is(200).json();
    let answers = answer["responseList"].as_array().unwrap();
    let codes: Vec<_> = answers.iter().map(|one| one["statusCode"].as_u64().unwrap()).collect();
    assert_eq!(codes, [404, 200, 200, 409, 200, 200, 200, 400, 400, 400]);
    assert_eq!(answers[3]["responseEntity"]["lastDirtyTimestamp"], "100");
    assert_eq!(server.status_of("h:far:1").as_deref(), Some("UP"));
    let batch = serde_json::json!({ "replicationList": [item("Cancel", serde_json::json!({}))] });
    server.ask("/eureka/v2/peerreplication/batch", &["--data-binary", &batch.to_string()]).is(200);
    assert_eq!(server.status_of("h:far:1"), None);
    server.ask("/eureka/peerreplication/batch", &["--data-binary", "[]"]).is(400).says("replicationList");
    let many = serde_json::json!({ "replicationList": vec![0; 1001] }).to_string();
    let file = server.path().join("many");
    std::fs::write(&file, many).unwrap();
    let many = format!("@{}", file.display());
    server.ask("/eureka/peerreplication/batch", &["--data-binary", &many]).is(400).says("at most 1000 items");
}
