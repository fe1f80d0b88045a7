//! Help, completion, manual pages, JSON: what every user expects of a command.

use crate::world::World;

#[test]
fn every_command_has_help_with_an_example() {
    let world = World::new();
    for command in [
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
        "servmgr initialize",
        "servmgr managed",
        "envelope create",
        "envelope inspect",
        "envelope verify",
        "agent init",
        "agent enrol",
        "quickstart",
    ] {
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
