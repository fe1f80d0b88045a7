//! The configuration of an instance: checked, explained, converted.

use std::fs;

use crate::installation::Installation;

/// Replaces a piece of the configuration.
#[track_caller]
fn edit(here: &Installation, old: &str, new: &str) {
    let path = here.path("instance/zowe.yaml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "no `{old}` in {text}");
    fs::write(&path, text.replacen(old, new, 1)).unwrap();
}

#[test]
fn validation_reports_every_problem_with_its_place_in_one_go() {
    let here = Installation::new();
    here.tender("validate").ends(0).says("echo").says("pulse");
    edit(&here, "logDirectory", "logDirectroy");
    edit(&here, "minUptime: 2", "minUptime: soon");
    let text = fs::read_to_string(here.path("instance/zowe.yaml")).unwrap();
    let line = |word: &str| text.lines().position(|line| line.contains(word)).unwrap() + 1;
    let answer = here.tender("validate").ends(16);
    let answer = answer.says(&format!("zowe.yaml:{}:", line("logDirectroy"))).says("logDirectory");
    answer.says(&format!("zowe.yaml:{}:", line("soon"))).says("minUptime");
    here.tender("config validate").ends(16).says("logDirectroy").says("soon");
    let document = here.json("config validate");
    assert_eq!(document["code"], 16);
    assert_eq!(document["data"]["errors"], 2, "{document}");
    assert!(!here.path("instance/workspace/.env").exists(), "validation leaves nothing behind");
}

#[test]
fn value_is_shown_explained_and_given_to_its_component() {
    let here = Installation::new();
    here.configure(&[("greeting", "servus")]);
    here.tender("config get components.echo.greeting").ends(0).says("servus");
    here.tender("config get components.echo.nosuch").ends(28);
    let over = here.path("over.yaml");
    fs::write(&over, "components:\n  echo:\n    greeting: moin\n").unwrap();
    let config = format!("--config 'FILE({}):FILE({})'", over.display(), here.at("instance/zowe.yaml"));
    here.tender(&format!("config get components.echo.greeting {config}")).ends(0).says("moin");
    let explained = here.tender(&format!("config explain components.echo.greeting {config}")).ends(0);
    explained.says("over.yaml:3").says("zowe.yaml:").says("servus");
    here.tender("config env echo").ends(0).says("ZWE_configs_greeting").says("servus");
    here.tender("config env nosuch").ends(28).says("echo");
    here.tender("config schema").ends(0).says("zowe-yaml");
}

#[test]
fn secret_is_never_shown() {
    let here = Installation::new();
    let text = fs::read_to_string(here.path("instance/zowe.yaml")).unwrap();
    let secret = "zowe:\n  certificate:\n    keystore:\n      type: PKCS12\n      file: /nowhere/keystore.p12\n      \
                  alias: localhost\n      password: hunter2swordfish\n    truststore:\n      type: PKCS12\n      \
                  file: /nowhere/truststore.p12\n      password: hunter2swordfish\n";
    fs::write(here.path("instance/zowe.yaml"), text.replacen("zowe:\n", secret, 1)).unwrap();
    for line in [
        "config get zowe.certificate",
        "config explain zowe.certificate.keystore.password",
        "config env echo",
        "config validate",
        "validate",
        "support --target-dir bundle",
    ] {
        for line in [line.to_owned(), format!("{line} --json")] {
            let answer = here.tender(&line);
            assert!(!answer.text.contains("swordfish"), "`{line}` shows the secret: {}", answer.text);
        }
    }
}

#[test]
fn instance_env_of_version_one_is_converted() {
    let here = Installation::new();
    fs::create_dir_all(here.path("old")).unwrap();
    let text = format!(
        "ROOT_DIR={}\nZOWE_PREFIX=ZWE\nZOWE_INSTANCE=1\nGATEWAY_PORT=7554\nDISCOVERY_PORT=7553\n",
        here.at("product")
    );
    fs::write(here.path("old/instance.env"), text).unwrap();
    here.tender(&format!("config convert {}", here.at("old"))).ends(0).says("7554").says("gateway");
    let to = here.path("new.yaml");
    here.tender(&format!("config convert {} --to {}", here.at("old"), to.display())).ends(0);
    assert!(fs::read_to_string(&to).unwrap().contains("7553"));
    here.tender(&format!("config convert {} --to {}", here.at("old"), to.display())).ends(16);
}

#[test]
fn validation_tells_when_nothing_would_start() {
    let here = Installation::new();
    edit(&here, "pulse:\n    enabled: true", "pulse:\n    enabled: false");
    edit(&here, "echo:\n    enabled: true", "echo:\n    enabled: false");
    here.tender("validate").ends(16).says("none is enabled").says("would not start");
    here.tender("start").ends(16).says("none is enabled");
}

#[test]
fn validation_tells_of_scripts_that_could_not_be_run() {
    let here = Installation::new();
    here.tender("validate").ends(0).says("would start: pulse echo");
    let start = here.path("product/components/pulse/bin/start.sh");
    // Without a shell as its interpreter it must be executable.
    fs::write(&start, "#!/usr/bin/env python3\n").unwrap();
    fs::set_permissions(&start, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    here.tender("validate").ends(4).says("neither a shell script nor executable").says("would start: echo");
    fs::remove_file(&start).unwrap();
    here.tender("validate").ends(4).says("is not there").says("would start: echo");
    fs::remove_file(here.path("product/components/echo/bin/configure.sh")).unwrap();
    here.tender("validate").ends(4).says("configure of echo");
    fs::remove_dir_all(here.path("product")).unwrap();
    let answer = here.tender("validate").ends(16);
    assert!(!answer.text.contains("would start:"), "{}", answer.text);
}

#[test]
fn validation_tells_of_components_that_wait_for_each_other_or_for_nothing() {
    let here = Installation::new();
    let manifest = here.path("product/components/pulse/manifest.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{text}tender:\n  requires: [echo]\n")).unwrap();
    here.configure(&[("tender", "{ requires: [pulse] }")]);
    for line in ["validate", "start"] {
        here.tender(line).ends(if line == "start" { 12 } else { 16 }).says("wait for each other");
    }
    here.configure(&[("tender", "{ onFailure: skip }")]);
    fs::remove_file(here.path("product/components/echo/bin/validate.sh")).unwrap();
    here.tender("validate").ends(16).says("it requires echo, which is left out");
}

#[test]
fn validation_without_an_ha_instance_is_about_all_of_them() {
    let here = Installation::new();
    let path = here.path("instance/zowe.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let more = "haInstances:\n  nowhere1: { hostname: a.example, sysname: N1 }\n  nowhere2: { hostname: b.example, \
                sysname: N2 }\n";
    fs::write(&path, format!("{text}{more}")).unwrap();
    here.tender("config validate").ends(0).says("for HA instances nowhere1 nowhere2");
    here.tender("config validate -i nowhere2").ends(0).says("for HA instance nowhere2");
    here.tender("config validate -i elsewhere").ends(28).says("nowhere1 nowhere2");
}

#[test]
fn template_that_cannot_be_evaluated_is_told_where_its_value_is_asked_for() {
    let here = Installation::new();
    here.configure(&[("greeting", "\"${{ components.echo.prot.value }}\""), ("other", "1")]);
    here.tender("config get components.echo.greeting").ends(16).says("zowe.yaml:").says("prot");
    here.tender("config get components.echo").ends(4).says("\"other\": 1").says("prot");
    here.tender("config get components.echo.other").ends(0);
}

#[test]
fn two_keys_of_one_variable_are_told() {
    let here = Installation::new();
    here.configure(&[("a-b", "1"), ("a_b", "2")]);
    here.tender("config validate").ends(4).says("ZWE_components_echo_a_b").says("different values");
}

#[test]
fn keys_are_set_all_together_or_not_at_all() {
    let here = Installation::new();
    let before = fs::read_to_string(here.path("instance/zowe.yaml")).unwrap();
    here.tender("config set components.echo.greeting=servus zowe=1").ends(16);
    assert_eq!(fs::read_to_string(here.path("instance/zowe.yaml")).unwrap(), before);
    here.tender("config set components.echo.greeting=servus components.pulse.x=2").ends(0);
    here.tender("config get components.pulse.x").ends(0).says("2");
}
