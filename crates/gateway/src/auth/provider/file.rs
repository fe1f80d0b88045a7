//! Users in a file: a name and the hash of a password a line.
//!
//! ```text
//! # name:pbkdf2-sha256$<rounds>$<salt>$<hash>, salt and hash in base64 as URLs have it
//! alice:pbkdf2-sha256$600000$YWJj…$ZGVm…
//! ```
//!
//! The file is read at each log-in: who is taken out of it cannot log in any more.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA256, derive, verify};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use super::{Denied, Provider, Turns, Verified};

/// Rounds of new hashes; those of a file may have fewer or more.
const ROUNDS: u32 = 600_000;
/// Checks at a time, each of which takes a core for some tenths of a second; the others wait.
const CHECKS_MAX: usize = 2;
/// More rounds would let a line of the file stop the gateway.
const ROUNDS_MAX: u32 = 10_000_000;
const KIND: &str = "pbkdf2-sha256";
const HASH_BYTES: usize = 32;

/// Says why a file of users cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("read the users in `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is none of a user.
    #[error("`{}` line {line}: no user and hash; `tender gateway password` makes them", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which, from 1.
        line: usize,
    },
}

/// Knows the users of a file.
#[derive(Debug, Clone)]
pub struct PasswordFile {
    path: PathBuf,
    turns: Turns,
}

/// The hash of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hash {
    rounds: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl PasswordFile {
    /// Uses a file.
    ///
    /// Errors: [`FileError`] when it cannot be used now.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let this = Self { path: path.to_owned(), turns: Turns::new(CHECKS_MAX) };
        this.read()?;
        Ok(this)
    }

    fn read(&self) -> Result<Vec<(String, Hash)>, FileError> {
        let path = || self.path.clone();
        let text =
            std::fs::read_to_string(&self.path).map_err(|source| FileError::Read { path: path(), source })?;
        let lines =
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        lines
            .map(|(number, line)| user(line).ok_or(FileError::Line { path: path(), line: number + 1 }))
            .collect()
    }

    fn check_now(&self, user: &str, password: &str) -> Result<(), Denied> {
        let users =
            self.read().map_err(|error| Denied::Unavailable { reason: tender_http::chain(&error) })?;
        let known = users.into_iter().find(|(name, _)| name == user).map(|(_, hash)| hash);
        let is_known = known.is_some();
        // An unknown user takes as long as a known one: who is known does not show by the clock.
        let hash = known.unwrap_or_else(|| Hash {
            rounds: NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN),
            salt: vec![0; 16],
            hash: vec![0; HASH_BYTES],
        });
        let is_right =
            verify(PBKDF2_HMAC_SHA256, hash.rounds, &hash.salt, password.as_bytes(), &hash.hash).is_ok();
        if is_known && is_right { Ok(()) } else { Err(Denied::Wrong) }
    }
}

/// Makes the line of a user.
#[must_use]
pub fn hash(user: &str, password: &str) -> String {
    let (mut salt, mut hash) = ([0; 16], [0; HASH_BYTES]);
    SystemRandom::new().fill(&mut salt).expect("the system gives random numbers");
    let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
    derive(PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut hash);
    format!("{user}:{KIND}${rounds}${}${}", BASE64.encode(salt), BASE64.encode(hash))
}

fn user(line: &str) -> Option<(String, Hash)> {
    let (name, rest) = line.trim().split_once(':')?;
    let mut parts = rest.split('$');
    if name.is_empty() || parts.next() != Some(KIND) {
        return None;
    }
    let rounds: NonZeroU32 = parts.next()?.parse().ok()?;
    let salt = BASE64.decode(parts.next()?).ok()?;
    let hash = BASE64.decode(parts.next()?).ok()?;
    let is_whole = parts.next().is_none() && rounds.get() <= ROUNDS_MAX && hash.len() == HASH_BYTES;
    is_whole.then(|| (name.to_owned(), Hash { rounds, salt, hash }))
}

#[async_trait]
impl Provider for PasswordFile {
    async fn check(&self, user: &str, password: &str) -> Result<Verified, Denied> {
        let (this, name, password) = (self.clone(), user.to_owned(), password.to_owned());
        self.turns.check(move || this.check_now(&name, &password)).await?;
        Ok(Verified { user: user.to_owned(), domain: "file".to_owned(), lifetime_s: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn user_of_the_file_logs_in_until_he_is_taken_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        std::fs::write(&path, format!("# users\n\n{}\n", hash("alice", "sécret:1"))).unwrap();
        let users = PasswordFile::open(&path).unwrap();
        assert_eq!(users.check("alice", "sécret:1").await.unwrap().user, "alice");
        for (user, password) in
            [("alice", "other"), ("alice", ""), ("Alice", "sécret:1"), ("bob", "sécret:1"), ("", "")]
        {
            assert!(matches!(users.check(user, password).await, Err(Denied::Wrong)), "{user}");
        }
        std::fs::write(&path, "").unwrap();
        assert!(matches!(users.check("alice", "sécret:1").await, Err(Denied::Wrong)));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(users.check("alice", "sécret:1").await, Err(Denied::Unavailable { .. })));
    }

    #[test]
    fn line_that_is_no_user_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        let good = hash("alice", "x");
        for line in [
            "alice",
            "alice:secret",
            ":pbkdf2-sha256$1$YQ$YQ",
            "a:pbkdf2-sha256$0$YQ$YQ",
            &format!("{good}$x"),
            &good.replace("600000", "99999999"),
        ] {
            std::fs::write(&path, format!("{good}\n{line}\n")).unwrap();
            let error = PasswordFile::open(&path).unwrap_err();
            assert!(matches!(error, FileError::Line { line: 2, .. }), "{line}: {error}");
        }
    }
}
