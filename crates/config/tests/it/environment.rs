//! What components get.

use std::process::Command;

use tender_config::environment::{self, Environment, Format};
use tender_config::load::LegacyNames;
use tender_config::{Configuration, Load};

use crate::fixture::Fixture;

fn of(fixture: &Fixture, id: &str, component: &str) -> Environment {
    let (configuration, report) = fixture.load(&["zowe.yaml"]);
    assert!(!report.has_errors(), "{report}");
    environment::component(&configuration.for_instance(Some(id)).unwrap(), component).unwrap()
}

fn text(environment: &Environment, name: &str) -> String {
    environment.get(name).map_or_else(|| format!("no {name}"), |value| value.text.to_string())
}

#[test]
fn component_gets_the_names_that_scripts_read() {
    let fixture = Fixture::new();
    let one = of(&fixture, "lpar1", "api-catalog");
    for (name, expected) in [
        ("ZWE_components_api_catalog_port", "7552"),
        ("ZWE_configs_port", "7552"),
        ("ZWE_configs_enabled", "true"),
        ("ZWE_components_gateway_port", "7554"),
        ("ZWE_zowe_externalDomains", "zowe.example.com,other.example.com"),
        ("ZWE_zowe_externalDomains_0", "zowe.example.com"),
        ("ZWE_zowe_externalDomains_1", "other.example.com"),
        ("ZWE_haInstance_id", "lpar1"),
        ("ZWE_haInstance_hostname", "lpar1.example.com"),
        ("ZWE_haInstances_LPAR_2_components_gateway_port", "17554"),
        ("JAVA_HOME", "/usr/lib/jvm/default"),
        ("NODE_HOME", "/usr"),
        ("ZOSMF_HOST", "zosmf.example.com"),
        ("ZOSMF_APPLID", "IZUDFLT"),
        ("ZWE_zOSMF_port", "443"),
        ("ZWE_STATIC_DEFINITIONS_DIR", "/var/lib/zowe/workspace/api-mediation/api-defs"),
        ("ZWE_GATEWAY_SHARED_LIBS", "/var/lib/zowe/workspace/gateway/sharedLibs/"),
        ("ZWE_VERSION", "3.0.0"),
        ("ZWE_PRIVATE_LOG_LEVEL_ZWELS", "INFO"),
        ("ZWE_CLI_PARAMETER_COMPONENT", "api-catalog"),
        ("LITERAL", "$HOME and `id` and \"quotes\""),
        ("NUMBER", "0010"),
        ("EMPTY", ""),
        ("ZWE_zowe_certificate_keystore_alias", "localhost"),
    ] {
        assert_eq!(text(&one, name), expected, "{name}");
    }
    assert!(one.get("ZWE_zowe_environments_LITERAL").is_none());
    assert!(one.get("ZWE_hostname").is_none() && one.get("ZWE_sysname").is_none());
    assert!(one.iter().all(|(name, _)| !name.contains("tender")), "Tender's own keys are no variables");
    assert_eq!(text(&one, "ZWE_INSTALLED_COMPONENTS").split(',').count(), 10);
    assert!(text(&one, "ZWE_ENABLED_COMPONENTS").starts_with("gateway,discovery,api-catalog"));
    assert!(!text(&one, "ZWE_LAUNCH_COMPONENTS").contains("explorer-jes"));
    assert_eq!(one.problems, []);
}

#[test]
fn component_with_digits_and_dots_gets_its_settings() {
    let fixture = Fixture::new();
    let tools = of(&fixture, "lpar1", "vendor.tools-1");
    assert_eq!(text(&tools, "ZWE_configs_level"), "ZWE1-ZWE1SV");
    assert_eq!(text(&tools, "ZWE_configs_port"), "9001");
    assert_eq!(text(&tools, "ZWE_components_vendor_tools_1_port"), "9001");
}

