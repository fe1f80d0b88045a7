//! Proofs of identity: identity tokens, one-time tickets, and actors bound to a connection.
//!
//! [`TokenService`] issues and checks signed tokens (EdDSA JWT), [`TicketService`] one-time tickets, [`Actors`] keeps who a
//! connection has proven to act for, [`CheckThrottle`] bounds how often anybody may guess. What must survive a restart is in
//! a directory of private files that several processes may use at once: a server and the one that replaces it share it.
//!
//! Nothing here reads a clock, opens a socket or knows a profile: the time is given with each call as a [`Moment`], and who
//! may be given a proof is decided by the caller.
//!
//! Secrets are cleared when they are no longer used. They are on the heap of the process, which must keep its pages out of
//! swap and core dumps itself (`mlockall`, `PR_SET_DUMPABLE`) before it opens a service.

mod actor;
mod base64url;
mod clock;
mod journal;
mod keys;
mod name;
mod random;
mod throttle;
mod ticket;
mod token;
mod vault;

pub use actor::{Actor, ActorError, ActorHandle, ActorOptions, Actors, ConnectionId, Proof};
pub use clock::Moment;
pub use keys::{KeyId, KeyInfo, KeyState};
pub use name::{ApplicationName, NameError, ServerName, UserName};
pub use random::{RandomError, random_u64};
pub use throttle::{CheckThrottle, CheckThrottleOptions, Rate, Throttle, Throttled};
pub use ticket::{Ticket, TicketError, TicketOptions, TicketRefusal, TicketService};
pub use token::{
    Claims, IssuedToken, TokenError, TokenId, TokenOptions, TokenRefusal, TokenRequest, TokenService,
};
pub use vault::VaultError;
