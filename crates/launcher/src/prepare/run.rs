//! Running one lifecycle script of one component.

use std::path::Path;

use tender_config::manifest::Phase as Hook;
use tender_supervisor::script::{self, ScriptSpec};

use super::subject::Subject;
use crate::message::chain;
use crate::script::{Exports, Script};

/// What all scripts of one preparation share.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// Shell text that is run before every script.
    pub(crate) prelude: String,
    /// Time after which a script and all it started are killed, in milliseconds.
    pub(crate) limit_ms: u64,
    /// Ports that the running instance has, separated by commas.
    pub(crate) own_ports: String,
}

/// Output of one script that is kept, in bytes.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// Lines of it that go into a summary.
const LINES_SHOWN: usize = 200;

/// A script that ended with 0, or was not there to be run.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    /// What it printed.
    pub(crate) output: Vec<String>,
    /// What it left in the environment, when that was wanted.
    pub(crate) third: Vec<u8>,
    /// It was there and was run.
    pub(crate) is_run: bool,
}

/// A script that failed, with all that a reader needs to know why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Why, in one line.
    pub(crate) reason: String,
    /// What it printed.
    pub(crate) output: Vec<String>,
}

impl Failure {
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), output: Vec::new() }
    }
}

/// Finds out whether the script of `hook` could be run; one that is not there by right can.
pub(crate) fn check(subject: &Subject, hook: Hook) -> Result<(), Failure> {
    let Some(found) = subject.manifest.script(&subject.root, hook) else { return Ok(()) };
    let relative = found.path.strip_prefix(&subject.root).unwrap_or(&found.path);
    Script::find(&subject.root, relative).map(drop).map_err(|error| Failure::because(chain(&error)))
}

/// Runs the script of `hook`, in the component's directory, with its environment and nothing else.
pub(crate) fn run(
    subject: &Subject,
    hook: Hook,
    exports: Exports,
    surroundings: &Surroundings,
) -> Result<Ran, Failure> {
    let Some(found) = subject.manifest.script(&subject.root, hook) else { return Ok(Ran::default()) };
    let relative = found.path.strip_prefix(&subject.root).unwrap_or(Path::new(""));
    let script = Script::find(&subject.root, relative).map_err(|error| Failure::because(chain(&error)))?;
    let mut environment = subject.environment.to_map();
    environment.insert("TENDER_OWN_PORTS".to_owned(), surroundings.own_ports.clone());
    if exports == Exports::Kept {
        environment.insert("TENDER_EXPORT_FD".to_owned(), "3".to_owned());
    }
    let spec = ScriptSpec {
        command: script.phase_command(&surroundings.prelude, exports),
        directory: subject.root.clone(),
        environment,
        limit_ms: surroundings.limit_ms,
        output_bytes_max: OUTPUT_BYTES_MAX,
        takes_third: exports == Exports::Kept,
    };
    let result = script::run(&spec).map_err(|error| Failure::because(chain(&error)))?;
    let output = shown(result.output, result.is_cut);
    if !result.end.is_success() {
        let reason = match result.end {
            script::ScriptEnd::TimeOver => format!(
                "`{}` did not end within {} s and was killed",
                relative.display(),
                surroundings.limit_ms.div_ceil(1000)
            ),
            end => format!("`{}` ended with {end}", relative.display()),
        };
        return Err(Failure { reason, output });
    }
    Ok(Ran { output, third: result.third, is_run: true })
}

/// Shortens an output to what a summary shows: the first lines and the last.
fn shown(mut lines: Vec<String>, is_cut: bool) -> Vec<String> {
    if lines.len() > LINES_SHOWN {
        let half = LINES_SHOWN / 2;
        let left_out = lines.len() - LINES_SHOWN;
        let tail = lines.split_off(lines.len() - half);
        lines.truncate(half);
        let more = if is_cut { " and more" } else { "" };
        lines.push(format!("… {left_out} lines{more} left out …"));
        lines.extend(tail);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn long_output_keeps_its_first_and_last_lines() {
        let lines: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let kept = shown(lines, false);
        assert_eq!((kept.len(), kept[0].as_str(), kept[200].as_str()), (201, "0", "999"));
        assert!(kept[100].contains("800 lines"), "{}", kept[100]);
    }
}
