//! Which tokens are void before they run out.
//!
//! A revocation is forgotten when what it revokes has run out. Should the clock then be set back, what was revoked would be
//! good again; so it is remembered until when everything forgotten ran, and nothing that runs out by then is accepted.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Claims, TokenId, TokenOptions};
use crate::journal::Ledger;
use crate::name::UserName;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Line {
    /// One token is void.
    Token { jti: TokenId, sub: UserName, until_s: u64 },
    /// All tokens of a user from before this epoch are void.
    User { sub: UserName, epoch: u64, until_s: u64 },
    /// All tokens from before this epoch are void.
    All { epoch: u64 },
    /// So many revocations of users there were.
    Epoch { epoch: u64 },
    /// Revocations were forgotten of tokens that ran out by then.
    Forgotten { until_s: u64 },
    /// It was this late.
    Latest { at_s: u64 },
    /// All keys were replaced: nothing from before counts.
    Restart { number: u64, epoch: u64, at_s: u64 },
}

/// All that is revoked.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    tokens: HashMap<TokenId, (UserName, u64)>,
    per_user: HashMap<UserName, usize>,
    users: HashMap<UserName, (u64, u64)>,
    /// Revocations of users and of everything so far.
    epoch: u64,
    /// Tokens from before this epoch are void.
    floor: u64,
    forgotten_s: u64,
    latest_s: u64,
    restarts: u64,
}

impl Ledger for Revocations {
    type Line = Line;

    fn take(&mut self, line: Line) {
        match line {
            Line::Token { jti, sub, until_s } => {
                if self.tokens.insert(jti, (sub.clone(), until_s)).is_none() {
                    *self.per_user.entry(sub).or_default() += 1;
                }
            }
            Line::User { sub, epoch, until_s } => {
                self.epoch = self.epoch.max(epoch);
                // What was revoked singly is revoked with the rest.
                if self.per_user.remove(&sub).is_some() {
                    self.tokens.retain(|_, (of, _)| *of != sub);
                }
                let known = self.users.entry(sub).or_insert((epoch, until_s));
                *known = (known.0.max(epoch), known.1.max(until_s));
            }
            Line::All { epoch } => {
                self.epoch = self.epoch.max(epoch);
                self.floor = self.floor.max(epoch);
                self.clear();
            }
            Line::Epoch { epoch } => self.epoch = self.epoch.max(epoch),
            Line::Forgotten { until_s } => {
                self.forgotten_s = self.forgotten_s.max(until_s);
                self.users.retain(|_, (_, until)| *until > until_s);
                self.tokens.retain(|_, (_, until)| *until > until_s);
                self.count();
            }
            Line::Latest { at_s } => self.latest_s = self.latest_s.max(at_s),
            Line::Restart { number, epoch, at_s } => {
                self.clear();
                (self.epoch, self.floor) = (epoch, epoch);
                (self.forgotten_s, self.latest_s, self.restarts) = (0, at_s, number);
            }
        }
    }

    fn len(&self) -> usize {
        self.tokens.len() + self.users.len()
    }

    fn lines(&self) -> Vec<Line> {
        // The first line carries what is counted, whatever else there is.
        let mut lines = vec![
            Line::Restart { number: self.restarts, epoch: self.floor, at_s: self.latest_s },
            Line::Forgotten { until_s: self.forgotten_s },
        ];
        let users = self.users.iter();
        lines.extend(users.map(|(sub, (epoch, until_s))| Line::User {
            sub: sub.clone(),
            epoch: *epoch,
            until_s: *until_s,
        }));
        let tokens = self.tokens.iter();
        lines.extend(tokens.map(|(jti, (sub, until_s))| Line::Token {
            jti: jti.clone(),
            sub: sub.clone(),
            until_s: *until_s,
        }));
        // The count of epochs goes on although the users it was raised for are forgotten.
        lines.push(Line::Epoch { epoch: self.epoch });
        lines
    }
}

impl Revocations {
    /// Returns how many revocations of users there were.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns how late it was at least, in seconds since 1970.
    pub(super) fn latest_s(&self) -> u64 {
        self.latest_s
    }

    /// Returns how often everything began anew.
    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Returns whether a token is void, or may be and that has been forgotten.
    pub(super) fn is_revoked(&self, claims: &Claims) -> bool {
        claims.exp <= self.forgotten_s
            || claims.epoch < self.floor
            || self.users.get(&claims.sub).is_some_and(|(epoch, _)| claims.epoch < *epoch)
            || self.tokens.contains_key(&claims.jti)
    }

    /// Returns the lines that revoke one token.
    pub(super) fn revoke(&self, claims: &Claims, now_s: u64, options: &TokenOptions) -> Vec<Line> {
        if claims.exp <= now_s || self.is_revoked(claims) {
            return Vec::new();
        }
        if self.per_user.get(&claims.sub).is_some_and(|count| *count >= options.revoked_per_user_max) {
            return self.revoke_user(&claims.sub, now_s, options);
        }
        let (jti, sub, until_s) = (claims.jti.clone(), claims.sub.clone(), claims.exp);
        self.with_room(now_s, options, Line::Token { jti, sub, until_s })
    }

    /// Returns the lines that revoke all tokens of a user.
    pub(super) fn revoke_user(&self, sub: &UserName, now_s: u64, options: &TokenOptions) -> Vec<Line> {
        let until_s = now_s.saturating_add(options.lifetime_max_s).saturating_add(options.skew_s);
        let line = Line::User { sub: sub.clone(), epoch: self.epoch + 1, until_s };
        self.with_room(now_s, options, line)
    }

    /// Returns the lines that revoke all tokens.
    pub(super) fn revoke_all(&self, now_s: u64) -> Vec<Line> {
        vec![Line::All { epoch: self.epoch + 1 }, Line::Latest { at_s: now_s }]
    }

    /// Returns the lines that begin everything anew under new keys.
    pub(super) fn restart(&self, at_s: u64) -> Vec<Line> {
        vec![Line::Restart { number: self.restarts + 1, epoch: self.epoch + 1, at_s }]
    }

    /// Adds what makes room for a line, or replaces it by one that needs none.
    fn with_room(&self, now_s: u64, options: &TokenOptions, line: Line) -> Vec<Line> {
        if self.len() < options.revoked_max {
            return vec![line];
        }
        let untils = self
            .tokens
            .values()
            .map(|(_, until_s)| *until_s)
            .chain(self.users.values().map(|(_, until_s)| *until_s));
        match untils.filter(|until_s| *until_s <= now_s).max() {
            Some(until_s) => vec![Line::Forgotten { until_s }, line],
            // Rather everybody proves again who they are than one revoked token is good.
            None => self.revoke_all(now_s),
        }
    }

    fn clear(&mut self) {
        self.tokens.clear();
        self.per_user.clear();
        self.users.clear();
    }

    fn count(&mut self) {
        self.per_user.clear();
        for (sub, _) in self.tokens.values() {
            *self.per_user.entry(sub.clone()).or_default() += 1;
        }
    }
}
