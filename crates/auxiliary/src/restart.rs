//! When a host that ended is started again.

use std::time::Duration;

/// Pauses between the end of a host and its next start.
///
/// Units: durations. The n-th failure in a row waits the n-th pause, every later one the last; there is no giving up. A host
/// that stayed ready for `stable_after` has failed for the first time when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The pauses; none means that a host that ended stays down.
    pub pauses: Vec<Duration>,
    /// How long a host must have been ready for its earlier failures to be forgotten.
    pub stable_after: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        let pauses = [0, 1, 1, 5, 5, 10, 20, 60].map(Duration::from_secs);
        Self { pauses: pauses.to_vec(), stable_after: Duration::from_secs(90) }
    }
}

impl RestartPolicy {
    /// Returns how long to wait after this many failures in a row, at least one; `None` when there is no next start.
    pub fn pause(&self, failures: u32) -> Option<Duration> {
        let last = self.pauses.len().checked_sub(1)?;
        let place = usize::try_from(failures.saturating_sub(1)).unwrap_or(last);
        Some(self.pauses[place.min(last)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_after_the_last_failure_listed_stays_the_last() {
        let seconds = |list: &[u64]| list.iter().copied().map(Duration::from_secs).collect();
        let policy = RestartPolicy { pauses: seconds(&[0, 2, 7]), stable_after: Duration::from_secs(1) };
        let pauses: Vec<_> = [1, 2, 3, 4, 4_000_000].map(|failures| policy.pause(failures)).into();
        assert_eq!(pauses, [0, 2, 7, 7, 7].map(|pause| Some(Duration::from_secs(pause))));
    }

    #[test]
    fn pause_of_an_empty_list_is_none() {
        let policy = RestartPolicy { pauses: Vec::new(), stable_after: Duration::ZERO };
        assert_eq!(policy.pause(1), None);
    }
}
