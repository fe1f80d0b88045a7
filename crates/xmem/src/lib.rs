//! Protocol and client library of the cross-memory server, and what a plug-in needs.
