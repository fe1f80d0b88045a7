//! A small product and an instance of it, driven through the command line.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::world::{Answer, DEADLINE, answer, free_ports, wait_until, words};

/// A server that answers every connection with its greeting and its process id.
const ECHO: &str = r#"
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("echo listens at", sys.argv[1], flush=True)
while True:
    client, _ = server.accept()
    client.sendall(f"{os.environ.get('GREETING', 'hello')} {os.getpid()}\n".encode())
    client.close()
"#;

/// A product tree and an instance directory; the launcher is stopped at the end.
#[derive(Debug)]
pub(crate) struct Installation {
    directory: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Drop for Installation {
    fn drop(&mut self) {
        drop(self.command("stop").output());
    }
}

impl Installation {
    /// Makes a product of two components, `echo` that listens and `pulse` that does not, and an instance of it.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_ports();
        let this = Self { directory, port };
        let echo = this.path("product/components/echo");
        script(&echo.join("bin/validate.sh"), "[ \"$ZWE_configs_port\" -gt 0 ]");
        script(&echo.join("bin/configure.sh"), "export GREETING=\"${ZWE_configs_greeting:-hello}\"");
        script(&echo.join("bin/start.sh"), "exec python3 bin/echo.py \"$ZWE_configs_port\"");
        fs::write(echo.join("bin/echo.py"), ECHO).unwrap();
        let manifest = "name: echo\nversion: 1.0.0\ncommands:\n  validate: bin/validate.sh\n  configure: \
                        bin/configure.sh\n  start: bin/start.sh\ntender:\n  readiness:\n    tcp: \
                        127.0.0.1:${port}\n    period: 50ms\n  stop:\n    grace: 5s\n";
        fs::write(echo.join("manifest.yaml"), manifest).unwrap();
        let pulse = this.path("product/components/pulse");
        script(&pulse.join("bin/start.sh"), "echo pulse begins\nexec sleep 100000");
        fs::write(
            pulse.join("manifest.yaml"),
            "name: pulse\nversion: 1.0.0\ncommands:\n  start: bin/start.sh\n",
        )
        .unwrap();
        fs::write(this.path("product/manifest.yaml"), "name: product\nversion: 7.2.0\n").unwrap();
        this.tender(&format!("instance init {} --runtime {}", this.at("instance"), this.at("product")))
            .ends(0);
        this.configure(&[]);
        this
    }

    /// Writes the configuration, with more settings of `echo`.
    pub(crate) fn configure(&self, more: &[(&str, &str)]) {
        let mut text = format!(
            "zowe:\n  runtimeDirectory: {product}\n  logDirectory: {instance}/logs\n  workspaceDirectory: \
             {instance}/workspace\n  extensionDirectory: {instance}/extensions\n  launcher:\n    \
             restartIntervals: [0, 0, 1, 1, 1]\n    minUptime: 2\ncomponents:\n  pulse:\n    enabled: true\n  \
             echo:\n    enabled: true\n    port: {port}\n",
            product = self.at("product"),
            instance = self.at("instance"),
            port = self.port
        );
        for (key, value) in more {
            text.push_str("    ");
            text.push_str(key);
            text.push_str(": ");
            text.push_str(value);
            text.push('\n');
        }
        fs::create_dir_all(self.path("instance/extensions")).unwrap();
        fs::write(self.path("instance/zowe.yaml"), text).unwrap();
    }

    /// Adds lines below `zowe:` in the configuration.
    pub(crate) fn configure_more(&self, lines: &str) {
        let path = self.path("instance/zowe.yaml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("zowe:\n", &format!("zowe:\n{lines}"), 1)).unwrap();
    }

    /// Returns a path in the directory of the test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns a path as text.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Prepares `tender …` about the instance.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
        command
            .args(words(line))
            .current_dir(self.directory.path())
            .env("TENDER_HOME", self.path("home"))
            .env("TENDER_INSTANCE", self.path("instance"))
            .env("COLUMNS", "200")
            .stdin(std::process::Stdio::null());
        command
    }

    /// Runs `tender …` about the instance.
    pub(crate) fn tender(&self, line: &str) -> Answer {
        answer(line, &self.command(line).output().unwrap())
    }

    /// Runs `tender … --json` and returns the document.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.command(&format!("{line} --json")).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("`{line}`: {fault}: {output:?}"))
    }

    /// Returns the status of a component.
    #[track_caller]
    pub(crate) fn component(&self, name: &str) -> Value {
        component_of(&self.json("status"), name)
    }

    /// Returns the process id of a component.
    #[track_caller]
    pub(crate) fn pid(&self, name: &str) -> i64 {
        let component = self.component(name);
        component["pid"].as_i64().unwrap_or_else(|| panic!("{name} does not run: {component}"))
    }

    /// Waits until a component is in a state.
    #[track_caller]
    pub(crate) fn await_state(&self, name: &str, state: &str) {
        wait_until(&format!("{name} becoming {state}"), || self.component(name)["state"] == state);
    }

    /// Returns what `echo` says to a client: its greeting and its process id.
    pub(crate) fn greeting(&self) -> Option<String> {
        use std::io::Read as _;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned())
    }
}

/// Finds a component in the answer of `status --json`.
#[track_caller]
pub(crate) fn component_of(status: &Value, name: &str) -> Value {
    let components =
        status["data"]["components"].as_array().unwrap_or_else(|| panic!("no components: {status}"));
    components.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}: {status}")).clone()
}

/// Writes a shell script that can be executed.
pub(crate) fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Says whether a process is there and no zombie.
pub(crate) fn is_alive(pid: i64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: i64, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill -{name} {pid}");
}
