//! A server as its clients meet it: slow, hostile, many, and at its end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod end;
mod http2;
mod limits;
mod streams;
mod tls;
mod world;
