//! An instance directory of version 1: `instance.env`, scripts in `bin/`, variables by their old names.

use std::fs;

use tender_launcher::launch::background::{Started, start};
use tender_launcher::progress::Silent;
use tender_launcher::summary::{Outcome, Phase};

use crate::run::{Running, start_request};
use crate::world::{World, await_some, free_port, make_component, outcome, row};

/// A component of the product and an extension, found as version 1 named them, and an `instance.env`.
fn version_one(world: &World, port: u16) {
    fs::remove_file(world.path("instance/zowe.yaml")).unwrap();
    let start = "echo \"gateway at $GATEWAY_PORT of $ROOT_DIR in $INSTANCE_DIR\" > $WORKSPACE_DIR/seen\n\
                 echo \"$MY_OWN\" >> $WORKSPACE_DIR/seen\necho \"$EXPORTED\" >> $WORKSPACE_DIR/seen\nsleep 1000 &\nwait\n";
    world.component(
        "gateway",
        "",
        &[
            ("bin/validate.sh", "[ \"$GATEWAY_PORT\" -gt 0 ] && [ -d \"$WORKSPACE_DIR\" ]\n"),
            ("bin/configure.sh", "export EXPORTED=\"by configure\"\n"),
            ("bin/start.sh", start),
        ],
    );
    make_component(
        &world.path("extensions/my-tool"),
        "my-tool",
        "",
        &[("bin/start.sh", "exec sleep 1000\n")],
    );
    let text = format!(
        "# Version 1\nROOT_DIR={}\nZOWE_PREFIX=ZWE\nZOWE_INSTANCE=2\nLAUNCH_COMPONENT_GROUPS=GATEWAY\n\
         EXTERNAL_COMPONENTS={}/my-tool/bin\nZOWE_EXPLORER_HOST=localhost\nZOWE_IP_ADDRESS=127.0.0.1\n\
         GATEWAY_PORT={port}\nMY_OWN='costs $5 & \"more\"'\n",
        world.path("runtime").display(),
        world.path("extensions").display(),
    );
    fs::write(world.path("instance/instance.env"), text).unwrap();
    fs::create_dir_all(world.path("instance/workspace")).unwrap();
}

#[test]
fn instance_of_version_one_is_prepared_with_what_is_installed_of_its_groups() {
    let world = World::new();
    version_one(&world, free_port());
    let prepared = world.prepare();
    let plan = prepared.plan.as_ref().unwrap_or_else(|| panic!("{prepared:#?}"));
    let names: Vec<&str> = plan.components.iter().map(|component| component.name.as_str()).collect();
    assert_eq!(names, ["gateway", "my-tool"], "{prepared:#?}");
    assert_eq!(plan.instance.job_name, "ZWE2SV");
    assert_eq!(outcome(&prepared, Phase::Validate, "gateway"), Outcome::Done);
    // The group has more than this product brings.
    let found = row(&prepared, Phase::Validate, "discovery");
    assert!(found.outcome == Outcome::Skipped && found.reason.as_ref().unwrap().contains("not installed"));
    let environment = &plan.components[0].environment.0;
    assert_eq!(environment["MY_OWN"], "costs $5 & \"more\"");
    assert_eq!(environment["EXPORTED"], "by configure");
}

#[test]
fn instance_of_version_one_runs_and_stops() {
    let world = World::new();
    let port = free_port();
    version_one(&world, port);
    let running = Running { world: &world };
    let started = start(&world.instance(), &start_request(), &Silent).unwrap();
    assert!(matches!(started, Started::Ready(_)), "{started:#?}");
    let seen = await_some("what the start script saw", || {
        let text = fs::read_to_string(world.workspace("seen")).ok()?;
        (text.lines().count() == 3).then_some(text)
    });
    let expected = format!(
        "gateway at {port} of {} in {}\ncosts $5 & \"more\"\nby configure\n",
        world.path("runtime").display(),
        world.path("instance").display()
    );
    assert_eq!(seen, expected);
    drop(running);
    assert!(world.status().is_none());
}

#[test]
fn command_in_an_instance_env_is_refused_with_its_line_and_not_run() {
    let world = World::new();
    version_one(&world, free_port());
    let path = world.path("instance/instance.env");
    let text = fs::read_to_string(&path).unwrap();
    let canary = world.path("executed");
    fs::write(&path, format!("{text}EVIL=$(touch {})\n", canary.display())).unwrap();
    let error = world.instance().load().unwrap_err();
    let said = format!("{error:?}");
    assert!(said.contains("instance.env") && said.contains("line: 11"), "{said}");
    assert!(!canary.exists());
}
