//! Two users for trials: `user` with password `user`, and `expire` whose tokens end after a second.

use async_trait::async_trait;

use super::{Denied, Provider, Verified};

/// Knows two users and nobody else. Not for production: anybody knows their passwords.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dummy;

#[async_trait]
impl Provider for Dummy {
    async fn check(&self, user: &str, password: &str) -> Result<Verified, Denied> {
        let lifetime_s = match (user, password) {
            ("user", "user") => None,
            ("expire", "expire") => Some(1),
            _ => return Err(Denied::Wrong),
        };
        Ok(Verified { user: user.to_owned(), domain: "Dummy provider".to_owned(), lifetime_s })
    }
}