#[test]
fn array_that_an_instance_shortens_leaves_nothing_behind() {
    let fixture = Fixture::new();
    let (one, two) = (of(&fixture, "lpar1", "sample-extension"), of(&fixture, "lpar_2", "sample-extension"));
    assert_eq!(text(&one, "ZWE_configs_users"), "a,b,c");
    assert_eq!(text(&one, "ZWE_components_sample_extension_users_2"), "c");
    assert_eq!(text(&two, "ZWE_configs_users"), "z");
    assert!(
        two.get("ZWE_configs_users_1").is_none()
            && two.get("ZWE_components_sample_extension_users_1").is_none()
    );
    let long: Vec<_> = (0..25).map(|number| format!("u{number}")).collect();
    fixture.replace("zowe.yaml", "        users: [z]", &format!("        users: [{}]", long.join(",")));
    let two = of(&fixture, "lpar_2", "sample-extension");
    assert_eq!(text(&two, "ZWE_configs_users"), long.join(","));
    assert_eq!(text(&two, "ZWE_configs_users_24"), "u24");
}

#[test]
fn component_gets_its_own_secrets_and_not_those_of_others() {
    let fixture = Fixture::new();
    let (gateway, caching) = (of(&fixture, "lpar1", "gateway"), of(&fixture, "lpar1", "caching-service"));
    assert!(gateway.get("ZWE_configs_signOn_clientKey").unwrap().is_secret());
    assert!(caching.get("ZWE_components_gateway_signOn_clientKey").is_none());
    assert!(caching.get("ZWE_configs_storage_redis_ssl_keystorePassword").unwrap().is_secret());
    assert!(gateway.get("ZWE_components_caching_service_storage_redis_ssl_keystorePassword").is_none());
    assert!(gateway.get("ZWE_zowe_certificate_keystore_password").unwrap().is_secret());
    assert!(gateway.get("ZWE_zowe_setup_certificate_pkcs12_password").is_none());
    assert!(gateway.get("SERVICE_TOKEN").unwrap().is_secret());
    let json: serde_json::Value = serde_json::from_str(&gateway.render(Format::Json)).unwrap();
    assert_eq!(json["ZWE_configs_signOn_clientKey"], "(secret)");
}

#[test]
fn environment_that_is_resolved_reaches_a_process_unchanged() {
    let fixture = Fixture::new();
    let secret = fixture.write("secret", "p$w 'q'\n");
    for old in ["file:/etc/zowe/keystore.secret\n      alias", "file:/etc/zowe/keystore.secret\n    pem"] {
        let new = old.replace("/etc/zowe/keystore.secret", &secret.display().to_string());
        fixture.replace("zowe.yaml", old, &new);
    }
    fixture.replace("zowe.yaml", "env:SERVICE_TOKEN", "\"two\\nlines\"");
    let resolved = of(&fixture, "lpar1", "discovery").resolve().unwrap();
    let script =
        "printf '%s|%s|%s' \"$ZWE_zowe_certificate_keystore_password\" \"$LITERAL\" \"$SERVICE_TOKEN\"";
    let output =
        Command::new("/bin/sh").args(["-c", script]).env_clear().envs(resolved.into_map()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "p$w 'q'|$HOME and `id` and \"quotes\"|two\nlines");
    let error = of(&fixture, "lpar1", "gateway").resolve().unwrap_err();
    assert!(error.to_string().contains("signOn.clientKey"), "{error}");
}

#[test]
fn names_that_collide_are_reported_with_both_keys() {
    let fixture = Fixture::new();
    fixture.replace(
        "zowe.yaml",
        "    level: '",
        "    a-b: 1\n    a.b: 2\n    same-x: 1\n    same_x: 1\n    level: '",
    );
    let tools = of(&fixture, "lpar1", "vendor.tools-1");
    let found: Vec<_> = tools.problems.iter().filter(|one| one.message.contains("ZWE_configs_a_b")).collect();
    assert_eq!(found.len(), 1, "{:?}", tools.problems);
    assert!(found[0].message.contains("`configs.a-b`") && found[0].message.contains("`configs.a.b`"));
    assert_eq!(text(&tools, "ZWE_configs_a_b"), "1");
    assert!(!tools.problems.iter().any(|one| one.message.contains("same")));
}

