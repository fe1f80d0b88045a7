//! What is wrong with one component stays with that component.

use std::fs;

use tender_launcher::prepare::{PrepareError, PrepareRequest, Prepared, prepare};
use tender_launcher::progress::Silent;
use tender_launcher::summary::{Outcome, Phase};
use tender_supervisor::Scope;

use crate::world::{World, make_component, outcome, row};

const START: (&str, &str) = ("bin/start.sh", "sleep 1000\n");

fn planned(prepared: &Prepared) -> Vec<&str> {
    let plan = prepared.plan.as_ref().unwrap_or_else(|| panic!("{prepared:#?}"));
    plan.components.iter().map(|component| component.name.as_str()).collect()
}

#[test]
fn component_without_a_directory_is_left_out_and_the_others_start() {
    let world = World::new();
    world.component("well", "", &[START]);
    world.component("needy", "tender:\n  requires: [well]\n", &[START]);
    let components = |more: &str| {
        format!(
            "components:\n  well: {{ enabled: true }}\n  wel: {{ enabled: true, port: 1{more} }}\n  needy: {{ enabled: true }}\n"
        )
    };
    world.write_settings("", &components(""));
    let prepared = world.prepare();
    assert_eq!(planned(&prepared), ["well", "needy"]);
    let left = &prepared.plan.as_ref().unwrap().left_out;
    assert!(left.len() == 1 && left[0].name == "wel" && left[0].reason.contains("not installed"), "{left:?}");
    assert!(left[0].reason.contains("zowe.yaml:"), "the reason names the place: {left:?}");
    let found = row(&prepared, Phase::Validate, "wel");
    assert_eq!(found.outcome, Outcome::Skipped);
    // Its own policy counts, and `warn` cannot start what is not there.
    world.write_settings("", &components(", tender: { onFailure: warn }"));
    assert_eq!(planned(&world.prepare()), ["well", "needy"]);
    world.write_settings("", &components(", tender: { onFailure: fail }"));
    let prepared = world.prepare();
    assert!(prepared.is_failed() && prepared.plan.is_none());
    assert_eq!(outcome(&prepared, Phase::Validate, "wel"), Outcome::Failed);
}

#[test]
fn component_without_a_directory_that_is_asked_for_says_why_it_cannot_start() {
    let world = World::new();
    world.component("well", "", &[START]);
    world.write_settings("", "components:\n  well: { enabled: true }\n  gone: { enabled: true }\n");
    let scope = |name: &str| Scope::Components(vec![name.to_owned()]);
    let request = PrepareRequest { scope: scope("gone"), ..world.request() };
    let prepared = prepare(&world.instance(), &request, &Silent).unwrap();
    assert!(
        row(&prepared, Phase::Validate, "gone").reason.as_ref().unwrap().contains("not installed"),
        "{prepared:#?}"
    );
    let request = PrepareRequest { scope: scope("other"), ..world.request() };
    let error = prepare(&world.instance(), &request, &Silent).unwrap_err();
    assert!(matches!(error, PrepareError::Unknown { .. }), "{error}");
}

#[test]
fn strict_validation_stops_at_the_mistake_of_any_component() {
    let world = World::new();
    let schema = "schemas:\n  configs: schema.json\n";
    let text = r#"{"$schema":"https://json-schema.org/draft/2019-09/schema","$id":"https://example.org/well","type":"object"}"#;
    world.component("well", schema, &[START, ("schema.json", text)]);
    let top = "components:\n  well: { enabled: true }\n  gone: { enabled: true }\n";
    world.write_settings("  configmgr: { validation: STRICT }\n", top);
    let prepared = world.prepare();
    assert!(prepared.is_failed() && prepared.plan.is_none());
    let output = row(&prepared, Phase::Configuration, "zowe.yaml and manifests").output.join("\n");
    assert!(output.contains("gone") && output.contains("not installed"), "{output}");
    world.write_settings("  configmgr: { validation: STRICT }\n", "components:\n  well: { enabled: true }\n");
    assert_eq!(planned(&world.prepare()), ["well"]);
}

#[test]
fn settings_that_do_not_fit_leave_out_a_component_whatever_its_name() {
    let world = World::new();
    let schema = r#"{"$schema":"https://json-schema.org/draft/2019-09/schema","$id":"https://example.org/x",
        "type":"object","properties":{"port":{"type":"integer"}}}"#;
    for name in ["vendor.tools-1", "plain"] {
        let manifest = "schemas:\n  configs: schema.json\n";
        let root = world.path("extensions").join(name);
        make_component(&root, name, manifest, &[START, ("schema.json", schema)]);
    }
    world.component("well", "", &[START]);
    let ha = |id: &str| {
        format!(
            "components:\n  well: {{ enabled: true }}\n  vendor.tools-1: {{ enabled: true, port: many }}\n  \
             plain: {{ enabled: true, port: 7 }}\nhaInstances:\n  {id}:\n    hostname: localhost\n    sysname: x\n    \
             components:\n      plain: {{ port: several }}\n"
        )
    };
    world.write_settings("", &ha(&world.ha_id()));
    let prepared = world.prepare();
    assert_eq!(planned(&prepared), ["well"]);
    for name in ["vendor.tools-1", "plain"] {
        let found = row(&prepared, Phase::Validate, name);
        assert!(
            found.outcome == Outcome::Skipped && found.reason.as_ref().unwrap().contains("port"),
            "{found:?}"
        );
    }
}

#[test]
fn manifest_that_cannot_be_read_leaves_out_its_component() {
    let world = World::new();
    world.component("well", "", &[START]);
    let root = world.component("broken", "", &[START]);
    fs::write(root.join("manifest.yaml"), "name: [broken\n").unwrap();
    world.write_settings("", "components:\n  well: { enabled: true }\n  broken: { enabled: true }\n");
    let prepared = world.prepare();
    assert_eq!(planned(&prepared), ["well"]);
    let reason = row(&prepared, Phase::Validate, "broken").reason.clone().unwrap();
    assert!(reason.contains("manifest.yaml:"), "{reason}");
}

#[test]
fn logging_settings_of_the_configuration_reach_the_plan() {
    let world = World::new();
    world.component("a", "", &[START]);
    let top = "components:\n  a: { enabled: true }\n";
    world.write_settings("  logging: { rotate: 64K, keep: 2, json: true }\n", top);
    let log = world.prepare().plan.unwrap().log;
    assert_eq!((log.rotate_bytes, log.keep, log.is_json), (64 << 10, 2, true));
    world.write_settings("", top);
    let log = world.prepare().plan.unwrap().log;
    assert_eq!((log.rotate_bytes, log.keep, log.is_json), (50 << 20, 5, false));
}

#[test]
fn enabled_that_is_no_truth_value_stops_the_start() {
    let world = World::new();
    world.component("well", "", &[START]);
    world.component("perhaps", "", &[START]);
    world.write_settings("", "components:\n  well: { enabled: true }\n  perhaps: { enabled: \"true\" }\n");
    let prepared = world.prepare();
    assert!(prepared.is_failed() && prepared.plan.is_none());
    let output = row(&prepared, Phase::Configuration, "zowe.yaml and manifests").output.join("\n");
    assert!(output.contains("components.perhaps.enabled"), "{output}");
}
