//! Whether an instance is well: what an administrator checks after an installation.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use tender_certificate::{CheckStatus, VerifyRequest};
use tender_supervisor::console::{InstanceStatus, State};

use crate::check::Check;
use crate::instance::{Instance, InstanceError, Loaded};
use crate::launch;
use crate::message::chain;
use crate::ports;
use crate::register::api_definition;

/// Differences of the product that are named.
const DIFFERENCES_NAMED: usize = 10;
/// How long before its end a certificate is warned of, in days.
const EXPIRY_WARNING_DAYS: u32 = 30;

/// Runs every check.
pub fn verify(instance: &Instance) -> Result<Vec<Check>, InstanceError> {
    let loaded = instance.load()?;
    let layout = loaded.layout()?;
    let mut checks = vec![configuration(&loaded), ha_instance(&loaded)];
    let status = launch::status(instance.directory(), &layout.ha_id);
    checks.push(match &status {
        Some(status) => Check::passed("launcher", format!("process {}, up {} s", status.pid, status.uptime_ms / 1000)),
        None => Check::failed("launcher", "it does not run"),
    });
    if let Some(status) = &status {
        checks.extend(components(status));
        checks.extend(configured_ports(&loaded, status));
        checks.extend(definitions(&loaded));
    }
    for (what, path) in [("log directory", &layout.logs), ("workspace", &layout.workspace)] {
        checks.push(match writable(path) {
            Ok(()) => Check::passed(what, path.display().to_string()),
            Err(reason) => Check::failed(what, reason),
        });
    }
    checks.extend(certificates(&loaded));
    checks.push(product(&loaded));
    Ok(checks)
}

fn configuration(loaded: &Loaded) -> Check {
    let errors: Vec<String> = loaded.report.errors().map(ToString::to_string).collect();
    match errors.as_slice() {
        [] => Check::passed("configuration", format!("{} warnings", loaded.report.warnings().count())),
        errors => Check::failed("configuration", errors.join("\n")),
    }
}

fn ha_instance(loaded: &Loaded) -> Check {
    let ids = loaded.configuration.instance_ids();
    let id = &loaded.instance.id;
    if ids.is_empty() {
        return Check::passed("HA instance", format!("{id}, the only one"));
    }
    Check::passed("HA instance", format!("{id} of {}", ids.join(" ")))
}

fn components(status: &InstanceStatus) -> Vec<Check> {
    let running = status.components.iter().map(|component| {
        let what = format!("component {}", component.name);
        let word = format!("{:?}", component.state).to_uppercase();
        let reason = component.reason.as_ref().or(component.last_exit.as_ref());
        let found = reason.map_or_else(|| word.clone(), |reason| format!("{word}: {reason}"));
        match component.state {
            State::Ready => Check::passed(what, format!("{word}, {} restarts", component.restarts)),
            State::Starting | State::Waiting | State::Degraded => Check::warned(what, found),
            _ => Check::failed(what, found),
        }
    });
    let left_out = status.left_out.iter().map(|one| {
        Check::failed(format!("component {}", one.name), format!("left out by {}: {}", one.phase, one.reason))
    });
    running.chain(left_out).collect()
}

/// Every configured port of a component that runs is one that somebody listens on, and it is that component.
fn configured_ports(loaded: &Loaded, status: &InstanceStatus) -> Vec<Check> {
    let listening = ports::listening();
    let mut checks = Vec::new();
    for component in loaded.instance.launched() {
        let port = component.settings.get("port").and_then(tender_config::node::Node::integer);
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0) else { continue };
        let what = format!("port {port} of {}", component.name);
        let own = status.components.iter().find(|one| one.name == component.name);
        checks.push(match listening.get(&port) {
            _ if own.is_some_and(|own| own.ports.contains(&port)) => Check::passed(what, "listening"),
            None => Check::failed(what, "nobody listens"),
            Some(inodes) => Check::failed(what, format!("{} listens", ports::owner(inodes))),
        });
    }
    checks
}

fn definitions(loaded: &Loaded) -> Vec<Check> {
    let Ok(layout) = loaded.layout() else { return Vec::new() };
    let enabled = loaded.instance.components.iter().filter(|component| component.is_enabled);
    let files = enabled.flat_map(|component| {
        component.manifest.static_definitions.iter().map(|file| (component.name.clone(), file.clone()))
    });
    files
        .map(|(component, file)| {
            let name = api_definition::file_name(&component, &file.display().to_string(), &layout.ha_id);
            let path = layout.api_defs().join(name);
            let what = format!("API definition of {component}");
            match fs::read_to_string(&path).map_err(|error| error.to_string()).and_then(|text| api_definition::check(&text)) {
                Ok(()) => Check::passed(what, path.display().to_string()),
                Err(reason) => Check::failed(what, format!("{}: {reason}", path.display())),
            }
        })
        .collect()
}

