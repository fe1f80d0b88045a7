//! Taking what components print.

use rustix::io::Errno;

use super::{Engine, Key};
use crate::clock;
use crate::console::{Reply, State};
use crate::life::Event;
use crate::messages::{message, plural};
use crate::output::log_file::{Trouble, Written};
use crate::output::{Piece, Treatment};
use crate::poller::{Interest, Token};

/// A pipe that was this full when it was read belongs to a component that floods, in bytes.
const FLOOD_BYTES: usize = 32 << 10;
/// The pipe of such a component is made this large, in bytes, so that it is read seldom and much at a time.
const FLOOD_PIPE_BYTES: usize = 1 << 20;
/// Time between two reads of a flood.
const FLOOD_PAUSE_MS: u64 = 4;
/// So much is read of a flood at a time, in bytes.
const FLOOD_TURN_BYTES: usize = 512 << 10;
/// A pipe that somebody goes on filling after the end of a component is not read for ever, in bytes.
const DRAIN_BYTES_MAX: usize = 2 << 20;

impl Engine {
    /// Reads once from a component that has printed something.
    ///
    /// One that has printed much is left alone for a moment: its next output comes in one large piece, and the others
    /// have their turn.
    pub(super) fn pump(&mut self, id: u32) {
        let Some(length) = self.read_piece(id) else { return };
        if length < FLOOD_BYTES {
            return;
        }
        let Some(pipe) = self.units.get(&id).and_then(|unit| unit.pipe.as_ref()) else { return };
        // Where the limit of pipes is reached it stays as it is.
        rustix::pipe::fcntl_setpipe_size(pipe, FLOOD_PIPE_BYTES).ok();
        if self.poller.change(pipe, Token::Output(id), Interest::None).is_ok() {
            self.timers.arm(Key::Flood(id), clock::monotonic_ms() + FLOOD_PAUSE_MS);
        }
    }

    /// Reads what has come during a pause, and goes on as before when it is little.
    pub(super) fn end_flood(&mut self, id: u32) {
        let mut total = 0;
        while total < FLOOD_TURN_BYTES {
            match self.read_piece(id) {
                Some(0) | None => break,
                Some(length) => total += length,
            }
        }
        let Some(pipe) = self.units.get(&id).and_then(|unit| unit.pipe.as_ref()) else { return };
        if total >= FLOOD_BYTES {
            self.timers.arm(Key::Flood(id), clock::monotonic_ms() + FLOOD_PAUSE_MS);
        } else if let Err(error) = self.poller.change(pipe, Token::Output(id), Interest::Read) {
            self.tell(message("ZWEL0050E", format!("output cannot be waited for: {error}")));
        }
    }

    /// Reads until nothing is there: what was printed before an end, also while somebody else holds the pipe.
    pub(super) fn drain(&mut self, id: u32) {
        let mut total = 0;
        while total < DRAIN_BYTES_MAX {
            match self.read_piece(id) {
                Some(0) | None => break,
                Some(length) => total += length,
            }
        }
    }

    /// Reads the rest, and closes the pipe of a run.
    pub(super) fn close_output(&mut self, id: u32) {
        self.drain(id);
        self.timers.disarm(Key::Flood(id));
        let Some(unit) = self.units.get_mut(&id) else { return };
        if let Some(pipe) = unit.pipe.take() {
            self.poller.remove(&pipe);
        }
        self.take_output(id, None);
    }

    /// Reads one piece and returns its length: 0 when nothing is there now, none when nothing will come.
    fn read_piece(&mut self, id: u32) -> Option<usize> {
        let unit = self.units.get_mut(&id)?;
        let pipe = unit.pipe.as_ref()?;
        match rustix::io::read(pipe, self.piece.as_mut_slice()) {
            Ok(0) => {
                self.poller.remove(pipe);
                unit.pipe = None;
                None
            }
            Ok(length) => {
                self.take_output(id, Some(length));
                Some(length)
            }
            Err(Errno::AGAIN | Errno::INTR) => Some(0),
            Err(error) => {
                self.poller.remove(pipe);
                unit.pipe = None;
                let name = unit.component.name.clone();
                let text = format!("output of component {name} cannot be read: {error}");
                self.tell(message("ZWEL0050E", text));
                None
            }
        }
    }

    /// Takes so many bytes of the piece just read, or that none follow.
    fn take_output(&mut self, id: u32, length: Option<usize>) {
        let is_followed = self.clients.follows(id);
        let Some(unit) = self.units.get_mut(&id) else { return };
        let is_starting = unit.life.state == State::Starting;
        let treatment = Treatment {
            name: &unit.component.name,
            pid: unit.run.as_ref().map_or(0, |run| run.server),
            is_json: self.log.is_json,
            wall_ms: clock::wall_ms(),
            ready: unit.ready_pattern.as_ref().filter(|_| is_starting),
            notable: &self.notable,
            is_followed,
        };
        let piece = length.map_or(Piece::End, |length| Piece::Bytes(&self.piece[..length]));
        let taken = unit.output.take(piece, &treatment, &mut self.batch);
        let at_ms = treatment.wall_ms;
        let component = unit.component.name.clone();
        for line in taken.notable {
            self.tell_notable(&component, line);
        }
        if is_followed {
            for text in taken.lines {
                let reply = Reply::Line { component: component.clone(), text, at_ms };
                self.clients.send_line(id, &reply);
            }
        }
        if taken.is_ready {
            self.push(id, Event::Answered);
        }
        if let Some(written) = taken.written {
            self.tell_written(id, written);
        }
    }

    fn tell_written(&mut self, id: u32, written: Written) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        let (name, path) = (unit.component.name.clone(), unit.output.file_mut().path().display().to_string());
        self.tell(match written {
            Written::Failing(why) => message(
                "ZWEL0085W",
                format!("output of component {name} is dropped, `{path}` cannot be written: {why}"),
            ),
            Written::Again(trouble) => message(
                "ZWEL0086I",
                format!("output of component {name} is written again; {} lost", lost(&trouble)),
            ),
        });
    }

    /// Gives logs the limits of a new plan.
    pub(super) fn limit_logs(&mut self) {
        for unit in self.units.values_mut() {
            unit.output.file_mut().set_limits(self.log.rotate_bytes, self.log.keep);
        }
    }

    /// Opens log files anew, for whoever moves them away.
    pub(super) fn reopen_logs(&mut self) {
        for unit in self.units.values_mut() {
            unit.output.file_mut().reopen();
        }
    }
}

/// Says what a log that was not written has lost.
pub(super) fn lost(trouble: &Trouble) -> String {
    format!("{} ({} bytes)", plural(trouble.lines, "line"), trouble.bytes)
}
