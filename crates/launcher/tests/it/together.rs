//! Several processes that prepare one workspace at the same time.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::{World, enabled, program};

const COMPONENTS: usize = 4;
const ROUNDS: usize = 3;

fn world() -> World {
    let world = World::new();
    let definition = "services:\n  - serviceId: a\n    title: \"${FILLER}\"\n    instanceBaseUrls: [\"https://${ZWE_haInstance_hostname}:1/\"]\n";
    let names: Vec<String> = (0..COMPONENTS).map(|number| format!("c{number}")).collect();
    for name in &names {
        world.component(
            name,
            "apimlServices:\n  static:\n    - file: def.yml\ngatewaySharedLibs: [libs]\n",
            &[
                ("def.yml", definition),
                ("libs/one.jar", "one"),
                ("bin/configure.sh", "export WHO=$ZWE_haInstance_id\n"),
                ("bin/start.sh", "sleep 1\n"),
            ],
        );
    }
    let filler = "x".repeat(4000);
    world.write_settings(
        &format!("  environments:\n    FILLER: {filler}\n"),
        &format!(
            "{}haInstances:\n  one: {{ hostname: a, sysname: A }}\n  two: {{ hostname: b, sysname: B }}\n",
            enabled(&names.iter().map(String::as_str).collect::<Vec<_>>())
        ),
    );
    world
}

fn preparing(world: &World, id: &str) -> Child {
    let mut command = Command::new(program());
    command.args(["launcher", "prepare", "--output", "plan", "--ha-instance", id, "--config"]);
    command.arg(world.path("instance")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Returns the exported `WHO` of every component in the plan that a process wrote.
fn planned(child: Child) -> BTreeSet<(String, String)> {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    let components = find(&value, "components").and_then(Value::as_array).unwrap();
    let of = |component: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&component["name"]), text(&component["environment"]["WHO"]))
    };
    components.iter().map(of).collect()
}

/// Finds a key anywhere in a document.
fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(key).or_else(|| map.values().find_map(|value| find(value, key))),
        _ => None,
    }
}

/// Lists every file below a directory.
fn files(directory: &Path, found: &mut BTreeSet<String>, root: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found, root);
        } else {
            found.insert(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}

#[test]
fn processes_that_prepare_the_same_workspace_at_once_all_succeed_and_leave_whole_files() {
    let world = world();
    for _ in 0..ROUNDS {
        let ids = ["one", "two", "one", "two"];
        let children: Vec<Child> = ids.iter().map(|id| preparing(&world, id)).collect();
        for (id, child) in ids.iter().zip(children) {
            let expected = (0..COMPONENTS).map(|number| (format!("c{number}"), (*id).to_owned())).collect();
            assert_eq!(planned(child), expected, "the plan of {id}");
        }
    }
    for (id, host) in [("one", "a"), ("two", "b")] {
        for number in 0..COMPONENTS {
            let file = world.workspace(&format!("api-mediation/api-defs/c{number}.def_yml.{id}.yml"));
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains(&"x".repeat(4000)), "{} is not whole", file.display());
            assert!(text.contains(&format!("https://{host}:1/")), "{text}");
        }
    }
    let mut left = BTreeSet::new();
    files(&world.path("instance/workspace"), &mut left, &world.path("instance/workspace"));
    // What another round leaves is what there is: no temporary file was left behind.
    for id in ["one", "two"] {
        planned(preparing(&world, id));
    }
    let mut after = BTreeSet::new();
    files(&world.path("instance/workspace"), &mut after, &world.path("instance/workspace"));
    assert_eq!(left, after);
    let is_temporary = |name: &&String| name.contains(".tmp") || name.contains("tender-");
    assert_eq!(after.iter().find(is_temporary), None);
}
