//! A secret in every form a configuration can give it, and everything that is printed or written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::installation::{Installation, script};
use crate::world::{Answer, answer};

/// Part of every secret; nothing else has it.
const CANARY: &str = "kanarie4711";

/// The forms, and the setting of `echo` that has it.
const FORMS: [(&str, &str); 4] =
    [("literal", "literalKey"), ("file", "fileKey"), ("env", "envKey"), ("credential", "credentialKey")];

fn secret(form: &str) -> String {
    format!("{form}-{CANARY}")
}

/// An installation whose `echo` has a secret in each form, is given it, and gives one on.
fn installation() -> Installation {
    let here = Installation::new();
    fs::create_dir_all(here.path("kept/credentials")).unwrap();
    fs::write(here.path("kept/password"), secret("file")).unwrap();
    fs::write(here.path("kept/credentials/db"), secret("credential")).unwrap();
    let echo = here.path("product/components/echo");
    let keys: Vec<String> =
        FORMS.iter().map(|(_, key)| format!("\"{key}\":{{\"type\":\"string\",\"x-secret\":true}}")).collect();
    let schema = format!(
        "{{\"$schema\":\"https://json-schema.org/draft/2019-09/schema\",\"$id\":\"https://example.org/echo\",\
         \"type\":\"object\",\"properties\":{{\"port\":{{\"type\":\"integer\"}},{}}}}}",
        keys.join(",")
    );
    fs::write(echo.join("schema.json"), schema).unwrap();
    let manifest = fs::read_to_string(echo.join("manifest.yaml")).unwrap();
    fs::write(echo.join("manifest.yaml"), format!("schemas:\n  configs: schema.json\n{manifest}")).unwrap();
    // The component is given every one of them, and hands a new one on to its start.
    let seen: Vec<String> = FORMS
        .iter()
        .map(|(form, key)| format!("[ \"$ZWE_configs_{key}\" = '{}' ] || exit 9", secret(form)))
        .collect();
    script(&echo.join("bin/validate.sh"), &seen.join("\n"));
    script(
        &echo.join("bin/configure.sh"),
        &format!("export GREETING=hello DB_PASSWORD=export-{CANARY} COPY=\"$ZWE_configs_fileKey\""),
    );
    let text = format!(
        "    literalKey: {}\n    fileKey: file:{}\n    envKey: env:CANARY_KEY\n    credentialKey: credential:db\n",
        secret("literal"),
        here.at("kept/password"),
    );
    let path = here.path("instance/zowe.yaml");
    let yaml = fs::read_to_string(&path).unwrap();
    fs::write(&path, yaml + &text).unwrap();
    here.configure_more(&format!(
        "  environments:\n    MY_TOKEN: literal-{CANARY}\n  setup:\n    certificate:\n      type: PKCS12\n      pkcs12:\n        \
         directory: {}\n        password: literal-{CANARY}\n        caPassword: file:{}\n",
        here.at("keystore"),
        here.at("kept/password")
    ));
    here
}

fn command(here: &Installation, line: &str) -> Command {
    let mut command = here.command(line);
    command.env("CANARY_KEY", secret("env")).env("CREDENTIALS_DIRECTORY", here.path("kept/credentials"));
    command
}

/// Runs a command, and asserts that it shows no secret.
#[track_caller]
fn quiet(here: &Installation, line: &str) -> Answer {
    let answer = answer(line, &command(here, line).output().unwrap());
    assert!(!answer.text.contains(CANARY), "`tender {line}` shows a secret:\n{}", answer.text);
    answer
}

/// Lists the files below a directory that hold a secret.
fn betrayers(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            betrayers(&path, found);
        } else if metadata.is_file() {
            let bytes = fs::read(&path).unwrap();
            if bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
                found.push(format!("{} ({:o})", path.display(), metadata.permissions().mode() & 0o777));
            }
        }
    }
}

#[test]
fn secret_in_no_form_is_printed_logged_kept_or_bundled() {
    let here = installation();
    quiet(&here, "certificate init --update-config").ends(0);
    // Secrets in clear text are warned of, and not shown.
    quiet(&here, "start").ends(4).says("clear text");
    let mut lines: Vec<String> = [
        "status",
        "logs",
        "logs echo",
        "validate",
        "verify",
        "config validate",
        "config get zowe",
        "config get components",
        "config get components.echo.fileKey",
        "config explain zowe",
        "config explain components.echo",
        "config env echo",
        "config env pulse",
        "start --check",
        "reload --check",
        "reload",
        "restart echo --reconfigure",
        "component list",
        "component verify echo",
        "certificate show",
        "certificate verify",
        "console DISP",
        "stop --check",
    ]
    .map(str::to_owned)
    .to_vec();
    lines.extend(FORMS.map(|(_, key)| format!("config explain components.echo.{key}")));
    for line in lines {
        for form in [line.clone(), format!("{line} --json")] {
            quiet(&here, &form);
        }
    }
    fs::create_dir(here.path("bundle")).unwrap();
    quiet(&here, "support --target-dir bundle").ends(0);
    let unpacked = here.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    for archive in fs::read_dir(here.path("bundle")).unwrap() {
        let archive = archive.unwrap().path();
        let done = Command::new("tar").arg("xf").arg(archive).arg("-C").arg(&unpacked).status().unwrap();
        assert!(done.success());
    }
    assert!(fs::read_dir(&unpacked).unwrap().next().is_some(), "the bundle is empty");
    quiet(&here, "stop").ends(0);
    let mut found = Vec::new();
    for place in ["instance/workspace", "instance/logs", "unpacked"] {
        betrayers(&here.path(place), &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn secret_that_cannot_be_had_is_named_and_stops_its_component_alone() {
    let here = installation();
    let mut start = here.command("start");
    start.env("CANARY_KEY", secret("env"));
    let answer = answer("start", &start.output().unwrap());
    assert!(!answer.text.contains(CANARY), "{}", answer.text);
    answer.ends(4).says("CREDENTIALS_DIRECTORY").says("echo");
    here.await_state("pulse", "READY");
}

#[test]
fn secret_in_a_place_of_another_type_is_refused_without_showing_it() {
    let here = installation();
    // The wrong key, the wrong type and the wrong place: reports show what they found, but not this.
    here.configure_more(&format!(
        "  certificate:\n    keystore:\n      type: PKCS12\n      file: /nowhere\n      password: [\"{CANARY}\"]\n      \
         passwrod: {CANARY}\n"
    ));
    for line in ["config validate", "validate", "start", "config validate --json", "validate --json"] {
        let answer = quiet(&here, line);
        assert!(answer.code.is_some_and(|code| code >= 4), "`{line}`: {}", answer.text);
    }
}
