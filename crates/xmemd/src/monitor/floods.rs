//! Which refusals are printed: the first of a kind at once, what follows it soon is counted and told as a number.
//!
//! ```text
//!   first of a user ──► printed, a window begins ──► of a kind that was printed: counted ──► end of the window: numbers ─┐
//!                                ▲                   of another kind: printed                                            │
//!                                └── something was counted ──────────────────────────────────────────────────────────────┤
//!                                                                                              forgotten ◄── nothing was ┘
//! ```
//!
//! The audit log has every one; this is about lines for people only. Names of plug-ins are a caller's choice, so a user
//! has only so many kinds in a window, and the rest is counted together.

use std::collections::{BTreeMap, HashMap};

/// A window, in milliseconds.
pub(super) const WINDOW_MS: u64 = 10_000;
/// Kinds of one user that are told apart in a window.
const KINDS_MAX: usize = 16;
/// What the rest is called.
const OTHERS: &str = "access to other resources";

/// What to do with a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Print it; a window of the user's begins.
    First,
    /// Print it.
    Printed,
    /// It is counted.
    Counted,
}

/// Counts by user and kind.
#[derive(Debug, Default)]
pub(super) struct Floods {
    users: HashMap<u32, BTreeMap<String, u64>>,
}

impl Floods {
    /// Something was refused to a user.
    pub(super) fn refused(&mut self, uid: u32, kind: &str) -> Told {
        let Some(kinds) = self.users.get_mut(&uid) else {
            self.users.insert(uid, BTreeMap::from([(kind.to_owned(), 0)]));
            return Told::First;
        };
        if let Some(more) = kinds.get_mut(kind) {
            *more += 1;
            return Told::Counted;
        }
        if kinds.len() < KINDS_MAX {
            kinds.insert(kind.to_owned(), 0);
            return Told::Printed;
        }
        *kinds.entry(OTHERS.to_owned()).or_default() += 1;
        Told::Counted
    }

    /// The window of a user is over: what was counted in it. When there is something, the next one begins.
    pub(super) fn end_of_window(&mut self, uid: u32) -> Vec<(String, u64)> {
        let Some(kinds) = self.users.get_mut(&uid) else { return Vec::new() };
        kinds.retain(|_, more| *more > 0);
        let counted = kinds.iter_mut().map(|(kind, more)| (kind.clone(), std::mem::take(more))).collect();
        if kinds.is_empty() {
            self.users.remove(&uid);
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_of_a_kind_is_printed_and_the_others_are_told_as_a_number() {
        let mut floods = Floods::default();
        assert_eq!(floods.refused(1, "a"), Told::First);
        assert_eq!(floods.refused(1, "b"), Told::Printed);
        assert_eq!(floods.refused(2, "a"), Told::First);
        for _ in 0..1000 {
            assert_eq!(floods.refused(1, "a"), Told::Counted);
        }
        assert_eq!(floods.end_of_window(1), [("a".to_owned(), 1000)]);
        // It goes on: no line but the numbers.
        assert_eq!(floods.refused(1, "a"), Told::Counted);
        assert_eq!(floods.refused(1, "b"), Told::Printed);
        assert_eq!(floods.end_of_window(1), [("a".to_owned(), 1)]);
        assert_eq!(floods.end_of_window(1), []);
        assert_eq!(floods.refused(1, "a"), Told::First);
        assert_eq!(floods.end_of_window(2), []);
    }

    #[test]
    fn names_that_a_caller_makes_up_do_not_make_lines_without_end() {
        let mut floods = Floods::default();
        let printed = (0..1000).filter(|name| floods.refused(1, &name.to_string()) != Told::Counted).count();
        assert_eq!(printed, KINDS_MAX);
        let counted = floods.end_of_window(1);
        assert_eq!(counted, [(OTHERS.to_owned(), 1000 - KINDS_MAX as u64)]);
    }
}
