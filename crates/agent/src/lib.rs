//! The managed system: it receives, loads and checks service levels, puts them in production and goes back.
//!
//! Two processes share one directory, the [`home`]. The [`receiver`] faces the network, verifies what arrives and
//! writes requests down; it never changes a slot. The [`executor`] carries requests out, one at a time: it
//! verifies again, makes a plan, writes the plan into a journal and does its steps, each of which may be done
//! twice. When it is killed, the next one goes on where it stopped.
//!
//! Reading order: [`home`], [`slots`], [`queue`], [`executor`], [`receiver`].

pub mod audit;
pub mod base;
mod changes;
pub mod executor;
pub mod fault;
pub mod home;
pub mod hooks;
pub mod info;
pub mod managed;
mod open_up;
pub mod queue;
pub mod receiver;
pub mod slots;
pub mod trees;

mod lock;

pub use base::{adopt, import};
pub use executor::{ask_locally, execute};
pub use home::{AgentConfig, Home};
pub use hooks::{LifecycleHooks, NoHooks};
pub use lock::LockError;

/// Writes an error with everything that led to it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
