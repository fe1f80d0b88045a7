//! Component manifests, `zowe.yaml`, merge rules, schema validation, templates and environment names.
//!
//! [`load::Configuration`] is what files say: read with one YAML parser that keeps places ([`yaml`]), merged
//! ([`merge`]), templates evaluated ([`evaluate`]), secrets sealed ([`secret`]), checked against schemas ([`schema`]),
//! all problems in one [`problem::Report`]. [`instance::InstanceConfiguration`] is the same for one HA instance, with
//! its components; [`environment`] makes the variables that their scripts get.
//!
//! This crate knows files and values. It starts no process and opens no connection.

pub mod config_path;
pub mod convert;
pub mod edit;
pub mod environment;
pub mod evaluate;
pub mod ha;
pub mod instance;
pub mod key_path;
pub mod load;
pub mod manifest;
pub mod merge;
pub mod node;
pub mod origin;
pub mod problem;
pub mod schema;
pub mod secret;
pub mod template;
pub mod units;
pub mod yaml;

pub use config_path::{ConfigPath, ConfigPathError};
pub use environment::Environment;
pub use evaluate::TemplateLimits;
pub use instance::{Component, InstanceConfiguration};
pub use load::{ConfigError, Configuration, Load};
pub use manifest::Manifest;
pub use problem::{Problem, Report, Severity};
