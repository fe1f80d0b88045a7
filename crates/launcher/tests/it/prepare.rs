//! Validate, configure, plan.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use tender_launcher::instance::{Instance, InstanceError, Place};
use tender_launcher::prepare::{Mode, PrepareError, PrepareRequest, prepare};
use tender_launcher::progress::Silent;
use tender_launcher::summary::{Outcome, Phase};
use tender_supervisor::Scope;

use crate::world::{World, await_some, enabled, outcome, row};

#[test]
fn exports_of_configure_reach_their_own_start_and_nobody_else() {
    let world = World::new();
    let configure =
        "export MINE=\"first\n'second' \\\"third\\\"\"\nexport CWD_SEEN=\"$(pwd)\"\nnot_exported=1\n";
    let root = world.component("a", "", &[("bin/configure.sh", configure), ("bin/start.sh", "sleep 1000\n")]);
    world.component("b", "", &[("bin/start.sh", "sleep 1000\n")]);
    world.write_settings("", &enabled(&["a", "b"]));
    let prepared = world.prepare();
    let plan = prepared.plan.as_ref().unwrap_or_else(|| panic!("{prepared:#?}"));
    let environment = &plan.components[0].environment.0;
    assert_eq!(environment["MINE"], "first\n'second' \"third\"");
    assert_eq!(environment["CWD_SEEN"], root.display().to_string());
    assert!(!environment.contains_key("not_exported") && !environment.contains_key("TENDER_EXPORT_FD"));
    assert!(!plan.components[1].environment.0.contains_key("MINE"));
    assert_eq!(plan.components[0].working_directory, root);
    assert_eq!(plan.components[0].restart.intervals_ms, [0, 1000]);
    let snapshot = fs::read_to_string(world.workspace(&format!(".env/a/.{}.env", world.ha_id()))).unwrap();
    assert!(snapshot.contains("MINE='first\n'\\''second'\\'' \"third\"'\n"), "{snapshot}");
}

#[test]
fn scripts_see_their_own_environment_and_nothing_of_ours() {
    let world = World::new();
    let validate = "[ -z \"${CARGO_MANIFEST_DIR:-}\" ] || exit 3\n[ \"$ZWE_configs_port\" = 4711 ] || exit 4\n\
                    [ -z \"${ZWE_configs_other:-}\" ] || exit 5\nprint_message \"all is well\"\n";
    world.component("a", "configs:\n  port: 4711\n", &[("bin/validate.sh", validate)]);
    world.component("b", "configs:\n  other: 1\n", &[("bin/validate.sh", ":\n")]);
    world.write_settings("", &enabled(&["a", "b"]));
    let prepared = world.prepare();
    let found = row(&prepared, Phase::Validate, "a");
    assert_eq!(
        (found.outcome, found.output.as_slice()),
        (Outcome::Done, &["all is well".to_owned()][..]),
        "{found:?}"
    );
}

