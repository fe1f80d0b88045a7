//! Help, completion, manual pages, JSON: what every user expects of a command.

use crate::world::World;

/// Commands that people type.
const COMMANDS: &[&str] = &[
    "servmgr srvlvl add",
    "servmgr srvlvl service",
    "servmgr srvlvl localmod",
    "servmgr srvlvl package",
    "servmgr srvlvl setlock",
    "servmgr srvlvl send",
    "servmgr srvlvl query",
    "servmgr srvlvl vmfsetup",
    "servmgr srvlvl compare",
    "servmgr srvlvl promote",
    "servmgr srvlvl withdraw",
    "servmgr srvlvl delete",
    "servmgr system add",
    "servmgr system modify",
    "servmgr system delete",
    "servmgr system query",
    "servmgr system servcheck",
    "servmgr system put2prod",
    "servmgr system fallback",
    "servmgr system absorb",
    "servmgr system audit",
    "servmgr system exception add",
    "servmgr system exception delete",
    "servmgr system exception query",
    "servmgr srvlvl embargo",
    "servmgr fix embargo",
    "servmgr hold accept",
    "servmgr release delete",
    "servmgr principal renew",
    "servmgr initialize",
    "servmgr managed",
    "envelope create",
    "envelope inspect",
    "envelope verify",
    "agent init",
    "agent enrol",
    "agent instance",
    "instance init",
    "start",
    "stop",
    "restart",
    "reload",
    "status",
    "logs",
    "console",
    "launcher run",
    "launcher prepare",
    "launcher probe",
    "validate",
    "config get",
    "config set",
    "config validate",
    "config explain",
    "config env",
    "config schema",
    "config convert",
    "component install",
    "component upgrade",
    "component uninstall",
    "component enable",
    "component disable",
    "component verify",
    "component list",
    "certificate init",
    "certificate show",
    "certificate verify",
    "certificate renew",
    "certificate trust",
    "certificate import",
    "certificate export",
    "verify",
    "support",
    "diagnose",
    "quickstart",
];

#[test]
fn every_command_has_help_with_an_example() {
    let world = World::new();
    for command in COMMANDS {
        world.run("principal", &format!("{command} --help")).ends(0).says("Example");
    }
}

#[test]
fn completion_and_manual_pages_are_written() {
    let world = World::new();
    world.run("principal", "completion bash").ends(0).says("_tender");
    world.run("principal", "man pages").ends(0);
    assert!(world.path("pages/tender.1").exists());
    assert!(world.path("pages/tender-servmgr-srvlvl-send.1").exists());
}

#[test]
fn check_shows_the_plan_and_changes_nothing() {
    let world = World::with_level_one();
    world.run("principal", "servmgr srvlvl add 720 two basedon one").ends(0);
    let before = world.json("principal", "servmgr srvlvl query 720 two");
    world
        .run("principal", "servmgr srvlvl service 720 two all rsu0802.envelope --check")
        .ends(0)
        .says("UM10010");
    assert_eq!(world.json("principal", "servmgr srvlvl query 720 two"), before);
    world.run("principal", "servmgr srvlvl delete 720 two --check").ends(0);
    assert_eq!(world.json("principal", "servmgr srvlvl query 720 two"), before);
}

#[test]
fn json_answers_are_one_document_with_code_messages_and_data() {
    let world = World::with_level_one();
    let answer = world.json("principal", "servmgr srvlvl query 720 all");
    assert_eq!(answer["code"], 0);
    assert!(answer["messages"].is_array());
    assert!(answer["data"].to_string().contains("ONE"));
    let refused = world.json("principal", "servmgr srvlvl query 720 nosuch");
    assert_eq!(refused["code"], 28);
}

#[test]
fn command_named_servmgr_takes_lines_of_the_seed() {
    let world = World::with_level_one();
    let link = world.path("SERVMGR");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tender"), &link).unwrap();
    let output = std::process::Command::new(&link)
        .args(["SRVLVL", "QUERY", "720", "ALL"])
        .env("TENDER_HOME", world.path("principal"))
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("ONE"));
}

