//! Clients of other makes: Debian's curl and lftp.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use tender_transport::client::{Link, Resumed};

use crate::world::{Running, World, noise, wait_until};

/// A program of a Debian package; its absence is a failure, since then nothing was tested.
fn program(name: &str) -> Command {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(
        found.is_ok_and(|status| status.success()),
        "this test needs the program '{name}': install the Debian package {name} \
         (`cargo xtask ci` does, as root)"
    );
    let mut command = Command::new(name);
    // No settings of the user's.
    command.env("HOME", "/nonexistent").env("LC_ALL", "C");
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn curl(world: &World, certificate: bool) -> Command {
    let mut command = program("curl");
    command.args(["-q", "--silent", "--show-error", "--verbose", "--max-time", "60", "--user", "CSMWORK:"]);
    command.arg("--cacert").arg(world.path("work/ca.pem"));
    if certificate {
        command.arg("--cert").arg(world.path("work/cert.pem")).arg("--key").arg(world.path("work/key.pem"));
    }
    command
}

fn url(running: &Running, path: &str) -> String {
    format!("ftp://localhost:{}/{path}", running.control.port())
}

/// Waits for the program; with its words on standard error when it should have worked.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said(&output));
    output
}

fn fail(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{command:?} should have failed:\n{}", said(&output));
    said(&output)
}

#[test]
fn curl_uploads_lists_downloads_and_deletes() {
    let world = World::new();
    let running = world.serve();
    let bytes = noise(3_000_000);
    let source = world.file("source", &bytes);
    let copy = world.path("copy");
    run(curl(&world, true)
        .args(["--ssl-reqd", "--ftp-create-dirs", "-T"])
        .arg(&source)
        .arg(url(&running, "720/part")));
    assert!(fs::read(world.root().join("720/part")).unwrap() == bytes);
    let listed = run(curl(&world, true).args(["--ssl-reqd", "--list-only"]).arg(url(&running, "720/")));
    assert_eq!(String::from_utf8(listed.stdout).unwrap().trim_end(), "part");
    let listed = run(curl(&world, true).args(["--ssl-reqd"]).arg(url(&running, "720/")));
    assert!(String::from_utf8(listed.stdout).unwrap().contains("3000000"));
    run(curl(&world, true).args(["--ssl-reqd", "-o"]).arg(&copy).arg(url(&running, "720/part")));
    assert!(fs::read(copy).unwrap() == bytes);
    run(curl(&world, true)
        .args(["--ssl-reqd", "--list-only", "-Q", "DELE 720/part"])
        .arg(url(&running, "720/")));
    assert!(!world.root().join("720/part").exists());
}

#[test]
fn curl_with_the_older_passive_command_works_too() {
    let world = World::new();
    let running = world.serve();
    let source = world.file("source", b"text");
    run(curl(&world, true).args(["--ssl-reqd", "--disable-epsv", "-T"]).arg(&source).arg(url(&running, "a")));
    assert_eq!(fs::read(world.root().join("a")).unwrap(), b"text");
}

#[test]
fn curl_says_words_and_hears_the_answer() {
    let world = World::new();
    let running = world.serve();
    let heard =
        run(curl(&world, true).args(["--ssl-reqd", "-Q", "SITE CSMECHO LOAD 1"]).arg(url(&running, "")));
    assert!(said(&heard).contains("200 heard: LOAD 1"), "{}", said(&heard));
    let refused =
        fail(curl(&world, true).args(["--ssl-reqd", "-Q", "SITE CSMREFUSE"]).arg(url(&running, "")));
    assert!(refused.contains("550 never"), "{refused}");
}

#[test]
fn curl_speaks_tls_1_3_and_nothing_older() {
    let world = World::new();
    let running = world.serve();
    let output = run(curl(&world, true).args(["--ssl-reqd", "--list-only"]).arg(url(&running, "")));
    assert!(said(&output).contains("TLSv1.3"), "{}", said(&output));
    fail(curl(&world, true).args(["--ssl-reqd", "--tls-max", "1.2", "--list-only"]).arg(url(&running, "")));
}

#[test]
fn curl_without_a_certificate_in_the_clear_or_as_another_is_refused() {
    let world = World::new();
    let running = world.serve();
    fs::write(world.root().join("a"), b"secret").unwrap();
    let refused = fail(curl(&world, false).arg("--ssl-reqd").arg(url(&running, "a")));
    assert!(refused.contains("certificate required"), "{refused}");
    let refused = fail(curl(&world, true).arg(url(&running, "a")));
    assert!(refused.contains("534 "), "{refused}");
    for user in ["anonymous:x@y", "root:root", "csmwork:"] {
        let refused = fail(curl(&world, true).args(["--ssl-reqd", "--user", user]).arg(url(&running, "a")));
        assert!(refused.contains("530 "), "{user}: {refused}");
    }
    let refused = fail(curl(&world, true).args(["--ftp-ssl-control"]).arg(url(&running, "a")));
    assert!(refused.contains("PROT C") && !refused.contains("secret"), "clear data: {refused}");
}

