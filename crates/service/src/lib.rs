//! The principal: service is installed here once, made into levels, packaged and sent.
//!
//! This crate decides and keeps records. It never prints, and it does not know how bytes travel: a [`Fleet`] does.
//!
//! Reading order: [`shapes`] lists what is stored, [`fix`] and [`closure`] decide what goes on, [`level_content`],
//! [`localmod`] and [`build`] make the trees of a level, [`package_plan`] makes a package of them, [`verbs`] are
//! what people type. [`principal`] is the directory all of it lives in.

pub mod build;
pub mod closure;
pub mod component;
pub mod envelope;
pub mod error;
pub mod fault;
pub mod fix;
pub mod grammar;
pub mod hold;
pub mod level;
pub mod level_content;
pub mod link;
pub mod localmod;
mod operation;
pub mod package_plan;
pub mod principal;
pub mod query;
mod receive;
pub mod shapes;
pub mod system;
mod tables;
pub mod verbs;

pub use error::{Refusal, ServiceError};
pub use link::{Address, Enroller, Fleet, Invitation, LinkError, ManagedSystem, Patience, Reading, Welcome};
pub use principal::Principal;
pub use verbs::{Context, Mode, Subject, Verb, perform};
