//! Frames of the control socket of a plug-in: what it says, and what is said to it.

use tender_xmem::code::AuxCode;
use tender_xmem::frame::{HEADER_BYTES, Header, INLINE_BYTES_MAX, Kind};
use tender_xmem::plugin::{CommandStatus, Start};

use crate::life::Event;

/// The longest operator command for a plug-in, in bytes. Source: 7.3.
pub const COMMAND_BYTES_MAX: usize = 126;

/// What a plug-in said.
#[derive(Debug)]
pub enum Heard<'a> {
    /// Something that its [`Life`](crate::Life) decides about.
    Event(Event<'a>),
    /// A ping of its own, to be answered with [`pong`].
    Ping(u64),
    /// All that it wants kept for its next start.
    Anchors(&'a [u8]),
    /// The answer to an operator command.
    Output {
        /// Which command.
        sequence: u64,
        /// What became of it.
        status: CommandStatus,
        /// What it says to the operator.
        text: String,
    },
}

/// Takes a packet of a plug-in apart. What it must not send becomes [`Event::Misbehaved`].
pub fn hear(packet: &[u8]) -> Heard<'_> {
    let Ok((header, payload)) = Header::decode_packet(packet) else {
        return Heard::Event(Event::Misbehaved("what is no frame"));
    };
    match header.kind {
        Kind::Descriptor => Heard::Event(Event::Described(payload)),
        Kind::Ready => match str::from_utf8(payload) {
            Ok(text) => Heard::Event(Event::Ready { code: header.code, text }),
            Err(_) => Heard::Event(Event::Misbehaved("READY with what is no text")),
        },
        Kind::Ping => Heard::Ping(header.sequence),
        Kind::Pong => Heard::Event(Event::Pong),
        Kind::Anchor => Heard::Anchors(payload),
        Kind::PluginOutput => match CommandStatus::from_number(header.code) {
            Some(status) => Heard::Output {
                sequence: header.sequence,
                status,
                text: String::from_utf8_lossy(payload).into_owned(),
            },
            None => Heard::Event(Event::Misbehaved("an answer to a command with an unknown status")),
        },
        _ => Heard::Event(Event::Misbehaved("a frame that is none of a plug-in's")),
    }
}

/// Returns the packet of START; 41 when what is to be handed over does not fit into one.
pub fn start(start: &Start) -> Result<Vec<u8>, AuxCode> {
    let payload = serde_json::to_vec(start).expect("texts and numbers are JSON");
    if payload.len() > INLINE_BYTES_MAX {
        return Err(AuxCode::BufferTooSmall);
    }
    Ok(packet(Kind::Start, 0, &payload))
}

/// Returns the packet of PING.
pub fn ping() -> Vec<u8> {
    packet(Kind::Ping, 0, &[])
}

/// Returns the answer to a ping.
pub fn pong(sequence: u64) -> Vec<u8> {
    packet(Kind::Pong, sequence, &[])
}

/// Returns the packet of TERM.
pub fn term() -> Vec<u8> {
    packet(Kind::Term, 0, &[])
}

/// Returns the packet of an operator command; 32 when it is too long.
pub fn command(sequence: u64, text: &str) -> Result<Vec<u8>, AuxCode> {
    if text.len() > COMMAND_BYTES_MAX {
        return Err(AuxCode::CommandTooLong);
    }
    Ok(packet(Kind::PluginCommand, sequence, text.as_bytes()))
}

fn packet(kind: Kind, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut header = Header::new(kind, sequence);
    header.length = u32::try_from(payload.len()).expect("every payload here is shorter than a packet");
    let mut packet = Vec::with_capacity(HEADER_BYTES + payload.len());
    packet.extend_from_slice(&header.encode());
    packet.extend_from_slice(payload);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: Kind, code: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = packet(kind, 7, payload);
        packet[20..24].copy_from_slice(&code.to_le_bytes());
        packet
    }

    #[test]
    fn frames_of_a_plugin_become_events_and_others_misbehaviour() {
        let ready = said(Kind::Ready, 4, b"no");
        assert!(matches!(hear(&ready), Heard::Event(Event::Ready { code: 4, text: "no" })));
        let output = said(Kind::PluginOutput, 2, b"done");
        let heard = hear(&output);
        assert!(matches!(&heard, Heard::Output { sequence: 7, text, .. } if text == "done"), "{heard:?}");
        let bad = [
            said(Kind::PluginOutput, 9, b""),
            said(Kind::Ready, 0, b"\xFF"),
            said(Kind::Call, 0, b""),
            b"x".to_vec(),
        ];
        for packet in bad {
            assert!(matches!(hear(&packet), Heard::Event(Event::Misbehaved(_))), "{packet:?}");
        }
    }

    #[test]
    fn command_of_127_bytes_is_refused() {
        assert!(command(1, &"c".repeat(126)).is_ok());
        assert_eq!(command(1, &"c".repeat(127)), Err(AuxCode::CommandTooLong));
    }
}