#[test]
fn all_are_validated_before_the_first_is_configured() {
    let world = World::new();
    let log = world.path("log");
    let names: Vec<String> = (0..6).map(|number| format!("c{number}")).collect();
    for name in &names {
        let line = |phase: &str| format!("echo {phase} >> {}\n", log.display());
        world.component(
            name,
            "",
            &[
                ("bin/validate.sh", &line("validate")),
                ("bin/configure.sh", &line("configure")),
                ("bin/start.sh", "sleep 1\n"),
            ],
        );
    }
    world.write_settings("", &enabled(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(world.prepare().plan.is_some());
    let text = fs::read_to_string(log).unwrap();
    let phases: Vec<&str> = text.lines().collect();
    assert_eq!(phases.len(), 12);
    assert!(phases[..6].iter().all(|phase| *phase == "validate"), "{phases:?}");
}

#[test]
fn component_that_fails_is_dealt_with_by_its_policy() {
    let world = World::new();
    let policy = |word: &str| format!("tender:\n  onFailure: {word}\n");
    let failing = [("bin/validate.sh", "echo because of this >&2\nexit 3\n"), ("bin/start.sh", "sleep 1\n")];
    world.component("skipped", &policy("skip"), &failing);
    world.component("warned", &policy("warn"), &failing);
    world.component("needy", "tender:\n  requires: [skipped]\n", &[("bin/start.sh", "sleep 1\n")]);
    world.component("well", "", &[("bin/start.sh", "sleep 1\n")]);
    world.write_settings("", &enabled(&["skipped", "warned", "needy", "well"]));
    let prepared = world.prepare();
    let plan = prepared.plan.as_ref().unwrap();
    let names: Vec<&str> = plan.components.iter().map(|component| component.name.as_str()).collect();
    assert_eq!(names, ["warned", "well"]);
    let left: Vec<(&str, &str)> =
        plan.left_out.iter().map(|one| (one.name.as_str(), one.reason.as_str())).collect();
    assert!(left.contains(&("skipped", "`bin/validate.sh` ended with exit 3")), "{left:?}");
    assert!(left.iter().any(|(name, reason)| *name == "needy" && reason.contains("skipped")), "{left:?}");
    assert_eq!(row(&prepared, Phase::Validate, "warned").output, ["because of this"]);
    assert!(prepared.has_warnings() && !prepared.is_failed());

    world.component("fatal", &policy("fail"), &failing);
    world.write_settings("", &enabled(&["fatal", "well"]));
    let prepared = world.prepare();
    assert!(prepared.plan.is_none() && prepared.is_failed());
    assert_eq!(prepared.phases.last().unwrap().phase, Phase::Validate);
}

#[test]
fn configure_that_fails_keeps_its_own_status_and_follows_the_configuration() {
    let world = World::new();
    world.component("a", "", &[("bin/configure.sh", "export X=1\nexit 9\n"), ("bin/start.sh", "sleep 1\n")]);
    world.write_settings("", &enabled(&["a"]));
    let prepared = world.prepare();
    let found = row(&prepared, Phase::Configure, "a");
    assert_eq!(found.outcome, Outcome::Warned);
    assert!(found.reason.as_ref().unwrap().contains("exit 9"), "{found:?}");
    assert_eq!(prepared.plan.unwrap().components.len(), 1);
    world.write_settings("  launchScript: { onComponentConfigureFail: exit }\n", &enabled(&["a"]));
    assert!(world.prepare().is_failed());
}

#[test]
fn command_whose_file_is_missing_is_an_error_of_that_component() {
    let world = World::new();
    world.component("a", "commands:\n  validate: bin/none.sh\n", &[("bin/start.sh", "sleep 1\n")]);
    world.component("b", "", &[("bin/start.sh", "sleep 1\n")]);
    world.write_settings("", &enabled(&["a", "b"]));
    let prepared = world.prepare();
    let found = row(&prepared, Phase::Validate, "a");
    assert_eq!(found.outcome, Outcome::Skipped);
    assert!(found.reason.as_ref().unwrap().contains("none.sh"), "{found:?}");
    assert_eq!(prepared.plan.unwrap().components.len(), 1);
}

#[test]
fn script_that_hangs_is_killed_with_all_it_started() {
    let world = World::new();
    let pid_file = world.path("pid");
    let validate = format!("echo before\nsleep 1000 & echo $! > {}\nwait\n", pid_file.display());
    world.component("a", "", &[("bin/validate.sh", &validate)]);
    world.write_settings("", &enabled(&["a"]));
    let request = PrepareRequest { script_limit_ms: 1000, ..world.request() };
    let prepared = prepare(&world.instance(), &request, &Silent).unwrap();
    let found = row(&prepared, Phase::Validate, "a");
    assert!(found.reason.as_ref().unwrap().contains("did not end within 1 s"), "{found:?}");
    assert_eq!(found.output, ["before"]);
    let pid = fs::read_to_string(pid_file).unwrap();
    let cmdline = fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
    assert!(!cmdline.contains("1000"), "{cmdline}");
}

#[test]
fn script_that_writes_a_mebibyte_ends_and_keeps_its_first_and_last_lines() {
    let world = World::new();
    let validate = "echo the first\ni=0; while [ $i -lt 16384 ]; do printf '%063d\\n' $i; i=$((i+1)); done\necho the last\n";
    world.component("a", "", &[("bin/validate.sh", validate)]);
    world.write_settings("", &enabled(&["a"]));
    let prepared = world.prepare();
    let found = row(&prepared, Phase::Validate, "a");
    assert_eq!(found.outcome, Outcome::Done);
    assert_eq!(found.output.first().map(String::as_str), Some("the first"));
    assert_eq!(found.output.last().map(String::as_str), Some("the last"));
    assert!(found.output.len() < 1000);
}

#[test]
fn definitions_are_rendered_without_a_shell_and_stale_ones_go() {
    let world = World::new();
    let definition = "services:\n  - serviceId: a\n    title: \"$(touch PWNED) ${TITLE:-none}\"\n    instanceBaseUrls:\n      - https://${ZWE_haInstance_hostname}:${ZWE_configs_port}/a\n";
    let manifest = "configs:\n  port: 7001\napimlServices:\n  static:\n    - file: apiml/def.yml\n";
    let root =
        world.component("a", manifest, &[("bin/start.sh", "sleep 1\n"), ("apiml/def.yml", definition)]);
    world.write_settings("", &enabled(&["a"]));
    let prepared = world.prepare();
    let file = world.workspace(&format!("api-mediation/api-defs/a.apiml_def_yml.{}.yml", world.ha_id()));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}: {prepared:#?}"));
    assert!(text.contains("https://localhost:7001/a") && text.contains("none"), "{text}");
    assert!(!root.join("PWNED").exists());

    fs::write(root.join("apiml/def.yml"), definition.replace("title:", "titel:")).unwrap();
    let prepared = world.prepare();
    let found = row(&prepared, Phase::Configure, "a");
    assert!(found.reason.as_ref().unwrap().contains("titel"), "{found:?}");
    world.write_settings("", "components:\n  a: { enabled: false }\n");
    world.component("b", "", &[("bin/start.sh", "sleep 1\n")]);
    world.prepare();
    assert!(!file.exists());
}

#[test]
fn definition_that_configure_completes_is_kept_and_one_that_stays_wrong_is_not() {
    let world = World::new();
    let definition = "services:\n  - serviceId: a\n    instanceBaseUrls:\n      - %SCHEME%://localhost:1/\n";
    let file = world.workspace(&format!("api-mediation/api-defs/a.def_yml.{}.yml", world.ha_id()));
    let configure = format!("sed 's/%SCHEME%/https/' {0} > {0}.new && mv {0}.new {0}\n", file.display());
    let component = |configure: &str| {
        let scripts =
            [("def.yml", definition), ("bin/configure.sh", configure), ("bin/start.sh", "sleep 1\n")];
        world.component("a", "apimlServices:\n  static:\n    - file: def.yml\n", &scripts);
    };
    world.write_settings("", &enabled(&["a"]));
    component(":\n");
    let prepared = world.prepare();
    let found = row(&prepared, Phase::Configure, "a");
    assert!(found.reason.as_ref().unwrap().contains("def.yml"), "{found:?}");
    assert!(!file.exists());
    component(&configure);
    let prepared = world.prepare();
    assert_eq!(outcome(&prepared, Phase::Configure, "a"), Outcome::Done, "{prepared:#?}");
    let mended = fs::read_to_string(&file).unwrap();
    assert!(mended.contains("https://localhost:1/"), "{mended}");
    // A script that no longer mends it does not take away what was right.
    component("exit 3\n");
    let prepared = world.prepare();
    assert!(row(&prepared, Phase::Configure, "a").reason.as_ref().unwrap().contains("exit 3"));
    assert_eq!(fs::read_to_string(&file).unwrap(), mended);
}

#[test]
fn validation_alone_writes_nothing_into_the_instance() {
    let world = World::new();
    world.component("a", "", &[("bin/validate.sh", "print_message x\n"), ("bin/start.sh", "sleep 1\n")]);
    world.write_settings("", &enabled(&["a"]));
    let request = PrepareRequest { mode: Mode::ValidateOnly, ..world.request() };
    let prepared = prepare(&world.instance(), &request, &Silent).unwrap();
    assert_eq!(outcome(&prepared, Phase::Validate, "a"), Outcome::Done, "{prepared:#?}");
    assert!(prepared.plan.is_none());
    let names: Vec<_> =
        fs::read_dir(world.path("instance")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["zowe.yaml"]);
}

#[test]
fn port_that_is_taken_or_given_twice_stops_before_any_script() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let manifest = format!("configs:\n  port: {port}\n");
    world.component("a", &manifest, &[("bin/start.sh", "sleep 1\n")]);
    world.component("b", &manifest, &[("bin/start.sh", "sleep 1\n")]);
    world.write_settings("", &enabled(&["a", "b"]));
    let prepared = world.prepare();
    let reason = row(&prepared, Phase::Global, "ports").reason.clone().unwrap();
    assert!(reason.contains(&std::process::id().to_string()), "{reason}");
    assert!(reason.contains("given twice"), "{reason}");
    assert!(prepared.is_failed());
    drop(listener);
    world.write_settings("", &enabled(&["a"]));
    // Another test may be given this port for a moment.
    await_some("a plan", || world.prepare().plan);
}

#[test]
fn fingerprint_follows_parts_and_own_settings_only() {
    let world = World::new();
    let root = world.component("a", "configs:\n  port: 0\n", &[("bin/start.sh", "sleep 1\n")]);
    world.component("b", "", &[("bin/start.sh", "echo $ZWE_components_a_mode; sleep 1\n")]);
    world.component("c", "", &[("bin/start.sh", "sleep 1\n")]);
    let settings = |mode: &str| {
        let others = enabled(&["b", "c"]);
        format!("{others}  a: {{ enabled: true, mode: {mode} }}\n")
    };
    let fingerprints = || {
        let plan = world.prepare().plan.unwrap();
        let mut all: Vec<(String, String)> =
            plan.components.into_iter().map(|one| (one.name, one.fingerprint)).collect();
        all.sort();
        all.into_iter().map(|(_, fingerprint)| fingerprint).collect::<Vec<_>>()
    };
    world.write_settings("", &settings("x"));
    let first = fingerprints();
    assert_eq!(fingerprints(), first);
    world.product("2.0.0");
    assert_eq!(fingerprints(), first);
    world.write_settings("", &settings("y"));
    let second = fingerprints();
    assert!(first[0] != second[0] && first[1] != second[1] && first[2] == second[2]);
    fs::write(root.join("bin/more"), "x").unwrap();
    let third = fingerprints();
    assert!(third[0] != second[0] && third[1..] == second[1..]);
}

#[test]
fn script_of_the_reference_library_finds_it() {
    let world = World::new();
    let validate = ". ${ZWE_zowe_runtimeDirectory}/bin/libs/index.sh\nprint_level1_message found\nls ${ZWE_zowe_runtimeDirectory}/components/a/manifest.yaml\n";
    world.component("a", "", &[("bin/validate.sh", validate)]);
    world.write_settings("", &enabled(&["a"]));
    let prepared = world.prepare();
    let found = row(&prepared, Phase::Validate, "a");
    assert_eq!(found.outcome, Outcome::Done, "{found:?}");
    assert!(found.output[0].contains("found"), "{found:?}");
    assert!(!world.path("runtime/bin").exists());
}

#[test]
fn functions_that_scripts_of_the_reference_call_do_what_they_say() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let script = |port: u16| {
        format!(
            r#"print_formatted_debug ZWELS "a,validate.sh:${{LINENO}}" "- Checking port {port}"
validate_this "is_port_available \"{port}\" 2>&1" "a,validate.sh:${{LINENO}}" || exit 3
is() {{ [ "$2" = "$3" ] || {{ echo "$1: '$2' is not '$3'"; exit 9; }}; }}
is lower "$(echo ABC | lower_case)" abc
is upper "$(upper_case abc)" ABC
is alphanum "$(sanitize_alphanum a.b-1)" a_b_1
is ha "$(sanitize_ha_instance_id LPAR-1)" lpar_1
is trim "$(trim '  x y ')" 'x y'
is replace "$(replace a,b , ' ')" 'a b'
is base64 "$(base64_encode 'a b')" YSBi
is item "$(item_in_list a,b b)" true
is value "$(get_var_value ZWE_configs_port)" 4711
is name "$(get_var_value 'x}};touch PWNED;{{')" ''
is set "$(is_variable_set HOME; echo $?)" 0
is unset "$(are_variables_set HOME,NO_SUCH,NEITHER 2>/dev/null; echo $?)" 2
is directories "$(are_directories_accessible /,/nowhere 2>/dev/null; echo $?)" 1
is same "$(are_directories_same / /usr/..; echo $?)" 0
is component "$(find_component_directory a)" "$(pwd)"
is manifest "$(get_component_manifest .)" ./manifest.yaml
is substring "$(is_substr_of b abc; echo $?)" 1
is function "$(function_exists trim; echo $?)" 0
is nothing "$(function_exists no_such; echo $?)" 1
is sysname "$(get_sysname)" "$(get_sysname | lower_case)"
sleep 1000 & child=$!
is child "$(find_direct_child_processes $$ | grep -x "$child")" "$child"
is children "$(find_all_child_processes $$ | grep -x "$child")" "$child"
kill $child
echo all is well
"#
        )
    };
    let manifest = "configs:\n  port: 4711\n";
    let outcome = |port: u16| {
        let root = world.component("a", manifest, &[("bin/validate.sh", &script(port))]);
        world.write_settings("  network: { server: { validatePortFree: true } }\n", &enabled(&["a"]));
        let prepared = world.prepare();
        assert!(!root.join("PWNED").exists());
        row(&prepared, Phase::Validate, "a").clone()
    };
    let found = outcome(1);
    assert_eq!(
        (found.outcome, found.output.last().map(String::as_str)),
        (Outcome::Done, Some("all is well")),
        "{found:?}"
    );
    let found = outcome(taken);
    assert_eq!(found.outcome, Outcome::Skipped);
    assert!(found.output.join("\n").contains(&format!("port {taken} is in use")), "{found:?}");
}

