//! What all commands have alike that serve HTTP until a signal ends them.

pub(crate) mod access;
pub(crate) mod environment;
pub(crate) mod fault;
pub(crate) mod neighbours;
pub(crate) mod options;
pub(crate) mod outward;
pub(crate) mod run;
pub(crate) mod store;

/// A service as its messages and variables name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named {
    /// As the launcher names its component, such as `caching-service`.
    pub(crate) component: &'static str,
    /// As a sentence names it, such as `caching service`.
    pub(crate) title: &'static str,
    /// Where it listens unless told otherwise.
    pub(crate) port: u16,
    /// Variables of version 1 for the port.
    pub(crate) port_names: environment::Names,
}
