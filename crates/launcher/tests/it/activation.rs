//! Levels put in place under a running instance.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use tender_content::slot;
use tender_launcher::activation::{
    ActivationError, TestRequest, reload_and_wait, start_test, validate_and_configure,
};
use tender_launcher::progress::Silent;

use crate::run::{SERVER, start_ready};
use crate::world::{LIMIT, World, enabled, free_port, make_component, program};

/// A world whose runtime directory is a slot: a link to a level.
fn world() -> (World, u16) {
    let world = World::new();
    fs::remove_dir_all(world.path("runtime")).unwrap();
    let port = free_port();
    for level in ["one", "two"] {
        make_level(&world, level, port);
    }
    symlink("one", world.path("runtime")).unwrap();
    world.write_settings("", &enabled(&["server", "steady"]));
    (world, port)
}

fn make_level(world: &World, level: &str, port: u16) {
    let manifest = format!(
        "configs:\n  port: {port}\ntender:\n  readiness: {{ tcp: \"127.0.0.1:${{port}}\", deadline: 20s }}\n  \
         restartPolicy: {{ mode: never }}\n"
    );
    let root = world.path(level);
    make_component(
        &root.join("server"),
        "server",
        &manifest,
        &[
            ("bin/validate.sh", "validate_port_available $ZWE_configs_port || exit 1\n"),
            ("bin/configure.sh", "echo x > $ZWE_zowe_workspaceDirectory/server.conf\n"),
            ("bin/start.sh", SERVER),
        ],
    );
    make_component(&root.join("steady"), "steady", "", &[("bin/start.sh", "sleep 1000\n")]);
    fs::write(
        root.join("manifest.json"),
        format!("{{\"name\":\"Sample\",\"version\":\"1.0.{}\"}}", level.len()),
    )
    .unwrap();
}

fn pids(world: &World) -> Vec<(String, Option<u32>)> {
    let status = world.await_status(|status| status.is_ready);
    status.components.into_iter().map(|one| (one.name, one.pid)).collect()
}

#[test]
fn level_is_tried_without_touching_what_runs() {
    let (world, _) = world();
    let _running = start_ready(&world);
    let before = pids(&world);
    fs::write(world.workspace("server.conf"), "in use").unwrap();
    let tried = validate_and_configure(&world.instance(), &world.path("two"), &world.request(), &Silent);
    let prepared = tried.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(prepared.plan.unwrap().components.len(), 2);
    assert_eq!(fs::read_to_string(world.workspace("server.conf")).unwrap(), "in use");
    assert_eq!(pids(&world), before);
    let trials = fs::read_dir(world.workspace(".env"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".trial-"));
    assert_eq!(trials.count(), 0);
}

#[test]
fn level_whose_component_does_not_configure_is_unfit_with_its_output() {
    let (world, _) = world();
    fs::write(world.path("two/server/bin/configure.sh"), "echo no such table\nexit 4\n").unwrap();
    let error =
        validate_and_configure(&world.instance(), &world.path("two"), &world.request(), &Silent).unwrap_err();
    let ActivationError::Unfit { faults } = &error else { panic!("{error}") };
    let text = faults.join("\n");
    assert!(text.contains("exit 4") && text.contains("no such table") && text.contains("server"), "{text}");
}

#[test]
fn switch_restarts_what_changed_and_keeps_what_did_not() {
    let (world, port) = world();
    let _running = start_ready(&world);
    let before = pids(&world);
    fs::write(world.path("two/server/bin/more"), "new part").unwrap();
    slot::switch(&world.path("runtime"), std::path::Path::new("two")).unwrap();
    let reloaded = reload_and_wait(&world.instance(), LIMIT, &Silent).unwrap().unwrap();
    assert_eq!(
        (reloaded.changed, reloaded.unchanged),
        (vec!["server".to_owned()], vec!["steady".to_owned()])
    );
    let after = pids(&world);
    assert!(before[0] != after[0] && before[1] == after[1], "{before:?} {after:?}");
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[test]
fn level_that_does_not_become_ready_says_so_and_the_old_one_comes_back() {
    let (world, port) = world();
    let _running = start_ready(&world);
    fs::write(world.path("two/server/bin/start.sh"), "echo cannot find my library >&2\nexit 5\n").unwrap();
    slot::switch(&world.path("runtime"), std::path::Path::new("two")).unwrap();
    let error = reload_and_wait(&world.instance(), LIMIT, &Silent).unwrap_err();
    let ActivationError::NotReady { components, .. } = &error else { panic!("{error}") };
    let server = components.iter().find(|one| one.name == "server").unwrap();
    assert!(server.lines().join("\n").contains("cannot find my library"), "{server:?}");
    slot::switch(&world.path("runtime"), std::path::Path::new("one")).unwrap();
    let reloaded = reload_and_wait(&world.instance(), LIMIT, &Silent).unwrap().unwrap();
    assert_eq!(reloaded.changed, ["server"]);
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[test]
fn reload_of_an_instance_that_does_not_run_is_nothing() {
    let (world, _) = world();
    assert_eq!(reload_and_wait(&world.instance(), LIMIT, &Silent).unwrap(), None);
}

#[test]
fn test_instance_shows_ready_and_stops_or_shows_what_failed() {
    let (world, port) = world();
    let request = TestRequest { program: program().to_owned(), limit: LIMIT, is_kept: false };
    let result = start_test(&world.instance(), &request).unwrap();
    assert!(result.is_ready, "{result:#?}");
    assert_eq!(result.status.unwrap().components.len(), 2);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err() && world.status().is_none());
    fs::write(world.path("one/server/bin/start.sh"), "echo broken by the fix\nexit 1\n").unwrap();
    let result =
        start_test(&world.instance(), &TestRequest { limit: Duration::from_secs(30), ..request }).unwrap();
    assert!(!result.is_ready && result.faults.join("\n").contains("broken by the fix"), "{result:#?}");
}
