//! Documents of every kind, and of none.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Context, Unusable, parse, rewrite, substitute};
use crate::route::Route;

fn route(gateway: &str, service: &str) -> Route {
    Route { gateway: gateway.to_owned(), service: crate::route::path(service) }
}

/// A service with an API at `api/v1`.
pub(crate) fn context(routes: &[(&str, &str)]) -> Context {
    let fields = json!({ "applications": { "application": [{ "instance": [{
        "app": "SAMPLE", "hostName": "h", "status": "UP", "port": { "$": 1, "@enabled": "true" },
        "metadata": {
            "apiml.apiInfo.0.apiId": "org.sample", "apiml.apiInfo.0.version": "1.0.0",
            "apiml.apiInfo.0.gatewayUrl": "api/v1", "apiml.apiInfo.0.documentationUrl": "https://docs.example.com/",
            "apiml.service.title": "Sample", "apiml.service.description": "For trials",
        },
    }] }] } });
    let instances = tender_gateway::read(fields.to_string().as_bytes()).unwrap();
    let services = crate::registered::services(instances);
    let service = &services["sample"];
    let mut context = Context::new(service, service.apis.first(), "https://gw:7554");
    context.routes = routes.iter().map(|(gateway, service)| route(gateway, service)).collect();
    context
}

fn rewritten(document: &Value, routes: &[(&str, &str)]) -> Value {
    rewrite(document.clone(), &context(routes)).unwrap()
}

