//! What one client may cost.

use std::time::Duration;

/// Bounds on connections, heads and bodies; the defaults are for a server that anybody in a network can reach.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time; one more is closed at once.
    pub connections: usize,
    /// Connections at a time from one address; one more is closed at once.
    pub connections_per_address: usize,
    /// Bytes of the head of a request: request line and headers together, at least 8192.
    pub head_bytes: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// Bytes of the body of a request, unless the handler sets another limit for it.
    pub body_bytes: u64,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
    /// For how long a TLS handshake may last.
    pub handshake_timeout: Duration,
    /// For how long the head of a request may take from its first byte on.
    pub head_timeout: Duration,
    /// For how long a connection may wait for its next request.
    ///
    /// Longer than the usual heartbeat of 30 seconds, so that clients find their connection alive.
    pub idle_timeout: Duration,
    /// How long the body of a request may take before its rate matters.
    pub body_timeout: Duration,
    /// Bytes a second that the body of a request must come in with from then on, on average.
    pub body_rate: u64,
    /// For how long a client may take no byte of an answer.
    pub write_timeout: Duration,
    /// For how long requests may go on after the server was told to end.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 4_000,
            head_bytes: 32 << 10,
            headers: 100,
            body_bytes: 1 << 20,
            streams: 128,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(10),
            body_rate: 1 << 10,
            write_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(15),
        }
    }
}
