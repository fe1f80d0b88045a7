//! The principal: fixes, levels, packages, systems and the SERVMGR verbs.

pub mod grammar;
