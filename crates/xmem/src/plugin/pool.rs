//! The threads of a plug-in: as many as there are calls at once, at most 16, started when they are needed.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::CALLS_MAX;

pub(super) type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait for a job.
    idle: usize,
    /// Jobs that wait or run.
    under_way: usize,
    finished: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// See the module.
#[derive(Default)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Runs a job; `false` when 16 are under way.
    pub(super) fn run(&mut self, job: Job) -> bool {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.under_way >= CALLS_MAX {
            return false;
        }
        state.under_way += 1;
        state.jobs.push_back(job);
        if state.jobs.len() > state.idle && self.threads.len() < CALLS_MAX {
            let shared = Arc::clone(&self.shared);
            self.threads.push(std::thread::spawn(move || work(&shared)));
        }
        drop(state);
        self.shared.changed.notify_one();
        true
    }

    /// Lets every job that was taken end, and then the threads.
    pub(super) fn finish(self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).finished = true;
        self.shared.changed.notify_all();
        for thread in self.threads {
            // A job that panics was caught where it ran.
            drop(thread.join());
        }
    }
}

fn work(shared: &Shared) {
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(job) = state.jobs.pop_front() {
            drop(state);
            job();
            state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.under_way -= 1;
        } else if state.finished {
            return;
        } else {
            state.idle += 1;
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}
