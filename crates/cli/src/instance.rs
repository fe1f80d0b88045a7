//! Which instance a command is about, and how its launcher is reached.

pub(crate) mod loaded;
pub(crate) mod place;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tender_launcher::instance::InstanceError;
use tender_package::{Message, Outcome, ReturnCode};
use tender_supervisor::client::{self, ClientError};
use tender_supervisor::console::{Reply, Request};
use tender_supervisor::lock::InstanceLock;

use crate::commands::status;
use crate::error::{CommandError, RuntimeFault};

/// How long a launcher that said it ends may take until it is gone, and one that begins until it can be asked.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two looks whether it is gone.
const END_PERIOD: Duration = Duration::from_millis(10);

/// Options that name an instance.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Which {
    /// The instance directory; else TENDER_INSTANCE, else this directory or the nearest above with a zowe.yaml
    #[arg(long, value_name = "DIR")]
    pub(crate) instance: Option<PathBuf>,
    /// The configuration: a file, or FILE(a):FILE(b) where the leftmost wins
    #[arg(long, short, value_name = "CONFIG", conflicts_with = "instance")]
    pub(crate) config: Option<String>,
    /// The HA instance, when there are several
    #[arg(long, short = 'i', value_name = "ID")]
    pub(crate) ha_instance: Option<String>,
}

impl Which {
    /// Returns the launcher of the instance; it must run.
    pub(crate) fn reach(&self) -> Result<Reached, CommandError> {
        let directory = self.directory()?;
        if let Some(reached) = self.reach_in(&directory)? {
            return Ok(reached);
        }
        self.check_ha_instance()?;
        Err(not_running(&directory, self.ha_instance.as_deref()))
    }

    /// Refuses an HA instance that the configuration does not have, with those it has.
    ///
    /// A configuration that cannot be read says nothing about it: what runs can be stopped all the same.
    pub(crate) fn check_ha_instance(&self) -> Result<(), CommandError> {
        if self.ha_instance.is_none() {
            return Ok(());
        }
        match self.open()?.load() {
            Err(unknown @ InstanceError::UnknownHa { .. }) => Err(loaded::fault(unknown)),
            _ => Ok(()),
        }
    }

    /// Returns the launcher of the instance when one runs.
    pub(crate) fn reach_running(&self) -> Result<Option<Reached>, CommandError> {
        self.reach_in(&self.directory()?)
    }

    /// Returns the instance directory.
    pub(crate) fn directory(&self) -> Result<PathBuf, CommandError> {
        match &self.config {
            Some(_) => Ok(self.open()?.directory().to_owned()),
            None => place::find(self.instance.as_deref()),
        }
    }

    fn reach_in(&self, directory: &Path) -> Result<Option<Reached>, CommandError> {
        let wanted = self.ha_instance.as_deref().map(place::sanitised);
        let mut found = Vec::new();
        for id in place::ids(directory)? {
            if wanted.as_ref().is_some_and(|wanted| *wanted != id) {
                continue;
            }
            let reached = Reached::named(directory, &id);
            if reached.listens()? {
                found.push(reached);
            }
        }
        if found.len() > 1 {
            let ids = found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>().join(" ");
            let text = format!("more than one launcher runs for {}", directory.display());
            return Err(RuntimeFault::new("ZWEL0035E", ReturnCode::Syntax, text)
                .with_hint(format!("say which with --ha-instance; there are: {ids}"))
                .into());
        }
        Ok(found.pop())
    }
}

fn not_running(directory: &Path, id: Option<&str>) -> CommandError {
    let wanted = id.map(place::sanitised);
    let which = id.map(|id| format!(" for HA instance {id}")).unwrap_or_default();
    let ids = place::ids(directory).unwrap_or_default();
    let mut ids = ids.iter().filter(|id| wanted.as_ref().is_none_or(|wanted| wanted == *id));
    if let Some(holder) = ids.find_map(|id| InstanceLock::holder(directory, id)) {
        let text = format!(
            "the launcher in {} cannot be asked yet: process {} on {} prepares it since {}",
            directory.display(),
            holder.pid,
            holder.host,
            holder.since
        );
        return RuntimeFault::new("ZWEL0802E", ReturnCode::Busy, text).with_hint("ask again soon").into();
    }
    let text = format!("no launcher runs{which} in {}", directory.display());
    RuntimeFault::new("ZWEL0802E", ReturnCode::Unknown, text)
        .with_hint("`tender start` starts it; `tender validate` says beforehand whether it can")
        .into()
}

