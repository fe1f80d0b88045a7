//! How files and words travel between the principal and its managed systems.
//!
//! Both ends of one FTPS connection live here, and what makes each trust the other: the principal's own
//! certificate [`authority`] and its [`revocation`]s, the key and certificate of one end ([`identity`]), and the [`enrolment`] that
//! brings the two together with a join token. [`server`] is CSMSERVE, the dedicated server of a managed
//! system; [`client`] is what the principal talks to it with, behind the trait [`client::Link`].
//!
//! This crate moves bytes. What the files mean is for its callers.

pub mod authority;
pub mod client;
pub mod enrolment;
pub mod identity;
pub mod revocation;
pub mod server;

mod certificate;
mod durable;

/// The only user that may log in to a managed system, and the name in its certificate.
pub const WORK_USER: &str = "CSMWORK";

/// The control port of a managed system unless configured otherwise.
pub const CONTROL_PORT: u16 = 4535;

/// The passive data port of a managed system unless configured otherwise.
pub const DATA_PORT: u16 = 4534;
