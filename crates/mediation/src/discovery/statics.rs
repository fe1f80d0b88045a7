//! Services that do not announce themselves: they stand in YAML files.
//!
//! ```text
//! directories ──► files (*.yml) ──► Definition (each key with its place) ──► Instances, additional metadata, Problems
//! ```
//!
//! One bad file takes no other out, one bad service none other of its file; a file that has become bad takes not even
//! itself out: what it said before stays. Source: the static definitions of the
//! mediation layer; a key that is not known makes the whole file wrong, as there.

mod definition;
mod directory;
mod instances;
mod metadata;

pub use directory::{Reading, directories, read};
pub use metadata::{Additional, Mode};

pub(crate) use directory::{Known, Stamps, read_again, stamps};
