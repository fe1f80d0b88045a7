//! Cgroups, version 2: one for each component, so that nothing of its tree escapes and its limits hold.
//!
//! ```text
//! <own or given cgroup>/tender-<HA id>-<uuid>/<job name>      the processes of one component
//! <own cgroup>/tender-supervisor                              this process, when controllers need that
//! ```
//!
//! Source: Linux, Documentation/admin-guide/cgroup-v2.rst (delegation, "no internal processes", `cgroup.kill`).

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::options::Cgroups;
use crate::plan::Limits;

/// The cgroups of one instance.
#[derive(Debug)]
pub(crate) struct InstanceCgroup {
    directory: PathBuf,
    controllers: Controllers,
}

/// Which limits the kernel enforces for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Controllers {
    pub(crate) has_memory: bool,
    pub(crate) has_cpu: bool,
    pub(crate) has_pids: bool,
}

/// The cgroup of one component.
///
/// Once it was killed no process may be started in it: kernels from 6.14 on compare the number of kills of the cgroup
/// with that of the starting process's own cgroup, and kill the newcomer (`cgroup_css_set_fork` and
/// `cgroup_post_fork` in kernel/cgroup/cgroup.c). It is removed and made anew for the next run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ComponentCgroup {
    directory: PathBuf,
    is_killed: Cell<bool>,
}

impl InstanceCgroup {
    /// Finds and makes the cgroup of an instance; the text says why there is none.
    pub(crate) fn open(choice: &Cgroups, name: &str) -> Result<Self, String> {
        let (base, is_own) = match choice {
            Cgroups::None => return Err("switched off".to_owned()),
            Cgroups::Below(directory) => (directory.clone(), false),
            Cgroups::Own => (own()?, true),
        };
        if !base.join("cgroup.procs").exists() {
            return Err(format!("{} is no cgroup of version 2", base.display()));
        }
        let directory = base.join(name);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(format!("{} cannot be written: {error}", base.display()));
            }
            _ => {}
        }
        if !directory.join("cgroup.kill").exists() {
            fs::remove_dir(&directory).ok();
            return Err("the kernel is older than 5.14 and cannot kill a cgroup".to_owned());
        }
        enable_controllers(&base, is_own);
        enable_controllers(&directory, false);
        let enabled = words(&directory.join("cgroup.subtree_control"));
        let has = |name: &str| enabled.iter().any(|word| word == name);
        let controllers =
            Controllers { has_memory: has("memory"), has_cpu: has("cpu"), has_pids: has("pids") };
        Ok(Self { directory, controllers })
    }

    pub(crate) fn controllers(&self) -> Controllers {
        self.controllers
    }

    /// Makes the cgroup of a component and sets its limits.
    ///
    /// An empty one of that name is removed first: it may have been killed by whoever had it before, and then nothing
    /// would live in it.
    pub(crate) fn component(&self, name: &str, limits: &Limits) -> io::Result<ComponentCgroup> {
        let directory = self.directory.join(name);
        remove_tree(&directory);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for (file, value) in settings(limits, self.controllers) {
            fs::write(directory.join(file), value)?;
        }
        Ok(ComponentCgroup::at(directory))
    }

    /// Makes sure that a process started in a new cgroup lives; the text says why not.
    pub(crate) fn check(
        &self,
        start: impl Fn(&ComponentCgroup) -> Result<bool, String>,
    ) -> Result<(), String> {
        let trial = self.component("trial", &Limits::default()).map_err(|error| error.to_string())?;
        let result = start(&trial);
        trial.remove();
        if result? { Ok(()) } else { Err("the kernel kills what is started in a new cgroup".to_owned()) }
    }

    /// Returns the cgroups of components that are there.
    pub(crate) fn components(&self) -> Vec<ComponentCgroup> {
        subdirectories(&self.directory).into_iter().map(ComponentCgroup::at).collect()
    }

    /// Removes the cgroup of the instance with all that are empty.
    pub(crate) fn remove(&self) {
        remove_tree(&self.directory);
    }
}

impl ComponentCgroup {
    fn at(directory: PathBuf) -> Self {
        Self { directory, is_killed: Cell::new(false) }
    }

    /// Says whether it must be made anew before anything is started in it.
    pub(crate) fn is_killed(&self) -> bool {
        self.is_killed.get()
    }

