//! Running other programs.

use std::io::{self, Read, Write};
use std::process::{Command, Output, Stdio};
use std::thread;

use crate::failure::Failure;

/// Runs a program that talks to the developer directly.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|source| Failure::Start { program: name(command), source })?;
    if status.success() { Ok(()) } else { Err(Failure::Ended { command: line(command), status }) }
}

/// Runs a program and returns what it wrote, whatever its exit code.
pub(crate) fn output(command: &mut Command) -> Result<Output, Failure> {
    command.output().map_err(|source| Failure::Start { program: name(command), source })
}

/// Returns whether a program starts and ends well; what it says is dropped.
pub(crate) fn works(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a program, shows what it writes as it comes, and returns its output as well.
pub(crate) fn tee(command: &mut Command) -> Result<(String, Result<(), Failure>), Failure> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Failure::Start { program: name(command), source })?;
    let stderr = child.stderr.take().expect("stderr was asked for as a pipe");
    let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
    let errors = thread::spawn(move || copy(stderr, io::stderr()));
    let mut text = copy(stdout, io::stdout());
    text.push_str(&errors.join().expect("copying does not panic"));
    let status = child.wait().map_err(|source| Failure::Start { program: name(command), source })?;
    let result =
        if status.success() { Ok(()) } else { Err(Failure::Ended { command: line(command), status }) };
    Ok((text, result))
}

/// Copies until the end; a terminal that went away does not stop the program.
fn copy(mut from: impl Read, mut to: impl Write) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        all.extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_err() {
            to.flush().unwrap_or_default();
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// Returns a command as it would be typed.
pub(crate) fn line(command: &Command) -> String {
    let mut words = vec![name(command)];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tee_of_a_failing_program_returns_both_outputs_and_the_failure() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let (text, result) = tee(&mut command).unwrap();
        assert!(text.contains("one\n") && text.contains("two\n"), "{text}");
        assert!(result.unwrap_err().to_string().contains("exit status: 3"));
    }

    #[test]
    fn run_of_an_absent_program_names_it() {
        let failure = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(failure.to_string(), "`no-such-program` does not start");
    }
}
