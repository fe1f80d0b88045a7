//! Actors: on whose behalf a connection may act, besides its own.
//!
//! A connection proves once that it may act for a user and is given a handle, which it names in its calls. The handle is good
//! on this connection only, for minutes, and ends early with whatever it rests on.
//!
//! ```text
//!             proof accepted by the caller
//!    (none) ───────────────────────────────► LIVE ──── find: who it is; changes nothing
//!                 issue                       │
//!        ┌──────────┬─────────────┬───────────┼──────────────┬────────────────┐
//!     release   life is over   close      revoke_user    revoke_token     retain (the policy
//!        │          │         (connection)    │              │            changed, rights gone)
//!        └──────────┴─────────────┴───────────┴──────────────┴────────────────┘
//!                                             ▼
//!                                           GONE      a handle is not given out again while its connection lives
//! ```
//!
//! Pure: time and random numbers are given. The proof itself (password, token, ticket, SURROGAT) was checked by the caller.

use std::collections::HashMap;
use std::num::NonZeroU64;

use crate::clock::Moment;
use crate::name::{ApplicationName, UserName};
use crate::random::RandomError;
use crate::token::{Claims, TokenId};

/// Names a connection of a server; never used again in the life of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Names an actor of one connection: 64 random bits, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActorHandle(NonZeroU64);

impl ActorHandle {
    /// Reads a handle as calls carry it; 0 is none.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Returns the number that calls carry.
    pub fn number(self) -> u64 {
        self.0.get()
    }
}

/// What an actor rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The user's password was right.
    Password,
    /// An identity token is good; the actor ends with it.
    Token {
        /// Which.
        jti: TokenId,
        /// When it runs out, in seconds since 1970.
        expires_s: u64,
    },
    /// A one-time ticket was good.
    Ticket {
        /// For which application.
        application: ApplicationName,
    },
    /// The connection's own user may act for it (SURROGAT).
    Surrogate {
        /// That user.
        by: UserName,
    },
}

impl Proof {
    /// Makes the proof that a validated token is.
    pub fn token(claims: &Claims) -> Self {
        Self::Token { jti: claims.jti.clone(), expires_s: claims.exp }
    }
}

/// On whose behalf a connection may act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub user: UserName,
    /// What it rests on.
    pub proof: Proof,
    /// The state of the policy when it was issued, as the caller counts it.
    pub policy_epoch: u64,
    /// When it ends, by the steady clock, in milliseconds.
    pub ends_ms: u64,
}

/// Bounds of [`Actors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActorOptions {
    /// How long an actor lives, in milliseconds.
    pub life_ms: u64,
    /// Actors of one connection.
    pub per_connection_max: usize,
    /// Actors of all connections.
    pub total_max: usize,
}

impl Default for ActorOptions {
    fn default() -> Self {
        Self { life_ms: 300_000, per_connection_max: 16, total_max: 16_384 }
    }
}

/// Says why there is no actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    /// Not one of this connection, or no more; which of both is not told.
    #[error("there is no such actor on this connection (any more)")]
    None,
    /// The connection has as many as it may.
    #[error("the connection has {max} actors, which is all that it may; release one")]
    ConnectionFull {
        /// How many it may have.
        max: usize,
    },
    /// The server has as many as it may.
    #[error("there are {max} actors on this server, which is all that may be")]
    ServerFull {
        /// How many there may be.
        max: usize,
    },
    /// The token has run out meanwhile.
    #[error("the token ran out while the actor was issued")]
    Expired,
    /// There are no random numbers.
    #[error("a handle cannot be made")]
    Random {
        /// Why.
        #[source]
        source: RandomError,
    },
}

/// All actors of a server.
#[derive(Debug)]
pub struct Actors {
    options: ActorOptions,
    connections: HashMap<ConnectionId, Vec<(ActorHandle, Actor)>>,
    count: usize,
}

impl Actors {
    /// Makes an empty set.
    pub fn new(options: ActorOptions) -> Self {
        Self { options, connections: HashMap::new(), count: 0 }
    }

