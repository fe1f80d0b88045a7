//! One front door for many services: who they are and where they run.
//!
//! So far the core of discovery: a registry that is a value, and the documents in which clients of the Eureka REST
//! protocol write and read it. Nothing here opens a socket or looks at a clock: whoever serves it says what time it is.

pub mod discovery;
