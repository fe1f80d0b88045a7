//! The hidden commands of `tender` that the launcher executes itself with, for its tests and benchmarks:
//! `launcher run`, `launcher prepare` and `launcher probe`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use tender_launcher::instance::{Instance, Place};
use tender_launcher::launch::child::{self, Output};
use tender_launcher::launch::{self, Ended, RunRequest};
use tender_launcher::prepare::PrepareRequest;
use tender_launcher::probe::{self, ProbeRequest};
use tender_launcher::progress::Event;
use tender_supervisor::Scope;

type Failure = Box<dyn std::error::Error>;

/// Options of all three commands, in the words of `tender`.
#[derive(Default)]
struct Arguments {
    config: String,
    ha_id: Option<String>,
    output: String,
    is_detached: bool,
    components: Vec<String>,
    verify: String,
    authorities: Vec<PathBuf>,
    url: String,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, Failure> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--config" => arguments.config = value()?,
            "--ha-instance" => arguments.ha_id = Some(value()?),
            "--output" => arguments.output = value()?,
            "--component" => arguments.components.push(value()?),
            "--verify" => arguments.verify = value()?,
            "--ca" => arguments.authorities.push(value()?.into()),
            "--detached" => arguments.is_detached = true,
            _ => arguments.url = word,
        }
    }
    Ok(arguments)
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = (words.next(), words.next());
    let done = parse(words).and_then(|arguments| match command.1.as_deref() {
        Some("run") => run(&arguments),
        Some("prepare") => prepare(&arguments),
        Some("probe") => ask(&arguments),
        _ => Err("there is no such command".into()),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(16),
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(source) = cause {
                text = format!("{text}: {source}");
                cause = source.source();
            }
            writeln!(io::stderr(), "{text}").ok();
            ExitCode::from(12)
        }
    }
}

fn instance(arguments: &Arguments) -> Result<Instance, Failure> {
    Ok(Instance::open(&Place::Config(arguments.config.clone()), arguments.ha_id.as_deref())?)
}

fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let out = Mutex::new(Some(io::stdout()));
    let progress = move |event: &Event| {
        let mut out = out.lock().expect("nobody panics while it writes");
        let Some(stdout) = out.as_mut() else { return };
        let line = serde_json::to_string(event).expect("an event is JSON");
        let is_written = writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_ok();
        if !is_written || matches!(event, Event::Supervising { .. }) {
            *out = None;
        }
    };
    let request = RunRequest {
        program: std::env::current_exe()?,
        is_detached: arguments.is_detached,
        progress: Arc::new(progress),
    };
    Ok(match launch::run(&instance(arguments)?, &request)? {
        Ended::Stopped(exit) => exit.forced.is_empty(),
        Ended::NotPrepared(_) => false,
    })
}

fn prepare(arguments: &Arguments) -> Result<bool, Failure> {
    let mut request = PrepareRequest::full(&std::env::current_exe()?);
    if !arguments.components.is_empty() {
        request.scope = Scope::Components(arguments.components.clone());
    }
    let output = if arguments.output == "plan" { Output::Plan } else { Output::Events };
    Ok(child::serve(&instance(arguments)?, &request, output, &mut io::stdout(), &mut io::stderr())?)
}

fn ask(arguments: &Arguments) -> Result<bool, Failure> {
    let request = ProbeRequest {
        url: arguments.url.clone(),
        verify: arguments.verify.parse().map_err(|_| "no such mode")?,
        authorities: arguments.authorities.clone(),
        limit_ms: 10_000,
    };
    probe::https(&request)?;
    Ok(true)
}
