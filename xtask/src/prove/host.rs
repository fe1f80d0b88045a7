//! One host: a Tender home, a namespace, and the commands typed there.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::network::Node;
use super::wait_until;
use crate::failure::Failure;
use crate::program;

/// The port that an agent listens on.
const CONTROL_PORT: &str = ":4535";

/// A host of the proof. Its agent ends with it.
#[derive(Debug)]
pub(super) struct Host {
    name: String,
    node: Node,
    tender: PathBuf,
    dir: PathBuf,
    agent: Option<Child>,
}

impl Host {
    /// Describes a host; nothing runs yet.
    pub(super) fn new(name: &str, node: Node, tender: &Path, hosts: &Path) -> Self {
        let dir = hosts.join(name);
        Self { name: name.to_owned(), node, tender: tender.to_owned(), dir, agent: None }
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns its address.
    pub(super) fn address(&self) -> &str {
        &self.node.address
    }

    fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    fn command(&self, words: &[&str]) -> Result<Command, Failure> {
        fs::create_dir_all(self.home()).map_err(Failure::file("make", self.home()))?;
        println!("{}$ tender {}", self.name, words.join(" "));
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.node.namespace]).arg(&self.tender).args(words);
        command.current_dir(&self.dir).env("TENDER_HOME", self.home()).stdin(Stdio::null());
        Ok(command)
    }

    /// Types a command and returns what it says; another return code than expected is a failure.
    pub(super) fn run(&self, words: &[&str], codes: &[i32]) -> Result<String, Failure> {
        let output = program::output(&mut self.command(words)?)?;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let code = output.status.code().unwrap_or(-1);
        if codes.contains(&code) {
            return Ok(said);
        }
        Err(Failure::Unexpected {
            what: format!("`tender {}` on {} ends with one of {codes:?}", words.join(" "), self.name),
            found: format!("{code}\n{said}"),
        })
    }

    /// Starts a command and leaves it running.
    pub(super) fn start(&self, words: &[&str]) -> Result<Running, Failure> {
        let mut command = self.command(words)?;
        let said = tempfile::tempfile().map_err(Failure::file("make", "a temporary file"))?;
        let copy = || said.try_clone().map_err(Failure::file("make", "a temporary file"));
        command.stdout(copy()?).stderr(copy()?);
        let child = command.spawn().map_err(|source| Failure::Start { program: "ip".to_owned(), source })?;
        Ok(Running { child, said })
    }

    /// Starts the agent and waits until it listens.
    pub(super) fn start_agent(&mut self) -> Result<(), Failure> {
        let log = self.dir.join("agent.log");
        let mut command = self.command(&["agent", "run"])?;
        let file = fs::File::create(&log).map_err(Failure::file("write", &log))?;
        let errors = file.try_clone().map_err(Failure::file("write", &log))?;
        let child = command.stdout(file).stderr(errors).spawn();
        let child = child.map_err(|source| Failure::Start { program: "ip".to_owned(), source })?;
        let agent = self.agent.insert(child);
        let namespace = &self.node.namespace;
        wait_until(&format!("the agent of {} listens", self.name), || {
            if agent.try_wait().map_err(Failure::file("wait for", "the agent"))?.is_some() {
                return Err(Failure::Unexpected {
                    what: format!("the agent of {} runs", self.name),
                    found: fs::read_to_string(&log).unwrap_or_else(|error| error.to_string()),
                });
            }
            let output =
                program::output(Command::new("ip").args(["netns", "exec", namespace, "ss", "-Hltn"]))?;
            Ok(String::from_utf8_lossy(&output.stdout)
                .split_whitespace()
                .any(|word| word.ends_with(CONTROL_PORT)))
        })
    }

    /// Returns where a slot leads to.
    pub(super) fn slot(&self, slot: &str) -> PathBuf {
        // `diff` and `find` are given the directory itself, not a link to it.
        let link = self.home().join("system").join(slot);
        fs::canonicalize(&link).unwrap_or(link)
    }

    /// Checks that a slot has these components and nothing else.
    pub(super) fn holds_only<'c>(
        &self,
        slot: &str,
        components: impl Iterator<Item = &'c str>,
    ) -> Result<(), Failure> {
        let dir = self.slot(slot);
        let mut found = Vec::new();
        for entry in fs::read_dir(&dir).map_err(Failure::file("read", &dir))? {
            let name = entry.map_err(Failure::file("read", &dir))?.file_name();
            found.push(name.to_string_lossy().into_owned());
        }
        found.sort();
        let mut expected: Vec<_> = components.collect();
        expected.sort_unstable();
        if found == expected {
            return Ok(());
        }
        Err(Failure::Unexpected {
            what: format!("{} holds {expected:?} alone", dir.display()),
            found: format!("{found:?}"),
        })
    }

    /// Returns what all slots are links to.
    pub(super) fn slots(&self) -> Vec<Option<PathBuf>> {
        ["test", "current", "previous"]
            .map(|slot| fs::read_link(self.home().join("system").join(slot)).ok())
            .into()
    }

    /// Returns how many bytes of packages have arrived.
    pub(super) fn arrived_bytes(&self) -> Result<u64, Failure> {
        let incoming = self.home().join("system/incoming");
        let output = program::output(Command::new("du").args(["--bytes", "--summarize"]).arg(&incoming))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let bytes = text.split_whitespace().next().and_then(|word| word.parse().ok());
        bytes.ok_or_else(|| Failure::Unexpected {
            what: format!("{} can be measured", incoming.display()),
            found: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            // An agent that has ended already is where it should be.
            drop(agent.kill());
            drop(agent.wait());
        }
    }
}

/// A command that runs; killed when dropped before its end.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    said: fs::File,
}

impl Running {
    /// Says whether it has ended.
    pub(super) fn has_ended(&mut self) -> Result<bool, Failure> {
        Ok(self.child.try_wait().map_err(Failure::file("wait for", "a command"))?.is_some())
    }

    /// Waits for its end and returns its code and what it said.
    pub(super) fn wait(mut self) -> Result<(i32, String), Failure> {
        use std::io::Seek as _;
        let status = self.child.wait().map_err(Failure::file("wait for", "a command"))?;
        let mut text = String::new();
        self.said.rewind().map_err(Failure::file("read", "a temporary file"))?;
        self.said.read_to_string(&mut text).map_err(Failure::file("read", "a temporary file"))?;
        Ok((status.code().unwrap_or(-1), text))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Removes a directory with everything below it, read-only levels included.
pub(super) fn clear(dir: &Path) -> Result<(), Failure> {
    if dir.exists() {
        program::run(Command::new("chmod").args(["--recursive", "u+rwX"]).arg(dir))?;
        fs::remove_dir_all(dir).map_err(Failure::file("remove", dir))?;
    }
    Ok(())
}
