//! Components: installed, replaced, removed, switched on and off.

pub mod source;
pub mod transaction;
