//! HA instances and components.

use std::path::PathBuf;

use tender_config::instance::{ComponentError, ConfigureFailure, LauncherSettings, VerifyCertificates};
use tender_config::manifest::{FailurePolicy, Phase, Probe, RestartMode};
use tender_config::{ConfigError, InstanceConfiguration};

use crate::fixture::Fixture;

fn instance(fixture: &Fixture, id: &str) -> InstanceConfiguration {
    let (configuration, report) = fixture.load(&["zowe.yaml"]);
    assert!(!report.has_errors(), "{report}");
    configuration.for_instance(Some(id)).unwrap()
}

#[test]
fn instance_id_is_sanitised_and_must_exist() {
    let fixture = Fixture::new();
    let (configuration, _) = fixture.load(&["zowe.yaml"]);
    assert_eq!(configuration.instance_ids(), ["lpar1", "lpar_2", "lpar3"]);
    for id in ["LPAR-2", "lpar_2", "Lpar.2"] {
        assert_eq!(configuration.for_instance(Some(id)).unwrap().id, "lpar_2");
    }
    let error = configuration.for_instance(Some("lpar9")).unwrap_err();
    assert!(matches!(&error, ConfigError::UnknownInstance { id, .. } if id == "lpar9"));
    assert!(error.to_string().contains("lpar1, lpar_2, lpar3"), "{error}");
    assert!(configuration.for_instance(Some("__ha_instance_id__")).is_err());
}

#[test]
fn instance_overrides_what_it_says_and_nothing_else() {
    let fixture = Fixture::new();
    let (one, two) = (instance(&fixture, "lpar1"), instance(&fixture, "lpar_2"));
    assert_eq!(one.hostname, "lpar1.example.com");
    assert_eq!((one.job_name(), two.job_name()), ("ZWE1SV".to_owned(), "ZWE2SV".to_owned()));
    let enabled = |instance: &InstanceConfiguration, name: &str| instance.component(name).unwrap().is_enabled;
    assert!(enabled(&one, "app-server") && !enabled(&two, "app-server"));
    assert!(!enabled(&one, "zss") && enabled(&two, "zss"));
    let port = |instance: &InstanceConfiguration| {
        instance.get("components.gateway.port").unwrap().unwrap().integer().unwrap()
    };
    assert_eq!((port(&one), port(&two)), (7554, 17554));
    let names: Vec<_> = two.components.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names[..3], ["gateway", "discovery", "api-catalog"]);
    let explained = two.explain("components.gateway.port").unwrap();
    let lines: Vec<_> = explained.settings.iter().map(|one| (one.origin.layer, one.is_overridden)).collect();
    assert_eq!(format!("{lines:?}"), "[(HaInstance, false), (File, true), (Manifest, true)]");
}

#[test]
fn settings_of_an_instance_are_typed() {
    let fixture = Fixture::new();
    let instance = instance(&fixture, "lpar1");
    assert_eq!(instance.runtime_directory(), Some(fixture.path("runtime")));
    assert_eq!(instance.log_directory(), Some(PathBuf::from("/var/log/zowe")));
    assert_eq!(instance.verify_certificates(), VerifyCertificates::Strict);
    assert_eq!(instance.sys_messages(), ["ZWEL0021I", "ZWESVSTC"]);
    assert_eq!(instance.on_configure_failure(), ConfigureFailure::Warn);
    assert!(instance.validates_ports());
    let gateway = instance.component("gateway").unwrap();
    assert_eq!(
        instance.launcher(gateway),
        LauncherSettings { restart_intervals_s: vec![3], min_uptime_s: 60 }
    );
    assert_eq!(instance.component_job_name(gateway), "ZWE1AG");
    let desktop = instance.component("app-server").unwrap();
    let certificate = instance.component_certificate(desktop).unwrap();
    assert_eq!(certificate.keystore.alias.as_deref(), Some("desktop"));
    assert_eq!(
        certificate.pem_certificate_authorities,
        [PathBuf::from("/var/zowe/keystore/local_ca/local_ca.cer")]
    );
    assert_eq!(instance.certificate().unwrap().keystore.alias.as_deref(), Some("localhost"));
    assert!(certificate.truststore.password.is_some());
}

