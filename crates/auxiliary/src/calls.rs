//! Calls on their way to one plug-in and back: slots, deadlines, and who waits for which answer.
//!
//! Pure bookkeeping: whoever owns the socket sends what [`Calls::submit`] returns and hands in what it receives.

use std::collections::BTreeMap;
use std::time::Duration;

use tender_xmem::frame::{
    Flags, FrameError, HEADER_BYTES, Header, INLINE_BYTES_MAX, Kind, PAYLOAD_BYTES_MAX,
};
use tender_xmem::plugin::{CALLS_MAX, Caller, PluginCall};

/// Says why a call does not go to the plug-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallsError {
    /// 26: it works on as many calls as it can.
    #[error("the plug-in works on {CALLS_MAX} calls already")]
    Full,
    /// The request does not fit into a packet together with its caller.
    #[error("a request of {bytes} bytes is too long for a plug-in")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
}

/// Says what a plug-in sent that it must not send. It is killed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not a frame.
    #[error("what is no frame")]
    Frame(#[source] FrameError),
    /// It is another frame than an answer.
    #[error("a frame that is no REPLY on the socket for calls")]
    Kind,
    /// Nothing was asked under this number, or it was answered already.
    #[error("an answer to a call that it was not given")]
    Unasked,
}

/// How a call ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// 96: its time is up.
    Deadline,
    /// 97: its caller no longer wants it.
    Cancelled,
    /// 36: the plug-in ended.
    Died,
}

/// An answer, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a, T> {
    /// Who waits.
    pub waiter: T,
    /// What the plug-in said: code and detail count.
    pub header: Header,
    /// The payload; empty when it is in a memfd that came along.
    pub payload: &'a [u8],
}

#[derive(Debug, Clone)]
struct Open<T> {
    /// `None` when nobody waits any more; the slot stays taken until the plug-in has answered.
    waiter: Option<T>,
    deadline: Option<Duration>,
}

/// The calls that one plug-in works on. `T` is what whoever asks calls a waiter.
///
/// Units: time is a duration since any fixed moment. Limits: [`CALLS_MAX`] at once. A call that timed out keeps its slot until the
/// plug-in answers it, because the plug-in still works on it.
#[derive(Debug, Clone)]
pub struct Calls<T> {
    open: BTreeMap<u64, Open<T>>,
    next: u64,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), next: 1 }
    }
}

