//! A program that runs beside the service and says what it sees, line by line.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::installation::signal;
use crate::world::wait_until;

pub(crate) struct Client {
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
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::of(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Starts one that goes on until its input ends.
    pub(crate) fn start_with_input(command: &mut Command) -> (Self, ChildStdin) {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        (Self::of(child), input)
    }

    fn of(mut child: Child) -> Self {
        let (output, lines) = (child.stdout.take().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, lines }
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> i64 {
        i64::from(self.child.id())
    }

    /// Stops it where it is, as a machine that hangs.
    pub(crate) fn freeze(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        signal(self.pid(), "CONT");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn await_line(&self, text: &str) {
        let is_there = || self.lines().iter().any(|line| line.contains(text));
        let has_ended = || !crate::installation::is_alive(self.pid());
        wait_until(&format!("`{text}` of the client"), || is_there() || has_ended());
        assert!(is_there(), "the client ended without `{text}`: {:?}", self.lines());
    }

    /// Asks it to say good-bye and waits until it has.
    pub(crate) fn stop(mut self) -> Option<i32> {
        signal(self.pid(), "TERM");
        self.child.wait().unwrap().code()
    }
}
