//! The example of real servers: nginx, a Node service, redis and a ticker, started for real and looked at from outside
//! with the programs that an administrator would use.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::installation::{component_of, is_alive, signal};
use crate::world::{Answer, answer, copy, free_ports, wait_until, words};

/// The example in a directory of the test's, on ports of its own.
struct Example {
    directory: tempfile::TempDir,
    ports: Ports,
}

/// Ports of the servers.
struct Ports {
    nginx: u16,
    tls: u16,
    redis: u16,
    node: u16,
}

impl Drop for Example {
    fn drop(&mut self) {
        drop(self.command("stop").output());
    }
}

impl Example {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let first = free_ports();
        let [nginx, tls, redis, node] = [0, 1, 2, 3].map(|offset| first + offset);
        let this = Self { directory, ports: Ports { nginx, tls, redis, node } };
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/runtime");
        copy(&example, &this.path(""));
        for name in ["workspace", "logs", "extensions"] {
            fs::create_dir(this.path(name)).unwrap();
        }
        let at = |name: &str| this.path(name).display().to_string();
        let text = format!(
            "zowe:\n  runtimeDirectory: {}\n  workspaceDirectory: {}\n  logDirectory: {}\n  extensionDirectory: {}\n  \
             externalPort: {nginx}\n  setup:\n    certificate:\n      pkcs12:\n        directory: {}\n  launcher:\n    \
             restartIntervals: [0, 0, 1, 1, 1]\ncomponents:\n  redis:\n    port: {redis}\n  node-service:\n    port: {node}\n  \
             nginx:\n    port: {nginx}\n    tlsPort: {tls}\n",
            at("product"),
            at("workspace"),
            at("logs"),
            at("extensions"),
            at("keystore"),
        );
        fs::write(this.path("here.yaml"), text).unwrap();
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
        let config = format!(
            "FILE({}):FILE({})",
            self.path("here.yaml").display(),
            self.path("instance/zowe.yaml").display()
        );
        command
            .args(words(line))
            .args(["--config", &config])
            .current_dir(self.directory.path())
            .env("TENDER_HOME", self.path("home"))
            .env("COLUMNS", "200")
            .stdin(std::process::Stdio::null());
        command
    }

    fn tender(&self, line: &str) -> Answer {
        answer(line, &self.command(line).output().unwrap())
    }

    fn status(&self) -> Value {
        let output = self.command("status --json").output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{fault}: {output:?}"))
    }

    fn component(&self, name: &str) -> Value {
        component_of(&self.status(), name)
    }

    /// Returns the process id of a component once it is READY with another one than before.
    fn pid_after(&self, name: &str, old: i64) -> i64 {
        let mut pid = None;
        wait_until(&format!("a new process of {name} that is READY"), || {
            let component = self.component(name);
            pid = component["pid"].as_i64().filter(|pid| *pid != old && component["state"] == "READY");
            pid.is_some()
        });
        pid.unwrap()
    }

    fn pid(&self, name: &str) -> i64 {
        self.pid_after(name, 0)
    }

    /// Asks the front door for one visit: the counter, and the process of the Node service.
    fn visit(&self) -> Option<(i64, i64)> {
        let text = run("curl", &["-fsS", "-m", "10", &format!("http://127.0.0.1:{}/", self.ports.nginx)])?;
        let answer: Value = serde_json::from_str(&text).ok()?;
        Some((answer["visits"].as_i64()?, answer["pid"].as_i64()?))
    }

    fn redis(&self, words: &[&str]) -> Option<String> {
        let port = self.ports.redis.to_string();
        let text = run("redis-cli", &[&["-h", "127.0.0.1", "-p", &port], words].concat())?;
        Some(text.trim().to_owned())
    }

    /// Returns the processes that hold anything of this example: its files or its environment.
    fn processes(&self) -> Vec<i64> {
        let place = self.directory.path().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i64>() else { continue };
            let text = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let ours = [text("cmdline"), text("environ")].concat();
            if String::from_utf8_lossy(&ours).contains(&place) && is_alive(pid) {
                found.push(pid);
            }
        }
        found
    }
}

/// Runs a program and returns what it prints when it ends well.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|fault| panic!("{program}: {fault}"));
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Says who listens on a port, in the words of `ss`.
fn listener(port: u16) -> String {
    run("ss", &["-Hltnp", &format!("sport = :{port}")]).unwrap()
}

fn executable(pid: i64) -> String {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap().display().to_string()
}

/// Returns the children of a process.
fn children(parent: i64) -> Vec<i64> {
    let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = all.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    let is_child = |pid: &i64| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name before it may hold anything, blanks and parentheses too.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        rest.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    pids.filter(is_child).collect()
}

