//! One front door for many services: who they are and where they run.
//!
//! So far discovery: a registry that is a value, the documents in which clients of the Eureka REST protocol write and
//! read it, and the service that answers them. Whoever runs it gives it a server of `tender-http` and a place for what
//! happens.

pub mod discovery;
