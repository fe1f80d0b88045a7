//! The loop of a worker: one thread, one channel, until the other end is closed.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::Pid;
use serde::Deserialize;

use crate::order::packet::{self, Buffer, Received};
use crate::order::{
    DEADLINE_MS_MAX, DESCRIPTORS_MAX, Order, Outcome, PACKET_BYTES_MAX, Refusal, Reply, Work,
};
use crate::password::Passwords;
use crate::place::Places;
use crate::runas::RunAs;
use crate::{Kind, Settings, inspect, network, port};

/// How long a killed process is waited for before its order is answered.
const KILLED_FOR: Duration = Duration::from_secs(2);
/// How often processes that were left behind are looked at while there are some.
const STRAYS_EVERY: Duration = Duration::from_millis(50);

/// Says why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The channel failed.
    #[error("use the channel of the {kind} worker")]
    Channel {
        /// The worker's kind.
        kind: Kind,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It could not be set up.
    #[error("set up the {kind} worker: {what}")]
    Start {
        /// The worker's kind.
        kind: Kind,
        /// What was missing.
        what: String,
    },
}

/// What became of an order at once.
pub(crate) enum Step {
    /// It is done; the descriptors go with the answer.
    Done(Outcome, Vec<OwnedFd>),
    /// It goes on in another process.
    Started(Box<dyn Running>),
}

/// An order that goes on in another process.
pub(crate) trait Running {
    /// What to wait for; none while only time is waited for.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
    /// When to look again, whatever happens.
    fn due(&self) -> Option<Instant>;
    /// Looks what has happened; `Some` when it is over and the process is reaped.
    fn progress(&mut self, now: Instant) -> Option<Outcome>;
    /// Ends it by force. It is still asked for progress until it is over.
    fn kill(&mut self);
    /// The process.
    fn pid(&self) -> Pid;
}

/// The work of one kind.
pub(crate) trait Craft {
    /// Begins an order; a refusal means that nothing was begun.
    fn begin(&mut self, work: Work, descriptors: Vec<OwnedFd>) -> Result<Step, Refusal>;
    /// The most orders at once, of those that go on in another process.
    fn orders_max(&self) -> usize {
        1
    }
    /// Time for an order that asks for so much; 0 when it does not say.
    fn deadline(&self, _asked_ms: u32) -> Duration {
        Duration::from_millis(u64::from(DEADLINE_MS_MAX))
    }
    /// Called when there is nothing else to do.
    fn idle(&mut self) {}
    /// Looks after processes that running orders left behind; `true` when some are still there.
    fn sweep(&mut self, _running: &[Pid]) -> bool {
        false
    }
}

/// What is done at once, in the worker itself.
struct Simple<F>(F);

impl<F: FnMut(Work, Vec<OwnedFd>) -> Result<(Outcome, Vec<OwnedFd>), Refusal>> Craft for Simple<F> {
    fn begin(&mut self, work: Work, descriptors: Vec<OwnedFd>) -> Result<Step, Refusal> {
        (self.0)(work, descriptors).map(|(outcome, descriptors)| Step::Done(outcome, descriptors))
    }
}

struct Task {
    id: u64,
    deadline: Instant,
    /// Why it was ended, when it was, and until when it is waited for.
    ended: Option<(Refusal, Instant)>,
    answered: bool,
    running: Box<dyn Running>,
}

struct Worker {
    kind: Kind,
    channel: OwnedFd,
    craft: Box<dyn Craft>,
    tasks: Vec<Task>,
    buffer: Buffer,
    strays: bool,
}

/// Does the work of one kind until the other end of the channel is closed; then ends what is under way and returns.
///
/// The process must have one thread and should be confined ([`crate::confine::Confinement::worker`]).
pub fn serve(kind: Kind, channel: OwnedFd, settings: Settings) -> Result<(), WorkerError> {
    let craft = craft(kind, settings).map_err(|what| WorkerError::Start { kind, what })?;
    let mut worker = Worker { kind, channel, craft, tasks: Vec::new(), buffer: Buffer::new(), strays: false };
    let ended = worker.run().map_err(|error| WorkerError::Channel { kind, source: error.into() });
    for task in &mut worker.tasks {
        task.running.kill();
    }
    worker.craft.sweep(&[]);
    ended
}

