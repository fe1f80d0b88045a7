//! Who asks.

use crate::id::Id;

/// Who asks: a user of the database or nobody known, and what groups it has besides those of the database.
///
/// A subject is a claim already proven by others (the kernel, a password, a token); what it may is looked up anew for
/// each question, so that one made before a change is answered by what holds after it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// The user; `None` for somebody whom the database does not know.
    pub user: Option<Id>,
    /// Groups besides those that the database connects the user to: those of the Linux process.
    pub groups: Vec<Id>,
}

impl Subject {
    /// Makes the subject of a user with the groups that the database gives it.
    pub fn user(id: Id) -> Self {
        Self { user: Some(id), groups: Vec::new() }
    }
}
