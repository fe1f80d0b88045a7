//! Programs on the hosts of a network, and their certificates.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::network::{Network, address, addresses};
use crate::discovery::client::Client;
use crate::world::{answer, faketime_library, wait_until};

const SERVICE_PORT: u16 = 8443;
/// How long gateways wait for an answer in tests that wait for the end of it.
pub(crate) const IMPATIENT: [&str; 2] = ["--timeout", "5"];

/// A key with its certificate, as PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) key: PathBuf,
    pub(crate) certificate: PathBuf,
}

/// An authority and what it signed, made by the product itself.
pub(crate) struct Keys(tempfile::TempDir);

impl Keys {
    /// Returns those of all tests of this process, for every host.
    pub(crate) fn get() -> &'static Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(Self::make)
    }

    fn make() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let product = directory.path().join("product");
        fs::create_dir(&product).unwrap();
        fs::write(product.join("manifest.yaml"), "name: product\nversion: 1.0.0\n").unwrap();
        let this = Self(directory);
        let (instance, product) = (this.at("instance"), this.at("product"));
        this.run(Command::new(env!("CARGO_BIN_EXE_tender")).args([
            "instance",
            "init",
            &instance,
            "--runtime",
            &product,
        ]));
        // Old enough for certificates that have ended meanwhile.
        this.certificate(at("-10d"), "localhost", &[]);
        this
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn run(&self, command: &mut Command) {
        let output = command.env("TENDER_HOME", self.at("home")).stdin(Stdio::null()).output().unwrap();
        answer(&format!("{command:?}"), &output).ends(0);
    }

    fn certificate(&self, mut tender: Command, name: &str, more: &[&str]) -> Pair {
        let (instance, keys) = (self.at("instance"), self.at("keys"));
        tender.args(["certificate", "init", "--instance", &instance, "--directory", &keys, "--name", name]);
        for host in addresses() {
            tender.args(["--host", &host]);
        }
        self.run(tender.args(more));
        self.pair(name)
    }

    /// Has the same authority make a certificate for a day, so many seconds ago.
    pub(crate) fn made_before(&self, seconds: u32, name: &str) -> Pair {
        self.certificate(at(&format!("-{seconds}")), name, &["--days", "1"])
    }

    /// Renews one where it is.
    pub(crate) fn renew(&self, name: &str) {
        let (instance, keys) = (self.at("instance"), self.at("keys"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
        command.args(["certificate", "renew", "--instance", &instance, "--directory", &keys, "--name", name]);
        self.run(&mut command);
    }

    fn pair(&self, name: &str) -> Pair {
        let file = |ending: &str| self.0.path().join("keys").join(name).join(format!("{name}.{ending}"));
        Pair { key: file("key"), certificate: file("cer") }
    }

    /// Returns the one for every host.
    pub(crate) fn own(&self) -> Pair {
        self.pair("localhost")
    }

    pub(crate) fn authority(&self) -> String {
        self.at("keys/localhost/local_ca.cer")
    }
}

/// Prepares `tender …` at a time that lies as far from now as is said.
fn at(offset: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
    command.env("LD_PRELOAD", faketime_library()).env("FAKETIME", offset);
    command
}

/// How a service of a test is.
pub(crate) struct Service<'a> {
    /// What its lease lasts without a heartbeat, in seconds.
    pub(crate) lease_s: u64,
    /// What it shows to those who ask it.
    pub(crate) serves: Pair,
    pub(crate) metadata: Value,
    /// Its id.
    pub(crate) id: &'a str,
    pub(crate) port: u16,
    /// It is asked over TLS.
    pub(crate) is_secure: bool,
    /// Where it registers: with the first that answers.
    pub(crate) discovery: &'a [&'a str],
}

impl Default for Service<'_> {
    fn default() -> Self {
        Self {
            lease_s: 90,
            serves: Keys::get().own(),
            metadata: json!({}),
            id: "files",
            port: SERVICE_PORT,
            is_secure: true,
            discovery: &["ds1", "ds2"],
        }
    }
}

/// A network with a directory for what programs keep.
pub(crate) struct Site {
    // Programs end before it does: they are dropped by the test, in the order in which it started them, or before.
    pub(crate) network: Network,
    directory: tempfile::TempDir,
}