#[test]
fn unknown_ha_instance_is_refused_with_those_there_are() {
    let world = World::new();
    world.write_settings(
        "",
        "haInstances:\n  Lpar-1: { hostname: a, sysname: A }\n  lpar2: { hostname: b, sysname: B }\n",
    );
    let instance = Instance::open(&Place::Directory(world.path("instance")), Some("lpar3")).unwrap();
    let error = instance.load().unwrap_err();
    assert!(
        matches!(&error, InstanceError::UnknownHa { known, .. } if known == &["lpar_1", "lpar2"]),
        "{error}"
    );
    assert!(
        Instance::open(&Place::Directory(world.path("instance")), Some("LPAR-1")).unwrap().load().is_ok()
    );
}

#[test]
fn two_ha_instances_that_prepare_at_once_do_not_disturb_each_other() {
    let world = World::new();
    let definition =
        "services:\n  - serviceId: a\n    instanceBaseUrls: [\"https://${ZWE_haInstance_hostname}:1/\"]\n";
    let manifest = "apimlServices:\n  static:\n    - file: def.yml\n";
    let names: Vec<String> = (0..5).map(|number| format!("c{number}")).collect();
    for name in &names {
        world.component(
            name,
            manifest,
            &[
                ("def.yml", definition),
                ("bin/configure.sh", "export WHO=$ZWE_haInstance_id\n"),
                ("bin/start.sh", "sleep 1\n"),
            ],
        );
    }
    let top = enabled(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.write_settings(
        "",
        &format!(
            "{top}haInstances:\n  one: {{ hostname: a, sysname: A }}\n  two: {{ hostname: b, sysname: B }}\n"
        ),
    );
    std::thread::scope(|scope| {
        for id in ["one", "two", "one", "two"] {
            let world = &world;
            scope.spawn(move || {
                for _ in 0..3 {
                    let place = Place::Directory(world.path("instance"));
                    let instance = Instance::open(&place, Some(id)).unwrap();
                    let prepared = prepare(&instance, &world.request(), &Silent).unwrap();
                    let plan = prepared.plan.as_ref().unwrap_or_else(|| panic!("{prepared:#?}"));
                    assert_eq!(plan.components.len(), 5);
                    assert!(plan.components.iter().all(|component| component.environment.0["WHO"] == id));
                }
            });
        }
    });
    for (id, host) in [("one", "a"), ("two", "b")] {
        let file = world.workspace(&format!("api-mediation/api-defs/c0.def_yml.{id}.yml"));
        assert!(fs::read_to_string(file).unwrap().contains(&format!("https://{host}:1/")));
    }
}

#[test]
fn configuration_that_is_wrong_names_every_place() {
    let world = World::new();
    world.component("a", "", &[("bin/start.sh", "sleep 1\n")]);
    world.write_settings("  externalPort: many\n  verifyCertificates: MAYBE\n", &enabled(&["a"]));
    let prepared = world.prepare();
    let output = row(&prepared, Phase::Configuration, "zowe.yaml and manifests").output.join("\n");
    assert!(output.contains("externalPort") && output.contains("verifyCertificates"), "{output}");
    assert!(output.contains("zowe.yaml:"), "{output}");
    assert!(prepared.is_failed());
}

#[test]
fn only_the_components_that_are_asked_for_are_looked_at() {
    let world = World::new();
    world.component("a", "", &[("bin/start.sh", "sleep 1\n")]);
    world.component("b", "", &[("bin/validate.sh", "exit 1\n"), ("bin/start.sh", "sleep 1\n")]);
    world.write_settings("", &enabled(&["a", "b"]));
    let scope = |name: &str| Scope::Components(vec![name.to_owned()]);
    let request = PrepareRequest { scope: scope("a"), ..world.request() };
    let prepared = prepare(&world.instance(), &request, &Silent).unwrap();
    assert_eq!(prepared.plan.unwrap().components.len(), 1);
    let request = PrepareRequest { scope: scope("none"), ..world.request() };
    let error = prepare(&world.instance(), &request, &Silent).unwrap_err();
    assert!(matches!(error, PrepareError::Unknown { known, .. } if known == ["a", "b"]));
}

#[test]
fn files_that_another_user_may_not_read_are_named() {
    let world = World::new();
    let root = world.component("a", "", &[("bin/validate.sh", "exit 0\n"), ("bin/start.sh", "sleep 1\n")]);
    world.write_settings("", &enabled(&["a"]));
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(world.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(world.path("instance"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(world.path("instance/zowe.yaml"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(root.join("bin/validate.sh"), fs::Permissions::from_mode(0o600)).unwrap();
    let program = world.path("program");
    fs::copy(crate::world::program(), &program).unwrap();
    let mut command = Command::new(program);
    command.args(["launcher", "prepare", "--output", "plan", "--config"]).arg(world.path("instance"));
    let output = command.uid(65534).gid(65534).current_dir("/").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("validate.sh") && said.contains("Permission denied"), "{said}");
}

#[test]
fn two_hundred_components_are_prepared() {
    let world = World::new();
    let names: Vec<String> = (0..200).map(|number| format!("c{number}")).collect();
    for name in &names {
        world.component(name, "", &[("bin/configure.sh", "export A=1\n"), ("bin/start.sh", "sleep 1\n")]);
    }
    world.write_settings("", &enabled(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    let plan = world.prepare().plan.unwrap();
    assert_eq!(plan.components.len(), 200);
    let expected: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(plan.components.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), expected);
}
