//! Discovery as the gateway asks it: what is registered, and the gateway's own entry.

mod fetch;
mod registration;

pub use fetch::{DiscoveryEvent, FetchError, Fetcher, FetcherSettings, Follower};
pub use registration::{Entry, Registration, RegistrationEvent, RegistrationSettings};
