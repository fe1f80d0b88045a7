//! A client that runs beside the service and says what it sees, line by line.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::installation::signal;
use crate::world::wait_until;

pub(super) struct Client {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Client {
    pub(super) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (output, lines) = (child.stdout.take().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, lines }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    #[track_caller]
    pub(super) fn await_line(&self, text: &str) {
        let is_there = || self.lines().iter().any(|line| line.contains(text));
        let has_ended = || !crate::installation::is_alive(i64::from(self.child.id()));
        wait_until(&format!("`{text}` of the client"), || is_there() || has_ended());
        assert!(is_there(), "the client ended without `{text}`: {:?}", self.lines());
    }

    /// Asks it to say good-bye and waits until it has.
    pub(super) fn stop(mut self) -> Option<i32> {
        signal(i64::from(self.child.id()), "TERM");
        self.child.wait().unwrap().code()
    }
}
