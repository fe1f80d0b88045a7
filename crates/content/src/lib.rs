//! Content: objects by digest, trees, servlinks and drift scans.
//!
//! This crate knows bytes and paths. It does not know releases, systems, SQL or the network.
//!
//! Reading order: [`digest`] and [`path`] name things, [`tree`] lists the parts of one component, [`store`] keeps
//! their bytes, [`import`] makes trees of what vendors ship and [`mod@materialise`] makes directories of trees again;
//! [`mod@scan`] compares the two, [`slot`] switches between directories. [`servlink`] carries the difference of two
//! trees to another machine.

pub mod digest;
pub mod durable;
pub mod fault;
pub mod import;
pub mod mapped;
pub mod materialise;
pub mod path;
pub mod progress;
pub mod scan;
pub mod servlink;
pub mod slot;
pub mod store;
pub mod tree;
pub mod workers;

pub use digest::Digest;
pub use import::{ImportError, import_archive, import_dir};
pub use mapped::Mapped;
pub use materialise::{MaterialiseError, MaterialiseReport, materialise, materialise_into, remove_tree};
pub use path::PartPath;
pub use progress::{NoProgress, Progress};
pub use scan::{Difference, DifferenceKind, ScanCache, ScanError, ScanMode, scan};
pub use store::{GcReport, ObjectStore, StoreError};
pub use tree::{Node, Tree};
