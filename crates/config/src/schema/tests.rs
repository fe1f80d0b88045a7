use std::sync::Arc;

use super::*;
use crate::problem::Severity;

fn node(text: &str) -> Node {
    let parsed = yaml::parse(text, &Arc::from(Path::new("zowe.yaml")), Layer::File);
    assert_eq!(parsed.problems, []);
    parsed.root.unwrap()
}

fn problems(text: &str) -> Vec<Problem> {
    Schema::base().check(&node(text), &Context::default())
}

/// Checks that a text has exactly one problem, and returns it.
fn only(text: &str) -> Problem {
    let found = problems(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].clone()
}

#[test]
fn our_schemas_are_schemas() {
    assert_eq!(Schema::ours(0).err(), None);
    assert_eq!(Schema::ours(2).err(), None);
    for (name, text) in published() {
        let json: Json = serde_json::from_str(text).unwrap();
        assert!(jsonschema::meta::is_valid(&json), "{name}");
    }
}

#[test]
fn key_that_is_not_known_names_its_place_and_the_nearest() {
    let problem = only("zowe:\n  runtimeDirectory: /a\n  workspaceDirectry: /b\n");
    assert_eq!(problem.path, "zowe.workspaceDirectry");
    assert_eq!(problem.nearest.as_deref(), Some("workspaceDirectory"));
    let origin = problem.origin.unwrap();
    assert_eq!((origin.line, origin.column), (3, 3));
    let problem = only("zOSMF:\n  hots: h\n");
    assert_eq!(problem.nearest.as_deref(), Some("host"));
    assert!(only("zOSMF:\n  banana: h\n").message.contains("known are host, port, scheme, applId"));
}

#[test]
fn value_that_is_wrong_names_its_place_and_what_was_found() {
    for (text, path, line, part) in [
        ("zowe:\n  externalPort: x\n", "zowe.externalPort", 2, "whole number"),
        ("zowe:\n  externalPort: -1\n", "zowe.externalPort", 2, "lowest"),
        ("zowe:\n  externalPort: 1.5\n", "zowe.externalPort", 2, "whole number"),
        ("zowe:\n  externalPort: 70000\n", "zowe.externalPort", 2, "highest"),
        ("zowe:\n  verifyCertificates: STRICTLY\n", "zowe.verifyCertificates", 2, "NONSTRICT"),
        ("zowe:\n  externalDomains: []\n", "zowe.externalDomains", 2, "at least 1"),
        ("zowe:\n  externalDomains: [a, a]\n", "zowe.externalDomains", 2, "twice"),
        ("zowe:\n  cookieIdentifier: 1\n", "zowe.cookieIdentifier", 2, "quotes"),
        ("components:\n  x:\n    enabled: \"true\"\n", "components.x.enabled", 3, "without quotes"),
        ("components:\n  x:\n    enabled: yes\n", "components.x.enabled", 3, "true and false"),
        ("haInstances:\n  l:\n    sysname: S\n", "haInstances.l", 3, "`hostname` is missing"),
        (
            "zowe:\n  launcher:\n    restartIntervals: [1, a]\n",
            "zowe.launcher.restartIntervals[1]",
            3,
            "whole number",
        ),
        ("zowe:\n  environments:\n    A: [1]\n", "zowe.environments.A", 3, "needed"),
        (
            "components:\n  x:\n    tender:\n      stop: { grace: soon }\n",
            "components.x.tender.stop.grace",
            4,
            "pattern",
        ),
        (
            "components:\n  x:\n    tender:\n      stop: { grade: 1s }\n",
            "components.x.tender.stop.grade",
            4,
            "not known",
        ),
    ] {
        let problem = only(text);
        assert_eq!(problem.path, path, "{problem}");
        assert_eq!(problem.origin.as_ref().unwrap().line, line, "{problem}");
        assert!(problem.message.contains(part), "{problem}");
        assert_eq!(problem.severity, Severity::Error);
    }
}

#[test]
fn certificate_reports_only_the_form_that_was_meant() {
    let keyring = "zowe:\n  certificate:\n    keystore: { type: JCERACFKS, file: 'safkeyring:////U/R', alias: a }\n    truststore: { type: JCERACFKS, file: 'safkeyring:////U/R' }\n";
    assert_eq!(problems(keyring), []);
    let problem = only(&keyring.replace("JCERACFKS", "PKCS12"));
    assert!(problem.message.contains("`pem` is missing"), "{problem}");
    let found = problems(
        "zowe:\n  certificate:\n    keystore: { type: PKCS11, file: f, alias: a }\n    truststore: { type: PKCS12, file: f }\n",
    );
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].nearest.as_deref(), Some("PKCS12"));
}

