//! A registry that several servers share through etcd: what is written there, and what a change there means here.
//!
//! ```text
//! <prefix>/instances/<APP>/<id>, percent-encoded, under a lease of the instance's own
//!                                    ──► {"instance": …, "heardBy": server, "writer": server, "number": n}
//!
//!  client ──► Registry ──► Said ──► Journal ──► Write (if nobody wrote since) ──► etcd ──► Change ──► Journal ──► Effect
//!     └── heartbeat ──────────────────► renewal of the lease ─────────────────────►│                              │
//!                                                               lease ended ◄──────┘                      Registry of each
//! ```
//!
//! A client is answered from the registry of the server that it asks, and etcd is told after that: who asks does not wait for
//! it, and goes on while it is away. Of an instance that two servers changed at once each has the same in the end: what was
//! written first counts, and what the other was told is done upon it.
//!
//! Nothing here waits or sends: a [`Journal`] says what is to be written, and is told what came of it and what was seen.

mod journal;
mod record;
mod said;

pub(crate) use journal::{Answer, Asked, Journal, Order, Told, Write};
pub(crate) use record::{key_prefix, read_key};

/// Service and instance.
pub(crate) type Key = (String, String);
