//! Runs a plan, read as JSON from standard input, and writes what the supervisor says on standard error.
//!
//! `TENDER_CGROUPS` is a cgroup directory, or `none`; `TENDER_PLANNER` is a file with the plan that a reload takes.

#![expect(clippy::print_stderr, reason = "a program of its own, not a library")]

use std::env;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use tender_supervisor::plan::Plan;
use tender_supervisor::{Cgroups, Options, Planner, Scope};

struct FilePlanner(PathBuf);

impl Planner for FilePlanner {
    fn command(&self, scope: &Scope) -> Command {
        let mut command = Command::new("/bin/sh");
        let names = match scope {
            Scope::All => "everything".to_owned(),
            Scope::Components(names) => names.join(" "),
        };
        // A file beside the plan stands for a planner that fails.
        let script =
            "echo planning $1 >&2; if [ -e \"$0.fails\" ]; then echo broken >&2; exit 3; fi; cat \"$0\"";
        command.args(["-c", script]).arg(&self.0).arg(names);
        command
    }
}

fn main() -> ExitCode {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("the plan is text");
    let plan: Plan = serde_json::from_str(&text).expect("the plan makes sense");
    drop(text);
    let options = Options {
        planner: env::var_os("TENDER_PLANNER")
            .map(|path| Box::new(FilePlanner(PathBuf::from(path))) as Box<dyn Planner>),
        messages: Box::new(|message| eprintln!("{} {}", message.id, message.text)),
        notable: Box::new(|component, line| eprintln!("notable {component}: {line}")),
        cgroups: match env::var_os("TENDER_CGROUPS") {
            None => Cgroups::Own,
            Some(value) if value == "none" => Cgroups::None,
            Some(value) => Cgroups::Below(PathBuf::from(value)),
        },
        planner_limit_ms: 20_000,
        ..Options::default()
    };
    match tender_supervisor::run(plan, options) {
        Ok(exit) if exit.forced.is_empty() && exit.unkillable.is_empty() => ExitCode::SUCCESS,
        Ok(exit) => {
            eprintln!("forced: {}", exit.forced.join(", "));
            ExitCode::from(4)
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
            while let Some(error) = cause {
                text.push_str(": ");
                text.push_str(&error.to_string());
                cause = error.source();
            }
            eprintln!("{text}");
            ExitCode::from(16)
        }
    }
}
