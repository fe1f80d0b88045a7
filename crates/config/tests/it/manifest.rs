//! Manifests of all versions.

use std::path::{Path, PathBuf};

use tender_config::Severity;
use tender_config::manifest::{self, Loaded, Phase};

use crate::fixture::Fixture;

fn load(fixture: &Fixture, directory: &str) -> Loaded {
    manifest::load(&manifest::find(&fixture.path(directory)).unwrap()).unwrap()
}

#[test]
fn manifests_of_all_versions_load_without_problems() {
    let fixture = Fixture::new();
    for name in [
        "gateway",
        "discovery",
        "api-catalog",
        "caching-service",
        "app-server",
        "zss",
        "jobs-api",
        "explorer-jes",
    ] {
        let loaded = load(&fixture, &format!("runtime/components/{name}"));
        assert_eq!(loaded.problems, [], "{name}");
        assert_eq!(loaded.manifest.unwrap().name, name);
    }
    for name in ["sample-extension", "vendor.tools-1"] {
        assert_eq!(load(&fixture, &format!("extensions/{name}")).problems, []);
    }
}

#[test]
fn manifest_fields_are_understood_in_both_forms() {
    let fixture = Fixture::new();
    let zss = load(&fixture, "runtime/components/zss").manifest.unwrap();
    assert_eq!(zss.static_definitions, [PathBuf::from("apiml/zss.yml.template")]);
    assert_eq!(zss.zis_plugins[0].id, "org.example.zis");
    let sample = load(&fixture, "extensions/sample-extension").manifest.unwrap();
    assert_eq!(sample.static_definitions.len(), 2);
    assert_eq!(sample.discovery_shared_libs, [PathBuf::from("lib/a.jar")]);
    assert_eq!(sample.zaas_shared_libs, [PathBuf::from("lib/b.jar")]);
    assert_eq!(sample.base_package.as_deref(), Some("org.example.sample"));
    let jobs = load(&fixture, "runtime/components/jobs-api").manifest.unwrap();
    assert_eq!(jobs.build.unwrap().number.as_deref(), Some("5"));
    assert!(jobs.commands.pre_configure.is_some() && jobs.commands.configure_instance.is_some());
    let explorer = load(&fixture, "runtime/components/explorer-jes").manifest.unwrap();
    assert_eq!(explorer.desktop_iframe_plugins[0].icon, PathBuf::from("assets/icon.png"));
    let desktop = load(&fixture, "runtime/components/app-server").manifest.unwrap();
    assert!(desktop.needs_zos);
    assert_eq!(desktop.appfw_plugins.len(), 2);
    let gateway = load(&fixture, "runtime/components/gateway").manifest.unwrap();
    assert_eq!(gateway.config_schemas, [PathBuf::from("schema.json")]);
    assert_eq!(gateway.dynamic_services, ["gateway"]);
    assert_eq!(gateway.extension().unwrap().restart.as_deref(), Some("mediation"));
}

#[test]
fn manifest_with_mistakes_reports_all_of_them() {
    let text = "name: wrong\nid: x\nversion: v1\ncomands:\n  start: a\ncommands:\n  strat: b\nbuild: { brnch: x }\napimlServices:\n  dynamic: [ {} ]\ntender:\n  readiness: { tcp: a:1, periode: 1s }\n  limits: { memory: lots }\nwhatever: 1\n";
    let loaded = manifest::parse(text, Path::new("/x/right/manifest.yaml"));
    let found: Vec<_> =
        loaded.problems.iter().map(|one| (one.path.as_str(), one.nearest.as_deref(), one.severity)).collect();
    for expected in [
        ("id", None, Severity::Warning),
        ("version", None, Severity::Warning),
        ("comands", Some("commands"), Severity::Warning),
        ("commands.strat", Some("start"), Severity::Error),
        ("build.brnch", Some("branch"), Severity::Warning),
        ("apimlServices.dynamic[0]", None, Severity::Error),
        ("tender.readiness.periode", Some("period"), Severity::Error),
        ("tender.limits.memory", None, Severity::Error),
        ("whatever", None, Severity::Notice),
        ("name", None, Severity::Warning),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not in {found:#?}");
    }
    assert_eq!(found.len(), 10, "{found:#?}");
}

#[test]
fn manifest_that_is_no_manifest_is_refused() {
    for text in ["", "[]", "a: [", "name: {}\n", "x: 1\n"] {
        let loaded = manifest::parse(text, Path::new("/x/y/manifest.yaml"));
        assert!(
            loaded.problems.iter().any(|one| one.severity == Severity::Error),
            "{text}: {:?}",
            loaded.problems
        );
    }
    let two_probes = "name: y\ntender:\n  readiness: { tcp: a:1, notify: true }\n";
    let loaded = manifest::parse(two_probes, Path::new("/x/y/manifest.yaml"));
    assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
}

#[test]
fn manifest_command_is_taken_before_the_fallback() {
    let fixture = Fixture::new();
    let root = fixture.path("runtime/components/jobs-api");
    let jobs = load(&fixture, "runtime/components/jobs-api").manifest.unwrap();
    assert_eq!(jobs.script(&root, Phase::Start).unwrap().path, root.join("bin/start.sh"));
    assert!(jobs.script(&root, Phase::Configure).is_none());
    assert!(!jobs.script(&root, Phase::PreConfigure).unwrap().exists);
}

#[test]
fn manifest_is_looked_for_in_three_names() {
    let fixture = Fixture::new();
    fixture.write("c/manifest.json", "{\"name\": \"c\"}");
    assert!(manifest::find(&fixture.path("c")).unwrap().ends_with("manifest.json"));
    fixture.write("c/manifest.yml", "name: c");
    assert!(manifest::find(&fixture.path("c")).unwrap().ends_with("manifest.yml"));
    fixture.write("c/manifest.yaml", "name: c");
    assert!(manifest::find(&fixture.path("c")).unwrap().ends_with("manifest.yaml"));
    assert!(manifest::find(&fixture.path("nowhere")).is_none());
}

#[test]
fn manifest_of_a_source_that_was_never_built_loads_with_warnings() {
    let text = "name: y\nid: org.example.y\nversion: \"{{build.version}}\"\nbuild:\n  number: \"{{build.number}}\"\n  timestamp: {{build.timestamp}}\nkeywords: one\ncommands: { start: bin/start.sh }\n";
    let loaded = manifest::parse(text, Path::new("/x/y/manifest.yaml"));
    assert!(loaded.problems.iter().all(|one| one.severity == Severity::Warning), "{:?}", loaded.problems);
    assert_eq!(loaded.manifest.unwrap().commands.start, Some(PathBuf::from("bin/start.sh")));
}
