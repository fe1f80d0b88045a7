//! The helpers of the cross-memory server that hold privilege, one kind of work each, and the sandboxes around them.
//!
//! A worker is a process of its own that holds the capabilities of its [`Kind`] and no others. It is born with one end
//! of a socket pair; who has the other end may send it orders ([`order::Orders`]). It knows neither clients nor
//! profiles: what comes through the socket has been decided. What it checks again is its own settings — uid ranges,
//! directories, ports — so that even who holds the other end cannot get more than an administrator allowed.
//!
//! A new kind is one file here, one line in [`Kind`] and one in each of [`order::Work`] and [`order::Outcome`].

pub mod confine;
pub mod inspect;
mod kind;
pub mod network;
pub mod order;
pub mod password;
pub mod place;
pub mod port;
mod range;
pub mod runas;
mod serve;
mod settings;
mod strays;
mod sys;

pub use kind::Kind;
pub use range::Range;
pub use serve::{WorkerError, serve};
pub use settings::Settings;
pub use sys::{execute, inherited};
