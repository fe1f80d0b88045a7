//! Reading, merging, checking.

use serde_json::json;
use tender_config::load::LegacyNames;
use tender_config::{ConfigError, ConfigPath, Configuration, Load, Severity};

use crate::fixture::Fixture;

fn value(configuration: &Configuration, key: &str) -> serde_json::Value {
    configuration.get(key).unwrap().map(|node| node.to_json()).unwrap_or_default()
}

#[test]
fn configuration_that_is_complete_has_no_errors_and_no_warnings() {
    let fixture = Fixture::new();
    let (configuration, report) = fixture.load(&["zowe.yaml"]);
    let worse: Vec<_> = report.problems.iter().filter(|one| one.severity != Severity::Notice).collect();
    assert!(worse.is_empty(), "{report}");
    assert_eq!(value(&configuration, "zowe.externalPort"), 7554);
    assert_eq!(value(&configuration, "components.api-catalog.port"), 7552);
    assert_eq!(value(&configuration, "components[\"vendor.tools-1\"].level"), "ZWE1-ZWE1SV");
    assert_eq!(value(&configuration, "components.gateway.apiml.service.allowEncodedSlashes"), true);
    assert_eq!(value(&configuration, "zowe.setup.certificate.pkcs12.password"), "(secret)");
    assert_eq!(configuration.product_version(), Some("3.0.0"));
    assert!(!configuration.is_version_1());
}

#[test]
fn problems_of_all_files_come_in_one_report_in_order() {
    let fixture = Fixture::new();
    fixture.replace("zowe.yaml", "verifyCertificates: STRICT", "verifyCertificates: STRICTER");
    fixture.replace("zowe.yaml", "  sysMessages:", "  sysMesages:");
    fixture.replace("zowe.yaml", "    debug: false\n    launcher", "    debug: perhaps\n    launcher");
    fixture.replace("zowe.yaml", "level: '${{ zowe.job", "level: '${{ zowe.jab");
    fixture.replace(
        "runtime/components/discovery/manifest.yaml",
        "  start: bin/start.sh",
        "  strat: bin/start.sh",
    );
    let (_, report) = fixture.load(&["zowe.yaml"]);
    let errors: Vec<_> = report.errors().collect();
    let paths: Vec<_> = errors.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "commands.strat",
            "zowe.verifyCertificates",
            "zowe.sysMesages",
            "components.gateway.debug",
            "components[\"vendor.tools-1\"].level"
        ],
        "{report}"
    );
    assert_eq!(errors[0].nearest.as_deref(), Some("start"));
    assert_eq!(errors[2].nearest.as_deref(), Some("sysMessages"));
    assert_eq!(errors[3].found.as_deref(), Some("\"perhaps\""));
    assert!(errors.iter().all(|one| one.origin.as_ref().is_some_and(|origin| origin.line > 1)));
    let text = report.to_string();
    assert!(text.contains(&format!("{}:", fixture.path("zowe.yaml").display())), "{text}");
}

#[test]
fn files_are_merged_with_the_leftmost_on_top() {
    let fixture = Fixture::new();
    fixture.write("over.yaml", "zowe:\n  externalDomains: [over.example.com]\n  sysMessages+: [MORE]\ncomponents:\n  gateway:\n    port: 8000\nzOSMF: {host: null}\n");
    let (configuration, report) = fixture.load(&["over.yaml", "zowe.yaml"]);
    assert!(!report.has_errors(), "{report}");
    assert_eq!(value(&configuration, "zowe.externalDomains"), json!(["over.example.com"]));
    assert_eq!(value(&configuration, "zowe.sysMessages"), json!(["ZWEL0021I", "ZWESVSTC", "MORE"]));
    assert_eq!(value(&configuration, "zowe.externalPort"), 8000);
    assert_eq!(value(&configuration, "zOSMF.host"), json!(null));
    let explained = configuration.explain("components.gateway.port").unwrap();
    assert_eq!(explained.value, Some(json!(8000)));
    let from: Vec<_> = explained
        .settings
        .iter()
        .map(|one| {
            (
                one.origin.file.file_name().unwrap().to_str().unwrap().to_owned(),
                one.origin.line,
                one.is_overridden,
            )
        })
        .collect();
    assert_eq!(
        from,
        [("over.yaml".into(), 6, false), ("zowe.yaml".into(), 109, true), ("manifest.yaml".into(), 28, true)]
    );
    let appended = configuration.explain("zowe.sysMessages").unwrap();
    assert_eq!(
        appended.settings.iter().map(|one| (one.appends, one.is_overridden)).collect::<Vec<_>>(),
        [(true, false), (false, false)]
    );
    let default = configuration.explain("zOSMF.scheme").unwrap();
    assert_eq!(default.settings[0].origin.to_string(), "built-in default");
}