/// The one place that knows which kind does what.
fn craft(kind: Kind, settings: Settings) -> Result<Box<dyn Craft>, String> {
    let mut places = Places::new(settings.place);
    Ok(match kind {
        Kind::Password => Box::new(Passwords::new(settings.password)?),
        Kind::RunAs => Box::new(RunAs::new(settings.runas)?),
        Kind::Inspect => {
            Box::new(Simple(move |work, descriptors: Vec<OwnedFd>| match (work, descriptors.as_slice()) {
                (Work::Inspect(order), [process]) => {
                    inspect::inspect(&order, process.as_fd(), &settings.inspect)
                        .map(|outcome| (Outcome::Inspect(outcome), Vec::new()))
                }
                _ => Err(Refusal::Kind { kind }),
            }))
        }
        Kind::Network => Box::new(Simple(move |work, _| match work {
            Work::Network(order) => network::list(&order, &settings.network)
                .map(|outcome| (Outcome::Network(outcome), Vec::new())),
            _ => Err(Refusal::Kind { kind }),
        })),
        Kind::Place => Box::new(Simple(move |work, descriptors: Vec<OwnedFd>| match work {
            Work::Place(order) => {
                places.place(&order, descriptors.first()).map(|outcome| (Outcome::Place(outcome), Vec::new()))
            }
            _ => Err(Refusal::Kind { kind }),
        })),
        Kind::Port => Box::new(Simple(move |work, _| match work {
            Work::Port(order) => {
                port::open(&order, &settings.port).map(|(outcome, opened)| (Outcome::Port(outcome), opened))
            }
            _ => Err(Refusal::Kind { kind }),
        })),
    })
}

impl Worker {
    fn run(&mut self) -> Result<(), Errno> {
        loop {
            self.craft.idle();
            let readable = self.wait()?;
            let now = Instant::now();
            if self.progress(now)? || self.strays {
                let running: Vec<Pid> = self.tasks.iter().map(|task| task.running.pid()).collect();
                self.strays = self.craft.sweep(&running);
            }
            if readable && !self.read(now)? {
                return Ok(());
            }
        }
    }

