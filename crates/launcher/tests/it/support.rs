//! The support bundle and the checks of an instance.

use std::fs;
use std::process::Command;

use tender_launcher::check::CheckOutcome;
use tender_launcher::{discover, support, verify};

use crate::run::start_ready;
use crate::world::{World, enabled};

const SECRETS: [&str; 4] =
    ["hunter2-literal", "hunter3-in-a-file", "hunter4-exported", "hunter5-in-environments"];

fn world() -> World {
    let world = World::new();
    fs::write(world.path("password"), SECRETS[1]).unwrap();
    fs::create_dir_all(world.path("keystore")).unwrap();
    fs::write(world.path("keystore/key.pem"), "-----BEGIN PRIVATE KEY-----").unwrap();
    let start = format!("echo DB_PASSWORD={} url=x:{}@y\nsleep 1000\n", SECRETS[0], SECRETS[1]);
    let configure = format!("export DB_PASSWORD={}\n", SECRETS[2]);
    world.component("a", "", &[("bin/configure.sh", &configure), ("bin/start.sh", &start)]);
    let file = world.path("password").display().to_string();
    let zowe = format!(
        "  environments:\n    MY_PASSWORD: {}\n  certificate:\n    keystore: {{ type: PKCS12, file: {}/none.p12, alias: x, password: {} }}\n    \
         truststore: {{ type: PKCS12, file: {}/none.p12, password: \"file:{file}\" }}\n",
        SECRETS[3],
        world.dir.path().display(),
        SECRETS[0],
        world.dir.path().display(),
    );
    world.write_settings(&zowe, &enabled(&["a"]));
    world
}

/// Unpacks a bundle and returns everything in it, names and bytes.
fn unpacked(world: &World, bundle: &std::path::Path) -> String {
    let into = world.path("unpacked");
    fs::create_dir_all(&into).unwrap();
    assert!(Command::new("tar").arg("xzf").arg(bundle).arg("-C").arg(&into).status().unwrap().success());
    let output = Command::new("grep").args(["-r", ""]).arg(&into).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn bundle_holds_no_secret_and_no_key() {
    let world = world();
    // Snapshots and logs with secrets in them lie in the instance: the bundle must not take them over.
    world.prepare();
    let logs = world.path("instance/logs");
    fs::create_dir_all(&logs).unwrap();
    let line = format!(
        "12:00 connecting with {} and {}\n  password: {}\nGET https://bob:url-pass-1@h/ with Bearer bearer-token-1\n",
        SECRETS[0], SECRETS[1], SECRETS[2]
    );
    fs::write(logs.join("a.log"), line).unwrap();
    let bundle = support::collect(&world.instance(), world.dir.path()).unwrap();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);
    let text = unpacked(&world, &bundle);
    for secret in SECRETS.iter().chain(&["BEGIN PRIVATE KEY", "url-pass-1", "bearer-token-1"]) {
        let found: Vec<&str> = text.lines().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
    for part in
        ["MANIFEST", "configuration/effective.json", "components/a/manifest.yaml", "logs/a.log", "host.txt"]
    {
        assert!(text.contains(part), "{part}");
    }
    assert!(text.contains("connecting with (secret) and (secret)"));
}

#[test]
fn snapshots_hold_no_secret() {
    let world = world();
    world.prepare();
    let output = Command::new("grep").args(["-r", ""]).arg(world.workspace(".env")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for secret in SECRETS {
        assert!(
            !text.contains(secret),
            "{}",
            text.lines().find(|line| line.contains(secret)).unwrap_or_default()
        );
    }
}

#[test]
fn bundle_of_an_instance_with_a_broken_configuration_tells_what_is_broken() {
    let world = World::new();
    fs::write(world.path("instance/zowe.yaml"), "zowe: [\n").unwrap();
    let bundle = support::collect(&world.instance(), world.dir.path()).unwrap();
    let text = unpacked(&world, &bundle);
    assert!(text.contains("problems.txt") && text.contains("zowe.yaml:"), "{text}");
}

#[test]
fn checks_tell_a_running_instance_from_a_stopped_one() {
    let world = World::new();
    world.component("a", "", &[("bin/start.sh", "sleep 1000\n")]);
    world.write_settings("", &enabled(&["a"]));
    let outcome = |what: &str| {
        let checks = verify::verify(&world.instance()).unwrap();
        checks.into_iter().find(|check| check.what == what).map(|check| check.outcome)
    };
    assert_eq!(outcome("launcher"), Some(CheckOutcome::Failed));
    let _running = start_ready(&world);
    assert_eq!(outcome("launcher"), Some(CheckOutcome::Passed));
    assert_eq!(outcome("component a"), Some(CheckOutcome::Passed));
    assert_eq!(outcome("workspace"), Some(CheckOutcome::Passed));
}

#[test]
fn components_are_listed_with_what_is_launched() {
    let world = World::new();
    world.component("a", "", &[("bin/start.sh", "sleep 1\n")]);
    world.component("library", "", &[]);
    world.component("off", "", &[("bin/start.sh", "sleep 1\n")]);
    world.write_settings("", &enabled(&["a", "library"]));
    let loaded = world.instance().load().unwrap();
    assert_eq!(discover::launched(&loaded), ["a"]);
    let listed = discover::components(&loaded);
    let off = listed.iter().find(|one| one.name == "off").unwrap();
    assert!(off.is_core && !off.is_enabled && !off.is_launched);
    assert_eq!(listed.len(), 3);
}
