//! Managed systems coming and going.

use std::process::Command;

use crate::world::World;

#[test]
fn line_of_the_seed_with_norequire_enrols_over_tls() {
    let mut world = World::with_level_one();
    let port = crate::world::free_ports();
    let add = format!(
        "servmgr system add 720 vm01 base nonesm hostname 127.0.0.1 commtype ftp '(port' {port} 'norequire)'"
    );
    let invited = world.run("principal", &add).ends(4);
    let token =
        invited.text.split_whitespace().find(|word| word.starts_with("tender-join-")).unwrap().to_owned();
    world.run("vm01", &format!("agent init vm01 --listen 127.0.0.1:{port} --passive {}", port + 1)).ends(0);
    world.run("vm01", "agent base 720 --from media/base").ends(0);
    world.run("vm01", &format!("agent enrol {token}")).ends(0);
    world.start_agent("vm01", &[]);
    world.run("principal", &add).ends(4).says("VM01 is added");
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
    let clear = Command::new("curl")
        .args(["--silent", "--show-error", "--user", "CSMWORK:x", &format!("ftp://127.0.0.1:{port}/")])
        .output()
        .expect("Debian's `curl` is missing: apt-get install curl");
    assert!(!clear.status.success(), "a session without TLS was let in");
}

#[test]
fn adopted_directory_is_verified_to_be_the_level_that_is_named() {
    let mut world = World::with_level_one();
    let port = crate::world::free_ports();
    world.run("vm01", &format!("agent init vm01 --listen 127.0.0.1:{port} --passive {}", port + 1)).ends(0);
    world.run("vm01", "agent base 720 --from media/base").ends(0);
    world.run("vm01", "agent adopt 720 --from media/base").ends(0);
    let add = |level: &str| format!("servmgr system add 720 vm01 {level} --hostname 127.0.0.1 --port {port}");
    let invited = world.run("principal", &add("one")).ends(4);
    let token =
        invited.text.split_whitespace().find(|word| word.starts_with("tender-join-")).unwrap().to_owned();
    world.run("vm01", &format!("agent enrol {token}")).ends(0);
    world.start_agent("vm01", &[]);
    world.run("principal", &add("one")).ends(16).says("VM01");
    world.run("principal", &add("base"));
    let query = world.run("principal", "servmgr system query 720 vm01").text;
    assert!(query.contains("BASE"), "{query}");
}

#[test]
fn release_in_an_archive_is_the_same_base() {
    let world = World::new();
    let mut archive = Command::new("tar");
    archive.args(["-C", "media/base", "-czf", "base.tgz", "."]).current_dir(world.path(""));
    assert!(archive.status().unwrap().success());
    world.run("principal", "servmgr initialize 720 --from base.tgz").ends(0);
    world.run("other", "servmgr initialize 720 --from media/base").ends(0);
    let identity = |host| world.json(host, "servmgr srvlvl query 720 all")["data"].to_string();
    let digest = |text: String| text.split("content\":\"").nth(1).map(|rest| rest[..64].to_owned());
    assert_eq!(digest(identity("principal")), digest(identity("other")));
    assert!(digest(identity("other")).is_some());
}

#[test]
fn stolen_certificate_of_the_principal_is_shut_out_without_enrolling_again() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    world.add_system("vm02");
    // The thief works with a copy that was taken before.
    crate::world::copy(&world.path("principal"), &world.path("thief"));
    let send = "servmgr srvlvl send 720 one vm01 '(test'";
    world.run("thief", send).ends(0);

    // One system is down while the certificate is renewed.
    world.kill_agent("vm02");
    let renew = world.run("principal", "servmgr principal renew --reason 'a tape was stolen'").ends(12);
    renew.says("VM01").says("is revoked").says("lets the new certificate in");
    world.run("principal", send).ends(0);
    world.run("thief", send).ends(32).says("refused");

    // It learns of it when the principal is next there.
    world.start_agent("vm02", &[]);
    world.run("principal", "servmgr system servcheck 720 vm02").ends(4);
    world.run("thief", "servmgr system servcheck 720 vm02").ends(32);
    world.run("principal", "servmgr principal renew --reason 'once more'").ends(0);
    world.run("principal", "servmgr srvlvl send 720 one vm02 '(test'").ends(0);
    world.run("principal", "servmgr system audit 720 vm02").ends(0).says("REVOKE");
    // A system that comes later gets the list with its first contact.
    world.add_system("vm03");
    world.run("principal", "servmgr srvlvl send 720 one vm03 '(test'").ends(0);
    let info = world.json("vm03", "agent status");
    assert_eq!(info["data"]["revocations"], 2);
}
