//! CSMAGENT: carries out requests, one at a time, so that a kill at any moment is made good by the next run.
//!
//! ```text
//! request.json ─► gather facts ─► plan (pure) ─► journal.json ─► step, step, … ─► result ─► ended.json
//!                                    │                             │ a step fails
//!                                    └► refused: result            └► undo steps ─► result
//! ```
//!
//! A step that was cut off is done again; every step bears that. A verb is one file below `executor/` and one line in
//! `HANDLERS`.

mod collect;
mod enter;
mod exception;
mod fallback;
mod leave;
mod load;
mod managed;
mod put2prod;
#[cfg(test)]
mod samples;
mod servcheck;
mod signed;
pub(crate) mod step;
mod unload;

#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use tender_content::progress::{NoProgress, Progress};
use tender_content::store::ObjectStore;
use tender_package::report::{ServcheckReport, TestRun};
use tender_package::request::{PROTOCOL, Request, RequestResult, Verb};
use tender_package::{Message, Outcome, ReturnCode, Severity, Table};

use crate::audit::{self, AuditError, AuditEvent};
use crate::home::{Home, HomeError, read_json};
use crate::hooks::{LifecycleHooks, NoHooks};
use crate::info::{self, InfoError};
use crate::lock::{ExecutorLock, LockError};
use crate::queue::{self, Failure, Journal, Plan};
use crate::{chain, fault};

/// Every verb.
const HANDLERS: [&dyn Handler; 9] = [
    &load::Load,
    &unload::Unload,
    &put2prod::Put2prod,
    &fallback::Fallback,
    &servcheck::Servcheck,
    &managed::Managed,
    &enter::Enter,
    &leave::Leave,
    &exception::Keep,
];

/// How one verb is carried out.
trait Handler: Sync {
    /// The verb's word in a request.
    fn word(&self) -> &'static str;
    /// Looks at the system and decides what to do; changes nothing.
    fn plan(&self, context: &Context<'_>, request: &Request) -> Result<Plan, Refusal>;
    /// Makes the report that goes into the result, when the verb has one.
    fn report(&self, _context: &Context<'_>, _request: &Request) -> Result<Option<ServcheckReport>, Refusal> {
        Ok(None)
    }
}

/// What a verb works with.
struct Context<'a> {
    home: &'a Home,
    store: ObjectStore,
    hooks: &'a dyn LifecycleHooks,
    progress: &'a dyn Progress,
}

/// An expected no: what is wrong and how to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Refusal {
    pub(crate) code: ReturnCode,
    pub(crate) messages: Vec<Message>,
}

impl Refusal {
    /// Refuses for one reason.
    pub(crate) fn new(code: ReturnCode, message: Message) -> Self {
        Self { code, messages: vec![message] }
    }

    /// Adds a reason; the worst return code counts.
    pub(crate) fn add(&mut self, code: ReturnCode, message: Message) {
        self.code = self.code.max(code);
        self.messages.push(message);
    }