fn keys(paths: &Value) -> Vec<&str> {
    paths.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn swagger_2_leads_to_the_gateway_by_the_shortest_paths() {
    let document = json!({
        "swagger": "2.0", "info": { "title": "T", "version": "9", "description": "D" }, "host": "h:1",
        "basePath": "/sample/api", "schemes": ["http", "https"],
        "paths": { "/v1/pets": { "get": { "schemes": ["http"], "responses": {} } }, "/v1": { "get": {} } },
    });
    let done = rewritten(&document, &[("api/v1", "/sample/api/v1"), ("ui/v1", "/sample")]);
    assert_eq!((&done["host"], &done["schemes"]), (&json!("gw:7554"), &json!(["https"])));
    assert_eq!(done["basePath"], "/sample/api/v1");
    assert_eq!(keys(&done["paths"]), ["/pets", "/"]);
    assert_eq!(done["paths"]["/pets"], json!({ "get": { "responses": {} } }));
    assert_eq!(
        done["info"]["description"],
        "D\n\n[API document as JSON](https://gw:7554/apicatalog/api/v1/apidoc/sample/org%2Esample%20v1%2E0%2E0)"
    );
    assert_eq!(done["externalDocs"]["url"], "https://docs.example.com/");
}

#[test]
fn paths_of_several_routes_are_long_and_those_of_none_are_named() {
    let document = json!({
        "swagger": "2.0", "basePath": "/",
        "paths": { "/one/a": { "get": {} }, "/two/b": { "get": {} }, "/other": { "get": {} } },
    });
    let done = rewritten(&document, &[("api/v1", "/one"), ("api/v2", "/two")]);
    assert_eq!(done["basePath"], "/");
    assert_eq!(keys(&done["paths"]), ["/sample/api/v1/a", "/sample/api/v2/b"]);
    assert_eq!(done["x-tender-unreachable"], json!(["/other"]));
}

#[test]
fn openapi_3_has_one_server_which_is_the_gateway() {
    let document = json!({
        "openapi": "3.1.0",
        "servers": [{ "url": "http://h:1/{stage}?x", "variables": { "stage": { "default": "sample" } } }, { "url": "/b" }],
        "paths": {
            "/pets/{id}": { "servers": [{ "url": "https://evil" }], "parameters": [], "get": { "servers": [] } },
            "/hidden": { "get": { "tags": ["apimlHidden"] } },
            "/half": { "get": { "tags": ["a", "apimlHidden"] }, "post": { "tags": ["a"] } },
        },
    });
    let done = rewritten(&document, &[("api/v1", "/sample")]);
    assert_eq!(done["servers"], json!([{ "url": "https://gw:7554/sample/api/v1" }]));
    assert_eq!(
        done["paths"],
        json!({
            "/pets/{id}": { "parameters": [], "get": {} }, "/half": { "post": { "tags": ["a"] } },
        })
    );
    assert_eq!(done["info"]["title"], "Sample");
}

#[test]
fn document_that_was_written_without_its_base_is_below_the_route_of_its_api() {
    let document = json!({ "openapi": "3.0.0", "paths": { "/pets": { "get": {} } } });
    let done = rewritten(&document, &[("api/v1", "/sample/api/v1"), ("api/v2", "/sample/api/v2")]);
    assert_eq!(done["servers"][0]["url"], "https://gw:7554/sample/api/v1");
    assert_eq!(keys(&done["paths"]), ["/pets"]);
    let whole = json!({ "openapi": "3.0.0", "servers": [{ "url": "https://h/outside" }],
        "paths": { "/sample/api/v2/pets": { "get": {} } } });
    let done = rewritten(&whole, &[("api/v1", "/sample/api/v1"), ("api/v2", "/sample/api/v2")]);
    assert_eq!(done["servers"][0]["url"], "https://gw:7554/sample/api/v2");
}

#[test]
fn route_of_the_api_counts_among_equals_and_pages_and_sockets_do_not() {
    let document = json!({ "swagger": "2.0", "paths": { "/x": { "get": {} } } });
    let done = rewritten(&document, &[("a", "/"), ("api/v1", "/"), ("ui/v1", "/x"), ("ws/v1", "/x")]);
    assert_eq!((&done["basePath"], keys(&done["paths"])), (&json!("/sample/api/v1"), vec!["/x"]));
}

#[test]
fn yaml_is_read_as_json_is() {
    let document = parse(b"openapi: 3.0.0\npaths:\n  /a:\n    get: {}\n").unwrap();
    assert_eq!(keys(&rewritten(&document, &[("api/v1", "/")])["paths"]), ["/a"]);
    // A version without its quotation marks is a number there.
    let document = parse(b"swagger: 2.0\npaths: {}\n").unwrap();
    assert_eq!(rewritten(&document, &[("api/v1", "/")])["host"], "gw:7554");
}

#[test]
fn what_is_no_document_is_refused_with_what_is_wrong() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_yaml = format!("a: {}", "[".repeat(10_000));
    let laughs = (0..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, at| {
        format!("{text}a{}: &a{} [*a{at}, *a{at}, *a{at}]\n", at + 1, at + 1)
    });
    for (bytes, words) in [
        ("", "empty"),
        (" \n", "empty"),
        ("<!doctype html><p>log in", "HTML page"),
        ("{\n  \"swagger\": \"2.0\",\n  oops\n}", "line 3 column 3"),
        ("[1, 2]", "a list"),
        ("\"text\"", "a text"),
        ("just words", "a text"),
        ("a: b: c", "neither JSON nor YAML"),
        (deep.as_str(), "recursion limit"),
        (deep_yaml.as_str(), "neither JSON nor YAML"),
        (laughs.as_str(), "neither JSON nor YAML"),
        ("{\"openapi\": 7}", "`openapi: \"7\"`"),
        ("{\"swagger\": \"1.2\"}", "`swagger: \"1.2\"`"),
        ("{}", "no version"),
        ("{\"swagger\": \"2.0\", \"paths\": []}", "`paths` are a list"),
    ] {
        let done =
            parse(bytes.as_bytes()).and_then(|document| rewrite(document, &context(&[("api/v1", "/")])));
        let fault = done.expect_err(bytes.get(..40).unwrap_or(bytes));
        let said = tender_http::chain(&fault);
        assert!(said.contains(words), "{said}, not {words}");
    }
    assert!(matches!(parse(b"{\"a\": \"\xff\"}"), Err(Unusable::NoText { at: 7 })));
}

#[test]
fn service_without_a_document_has_one_with_links() {
    let document = substitute(&context(&[("api/v1", "/")]));
    let text = document["info"]["description"].as_str().unwrap();
    assert!(text.contains("For trials") && text.contains("(https://docs.example.com/)"), "{text}");
    assert_eq!(document["servers"][0]["url"], "https://gw:7554/sample/api/v1");
}

