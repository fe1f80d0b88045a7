//! Probes over TLS against a real server: OpenSSL with a certificate of the instance's own authority.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tender_certificate::Layout;
use tender_certificate::setup::{self, SetupRequest};
use tender_certificate::tls::VerifyMode;
use tender_launcher::message::chain;
use tender_launcher::probe::{ProbeRequest, https};
use tender_launcher::summary::{Outcome, Phase};

use crate::run::start_ready;
use crate::world::{World, enabled, free_port, row};

/// A key store directory with a certificate for these names.
fn keystore(world: &World, directory: &str, names: &[&str]) -> Layout {
    let directory = world.path(directory);
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let request = SetupRequest { host_names: names, ..SetupRequest::new(&directory) };
    let now = jiff::Timestamp::now();
    let plan = setup::plan(&request, setup::observe(&request, now).unwrap(), now).unwrap();
    setup::execute(&plan).unwrap();
    Layout::new(&directory, "localhost", "local_ca").unwrap()
}

fn authority(layout: &Layout) -> PathBuf {
    layout.leaf("local_ca.cer")
}

/// An OpenSSL server that answers every GET with 200.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(layout: &Layout) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-key"])
            .arg(layout.leaf("localhost.key"))
            .arg("-cert")
            .arg(layout.leaf("localhost.cer"))
            // It reads commands there; it must not see an end.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port =
            lines.find_map(|line| line.unwrap().strip_prefix("ACCEPT ")?.rsplit(':').next()?.parse().ok());
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port: port.expect("the server says where it listens") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn ask(url: &str, verify: VerifyMode, authority: PathBuf) -> Result<(), String> {
    let request =
        ProbeRequest { url: url.to_owned(), verify, authorities: vec![authority], limit_ms: 20_000 };
    https(&request).map_err(|error| chain(&error))
}

#[test]
fn https_probe_accepts_who_the_mode_accepts() {
    let world = World::new();
    let (own, foreign) =
        (keystore(&world, "own", &["localhost"]), keystore(&world, "foreign", &["localhost"]));
    let server = Server::start(&own);
    let by_name = format!("https://localhost:{}/", server.port);
    let by_address = format!("https://127.0.0.1:{}/", server.port);
    ask(&by_name, VerifyMode::Strict, authority(&own)).unwrap();
    let wrong = ask(&by_name, VerifyMode::Strict, authority(&foreign)).unwrap_err();
    assert!(wrong.contains("certificate"), "{wrong}");
    // The certificate is for the name, and the question goes to the address.
    let other = keystore(&world, "other", &["gateway.example.com"]);
    let server = Server::start(&other);
    let elsewhere = format!("https://localhost:{}/", server.port);
    if ask(&elsewhere, VerifyMode::Strict, authority(&other)).is_ok() {
        // Certificates may always be for localhost as well; then no other name reaches this server.
        assert!(ask(&by_address, VerifyMode::Nonstrict, authority(&own)).is_ok());
    }
    ask(&elsewhere, VerifyMode::Nonstrict, authority(&other)).unwrap();
    let wrong = ask(&elsewhere, VerifyMode::Nonstrict, authority(&foreign)).unwrap_err();
    assert!(wrong.contains("certificate"), "{wrong}");
    ask(&elsewhere, VerifyMode::Disabled, authority(&foreign)).unwrap();
}

/// Settings of an instance with this key store.
fn certificate(layout: &Layout) -> String {
    let at = |file: &str| layout.leaf(file).display().to_string();
    format!(
        "  certificate:\n    keystore: {{ type: PKCS12, file: {}, alias: localhost, password: \"file:{}\" }}\n    \
         truststore: {{ type: PKCS12, file: {}, password: \"file:{}\" }}\n    \
         pem: {{ key: {}, certificate: {}, certificateAuthorities: {} }}\n",
        at("localhost.keystore.p12"),
        at("localhost.keystore.password"),
        at("localhost.truststore.p12"),
        at("localhost.keystore.password"),
        at("localhost.key"),
        at("localhost.cer"),
        at("local_ca.cer"),
    )
}

#[test]
fn component_with_an_https_probe_becomes_ready_when_its_server_answers() {
    let world = World::new();
    let own = keystore(&world, "own", &["localhost"]);
    let manifest = format!(
        "configs:\n  port: {}\ntender:\n  readiness: {{ http: \"https://localhost:${{port}}/\", period: 100ms, deadline: 60s }}\n",
        free_port()
    );
    let start = "exec openssl s_server -accept 127.0.0.1:$ZWE_configs_port -www -quiet \
                 -key $ZWE_zowe_certificate_pem_key -cert $ZWE_zowe_certificate_pem_certificate\n";
    world.component("secure", &manifest, &[("bin/start.sh", start)]);
    world.write_settings(&certificate(&own), &enabled(&["secure"]));
    let running = start_ready(&world);
    let status = world.status().unwrap();
    let pid = status.components[0].pid.unwrap();
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert!(exe.ends_with("openssl"), "{}", exe.display());
    drop(running);
}

#[test]
fn zosmf_is_asked_over_tls_and_its_policy_decides() {
    let world = World::new();
    let (own, foreign) =
        (keystore(&world, "own", &["localhost"]), keystore(&world, "foreign", &["localhost"]));
    let server = Server::start(&own);
    world.component("gateway", "", &[("bin/start.sh", "sleep 1000\n")]);
    let settings = |layout: &Layout, policy: &str| {
        let zowe =
            format!("{}  launchScript: {{ startupChecks: {{ zosmf: {policy} }} }}\n", certificate(layout));
        let top = format!("zOSMF: {{ host: localhost, port: {}, scheme: https }}\n", server.port);
        world.write_settings(&zowe, &format!("{top}{}", enabled(&["gateway"])));
    };
    settings(&own, "fail");
    let prepared = world.prepare();
    assert_eq!(row(&prepared, Phase::Global, "z/OSMF").outcome, Outcome::Done, "{prepared:#?}");
    assert!(prepared.plan.is_some());
    settings(&foreign, "disabled");
    let prepared = world.prepare();
    let global = prepared.phases.iter().find(|phase| phase.phase == Phase::Global).unwrap();
    assert!(global.rows.iter().all(|row| row.name != "z/OSMF"), "{global:#?}");
    assert!(prepared.plan.is_some());
    // A server whose certificate is not trusted is none, and a gateway that signs on elsewhere needs none.
    settings(&foreign, "fail");
    let prepared = world.prepare();
    let found = row(&prepared, Phase::Global, "z/OSMF");
    assert_eq!(found.outcome, Outcome::Failed);
    assert!(found.reason.as_ref().unwrap().contains("certificate"), "{found:?}");
    assert!(prepared.plan.is_none());
}
