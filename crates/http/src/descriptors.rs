//! File descriptors: each connection takes one, and a process begins with few.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have as many file descriptors as `connections` take, as far as it may; returns how many it may have.
pub fn allow(connections: usize) -> u64 {
    /// For files, pipes and what libraries open.
    const OTHERS: u64 = 200;
    let limit = getrlimit(Resource::Nofile);
    let wanted = (connections as u64).saturating_add(OTHERS);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let now = limit.current.unwrap_or(u64::MAX);
    let next = wanted.min(most).max(now);
    let raised = Rlimit { current: Some(next), maximum: limit.maximum };
    if next > now && setrlimit(Resource::Nofile, raised).is_ok() { next } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_allowed_up_to_what_the_system_lets() {
        let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert!(allow(100) >= 100.min(most));
        let now = allow(100);
        assert!(allow(1) >= now, "it is never lowered");
    }
}