#[test]
fn secrets_are_shown_by_no_output() {
    let fixture = Fixture::new();
    fixture.replace(
        "zowe.yaml",
        "password: file:/etc/zowe/keystore.secret\n      alias",
        "password: Tr0ub4dor\n      alias",
    );
    fixture.replace("zowe.yaml", "clientKey: credential:gateway", "clientKey: [Tr0ub4dor]");
    fixture.replace("zowe.yaml", "SERVICE_TOKEN: env:SERVICE_TOKEN", "SERVICE_TOKEN: Tr0ub4dor");
    let (configuration, report) = fixture.load(&["zowe.yaml"]);
    let instance = configuration.for_instance(Some("lpar1")).unwrap();
    let environment = tender_config::environment::component(&instance, "gateway").unwrap();
    let shown = format!(
        "{report} {report:?} {configuration:?} {instance:?} {environment:?} {} {:?} {:?} {}",
        configuration.root().to_json(),
        configuration.explain("zowe.certificate").unwrap(),
        instance.explain("zowe.certificate.keystore.password").unwrap(),
        environment.render(tender_config::environment::Format::Shell),
    );
    let at = shown.find("Tr0ub4dor");
    assert_eq!(at, None, "{}", at.map_or("", |at| &shown[at.saturating_sub(300)..at]));
    assert!(report.warnings().any(|one| one.path == "zowe.certificate.keystore.password"), "{report}");
    assert!(report.errors().any(|one| one.path == "components.gateway.signOn.clientKey"), "{report}");
}

#[test]
fn defaults_of_the_runtime_directory_lie_below_the_files() {
    let fixture = Fixture::new();
    fixture.write("runtime/files/defaults.yaml", "zowe:\n  cookieIdentifier: '9'\n  setup:\n    vsam:\n      name: \"${{ ()=> { if (components['zss']?.port) { return components['zss'].port + '' } else { return '' } }() }}\"\ncomponents:\n  zss:\n    enabled: true\n    port: 7000\n  gateway:\n    port: 1\n");
    let (configuration, report) = fixture.load(&["zowe.yaml"]);
    assert!(!report.has_errors(), "{report}");
    assert_eq!(value(&configuration, "zowe.cookieIdentifier"), "1");
    assert_eq!(
        value(&configuration, "components.zss"),
        json!({"enabled": false, "port": 7000, "crossMemoryServerName": "ZWESIS_STD"})
    );
    assert_eq!(value(&configuration, "components.gateway.port"), 7554);
    assert_eq!(
        configuration.root().get("components").unwrap().mapping().unwrap().keys().next(),
        Some("gateway")
    );
}