#[test]
fn discovery_list_is_the_same_everywhere() {
    let fixture = Fixture::new();
    let list = "https://lpar1.example.com:7553/eureka/,https://lpar2.example.com:17553/eureka/";
    for id in ["lpar1", "lpar_2", "lpar3"] {
        assert_eq!(text(&of(&fixture, id, "gateway"), "ZWE_DISCOVERY_SERVICES_LIST"), list);
    }
    let text_of_file = std::fs::read_to_string(fixture.path("zowe.yaml")).unwrap();
    let (without, _) = text_of_file.split_once("haInstances:").unwrap();
    fixture.write("zowe.yaml", without);
    assert_eq!(
        text(&of(&fixture, "any", "gateway"), "ZWE_DISCOVERY_SERVICES_LIST"),
        "https://zowe.example.com:7553/eureka/,https://other.example.com:7553/eureka/"
    );
    fixture.replace(
        "zowe.yaml",
        "  discovery:\n    enabled: true",
        "  discovery:\n    replicas: 2\n    enabled: true",
    );
    assert_eq!(
        text(&of(&fixture, "any", "gateway"), "ZWE_DISCOVERY_SERVICES_LIST"),
        "https://discovery-0.discovery-service.zowe.svc.cluster.local:7553/eureka/,https://discovery-1.discovery-service.zowe.svc.cluster.local:7553/eureka/"
    );
}

#[test]
fn variables_of_version_1_are_there_when_it_is_meant() {
    let fixture = Fixture::new();
    assert!(of(&fixture, "lpar1", "gateway").get("GATEWAY_PORT").is_none());
    let always = |file: &str, legacy_names| {
        let load = Load { legacy_names, ..fixture.request(&[file]) };
        let (configuration, report) = Configuration::load(&load).unwrap();
        assert!(!report.has_errors(), "{report}");
        environment::component(&configuration.for_instance(Some("lpar1")).unwrap(), "gateway").unwrap()
    };
    assert_eq!(text(&always("zowe.yaml", LegacyNames::Always), "GATEWAY_PORT"), "7554");
    let old = always("v1/zowe.yaml", LegacyNames::Auto);
    for (name, expected) in [
        ("GATEWAY_PORT", "7554"),
        ("ZOWE_PREFIX", "ZWE"),
        ("ZOWE_INSTANCE", "7"),
        ("ZOWE_EXPLORER_HOST", "lpar1.example.com"),
        ("ZOWE_IP_ADDRESS", "192.0.2.10"),
        ("LAUNCH_COMPONENT_GROUPS", "GATEWAY,DESKTOP"),
        ("ZWE_LAUNCH_COMPONENTS", "gateway,discovery,app-server,jobs-api"),
        ("KEYSTORE_DIRECTORY", "/global/zowe/keystore"),
        ("KEY_ALIAS", "inside"),
        ("KEYSTORE_PASSWORD", "(secret)"),
        ("VERIFY_CERTIFICATES", "false"),
        ("NONSTRICT_VERIFY_CERTIFICATES", "true"),
        ("ZWE_HA_INSTANCES_COUNT", "2"),
        ("JOBS_API_PORT", "8545"),
        ("EUREKA_INSTANCE_HOMEPAGEURL", "https://dvipa.example.com:7554/"),
    ] {
        assert_eq!(text(&old, name), expected, "{name}");
    }
    assert!(always("v1/zowe.yaml", LegacyNames::Never).get("GATEWAY_PORT").is_none());
}

#[test]
fn variables_of_the_caller_win_and_those_of_the_launcher_stay() {
    let fixture = Fixture::new();
    fixture.replace(
        "zowe.yaml",
        "    NUMBER: 0010",
        "    NUMBER: 0010\n    ZWE_zowe_runtimeDirectory: /elsewhere",
    );
    let load = Load {
        extra_environment: [("NUMBER".to_owned(), "5".to_owned())].into(),
        ..fixture.request(&["zowe.yaml"])
    };
    let (configuration, _) = Configuration::load(&load).unwrap();
    let environment = environment::instance(&configuration.for_instance(Some("lpar1")).unwrap());
    assert_eq!(text(&environment, "NUMBER"), "5");
    assert_eq!(text(&environment, "ZWE_zowe_runtimeDirectory"), fixture.path("runtime").to_str().unwrap());
    assert_eq!(environment.problems.len(), 1);
}

#[test]
fn environment_of_an_unknown_component_is_refused() {
    let fixture = Fixture::new();
    let (configuration, _) = fixture.load(&["zowe.yaml"]);
    let instance = configuration.for_instance(Some("lpar1")).unwrap();
    assert!(environment::component(&instance, "nobody").is_err());
}