    /// Waits until something happens; says whether the channel can be read.
    fn wait(&self) -> Result<bool, Errno> {
        let now = Instant::now();
        let mut until: Option<Instant> = self.strays.then(|| now + STRAYS_EVERY);
        let mut polled = vec![PollFd::new(&self.channel, PollFlags::IN)];
        for task in &self.tasks {
            if let Some(descriptor) = task.running.descriptor() {
                polled.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
            }
            let end = task.ended.as_ref().map_or(task.deadline, |(_, waited)| *waited);
            let end = if task.answered { None } else { Some(end) };
            for due in [end, task.running.due()].into_iter().flatten() {
                until = Some(until.map_or(due, |until| until.min(due)));
            }
        }
        let timeout = until.map(|until| {
            let left = until.saturating_duration_since(now);
            // Rounded up: waking before the time would mean waiting again for nothing.
            let left = left + Duration::from_micros(100);
            Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() }
        });
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(_) => Ok(!polled[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Carries on with what is under way; says whether something is over.
    fn progress(&mut self, now: Instant) -> Result<bool, Errno> {
        let mut over = false;
        let mut index = 0;
        while index < self.tasks.len() {
            let task = &mut self.tasks[index];
            if let Some(outcome) = task.running.progress(now) {
                let task = self.tasks.swap_remove(index);
                over = true;
                if !task.answered {
                    let outcome = task.ended.map_or(outcome, |(refusal, _)| Outcome::Refused(refusal));
                    self.answer(task.id, outcome, &[])?;
                }
                continue;
            }
            match &task.ended {
                None if task.deadline <= now => Self::end(task, Refusal::TimedOut, now),
                // It does not die, in the kernel's own wait for something. Its order shall not wait too.
                Some((refusal, waited)) if *waited <= now && !task.answered => {
                    task.answered = true;
                    let (id, refusal) = (task.id, refusal.clone());
                    self.answer(id, Outcome::Refused(refusal), &[])?;
                }
                _ => {}
            }
            index += 1;
        }
        Ok(over)
    }

    fn end(task: &mut Task, why: Refusal, now: Instant) {
        task.running.kill();
        task.ended = Some((why, now + KILLED_FOR));
    }

    /// Reads one packet and begins its order; says whether there can be more.
    fn read(&mut self, now: Instant) -> Result<bool, Errno> {
        let (bytes, descriptors) = match packet::receive(self.channel.as_fd(), &mut self.buffer)? {
            Received::Packet { bytes, descriptors } => (bytes, descriptors),
            Received::Oversized => {
                let why = format!(
                    "longer than {PACKET_BYTES_MAX} bytes or more than {DESCRIPTORS_MAX} descriptors"
                );
                self.answer(0, Outcome::Refused(Refusal::Malformed { why }), &[])?;
                return Ok(true);
            }
            Received::End => return Ok(false),
        };
        let order = parse(self.buffer.bytes(bytes));
        self.buffer.wipe(bytes);
        match order {
            Ok(order) => self.begin(order, descriptors, now)?,
            Err((id, why)) => self.answer(id, Outcome::Refused(Refusal::Malformed { why }), &[])?,
        }
        Ok(true)
    }

    fn begin(&mut self, order: Order, descriptors: Vec<OwnedFd>, now: Instant) -> Result<(), Errno> {
        let id = order.id;
        if let Work::Cancel(cancelled) = order.work {
            if let Some(task) =
                self.tasks.iter_mut().find(|task| task.id == cancelled && task.ended.is_none())
            {
                Self::end(task, Refusal::Cancelled, now);
            }
            return Ok(());
        }
        let deadline = now + self.craft.deadline(order.deadline_ms);
        match self.admit(order, descriptors) {
            Ok(Step::Done(outcome, descriptors)) => self.answer(id, outcome, &descriptors),
            Ok(Step::Started(running)) => {
                self.tasks.push(Task { id, deadline, ended: None, answered: false, running });
                Ok(())
            }
            Err(refusal) => self.answer(id, Outcome::Refused(refusal), &[]),
        }
    }

    fn admit(&mut self, order: Order, descriptors: Vec<OwnedFd>) -> Result<Step, Refusal> {
        if order.work.kind() != Some(self.kind) {
            return Err(Refusal::Kind { kind: self.kind });
        }
        let (expected, came) = (order.work.descriptors(), descriptors.len());
        if expected != came {
            return Err(Refusal::Descriptors { expected, came });
        }
        if self.tasks.iter().any(|task| task.id == order.id) {
            return Err(Refusal::Duplicate);
        }
        let orders_max = self.craft.orders_max();
        if self.tasks.len() >= orders_max {
            return Err(Refusal::Busy { orders_max });
        }
        self.craft.begin(order.work, descriptors)
    }

    /// Sends an answer. Waits for room: who orders takes answers before it sends more.
    fn answer(&self, id: u64, outcome: Outcome, descriptors: &[OwnedFd]) -> Result<(), Errno> {
        let write = |outcome| serde_json::to_vec(&Reply { id, outcome }).map_err(|_shape| Errno::INVAL);
        let mut bytes = write(outcome)?;
        let mut descriptors = descriptors;
        if bytes.len() > PACKET_BYTES_MAX {
            let what = format!("the answer is longer than {PACKET_BYTES_MAX} bytes");
            bytes = write(Outcome::Refused(Refusal::Unsupported { what }))?;
            descriptors = &[];
        }
        match packet::send(self.channel.as_fd(), &bytes, descriptors, SendFlags::empty()) {
            // The other end is gone: the next read says so.
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            other => other,
        }
    }
}

/// An order, or what can be told about something that is none.
fn parse(bytes: &[u8]) -> Result<Order, (u64, String)> {
    #[derive(Deserialize)]
    struct Id {
        #[serde(default)]
        id: u64,
    }
    match serde_json::from_slice::<Order>(bytes) {
        Ok(order) if order.id == 0 => Err((0, "id 0 is no id".to_owned())),
        Ok(order) => Ok(order),
        Err(error) => {
            let id = serde_json::from_slice::<Id>(bytes).map_or(0, |found| found.id);
            Err((id, explain(&error)))
        }
    }
}

/// Where and what, without the text that was sent: it may hold a secret.
fn explain(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a field is missing, unknown or of the wrong type",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
    };
    format!("{what}, at byte {}", error.column())
}