fn component_schema(schema: &str) -> Schema {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("s.json"), schema).unwrap();
    Schema::of_component("c", dir.path(), &[PathBuf::from("s.json")]).unwrap().unwrap()
}

#[test]
fn one_of_several_forms_is_chosen_by_its_type() {
    let schema = component_schema(
        r##"{ "$schema": "https://json-schema.org/draft/2019-09/schema", "type": "object", "properties": { "store": { "oneOf": [
            { "type": "object", "required": ["path"], "properties": { "type": { "const": "file" }, "path": { "type": "string" } } },
            { "type": "object", "required": ["host", "port"], "properties": { "type": { "const": "redis" }, "host": { "type": "string" }, "port": { "type": "integer", "exclusiveMinimum": true, "minimum": 5 } } } ] } } }"##,
    );
    let check = |text: &str| schema.check(&node(text), &Context::default());
    assert_eq!(check("store: { type: redis, host: h, port: 6 }\n"), []);
    let found = check("store:\n  type: redis\n  host: 5\n  port: 5\n");
    let paths: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["store.host", "store.port"], "{found:#?}");
    let found = check("store: { type: reddis }\n");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].nearest.as_deref(), Some("redis"));
    assert_eq!(found[0].path, "store.type");
}

#[test]
fn component_schema_may_refer_to_ours() {
    let schema = component_schema(
        r##"{ "$id": "https://x.example/c", "allOf": [ { "$ref": "https://zowe.org/schemas/v2/server-base#zoweComponent" },
            { "type": "object", "properties": { "p": { "$ref": "https://zowe.org/schemas/v2/server-common#zoweTcpPort" } } } ] }"##,
    );
    let found = schema.check(&node("enabled: true\np: 80\n"), &Context::default());
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].path, "p");
}

#[test]
fn component_schema_that_is_broken_names_its_file() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["{", "[]", r#"{"type": "no such type"}"#, r#"{"$ref": "https://nowhere.example/x"}"#] {
        std::fs::write(dir.path().join("s.json"), text).unwrap();
        let error = Schema::of_component("c", dir.path(), &[PathBuf::from("s.json")]).unwrap_err();
        assert!(error.to_string().contains("s.json"), "{error}");
    }
    assert!(Schema::of_component("c", dir.path(), &[PathBuf::from("missing.json")]).is_err());
}

#[test]
fn numbers_in_quotes_are_understood_with_a_notice() {
    let mut root = node("zowe:\n  externalPort: \"7554\"\ncomponents:\n  a: { port: '1', note: '5' }\n");
    let found = Schema::base().coerce(&mut root, &Context::default());
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().all(|problem| problem.severity == Severity::Notice));
    assert_eq!(root.below(&["zowe", "externalPort"]).unwrap().integer(), Some(7554));
    assert_eq!(root.below(&["components", "a", "note"]).unwrap().text(), Some("5"));
}

#[test]
fn secrets_are_sealed_where_schema_or_name_mark_them() {
    let schema = component_schema(
        r#"{ "properties": { "pin": { "x-secret": true }, "list": { "type": "array", "items": { "x-secret": true } } } }"#,
    );
    let mut root = node(
        "zowe:\n  certificate:\n    keystore: { password: hunter2, file: /f }\n  environments: { A_TOKEN: hunter2, B: x }\n  setup: { certificate: { pkcs12: { caPassword: 12345 } } }\ncomponents:\n  c: { pin: 'env:PIN', list: [hunter2], redis: { ssl: { keyStorePassword: 'file:/k' } }, tokenName: n }\nhaInstances:\n  l:\n    hostname: h\n    zowe: { certificate: { keystore: { password: hunter2 } } }\n    components: { c: { pin: hunter2 } }\n",
    );
    let found = Sealer::new(Schema::base(), [("c", &schema)]).seal(&mut root);
    let shown = format!("{root:?} {} {found:?}", root.to_json());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(found.len(), 6, "{found:#?}");
    let is_secret =
        |path: &str| matches!(root.at(&path.parse().unwrap()).unwrap().value, crate::node::Value::Secret(_));
    for path in [
        "zowe.setup.certificate.pkcs12.caPassword",
        "components.c.pin",
        "components.c.redis.ssl.keyStorePassword",
    ] {
        assert!(is_secret(path), "{path}");
    }
    for path in ["zowe.environments.B", "components.c.tokenName", "zowe.certificate.keystore.file"] {
        assert!(!is_secret(path), "{path}");
    }
}

#[test]
fn overrides_may_leave_out_what_the_whole_has() {
    let root = node("zowe:\n  certificate:\n    keystore: { alias: other }\n");
    let partial = Context { is_partial: true, ..Context::default() };
    assert_eq!(Schema::base().check(&root, &partial), []);
    assert!(!Schema::base().check(&root, &Context::default()).is_empty());
}
