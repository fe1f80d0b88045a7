//! The list of authorised modules, and opening what is on it.
//!
//! A module is known by its content, not by where it lies: a line names it by digest, or names who signed it. It is read
//! through one descriptor into a sealed copy, and that copy is compared and executed. Whatever happens to the file
//! afterwards, or happened while it was read, changes nothing.

mod list;
mod module;
mod open;
mod seal;

pub use self::list::{Added, AuthorisedList, ListError};
pub use self::module::{AuthorisedModule, Digest, ModuleName, Proof, ProofError, Purpose, SignerKey};
pub use self::open::{ModuleError, VerifiedModule};
pub use self::seal::{MODULE_BYTES_MAX, SealedProgram};

#[cfg(test)]
mod tests;
