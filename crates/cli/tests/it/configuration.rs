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
    assert_eq!(document["data"]["problems"].as_array().unwrap().len(), 2, "{document}");
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
