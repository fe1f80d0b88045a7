//! Instance directories of version 1.

use serde_json::json;
use tender_config::convert::{self, Convert, ConvertError};
use tender_config::{ConfigPath, Configuration, Load};

use crate::fixture::Fixture;

#[test]
fn instance_env_loads_as_a_configuration() {
    let fixture = Fixture::new();
    let load = Load::new(ConfigPath::file(fixture.path("v1/instance")));
    let (configuration, report) = Configuration::load(&load).unwrap();
    // caching-service and others of the group are enabled and not installed here.
    assert!(report.errors().all(|one| one.message.contains("not installed")), "{report}");
    assert!(configuration.is_version_1());
    let root = configuration.root().to_json();
    assert_eq!(root["zowe"]["job"], json!({"name": "ZWE3SV", "prefix": "ZWE3"}));
    assert_eq!(root["zowe"]["externalDomains"], json!(["host.example.com", "other.example.com"]));
    assert_eq!(root["zowe"]["verifyCertificates"], "NONSTRICT");
    assert_eq!(root["zowe"]["certificate"]["keystore"]["password"], "(secret)");
    assert_eq!(root["zowe"]["environments"]["MY_OWN"], "it costs $5");
    assert_eq!(root["components"]["gateway"]["port"], 7554);
    assert_eq!(root["components"]["sample-extension"]["enabled"], true);
    assert_eq!(root["zowe"]["extensionDirectory"], fixture.path("extensions").to_str().unwrap());
    assert_eq!(root["zowe"]["workspaceDirectory"], fixture.path("v1/instance/workspace").to_str().unwrap());
}

#[test]
fn instance_env_converted_says_the_same_as_itself() {
    let fixture = Fixture::new();
    let directory = fixture.path("v1/instance");
    let converted =
        convert::instance_env(&Convert { directory: directory.clone(), secrets_directory: None }).unwrap();
    assert!(converted.secrets.is_empty());
    assert!(converted.yaml.contains("port: 7554  # line"), "{}", converted.yaml);
    fixture.write("new.yaml", &converted.yaml);
    let before = Configuration::load(&Load::new(ConfigPath::file(directory))).unwrap().0;
    let after = fixture.load(&["new.yaml"]).0;
    assert_eq!(before.root().to_json(), after.root().to_json());
    let environment = |configuration: &Configuration| {
        let instance = configuration.for_instance(Some("sys1")).unwrap();
        tender_config::environment::component(&instance, "gateway").unwrap()
    };
    let password = |configuration: &Configuration| {
        let resolved = environment(configuration).resolve().unwrap().into_map();
        resolved["ZWE_zowe_certificate_keystore_password"].clone()
    };
    assert_eq!(password(&before), "pass$word");
    assert_eq!(password(&after), "pass$word");
}

#[test]
fn instance_env_converted_keeps_passwords_apart_when_asked() {
    let fixture = Fixture::new();
    let secrets = fixture.path("secrets");
    let request =
        Convert { directory: fixture.path("v1/instance"), secrets_directory: Some(secrets.clone()) };
    let converted = convert::instance_env(&request).unwrap();
    assert!(!converted.yaml.contains("pass$word"), "{}", converted.yaml);
    assert!(converted.yaml.contains(&format!("password: file:{}/", secrets.display())), "{}", converted.yaml);
    assert_eq!(converted.secrets.len(), 2);
    assert_eq!(converted.secrets[0].1.expose(), "pass$word");
}

#[test]
fn instance_env_with_a_command_is_refused_with_its_line() {
    let fixture = Fixture::new();
    fixture.replace("v1/instance/instance.env", "ZOSMF_PORT=443", "ZOSMF_PORT=$(cat /etc/port)");
    let request = Convert { directory: fixture.path("v1/instance"), secrets_directory: None };
    let ConvertError::Unusable { report, .. } = convert::instance_env(&request).unwrap_err();
    assert_eq!(report.problems.len(), 1, "{report}");
    assert_eq!(report.problems[0].origin.as_ref().unwrap().line, 16, "{report}");
}
