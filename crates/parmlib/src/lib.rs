//! PARMLIB members, the list of authorised modules, and plans for installing the cross-memory server.
