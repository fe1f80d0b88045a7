//! Discovery: services announce their instances, and everybody reads who is there.
//!
//! ```text
//! POST, PUT, DELETE ──► json / xml ──► Registry ──► Document (JSON, XML, gzip; made once for each change) ──► GET
//!        static definitions (YAML) ───────┘
//! ```

mod cluster;
mod event;
mod instance;
pub mod json;
mod metadata;
mod registry;
mod rules;
mod service;
mod snapshot;
pub mod statics;
pub mod xml;

pub use event::{ClusterEvent, Event, EventSink};
pub use instance::{Action, DataCenter, Instance, Lease, Port, ReadError, Status};
pub use registry::{Entry, Evicted, Heartbeat, Policy, Refused, Registered, Registry, View};
pub use rules::{Forbidden, Rules};
pub use service::{Access, Cluster, Discovery, Gateways, Others, Own, PeerError, Settings};
pub use snapshot::{Document, Edition, Form, Part};