    /// Issues an actor against a proof that the caller has checked.
    ///
    /// `random` gives 64 random bits a call: [`random_u64`](crate::random_u64).
    pub fn issue(
        &mut self,
        moment: Moment,
        connection: ConnectionId,
        user: UserName,
        proof: Proof,
        policy_epoch: u64,
        mut random: impl FnMut() -> Result<u64, RandomError>,
    ) -> Result<ActorHandle, ActorError> {
        let mut life_ms = self.options.life_ms;
        if let Proof::Token { expires_s, .. } = &proof {
            let left_s = expires_s.checked_sub(moment.unix_s).filter(|left_s| *left_s > 0);
            life_ms = life_ms.min(left_s.ok_or(ActorError::Expired)?.saturating_mul(1000));
        }
        self.expire_connection(moment, connection);
        let present = self.connections.get(&connection).map_or(0, Vec::len);
        if present >= self.options.per_connection_max {
            return Err(ActorError::ConnectionFull { max: self.options.per_connection_max });
        }
        if self.count >= self.options.total_max {
            self.expire(moment);
        }
        if self.count >= self.options.total_max {
            return Err(ActorError::ServerFull { max: self.options.total_max });
        }
        let handle = self.free_handle(connection, &mut random)?;
        let ends_ms = moment.steady_ms.saturating_add(life_ms);
        let actor = Actor { user, proof, policy_epoch, ends_ms };
        self.connections.entry(connection).or_default().push((handle, actor));
        self.count += 1;
        Ok(handle)
    }

    /// Draws a handle that the connection does not have.
    fn free_handle(
        &self,
        connection: ConnectionId,
        random: &mut impl FnMut() -> Result<u64, RandomError>,
    ) -> Result<ActorHandle, ActorError> {
        // A source that keeps giving the same number gives none.
        for _ in 0..16 {
            let number = random().map_err(|source| ActorError::Random { source })?;
            let Some(handle) = ActorHandle::new(number) else { continue };
            let present = self.connections.get(&connection);
            if present.is_none_or(|actors| actors.iter().all(|(known, _)| *known != handle)) {
                return Ok(handle);
            }
        }
        Err(ActorError::Random { source: RandomError })
    }

    /// Returns on whose behalf a call is made.
    pub fn find(
        &self,
        moment: Moment,
        connection: ConnectionId,
        handle: ActorHandle,
    ) -> Result<&Actor, ActorError> {
        let actors = self.connections.get(&connection).ok_or(ActorError::None)?;
        let found = actors.iter().find(|(known, _)| *known == handle).map(|(_, actor)| actor);
        found.filter(|actor| moment.steady_ms < actor.ends_ms).ok_or(ActorError::None)
    }

    /// Gives an actor up.
    pub fn release(&mut self, connection: ConnectionId, handle: ActorHandle) -> Result<(), ActorError> {
        let is_released = self.remove(Some(connection), |known, _| known == handle) > 0;
        if is_released { Ok(()) } else { Err(ActorError::None) }
    }

    /// Ends all actors of a connection that has ended; returns how many.
    pub fn close(&mut self, connection: ConnectionId) -> usize {
        let ended = self.connections.remove(&connection).map_or(0, |actors| actors.len());
        self.count -= ended;
        ended
    }

    /// Ends all actors of a user, and all that rest on its SURROGAT right; returns how many.
    pub fn revoke_user(&mut self, user: &UserName) -> usize {
        self.remove(None, |_, actor| {
            actor.user == *user || matches!(&actor.proof, Proof::Surrogate { by } if by == user)
        })
    }

    /// Ends all actors that rest on a token; returns how many.
    pub fn revoke_token(&mut self, jti: &TokenId) -> usize {
        self.remove(None, |_, actor| matches!(&actor.proof, Proof::Token { jti: of, .. } if of == jti))
    }

    /// Asks anew about each actor after the policy changed, and ends those for which the answer is no; returns how many.
    pub fn retain(&mut self, mut is_good: impl FnMut(&Actor) -> bool) -> usize {
        self.remove(None, |_, actor| !is_good(actor))
    }

    /// Forgets actors whose life is over; returns how many.
    pub fn expire(&mut self, moment: Moment) -> usize {
        self.remove(None, |_, actor| moment.steady_ms >= actor.ends_ms)
    }

    fn expire_connection(&mut self, moment: Moment, connection: ConnectionId) {
        self.remove(Some(connection), |_, actor| moment.steady_ms >= actor.ends_ms);
    }

    /// Removes the actors for which it is so, of one connection or of all.
    fn remove(
        &mut self,
        connection: Option<ConnectionId>,
        mut is_meant: impl FnMut(ActorHandle, &Actor) -> bool,
    ) -> usize {
        let mut removed = 0;
        let mut sift = |actors: &mut Vec<(ActorHandle, Actor)>| {
            let before = actors.len();
            actors.retain(|(handle, actor)| !is_meant(*handle, actor));
            removed += before - actors.len();
            !actors.is_empty()
        };
        match connection {
            Some(connection) => {
                if let Some(actors) = self.connections.get_mut(&connection)
                    && !sift(actors)
                {
                    self.connections.remove(&connection);
                }
            }
            None => self.connections.retain(|_, actors| sift(actors)),
        }
        self.count -= removed;
        removed
    }

    /// Returns how many there are, those included whose life is over and that were not looked for yet.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests;
