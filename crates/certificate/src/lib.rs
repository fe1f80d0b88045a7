//! Certificates of an instance: own authority, PKCS12 and PEM, import, renewal, checks.
//!
//! [`setup`] fills a key store directory: it makes an authority and a certificate signed by it, or imports a
//! foreign one. [`renew`] replaces the certificate in time, or the authority. [`show`](fn@show) reads what is
//! in a file, [`verify`](fn@verify) checks what an instance is configured with, and [`service`] looks at the
//! certificate of another server. [`tls`] turns trust and the verification mode into a client configuration.
//!
//! A [`Bundle`] is what all of them work on: keys with their chains and trusted certificates, each under an
//! alias, whatever file format they came from. Passwords are [`Secret`]s: they never show in a log, an error or
//! the arguments of a process.

mod alternative;
mod bundle;
mod chain;
mod directory;
mod distinguished;
mod info;
mod issue;
mod key;
mod layout;
pub mod renew;
mod runtime;
mod secret;
pub mod service;
pub mod setup;
pub mod tls;
mod trust;
mod verify;

pub use bundle::{Bundle, BundleError, Entry, Format, KeyEntry, TrustedEntry, show};
pub use directory::{DirectoryError, Owner};
pub use distinguished::DistinguishedName;
pub use info::{CertificateInfo, KeyInfo};
pub use key::{KeyError, KeyType};
pub use layout::Layout;
pub use runtime::{OneOrMany, Password, PasswordError, PemFiles, RuntimeCertificate, StoreFile};
pub use secret::Secret;
pub use trust::{TrustError, TrustStore, import_authorities};
pub use verify::{Check, CheckStatus, VerifyRequest, verify};
