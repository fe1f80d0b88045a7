//! The usual call: nobody else reads on the link, so whoever calls reads its own answer.
//!
//! There is no entry for it among the calls under way and nobody to wake, so the link is locked twice, to take the reading
//! end and to give it back, and the clock is asked once. Frames for others that come meanwhile are handed out as ever.

use std::time::{Duration, Instant};

use super::Call;
use super::link::{Answer, Link, NotSent, Outcome, call_header};
use super::reader::{Event, Reader};
use crate::frame::Kind;

impl Link {
    /// Makes a call and waits for its answer. `None`: somebody else reads, or the call was not sent; go the long way.
    pub(super) fn exchange(&self, call: &Call<'_>, begun: Instant, time: Duration) -> Option<Outcome> {
        let (sequence, mut reader) = self.take_turn(call, begun)?;
        let header = call_header(call, sequence, time);
        let deadline = begun + time;
        let by_ring = match self.transmit(&header, call.payload, deadline) {
            Ok(by_ring) => by_ring,
            Err(not_sent) => {
                self.give_back(reader, matches!(not_sent, NotSent::Retired));
                return None;
            }
        };
        let mut left = time;
        loop {
            match reader.next(self.connection(), deadline, left) {
                Event::Frame { header, payload, descriptors }
                    if header.kind == Kind::Reply && header.sequence == sequence =>
                {
                    self.give_back(reader, false);
                    return Some(Outcome::Answered(Answer::new(&header, payload, descriptors)));
                }
                event => {
                    let has_ended = self.take_event(event);
                    left = deadline.saturating_duration_since(Instant::now());
                    if has_ended || left.is_zero() {
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

    /// A number for a call and the reading end, if the link takes calls and nobody reads.
    fn take_turn(&self, call: &Call<'_>, now: Instant) -> Option<(u64, Box<Reader>)> {
        if call.actor.is_some_and(|actor| actor.link != self.id()) {
            return None;
        }
        let mut state = self.lock();
        if state.retired || state.reader.as_ref()?.is_overdue(now) {
            return None;
        }
        let reader = state.reader.take()?;
        let sequence = state.next;
        state.next += 1;
        Some((sequence, reader))
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
