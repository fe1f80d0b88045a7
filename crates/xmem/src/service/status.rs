//! STATUS (4): any bytes, which come back.

/// Most bytes that may be sent: what fits into the packet.
pub const STATUS_BYTES_MAX: usize = crate::frame::INLINE_BYTES_MAX;
