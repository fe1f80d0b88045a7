//! Hosts for real: a plug-in in its sandbox.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod sandbox;
