//! A gateway over TLS on this machine, with a discovery service that anybody here may register at.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};
use tender_certificate::tls::{Roots, VerifyMode, client_config};

use crate::discovery::client::Client;
use crate::network_faults::site::Keys;
use crate::world::free_ports;

/// A connection to the gateway.
pub(super) type Connection = StreamOwned<ClientConnection, TcpStream>;

pub(super) struct Front {
    pub(super) discovery: u16,
    pub(super) port: u16,
    pub(super) gateway: Client,
    _discovery: Client,
}

fn tender(words: &[&str]) -> Client {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
    let running = Client::start(command.args(words).stderr(Stdio::inherit()));
    running.await_line("ZWEAM000I");
    running
}

impl Front {
    /// Starts both.
    pub(super) fn start(more: &[&str]) -> Self {
        let (discovery, port) = (free_ports(), free_ports());
        let (own, authority) = (Keys::get().own(), Keys::get().authority());
        let (key, certificate) = (own.key.display().to_string(), own.certificate.display().to_string());
        let at_discovery = format!("127.0.0.1:{discovery}");
        let discovering = tender(&["discovery", "run", "--plain", "--listen", &at_discovery]);
        let (listen, at) = (format!("127.0.0.1:{port}"), format!("http://{at_discovery}/eureka"));
        let words = ["gateway", "run", "--listen", &listen, "--discovery", &at, "--discovery-interval", "1"];
        let tls = ["--key", &key, "--certificate", &certificate, "--trust", &authority];
        let gateway = tender(&[&words[..], &tls, more].concat());
        Self { discovery, port, gateway, _discovery: discovering }
    }

    /// Registers an instance of a service on this machine, and waits until the gateway leads to it.
    pub(super) fn register(&self, service: &str, port: u16) {
        self.register_at(service, "127.0.0.1", port, &json!({}));
        let path = format!("/{service}/api/v1/");
        crate::world::wait_until("the gateway knowing a service", || self.curl(&path, &[]).0 != 404);
    }

    /// Registers whatever somebody says.
    pub(super) fn register_at(&self, service: &str, host: &str, port: u16, metadata: &Value) {
        let mut known = json!({
            "apiml.routes.api_v1.gatewayUrl": "api/v1", "apiml.routes.api_v1.serviceUrl": "/",
            "apiml.routes.ui_v1.gatewayUrl": "ui/v1", "apiml.routes.ui_v1.serviceUrl": "/pages",
        });
        known.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let document = json!({ "instance": {
            "instanceId": format!("h:{service}:{port}"), "app": service, "hostName": host, "ipAddr": "127.0.0.1",
            "status": "UP", "vipAddress": service, "port": { "$": port, "@enabled": "true" },
            "securePort": { "$": 0, "@enabled": "false" }, "dataCenterInfo": { "name": "MyOwn" }, "metadata": known,
            "leaseInfo": { "durationInSecs": 100_000 },
        } });
        let url = format!("http://127.0.0.1:{}/eureka/apps/{service}", self.discovery);
        let text = document.to_string();
        let output = Command::new("curl")
            .args(["-sS", "-m", "30", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(["-H", "Content-Type: application/json", "-d", &text, &url])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "204", "{output:?}");
    }

    /// Asks with curl; returns status, and head and body.
    pub(super) fn curl(&self, path: &str, options: &[&str]) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args(["-sSi", "-m", "60", "--path-as-is", "--cacert", &Keys::get().authority()]);
        let output =
            command.args(options).arg(format!("https://localhost:{}{path}", self.port)).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, text + &String::from_utf8_lossy(&output.stderr))
    }

    /// Connects, for HTTP/2 or for HTTP/1.1.
    pub(super) fn connect(&self, is_http2: bool) -> Connection {
        let text = std::fs::read(Keys::get().authority()).unwrap();
        let bundle = tender_certificate::Bundle::read(std::path::Path::new(&Keys::get().authority()), None);
        let trusted = bundle.unwrap_or_else(|fault| panic!("{fault}: {} bytes", text.len()));
        let roots = Roots::of(trusted.trusted().map(|entry| entry.certificate.clone()).collect());
        let mut config = client_config(VerifyMode::Strict, roots, None).unwrap();
        config.alpn_protocols = vec![if is_http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
    }

    /// Sends bytes as they are, and returns what came back until the end of the connection.
    pub(super) fn send(&self, bytes: &[u8], is_http2: bool) -> Vec<u8> {
        let mut stream = self.connect(is_http2);
        // The gateway may have hung up before it has everything.
        stream.write_all(bytes).ok();
        stream.flush().ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        answer
    }

    /// Returns the most memory that the gateway ever had, in KiB.
    pub(super) fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.gateway.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }
}
