//! What carries the calls. Another one is one file and one line in `ALL`.

pub mod grpc;
mod ring;
mod seqpacket;
mod stream;
mod tender;
mod varlink;
mod zbus_broker;

use std::path::Path;

use crate::Failure;

/// Carries requests to a server that sends them back.
pub trait Transport: Sync {
    /// Returns its name.
    fn name(&self) -> &'static str;
    /// Answers for ever.
    fn serve(&self, place: &Path) -> Result<(), Failure>;
    /// Connects one caller.
    fn connect(&self, place: &Path) -> Result<Box<dyn Caller>, Failure>;
}

/// One connection.
pub trait Caller {
    /// Sends bytes, waits for the answer and returns its length.
    fn call(&mut self, payload: &[u8]) -> Result<usize, Failure>;
}

const ALL: &[&dyn Transport] = &[
    &tender::RING,
    &tender::SOCKET,
    &ring::Ring,
    &seqpacket::Seqpacket,
    &stream::Stream,
    &zbus_broker::Zbus,
    &grpc::Grpc,
    &varlink::Varlink,
];

/// Returns the transport of this name.
pub fn find(name: &str) -> Result<&'static dyn Transport, Failure> {
    let names = || ALL.iter().map(|transport| transport.name()).collect::<Vec<_>>().join(", ");
    let found = ALL.iter().copied().find(|transport| transport.name() == name);
    found.ok_or_else(|| format!("there is no transport `{name}`; there are {}", names()).into())
}

/// Returns what drives one caller of a library that must have one.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
