//! Starting, ending, and the reasons why it does not start.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::server::{Keys, Server};
use crate::installation::signal;
use crate::world::{Answer, answer, faketime_library, wait_until, words};

fn run(line: &str) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
    command.args(["discovery", "run"]).args(words(line)).stdin(Stdio::null());
    answer(line, &command.output().unwrap())
}

#[test]
fn start_that_fails_names_what_is_in_the_way() {
    let keys = Keys::get();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    run(&format!("--plain --listen {address}"))
        .ends(12)
        .says("ZWEAM401E")
        .says(&format!("process {}", std::process::id()));
    run("--plain --listen 0.0.0.0").ends(16).says("ZWEAM501W").says("everybody who reaches 0.0.0.0:7553");
    run("").ends(16).says("ZWEAM508E").says("tender certificate init");
    run("--listen nonsense").ends(24).says("`nonsense` of --listen is no IP address");
    let pair = format!("--key {} --certificate {}", keys.at("localhost.key"), keys.at("localhost.cer"));
    run(&pair).ends(16).says("ZWEAM507E").says("--trust");
    run(&format!("{pair} --verify DISABLED --listen 192.0.2.1"))
        .ends(12)
        .says("no interface of this machine");
    run(&format!("{pair} --trust /nonexistent")).ends(28).says("/nonexistent");
    let store = keys.at("localhost.keystore.p12");
    run(&format!("--keystore {store} --verify DISABLED")).ends(16).says("password");
    let password = keys.at("localhost.keystore.password");
    run(&format!(
        "--keystore {store} --keystore-password-file {password} --keystore-alias nobody --verify disabled"
    ))
    .ends(16)
    .says("ZWEAM510E")
    .says("localhost");
}

#[test]
fn both_families_are_listened_at_on_one_port() {
    let server = Server::plain(&["--listen", "[::1]:0"]);
    assert_eq!(server.lines_with("listens at").len(), 2);
    let port = crate::world::free_ports();
    let keys = Keys::get();
    let (key, certificate) = (keys.at("localhost.key"), keys.at("localhost.cer"));
    let all =
        ["--key", &key, "--certificate", &certificate, "--verify", "DISABLED", "--port", &port.to_string()];
    let server = Server::tls_at(&[&all[..], &["--listen", "0.0.0.0", "--listen", "[::]"]].concat());
    for family in ["-4", "-6"] {
        server.ask("/application/health", &[family]).is(200);
    }
}

#[test]
fn certificate_that_has_ended_is_refused_with_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let made = Command::new("openssl")
        .env("LD_PRELOAD", faketime_library())
        .env("FAKETIME", "@2020-01-01 00:00:00")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=old", "-keyout", &at("key"), "-out", &at("cer")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    run(&format!("--key {} --certificate {} --verify DISABLED --check", at("key"), at("cer")))
        .ends(16)
        .says("it ended on 2020-01-03")
        .says("tender certificate renew");
}

#[test]
fn check_says_what_would_be_run_and_opens_nothing() {
    let keys = Keys::get();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
    command.args(["discovery", "run", "--check"]).stdin(Stdio::null());
    for (name, value) in [
        ("ZWE_configs_port", "7000".to_owned()),
        ("ZWE_haInstance_hostname", "host.example.com".to_owned()),
        ("ZWE_zowe_certificate_keystore_file", keys.at("localhost.keystore.p12")),
        (
            "ZWE_zowe_certificate_keystore_password",
            format!("file:{}", keys.at("localhost.keystore.password")),
        ),
        ("ZWE_zowe_certificate_keystore_alias", "localhost".to_owned()),
        ("ZWE_zowe_certificate_truststore_file", keys.at("localhost.truststore.p12")),
        (
            "ZWE_zowe_certificate_truststore_password",
            format!("file:{}", keys.at("localhost.keystore.password")),
        ),
        ("ZWE_STATIC_DEFINITIONS_DIR", "/w/api-defs".to_owned()),
    ] {
        command.env(name, value);
    }
    answer("discovery run --check", &command.output().unwrap())
        .ends(0)
        .says("would listen at 0.0.0.0:7000 as host.example.com")
        .says("certificates of others: STRICT")
        .says("`/w/api-defs`");
}

#[test]
fn certificate_is_replaced_while_the_service_runs() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let make = |name: &str| {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "60", "-addext"])
            .args(["subjectAltName=DNS:localhost", "-subj", &format!("/CN={name}")])
            .args(["-keyout", &at(&format!("{name}.key")), "-out", &at(&format!("{name}.cer"))])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    };
    make("first");
    make("second");
    let replace = |name: &str| {
        for ending in ["key", "cer"] {
            fs::copy(at(&format!("{name}.{ending}")), at(&format!("new.{ending}"))).unwrap();
            fs::rename(at(&format!("new.{ending}")), at(&format!("used.{ending}"))).unwrap();
        }
    };
    replace("first");
    let (key, certificate) = (at("used.key"), at("used.cer"));
    let server = Server::tls_with(&["--key", &key, "--certificate", &certificate, "--verify", "DISABLED"]);
    server.curl("/eureka/apps", &["--cacert", &at("first.cer")]).unwrap().is(200);
    replace("second");
    signal(server.pid(), "HUP");
    wait_until("the new certificate", || {
        server.curl("/eureka/apps", &["--cacert", &at("second.cer")]).is_ok()
    });
    server.await_line("ZWEAM005I");
    // What cannot be used is told and changes nothing.
    fs::write(at("used.key"), "nonsense").unwrap();
    signal(server.pid(), "HUP");
    server.await_line("ZWEAM400E changed certificates are not used");
    server.curl("/eureka/apps", &["--cacert", &at("second.cer")]).unwrap().is(200);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn registry_that_cannot_be_shared_is_named_with_the_way_on() {
    run("--plain --registry etcd:nonsense")
        .ends(24)
        .says("`nonsense` is no address such as https://HOST:2379");
    run("--plain --registry etcd:http://me:secret@h:2379").ends(24).says("--registry-user");
    run("--plain --registry etcd:https://h:2379").ends(16).says("ZWEAM507E").says("--registry-trust");
    run("--plain --registry etcd:http://h:2379 --registry-user me").ends(24).says("--registry-password-file");
    run("--plain --registry etcd:http://h:2379 --registry-user me --registry-password-file /nonexistent")
        .ends(16)
        .says("ZWEAM509E")
        .says("/nonexistent");
    run("--plain --registry etcd:https://h:2379 --registry-trust /nonexistent").ends(28).says("/nonexistent");
    // Whether etcd is there is not for --check to say: a start does without it.
    run("--plain --registry etcd:http://h:2379 --registry-prefix /mine --check")
        .ends(0)
        .says("with the registry that services share through etcd at http://h:2379, below /mine");
}
