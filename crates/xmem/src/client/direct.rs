//! The usual call: nobody else reads on the link, so whoever calls reads its own answer.
//!
//! There is no entry for it among the calls under way and nobody to wake, so the link is locked twice, to take the reading
//! end (a call that goes through a ring is sent in the same moment) and to give it back, and the clock is asked once, through a
//! ring only by who has to sleep. Frames for others that come meanwhile are handed out as ever.

use super::Call;
use super::deadline::Deadline;
use super::link::{Answer, Link, NotSent, Outcome, call_header};
use super::reader::{Coarse, Event, Reader};
use crate::frame::Kind;

/// What a caller has until it has its answer.
struct Turn {
    sequence: u64,
    reader: Box<Reader>,
    /// It has been sent already, through the ring.
    by_ring: bool,
}

impl Link {
    /// Makes a call and waits for its answer. `None`: somebody else reads, or the call was not sent; go the long way.
    pub(super) fn exchange(&self, call: &Call<'_>, deadline: &mut Deadline) -> Option<Outcome> {
        let Turn { sequence, mut reader, by_ring } = self.take_turn(call, *deadline)?;
        if !by_ring {
            let header = call_header(call, sequence, deadline.left_a_moment_ago());
            if let Err(not_sent) = self.transmit_packet(&header, call.payload, deadline.at()) {
                self.give_back(reader, matches!(not_sent, NotSent::Retired));
                return None;
            }
        }
        loop {
            match reader.next(self.connection(), deadline) {
                Event::Frame { header, payload, descriptors }
                    if header.kind == Kind::Reply && header.sequence == sequence =>
                {
                    self.give_back(reader, false);
                    return Some(Outcome::Answered(Answer::new(&header, payload, descriptors)));
                }
                event => {
                    let has_ended = self.take_event(event);
                    if has_ended || deadline.left().is_zero() {
                        self.give_back(reader, false);
                        if has_ended {
                            return Some(Outcome::Lost);
                        }
                        self.send_cancel(sequence, by_ring);
                        return Some(Outcome::Deadline);
                    }
                }
            }
        }
    }

    /// A number for a call and the reading end, if the link takes calls and nobody reads; the call is sent if it can go
    /// through a ring.
    fn take_turn(&self, call: &Call<'_>, deadline: Deadline) -> Option<Turn> {
        if call.actor.is_some_and(|actor| actor.link != self.id()) {
            return None;
        }
        let mut state = self.lock();
        if state.retired || state.reader.as_ref()?.is_overdue(Coarse::now()) {
            return None;
        }
        let sequence = state.next;
        state.next += 1;
        let by_ring = match &mut state.sender {
            // What is wrong with a ring is found, and told, the long way.
            Some(sender) if self.fits_ring(call.payload) => {
                let header = call_header(call, sequence, deadline.left_a_moment_ago());
                sender.try_push(&header, call.payload).ok()?
            }
            _ => false,
        };
        let reader = state.reader.take()?;
        Some(Turn { sequence, reader, by_ring })
    }

    fn give_back(&self, reader: Box<Reader>, is_retired: bool) {
        let mut state = self.lock();
        state.reader = Some(reader);
        state.retired |= is_retired;
        state.hand_on();
    }

    /// Hands out what came; says whether the connection has ended.
    fn take_event(&self, event: Event) -> bool {
        let mut state = self.lock();
        self.dispatch(&mut state, event);
        state.ended
    }
}