#[test]
fn what_is_made_of_a_document_can_be_known_before_it_is_served() {
    let text = b"openapi: 3.0.0\nservers: [{url: /own/api}]\npaths:\n  /a: {get: {}, post: {tags: [apimlHidden]}}\n  ../b: {get: {}}\n";
    let routes = [("api/v1".to_owned(), "/own/api".to_owned())];
    let made = super::made(text, "own", &routes, "https://gw/").unwrap();
    assert_eq!((made.base.as_str(), made.operations, made.unreachable), ("https://gw/own/api/v1", 2, vec![]));
    let elsewhere =
        [("api/v1".to_owned(), "/other".to_owned()), ("api/v2".to_owned(), "/own/api/a".to_owned())];
    let made = super::made(text, "own", &elsewhere, "https://gw").unwrap();
    assert_eq!((made.base.as_str(), made.unreachable), ("https://gw/own/api/v2", vec!["../b".to_owned()]));
    assert!(super::made(b"<html>", "own", &routes, "https://gw").is_err());
}

/// Any JSON, with the words of API documents where they matter.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("paths"),
        Just("swagger"),
        Just("openapi"),
        Just("servers"),
        Just("url"),
        Just("variables"),
        Just("default"),
        Just("info"),
        Just("title"),
        Just("description"),
        Just("tags"),
        Just("get"),
        Just("post"),
        Just("basePath"),
        Just("/a/{b}"),
        Just("/"),
        Just(""),
        Just("x-y"),
        Just("../..")
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|it| json!(it)),
        any::<i64>().prop_map(|it| json!(it)),
        prop_oneof![Just("2.0"), Just("3.0.1"), Just("apimlHidden"), Just("/a"), Just("http://h/{a}")]
            .prop_map(|it| json!(it)),
        ".{0,6}".prop_map(|it| json!(it)),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_rewritten_or_refused(mut document in any_json(), version in 0..3) {
        if let Value::Object(members) = &mut document {
            match version {
                0 => drop(members.insert("swagger".to_owned(), json!("2.0"))),
                1 => drop(members.insert("openapi".to_owned(), json!("3.0.1"))),
                _ => {}
            }
        }
        if let Ok(done) = rewrite(document, &context(&[("api/v1", "/a"), ("api/v2", "/")])) {
            let written = done["paths"].to_string();
            prop_assert!(done["paths"].is_object() && done["info"].is_object());
            if let Some(server) = done["servers"][0]["url"].as_str().filter(|_| done["openapi"] == "3.0.1") {
                prop_assert!(server.starts_with("https://gw:7554"), "{server}");
                prop_assert_eq!(done["servers"].as_array().unwrap().len(), 1);
            }
            for item in done["paths"].as_object().unwrap().values() {
                for method in ["get", "post"] {
                    prop_assert!(!super::is_hidden(&item[method]), "{}", written);
                }
            }
        }
    }

    #[test]
    fn every_path_of_a_document_can_be_asked_of_the_gateway(
        base in "(/[a-c]){0,3}/?", paths in prop::collection::btree_set("(/[a-c]){1,4}", 1..6)
    ) {
        let items: Value = paths.iter().map(|path| (path.clone(), json!({ "get": {} }))).collect();
        let routes = [("api/v1", "/a"), ("api/v2", "/a/b"), ("api/v3", "/c")];
        let done = rewrite(json!({ "swagger": "2.0", "basePath": base, "paths": items }), &context(&routes)).unwrap();
        let base = done["basePath"].as_str().unwrap().trim_end_matches('/');
        for path in done["paths"].as_object().unwrap().keys() {
            let asked = format!("{base}{path}");
            prop_assert!(asked.starts_with("/sample/api/v"), "{}", asked);
        }
        let lost = done["x-tender-unreachable"].as_array().map_or(0, Vec::len);
        prop_assert!(done["paths"].as_object().unwrap().len() + lost <= paths.len());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(parse(&bytes));
    }
}