impl<T: Copy> Calls<T> {
    /// Takes a slot and returns the sequence and the packet to send.
    ///
    /// A packet that has [`Flags::MEMFD`] is its header alone; what follows it goes into the memory file that is sent along.
    pub fn submit(
        &mut self,
        waiter: T,
        caller: &Caller,
        request: &[u8],
        deadline: Option<Duration>,
    ) -> Result<(u64, Vec<u8>), CallsError> {
        if self.open.len() >= CALLS_MAX {
            return Err(CallsError::Full);
        }
        let too_long = CallsError::TooLong { bytes: request.len() };
        let payload = PluginCall::payload(caller, request).map_err(|_| too_long)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(too_long);
        }
        let sequence = self.next;
        self.next += 1;
        let mut header = Header::new(Kind::Call, sequence);
        header.length = u32::try_from(payload.len()).expect("at most PAYLOAD_BYTES_MAX");
        if payload.len() > INLINE_BYTES_MAX {
            header.flags = header.flags.with(Flags::MEMFD);
        }
        let packet = [&header.encode()[..], &payload].concat();
        self.open.insert(sequence, Open { waiter: Some(waiter), deadline });
        Ok((sequence, packet))
    }

    /// Takes a packet of the plug-in; `None` when nobody waits for that answer any more.
    pub fn answer<'a>(&mut self, packet: &'a [u8]) -> Result<Option<Answer<'a, T>>, AnswerError> {
        let (header, payload) = Header::decode_packet(packet).map_err(AnswerError::Frame)?;
        if header.kind != Kind::Reply {
            return Err(AnswerError::Kind);
        }
        let open = self.open.remove(&header.sequence).ok_or(AnswerError::Unasked)?;
        Ok(open.waiter.map(|waiter| Answer { waiter, header, payload }))
    }

    /// Gives up one call; returns its waiter if there still was one. The plug-in is to be sent [`Calls::cancel_packet`].
    pub fn give_up(&mut self, sequence: u64) -> Option<T> {
        self.open.get_mut(&sequence)?.waiter.take()
    }

    /// Gives up all calls whose time is up; returns their sequences and waiters.
    pub fn expire(&mut self, now: Duration) -> Vec<(u64, T)> {
        let is_due =
            |open: &Open<T>| open.waiter.is_some() && open.deadline.is_some_and(|deadline| deadline <= now);
        let due = self.open.iter_mut().filter(|(_, open)| is_due(open));
        due.filter_map(|(sequence, open)| Some((*sequence, open.waiter.take()?))).collect()
    }

    /// Returns when the next call's time is up.
    pub fn next_deadline(&self) -> Option<Duration> {
        let waited = self.open.values().filter(|open| open.waiter.is_some());
        waited.filter_map(|open| open.deadline).min()
    }

    /// Ends all calls because the plug-in has ended; returns who waited.
    pub fn end(&mut self) -> Vec<T> {
        std::mem::take(&mut self.open).into_values().filter_map(|open| open.waiter).collect()
    }

    /// Returns how many slots are taken.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Says whether the plug-in works on nothing: only then may a replaced one be stopped.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Returns the packet that tells a plug-in that nobody waits for this call.
    pub fn cancel_packet(sequence: u64) -> [u8; HEADER_BYTES] {
        Header::new(Kind::Cancel, sequence).encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller { connection: 1, uid: 1001, gid: 100, pid: 7, user: None, actor: None, service: "ECHO".into() }
    }

    fn reply(sequence: u64, text: &[u8]) -> Vec<u8> {
        let mut header = Header::new(Kind::Reply, sequence);
        header.length = u32::try_from(text.len()).unwrap();
        [&header.encode()[..], text].concat()
    }

    #[test]
    fn seventeenth_call_is_refused_until_one_is_answered() {
        let mut calls = Calls::default();
        for waiter in 0..16 {
            calls.submit(waiter, &caller(), b"", None).unwrap();
        }
        assert_eq!(calls.submit(16, &caller(), b"", None).unwrap_err(), CallsError::Full);
        let answer = reply(3, b"three");
        let answer = calls.answer(&answer).unwrap().unwrap();
        assert_eq!((answer.waiter, answer.payload), (2, &b"three"[..]));
        assert_eq!(calls.submit(16, &caller(), b"", None).unwrap().0, 17);
    }

    #[test]
    fn call_whose_time_is_up_keeps_its_slot_until_it_is_answered() {
        let mut calls = Calls::default();
        let due = Some(Duration::from_secs(5));
        let (sequence, _) = calls.submit("waiter", &caller(), b"", due).unwrap();
        assert_eq!(calls.next_deadline(), due);
        assert_eq!(calls.expire(Duration::from_secs(4)), []);
        assert_eq!(calls.expire(Duration::from_secs(5)), [(sequence, "waiter")]);
        assert_eq!(calls.expire(Duration::from_secs(6)), []);
        assert_eq!((calls.len(), calls.next_deadline()), (1, None));
        assert_eq!(calls.answer(&reply(sequence, b"late")), Ok(None));
        assert!(calls.is_empty());
    }

    #[test]
    fn answer_that_was_not_asked_for_is_named() {
        let mut calls = Calls::<u8>::default();
        assert_eq!(calls.answer(&reply(1, b"")), Err(AnswerError::Unasked));
        assert_eq!(calls.answer(&Header::new(Kind::Call, 1).encode()), Err(AnswerError::Kind));
        assert!(matches!(calls.answer(b"short"), Err(AnswerError::Frame(_))));
        calls.submit(0, &caller(), b"", None).unwrap();
        assert!(calls.answer(&reply(1, b"")).unwrap().is_some());
        assert_eq!(calls.answer(&reply(1, b"")), Err(AnswerError::Unasked), "twice");
    }

    #[test]
    fn packet_holds_caller_and_request() {
        let mut calls = Calls::default();
        let (_, packet) = calls.submit(0, &caller(), b"request", None).unwrap();
        let (header, payload) = Header::decode_packet(&packet).unwrap();
        assert_eq!((header.kind, header.sequence), (Kind::Call, 1));
        let (length, rest) = payload.split_first_chunk().unwrap();
        let (text, request) = rest.split_at(u32::from_le_bytes(*length) as usize);
        assert_eq!(serde_json::from_slice::<Caller>(text).unwrap(), caller());
        assert_eq!(request, b"request");
        let (_, packet) = calls.submit(0, &caller(), &vec![0; INLINE_BYTES_MAX], None).unwrap();
        let header = Header::decode(&packet).unwrap();
        assert!(header.flags.contains(Flags::MEMFD) && packet.len() == HEADER_BYTES + header.length as usize);
        let long = vec![0; PAYLOAD_BYTES_MAX];
        assert!(matches!(calls.submit(0, &caller(), &long, None), Err(CallsError::TooLong { .. })));
    }

    #[test]
    fn end_of_the_plugin_returns_everybody_who_waits() {
        let mut calls = Calls::default();
        let (first, _) = calls.submit(1, &caller(), b"", None).unwrap();
        calls.submit(2, &caller(), b"", None).unwrap();
        assert_eq!(calls.give_up(first), Some(1));
        assert_eq!(calls.give_up(first), None);
        assert_eq!(calls.end(), [2]);
        assert!(calls.is_empty());
    }
}
