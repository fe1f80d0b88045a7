//! The cross-memory server: root process, keeper, monitor, front, services, operator commands.
//!
//! `docs/cross-memory.md` shows how the boxes fit together. [`main`] is the whole program; what it becomes is decided by its
//! first argument.

mod alarm;
mod auxiliary;
mod channel;
pub mod command;
mod front;
mod keeper;
mod link;
mod lock;
pub mod messages;
mod monitor;
mod operator;
mod options;
mod places;
mod poller;
mod role;
mod root;
mod services;
mod settings;
mod sys;
mod sysprint;
mod timers;
mod waker;
mod wire;
mod worker;

use std::io::Write as _;
use std::process::ExitCode;

use options::Request;

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    match Request::parse(std::env::args().skip(1)) {
        Ok(Request::Run(options)) => root::run(options),
        Ok(Request::Role(role)) => play(&role),
        Ok(Request::Version) => say(concat!("tender-xmemd ", env!("CARGO_PKG_VERSION"), "\n"), 0),
        Ok(Request::Help) => say(options::HELP, 0),
        Ok(Request::CheckHandover(_)) => root::replace::check(),
        Ok(Request::Resume(state)) => root::replace::resume(state),
        Err(error) => say(&format!("{error}\n"), 24),
    }
}

fn say(text: &str, code: u8) -> ExitCode {
    let written = if code == 0 {
        std::io::stdout().write_all(text.as_bytes())
    } else {
        std::io::stderr().write_all(text.as_bytes())
    };
    ExitCode::from(if written.is_ok() { code } else { 12 })
}

/// Becomes one of the boxes.
fn play(role: &str) -> ExitCode {
    let ended = match role {
        "keeper" => keeper::run(),
        "monitor" => monitor::run(),
        "front" => front::run(),
        "worker" => worker::run(),
        "auxiliary" => auxiliary::run(),
        _ => return say(&format!("there is no part called `{role}`\n"), 24),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = messages::STEP_FAILED.with(&[&role, &role::chain(&error)]);
            // The root process says that the box has ended even when this cannot be said.
            std::io::stdout().write_all(sysprint::stamped(&role.to_ascii_uppercase(), &text).as_bytes()).ok();
            ExitCode::from(8)
        }
    }
}