#[test]
fn runtime_directory_can_be_a_template_or_be_overridden() {
    let fixture = Fixture::new();
    let runtime = fixture.path("runtime").display().to_string();
    fixture.replace("zowe.yaml", &format!("\"{runtime}\""), &format!("\"${{{{ '{runtime}' }}}}\""));
    let (configuration, report) = fixture.load(&["zowe.yaml"]);
    assert!(!report.has_errors(), "{report}");
    assert_eq!(configuration.installed().len(), 10);
    // A level's tree is a runtime directory that holds its components directly.
    fixture.write("level/gateway/manifest.yaml", "name: gateway\ncommands: { start: bin/start.sh }\n");
    let load = Load { runtime_override: Some(fixture.path("level")), ..fixture.request(&["zowe.yaml"]) };
    let (configuration, _) = Configuration::load(&load).unwrap();
    assert_eq!(value(&configuration, "zowe.runtimeDirectory"), fixture.path("level").to_str().unwrap());
    let names: Vec<_> =
        configuration.installed().iter().map(|one| (one.name.as_str(), one.is_core)).collect();
    assert_eq!(names, [("gateway", true), ("sample-extension", false), ("vendor.tools-1", false)]);
}

#[test]
fn components_that_are_not_there_or_broken_are_reported() {
    let fixture = Fixture::new();
    fixture.replace("zowe.yaml", "  vendor.tools-1:", "  vendor.tools-2:");
    fixture.replace("zowe.yaml", "  jobs-api:\n    enabled: true", "  job-api:\n    enabled: false");
    fixture.write("runtime/components/zss/manifest.json", "{ \"name\": \"zss\", \"commands\": [] }");
    fixture.write("extensions/unused/manifest.yaml", "name: [1]\n");
    fixture.write("extensions/gateway/manifest.yaml", "name: gateway\n");
    let (configuration, report) = fixture.load(&["zowe.yaml"]);
    let errors: Vec<_> = report.errors().map(|one| (one.path.as_str(), one.nearest.as_deref())).collect();
    assert_eq!(
        errors,
        [("commands", None), ("components[\"vendor.tools-2\"]", Some("vendor.tools-1"))],
        "{report}"
    );
    assert!(
        report
            .problems
            .iter()
            .any(|one| one.path == "components.job-api" && one.severity == Severity::Notice)
    );
    assert!(report.warnings().any(|one| one.message.contains("not enabled")), "{report}");
    assert!(report.warnings().any(|one| one.message.contains("installed twice")), "{report}");
    assert!(!configuration.installed().iter().find(|one| one.name == "zss").unwrap().is_usable);
}

#[test]
fn validation_that_is_strict_wants_schemas() {
    let fixture = Fixture::new();
    fixture.replace("zowe.yaml", "validation: COMPONENT-COMPAT", "validation: STRICT");
    let (_, report) = fixture.load(&["zowe.yaml"]);
    let without: Vec<_> = report.errors().map(|one| one.path.clone()).collect();
    assert!(
        without.contains(&"components.discovery".to_owned())
            && !without.contains(&"components.gateway".to_owned()),
        "{report}"
    );
}

#[test]
fn files_that_cannot_be_read_are_all_named() {
    let fixture = Fixture::new();
    fixture.write("a.yaml", "zowe:\n  a: [\n");
    fixture.write("b.yaml", "- 1\n");
    let ConfigError::Unusable { report } =
        Configuration::load(&fixture.request(&["a.yaml", "b.yaml", "missing.yaml"])).unwrap_err()
    else {
        panic!("another error")
    };
    assert_eq!(report.problems.len(), 3, "{report}");
    assert_eq!(
        report.problems.iter().filter_map(|one| one.id).collect::<Vec<_>>(),
        ["ZWEL0072E", "ZWEL0072E", "ZWEL0109E"]
    );
}

#[test]
fn includes_are_followed_and_never_in_circles() {
    let fixture = Fixture::new();
    fixture.write("main.yaml", "zowe:\n  job: { name: A, prefix: P }\n  '@include': sub/job.yaml\n");
    fixture.write("sub/job.yaml", "job:\n  name: B\n'@include': more.yaml\n");
    fixture.write("sub/more.yaml", "cookieIdentifier: '5'\n");
    let (configuration, report) = fixture.load(&["main.yaml"]);
    assert!(!report.has_errors(), "{report}");
    assert_eq!(value(&configuration, "zowe.job"), json!({"name": "B", "prefix": "P"}));
    assert_eq!(value(&configuration, "zowe.cookieIdentifier"), "5");
    fixture.write("sub/more.yaml", "'@include': ../sub/job.yaml\n");
    let error = Configuration::load(&fixture.request(&["main.yaml"])).unwrap_err();
    let ConfigError::Unusable { report } = error else { panic!("another error") };
    assert!(report.problems[0].message.contains("includes itself"), "{report}");
}

