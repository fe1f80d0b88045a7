//! A discovery service that runs, and curl to ask it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;

use crate::world::{answer, wait_until};

/// Keys and certificates made by the product itself, once for all tests of this process.
pub(crate) struct Keys(tempfile::TempDir);

impl Keys {
    pub(crate) fn get() -> &'static Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let at = |name: &str| directory.path().join(name).display().to_string();
            let run = |words: &[&str]| {
                let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
                command.args(words).env("TENDER_HOME", at("home")).stdin(Stdio::null());
                answer(&words.join(" "), &command.output().unwrap()).ends(0);
            };
            fs::create_dir(directory.path().join("product")).unwrap();
            fs::write(directory.path().join("product/manifest.yaml"), "name: product\nversion: 1.0.0\n")
                .unwrap();
            run(&["instance", "init", &at("instance"), "--runtime", &at("product")]);
            run(&["certificate", "init", "--instance", &at("instance"), "--directory", &at("keys")]);
            Keys(directory)
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("keys/localhost").join(name)
    }

    pub(crate) fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub(super) fn is(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.head, self.text());
        self
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(super) fn says(self, text: &str) -> Self {
        assert!(self.text().contains(text), "no `{text}` in:\n{}\n{}", self.head, self.text());
        self
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.text()))
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        let line = self
            .head
            .lines()
            .find(|line| line.split_once(':').is_some_and(|(own, _)| own.eq_ignore_ascii_case(name)));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    }
}

/// A service that runs until it is dropped.
pub(super) struct Server {
    directory: tempfile::TempDir,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    pub(super) port: u16,
    is_tls: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    /// Starts one without TLS on a port of its own.
    pub(super) fn plain(more: &[&str]) -> Self {
        Self::start(&[&["--plain", "--listen", "127.0.0.1:0"], more].concat(), false)
    }

    /// Starts one without TLS on this port.
    pub(super) fn plain_at(port: u16) -> Self {
        Self::start(&["--plain", "--listen", &format!("127.0.0.1:{port}")], false)
    }

    /// Starts one with TLS on a port of its own.
    pub(super) fn tls(more: &[&str]) -> Self {
        let keys = Keys::get();
        let (key, certificate, trust) =
            (keys.at("localhost.key"), keys.at("localhost.cer"), keys.at("local_ca.cer"));
        let own =
            ["--listen", "127.0.0.1:0", "--key", &key, "--certificate", &certificate, "--trust", &trust];
        Self::start(&[&own, more].concat(), true)
    }

    /// Starts one with TLS that is told everything but its address.
    pub(super) fn tls_with(more: &[&str]) -> Self {
        Self::start(&[&["--listen", "127.0.0.1:0"], more].concat(), true)
    }

    /// Starts one with TLS that is told everything, its address, too.
    pub(super) fn tls_at(arguments: &[&str]) -> Self {
        Self::start(arguments, true)
    }

    fn start(arguments: &[&str], is_tls: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
        command.args(["discovery", "run"]).args(arguments).current_dir(directory.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ZWE")) {
            command.env_remove(name);
        }
        command.env("TENDER_HOME", directory.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (output, lines) = (child.stdout.take().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        let mut this = Self { directory, child, lines, port: 0, is_tls };
        this.await_line("ZWEAM000I");
        let listens = this.line("listens at").unwrap();
        this.port = listens.rsplit(':').next().unwrap().parse().unwrap();
        this
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn pid(&self) -> i64 {
        i64::from(self.child.id())
    }

    /// Returns the first line that has this text.
    pub(super) fn line(&self, text: &str) -> Option<String> {
        self.lines.lock().unwrap().iter().find(|line| line.contains(text)).cloned()
    }

    /// Returns every line that has this text.
    pub(super) fn lines_with(&self, text: &str) -> Vec<String> {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(text)).cloned().collect()
    }

    #[track_caller]
    pub(super) fn await_line(&self, text: &str) -> String {
        wait_until(&format!("the line `{text}`"), || self.line(text).is_some());
        self.line(text).unwrap()
    }

    pub(super) fn url(&self, path: &str) -> String {
        if self.is_tls {
            format!("https://localhost:{}{path}", self.port)
        } else {
            format!("http://127.0.0.1:{}{path}", self.port)
        }
    }

    /// Asks with curl, and with a certificate when there is TLS.
    #[track_caller]
    pub(super) fn ask(&self, path: &str, options: &[&str]) -> Reply {
        let keys = Keys::get();
        let (key, certificate) = (keys.at("localhost.key"), keys.at("localhost.cer"));
        let own = if self.is_tls { vec!["--key", &*key, "--cert", &*certificate] } else { Vec::new() };
        let asked = self.curl(path, &[&own, options].concat());
        asked.unwrap_or_else(|said| panic!("curl {path}: {said}"))
    }

    /// Asks with curl as it is; fails with what curl says.
    pub(super) fn curl(&self, path: &str, options: &[&str]) -> Result<Reply, String> {
        let body = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "30", "--path-as-is", "-D", "-", "-o"]).arg(body.path());
        command.args(["--cacert", &Keys::get().at("local_ca.cer")]).args(options).arg(self.url(path));
        let output = command.output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let head = String::from_utf8_lossy(&output.stdout).into_owned();
        let statuses = head.lines().filter(|line| line.starts_with("HTTP/"));
        let code = statuses.filter_map(|line| line.split(' ').nth(1)?.parse().ok()).next_back().unwrap();
        Ok(Reply { code, head, body: fs::read(body.path()).unwrap() })
    }

    pub(super) fn json(&self, path: &str) -> Value {
        self.ask(path, &["-H", "Accept: application/json"]).is(200).json()
    }

    /// Registers an instance as Node clients do.
    #[track_caller]
    pub(super) fn register(&self, app: &str, id: &str, more: &str) -> Reply {
        let body = format!(
            r#"{{"instance":{{"instanceId":"{id}","app":"{app}","hostName":"localhost","ipAddr":"127.0.0.1","vipAddress":"{app}",
            "secureVipAddress":"s-{app}","port":{{"$":10039,"@enabled":false}},"securePort":{{"$":10039,"@enabled":"true"}},
            "dataCenterInfo":{{"name":"MyOwn"}},"status":"UP"{more}}}}}"#
        );
        self.ask(
            &format!("/eureka/apps/{app}"),
            &["-H", "Content-Type: application/json", "--data-binary", &body],
        )
    }

    /// Returns the status of an instance as everybody sees it.
    pub(super) fn status_of(&self, id: &str) -> Option<String> {
        let document = self.json("/eureka/apps");
        let applications = document["applications"]["application"].as_array()?;
        let mut instances = applications.iter().filter_map(|one| one["instance"].as_array()).flatten();
        let instance = instances.find(|one| one["instanceId"] == id)?;
        Some(instance["status"].as_str()?.to_owned())
    }

    /// Returns a count of its measurements.
    pub(super) fn count(&self, name: &str) -> u64 {
        let text = self.ask("/application/prometheus", &[]).is(200).text();
        let line = text.lines().find(|line| line.starts_with(&format!("tender_discovery_{name} ")));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("no {name}: {text}"))
    }

    /// Ends it as a launcher does and returns its exit code.
    pub(super) fn stop(mut self) -> Option<i32> {
        crate::installation::signal(self.pid(), "TERM");
        self.child.wait().unwrap().code()
    }
}
