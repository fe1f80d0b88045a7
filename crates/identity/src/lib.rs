//! Proofs of identity: one-time tickets, identity tokens, and actors bound to a connection.
