//! Components installed, replaced and removed; killed at every step on the way.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tender_launcher::component::{
    self, ComponentError, InstallRequest, source::SourceError, transaction::FAULT_POINTS,
};
use tender_launcher::instance::{Instance, Place};

use crate::world::{World, make_component};

fn request(source: &Path) -> InstallRequest {
    InstallRequest {
        source: source.to_owned(),
        is_link: false,
        is_enabled: true,
        sha256: None,
        is_check: false,
        script_limit_ms: 60_000,
    }
}

fn source(world: &World, version: &str) -> PathBuf {
    let root = world.path(&format!("source-{version}"));
    let manifest = "commands:\n  install: bin/install.sh\n";
    make_component(
        &root,
        "ext",
        manifest,
        &[("bin/install.sh", "echo installed in $(pwd)\n"), ("bin/start.sh", "sleep 1\n")],
    );
    let file = root.join("manifest.yaml");
    fs::write(
        &file,
        fs::read_to_string(&file).unwrap().replace("version: 1.0.0", &format!("version: {version}")),
    )
    .unwrap();
    root
}

fn installed(world: &World) -> Option<String> {
    let loaded = world.instance().load().unwrap();
    loaded.instance.component("ext").map(|found| found.manifest.version.clone().unwrap_or_default())
}

fn is_enabled(world: &World) -> bool {
    world.instance().load().unwrap().instance.component("ext").is_some_and(|found| found.is_enabled)
}

#[test]
fn component_is_installed_upgraded_switched_and_removed() {
    let world = World::new();
    world.write_settings("", "components:\n  # kept\n  other: { enabled: false }\n");
    let instance = world.instance();
    let check = InstallRequest { is_check: true, ..request(&source(&world, "1.0.0")) };
    let change = component::install(&instance, &check).unwrap();
    assert_eq!((change.to_version.as_deref(), change.steps.len()), (Some("1.0.0"), 3));
    assert_eq!(fs::read_dir(world.path("extensions")).unwrap().count(), 0);

    let change = component::install(&instance, &request(&source(&world, "1.0.0"))).unwrap();
    assert_eq!(change.output, [format!("installed in {}", world.path("extensions/ext").display())]);
    assert!(is_enabled(&world));
    let yaml = fs::read_to_string(world.path("instance/zowe.yaml")).unwrap();
    assert!(yaml.contains("# kept"), "{yaml}");
    let again = component::install(&instance, &request(&source(&world, "1.0.0"))).unwrap_err();
    assert!(matches!(again, ComponentError::Installed { .. }));

    component::upgrade(&instance, &request(&source(&world, "2.0.0"))).unwrap();
    assert_eq!(installed(&world).as_deref(), Some("2.0.0"));
    component::disable(&instance, "ext", None, false).unwrap();
    assert!(!is_enabled(&world));
    component::enable(&instance, "ext", None, false).unwrap();
    assert!(is_enabled(&world));
    assert!(component::verify::verify(&instance, "ext").unwrap().len() > 2);
    component::uninstall(&instance, "ext", false).unwrap();
    assert_eq!(installed(&world), None);
    assert!(matches!(
        component::uninstall(&instance, "ext", false),
        Err(ComponentError::NotInstalled { .. })
    ));
}

#[test]
fn component_is_enabled_for_one_ha_instance_alone() {
    let world = World::new();
    world.write_settings(
        "",
        "haInstances:\n  Lpar1: { hostname: a, sysname: A }\n  lpar2: { hostname: b, sysname: B }\n",
    );
    let open = |id: &str| Instance::open(&Place::Directory(world.path("instance")), Some(id)).unwrap();
    let install = InstallRequest { is_enabled: false, ..request(&source(&world, "1.0.0")) };
    component::install(&open("lpar1"), &install).unwrap();
    component::enable(&open("lpar1"), "ext", Some("lpar1"), false).unwrap();
    let is_enabled = |id: &str| open(id).load().unwrap().instance.component("ext").unwrap().is_enabled;
    assert!(is_enabled("lpar1") && !is_enabled("lpar2"));
}

#[test]
fn refusals_name_what_is_wrong_and_change_nothing() {
    let world = World::new();
    world.component("core", "", &[]);
    let instance = world.instance();
    let error = component::uninstall(&instance, "core", false).unwrap_err();
    assert!(matches!(error, ComponentError::Core { .. }));
    let needy = make_component(&world.path("needy"), "needy", "tender:\n  requires: [redis]\n", &[]);
    let error = component::install(&instance, &request(&needy)).unwrap_err();
    assert!(matches!(&error, ComponentError::Requires { missing, .. } if missing == &["redis"]), "{error}");
    let error = component::upgrade(&instance, &request(&source(&world, "1.0.0"))).unwrap_err();
    assert!(matches!(error, ComponentError::NotInstalled { .. }));
    let archive = world.path("a.tar");
    assert!(
        Command::new("tar")
            .arg("cf")
            .arg(&archive)
            .arg("-C")
            .arg(source(&world, "1.0.0"))
            .arg(".")
            .status()
            .unwrap()
            .success()
    );
    let wrong = InstallRequest { sha256: Some("00".repeat(32)), ..request(&archive) };
    let error = component::install(&instance, &wrong).unwrap_err();
    let ComponentError::Source(SourceError::Checksum { found, .. }) = error else { panic!("{error}") };
    let right = InstallRequest { sha256: Some(found), ..request(&archive) };
    component::install(&instance, &right).unwrap();
}

