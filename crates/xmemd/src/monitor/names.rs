//! Names of users and groups, asked of the name service by a thread of its own.
//!
//! The name service may be a directory far away; nobody but the connection that needs a name waits for it, and not for
//! long. What was found is kept for a while.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use tender_saf::LinuxIdentity;

use crate::waker::Waker;

/// How long names are kept.
const KEEP: Duration = Duration::from_secs(30);
/// Questions that may wait.
const QUESTIONS_MAX: usize = 4096;
/// Answers that are kept.
const KEPT_MAX: usize = 4096;

type Key = (u32, Vec<u32>);

#[derive(Debug)]
enum Question {
    Process(Key),
    /// A user by number, or else by the name that Linux gives to what the database calls so.
    User {
        ticket: u64,
        uid: Option<u32>,
        name: String,
    },
}

/// An answer.
#[derive(Debug)]
pub(crate) enum Answered {
    Process(Found),
    User(u64, Option<LinuxIdentity>),
}

/// What was asked, and what was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) uid: u32,
    pub(crate) gids: Vec<u32>,
    /// `None` where the name service failed.
    pub(crate) identity: Option<LinuxIdentity>,
}

#[derive(Debug)]
pub(crate) struct Names {
    questions: SyncSender<Question>,
    answers: Receiver<Answered>,
    kept: HashMap<Key, (LinuxIdentity, Instant)>,
    waker: Waker,
}

impl Names {
    pub(crate) fn start() -> io::Result<Self> {
        let (questions, taken) = sync_channel::<Question>(QUESTIONS_MAX);
        let (found, answers) = sync_channel(QUESTIONS_MAX);
        let waker = Waker::new()?;
        let for_thread = waker.clone();
        std::thread::Builder::new().name("names".to_owned()).spawn(move || {
            while let Ok(question) = taken.recv() {
                let answer = match question {
                    Question::Process((uid, gids)) => {
                        let identity = LinuxIdentity::of_process(uid, &gids).ok();
                        Answered::Process(Found { uid, gids, identity })
                    }
                    Question::User { ticket, uid: Some(uid), .. } => {
                        let identity = LinuxIdentity::of_uid(uid).ok();
                        Answered::User(ticket, identity.filter(|identity| identity.name.is_some()))
                    }
                    Question::User { ticket, uid: None, name } => {
                        Answered::User(ticket, LinuxIdentity::of_name(&name).ok().flatten())
                    }
                };
                if found.send(answer).is_err() {
                    return;
                }
                for_thread.wake();
            }
        })?;
        Ok(Self { questions, answers, kept: HashMap::new(), waker })
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Returns names that are known; asks for them otherwise.
    pub(crate) fn get(&mut self, uid: u32, gids: &[u32]) -> Option<LinuxIdentity> {
        let key = (uid, gids.to_vec());
        if let Some((identity, at)) = self.kept.get(&key)
            && at.elapsed() < KEEP
        {
            return Some(identity.clone());
        }
        // When too many wait already, this one runs into its deadline.
        self.questions.try_send(Question::Process(key)).ok();
        None
    }

    /// Asks for a user; false when too many questions wait.
    pub(crate) fn resolve(&self, ticket: u64, uid: Option<u32>, id: &str) -> bool {
        let name = id.to_ascii_lowercase();
        self.questions.try_send(Question::User { ticket, uid, name }).is_ok()
    }

    /// Returns the next answer.
    pub(crate) fn answered(&mut self) -> Option<Answered> {
        let answer = match self.answers.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                self.waker.reset();
                // An answer may have come between looking and resetting.
                self.answers.try_recv().ok()?
            }
        };
        if let Answered::Process(Found { uid, gids, identity: Some(identity) }) = &answer {
            if self.kept.len() >= KEPT_MAX {
                self.kept.retain(|_, (_, at)| at.elapsed() < KEEP);
                if self.kept.len() >= KEPT_MAX {
                    self.kept.clear();
                }
            }
            self.kept.insert((*uid, gids.clone()), (identity.clone(), Instant::now()));
        }
        Some(answer)
    }

    /// Returns the identity of somebody whose names cannot be had: the numbers alone.
    pub(crate) fn nameless(uid: u32, gids: &[u32]) -> LinuxIdentity {
        let group = |gid: &u32| tender_saf::LinuxGroup { gid: *gid, name: None };
        LinuxIdentity { uid, name: None, groups: gids.iter().map(group).collect() }
    }
}