/// The launcher of one HA instance.
#[derive(Debug, Clone)]
pub(crate) struct Reached {
    id: String,
    directory: PathBuf,
}

impl Reached {
    /// Names the launcher of an HA instance, whether it runs or not.
    pub(crate) fn named(directory: &Path, id: &str) -> Self {
        Self { id: id.to_owned(), directory: directory.to_owned() }
    }

    /// Returns the HA instance id.
    pub(crate) fn name(&self) -> &str {
        &self.id
    }

    /// Says whether it runs and can be asked.
    pub(crate) fn listens(&self) -> Result<bool, CommandError> {
        match client::connect(&self.socket()) {
            Ok(_) => Ok(true),
            Err(fault) if is_nobody(&fault) => Ok(false),
            Err(fault) => Err(self.failed(fault)),
        }
    }

    fn socket(&self) -> PathBuf {
        client::socket_path(&self.directory, &self.id)
    }

    /// Asks and returns everything that was answered.
    pub(crate) fn ask(&self, request: &Request) -> Result<Vec<Reply>, CommandError> {
        let mut replies = Vec::new();
        self.stream(request, &mut |reply| {
            replies.push(reply);
            true
        })?;
        Ok(replies)
    }

    /// Asks and hands over each reply as it comes, until the last one or until `take` has had enough.
    ///
    /// A launcher that ends meanwhile ends the answer.
    pub(crate) fn stream(
        &self,
        request: &Request,
        take: &mut dyn FnMut(Reply) -> bool,
    ) -> Result<(), CommandError> {
        let mut client = client::connect(&self.socket()).map_err(|fault| self.failed(fault))?;
        for reply in client.request(request).map_err(|fault| self.failed(fault))? {
            match reply {
                Ok(reply) => {
                    if !take(reply) {
                        break;
                    }
                }
                Err(ClientError::Cut) => break,
                Err(fault) => return Err(self.failed(fault)),
            }
        }
        Ok(())
    }

    /// Waits until a launcher that has just begun to supervise can be asked.
    ///
    /// One that ended meanwhile is left for the next command to find out.
    pub(crate) fn await_start(&self) -> Result<(), CommandError> {
        let deadline = Instant::now() + END_TIMEOUT;
        let (_keep, clock) = mpsc::channel::<()>();
        while !self.listens()? && InstanceLock::holder(&self.directory, &self.id).is_some() {
            if Instant::now() > deadline || clock.recv_timeout(END_PERIOD).is_ok() {
                return Err(self.broken("it cannot be asked although it runs"));
            }
        }
        Ok(())
    }

    /// Waits until the launcher is gone and its lock is free.
    pub(crate) fn await_end(&self) -> Result<(), CommandError> {
        let deadline = Instant::now() + END_TIMEOUT;
        // Nobody ever sends: waiting for a message is a clock.
        let (_keep, clock) = mpsc::channel::<()>();
        while InstanceLock::holder(&self.directory, &self.id).is_some() {
            if Instant::now() > deadline || clock.recv_timeout(END_PERIOD).is_ok() {
                return Err(self.broken("it still runs although it was told to end"));
            }
        }
        Ok(())
    }

    /// Says that a launcher does not do what it should.
    pub(crate) fn broken(&self, what: &str) -> CommandError {
        let text = format!("failed to use the launcher of {}: {what}", self.directory.display());
        RuntimeFault::new("ZWEL0064E", ReturnCode::Outside, text).into()
    }

    fn failed(&self, fault: ClientError) -> CommandError {
        if is_nobody(&fault) {
            return not_running(&self.directory, Some(&self.id));
        }
        let is_foreign = is_of_kind(&fault, io::ErrorKind::PermissionDenied);
        let code = if is_foreign { ReturnCode::Refused } else { ReturnCode::Outside };
        let text = format!("failed to talk to the launcher in {}", self.directory.display());
        let told = RuntimeFault::new("ZWEL0064E", code, text).because(fault);
        if is_foreign { told.with_hint("only its own user and root may").into() } else { told.into() }
    }
}

