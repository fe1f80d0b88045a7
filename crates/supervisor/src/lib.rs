//! Keeps the processes of one instance running: one owner of state, one thread, one event queue.
//!
//! The supervisor is given a [`plan::Plan`] and carries it out. It knows neither configuration files nor manifests,
//! neither TLS nor service levels: what it needs of them is in the plan. That keeps the process which must never fail
//! small, in memory and in what can go wrong. Whoever makes plans (`tender-launcher`) does so in another process.
//!
//! What happens to a component is decided in `life`, a function from what is and what happened to what is to be
//! done; `engine` waits for things to happen and carries out.

pub mod client;
mod clock;
pub mod console;
mod engine;
mod life;
pub mod lock;
mod messages;
mod options;
mod order;
mod output;
pub mod plan;
mod poller;
mod process;
pub mod script;
mod timers;

pub use engine::run;
pub use options::{Cgroups, Exit, MessageSink, NotableSink, Options, Planner, Scope, SuperviseError};
pub use output::history;
pub use output::log_file::{LogFile, Trouble, Written};
