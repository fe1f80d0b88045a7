//! Stores that several services share, over TLS and with a password.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};

use super::{Running, body, curl};
use crate::discovery::etcd::Special;
use crate::discovery::server::Keys;
use crate::world::{answer, free_ports, wait_until};

/// Where a store is, and what its port refuses to those who do not know it.
struct Shared {
    store: String,
    user: &'static str,
    refusal: &'static str,
}

/// Starts a Redis that speaks TLS alone, asks for certificates, and for a user.
fn redis(directory: &std::path::Path) -> (Running, u16) {
    let (keys, port) = (Keys::get(), free_ports());
    let [certificate, key, trust] =
        ["localhost.cer", "localhost.key", "local_ca.cer"].map(|name| keys.at(name));
    let configuration = directory.join("redis.conf");
    let text = format!(
        "port 0\ntls-port {port}\nbind 127.0.0.1\nsave \"\"\ndir {}\n\
         tls-cert-file {certificate}\ntls-key-file {key}\ntls-ca-cert-file {trust}\ntls-auth-clients yes\n\
         user tender on >open_sesame ~* +@all\nuser default off\n",
        directory.display()
    );
    fs::write(&configuration, text).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(&configuration);
    (Running::start(&mut command, port), port)
}

/// Starts a service on a port of its own.
fn run(words: &[&str]) -> (Running, String) {
    let address = format!("127.0.0.1:{}", free_ports());
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    let own = ["--plain", "--listen", &address];
    (Running::tender(&[words, &own].concat(), port), format!("http://{address}"))
}

fn holds(shared: &Shared, password: &str) {
    let keys = Keys::get();
    let (trust, key, certificate) =
        (keys.at("local_ca.cer"), keys.at("localhost.key"), keys.at("localhost.cer"));
    let access = [
        "--store",
        &shared.store,
        "--store-trust",
        &trust,
        "--store-key",
        &key,
        "--store-certificate",
        &certificate,
        "--store-user",
        shared.user,
        "--store-password-file",
        password,
    ];
    let cache = || run(&[&["cache", "run"], &access[..]].concat());
    let ((_one, one), (_other, other)) = (cache(), cache());
    let owner = "X-CS-Service-ID: sample";
    let path = "cachingservice/api/v1/cache";
    let (status, said) = curl(&["-H", owner, "-d", r#"{"key":"k","value":"v"}"#, &format!("{one}/{path}")]);
    assert_eq!(status, 201, "{said}");
    let (status, said) = curl(&["-H", owner, &format!("{other}/{path}/k")]);
    assert!(status == 200 && body(&said).contains(r#""value":"v""#), "{said}");

    let gateway = || {
        // Both sign with this key, so that each knows the tokens of the other.
        let address = format!("127.0.0.1:{}", free_ports());
        let own = ["--key", &key, "--certificate", &certificate, "--trust", &trust, "--listen", &address];
        let words = ["gateway", "run", "--provider", "dummy", "--discovery", "https://localhost:1/eureka"];
        let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
        let running = Running::tender(&[&words[..], &own, &access].concat(), port);
        (running, format!("https://localhost:{port}/gateway/api/v1/auth"))
    };
    let ((_one, one), (_other, other)) = (gateway(), gateway());
    let (status, said) =
        curl(&["--cacert", &trust, "-X", "POST", "-u", "user:user", &format!("{one}/login")]);
    assert_eq!(status, 204, "{said}");
    let cookie = said.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    let query = format!("{other}/query");
    assert_eq!(curl(&["--cacert", &trust, "-H", &cookie, &query]).0, 200);
    let logout = ["--cacert", &trust, "-X", "POST", "-H", &cookie, &format!("{one}/logout")];
    assert_eq!(curl(&logout).0, 204);
    wait_until("the other gateway knows who logged out", || {
        curl(&["--cacert", &trust, "-H", &cookie, &query]).0 == 401
    });
}

/// Runs a cache that does not come up, and returns what it said.
fn fails(more: &[&str]) -> crate::world::Answer {
    let mut command = Command::new("timeout");
    command.args(["60", env!("CARGO_BIN_EXE_tender"), "cache", "run", "--plain", "--listen", "127.0.0.1:0"]);
    answer("cache run", &command.args(more).stdin(Stdio::null()).output().unwrap())
}

fn is_refused(shared: &Shared, wrong: &str) {
    let keys = Keys::get();
    let (trust, key, certificate) =
        (keys.at("local_ca.cer"), keys.at("localhost.key"), keys.at("localhost.cer"));
    let own = ["--store", &shared.store, "--store-key", &key, "--store-certificate", &certificate];
    let user = ["--store-user", shared.user, "--store-password-file", wrong];
    fails(&[&own[..], &user, &["--store-trust", &trust]].concat()).ends(12).says(shared.refusal);
    fails(&[&own[..], &user].concat()).ends(16).says("ZWEAM507E").says("--store-trust");
    // Who is not signed by a trusted authority is not talked to.
    fails(&[&own[..], &user, &["--store-trust", &keys.at("other.cer")]].concat()).ends(12).says("ertificate");
}

#[test]
fn store_over_tls_with_a_password_is_shared_by_caches_and_by_gateways() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let keys = Keys::get();
    let other = keys.path("other.cer");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other"])
        .args(["-keyout", &file("other.key", ""), "-out", &other.display().to_string()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let wrong = file("wrong", "wrong\n");

    let etcd = Special::guarded();
    let shared = Shared {
        store: format!("etcd:https://localhost:{}", etcd.port),
        user: "root",
        refusal: "uthentication failed",
    };
    holds(&shared, &file("of_etcd", "open sesame\n"));
    is_refused(&shared, &wrong);

    let (_redis, port) = redis(directory.path());
    wait_until("Redis", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    let shared = Shared {
        store: format!("rediss://localhost:{port}"),
        user: "tender",
        refusal: "uthentication failed",
    };
    holds(&shared, &file("of_redis", "open_sesame\n"));
    is_refused(&shared, &wrong);
}
