//! What concerns the whole instance, checked before any script runs.

pub(crate) mod directories;
pub(crate) mod port_uses;
pub(crate) mod runtimes;
pub(crate) mod zosmf;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use tender_certificate::{CheckStatus, VerifyRequest};
use tender_config::manifest::Phase as Hook;

use super::model::Model;
use crate::message::chain;
use crate::summary::{Outcome, Row};
use runtimes::Runtime;
use zosmf::Policy;

/// How long before its end a certificate is warned of, in days.
const EXPIRY_WARNING_DAYS: u32 = 30;

/// What one check found: an error, a warning, or nothing.
type Found = Result<Option<String>, String>;

/// Runs every check; `own_ports` are those that the running instance has.
pub(crate) fn check(model: &Model, own_ports: &BTreeSet<u16>) -> Vec<Row> {
    let mut rows = vec![
        timed("runtime directory", || directories::check_runtime(&model.runtime)),
        timed("writable directories", || writable(model)),
        timed("ports", || ports(model, own_ports)),
    ];
    for (runtime, home) in [(Runtime::Java, &model.java_home), (Runtime::Node, &model.node_home)] {
        if needs(model, runtime) {
            rows.push(timed(runtime.name(), || runtime.check(home.as_deref()).map(|()| None)));
        }
    }
    if let Some((url, policy)) = &model.zosmf
        && *policy != Policy::Disabled
    {
        rows.push(timed("z/OSMF", || ask_zosmf(model, url, *policy)));
    }
    if model.certificate.is_some() {
        rows.push(timed("certificates", || certificates(model)));
    }
    rows
}

fn timed(name: &str, check: impl FnOnce() -> Found) -> Row {
    let began = Instant::now();
    let found = check();
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match found {
        Ok(None) => Row::new(name, Outcome::Done, took_ms),
        Ok(Some(warning)) => Row::new(name, Outcome::Warned, took_ms).because(warning),
        Err(error) => Row::new(name, Outcome::Failed, took_ms).because(error),
    }
}

fn writable(model: &Model) -> Found {
    let mut wrong = Vec::new();
    let directories = [
        ("zowe.logDirectory", Some(&model.layout.logs)),
        ("zowe.workspaceDirectory", Some(&model.layout.workspace)),
        ("the instance directory", Some(&model.directory)),
    ];
    for (name, directory) in directories {
        if let Some(Err(reason)) = directory.map(|path| directories::check_writable(path, &model.runtime)) {
            wrong.push(format!("{name}: {reason}"));
        }
    }
    // Only whoever installs extensions writes there.
    if let Some(extensions) =
        model.extensions.as_ref().filter(|path| directories::is_below(path, &model.runtime))
    {
        wrong.push(format!(
            "zowe.extensionDirectory: `{}` lies in the runtime directory, which is never written to",
            extensions.display()
        ));
    }
    if wrong.is_empty() { Ok(None) } else { Err(wrong.join("; ")) }
}

fn ports(model: &Model, own: &BTreeSet<u16>) -> Found {
    let mut wrong = port_uses::conflicts(&model.ports);
    let mine = || model.ports.iter().filter(|one| one.ha_id == model.layout.ha_id);
    let mut taken: Vec<String> = mine().filter_map(|one| port_uses::check_free(one, own).err()).collect();
    if !taken.is_empty() {
        // A component of ours may have begun to listen since its launcher was asked.
        let own = super::own_ports(model);
        taken = mine().filter_map(|one| port_uses::check_free(one, &own).err()).collect();
    }
    wrong.append(&mut taken);
    if wrong.is_empty() { Ok(None) } else { Err(wrong.join("; ")) }
}

fn needs(model: &Model, runtime: Runtime) -> bool {
    model.subjects.iter().any(|subject| {
        let script = subject.manifest.script(&subject.root, Hook::Start);
        let text = script.and_then(|script| fs::read_to_string(script.path).ok()).unwrap_or_default();
        runtime.is_needed_by(&subject.name, &text)
    })
}

fn ask_zosmf(model: &Model, url: &str, policy: Policy) -> Found {
    let tls = crate::probe::tls(model.verify, &authorities(model)).map_err(|error| chain(&error))?;
    match zosmf::probe(url, &tls, policy.limits()) {
        Ok(()) => Ok(None),
        Err(reason) if policy.is_fatal() => Err(reason),
        Err(reason) => Ok(Some(reason)),
    }
}

/// Returns the files of trusted authorities that the configuration names.
pub(crate) fn authorities(model: &Model) -> Vec<PathBuf> {
    let Some(Ok(certificate)) = &model.certificate else { return Vec::new() };
    let pem = certificate.pem.as_ref().and_then(|pem| pem.certificate_authorities.as_ref());
    pem.map(tender_certificate::OneOrMany::paths).unwrap_or_default()
}

fn certificates(model: &Model) -> Found {
    let certificate = match &model.certificate {
        None => return Ok(None),
        Some(Err(reason)) => return Err(reason.clone()),
        Some(Ok(certificate)) => certificate,
    };
    let checks = tender_certificate::verify(&VerifyRequest {
        certificate,
        host_names: &model.hosts,
        now: Timestamp::now(),
        warn_days: EXPIRY_WARNING_DAYS,
    });
    let of = |status: CheckStatus| {
        let texts: Vec<String> = checks
            .iter()
            .filter(|check| check.status == status)
            .map(|check| format!("{} {}: {}", check.what, check.subject, check.text))
            .collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    };
    match of(CheckStatus::Failed) {
        Some(wrong) => Err(wrong),
        None => Ok(of(CheckStatus::Warning)),
    }
}
