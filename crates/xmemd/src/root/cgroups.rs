//! Cgroups of the hosts: one each, so that a plug-in is held to its limits and killed together with all it has started.
//!
//! ```text
//! <the server's own>/tender-xmem-<NAME>-<pid of the root process>/host-<attempt>
//! <the server's own>/tender-xmemd                                  the server itself, where controllers need that
//! ```

use std::path::{Path, PathBuf};

use tender_auxiliary::CgroupPlace;
use tender_worker::confine::{Cgroup, CgroupLimits};

/// What a name begins with, before that of the server.
const PREFIX: &str = "tender-xmem-";
const ASIDE: &str = "tender-xmemd";
const CONTROLLERS: &[&str] = &["memory", "pids"];

/// Where hosts get theirs, or why they get none.
#[derive(Debug)]
pub(crate) struct Cgroups {
    base: Result<Cgroup, String>,
    /// Those that could not be removed yet: something in them was just dying.
    left: Vec<Cgroup>,
}

impl Cgroups {
    /// Makes a place below the server's own cgroup; takes away what a server of this name left that was killed.
    pub(crate) fn prepare(server: &str) -> Self {
        let make = || {
            let own = Cgroup::own()?;
            for old in own.below().iter().filter(|old| is_of_the_dead(old.directory(), server)) {
                // In a container of its own a server may live, under a number that is nobody's here.
                let hosts = old.below();
                if hosts.iter().any(Cgroup::has_strangers) {
                    continue;
                }
                for host in hosts {
                    host.kill().ok();
                    host.remove().ok();
                }
                old.remove().ok();
            }
            let name = format!("{PREFIX}{server}-{}", std::process::id());
            let base = Cgroup::create(own.directory().join(name))?;
            own.offer(CONTROLLERS, ASIDE);
            base.offer(CONTROLLERS, ASIDE);
            Ok(base)
        };
        Self { base: make().map_err(|error: std::io::Error| error.to_string()), left: Vec::new() }
    }

    /// Goes on with what an earlier root process prepared.
    pub(crate) fn resume(base: Option<PathBuf>) -> Self {
        let none = || "the server had none when it was replaced".to_owned();
        let base =
            base.ok_or_else(none).and_then(|base| Cgroup::open(base).map_err(|error| error.to_string()));
        Self { base, left: Vec::new() }
    }

    /// Where it is.
    pub(crate) fn base(&self) -> Option<&Path> {
        self.base.as_ref().ok().map(Cgroup::directory)
    }

    /// Makes the one of a host, with its limits.
    pub(crate) fn make(&mut self, start: u64, limits: CgroupLimits) -> (Option<Cgroup>, CgroupPlace) {
        self.tidy();
        let made = self.base.as_ref().map_err(Clone::clone).and_then(|base| {
            // Made anew if somebody has tidied up while it was empty.
            let again = Cgroup::create(base.directory()).inspect(|base| base.offer(CONTROLLERS, ASIDE));
            let host = again.and_then(|base| Cgroup::create(base.directory().join(format!("host-{start}"))));
            host.map_err(|error| error.to_string())
        });
        match made {
            Err(why) => (None, CgroupPlace::None { why }),
            Ok(cgroup) => {
                let (directory, lacks) = (cgroup.directory().to_owned(), cgroup.limit(limits).join("; "));
                (Some(cgroup), CgroupPlace::In { directory, lacks })
            }
        }
    }

    /// A host has ended: whatever it started ends with it. Says whether something is still dying.
    pub(crate) fn ended(&mut self, cgroup: Cgroup) -> bool {
        cgroup.kill().ok();
        self.left.push(cgroup);
        self.tidy()
    }

    /// Removes what has died out; says whether something is still dying.
    pub(crate) fn tidy(&mut self) -> bool {
        self.left.retain(|cgroup| cgroup.directory().exists() && cgroup.remove().is_err());
        !self.left.is_empty()
    }

    /// The server ends.
    pub(crate) fn remove(&mut self) {
        self.tidy();
        if let Ok(base) = &self.base {
            // What is still dying in it keeps it; the next server of this name takes it away.
            base.remove().ok();
        }
    }
}

/// Says whether a directory was made by a server of this name whose process is gone.
fn is_of_the_dead(directory: &Path, server: &str) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(server)?.strip_prefix('-'));
    pid.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_of_the_dead_are_those_of_this_name_whose_process_is_gone() {
        let own = format!("/x/tender-xmem-ZWESIS_STD-{}", std::process::id());
        assert!(!is_of_the_dead(Path::new(&own), "ZWESIS_STD"));
        assert!(is_of_the_dead(Path::new("/x/tender-xmem-ZWESIS_STD-4194999"), "ZWESIS_STD"));
        for other in ["/x/tender-xmem-ZWESIS_STD2-4194999", "/x/tender-xmem-ZWESIS_STD-x", "/x/else-4194999"]
        {
            assert!(!is_of_the_dead(Path::new(other), "ZWESIS_STD"), "{other}");
        }
    }

    #[test]
    fn host_without_a_cgroup_is_told_why() {
        let mut cgroups = Cgroups::resume(None);
        let (cgroup, place) = cgroups.make(1, CgroupLimits::default());
        assert_eq!((cgroup, cgroups.base()), (None, None));
        assert!(matches!(place, CgroupPlace::None { why } if why.contains("replaced")));
    }
}
