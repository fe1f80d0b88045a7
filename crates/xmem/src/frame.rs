//! The header of 48 bytes that every packet and every record of a ring begins with.
//!
//! [`Header::decode`] reads it from a private copy, once, and refuses what the protocol does not know; no bytes make it
//! panic. What a field may be in a given state is decided by who receives it.

use crate::code::CmsCode;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 48;
/// The same in words of eight bytes.
pub(crate) const HEADER_WORDS: usize = HEADER_BYTES / 8;
/// First four bytes of every frame, read as a little-endian number (`TNXM`).
pub const MAGIC: u32 = 0x4D58_4E54;
/// Version of the protocol: both ends must have the same.
pub const VERSION: u16 = 2;
/// Most bytes of payload that travel in the packet itself. More travels in a sealed memfd.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of payload at all, unless WELCOME says less.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of one packet.
pub const PACKET_BYTES_MAX: usize = HEADER_BYTES + INLINE_BYTES_MAX;
/// Lowest and highest number of a service.
pub const SERVICE_RANGE: std::ops::RangeInclusive<u16> = 1..=127;
/// CALL's `code` when any version of the service will do.
pub const ANY_VERSION: u32 = 0xFFFF_FFFF;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Kind {
    /// First frame of a client.
    Hello = 1,
    /// The server's answer to it.
    Welcome = 2,
    /// Asks a service for something.
    Call = 3,
    /// Answer to a call.
    Reply = 4,
    /// A call is no longer wanted.
    Cancel = 5,
    /// Asks for a ring.
    RingOpen = 6,
    /// Brings it.
    RingReady = 7,
    /// The server will take no more calls on this connection.
    Goodbye = 8,
    /// Operator command, on the control socket.
    Command = 16,
    /// A line of its answer.
    Output = 17,
    /// A plug-in says what it is.
    Descriptor = 32,
    /// A plug-in may start.
    Start = 33,
    /// A plug-in is ready, or can not become ready.
    Ready = 34,
    /// Are you alive?
    Ping = 35,
    /// Yes.
    Pong = 36,
    /// Operator command for a plug-in.
    PluginCommand = 37,
    /// Its answer.
    PluginOutput = 38,
    /// What a plug-in wants to be given at its next start.
    Anchor = 39,
    /// A plug-in shall finish and exit.
    Term = 40,
}

impl Kind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Call,
            4 => Self::Reply,
            5 => Self::Cancel,
            6 => Self::RingOpen,
            7 => Self::RingReady,
            8 => Self::Goodbye,
            16 => Self::Command,
            17 => Self::Output,
            32 => Self::Descriptor,
            33 => Self::Start,
            34 => Self::Ready,
            35 => Self::Ping,
            36 => Self::Pong,
            37 => Self::PluginCommand,
            38 => Self::PluginOutput,
            39 => Self::Anchor,
            40 => Self::Term,
            _ => return None,
        })
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// Bits of the field `flags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Taken from old clients; gives nothing.
    pub const NO_SAF_CHECK: Self = Self(1);
    /// The call may be executed twice without harm.
    pub const REPEATABLE: Self = Self(2);
    /// The payload is in the memfd that came along.
    pub const MEMFD: Self = Self(4);
    const KNOWN: u16 = 7;

    /// The bits as on the wire.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The flags with these bits, `None` when there is an unknown one.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Option<Self> {
        if bits & !Self::KNOWN == 0 { Some(Self(bits)) } else { None }
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The fields of a header, decoded.
///
/// `length` is bytes of payload; when [`Flags::MEMFD`] is set they are in a memfd and none follow the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Chosen by who asks, repeated in the answer; never reused on a connection.
    pub sequence: u64,
    /// Number of the service, 0 where none is meant.
    pub service: u16,
    /// Bits.
    pub flags: Flags,
    /// CALL: wanted version of the service or [`ANY_VERSION`]; REPLY and others: CMS return code.
    pub code: u32,
    /// CALL: deadline in ms, 0 for the server's own; REPLY: return code of the service.
    pub detail: u32,
    /// Bytes of payload.
    pub length: u32,
    /// Handle of an actor of this connection, 0 for none.
    pub actor: u64,
    /// REPLY: number of the audit record of a refusal, else 0.
    pub reference: u64,
}