    /// Returns the refusal when there is any reason.
    pub(crate) fn or_fine(self) -> Result<(), Self> {
        if self.messages.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Turns an error that kept facts from being gathered into a refusal.
    pub(crate) fn failed(number: u16, doing: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let code = step::code_of(error);
        let severity = if code == ReturnCode::Integrity { Severity::S } else { Severity::E };
        Self::new(code, Message::csm(number, severity, format!("{doing} failed: {}", chain(error))))
    }
}

/// Says why the executor could not work at all.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// Another executor is at work.
    #[error("start the executor")]
    Lock(#[source] LockError),
    /// A file of the managed system could not be used.
    #[error("carry out requests")]
    Home(#[source] HomeError),
    /// The system cannot describe itself.
    #[error("describe this system")]
    Info(#[source] InfoError),
    /// The audit record could not be written.
    #[error("record what was done")]
    Audit(#[source] AuditError),
    /// A step that leads back failed.
    #[error(
        "go back in request {id}, which stays open: {step}; clear the cause and start the executor again"
    )]
    Stuck {
        /// The request.
        id: String,
        /// The step and why it failed.
        step: String,
    },
    /// A request has a verb that this executor does not know.
    #[error("request {id} has verb {verb}, which this Tender does not know")]
    Verb {
        /// The request.
        id: String,
        /// The verb.
        verb: &'static str,
    },
}

impl ExecuteError {
    /// Returns what a command ends with.
    #[must_use]
    pub fn code(&self) -> ReturnCode {
        match self {
            Self::Lock(LockError::Held { .. }) => ReturnCode::Busy,
            Self::Stuck { .. } => ReturnCode::Outside,
            other => step::code_of(other),
        }
    }
}

/// Carries out every open request, oldest first; returns each with its return code.
///
/// Errors: with `ExecuteError::Lock` another executor is at work and will see every request written before now.
pub fn execute(
    home: &Home,
    hooks: &dyn LifecycleHooks,
    progress: &dyn Progress,
) -> Result<Vec<(String, ReturnCode)>, ExecuteError> {
    let mut ended = Vec::new();
    // A request may come in after the last look and before the lock is dropped; its own executor finds the lock held
    // and leaves, so this one looks once more without the lock.
    while !queue::open_requests(home).map_err(ExecuteError::Home)?.is_empty() {
        let _lock = ExecutorLock::acquire(home, "executor").map_err(ExecuteError::Lock)?;
        let store = home.store().map_err(ExecuteError::Home)?;
        let context = Context { home, store, hooks, progress };
        while let Some(request) = queue::open_requests(home).map_err(ExecuteError::Home)?.into_iter().next() {
            let code = carry_out(&context, &request)?;
            ended.push((request.id, code));
        }
    }
    Ok(ended)
}

fn carry_out(context: &Context<'_>, request: &Request) -> Result<ReturnCode, ExecuteError> {
    let home = context.home;
    let word = request.verb.word();
    let handler = HANDLERS
        .iter()
        .find(|handler| handler.word() == word)
        .ok_or_else(|| ExecuteError::Verb { id: request.id.clone(), verb: word })?;
    let mut log = Log { home, id: &request.id };
    let (began, mut outcome) = match journal_of(context, *handler, request, &mut log)? {
        Err((began, refusal)) => (began, refused(refusal)),
        Ok(mut journal) => {
            run_steps(context, request, &mut journal, &mut log)?;
            (journal.began, summary(&journal))
        }
    };
    let servcheck = match handler.report(context, request) {
        Ok(report) => {
            report.iter().for_each(|report| show(report, &mut outcome));
            report
        }
        Err(refusal) => {
            outcome.code = outcome.code.max(refusal.code);
            outcome.messages.extend(refusal.messages);
            None
        }
    };
    let test_run: Option<TestRun> =
        read_json(&step::test_run_file(&home.request_dir(&request.id))).map_err(ExecuteError::Home)?;
    if let Some(shown) = &test_run {
        show_test_run(shown, &mut outcome);
    }
    for message in &outcome.messages {
        log.line(&message.to_string());
    }
    finish(home, request, began, outcome, Found { servcheck, test_run })
}

/// What a request found out, beside its outcome.
struct Found {
    servcheck: Option<ServcheckReport>,
    test_run: Option<TestRun>,
}

/// Returns the journal of a request that was begun before, or begins it.
fn journal_of(
    context: &Context<'_>,
    handler: &dyn Handler,
    request: &Request,
    log: &mut Log<'_>,
) -> Result<Result<Journal, (Timestamp, Refusal)>, ExecuteError> {
    if let Some(journal) = queue::journal(context.home, &request.id).map_err(ExecuteError::Home)? {
        log.line(&format!("resumed after {} steps", journal.done));
        return Ok(Ok(journal));
    }
    let began = Timestamp::now();
    log.line(&format!("{} asked by {}", request.verb.word(), request.operator));
    let plan = match handler.plan(context, request) {
        Ok(plan) => plan,
        Err(refusal) => return Ok(Err((began, refusal))),
    };
    let journal = Journal { began, plan, done: 0, failure: None };
    queue::write_journal(context.home, &request.id, &journal).map_err(ExecuteError::Home)?;
    fault::point(&format!("{}.planned", request.verb.word().to_lowercase()));
    Ok(Ok(journal))
}

/// Does the steps that are left; when one fails, undoes what the plan says.
fn run_steps(
    context: &Context<'_>,
    request: &Request,
    journal: &mut Journal,
    log: &mut Log<'_>,
) -> Result<(), ExecuteError> {
    let verb = request.verb.word().to_lowercase();
    let staging = context.home.request_dir(&request.id).join("staged");
    while let Some(step) = journal.steps().get(journal.done) {
        let is_undoing = journal.failure.is_some();
        let label = if is_undoing { "undo." } else { "" };
        let point = format!("{verb}.{label}{}", step.label(&verb));
        log.line(&step.describe());
        match step.run(context, &staging) {
            Ok(()) => {
                fault::point(&format!("{point}.done"));
                journal.done += 1;
            }
            Err(error) if matches!(step, step::Step::Collect) => {
                // What was asked is done; rubbish that stays goes with the next request.
                let text = format!("{}: {}", step.describe(), chain(&error));
                log.line(&text);
                journal.plan.notes.push(Message::csm(703, Severity::W, text));
                journal.done += 1;
            }
            Err(error) => {
                let text = format!("{}: {}", step.describe(), chain(&error));
                log.line(&text);
                fail(request, journal, Failure { code: error.code(), text })?;
            }
        }
        queue::write_journal(context.home, &request.id, journal).map_err(ExecuteError::Home)?;
        fault::point(&point);
    }
    Ok(())
}

/// Decides how it goes on after a failed step: back, further back, or not at all for the time being.
fn fail(request: &Request, journal: &mut Journal, failed: Failure) -> Result<(), ExecuteError> {
    let is_restart = matches!(journal.steps().get(journal.done), Some(step::Step::Restart { .. }));
    match &mut journal.failure {
        None => {
            journal.failure = Some(failed);
            journal.done = 0;
        }
        // The slots are back, only what runs is not: that is for people, and the request ends.
        Some(first) if is_restart => {
            first.text = format!("{}; after going back, too: {}", first.text, failed.text);
            journal.done += 1;
        }
        // The slots are not back. The request stays open and the next executor tries again.
        Some(_) => return Err(ExecuteError::Stuck { id: request.id.clone(), step: failed.text }),
    }
    Ok(())
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome { code: refusal.code, messages: refusal.messages, ..Outcome::default() }
}

fn summary(journal: &Journal) -> Outcome {
    let mut outcome = Outcome::default();
    for note in &journal.plan.notes {
        outcome.say(note.clone());
    }
    match &journal.failure {
        None => outcome.messages.extend(journal.plan.done.clone()),
        Some(failure) => {
            let severity = if failure.code == ReturnCode::Integrity { Severity::S } else { Severity::E };
            outcome.say(
                Message::csm(701, severity, format!("{}; the slots are as they were before", failure.text))
                    .with_hint("clear the cause and give the command again"),
            );
            outcome.code = failure.code;
        }
    }
    let steps: Vec<String> = journal.plan.steps.iter().map(step::Step::describe).collect();
    outcome.data = serde_json::json!({ "steps": steps });
    outcome
}

/// Shows a report to people.
fn show(report: &ServcheckReport, outcome: &mut Outcome) {
    let mut table = Table::new("Checks", &["#", "check", "verdict", "detail"]);
    for line in &report.checks {
        let verdict = format!("{:?}", line.verdict).to_lowercase();
        table.row([line.number.to_string(), line.title.clone(), verdict, line.detail.clone()]);
        servcheck::message(line).into_iter().for_each(|message| outcome.say(message));
    }
    outcome.tables.push(table);
}

/// Shows people what a test instance showed; one that is not ready makes the outcome a warning.
fn show_test_run(shown: &TestRun, outcome: &mut Outcome) {
    let mut table = Table::new("Test run", &["component", "state", "reason"]);
    for one in &shown.components {
        table.row([one.name.clone(), one.state.clone(), one.reason.clone().unwrap_or_default()]);
    }
    outcome.tables.push(table);
    let severity = if shown.is_ready { Severity::I } else { Severity::W };
    let text = format!("test instance of {}: {}", shown.level, shown.summary);
    outcome.say(Message::csm(705, severity, text));
    for one in shown.components.iter().filter(|one| !one.output.is_empty()) {
        let text = format!("{} printed last: {}", one.name, one.output.join(" | "));
        outcome.say(Message::csm(706, Severity::W, text));
    }
}

fn finish(
    home: &Home,
    request: &Request,
    began: Timestamp,
    outcome: Outcome,
    found: Found,
) -> Result<ReturnCode, ExecuteError> {
    let code = outcome.code;
    let mut info = info::system(home).map_err(ExecuteError::Info)?;
    info.open_requests.retain(|id| *id != request.id);
    let event = AuditEvent {
        who: request.operator.clone(),
        what: request.verb.word().to_owned(),
        subject: request.id.clone(),
        result: u8::from(code).to_string(),
    };
    audit::append(&home.audit_log(), Timestamp::now(), event).map_err(ExecuteError::Audit)?;
    // The line just written is what the principal must know of.
    info.audit = audit::head(&home.audit_log()).map_err(ExecuteError::Audit)?;
    let result = RequestResult {
        request: request.clone(),
        began,
        ended: Timestamp::now(),
        outcome,
        info,
        servcheck: found.servcheck,
        test_run: found.test_run,
    };
    queue::end(home, &result).map_err(ExecuteError::Home)?;
    fault::point(&format!("{}.result", request.verb.word().to_lowercase()));
    Ok(code)
}

/// The log of one request: `results/<id>.log`.
struct Log<'a> {
    home: &'a Home,
    id: &'a str,
}

impl Log<'_> {
    /// Adds a line. A log that cannot be written stops no work: the journal is what counts.
    fn line(&mut self, text: &str) {
        let path = self.home.log_file(self.id);
        // What people at the principal wrote must not look like lines of ours.
        let text = text.replace(char::is_control, " ");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        drop(file.and_then(|mut file| writeln!(file, "{} {text}", Timestamp::now())));
    }
}

