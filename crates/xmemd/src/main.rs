//! `tender-xmemd`: the cross-memory server.

fn main() {}