impl Site {
    /// Makes one, if this machine can.
    pub(crate) fn make() -> Option<Self> {
        Some(Self { network: Network::make()?, directory: tempfile::tempdir().unwrap() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self, host: &str, program: &str) -> Command {
        let mut command = self.network.command(host, program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ZWE")) {
            command.env_remove(name);
        }
        command.current_dir(self.directory.path()).env("TENDER_HOME", self.path(host));
        command
    }

    /// Prepares `tender COMPONENT run` at an address with a certificate.
    fn tender(&self, host: &str, component: &str, port: u16, shows: &Pair) -> Command {
        let own = address(host);
        let mut command = self.program(host, env!("CARGO_BIN_EXE_tender"));
        command.args([component, "run", "--listen", &format!("{own}:{port}"), "--hostname", &own]);
        command.arg("--key").arg(&shows.key).arg("--certificate").arg(&shows.certificate);
        command.args(["--trust", &Keys::get().authority()]);
        command
    }

    /// Starts a discovery service that tells the other what it is told.
    pub(crate) fn discovery(&self, host: &str) -> Client {
        let mut command = self.tender(host, "discovery", 7553, &Keys::get().own());
        command.args(["--ip-address", &address(host), "--eviction-interval", "1"]);
        command.args(["--peers", &format!("{},{}", discovery("ds1"), discovery("ds2"))]);
        let running = Client::start(&mut command);
        running.await_line("ZWEAM000I");
        running
    }

    /// Starts a gateway that asks both discovery services.
    pub(crate) fn gateway(&self, host: &str, more: &[&str]) -> Client {
        self.gateway_showing(host, &Keys::get().own(), more)
    }

    pub(crate) fn gateway_showing(&self, host: &str, shows: &Pair, more: &[&str]) -> Client {
        let mut command = self.tender(host, "gateway", 7554, shows);
        command.args(["--discovery", &discovery("ds1"), "--discovery", &discovery("ds2")]);
        command.args(["--discovery-interval", "1"]).args(more);
        let running = Client::start(&mut command);
        running.await_line("ZWEAM000I");
        running
    }

    /// Starts an instance that registers itself; its name is that of its host and port.
    pub(crate) fn service(&self, host: &str, service: &Service<'_>) -> Client {
        let keys = Keys::get();
        let places: Vec<_> = service.discovery.iter().map(|host| discovery(host)).collect();
        let settings = json!({
            "name": name(host, service.port), "address": address(host), "port": service.port, "service": service.id,
            "lease_s": service.lease_s, "metadata": service.metadata, "directory": self.directory.path(),
            "trust": keys.authority(), "discovery": places, "is_secure": service.is_secure,
            "registers": [keys.own().key, keys.own().certificate],
            "serves": [service.serves.key, service.serves.certificate],
        });
        let mut command = self.program(host, "python3");
        let running = Client::start(command.arg(script("service.py")).arg(settings.to_string()));
        running.await_line("listens");
        running
    }

    /// Asks from a host with curl, as somebody who trusts the authority; returns status, and head and body.
    pub(crate) fn ask(&self, from: &str, url: &str, options: &[&str]) -> (u16, String) {
        let mut command = self.program(from, "curl");
        command.args(["-sSi", "-m", "30", "--connect-timeout", "2", "--path-as-is"]);
        command.args(["--cacert", &Keys::get().authority()]).args(options).arg(url);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, text + &String::from_utf8_lossy(&output.stderr))
    }

    /// Asks a gateway for a path.
    pub(crate) fn get(&self, gateway: &str, path: &str) -> (u16, String) {
        self.ask("client", &url(gateway, path), &[])
    }

    /// Waits until each of these instances answers through each of these gateways.
    #[track_caller]
    pub(crate) fn await_instances(&self, gateways: &[&str], hosts: &[&str]) {
        for (gateway, host) in
            gateways.iter().flat_map(|gateway| hosts.iter().map(move |host| (gateway, host)))
        {
            wait_until(&format!("{host} answering through {gateway}"), || self.is_reached(gateway, host));
        }
    }

    /// Says whether an instance answers through a gateway.
    pub(crate) fn is_reached(&self, gateway: &str, host: &str) -> bool {
        let chosen = format!("X-InstanceId: {}:files:{SERVICE_PORT}", address(host));
        self.ask("client", &url(gateway, "/files/api/v1/who"), &["-H", &chosen]).0 == 200
    }

    /// Returns the ids of instances of a service as a discovery service tells them, in order.
    pub(crate) fn registered(&self, host: &str, service: &str) -> Vec<String> {
        let own = Keys::get().own();
        let (key, certificate) = (own.key.display().to_string(), own.certificate.display().to_string());
        let shown = ["--key", &key, "--cert", &certificate, "-H", "Accept: application/json"];
        let path = format!("{}/apps/{}", discovery(host), service.to_uppercase());
        // Somebody on its own host: no cable is between them.
        let (_, text) = self.ask(host, &path, &shown);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let document: Value = serde_json::from_str(body).unwrap_or_default();
        let instances = document["application"]["instance"].as_array().cloned().unwrap_or_default();
        let ids = instances.iter().filter_map(|one| one["instanceId"].as_str());
        let mut ids: Vec<_> = ids.map(str::to_owned).collect();
        ids.sort();
        ids
    }

    /// Waits until a discovery service knows exactly the instances on these hosts.
    #[track_caller]
    pub(crate) fn await_registered(&self, discovery: &str, hosts: &[&str]) {
        let mut expected: Vec<_> =
            hosts.iter().map(|host| format!("{}:files:{SERVICE_PORT}", address(host))).collect();
        expected.sort();
        wait_until(&format!("{discovery} knowing {hosts:?}"), || {
            self.registered(discovery, "files") == expected
        });
    }
}

/// Returns the name of an instance as it answers it.
pub(crate) fn name(host: &str, port: u16) -> String {
    if port == SERVICE_PORT { host.to_owned() } else { format!("{host}-{port}") }
}

/// Returns the address of a discovery service.
pub(crate) fn discovery(host: &str) -> String {
    format!("https://{}:7553/eureka", address(host))
}

/// Returns an address at a gateway.
pub(crate) fn url(gateway: &str, path: &str) -> String {
    format!("https://{}:7554{path}", address(gateway))
}

/// Returns a program beside this file.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/network_faults").join(name)
}
