//! Full disks, killed launchers, scripts that misbehave.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tender_launcher::instance::{Instance, Place};
use tender_launcher::prepare::prepare;
use tender_launcher::progress::Silent;
use tender_supervisor::lock::InstanceLock;

use crate::run::start_ready;
use crate::world::{World, await_some, enabled};

/// A file system in memory of a few pages, unmounted at the end.
struct Small {
    path: PathBuf,
}

impl Small {
    fn mount(path: PathBuf, size: &str) -> Self {
        fs::create_dir_all(&path).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(&path)
            .status();
        assert!(status.unwrap().success(), "tests run as root");
        Self { path }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _status = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[test]
fn full_workspace_is_named_and_leaves_no_half_file() {
    let world = World::new();
    let definition = format!(
        "services:\n  - serviceId: a\n    description: {}\n    instanceBaseUrls: [\"http://h:1/\"]\n",
        "x".repeat(20_000)
    );
    world.component(
        "a",
        "apimlServices:\n  static:\n    - file: def.yml\n",
        &[("def.yml", &definition), ("bin/start.sh", "sleep 1\n")],
    );
    world.write_settings("", &enabled(&["a"]));
    assert!(world.prepare().plan.is_some());
    let api_defs = world.workspace("api-mediation/api-defs");
    let before: Vec<_> = fs::read_dir(&api_defs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    fs::remove_dir_all(world.path("instance/workspace")).unwrap();
    let _small = Small::mount(world.path("instance/workspace"), "256k");
    world.prepare();
    let filler = world.workspace("filler");
    // Fills the rest, to the last page.
    let mut size = 256 * 1024;
    let mut bytes = Vec::new();
    while size >= 512 {
        bytes.resize(bytes.len() + size, 0);
        if fs::write(&filler, &bytes).is_err() {
            bytes.truncate(bytes.len() - size);
            size /= 2;
        }
    }
    fs::write(world.path("runtime/components/a/def.yml"), definition.replace('x', "y")).unwrap();
    let place = Place::Directory(world.path("instance"));
    let result = prepare(&Instance::open(&place, None).unwrap(), &world.request(), &Silent);
    let said = match result {
        Ok(prepared) => tender_launcher::launch::child::faults(&prepared).join("\n"),
        Err(error) => tender_launcher::message::chain(&error),
    };
    assert!(said.contains("No space left"), "{said}");
    let after: Vec<_> = fs::read_dir(&api_defs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(after, before);
    let text = fs::read_to_string(api_defs.join(&before[0])).unwrap();
    assert!(text.contains("xxx") && !text.contains("yyy"));
}

#[test]
fn launcher_that_was_killed_is_started_again_without_orphans() {
    let world = World::new();
    world.component("a", "", &[("bin/start.sh", "sleep 1000\n")]);
    world.write_settings("", &enabled(&["a"]));
    let running = start_ready(&world);
    let status = world.status().unwrap();
    let (launcher, orphan) = (status.pid, status.components[0].pid.unwrap());
    std::mem::forget(running);
    let kill = |pid: u32| Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(kill(launcher).success());
    await_some("the end of the launcher", || {
        InstanceLock::holder(&world.path("instance"), &world.ha_id()).is_none().then_some(())
    });
    let _running = start_ready(&world);
    let status = world.status().unwrap();
    assert_ne!(status.components[0].pid, Some(orphan));
    await_some("the end of the orphan", || {
        let cmdline = fs::read_to_string(format!("/proc/{orphan}/cmdline")).unwrap_or_default();
        (!cmdline.contains("sleep")).then_some(())
    });
}

#[test]
fn workspace_that_two_instance_directories_share_is_run_by_one() {
    let world = World::new();
    world.component("a", "", &[("bin/start.sh", "sleep 1000\n")]);
    world.write_settings("", &enabled(&["a"]));
    let _running = start_ready(&world);
    let other = world.path("other");
    fs::create_dir(&other).unwrap();
    fs::copy(world.path("instance/zowe.yaml"), other.join("zowe.yaml")).unwrap();
    let mut command = Command::new(crate::world::program());
    let output = command.args(["launcher", "run", "--config"]).arg(&other).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("run by process"), "{said}");
}