/// Why bytes are no header. The connection ends with [`FrameError::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer than 48 bytes.
    #[error("a frame of {bytes} bytes is shorter than its header")]
    Short {
        /// How many there were.
        bytes: usize,
    },
    /// Does not begin with the magic number.
    #[error("the frame begins with {found:#010x} instead of TNXM")]
    Magic {
        /// What it begins with.
        found: u32,
    },
    /// Another version of the protocol.
    #[error("the frame has version {found}, this end speaks {VERSION}")]
    Version {
        /// The version.
        found: u16,
    },
    /// A kind that does not exist.
    #[error("the frame has the unknown kind {found}")]
    Kind {
        /// The number.
        found: u16,
    },
    /// A flag that does not exist.
    #[error("the frame has unknown flags {found:#06x}")]
    Flags {
        /// The bits.
        found: u16,
    },
    /// More payload than allowed here, or another amount than follows.
    #[error("the frame announces {length} bytes of payload, {allowed} are possible here")]
    Length {
        /// What the header says.
        length: u32,
        /// What may be or is there.
        allowed: usize,
    },
}

impl FrameError {
    /// The CMS code that the connection ends with.
    #[must_use]
    pub const fn code(self) -> CmsCode {
        match self {
            Self::Version { .. } => CmsCode::WrongClientVersion,
            Self::Length { .. } => CmsCode::BadParameter,
            Self::Short { .. } | Self::Magic { .. } | Self::Kind { .. } | Self::Flags { .. } => {
                CmsCode::ProtocolViolated
            }
        }
    }
}

impl Header {
    /// A frame of this kind with everything else 0.
    #[must_use]
    pub const fn new(kind: Kind, sequence: u64) -> Self {
        Self {
            kind,
            sequence,
            service: 0,
            flags: Flags::NONE,
            code: 0,
            detail: 0,
            length: 0,
            actor: 0,
            reference: 0,
        }
    }

    /// The answer to this call: same sequence and service, the two codes, no payload yet.
    #[must_use]
    pub const fn reply(&self, code: u32, detail: u32) -> Self {
        let mut reply = Self::new(Kind::Reply, self.sequence);
        reply.service = self.service;
        reply.code = code;
        reply.detail = detail;
        reply
    }

