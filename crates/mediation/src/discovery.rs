//! Discovery: services announce their instances, and everybody reads who is there.
//!
//! ```text
//! POST, PUT, DELETE ──► json / xml ──► Registry ──► Snapshot (JSON and XML, made once for each change) ──► GET
//! ```

mod instance;
pub mod json;
mod registry;
mod snapshot;
pub mod xml;

pub use instance::{Action, DataCenter, Instance, Lease, Port, ReadError, Status};
pub use registry::{Entry, Heartbeat, Policy, Refused, Registered, Registry};
pub use snapshot::Snapshot;