fn writable(directory: &Path) -> Result<(), String> {
    let tried = tempfile::Builder::new().prefix(".tender-check-").tempfile_in(directory);
    tried.map(drop).map_err(|error| format!("`{}` cannot be written: {error}", directory.display()))
}

fn certificates(loaded: &Loaded) -> Vec<Check> {
    let Some(certificate) = loaded.instance.certificate() else {
        return vec![Check::skipped("certificates", "zowe.certificate is not configured")];
    };
    let certificate = match crate::prepare::certificate_of(&certificate) {
        Ok(certificate) => certificate,
        Err(reason) => return vec![Check::failed("certificates", reason)],
    };
    let mut hosts = loaded.instance.external_domains();
    hosts.push(loaded.instance.hostname.clone());
    hosts.sort();
    hosts.dedup();
    let checks = tender_certificate::verify(&VerifyRequest {
        certificate: &certificate,
        host_names: &hosts,
        now: Timestamp::now(),
        warn_days: EXPIRY_WARNING_DAYS,
    });
    let lines = checks.into_iter().map(|check| {
        let what = format!("certificate: {}", check.what);
        let found = format!("{}: {}", check.subject, check.text);
        match check.status {
            CheckStatus::Passed => Check::passed(what, found),
            CheckStatus::Warning => Check::warned(what, found),
            CheckStatus::Failed => Check::failed(what, found),
            CheckStatus::Skipped => Check::skipped(what, found),
        }
    });
    lines.collect()
}

/// Compares the product with the reference it brings: `fingerprint/RefRuntimeHash-<version>.txt`, lines `path hash`.
fn product(loaded: &Loaded) -> Check {
    let what = "product as it was shipped";
    let Some(runtime) = loaded.instance.runtime_directory() else {
        return Check::failed(what, "zowe.runtimeDirectory is not configured");
    };
    let Some(reference) = reference(&runtime, loaded.configuration.product_version()) else {
        return Check::skipped(what, "the product brings no fingerprint of its files");
    };
    match differences(&runtime, &reference) {
        Err(reason) => Check::failed(what, reason),
        Ok(differences) if differences.is_empty() => Check::passed(what, reference.display().to_string()),
        Ok(differences) => {
            let named = differences.iter().take(DIFFERENCES_NAMED).cloned().collect::<Vec<_>>().join(", ");
            Check::failed(what, format!("{} differences: {named}", differences.len()))
        }
    }
}

fn reference(runtime: &Path, version: Option<&str>) -> Option<PathBuf> {
    let directory = runtime.join("fingerprint");
    let exact = version.map(|version| directory.join(format!("RefRuntimeHash-{version}.txt")));
    exact.filter(|path| path.is_file()).or_else(|| {
        let entries = fs::read_dir(&directory).ok()?.flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
        found.sort();
        found.pop()
    })
}

fn differences(runtime: &Path, reference: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(reference).map_err(|error| format!("{}: {error}", reference.display()))?;
    let mut expected = BTreeSet::new();
    let mut differences = Vec::new();
    for line in text.lines() {
        let Some((path, hash)) = line.trim().rsplit_once(' ') else { continue };
        let path = path.trim().trim_start_matches("./");
        expected.insert(path.to_owned());
        match sha256(&runtime.join(path)) {
            Ok(found) if found.eq_ignore_ascii_case(hash) => {}
            Ok(_) => differences.push(format!("{path} is different")),
            Err(_) => differences.push(format!("{path} is missing")),
        }
    }
    let mut found = Vec::new();
    list(runtime, "", &mut found).map_err(|error| chain(&error))?;
    differences.extend(found.into_iter().filter(|path| !expected.contains(path)).map(|path| format!("{path} is extra")));
    Ok(differences)
}

fn list(directory: &Path, prefix: &str, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        // These are not part of the comparison.
        if prefix.is_empty() && (name == "fingerprint" || name == "SMPE" || name.starts_with("ZWE")) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), found)?;
        } else {
            found.push(name);
        }
    }
    Ok(())
}

/// Returns the SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => context.update(&buffer[..count]),
        }
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_with_changed_missing_and_extra_files_names_them() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("fingerprint")).unwrap();
        for name in ["same", "changed", "gone"] {
            fs::write(root.join(name), name).unwrap();
        }
        let lines: Vec<String> =
            ["same", "changed", "gone"].iter().map(|name| format!("./{name} {}", sha256(&root.join(name)).unwrap())).collect();
        let reference = root.join("fingerprint/RefRuntimeHash-1.txt");
        fs::write(&reference, lines.join("\n")).unwrap();
        assert_eq!(differences(root, &reference).unwrap(), Vec::<String>::new());
        fs::write(root.join("changed"), "x").unwrap();
        fs::remove_file(root.join("gone")).unwrap();
        fs::write(root.join("more"), "").unwrap();
        let expected = ["changed is different", "gone is missing", "more is extra"].map(str::to_owned);
        assert_eq!(differences(root, &reference).unwrap(), expected);
        assert_eq!(super::reference(root, Some("9")), Some(reference));
    }
}