    /// The 48 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        for (chunk, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.to_words()) {
            *chunk = word.to_le_bytes();
        }
        bytes
    }

    /// The 48 bytes as six numbers, each of eight of them with the lowest first.
    ///
    /// Put together from fields in registers: what is written to memory in small pieces and read back in one has to wait until
    /// everything written before has reached the other processor.
    #[inline]
    pub(crate) fn to_words(self) -> [u64; HEADER_WORDS] {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let half = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        [
            pair(MAGIC, half(VERSION, self.kind.number())),
            self.sequence,
            pair(half(self.service, self.flags.bits()), self.code),
            pair(self.detail, self.length),
            self.actor,
            self.reference,
        ]
    }

    /// Reads a header from the first 48 bytes.
    ///
    /// # Errors
    ///
    /// [`FrameError`], in the order magic, version, kind, flags. The length is only bounded by [`PAYLOAD_BYTES_MAX`];
    /// [`Header::decode_packet`] compares it with what is there.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(FrameError::Short { bytes: bytes.len() });
        };
        let mut words = [0; HEADER_WORDS];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        Self::of_words(words)
    }

    /// Reads a header from what [`Header::to_words`] makes.
    ///
    /// # Errors
    ///
    /// As [`Header::decode`].
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
    pub(crate) fn of_words(words: [u64; HEADER_WORDS]) -> Result<Self, FrameError> {
        let pair = |word: u64| (word as u32, (word >> 32) as u32);
        let half = |half: u32| (half as u16, (half >> 16) as u16);
        let [first, sequence, third, fourth, actor, reference] = words;
        let (magic, rest) = pair(first);
        if magic != MAGIC {
            return Err(FrameError::Magic { found: magic });
        }
        let (version, number) = half(rest);
        if version != VERSION {
            return Err(FrameError::Version { found: version });
        }
        let kind = Kind::from_number(number).ok_or(FrameError::Kind { found: number })?;
        let (rest, code) = pair(third);
        let (service, bits) = half(rest);
        let flags = Flags::from_bits(bits).ok_or(FrameError::Flags { found: bits })?;
        let (detail, length) = pair(fourth);
        if length as usize > PAYLOAD_BYTES_MAX {
            return Err(FrameError::Length { length, allowed: PAYLOAD_BYTES_MAX });
        }
        Ok(Self { kind, sequence, service, flags, code, detail, length, actor, reference })
    }

    /// Reads a whole packet: the header and the payload that follows it, which must have exactly the announced length
    /// (and be absent when the payload is in a memfd).
    ///
    /// # Errors
    ///
    /// [`FrameError`].
    pub fn decode_packet(packet: &[u8]) -> Result<(Self, &[u8]), FrameError> {
        let header = Self::decode(packet)?;
        let payload = packet.get(HEADER_BYTES..).unwrap_or_default();
        let expected = if header.flags.contains(Flags::MEMFD) { 0 } else { header.length as usize };
        if payload.len() != expected || expected > INLINE_BYTES_MAX {
            return Err(FrameError::Length {
                length: header.length,
                allowed: payload.len().min(INLINE_BYTES_MAX),
            });
        }
        Ok((header, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, FrameError, HEADER_BYTES, Header, Kind, MAGIC};
    use crate::code::CmsCode;
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    fn kinds() -> impl Strategy<Value = Kind> {
        let kinds: Vec<Kind> = (0..64).filter_map(Kind::from_number).collect();
        proptest::sample::select(kinds)
    }

    fn headers() -> impl Strategy<Value = Header> {
        let numbers = (any::<u64>(), any::<u16>(), 0u16..8, any::<u32>(), any::<u32>());
        let rest = (0u32..=16 * 1024 * 1024, any::<u64>(), any::<u64>());
        (kinds(), numbers, rest).prop_map(
            |(kind, (sequence, service, flags, code, detail), (length, actor, reference))| Header {
                kind,
                sequence,
                service,
                flags: Flags::from_bits(flags).unwrap_or_default(),
                code,
                detail,
                length,
                actor,
                reference,
            },
        )
    }

    proptest! {
        #[test]
        fn header_there_and_back_is_the_same(header in headers()) {
            prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
        }

        #[test]
        fn decode_of_any_bytes_never_panics_and_what_it_accepts_encodes_to_the_same(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            disguise in prop_oneof![Just(false), Just(true)],
        ) {
            if disguise && bytes.len() >= 8 {
                bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
                bytes[4..8].copy_from_slice(&[2, 0, 3, 0]);
            }
            if let Ok(header) = Header::decode(&bytes) {
                prop_assert_eq!(&header.encode()[..], &bytes[..HEADER_BYTES]);
            }
            if let Ok((header, payload)) = Header::decode_packet(&bytes) {
                prop_assert_eq!(payload.len(), bytes.len() - HEADER_BYTES);
                prop_assert_eq!(header.flags.contains(Flags::MEMFD) || header.length as usize == payload.len(), true);
            }
        }
    }

    #[test]
    fn decode_of_a_damaged_header_names_what_is_wrong_in_the_documented_order() {
        let good = Header::new(Kind::Call, 7).encode();
        let damaged = |offset: usize, value: u8| {
            let mut bytes = good;
            bytes[offset] = value;
            Header::decode(&bytes).expect_err("damaged")
        };
        assert_eq!(damaged(0, 0).code(), CmsCode::ProtocolViolated);
        assert_eq!(damaged(4, 3), FrameError::Version { found: 3 });
        assert_eq!(damaged(4, 3).code(), CmsCode::WrongClientVersion);
        assert_eq!(damaged(6, 99), FrameError::Kind { found: 99 });
        assert_eq!(damaged(18, 8), FrameError::Flags { found: 8 });
        assert_eq!(damaged(31, 255).code(), CmsCode::BadParameter);
        assert_eq!(Header::decode(&good[..47]), Err(FrameError::Short { bytes: 47 }));
    }
}
