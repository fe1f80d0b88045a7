//! The way in: requests to the instances of services, and nothing else.
//!
//! ```text
//! discovery ──► Instance… ──► Table (a value; replaced as a whole)
//!                                │
//! request ──► target (pure) ──► Table::find (pure) ──► candidates ──► headers (pure) ──► one instance after the other
//!                                                          ▲                                   │
//!                                                          └──────── what came of it ◄─────────┘
//! ```
//!
//! It is a crate of its own because it faces the users: what registers services stands behind it and is not reached from
//! there. Source: the reference's sections 3.1 to 3.13.

pub mod auth;
mod candidates;
mod cors;
mod discovery;
mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod headers;
mod registry;
mod said;
mod service;
mod services;
mod sticky;
mod table;
mod target;
mod upstream;

pub use discovery::{
    DiscoveryEvent, Entry, FetchError, Fetcher, FetcherSettings, Follower, Registration, RegistrationEvent,
    RegistrationSettings,
};
pub use registry::{Instance, ReadError, read};
pub use service::{Event, EventSink, Gateway, Settings};
pub use sticky::Sticky;
pub use table::Table;
pub use upstream::{Guarded, UpstreamSettings};
