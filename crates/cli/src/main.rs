//! The `tender` command.
//!
//! Parsing, printing, exit codes, and the joints between the crates. Nothing here decides about service.

mod activation;
mod commands;
mod error;
mod fleet;
mod home;
mod instance;
mod live;
mod media;
mod progress;
mod quickstart;
mod render;
mod serving;
mod zwe;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use tender_package::ReturnCode;

use commands::{Command, Shell};
use error::CommandError;
use render::Audience;

/// Services a fleet: install once, prove it, put it in production everywhere.
#[derive(Debug, Parser)]
#[command(
    name = "tender",
    version,
    infer_subcommands = false,
    arg_required_else_help = true,
    after_help = "Start with `tender quickstart`: it shows the whole path on this machine in under a minute."
)]
pub(crate) struct Tender {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command has.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Where Tender keeps its things; else TENDER_HOME, /var/lib/tender for root, tender in the XDG data directory
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Answer with one JSON document
    #[arg(long, global = true)]
    json: bool,
    /// Say what would be done and change nothing
    #[arg(long, global = true)]
    check: bool,
    /// Show no progress bars
    #[arg(long, short, global = true)]
    quiet: bool,
}

fn main() -> ExitCode {
    let is_json = std::env::args_os().any(|word| word == "--json");
    let audience = if is_json { Audience::Machines } else { Audience::People };
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(fault) => {
            // When even the message cannot be written, the exit code still tells.
            drop(writeln!(std::io::stderr(), "{fault}"));
            return ExitCode::from(fault.code());
        }
    };
    if let Some(launcher) = commands::launcher::run::Args::plain(&arguments) {
        return match launcher.run(false) {
            Ok(outcome) => ExitCode::from(outcome.code as u8),
            Err(fault) => fail(&fault, audience),
        };
    }
    let words = match words_of(arguments.into_iter()) {
        Ok(words) => words,
        Err(fault) => return fail(&fault, audience),
    };
    let tender = match Tender::try_parse_from(words) {
        Ok(tender) => tender,
        Err(fault) if fault.use_stderr() && is_json => return fail(&CommandError::Words(fault), audience),
        Err(fault) => {
            // When even the message cannot be written, the exit code still tells.
            drop(render::usage(&fault));
            let code = if fault.use_stderr() { ReturnCode::Syntax } else { ReturnCode::Done };
            return ExitCode::from(code as u8);
        }
    };
    let Some(home) = home::locate(tender.global.home) else {
        return fail(&CommandError::NoHome, audience);
    };
    let shell = Shell::new(home, tender.global.check, tender.global.quiet, audience);
    match tender.command.run(&shell) {
        Ok(outcome) => match render::outcome(&outcome, audience) {
            Ok(()) => ExitCode::from(outcome.code as u8),
            // A reader that went away (`| head`) does not change what was done.
            Err(fault) if fault.kind() == std::io::ErrorKind::BrokenPipe => {
                ExitCode::from(outcome.code as u8)
            }
            Err(fault) => fail(&CommandError::Print(fault), Audience::People),
        },
        Err(fault) => fail(&fault, audience),
    }
}

fn fail(fault: &CommandError, audience: Audience) -> ExitCode {
    drop(render::error(fault, audience));
    ExitCode::from(fault.code() as u8)
}

/// Returns what was typed; a line of `zwe` becomes one of ours first.
fn arguments() -> Result<Vec<OsString>, zwe::ZweError> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let called = arguments.first().and_then(|first| Path::new(first).file_name());
    if called.is_some_and(|name| name == "zwe") {
        let operands: Vec<String> =
            arguments[1..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
        arguments.truncate(1);
        arguments.extend(zwe::translated(&operands)?.into_iter().map(OsString::from));
    }
    Ok(arguments)
}

/// Returns the words to parse: SERVMGR lines become flags first, and the name `servmgr` stands for `tender servmgr`.
fn words_of(arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>, CommandError> {
    let mut words: Vec<OsString> = arguments.collect();
    let called = words.first().map(|first| Path::new(first).file_name().unwrap_or_default().to_owned());
    if called.is_some_and(|name| name.eq_ignore_ascii_case("servmgr")) {
        words.insert(1, "servmgr".into());
    }
    let Some(at) = position_of_servmgr(&words) else { return Ok(words) };
    let at = move_options_before(&mut words, at);
    let operands: Vec<String> =
        words[at + 1..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let flags = value_flags();
    let canonical =
        tender_service::grammar::canonical(&operands, &|flag| flags.iter().any(|known| known == flag))
            .map_err(CommandError::Grammar)?;
    words.truncate(at + 1);
    words.extend(canonical.into_iter().map(OsString::from));
    Ok(words)
}

/// Finds the word `servmgr` when it is the command, past global options.
fn position_of_servmgr(words: &[OsString]) -> Option<usize> {
    let mut at = 1;
    while let Some(word) = words.get(at).and_then(|word| word.to_str()) {
        match word {
            "--home" => at += 2,
            _ if word.starts_with('-') => at += 1,
            _ => return word.eq_ignore_ascii_case("servmgr").then_some(at),
        }
    }
    None
}

/// Moves options between `servmgr` and its verb before `servmgr`; returns where it is then.
fn move_options_before(words: &mut [OsString], mut at: usize) -> usize {
    while let Some(option) =
        words.get(at + 1).and_then(|word| word.to_str()).filter(|word| word.starts_with("--"))
    {
        if option == "--help" {
            break;
        }
        let length = if option == "--home" { 2 } else { 1 };
        let end = (at + 1 + length).min(words.len());
        words[at..end].rotate_left(1);
        at = end - 1;
    }
    at
}

/// Lists the flags below `servmgr` that are followed by a value.
fn value_flags() -> Vec<String> {
    fn collect(command: &clap::Command, flags: &mut Vec<String>) {
        for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            flags.extend(argument.get_long().map(|long| format!("--{long}")));
        }
        for below in command.get_subcommands() {
            collect(below, flags);
        }
    }
    let mut flags = Vec::new();
    collect(&Tender::command(), &mut flags);
    flags
}

#[cfg(test)]
mod tests;