#[test]
fn component_knows_its_scripts() {
    let fixture = Fixture::new();
    let instance = instance(&fixture, "lpar1");
    let script = |name: &str, phase| instance.component(name).unwrap().script(phase);
    assert!(script("gateway", Phase::Start).unwrap().exists);
    assert!(!script("gateway", Phase::Validate).unwrap().exists);
    assert!(script("gateway", Phase::Configure).is_none());
    let fallback = script("jobs-api", Phase::Validate).unwrap();
    assert!(fallback.is_fallback && fallback.exists);
    assert!(script("jobs-api", Phase::PreConfigure).is_some());
    let launched: Vec<_> = instance.launched().map(|one| one.name.as_str()).collect();
    assert_eq!(
        launched,
        [
            "gateway",
            "discovery",
            "api-catalog",
            "caching-service",
            "app-server",
            "jobs-api",
            "sample-extension",
            "vendor.tools-1"
        ]
    );
}

#[test]
fn extension_of_a_component_is_merged_and_its_placeholders_expanded() {
    let fixture = Fixture::new();
    let two = instance(&fixture, "lpar_2");
    let gateway = two.extension(two.component("gateway").unwrap()).unwrap();
    let readiness = gateway.readiness.unwrap();
    assert_eq!(readiness.probe, Probe::Http("https://127.0.0.1:17554/application/health".to_owned()));
    assert_eq!((readiness.deadline_ms, readiness.period_ms), (120_000, 1000));
    assert_eq!(
        (gateway.stop.grace_ms, gateway.limits.memory_bytes, gateway.limits.cpu_percent),
        (30_000, Some(1 << 30), Some(150))
    );
    assert_eq!(gateway.requires, ["discovery"]);
    let sample = two.extension(two.component("sample-extension").unwrap()).unwrap();
    let readiness = sample.readiness.unwrap();
    assert_eq!(readiness.probe, Probe::Exec(vec!["bin/ready.sh".to_owned()]));
    assert_eq!(readiness.period_ms, 500);
    assert_eq!(sample.on_failure, Some(FailurePolicy::Skip));
    assert_eq!(
        (sample.restart_policy.mode, sample.restart_policy.jitter_percent),
        (RestartMode::OnFailure, 10)
    );
}

#[test]
fn placeholder_of_something_missing_or_secret_is_refused() {
    let fixture = Fixture::new();
    let manifest = "runtime/components/gateway/manifest.yaml";
    for (name, is_secret) in
        [("nowhere.port", false), ("signOn.clientKey", true), ("ZWE_configs_signOn_clientKey", true)]
    {
        let old = std::fs::read_to_string(fixture.path(manifest)).unwrap();
        fixture.replace(manifest, "${port}", &format!("${{{name}}}"));
        let instance = instance(&fixture, "lpar1");
        let error = instance.extension(instance.component("gateway").unwrap()).unwrap_err();
        match error {
            ComponentError::SecretPlaceholder { .. } => assert!(is_secret, "{name}"),
            ComponentError::Placeholder { .. } => assert!(!is_secret, "{name}"),
            other => panic!("{other}"),
        }
        std::fs::write(fixture.path(manifest), old).unwrap();
    }
    fixture.replace(manifest, "${port}", "${ZWE_components_discovery_port}${haInstance.hostname}");
    let instance = instance(&fixture, "lpar1");
    let extension = instance.extension(instance.component("gateway").unwrap()).unwrap();
    assert_eq!(
        extension.readiness.unwrap().probe,
        Probe::Http("https://127.0.0.1:7553lpar1.example.com/application/health".to_owned())
    );
}
