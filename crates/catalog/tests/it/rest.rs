//! What clients of the reference ask for, through the gateway and without it.

use std::fmt::Write as _;

use serde_json::json;

use crate::world::{LogIn, SAMPLE, World, curl};

#[tokio::test]
async fn tiles_and_services_are_as_the_reference_has_them() {
    let world = World::new(SAMPLE).await;
    let tiles = world.get("/containers").await;
    let tiles = tiles.is(200, "application/json").json();
    let ids: Vec<_> = tiles.as_array().unwrap().iter().map(|tile| tile["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["mediation", "samples"]);
    let (gateway, service) = (world.gateway_at.port, world.service_at.port);
    let mut tile = tiles[1].clone();
    assert!(tile["createdTimestamp"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(tile["createdTimestamp"], tile["lastUpdatedTimestamp"]);
    for time in ["createdTimestamp", "lastUpdatedTimestamp"] {
        tile.as_object_mut().unwrap().remove(time);
    }
    let expected = json!({
        "version": "1.0.0", "id": "samples", "title": "Samples", "status": "UP", "description": "Services for trials",
        "services": [{
            "serviceId": "sample", "title": "Sample", "description": "For trials", "status": "UP", "secured": false,
            "baseUrl": format!("http://localhost:{service}"),
            "homePageUrl": format!("http://localhost:{gateway}/sample/ui/v1/home"), "basePath": "/sample/api/v1",
            "apiDoc": null, "defaultApiVersion": "org.sample v1.0.0", "apiVersions": ["org.sample v1.0.0"],
            "sso": false, "ssoAllInstances": false, "apiId": { "v1": "org.sample" },
            "apis": { "org.sample v1.0.0": {
                "apiId": "org.sample", "gatewayUrl": "api/v1", "version": "1.0.0",
                "swaggerUrl": format!("http://localhost:{service}/sample/docs"), "graphqlUrl": null,
                "documentationUrl": "https://docs.example.com/", "defaultApi": false, "codeSnippet": [],
            } },
            "instances": [format!("STATIC-localhost:sample:{service}")],
        }],
        "totalServices": 1, "activeServices": 1, "sso": false, "hideServiceInfo": false, "customStyleConfig": null,
    });
    assert_eq!(tile, expected);
    assert_eq!(world.get("/containers/nobody").await.is(200, "").json(), json!([]));
    let details = world.get("/services/SAMPLE").await.is(200, "").json();
    assert_eq!(details["instances"][0]["port"], json!(service));
    assert_eq!(details["routes"].as_array().unwrap().len(), 2);
    world.get("/services/nobody").await.is(404, "ZWEAC706E");
    let lines = world.get("/services").await.is(200, "").json();
    assert!(lines.as_array().unwrap().iter().any(|line| line["serviceId"] == "apicatalog"), "{lines}");
}

#[tokio::test]
async fn both_forms_of_paths_lead_to_the_catalog_and_old_ones_to_its_page() {
    let world = World::new(SAMPLE).await;
    for path in
        ["/apicatalog/api/v1/containers", "/api/v1/apicatalog/containers", "/apicatalog/ui/v1/containers"]
    {
        curl(&["-u", "user:user", &world.on_gateway(path)]).await.is(200, "samples");
    }
    for path in ["/apicatalog/ui/v1/", "/ui/v1/apicatalog/", "/apicatalog/ui/v1/index.html"] {
        curl(&[&world.on_gateway(path)]).await.is(200, "<title>API Catalog</title>");
    }
    world.direct("/apicatalog", &[]).await.is(302, "location: /apicatalog/");
    world.direct("/", &[]).await.is(302, "location: /apicatalog/");
    let spoofed = ["-H", "X-Forwarded-Prefix: //evil.example.com"];
    world.direct("/apicatalog", &spoofed).await.is(302, "location: /apicatalog/");
    for path in ["/apicatalog/containers", "/apicatalog/api/v1/containers"] {
        world.direct(path, &["-u", "user:user"]).await.is(200, "samples");
    }
    world.direct("/apicatalog/nothing", &[]).await.is(404, "ZWEAM104E");
    world.direct("/apicatalog/auth/login", &[]).await.is(405, "allow: POST");
    world.direct("/apicatalog/v3/api-docs", &[]).await.is(200, "\"openapi\"");
    world.direct("/apicatalog/application/health", &[]).await.is(200, "\"status\":\"UP\"");
    world.direct("/apicatalog/application/info", &[]).await.is(200, "tender-catalog");
}

#[tokio::test]
async fn nobody_reads_who_is_not_logged_in_and_the_cookie_of_the_gateway_logs_in() {
    let world = World::new(SAMPLE).await;
    for path in ["/containers", "/services", "/apidoc/sample", "/containers/samples", "/services/sample"] {
        world.direct(&format!("/apicatalog{path}"), &[]).await.is(401, "ZWEAS105E");
        let forged = ["-H", "Cookie: apimlAuthenticationToken=a.b.c"];
        world.direct(&format!("/apicatalog{path}"), &forged).await.is(401, "ZWEAS130E");
        world.direct(&format!("/apicatalog{path}"), &["-u", "user:wrong"]).await.is(401, "ZWEAS130E");
    }
    let login = "/apicatalog/auth/login";
    let json = ["-H", "Content-Type: application/json", "-d"];
    let wrong = [&json[..], &[r#"{"username":"user","password":"no"}"#]].concat();
    world.direct(login, &wrong).await.is(401, "ZWEAG120E");
    world.direct(login, &[&json[..], &["no json"]].concat()).await.is(400, "ZWEAG121E");
    let right = [&json[..], &[r#"{"username":"user","password":"user"}"#]].concat();
    let answer = world.direct(login, &right).await;
    let cookie = answer.is(204, "").header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let header = format!("Cookie: {cookie}");
    let shown = ["-H", header.as_str()];
    world.direct("/apicatalog/containers", &shown).await.is(200, "samples");
    world.direct("/apicatalog/session", &shown).await.is(200, "\"user\":\"user\"");
    let bearer = format!("Authorization: Bearer {}", cookie.split_once('=').unwrap().1);
    world.direct("/apicatalog/containers", &["-H", &bearer]).await.is(200, "samples");
    world.direct("/apicatalog/auth/logout", &["-X", "POST", "-H", &header]).await.is(204, "");
    world.direct("/apicatalog/containers", &shown).await.is(401, "ZWEAS130E");
    world.direct("/apicatalog/session", &shown).await.is(200, "\"user\":null");
    let foreign = [&right[..], &["-H", "Sec-Fetch-Site: cross-site"]].concat();
    world.direct(login, &foreign).await.is(403, "ZWEAT403E");
}

#[tokio::test]
async fn gateway_that_is_away_is_named_and_an_open_catalog_needs_none() {
    let mut world = World::new(SAMPLE).await;
    world.gateway_at = crate::world::serve(world.service.clone());
    let answer = world.direct("/apicatalog/containers", &["-u", "user:user"]).await;
    let body = answer.is(503, "ZWEAS103E").body.clone();
    assert!(body.contains("http://localhost:") && body.contains("cannot be reached"), "{body}");
    let nobody = World::with(SAMPLE, LogIn::Nobody).await;
    let login = ["-d", r#"{"username":"user","password":"user"}"#];
    for (path, more) in [("/apicatalog/containers", &["-u", "user:user"]), ("/apicatalog/auth/login", &login)]
    {
        nobody.direct(path, more).await.is(503, "ZWEAS104E").is(503, "--provider");
    }
    let open = World::with(SAMPLE, LogIn::Open).await;
    open.direct("/apicatalog/containers", &[]).await.is(200, "samples");
    open.direct("/apicatalog/session", &[]).await.is(200, "\"isOpen\":true");
}

#[tokio::test]
async fn thousand_services_are_written_once_and_not_sent_again() {
    let mut text = "services:\n".to_owned();
    for at in 0..1000 {
        writeln!(
            text,
            "  - serviceId: s{at}\n    title: Service {at}\n    catalogUiTileId: t{at}\n    instanceBaseUrls: ['http://localhost:SERVICE/s{at}']"
        )
        .unwrap();
    }
    text.push_str("catalogUiTiles:\n");
    for at in 0..1000 {
        writeln!(text, "  t{at}: {{title: Tile {at}, description: Of service {at}}}").unwrap();
    }
    let world = World::new(&text).await;
    let whole = world.get("/containers").await;
    assert_eq!(whole.is(200, "").json().as_array().unwrap().len(), 1001);
    let tag = whole.header("etag").unwrap().to_owned();
    let again = ["-u", "user:user", "-H", &format!("If-None-Match: {tag}")].map(str::to_owned);
    let again: Vec<&str> = again.iter().map(String::as_str).collect();
    let unchanged = world.direct("/apicatalog/containers", &again).await;
    assert_eq!(unchanged.is(304, "").body, "");
    let pressed = world.direct("/apicatalog/containers", &["-u", "user:user", "--compressed"]).await;
    assert_eq!(pressed.is(200, "content-encoding: gzip").json(), whole.json());
    world.define("more", SAMPLE).await;
    world.direct("/apicatalog/containers", &again).await.is(200, "samples");
}

#[tokio::test]
async fn static_definitions_are_read_again_when_the_catalog_is_asked_to() {
    let world = World::new(SAMPLE).await;
    let file = world.directory.path().join("definitions/late.yml");
    std::fs::write(file, SAMPLE.replace("SERVICE", "1").replace("serviceId: sample", "serviceId: late"))
        .unwrap();
    let asked = ["-X", "POST", "-u", "user:user"];
    let answer = world.direct("/apicatalog/static-api/refresh", &asked).await;
    answer.is(200, "\"errors\"").is(200, "late");
    world.follow().await;
    world.get("/services/late").await.is(200, "");
    world.direct("/apicatalog/static-api/refresh", &["-X", "POST"]).await.is(401, "");
    let foreign = ["-X", "POST", "-u", "user:user", "-H", "Sec-Fetch-Site: same-site"];
    world.direct("/apicatalog/static-api/refresh", &foreign).await.is(403, "");
}

#[tokio::test]
async fn what_was_known_last_stays_in_use_while_discovery_is_away() {
    let mut world = World::new(SAMPLE).await;
    let before = world.get("/containers").await.is(200, "samples").json();
    world.lose_discovery().await;
    assert_eq!(world.get("/containers").await.is(200, "").json(), before);
    world.direct("/apicatalog/application/health", &[]).await.is(200, "\"discovery\":\"DOWN\"");
    let asked = ["-X", "POST", "-u", "user:user"];
    let answer = world.direct("/apicatalog/static-api/refresh", &asked).await;
    answer.is(500, "ZWEAC707E").is(500, "Connection refused");
}

#[tokio::test]
async fn every_answer_says_what_browsers_may_do_with_it() {
    let world = World::new(SAMPLE).await;
    for path in
        ["/apicatalog/", "/apicatalog/static/catalog.js", "/apicatalog/containers", "/apicatalog/x", "/y"]
    {
        let answer = world.direct(path, &[]).await;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    let answer = world.direct("/apicatalog/static/catalog.js", &[]).await;
    let tag = format!("If-None-Match: {}", answer.header("etag").unwrap());
    world.direct("/apicatalog/static/catalog.js", &["-H", &tag]).await.is(304, "");
    world.direct("/apicatalog/static/..%2f..%2fCargo.toml", &[]).await.is(404, "");
}