#[test]
fn configuration_of_version_1_loads_with_notices_only() {
    let fixture = Fixture::new();
    let (configuration, report) = fixture.load(&["v1/zowe.yaml"]);
    assert!(!report.has_errors(), "{report}");
    assert!(configuration.is_version_1());
    assert_eq!(value(&configuration, "zowe.job"), json!({"name": "ZWE7SV", "prefix": "ZWE7"}));
    assert_eq!(value(&configuration, "zowe.rbacProfileIdentifier"), "7");
    assert_eq!(value(&configuration, "zowe.certificate.keystore.alias"), "inside");
    assert_eq!(value(&configuration, "zowe.certificate.pem.certificateAuthorities"), "/ks/ca.pem");
    assert_eq!(value(&configuration, "zowe.verifyCertificates"), "NONSTRICT");
    assert_eq!(value(&configuration, "components.gateway.port"), 7554);
    assert_eq!(value(&configuration, "components.gateway.apiml.gateway.timeoutMillis"), 600_000);
    assert_eq!(value(&configuration, "haInstances.lpar2a.components.discovery.port"), 17553);
}

#[test]
fn two_ids_that_become_one_are_an_error() {
    let fixture = Fixture::new();
    fixture.replace("zowe.yaml", "  lpar3:", "  lpar_2:");
    let (_, report) = fixture.load(&["zowe.yaml"]);
    let problem = report.errors().next().unwrap();
    assert!(problem.message.contains("lpar_2") && problem.related.len() == 1, "{report}");
}

#[test]
fn overrides_of_an_instance_are_checked_at_their_place() {
    let fixture = Fixture::new();
    fixture.replace("zowe.yaml", "        port: 17554", "        port: 80");
    fixture.replace("zowe.yaml", "        name: ZWE2SV", "        nam: ZWE2SV");
    let (_, report) = fixture.load(&["zowe.yaml"]);
    let paths: Vec<_> = report.errors().map(|one| one.path.as_str()).collect();
    assert_eq!(
        paths,
        ["haInstances.LPAR-2.zowe.job.nam", "haInstances.LPAR-2.components.gateway.port"],
        "{report}"
    );
}

#[test]
fn load_of_nothing_but_a_key_still_works() {
    let fixture = Fixture::new();
    fixture.write("empty.yaml", "# nothing\n");
    let load =
        Load { legacy_names: LegacyNames::Always, ..Load::new(ConfigPath::file(fixture.path("empty.yaml"))) };
    let (configuration, report) = Configuration::load(&load).unwrap();
    assert!(!report.has_errors(), "{report}");
    let instance = configuration.for_instance(None).unwrap();
    assert!(instance.components.is_empty() && instance.runtime_directory().is_none());
    assert!(tender_config::environment::instance(&instance).get("ZWE_haInstance_id").is_some());
}