/// Carries out a verb that someone on this system itself asks for, such as MANAGED OFF; returns its result.
///
/// Requests that wait are carried out first. With `ExecuteError::Lock` another executor is at work; the request stays
/// queued and that executor carries it out.
pub fn ask_locally(
    home: &Home,
    verb: Verb,
    operator: &str,
    hooks: &dyn LifecycleHooks,
    progress: &dyn Progress,
) -> Result<Option<RequestResult>, ExecuteError> {
    let made = Timestamp::now();
    let id = format!("local-{}-{}", made.as_nanosecond(), std::process::id());
    let request = Request { protocol: PROTOCOL, id, made, operator: operator.to_owned(), verb };
    queue::submit(home, &request).map_err(ExecuteError::Home)?;
    execute(home, hooks, progress)?;
    let result = queue::result(home, &request.id).map_err(ExecuteError::Home)?;
    // Whoever asked has it now; no principal will come for it.
    queue::acknowledge(home, &request.id).map_err(ExecuteError::Home)?;
    Ok(result)
}

/// Checks a LOAD as the executor will, for the receiver; returns received files that no package needs any more.
pub(crate) fn validate_load(home: &Home, request: &Request) -> Result<Vec<PathBuf>, Refusal> {
    let store = home.store().map_err(|error| Refusal::failed(704, "reception", &error))?;
    let context = Context { home, store, hooks: &NoHooks, progress: &NoProgress };
    load::validate(&context, request)
}

/// Reads the trusted root that enrolment brought.
pub(crate) fn trusted_root(home: &Home) -> Result<Vec<u8>, Refusal> {
    std::fs::read(home.trusted_root()).map_err(|error| {
        let text = format!("this system trusts no principal yet: {}: {error}", home.trusted_root().display());
        Refusal::new(
            ReturnCode::Refused,
            Message::csm(702, Severity::E, text).with_hint("enrol it with `tender agent enrol <token>`"),
        )
    })
}

/// Reads a level's record, loaded or not.
pub(crate) fn level_record(
    home: &Home,
    level: &tender_package::LevelRef,
) -> Result<Option<crate::slots::LevelRecord>, HomeError> {
    read_json(&home.level_record(level))
}