#[test]
fn words_that_are_not_understood_get_a_number_in_text_and_for_machines() {
    let world = World::new();
    world.run("principal", "servmgr srvlvl package").ends(24).says("CSM0024E");
    world.run("principal", "frobnicate").ends(24).says("CSM0024E");
    let refused = "servmgr managed off ledger reason wait until monday";
    world.run("principal", refused).ends(24).says("CSM0024E").says("`until` after REASON");
}

#[test]
fn systems_fit_a_terminal_of_eighty_columns() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(stable'").ends(0);
    world.run("principal", "servmgr system put2prod 720 vm01 --acknowledge ALL").ends(0);
    world.run("principal", "servmgr system servcheck 720 vm01").ends(0);
    let query = world.run("principal", "servmgr system query 720 all").ends(0).text;
    for line in query.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn query_that_finds_nothing_says_so() {
    let world = World::with_level_one();
    world.run("principal", "servmgr group query").ends(0).says("Nicknames: none");
}

#[test]
fn release_is_dropped_when_no_system_is_on_it() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
    world.run("principal", "servmgr release delete 720").ends(16).says("VM01");
    world.run("principal", "servmgr system delete 720 vm01").ends(0);
    world.run("principal", "servmgr release delete 720").ends(16).says("ONE");
    world.run("principal", "servmgr release delete 720 --force 'a new start' --check").ends(0).says("ONE");
    world.run("principal", "servmgr srvlvl add 720 two basedon one").ends(0);
    world.run("principal", "servmgr release delete 720 --force 'a new start'").ends(0).says("TWO");
    world.run("principal", "servmgr release delete 720").ends(28);
    world.run("principal", "servmgr srvlvl query 720 all").ends(28);
    assert!(!world.path("principal/principal/releases/720").exists());
    world.run("principal", "servmgr store gc").ends(0);
    world.run("principal", "servmgr initialize 720 --from media/base").ends(0);
    world.run("principal", "servmgr srvlvl query 720 all").ends(0).says("BASE");

    // The system that was on it takes the new repository for no rollback of the old one.
    for line in [
        "servmgr srvlvl add 720 one basedon BASE",
        "servmgr srvlvl service 720 one all rsu0801.envelope",
        "servmgr srvlvl package 720 one",
    ] {
        world.run("principal", line).ends(0);
    }
    let config = std::fs::read_to_string(world.path("vm01/system/agent.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let add = format!("servmgr system add 720 vm01 BASE --hostname 127.0.0.1 --port {}", config["port"]);
    world.run("principal", &add).ends(4);
    world.run("principal", &add).ends(4).says("is added");
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
}

#[test]
fn send_with_repack_stays_within_memory() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    world.run("principal", "servmgr srvlvl add 720 two basedon one").ends(0);
    world.run("principal", "servmgr srvlvl service 720 two all rsu0802.envelope").ends(0);
    let send = "servmgr srvlvl send 720 two vm01 '(test'";
    world.run("principal", &format!("{send} --max-memory 512M")).ends(24);
    world.run("principal", &format!("{send} --repack --max-memory 512M")).ends(0);
    assert_eq!(world.slot("vm01", "test").as_deref(), Some("TWO.1"));
}

#[test]
fn objects_that_are_not_built_are_named() {
    let world = World::with_level_one();
    world.run("principal", "servmgr srvlvl add 720 two basedon BASE").ends(0);
    std::fs::create_dir_all(world.path("broken/portal/src")).unwrap();
    std::fs::write(world.path("broken/portal/src/build.sh"), "exit 1\n").unwrap();
    let create = "envelope create broken.envelope --from media/base --to broken --overlay --fix UM30001 \
                  --vendor example --key vendor.key";
    world.run("principal", create).ends(0);
    world.run("principal", "servmgr srvlvl service 720 two all broken.envelope").ends(8);
    world.run("principal", "servmgr srvlvl query 720 two").ends(4).says("portal/");
    world.run("principal", "servmgr srvlvl service 720 two --status").ends(4).says("portal/");
}
