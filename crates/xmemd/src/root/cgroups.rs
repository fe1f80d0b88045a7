//! Cgroups of the hosts: one each, so that a plug-in is held to its limits and killed together with all it has started.
//!
//! ```text
//! <the server's own>/tender-xmem-<NAME>-<pid of the root process>/host-<number>
//! <the server's own>/tender-xmemd                                  the server itself, where controllers need that
//! ```
//!
//! No number is used twice, whatever is started again or replaced: two hosts in one cgroup would be killed together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tender_auxiliary::CgroupPlace;
use tender_worker::confine::{Cgroup, CgroupLimits};

/// What a name begins with, before that of the server.
const PREFIX: &str = "tender-xmem-";
const ASIDE: &str = "tender-xmemd";
const CONTROLLERS: &[&str] = &["memory", "pids"];
/// How long killed processes are waited for.
const DYING: Duration = Duration::from_secs(2);

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
            let place = own.directory().join(format!("{PREFIX}{server}-{}", std::process::id()));
            for old in own.below() {
                // Where processes are numbered from the beginning, as in a container, the last one had this number, too.
                if old.directory() == place || is_of_the_dead(old.directory(), server) {
                    clear(&old);
                }
            }
            let base = Cgroup::create(place)?;
            own.offer(CONTROLLERS, ASIDE);
            base.offer(CONTROLLERS, ASIDE);
            Ok(base)
        };
        Self { base: make().map_err(|error: std::io::Error| error.to_string()), left: Vec::new() }
    }

    /// Goes on with what an earlier root process prepared; whatever is in it beside those that are `kept` was dying then.
    pub(crate) fn resume(base: Option<PathBuf>, kept: &[PathBuf]) -> Self {
        let none = || "the server had none when it was replaced".to_owned();
        let base =
            base.ok_or_else(none).and_then(|base| Cgroup::open(base).map_err(|error| error.to_string()));
        let below = base.as_ref().map_or_else(|_| Vec::new(), Cgroup::below);
        let is_left = |cgroup: &Cgroup| !kept.iter().any(|kept| kept == cgroup.directory());
        Self { base, left: below.into_iter().filter(is_left).collect() }
    }

    /// Where it is.
    pub(crate) fn base(&self) -> Option<&Path> {
        self.base.as_ref().ok().map(Cgroup::directory)
    }

    /// Makes the one of a host, with its limits. The number is that of no other host of this root process, also before it
    /// executed itself anew.
    pub(crate) fn make(&mut self, number: u64, limits: CgroupLimits) -> (Option<Cgroup>, CgroupPlace) {
        self.tidy();
        let made = self.base.as_ref().map_err(Clone::clone).and_then(|base| {
            // Made anew if somebody has tidied up while it was empty.
            let again = Cgroup::create(base.directory()).inspect(|base| base.offer(CONTROLLERS, ASIDE));
            let place = base.directory().join(format!("host-{number}"));
            let host = again.and_then(|_| Cgroup::create_new(&place));
            host.map_err(|error| format!("make `{}`: {error}", place.display()))
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

    /// The server ends: nothing that plug-ins have started goes on without it.
    pub(crate) fn remove(&mut self) {
        if let Ok(base) = &self.base {
            end(base);
        }
    }
}

/// Kills everything in it and removes it.
fn end(cgroup: &Cgroup) {
    cgroup.kill().ok();
    // What does not die, in the kernel's own wait for something, keeps it; the next server of this name tries again.
    if cgroup.wait_until_empty(DYING).unwrap_or(false) {
        cgroup.remove().ok();
    }
}

/// Ends what a server has left, unless it may be one that lives, in a container of its own under a number that is nobody's
/// here.
fn clear(left: &Cgroup) {
    if !left.below().iter().any(Cgroup::has_strangers) {
        end(left);
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
        let mut cgroups = Cgroups::resume(None, &[]);
        let (cgroup, place) = cgroups.make(1, CgroupLimits::default());
        assert_eq!((cgroup, cgroups.base()), (None, None));
        assert!(matches!(place, CgroupPlace::None { why } if why.contains("replaced")));
    }
}