    /// Opens the directory, for a process to be started in it.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(File::open(&self.directory)?.into())
    }

    pub(crate) fn name(&self) -> String {
        self.directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns the processes in it and below.
    pub(crate) fn members(&self) -> Vec<i32> {
        let mut members = Vec::new();
        let mut open = vec![self.directory.clone()];
        while let Some(directory) = open.pop() {
            members.extend(
                words(&directory.join("cgroup.procs")).iter().filter_map(|word| word.parse::<i32>().ok()),
            );
            // Reading a directory costs more than the file: most components make no cgroups of their own.
            if fs::metadata(&directory).is_ok_and(|facts| std::os::unix::fs::MetadataExt::nlink(&facts) > 2) {
                open.extend(subdirectories(&directory));
            }
        }
        members
    }

    /// Kills every process in it and below.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.is_killed.set(true);
        fs::write(self.directory.join("cgroup.kill"), "1")
    }

    /// Returns how many processes the kernel killed for want of memory, when it counts them.
    pub(crate) fn memory_kills(&self) -> Option<u64> {
        field(&self.directory.join("memory.events"), "oom_kill")
    }

    pub(crate) fn cpu_ms(&self) -> Option<u64> {
        Some(field(&self.directory.join("cpu.stat"), "usage_usec")? / 1000)
    }

    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        fs::read_to_string(self.directory.join("memory.current")).ok()?.trim().parse().ok()
    }

    /// Removes it, if nothing is in it; returns whether it is gone.
    pub(crate) fn remove(&self) -> bool {
        remove_tree(&self.directory);
        !self.directory.exists()
    }
}

/// Returns the files that set limits, and what goes into them.
fn settings(limits: &Limits, controllers: Controllers) -> Vec<(&'static str, String)> {
    const PERIOD_US: u64 = 100_000;
    let or_max = |value: Option<u64>| value.map_or_else(|| "max".to_owned(), |value| value.to_string());
    let mut settings = Vec::new();
    if controllers.has_memory {
        settings.push(("memory.max", or_max(limits.memory_bytes)));
    }
    if controllers.has_cpu {
        let quota_us = limits.cpu_percent.map(|percent| u64::from(percent) * PERIOD_US / 100);
        settings.push(("cpu.max", format!("{} {PERIOD_US}", or_max(quota_us))));
    }
    if controllers.has_pids {
        settings.push(("pids.max", or_max(limits.tasks)));
    }
    settings
}

/// Finds the cgroup of this process.
fn own() -> Result<PathBuf, String> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    locate(&cgroups, &mounts).ok_or_else(|| "no cgroup file system of version 2 is mounted".to_owned())
}

/// Finds the directory of a process's version 2 cgroup from its `cgroup` and `mountinfo` files.
fn locate(cgroups: &str, mounts: &str) -> Option<PathBuf> {
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        Some(Path::new(&unescape(point)).join(below))
    })
}

/// Replaces `\040` and the like of mountinfo.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

/// Asks for the controllers that limits need, as far as they are offered.
///
/// A cgroup with controllers for its children may hold no process itself, so an own cgroup with this process alone in
/// it is left for one below.
fn enable_controllers(directory: &Path, is_own: bool) {
    let offered = words(&directory.join("cgroup.controllers"));
    let enabled = words(&directory.join("cgroup.subtree_control"));
    for name in ["memory", "cpu", "pids"] {
        let is = |list: &[String]| list.iter().any(|word| word == name);
        if !is(&offered) || is(&enabled) {
            continue;
        }
        let control = directory.join("cgroup.subtree_control");
        let enable = || fs::write(&control, format!("+{name}"));
        let is_busy = enable().is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY));
        if is_busy && is_own && step_aside(directory).is_ok() {
            // A limit that cannot be enforced is told for each component that has one.
            enable().ok();
        }
    }
}

fn step_aside(directory: &Path) -> io::Result<()> {
    let own = std::process::id().to_string();
    if words(&directory.join("cgroup.procs")) != [own.as_str()] {
        return Err(io::Error::other("other processes live in this cgroup"));
    }
    let leaf = directory.join("tender-supervisor");
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::write(leaf.join("cgroup.procs"), own),
    }
}

fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Reads a file of `name number` lines.
fn field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn remove_tree(directory: &Path) {
    for below in subdirectories(directory) {
        remove_tree(&below);
    }
    // One with processes in it stays, and is looked at by the next supervisor.
    fs::remove_dir(directory).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
30 25 0:26 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
31 25 0:27 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n";

    #[test]
    fn locate_joins_the_mount_point_with_the_own_path() {
        let at = |cgroups, mounts| locate(cgroups, mounts).map(|path| path.display().to_string());
        assert_eq!(
            at("4:memory:/x\n0::/user.slice/a.service\n", MOUNTS).as_deref(),
            Some("/sys/fs/cgroup/unified/user.slice/a.service")
        );
        let inside = "30 25 0:26 /box /my\\040cg rw - cgroup2 c rw\n";
        assert_eq!(at("0::/box/in\n", inside).as_deref(), Some("/my cg/in"));
        assert_eq!(at("0::/else\n", inside), None);
        assert_eq!(at("4:memory:/x\n", MOUNTS), None);
        assert_eq!(at("0::/\n", ""), None);
    }

    #[test]
    fn settings_are_those_of_controllers_that_are_there() {
        let limits =
            Limits { memory_bytes: Some(1 << 20), cpu_percent: Some(150), files: Some(9), tasks: None };
        assert_eq!(settings(&limits, Controllers::default()), []);
        let all = Controllers { has_memory: true, has_cpu: true, has_pids: true };
        let expected = [
            ("memory.max", "1048576".to_owned()),
            ("cpu.max", "150000 100000".to_owned()),
            ("pids.max", "max".to_owned()),
        ];
        assert_eq!(settings(&limits, all), expected);
    }
}