#[test]
fn schema_of_a_component_may_extend_that_of_the_whole() {
    let fixture = Fixture::new();
    fixture.write(
        "runtime/components/discovery/schema.json",
        r##"{ "$id": "https://zowe.org/schemas/v2/discovery-config", "allOf": [ { "$ref": "https://zowe.org/schemas/v2/server-base" },
            { "type": "object", "required": ["zowe"], "properties": { "components": { "type": "object", "properties": { "discovery": {
                "type": "object", "additionalProperties": true, "properties": { "replicas": { "type": "integer", "maximum": 9 }, "pin": { "type": "string", "x-secret": true },
                "home": { "$ref": "/schemas/v2/server-common#zowePath" } } } } } } } ] }"##,
    );
    fixture.replace(
        "runtime/components/discovery/manifest.yaml",
        "configs:",
        "schemas: { configs: schema.json }\nconfigs:",
    );
    fixture.replace(
        "zowe.yaml",
        "    port: 7553\n",
        "    port: 7553\n    replicas: \"12\"\n    pin: 12345\n    home: ''\n",
    );
    fixture.replace("zowe.yaml", "        port: 17553\n", "        port: 17553\n        replicas: 10\n");
    let (configuration, report) = fixture.load(&["zowe.yaml"]);
    let paths: Vec<_> = report.errors().map(|one| one.path.as_str()).collect();
    let wanted = [
        "components.discovery.replicas",
        "components.discovery.home",
        "haInstances.LPAR-2.components.discovery.replicas",
    ];
    assert_eq!(paths, wanted, "{report}");
    assert_eq!(value(&configuration, "components.discovery.pin"), "(secret)");
    assert_eq!(value(&configuration, "components.discovery.replicas"), 12);
}

#[test]
fn keys_without_a_value_count_as_empty_mappings() {
    let fixture = Fixture::new();
    fixture.write("empty.yaml", "zowe:\n  environments:\n  setup:\n    dataset:\n  runtimeDirectory: \"\"\ncomponents:\n  gateway:\nhaInstances:\n");
    let (configuration, report) = fixture.load(&["empty.yaml"]);
    assert!(!report.has_errors(), "{report}");
    assert_eq!(value(&configuration, "zowe.environments"), json!({}));
}

#[test]
fn defaults_of_a_manifest_that_break_their_own_schema_are_a_warning_and_values_of_a_user_are_errors() {
    let fixture = Fixture::new();
    let schema = r#"{"$schema":"https://json-schema.org/draft/2019-09/schema","$id":"https://example.org/s",
        "type":"object","properties":{"profiles":{"type":"object","properties":{"active":{"type":"string"}}}}}"#;
    fixture.write("runtime/components/tool/schema.json", schema);
    fixture.write("runtime/components/tool/bin/start.sh", "#!/bin/sh\n");
    fixture.write(
        "runtime/components/tool/manifest.yaml",
        "name: tool\nid: org.example.tool\nversion: 1.0.0\nschemas:\n  configs: schema.json\nconfigs:\n  profiles:\n    active:\n",
    );
    fixture.replace("zowe.yaml", "components:\n", "components:\n  tool:\n    enabled: true\n");
    let (_, report) = fixture.load(&["zowe.yaml"]);
    assert!(!report.has_errors(), "{report}");
    let found = report.problems.iter().find(|one| one.path == "components.tool.profiles.active");
    assert_eq!(found.map(|one| one.severity), Some(Severity::Warning), "{report}");
    let over = "components:\n  tool:\n    profiles:\n      active: [x]\n";
    fixture.write("over.yaml", over);
    let (_, report) = fixture.load(&["over.yaml", "zowe.yaml"]);
    let errors: Vec<_> = report.errors().map(|one| one.path.as_str()).collect();
    assert_eq!(errors, ["components.tool.profiles.active"], "{report}");
}

#[test]
fn sample_without_a_runtime_directory_loads_with_one_warning_about_it() {
    let fixture = Fixture::new();
    fixture.write(
        "sample.yaml",
        "zowe:\n  runtimeDirectory: \"\"\ncomponents:\n  gateway:\n    enabled: true\n  discovery:\n    enabled: true\n",
    );
    let (_, report) = fixture.load(&["sample.yaml"]);
    let worse: Vec<_> = report.problems.iter().filter(|one| one.severity != Severity::Notice).collect();
    assert_eq!(worse.len(), 1, "{report}");
    assert_eq!((worse[0].path.as_str(), worse[0].severity), ("zowe.runtimeDirectory", Severity::Warning));
    assert_eq!(worse[0].origin.as_ref().map(|origin| origin.line), Some(2));
}
