//! Who may have how many calls under way: a pure account, by user.
//!
//! The server has so many places. A user has at most its share of what the others leave, divided among all users that are
//! connected; an eighth is kept for users who have next to nothing under way, so that somebody who was first cannot shut
//! out those who come later.

use std::collections::HashMap;

/// What is counted of one user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    calls: u32,
    connections: u32,
}

/// The account.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    calls_max: u32,
    calls_per_uid_max: u32,
    calls: u32,
    users: HashMap<u32, Used>,
}

impl Admission {
    /// Sets the number of places, from now on.
    pub(crate) fn set_limits(&mut self, calls_max: u32, calls_per_uid_max: u32) {
        self.calls_max = calls_max;
        self.calls_per_uid_max = calls_per_uid_max;
    }

    pub(crate) fn connected(&mut self, uid: u32) {
        self.users.entry(uid).or_default().connections += 1;
    }

    pub(crate) fn disconnected(&mut self, uid: u32) {
        if let Some(used) = self.users.get_mut(&uid) {
            used.connections = used.connections.saturating_sub(1);
            if *used == Used::default() {
                self.users.remove(&uid);
            }
        }
    }

    /// Takes a place for a call; false when there is none for this user.
    pub(crate) fn enter(&mut self, uid: u32) -> bool {
        let users = u32::try_from(self.users.len()).unwrap_or(u32::MAX).max(1);
        let used = self.users.entry(uid).or_default();
        let kept = self.calls_max / 8;
        let others = self.calls - used.calls;
        let share = self.calls_max.saturating_sub(kept).saturating_sub(others) / users;
        let is_newcomer = used.calls < (kept / users.min(8)).max(1);
        let has_room = self.calls < self.calls_max
            && used.calls < self.calls_per_uid_max
            && (used.calls < share || is_newcomer);
        if has_room {
            used.calls += 1;
            self.calls += 1;
        }
        has_room
    }

    pub(crate) fn leave(&mut self, uid: u32) {
        if let Some(used) = self.users.get_mut(&uid) {
            used.calls = used.calls.saturating_sub(1);
            self.calls = self.calls.saturating_sub(1);
            if *used == Used::default() {
                self.users.remove(&uid);
            }
        }
    }

    /// Returns how many calls are under way.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(calls_max: u32, uids: &[u32]) -> Admission {
        let mut admission = Admission::default();
        admission.set_limits(calls_max, u32::MAX);
        for uid in uids {
            admission.connected(*uid);
        }
        admission
    }

    fn fill(admission: &mut Admission, uid: u32) -> u32 {
        (0..10_000).take_while(|_| admission.enter(uid)).count() as u32
    }

    #[test]
    fn one_user_leaves_something_for_the_next() {
        let mut admission = admission(64, &[1]);
        assert_eq!(fill(&mut admission, 1), 56);
        admission.connected(2);
        assert!(admission.enter(2));
        assert!(!admission.enter(1));
    }

    #[test]
    fn share_gets_smaller_as_users_come() {
        let mut admission = admission(64, &[1, 2]);
        assert_eq!(fill(&mut admission, 1), 28);
        let second = fill(&mut admission, 2);
        assert!((14..=28).contains(&second), "{second}");
    }

    #[test]
    fn places_that_were_left_can_be_taken_and_the_account_is_empty_at_the_end() {
        let mut admission = admission(8, &[1]);
        let count = fill(&mut admission, 1);
        for _ in 0..count {
            admission.leave(1);
        }
        assert_eq!((admission.calls(), fill(&mut admission, 1)), (0, count));
        for _ in 0..count {
            admission.leave(1);
        }
        admission.disconnected(1);
        assert!(admission.users.is_empty());
    }

    #[test]
    fn never_more_calls_than_places_whoever_asks() {
        let mut admission = admission(16, &[1, 2, 3, 4, 5]);
        let all: u32 = (0..100).map(|turn| u32::from(admission.enter(turn % 5 + 1))).sum();
        assert!(all <= 16 && admission.calls() == all);
    }
}
