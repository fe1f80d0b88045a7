//! The front door as a whole: discovery, gateway and caching service as processes, asked by curl.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::installation::{Installation, script, signal};
use crate::world::{copy, free_ports, wait_until};

mod cross_memory;
mod stores;
mod zowe_cli;

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    /// Starts `tender …` and waits until it listens.
    fn tender(words: &[&str], port: u16) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
        Self::start(command.args(words), port)
    }

    fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = Self(child);
        wait_until("it listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        running
    }

    /// Asks it to end, and returns its code.
    fn end(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

/// Asks with curl; returns status and what was printed, headers first.
fn curl(arguments: &[&str]) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args(["-sSi", "--max-time", "60", "--path-as-is"]).args(arguments);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// Registers an instance of a service as a client of discovery does.
fn register(discovery: u16, service: &str, port: u16) {
    let document = json!({ "instance": {
        "instanceId": format!("localhost:{service}:{port}"), "app": service, "hostName": "localhost",
        "ipAddr": "127.0.0.1", "status": "UP", "vipAddress": service,
        "port": { "$": port, "@enabled": "true" }, "securePort": { "$": 0, "@enabled": "false" },
        "dataCenterInfo": { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn" },
        "metadata": {
            "apiml.routes.api_v1.gatewayUrl": "api/v1", "apiml.routes.api_v1.serviceUrl": "/",
            "apiml.service.title": "A service", "apiml.authentication.scheme": "zoweJwt",
        },
    } });
    let url = format!("http://127.0.0.1:{discovery}/eureka/apps/{service}");
    let text = document.to_string();
    let (status, answer) = curl(&["-H", "Content-Type: application/json", "-d", &text, &url]);
    assert_eq!(status, 204, "{answer}");
}

fn files(directory: &Path) -> (u16, Running) {
    fs::write(directory.join("hello.txt"), "hello from the service").unwrap();
    let port = free_ports();
    let mut command = Command::new("python3");
    command
        .args(["-m", "http.server", &port.to_string(), "--bind", "127.0.0.1", "--directory"])
        .arg(directory);
    (port, Running::start(&mut command, port))
}

#[test]
fn request_finds_its_service_through_discovery_and_gateway() {
    let directory = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let (discovery_port, gateway_port) = (ports, ports + 1);
    let discovery = Running::tender(
        &["discovery", "run", "--plain", "--listen", &format!("127.0.0.1:{discovery_port}")],
        discovery_port,
    );
    let users = directory.path().join("users");
    let made = {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
        command.args(["gateway", "password", "alice"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"a secret\n").unwrap();
        child.wait_with_output().unwrap()
    };
    assert!(made.status.success());
    fs::write(&users, made.stdout).unwrap();
    let gateway = Running::tender(
        &[
            "gateway",
            "run",
            "--plain",
            "--listen",
            &format!("127.0.0.1:{gateway_port}"),
            "--discovery",
            &format!("http://127.0.0.1:{discovery_port}/eureka"),
            "--discovery-interval",
            "1",
            "--provider",
            &format!("file:{}", users.display()),
        ],
        gateway_port,
    );
    let (service_port, service) = files(directory.path());
    register(discovery_port, "files", service_port);
    let base = format!("http://127.0.0.1:{gateway_port}");
    wait_until("the gateway knows the service", || {
        curl(&[&format!("{base}/files/api/v1/hello.txt")]).0 == 200
    });
    for path in ["/files/api/v1/hello.txt", "/api/v1/files/hello.txt"] {
        let (status, answer) = curl(&[&format!("{base}{path}")]);
        assert!(status == 200 && body(&answer) == "hello from the service", "{answer}");
    }
    assert_eq!(curl(&[&format!("{base}/files/api/v1/../../etc/passwd")]).0, 400);
    let services = format!("{base}/gateway/api/v1/services");
    assert_eq!(curl(&[&services]).0, 401);
    let (status, answer) =
        curl(&["-X", "POST", "-u", "alice:a secret", &format!("{base}/gateway/api/v1/auth/login")]);
    assert_eq!(status, 204, "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let (status, answer) = curl(&["-H", &format!("Cookie: {cookie}"), &services]);
    let found: Value = serde_json::from_str(body(&answer)).unwrap();
    let titles: Vec<_> =
        found.as_array().unwrap().iter().map(|one| &one["apiml"]["service"]["title"]).collect();
    assert!(status == 200 && titles.contains(&&json!("A service")), "{answer}");

    // Without discovery the last known services stay in use.
    drop(discovery);
    assert_eq!(curl(&[&format!("{base}/files/api/v1/hello.txt")]).0, 200);
    drop(service);
    let (status, answer) = curl(&[&format!("{base}/files/api/v1/hello.txt")]);
    assert!(status == 503 && answer.contains("ZWEAO503E"), "{answer}");
    assert_eq!(gateway.end(), Some(0));
}

#[test]
fn caching_service_keeps_on_disk_what_it_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_ports();
    let store = format!("disk:{}", directory.path().join("cache.redb").display());
    let listen = format!("127.0.0.1:{port}");
    let words = ["cache", "run", "--plain", "--listen", &listen, "--store", &store];
    let url = format!("http://{listen}/cachingservice/api/v1/cache");
    let owner = ["-H", "X-CS-Service-ID: sample"];
    let running = Running::tender(&words, port);
    let created = curl(&[owner[0], owner[1], "-d", r#"{"key":"k","value":"v"}"#, &url]);
    assert_eq!(created.0, 201, "{}", created.1);
    // Killed, not ended: what was acknowledged is there all the same.
    drop(running);
    let running = Running::tender(&words, port);
    let (status, answer) = curl(&[owner[0], owner[1], &format!("{url}/k")]);
    assert!(status == 200 && answer.contains(r#""value":"v""#), "{answer}");
    assert_eq!(running.end(), Some(0));
}

#[test]
fn service_that_is_not_configured_well_says_so_and_how_to_go_on() {
    let tender = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tender")).args(words).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for service in ["gateway", "cache"] {
        let (code, said) = tender(&[service, "run"]);
        assert!(code == Some(16) && said.contains("--plain"), "{service}: {code:?} {said}");
        let (code, said) = tender(&[service, "run", "--plain", "--listen", "0.0.0.0"]);
        assert!(code == Some(16) && said.contains("0.0.0.0"), "{service}: {code:?} {said}");
        let (code, said) = tender(&[service, "run", "--plain", "--listen", "nowhere"]);
        assert!(code == Some(24) && said.contains("`nowhere`"), "{service}: {code:?} {said}");
        let (code, said) =
            tender(&[service, "run", "--key", "/no/key", "--certificate", "/no/crt", "--trust", "/no/ca"]);
        assert!(code == Some(28) && said.contains("/no/key"), "{service}: {code:?} {said}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = tender(&["cache", "run", "--plain", "--listen", &address]);
    assert!(code == Some(12) && said.contains(&address), "{code:?} {said}");
    let (code, said) = tender(&["cache", "run", "--plain", "--store", "vsam"]);
    assert!(code == Some(24) && said.contains("rediss://"), "{code:?} {said}");
    for store in ["redis://user:secret@h:1/#insecure", "etcd:http://user:secret@h:1", "vsam://user:secret@h"]
    {
        let (code, said) = tender(&["cache", "run", "--plain", "--store", store]);
        assert!(code == Some(24) && !said.contains("secret"), "{code:?} {said}");
    }
}

const MANIFEST: &str = "\
name: files
id: com.example.files
version: 1.0.0
commands:
  start: bin/start.sh
apimlServices:
  static:
    - file: api.yml
tender:
  readiness:
    tcp: 127.0.0.1:${port}
";

const DEFINITION: &str = "\
services:
  - serviceId: files
    title: Files
    instanceBaseUrls:
      - http://127.0.0.1:${ZWE_configs_port}
    routes:
      - gatewayUrl: api/v1
        serviceRelativeUrl: /
";

/// Makes an installation of the three and a component behind them, at ports from the one that is returned on.
fn installation() -> (Installation, u16) {
    let here = Installation::new();
    let components = here.path("product/components");
    for name in ["discovery", "gateway", "caching-service"] {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../components").join(name);
        copy(&ours, &components.join(name));
    }
    fs::create_dir_all(here.path("product/bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tender"), here.path("product/bin/tender")).unwrap();
    let own = components.join("files");
    fs::create_dir_all(own.join("bin")).unwrap();
    fs::write(own.join("manifest.yaml"), MANIFEST).unwrap();
    fs::write(own.join("api.yml"), DEFINITION).unwrap();
    fs::write(own.join("hello.txt"), "hello from a component").unwrap();
    script(
        &own.join("bin/start.sh"),
        "exec python3 -m http.server \"${ZWE_configs_port}\" --bind 127.0.0.1\n",
    );
    here.tender("certificate init --update-config").ends(0);
    let ports = free_ports();
    for (offset, name) in [(0, "discovery"), (1, "gateway"), (2, "caching-service"), (3, "files")] {
        here.tender(&format!("component enable {name}")).ends(0);
        here.tender(&format!("config set components.{name}.port={}", ports + offset)).ends(0);
        here.tender(&format!("component verify {name}")).ends(0);
    }
    here.tender("config set components.gateway.provider=dummy").ends(0);
    // The gateway has the certificate that all components have.
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]);
    let output = openssl.arg(here.path("instance/keystore/localhost/localhost.cer")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let fingerprint = said.trim().split_once('=').unwrap().1;
    here.tender(&format!("config set components.caching-service.gateway={fingerprint}")).ends(0);
    (here, ports)
}

#[test]
fn launcher_runs_all_three_and_the_gateway_leads_to_a_component_of_the_level() {
    let (here, ports) = installation();
    here.tender("start").ends(0);
    for name in ["discovery", "gateway", "caching-service", "files"] {
        here.await_state(name, "READY");
    }
    let keys = here.path("instance/keystore/localhost");
    let at = |name: &str| keys.join(name).display().to_string();
    let (authority, certificate, key) = (at("local_ca.cer"), at("localhost.cer"), at("localhost.key"));
    let trusted = |more: &[&str]| {
        let mut arguments = vec!["--cacert", authority.as_str()];
        arguments.extend_from_slice(more);
        curl(&arguments)
    };
    let base = format!("https://localhost:{}", ports + 1);
    let page = format!("{base}/files/api/v1/hello.txt");
    wait_until("the gateway leads to the component", || {
        let (status, answer) = trusted(&[&page]);
        status == 200 && answer.contains("hello from a component")
    });
    let (status, answer) =
        trusted(&["-X", "POST", "-u", "user:user", &format!("{base}/gateway/api/v1/auth/login")]);
    assert!(status == 204 && answer.contains("apimlAuthenticationToken="), "{answer}");
    let cache = format!("https://localhost:{}/cachingservice/api/v1/cache", ports + 2);
    assert_eq!(trusted(&[&cache]).0, 401);
    // Whose an entry is, the gateway says to the caching service.
    let through = format!("{base}/cachingservice/api/v1/cache");
    let shown = ["--cert", &certificate, "--key", &key];
    wait_until("the gateway leads to the caching service", || trusted(&[&through]).0 == 401);
    let sent = [&shown[..], &["-d", r#"{"key":"k","value":"v"}"#, &through]].concat();
    let (status, answer) = trusted(&sent);
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = trusted(&[&shown[..], &[&format!("{through}/k")]].concat());
    assert!(status == 200 && answer.contains(r#""value":"v""#), "{answer}");
    let (status, answer) =
        trusted(&[&shown[..], &["-H", "X-Certificate-DistinguishedName: CN=other", &cache]].concat());
    assert!(status == 200 && !answer.contains(r#""value":"v""#), "{answer}");
    // The gateway is registered, as other gateways are.
    let entries = format!("https://localhost:{ports}/eureka/apps/GATEWAY");
    let (status, answer) = trusted(&["--cert", &certificate, "--key", &key, &entries]);
    assert!(status == 200 && answer.contains(&format!(":gateway:{}<", ports + 1)), "{answer}");

    // A killed gateway is there again, and finds what it led to.
    let pid = here.pid("gateway");
    signal(pid, "KILL");
    wait_until("another gateway leads to the component", || {
        trusted(&[&page]).0 == 200 && here.pid("gateway") != pid
    });
    here.tender("stop").ends(0);
}

#[test]
fn gateway_restarted_under_load_refuses_no_connection() {
    let (here, ports) = installation();
    here.tender("start").ends(0);
    let keys = here.path("instance/keystore/localhost");
    let authority = keys.join("local_ca.cer").display().to_string();
    let page = format!("https://localhost:{}/files/api/v1/hello.txt", ports + 1);
    let ask = || curl(&["--cacert", &authority, &page]);
    wait_until("the gateway leads to the component", || ask().0 == 200);
    let (is_over, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    let client = || {
        let mut failed = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let answer = ask();
            asked.fetch_add(1, Ordering::Relaxed);
            if answer.0 != 200 {
                failed.push(answer);
            }
        }
        failed
    };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        for _ in 0..3 {
            let (before, pid) = (asked.load(Ordering::Relaxed), here.pid("gateway"));
            wait_until("clients ask", || asked.load(Ordering::Relaxed) > before + 40);
            here.tender("restart gateway").ends(0);
            here.await_state("gateway", "READY");
            assert_ne!(here.pid("gateway"), pid);
        }
        let before = asked.load(Ordering::Relaxed);
        wait_until("clients ask", || asked.load(Ordering::Relaxed) > before + 40);
        is_over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{failed:?}");
    // Who stops it does not want clients to wait for it.
    here.tender("stop gateway").ends(0);
    assert_eq!(ask().0, 0);
    here.tender("stop").ends(0);
}
