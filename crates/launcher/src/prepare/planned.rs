//! One component of the plan, made of a subject and what its configure script exported.

use std::collections::BTreeMap;
use std::path::Path;

use tender_config::manifest::{Limits, Phase as Hook, Probe, RestartMode};
use tender_supervisor::plan;

use super::run::Failure;
use super::subject::Subject;
use crate::fingerprint::{self, DigestCache};
use crate::message::chain;
use crate::script::Script;

/// What all components of one plan share.
#[derive(Debug)]
pub(crate) struct Shared<'s> {
    /// Shell text that is run before every script.
    pub(crate) prelude: &'s str,
    /// The `tender` program, for probes that the supervisor leaves to others.
    pub(crate) program: &'s Path,
    /// How such probes check certificates, and against what.
    pub(crate) probe_arguments: &'s [String],
    /// Digests of files.
    pub(crate) cache: &'s DigestCache,
}

/// Makes the planned component; `None` when it has nothing to start.
pub(crate) fn component(
    subject: &Subject,
    exports: &BTreeMap<String, String>,
    shared: &Shared<'_>,
) -> Result<Option<plan::Component>, Failure> {
    let Some(found) = subject.manifest.script(&subject.root, Hook::Start) else { return Ok(None) };
    let failed = |error: &dyn std::error::Error| Failure::because(chain(error));
    let relative = found.path.strip_prefix(&subject.root).unwrap_or(&found.path);
    let script = Script::find(&subject.root, relative).map_err(|error| failed(&error))?;
    let command = script.start_command(shared.prelude).map_err(|error| failed(&error))?;
    let extension = &subject.extension;
    let environment = subject.environment_with(exports);
    let probe = |probe: &Probe| probe_of(probe, subject, shared);
    let readiness = extension.readiness.as_ref().map(|asked| plan::Readiness {
        probe: probe(&asked.probe),
        initial_delay_ms: asked.initial_delay_ms,
        period_ms: asked.period_ms,
        timeout_ms: asked.timeout_ms,
        deadline_ms: asked.deadline_ms,
    });
    let health = extension.health.as_ref().map(|asked| plan::Health {
        probe: probe(&asked.probe),
        period_ms: asked.period_ms,
        timeout_ms: asked.timeout_ms,
        failures: asked.failures,
    });
    let pre_stop = extension.stop.pre_stop.as_ref().map(|words| program_of(words, &subject.root));
    let mut planned = plan::Component {
        name: subject.name.clone(),
        job_name: subject.job_name.clone(),
        command,
        working_directory: subject.root.clone(),
        environment,
        restart: restart(subject),
        readiness,
        health,
        requires: extension.requires.clone(),
        after: extension.after.clone(),
        stop: plan::Stop {
            signal: extension.stop.signal.clone(),
            grace_ms: extension.stop.grace_ms,
            pre_stop,
            keeps_sockets: extension.stop.keeps_sockets,
        },
        limits: limits(extension.limits),
        fingerprint: String::new(),
    };
    planned.fingerprint = fingerprint_of(subject, &planned, shared).map_err(|error| failed(&error))?;
    Ok(Some(planned))
}

fn restart(subject: &Subject) -> plan::Restart {
    let policy = &subject.extension.restart_policy;
    plan::Restart {
        mode: match policy.mode {
            RestartMode::Always => plan::RestartMode::Always,
            RestartMode::OnFailure => plan::RestartMode::OnFailure,
            RestartMode::Never => plan::RestartMode::Never,
        },
        jitter_percent: policy.jitter_percent,
        slow_retry_ms: (policy.slow_retry_ms > 0).then_some(policy.slow_retry_ms),
        fatal_exit_codes: policy.fatal_exit_codes.clone(),
        ..subject.restart.clone()
    }
}

fn limits(limits: Limits) -> plan::Limits {
    plan::Limits {
        memory_bytes: limits.memory_bytes,
        cpu_percent: limits.cpu_percent,
        files: limits.files,
        tasks: limits.tasks,
    }
}

fn probe_of(probe: &Probe, subject: &Subject, shared: &Shared<'_>) -> plan::Probe {
    match probe {
        Probe::Exec(words) => plan::Probe::Exec(program_of(words, &subject.root)),
        Probe::Tcp(address) => plan::Probe::Tcp(address.clone()),
        Probe::Http(url) if url.starts_with("https:") => {
            let mut words: Vec<String> =
                vec![shared.program.display().to_string(), "launcher".to_owned(), "probe".to_owned()];
            words.extend_from_slice(shared.probe_arguments);
            words.push(url.clone());
            plan::Probe::Exec(words)
        }
        Probe::Http(url) => plan::Probe::Http(url.clone()),
        Probe::Log(pattern) => plan::Probe::Log(pattern.clone()),
        Probe::Notify => plan::Probe::Notify,
    }
}

/// Makes the first word, relative to the component, absolute; shell scripts are given to the shell.
fn program_of(words: &[String], root: &Path) -> Vec<String> {
    let Some((first, rest)) = words.split_first() else { return Vec::new() };
    let path = root.join(first);
    let mut command = if first.contains('/') && path.is_file() {
        // No prelude: a probe is asked often and must be cheap.
        match Script::find(root, Path::new(first)).map(|script| script.interpreter) {
            Ok(crate::script::Interpreter::Shell(shell)) => {
                vec![shell.display().to_string(), path.display().to_string()]
            }
            _ => vec![path.display().to_string()],
        }
    } else {
        vec![first.clone()]
    };
    command.extend_from_slice(rest);
    command
}

/// Everything whose change needs a restart. Paths are left out where the parts say the same: a level that only moves
/// a component to another directory does not touch it.
fn fingerprint_of(
    subject: &Subject,
    planned: &plan::Component,
    shared: &Shared<'_>,
) -> Result<String, fingerprint::FingerprintError> {
    let parts = fingerprint::parts(&subject.root, shared.cache)?;
    let bare = plan::Component {
        working_directory: Path::new("").to_owned(),
        environment: plan::Environment::default(),
        ..planned.clone()
    };
    let root = subject.root.display().to_string();
    let bare = serde_json::to_string(&bare).expect("a component of a plan is plain values");
    let mut texts = vec![parts.digest.clone(), bare.replace(&root, "")];
    let is_used = parts.used_by(&subject.name);
    let used = planned.environment.0.iter().filter(|(name, _)| is_used(name));
    for (name, value) in used {
        texts.push(name.clone());
        texts.push(value.clone());
        // A certificate is renewed in place: its path stays and its bytes do not.
        if name.contains("_certificate_") {
            texts.extend(value.split(',').map(Path::new).filter_map(|path| shared.cache.digest(path)));
        }
    }
    Ok(fingerprint::of_texts(texts.iter().map(String::as_str)))
}