#[test]
fn real_servers_run_survive_the_death_of_their_parts_and_leave_nothing() {
    let here = Example::new();
    here.tender("start").ends(0).says("ZWEL0007I");
    let status = here.status();
    assert_eq!(status["data"]["is_ready"], true, "{status}");
    let names = ["redis", "node-service", "nginx", "ticker"];
    let [redis, node, nginx, ticker] = names.map(|name| here.pid(name));

    // The servers themselves are what is supervised, also redis, whose start script puts it into the background.
    for (pid, program) in [(redis, "redis"), (node, "node"), (nginx, "nginx"), (ticker, "python3")] {
        assert!(executable(pid).contains(program), "{}", executable(pid));
    }
    for (port, pid) in [(here.ports.redis, redis), (here.ports.node, node), (here.ports.nginx, nginx)] {
        assert!(listener(port).contains(&format!("pid={pid},")), "{}", listener(port));
    }
    assert_eq!(here.component("nginx")["ports"], serde_json::json!([here.ports.nginx]));
    assert_eq!(here.visit(), Some((1, node)));
    assert_eq!(here.redis(&["get", "visits"]).unwrap(), "1");
    wait_until("a beat of the ticker", || {
        let key = here.redis(&["keys", "ticker:*"]).unwrap_or_default();
        here.redis(&["get", &key]).is_some_and(|beats| beats.parse::<u64>().is_ok_and(|beats| beats > 0))
    });
    let limits = fs::read_to_string(format!("/proc/{node}/limits")).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("4096"), "{files}");

    // The master dies, its worker still has the port: the whole tree must go before the next can listen.
    let workers = children(nginx);
    assert!(!workers.is_empty(), "nginx has a worker");
    signal(nginx, "KILL");
    let nginx = here.pid_after("nginx", nginx);
    assert!(
        workers.iter().all(|worker| !is_alive(*worker)),
        "a worker of the dead master lives: {workers:?}"
    );
    assert!(listener(here.ports.nginx).contains(&format!("pid={nginx},")));
    assert_eq!(here.visit(), Some((2, node)));

    // A worker dies: nginx replaces it, and nobody restarts nginx.
    let worker = children(nginx)[0];
    signal(worker, "KILL");
    wait_until("a new worker", || children(nginx).iter().any(|child| *child != worker));
    wait_until("an answer of the new worker", || here.visit().is_some());
    assert_eq!(here.pid("nginx"), nginx);

    // What redis had acknowledged is there again; those who need it keep running meanwhile.
    let before: i64 = here.redis(&["get", "visits"]).unwrap().parse().unwrap();
    signal(redis, "KILL");
    let redis = here.pid_after("redis", redis);
    assert!(listener(here.ports.redis).contains(&format!("pid={redis},")));
    wait_until("a visit after the restart of redis", || {
        here.visit().is_some_and(|(visits, pid)| visits > before && pid == node)
    });

    signal(node, "KILL");
    let node = here.pid_after("node-service", node);
    wait_until("a visit through the new process", || here.visit().is_some_and(|(_, pid)| pid == node));
    for (name, restarts) in [("redis", 1), ("node-service", 1), ("nginx", 1), ("ticker", 0)] {
        let component = here.component(name);
        assert_eq!(component["restarts"], restarts, "{component}");
        assert_eq!(component["state"], "READY", "{component}");
    }
    assert_eq!(here.pid("ticker"), ticker);

    here.tender("stop").ends(0);
    for port in [here.ports.redis, here.ports.node, here.ports.nginx, here.ports.tls] {
        assert_eq!(listener(port), "", "somebody still listens on {port}");
    }
    assert_eq!(here.processes(), Vec::<i64>::new(), "processes were left");
}

#[test]
fn real_servers_take_the_certificate_of_the_instance_and_reload_only_who_uses_it() {
    let here = Example::new();
    here.tender("start").ends(0);
    let [redis, nginx] = ["redis", "nginx"].map(|name| here.pid(name));
    assert_eq!(listener(here.ports.tls), "");
    here.tender("certificate init --update-config").ends(0);
    here.tender("certificate verify").ends(0);
    here.tender("reload").ends(0).says("nginx");
    assert_ne!(here.pid("nginx"), nginx, "nginx has a certificate now");
    assert_eq!(here.pid("redis"), redis, "redis has nothing to do with certificates");
    let url = format!("https://localhost:{}/", here.ports.tls);
    let authority = here.path("keystore/localhost/local_ca.cer").display().to_string();
    let resolve = format!("localhost:{}:127.0.0.1", here.ports.tls);
    let with = |more: &[&str]| run("curl", &[&["-fsS", "-m", "10", "--resolve", &resolve], more].concat());
    let answer = with(&["--cacert", &authority, &url]).unwrap();
    assert!(answer.contains("visits"), "{answer}");
    assert_eq!(with(&[&url]), None, "nobody but who has the authority trusts it");
    // A renewed certificate has the paths of the old one.
    let before = here.pid("nginx");
    here.tender("certificate renew").ends(0);
    here.tender("reload").ends(0).says("nginx");
    assert_ne!(here.pid("nginx"), before, "nginx still has the certificate of before");
    assert_eq!(here.pid("redis"), redis, "redis has nothing to do with certificates");
    here.tender("verify").says("nginx");
    here.tender("stop").ends(0);
    assert_eq!(here.processes(), Vec::<i64>::new(), "processes were left");
}

#[test]
fn real_server_whose_port_is_taken_is_not_started_and_the_owner_is_named() {
    let here = Example::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, here.ports.redis)).unwrap();
    let answer = here.tender("start");
    assert!(answer.code.is_some_and(|code| code >= 12), "{}", answer.text);
    answer.says(&here.ports.redis.to_string()).says(&std::process::id().to_string());
    assert_eq!(here.processes(), Vec::<i64>::new(), "nothing was started");
    drop(taken);
}
