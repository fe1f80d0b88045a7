//! Java and Node, when a component needs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(30);

/// A language runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// Needed by the servers of the mediation layer of the reference.
    Java,
    /// Needed by its application server.
    Node,
}

impl Runtime {
    /// Components of the reference that need it.
    fn components(self) -> &'static [&'static str] {
        match self {
            Self::Java => &["gateway", "zaas", "discovery", "api-catalog", "caching-service", "files-api", "jobs-api"],
            Self::Node => &["app-server"],
        }
    }

    /// Says whether a component needs it: it is one of those, and its start script speaks of it.
    ///
    /// Another product may have a gateway of its own in another language.
    pub(crate) fn is_needed_by(self, component: &str, start_script: &str) -> bool {
        let words: &[&str] = match self {
            Self::Java => &["java", "JAVA_HOME"],
            Self::Node => &["node", "NODE_HOME"],
        };
        self.components().contains(&component) && words.iter().any(|word| start_script.contains(word))
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Java => "java",
            Self::Node => "node",
        }
    }

    const fn oldest(self) -> u32 {
        match self {
            Self::Java => 17,
            Self::Node => 16,
        }
    }

    /// Says what is wrong with it; `home` is `java.home` or `node.home`.
    pub(crate) fn check(self, home: Option<&Path>) -> Result<(), String> {
        let program = match home {
            Some(home) => home.join("bin").join(self.name()),
            None => self.on_path().ok_or_else(|| {
                format!("{} is not found: set {0}.home in zowe.yaml or put it on the path", self.name())
            })?,
        };
        let flag = if self == Self::Java { "-version" } else { "--version" };
        let said = run(&program, flag).map_err(|reason| format!("`{} {flag}`: {reason}", program.display()))?;
        let version = self.version(&said);
        let version = version.ok_or_else(|| format!("`{} {flag}` says no version: {}", program.display(), said.trim()))?;
        if version[0] < self.oldest() {
            return Err(format!("{} is version {}, at least {} is needed", program.display(), version[0], self.oldest()));
        }
        // This one corrupts answers of the application server.
        if self == Self::Node && version == [18, 12, 1] {
            return Err(format!("{} is version 18.12.1, which cannot be used", program.display()));
        }
        Ok(())
    }

    fn on_path(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|directory| directory.join(self.name())).find(|program| program.is_file())
    }

    fn version(self, said: &str) -> Option<[u32; 3]> {
        let text = match self {
            Self::Java => said.split('"').nth(1)?,
            Self::Node => said.trim().strip_prefix('v')?,
        };
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
        let first: u32 = numbers.next()?;
        // Java 8 and older say 1.8.
        let major = if self == Self::Java && first == 1 { numbers.next()? } else { first };
        Some([major, numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)])
    }
}

/// Runs a program with one argument and returns what it says, on both outputs.
fn run(program: &Path, argument: &str) -> Result<String, String> {
    let mut command = Command::new(program);
    let spawned = command.arg(argument).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = spawned.map_err(|error| error.to_string())?;
    let pid = rustix::process::Pid::from_child(&child);
    let (done, wait) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || done.send(child.wait_with_output()).ok());
    let began = Instant::now();
    let output = wait.recv_timeout(VERSION_LIMIT).map_err(|_| {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        format!("no answer after {} s", began.elapsed().as_secs())
    })?;
    waiter.join().expect("the waiting thread does not panic");
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn home(name: &str, script: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        let program = dir.path().join("bin").join(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }

    #[test]
    fn versions_are_read_and_old_ones_refused() {
        let check = |runtime: Runtime, script: &str| runtime.check(Some(home(runtime.name(), script).path()));
        check(Runtime::Java, "echo 'openjdk version \"17.0.9\" 2023-10-17' >&2").unwrap();
        let old = check(Runtime::Java, "echo 'java version \"1.8.0_292\"' >&2").unwrap_err();
        assert!(old.contains("version 8"), "{old}");
        check(Runtime::Node, "echo v20.11.0").unwrap();
        assert!(check(Runtime::Node, "echo v14.1.0").unwrap_err().contains("14"));
        assert!(check(Runtime::Node, "echo v18.12.1").unwrap_err().contains("18.12.1"));
        assert!(check(Runtime::Node, "echo broken >&2; exit 3").unwrap_err().contains("broken"));
    }

    #[test]
    fn runtime_is_needed_only_by_components_whose_start_speaks_of_it() {
        assert!(Runtime::Java.is_needed_by("gateway", "exec ${JAVA_HOME}/bin/java -jar x"));
        assert!(!Runtime::Java.is_needed_by("gateway", "exec tender gateway run"));
        assert!(!Runtime::Java.is_needed_by("cloud-gateway", "java"));
    }
}
