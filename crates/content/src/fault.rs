//! Fault points: places where a test kills the process, to show that the next run goes on rightly.
//!
//! When the environment variable `TENDER_FAULT` names a point, the process kills itself there with SIGKILL: no
//! destructor runs and nothing is flushed. `name:3` means the third time it comes by. Each crate with durable steps
//! lists its own points, so that a test can drive every one.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
struct Armed {
    name: String,
    /// Which passing kills, from 1.
    passing: u32,
    passed: AtomicU32,
}

impl Armed {
    fn parse(text: &str) -> Self {
        let counted = text.rsplit_once(':').and_then(|(name, nth)| Some((name, nth.parse().ok()?)));
        let (name, passing) = counted.unwrap_or((text, 1));
        Self { name: name.to_owned(), passing, passed: AtomicU32::new(0) }
    }

    fn kills_at(&self, name: &str) -> bool {
        self.name == name && self.passed.fetch_add(1, Ordering::SeqCst) + 1 == self.passing
    }
}

/// Kills this process when the environment names the point; does nothing otherwise.
pub fn point(name: &str) {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    let armed = ARMED.get_or_init(|| std::env::var("TENDER_FAULT").ok().map(|text| Armed::parse(&text)));
    if armed.as_ref().is_some_and(|armed| armed.kills_at(name)) {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
            .expect("a process may always signal itself");
    }
}

#[cfg(test)]
mod tests {
    use super::Armed;

    #[test]
    fn point_with_a_number_kills_at_that_passing_only() {
        let armed = Armed::parse("load.apply:2");
        let kills: Vec<_> = (0..3).map(|_| armed.kills_at("load.apply")).collect();
        assert_eq!(kills, [false, true, false]);
        assert!(!armed.kills_at("load.slot"));
    }

    #[test]
    fn point_without_a_number_kills_at_once() {
        assert!(Armed::parse("send.begun").kills_at("send.begun"));
    }
}
