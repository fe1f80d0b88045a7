//! What every HTTP server of the product stands on.
//!
//! ```text
//! Server::bind ──► accept ──► TLS (Tls) ──► HTTP/1.1 or HTTP/2 by ALPN ──► Handler
//!                  connections        certificates reloaded      │  Peer: address, certificate
//!                  are counted        without dropping any       │  RequestBody: bounded in bytes and in time
//!                                                                └► ResponseBody ──► Access (one line a request)
//! ```
//!
//! A server is [`Server::bind`] and [`Server::run`]; what it answers is a [`Handler`]. Nothing here prints: what happens
//! goes to the sinks of [`Settings`]. What a client may cost is in [`Limits`].

mod access;
mod address;
mod body;
mod client;
mod connection;
pub mod descriptors;
mod event;
mod inherited;
mod limits;
mod message;
mod pace;
mod peer;
pub mod ready;
mod resolver;
mod server;
pub mod signal;
mod tls;

pub use access::{Access, AccessSink};
pub use address::{BindError, Holder};
pub use body::{BodyFault, BoxError, RequestBody, ResponseBody};
pub use bytes::Bytes;
pub use client::{Client, Connector, client, connector};
pub use event::{Event, EventSink, calmed};
pub use hyper;
pub use inherited::inherit;
pub use limits::Limits;
pub use message::{Message, MessageType, Messages, chain};
pub use peer::{FORWARDED_PREFIX, Peer, PeerCertificate, is_passed_on};
pub use resolver::{Reach, bracketed, may_be_asked, may_be_host};
pub use server::{Ended, Handler, Server, Serving, Settings, Stop, Transport};
pub use tls::{ClientAuth, Identity, Tls, TlsError, TlsFiles, TrustFile};