#[test]
fn curl_killed_in_an_upload_leaves_a_beginning_to_go_on_from() {
    let world = World::new();
    let running = world.serve();
    let bytes = noise(6_000_000);
    let source = world.file("source", &bytes);
    let mut upload = curl(&world, true)
        .args(["--ssl-reqd", "--limit-rate", "1000000", "-T"])
        .arg(&source)
        .arg(url(&running, "part"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let part = world.root().join("part");
    let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    wait_until("something arrives", || size(&part) > 500_000);
    upload.kill().unwrap();
    upload.wait().unwrap();
    let mut link = world.connect(&running);
    let Resumed { from, sent } = link.resume("part", &source, &mut |_| {}).unwrap();
    assert!(from > 500_000 && from + sent == 6_000_000, "{from} {sent}");
    assert!(fs::read(part).unwrap() == bytes);
}

#[test]
fn curl_goes_on_where_a_file_ends() {
    let world = World::new();
    let running = world.serve();
    let bytes = noise(2_000_000);
    let source = world.file("source", &bytes);
    fs::write(world.root().join("part"), &bytes[..1_234_567]).unwrap();
    run(curl(&world, true).args(["--ssl-reqd", "-C", "-", "-T"]).arg(&source).arg(url(&running, "part")));
    assert!(fs::read(world.root().join("part")).unwrap() == bytes);
}

/// lftp with CSMWORK's certificate, then the commands given.
fn lftp(world: &World, running: &Running, commands: &str) -> Command {
    let settings = format!(
        "set cmd:fail-exit true; set net:max-retries 1; set net:timeout 30; set ftp:ssl-force true; \
         set ftp:ssl-protect-data true; set ssl:verify-certificate true; set ssl:ca-file {ca}; \
         set ssl:cert-file {cert}; set ssl:key-file {key}; \
         open -u CSMWORK,x ftp://localhost:{port}; {commands}",
        ca = world.path("work/ca.pem").display(),
        cert = world.path("work/cert.pem").display(),
        key = world.path("work/key.pem").display(),
        port = running.control.port(),
    );
    let mut command = program("lftp");
    command.args(["--norc", "-c", &settings]);
    command
}

#[test]
fn lftp_uploads_lists_downloads_and_says_words() {
    let world = World::new();
    let running = world.serve();
    let bytes = noise(3_000_000);
    let source = world.file("source", &bytes);
    let copy = world.path("copy");
    let commands = format!(
        "mkdir 720; put {} -o 720/part; cls -1 720; get 720/part -o {}; \
         quote SITE CSMECHO LOAD 1; mv 720/part 720/b; rm 720/b",
        source.display(),
        copy.display()
    );
    let output = run(&mut lftp(&world, &running, &commands));
    assert!(said(&output).contains("720/part"), "{}", said(&output));
    assert!(said(&output).contains("heard: LOAD 1"), "{}", said(&output));
    assert!(fs::read(copy).unwrap() == bytes);
    assert_eq!(fs::read_dir(world.root().join("720")).unwrap().count(), 0);
}

#[test]
fn lftp_mirrors_a_tree_and_goes_on_with_a_part_of_it() {
    let world = World::new();
    let running = world.serve();
    fs::create_dir_all(world.path("tree/sub")).unwrap();
    let bytes = noise(500_000);
    world.file("tree/a", &bytes);
    world.file("tree/sub/b", b"small");
    fs::create_dir(world.root().join("there")).unwrap();
    fs::write(world.root().join("there/a"), &bytes[..300_000]).unwrap();
    let commands = format!(
        "mirror --reverse --continue --ignore-time --no-perms {} there",
        world.path("tree").display()
    );
    run(&mut lftp(&world, &running, &commands));
    assert!(fs::read(world.root().join("there/a")).unwrap() == bytes);
    assert_eq!(fs::read(world.root().join("there/sub/b")).unwrap(), b"small");
}

#[test]
fn lftp_without_a_certificate_or_in_the_clear_is_refused() {
    let world = World::new();
    let running = world.serve();
    let bare = |settings: &str| {
        let commands = format!(
            "set cmd:fail-exit true; set net:max-retries 1; set net:timeout 30; \
             set ssl:ca-file {}; {settings}; \
             open -u CSMWORK,x ftp://localhost:{}; cls -1",
            world.path("work/ca.pem").display(),
            running.control.port()
        );
        let mut command = program("lftp");
        command.args(["--norc", "-c", &commands]);
        command
    };
    fail(&mut bare("set ftp:ssl-force true"));
    fail(&mut bare("set ftp:ssl-allow false"));
}