/// Says whether nobody listens: no launcher, or what a killed one left behind.
fn is_nobody(fault: &ClientError) -> bool {
    is_of_kind(fault, io::ErrorKind::ConnectionRefused) || is_of_kind(fault, io::ErrorKind::NotFound)
}

fn is_of_kind(fault: &ClientError, kind: io::ErrorKind) -> bool {
    matches!(fault, ClientError::Connect { source, .. } if source.kind() == kind)
}

/// Makes an outcome of what a launcher answered.
pub(crate) fn answered(replies: Vec<Reply>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut is_done = false;
    let mut data = serde_json::Map::new();
    let mut lines = Vec::new();
    for reply in replies {
        let is_line = match &reply {
            Reply::Line { .. } => true,
            Reply::Message(told) => told.id == PLANNER_SAYS && planner_message(&told.text).is_none(),
            _ => false,
        };
        let before = outcome.messages.len();
        match reply {
            Reply::Message(told) if told.id == PLANNER_SAYS => match planner_message(&told.text) {
                Some(message) => outcome.say(message),
                None => lines.push(told.text.trim().to_owned()),
            },
            Reply::Message(told) => outcome.say(Message::with_id(&told.id, told.text)),
            Reply::Status(state) => {
                data.insert("status".to_owned(), serde_json::json!(state));
                outcome.tables.push(status::table::components(&state));
            }
            Reply::Changes { added, removed, changed, unchanged } => {
                let changes = Changes { added, removed, changed, unchanged };
                outcome.tables.push(changes.table());
                data.insert("changes".to_owned(), serde_json::json!(changes));
            }
            Reply::Line { text, .. } => lines.push(text),
            Reply::Event { .. } => {}
            Reply::Done { ok } => is_done = ok,
        }
        // Lines follow the message about the component that printed them.
        if !is_line {
            attach(&mut outcome, &mut lines, before);
        }
    }
    let last = outcome.messages.len();
    attach(&mut outcome, &mut lines, last);
    if !is_done {
        let is_unknown = outcome.messages.iter().any(|told| told.id == "ZWEL0054");
        let is_syntax = outcome.messages.iter().any(|told| ["ZWEL0041", "ZWEL0042"].contains(&&*told.id));
        // The rest of a reload is done when a component only stays as it was.
        let is_kept = outcome.messages.iter().any(|told| told.id == "ZWEL0095")
            && !outcome.messages.iter().any(|told| told.id == "ZWEL0089");
        let code = match (is_unknown, is_syntax) {
            (true, _) => ReturnCode::Unknown,
            (_, true) => ReturnCode::Syntax,
            _ if is_kept => ReturnCode::Warning,
            _ => ReturnCode::Outside,
        };
        outcome.code = outcome.code.max(code);
    } else if outcome.code > ReturnCode::Warning {
        // It was done all the same.
        outcome.code = ReturnCode::Warning;
    }
    outcome.data = data.into();
    outcome
}

/// What the process that makes a new plan says comes in messages of this id.
const PLANNER_SAYS: &str = "ZWEL0091I";

/// Returns the planner's own message, when it is not a line of output below one.
fn planner_message(text: &str) -> Option<Message> {
    let (id, rest) = text.split_once(' ')?;
    let is_id = id.len() == 9 && id.starts_with("ZWE") && id.ends_with(['I', 'W', 'E']);
    is_id.then(|| Message::with_id(id, rest))
}

/// Shows lines of output with the message number `count`, the one they came after.
fn attach(outcome: &mut Outcome, lines: &mut Vec<String>, count: usize) {
    let lines = std::mem::take(lines);
    if let Some(message) = count.checked_sub(1).and_then(|at| outcome.messages.get_mut(at)) {
        *message = status::table::with_output(message.clone(), &lines);
    }
}

/// What a reload touches.
#[derive(Debug, serde::Serialize)]
struct Changes {
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    unchanged: Vec<String>,
}

impl Changes {
    fn table(&self) -> tender_package::Table {
        let mut table = tender_package::Table::new("Changes", &["component", "change", "what follows"]);
        let groups = [
            (&self.added, "added", "starts"),
            (&self.changed, "changed", "restarts"),
            (&self.removed, "removed", "stops"),
            (&self.unchanged, "unchanged", "stays as it is"),
        ];
        for (names, change, follows) in groups {
            for name in names {
                table.row([name.as_str(), change, follows]);
            }
        }
        table
    }
}