#[test]
fn install_command_that_fails_leaves_the_old_component() {
    let world = World::new();
    let instance = world.instance();
    component::install(&instance, &request(&source(&world, "1.0.0"))).unwrap();
    let bad = source(&world, "2.0.0");
    fs::write(bad.join("bin/install.sh"), "echo no licence >&2\nexit 7\n").unwrap();
    let error = component::upgrade(&instance, &request(&bad)).unwrap_err();
    let ComponentError::Hook { reason, output, .. } = error else { panic!("{error}") };
    assert!(reason.contains('7') && output == ["no licence"]);
    assert_eq!(installed(&world).as_deref(), Some("1.0.0"));
}

#[test]
fn component_that_root_installs_belongs_to_whom_the_directory_belongs() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root makes files of others");
        return;
    }
    let world = World::new();
    let extensions = world.path("extensions");
    chown(&extensions, Some(12_345), Some(54_321)).unwrap();
    component::install(&world.instance(), &request(&source(&world, "1.0.0"))).unwrap();
    for path in ["ext", "ext/bin/start.sh", ".tender", ".tender/lock", ".tender/work"] {
        let facts = fs::symlink_metadata(extensions.join(path)).unwrap();
        assert_eq!((facts.uid(), facts.gid()), (12_345, 54_321), "{path}");
    }
}

#[test]
fn linked_component_goes_without_its_source() {
    let world = World::new();
    let instance = world.instance();
    let root = source(&world, "1.0.0");
    component::install(&instance, &InstallRequest { is_link: true, ..request(&root) }).unwrap();
    assert!(world.path("extensions/ext").is_symlink());
    component::uninstall(&instance, "ext", false).unwrap();
    assert!(root.join("manifest.yaml").exists() && !world.path("extensions/ext").is_symlink());
}

/// Not a test of its own: the process that the next one kills.
#[test]
fn child_that_is_killed_on_the_way() {
    let Ok(directory) = std::env::var("TENDER_TEST_CHILD") else { return };
    let world = PathBuf::from(directory);
    let instance = Instance::open(&Place::Directory(world.join("instance")), None).unwrap();
    let verb = std::env::var("TENDER_TEST_VERB").unwrap();
    let source = world.join(std::env::var("TENDER_TEST_SOURCE").unwrap());
    let done = match verb.as_str() {
        "install" => component::install(&instance, &request(&source)),
        "upgrade" => component::upgrade(&instance, &request(&source)),
        _ => component::uninstall(&instance, "ext", false),
    };
    done.unwrap();
}

/// Runs a change in a process that kills itself at a fault point; says whether it came by.
fn killed_at(world: &World, verb: &str, source: &str, point: &str) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "components::child_that_is_killed_on_the_way", "--nocapture"]);
    command.env("TENDER_TEST_CHILD", world.dir.path()).env("TENDER_TEST_VERB", verb);
    command.env("TENDER_TEST_SOURCE", source).env("TENDER_FAULT", point);
    let output = command.output().unwrap();
    let is_killed = output.status.signal() == Some(9);
    assert!(is_killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    is_killed
}

#[test]
fn kill_at_every_step_leaves_the_old_or_the_new_and_the_next_run_goes_on() {
    for verb in ["install", "upgrade", "uninstall"] {
        for point in FAULT_POINTS {
            let world = World::new();
            source(&world, "1.0.0");
            source(&world, "2.0.0");
            if verb != "install" {
                component::install(&world.instance(), &request(&world.path("source-1.0.0"))).unwrap();
            }
            let new = if verb == "upgrade" { "source-2.0.0" } else { "source-1.0.0" };
            let is_killed = killed_at(&world, verb, new, point);
            assert!(is_killed || verb == "uninstall", "{verb} passes {point}");
            // Whoever changes components next finishes or undoes first; a refusal is an answer too.
            let other = make_component(&world.path("other"), "other", "", &[]);
            component::install(&world.instance(), &request(&other)).unwrap();
            let version = installed(&world);
            let allowed: &[Option<&str>] = match verb {
                "install" => &[None, Some("1.0.0")],
                "upgrade" => &[Some("1.0.0"), Some("2.0.0")],
                _ => &[None],
            };
            assert!(allowed.contains(&version.as_deref()), "{verb} killed at {point}: {version:?}");
            assert_eq!(is_enabled(&world), version.is_some(), "{verb} killed at {point}");
            let left: Vec<_> = fs::read_dir(world.path("extensions/.tender/backup")).unwrap().collect();
            assert!(
                left.is_empty() && !world.path("extensions/.tender/journal.json").exists(),
                "{verb} {point}"
            );
            if version.is_some() {
                assert!(world.path("extensions/ext/bin/start.sh").exists());
            }
        }
    }
}
