//! What users see: the catalog of services with their API documents, and the desktop with its applications.
//!
//! ```text
//! discovery ──► Instance… ──► Known: services, tiles (a value; replaced as a whole, written once)
//!                                │
//! request ──► route ──► session ─┼─► tiles, services
//!             (pure)    (asks    └─► Documents ──► fetch ──► document: parse, rewrite (pure)
//!                       the gateway)  (kept)       (from the service itself alone)
//! ```
//!
//! Pages are plain files of this program: nothing is loaded from anywhere else, and whatever services say of themselves is
//! text. Source: the reference's sections 6 and 1.10.

mod api;
mod desktop;
mod document;
mod fetch;
mod kept;
mod known;
mod outward;
mod page;
mod path;
mod registered;
mod route;
mod service;
mod session;
mod tile;

pub use desktop::{Desktop, DesktopSettings};
pub use document::{Made, Unusable, made};
pub use outward::Outward;
pub use service::{Catalog, EventSink, Settings};
