//! Auxiliary hosts: one sandboxed process for each plug-in of the cross-memory server.
