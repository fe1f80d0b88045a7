//! The verbs that change components.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tender_config::manifest::{self, Manifest};
use tender_config::problem::{Report, Severity};
use tender_config::{edit, environment};
use tender_supervisor::script::{self, ScriptSpec};

use super::source::{self, SourceError};
use super::transaction::{Enabling, Extensions, Recovered, TransactionError};
use super::{Change, ComponentError, InstallRequest};
use crate::instance::{Instance, InstanceError, Loaded};
use crate::layout::create_dir;
use crate::library;
use crate::message::chain;
use crate::script::{Exports, Script};

/// Output of an install command that is kept, in bytes.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Installs a component that is not there yet.
pub fn install(instance: &Instance, request: &InstallRequest) -> Result<Change, ComponentError> {
    put(instance, request, Verb::Install)
}

/// Puts another version in the place of an installed component.
pub fn upgrade(instance: &Instance, request: &InstallRequest) -> Result<Change, ComponentError> {
    put(instance, request, Verb::Upgrade)
}

/// Disables a component and removes it.
pub fn uninstall(instance: &Instance, name: &str, is_check: bool) -> Result<Change, ComponentError> {
    let loaded = instance.load()?;
    let found = loaded.instance.component(name).ok_or_else(|| not_installed(&loaded, name))?;
    if found.is_core {
        return Err(ComponentError::Core { name: name.to_owned() });
    }
    let requires_it = |other: &&tender_config::instance::Component| {
        let extension = loaded.instance.extension(other).unwrap_or_default();
        other.is_enabled && other.name != name && extension.requires.iter().any(|wanted| wanted == name)
    };
    let by: Vec<String> =
        loaded.instance.components.iter().filter(requires_it).map(|other| other.name.clone()).collect();
    if !by.is_empty() {
        return Err(ComponentError::Required { name: name.to_owned(), by });
    }
    let mut change = Change {
        name: name.to_owned(),
        place: found.root.clone(),
        from_version: found.manifest.version.clone(),
        ..Change::default()
    };
    let directory = extension_directory(&loaded)?;
    let keys = enabled_keys(&loaded, name);
    for key in &keys {
        change.steps.push(format!("set {key} to false"));
    }
    change.steps.push(format!("remove {}", found.root.display()));
    if is_check {
        return Ok(change);
    }
    let (extensions, recovered) = Extensions::open(&directory)?;
    settle(recovered, &mut change)?;
    for key in keys {
        let file = file_of(instance, &loaded, &key)?;
        edit::set(&file, &key, &edit::Scalar::Bool(false))?;
    }
    extensions.remove(name)?;
    Ok(change)
}

/// Enables a component, for all or for one HA instance.
pub fn enable(
    instance: &Instance,
    name: &str,
    ha_id: Option<&str>,
    is_check: bool,
) -> Result<Change, ComponentError> {
    switch(instance, name, ha_id, is_check, true)
}

/// Disables a component, for all or for one HA instance.
pub fn disable(
    instance: &Instance,
    name: &str,
    ha_id: Option<&str>,
    is_check: bool,
) -> Result<Change, ComponentError> {
    switch(instance, name, ha_id, is_check, false)
}

fn switch(
    instance: &Instance,
    name: &str,
    ha_id: Option<&str>,
    is_check: bool,
    to: bool,
) -> Result<Change, ComponentError> {
    let loaded = match ha_id {
        // An unknown id is refused with those there are.
        Some(id) => {
            let id = tender_config::ha::sanitise(id);
            let loaded = instance.pinned(&id).load()?;
            // Where there are none, any id is accepted: a key for it would be an HA instance without a host.
            if loaded.configuration.instance_ids().is_empty() {
                return Err(InstanceError::UnknownHa { id, known: Vec::new() }.into());
            }
            loaded
        }
        None => instance.load()?,
    };
    let found = loaded.instance.component(name).ok_or_else(|| not_installed(&loaded, name))?;
    let key = match ha_id {
        Some(id) => format!("haInstances.{}.components.{name}.enabled", ha_key(&loaded, id)),
        None => format!("components.{name}.enabled"),
    };
    let mut change = Change {
        name: name.to_owned(),
        place: found.root.clone(),
        from_version: found.manifest.version.clone(),
        to_version: found.manifest.version.clone(),
        ..Change::default()
    };
    let file = file_of(instance, &loaded, &key)?;
    let is_so = loaded.configuration.get(&key).ok().flatten().and_then(tender_config::node::Node::boolean);
    if is_so == Some(to) {
        change.warnings.push(format!("{key} is {to} already"));
        return Ok(change);
    }
    change.steps.push(format!("set {key} to {to} in {}", file.display()));
    if !is_check {
        edit::set(&file, &key, &edit::Scalar::Bool(to))?;
    }
    Ok(change)
}

/// Returns the HA instance's key as the configuration writes it.
fn ha_key(loaded: &Loaded, id: &str) -> String {
    let wanted = tender_config::ha::sanitise(id);
    let instances =
        loaded.configuration.root().get("haInstances").and_then(tender_config::node::Node::mapping);
    let written = instances.and_then(|instances| {
        instances.keys().find(|key| tender_config::ha::sanitise(key) == wanted).map(str::to_owned)
    });
    written.unwrap_or(wanted)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Install,
    Upgrade,
}

fn put(instance: &Instance, request: &InstallRequest, verb: Verb) -> Result<Change, ComponentError> {
    let loaded = instance.load()?;
    let directory = extension_directory(&loaded)?;
    check_sha256(request)?;
    if request.is_check {
        let work = tempfile::tempdir()
            .map_err(|error| io_failed("create a directory in", &std::env::temp_dir(), error))?;
        let (_, new) = stage(request, work.path())?;
        return planned(&loaded, request, verb, &directory, &new);
    }
    create_dir(&directory, 0o775).map_err(TransactionError::from)?;
    let (extensions, recovered) = Extensions::open(&directory)?;
    let (staged, new) = stage(request, &extensions.work())?;
    // What was finished or undone just now may have changed what is installed.
    let loaded = if recovered.is_some() { instance.load()? } else { loaded };
    let mut change = planned(&loaded, request, verb, &directory, &new)?;
    settle(recovered, &mut change)?;
    let enabling = enabling(instance, &loaded, request, verb, &new.name)?;
    let mut output = Vec::new();
    extensions.replace(
        &new.name,
        &staged,
        enabling,
        |place| {
            output = run_hook(instance, &new, place, request.script_limit_ms)?;
            Ok(())
        },
        apply,
    )?;
    change.output = output;
    Ok(change)
}

fn apply(enabling: &Enabling) -> Result<(), ComponentError> {
    Ok(edit::set(&enabling.file, &enabling.key, &edit::Scalar::Bool(enabling.is_enabled))?)
}

/// Does what is left of a change that was killed, and says so.
fn settle(recovered: Option<Recovered>, change: &mut Change) -> Result<(), ComponentError> {
    let Some(recovered) = recovered else { return Ok(()) };
    let what = if recovered.is_finished { "finished" } else { "undone" };
    change
        .warnings
        .push(format!("an earlier change of component {}, which was killed, is {what}", recovered.name));
    if let Some(enabling) = recovered.enabling.filter(|_| !recovered.is_finished) {
        // The switch comes last before the point of no return: it may have been made or not.
        apply(&Enabling { is_enabled: enabling.was_enabled, ..enabling })?;
    }
    Ok(())
}

/// Decides whether the change may be made, and lists its steps.
fn planned(
    loaded: &Loaded,
    request: &InstallRequest,
    verb: Verb,
    directory: &Path,
    new: &Manifest,
) -> Result<Change, ComponentError> {
    let name = new.name.clone();
    let before = loaded.instance.component(&name);
    match (verb, before) {
        (_, Some(found)) if found.is_core => return Err(ComponentError::Core { name }),
        (Verb::Install, Some(_)) => return Err(ComponentError::Installed { name }),
        (Verb::Upgrade, None) => return Err(not_installed(loaded, &name)),
        _ => {}
    }
    let is_there = |wanted: &str| wanted == name || loaded.instance.component(wanted).is_some();
    let requires = new.extension().unwrap_or_default().requires;
    let missing: Vec<String> = requires.into_iter().filter(|wanted| !is_there(wanted)).collect();
    if !missing.is_empty() {
        return Err(ComponentError::Requires { name, missing });
    }
    let place = directory.join(&name);
    let how = if request.is_link { "link" } else { "copy" };
    let mut steps = vec![format!("{how} {} to {}", request.source.display(), place.display())];
    if let Some(command) = &new.commands.install {
        steps.push(format!("run {}", command.display()));
    }
    if verb == Verb::Install && request.is_enabled {
        steps.push(format!("set components.{name}.enabled to true"));
    }
    Ok(Change {
        name,
        place,
        from_version: before.and_then(|found| found.manifest.version.clone()),
        to_version: new.version.clone(),
        steps,
        ..Change::default()
    })
}

fn extension_directory(loaded: &Loaded) -> Result<PathBuf, ComponentError> {
    let directory = loaded.instance.extension_directory().filter(|path| path.parent().is_some());
    directory.ok_or(ComponentError::NoExtensions)
}

fn not_installed(loaded: &Loaded, name: &str) -> ComponentError {
    let known = loaded.instance.components.iter().map(|component| component.name.clone()).collect();
    ComponentError::NotInstalled { name: name.to_owned(), known }
}

/// Makes the component in the work directory, under its own name, and reads its manifest.
fn stage(request: &InstallRequest, work: &Path) -> Result<(PathBuf, Manifest), ComponentError> {
    let source =
        std::path::absolute(&request.source).map_err(|error| io_failed("look at", &request.source, error))?;
    let first = work.join("staged");
    if request.is_link {
        if !source.is_dir() {
            return Err(ComponentError::Link { path: source });
        }
        symlink(&source, &first).map_err(|error| io_failed("make link", &first, error))?;
    } else {
        source::copy(&source, work, &first)?;
    }
    let no_manifest = || SourceError::NoManifest { path: source.clone() };
    let file = manifest::find(&first).ok_or_else(no_manifest)?;
    let name = usable(&file)?.name;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 64
        && !["staged", "objects", "uncompressed"].contains(&name.as_str());
    if !is_name {
        return Err(ComponentError::Name { name });
    }
    let staged = work.join(&name);
    fs::rename(&first, &staged).map_err(|error| io_failed("rename", &first, error))?;
    let file = manifest::find(&staged).ok_or_else(no_manifest)?;
    Ok((staged, usable(&file)?))
}

/// Reads a manifest that must be without errors.
fn usable(file: &Path) -> Result<Manifest, ComponentError> {
    let loaded = manifest::load(file).map_err(|error| io_failed("read", file, io::Error::other(error)))?;
    let has_error = loaded.problems.iter().any(|problem| problem.severity == Severity::Error);
    match loaded.manifest {
        Some(manifest) if !has_error => Ok(manifest),
        _ => Err(ComponentError::Manifest { report: Box::new(Report::of(loaded.problems)) }),
    }
}

fn io_failed(step: &'static str, path: &Path, source: io::Error) -> ComponentError {
    SourceError::Io { step, path: path.to_owned(), source }.into()
}

/// Runs `commands.install` in the component's place, with its environment.
fn run_hook(
    instance: &Instance,
    new: &Manifest,
    place: &Path,
    limit_ms: u64,
) -> Result<Vec<String>, ComponentError> {
    let Some(command) = &new.commands.install else { return Ok(Vec::new()) };
    let failed =
        |reason: String, output: Vec<String>| ComponentError::Hook { name: new.name.clone(), reason, output };
    let script = Script::find(place, command).map_err(|error| failed(chain(&error), Vec::new()))?;
    let loaded = instance.load()?;
    let environment = environment::component(&loaded.instance, &new.name);
    let environment = environment.and_then(|environment| environment.resolve());
    let mut variables: BTreeMap<String, String> =
        environment.map_err(|error| failed(chain(&error), Vec::new()))?.into_map();
    crate::prepare::add_base(&mut variables);
    let private = tempfile::tempdir()
        .map_err(|error| io_failed("create a directory in", &std::env::temp_dir(), error))?;
    let prelude = library::install(private.path())?;
    let result = script::run(&ScriptSpec {
        command: script.phase_command(&prelude, Exports::Dropped),
        directory: place.to_owned(),
        environment: variables,
        limit_ms,
        output_bytes_max: OUTPUT_BYTES_MAX,
        takes_third: false,
    });
    let result = result.map_err(|error| failed(chain(&error), Vec::new()))?;
    if result.end.is_success() {
        Ok(result.output)
    } else {
        Err(failed(result.end.to_string(), result.output))
    }
}

/// Returns the switch that belongs to the change.
fn enabling(
    instance: &Instance,
    loaded: &Loaded,
    request: &InstallRequest,
    verb: Verb,
    name: &str,
) -> Result<Option<Enabling>, ComponentError> {
    if verb == Verb::Upgrade || !request.is_enabled {
        return Ok(None);
    }
    let key = format!("components.{name}.enabled");
    let was_enabled =
        loaded.configuration.get(&key).ok().flatten().and_then(tender_config::node::Node::boolean);
    let file = file_of(instance, loaded, &key)?;
    Ok(Some(Enabling { file, key, is_enabled: true, was_enabled: was_enabled.unwrap_or(false) }))
}

/// Returns every key that enables a component now.
fn enabled_keys(loaded: &Loaded, name: &str) -> Vec<String> {
    let mut keys = vec![format!("components.{name}.enabled")];
    let ids = loaded.configuration.instance_ids();
    keys.extend(ids.iter().map(|id| format!("haInstances.{}.components.{name}.enabled", ha_key(loaded, id))));
    let is_true = |key: &String| {
        let node = loaded.configuration.get(key).ok().flatten();
        node.and_then(tender_config::node::Node::boolean) == Some(true)
    };
    keys.retain(is_true);
    keys
}

/// Returns the file to write a key into: the one that has it, else the instance's own.
fn file_of(instance: &Instance, loaded: &Loaded, key: &str) -> Result<PathBuf, ComponentError> {
    if loaded.configuration.is_version_1() && instance.directory().join("instance.env").is_file() {
        return Err(ComponentError::Version1 { path: instance.directory().join("instance.env") });
    }
    let files: Vec<PathBuf> = instance
        .config()
        .paths()
        .iter()
        .map(|path| if path.is_dir() { path.join("zowe.yaml") } else { path.clone() })
        .collect();
    let explained = loaded.configuration.explain(key).ok();
    let setting = explained.and_then(|explained| explained.settings.into_iter().next());
    let has_it = setting.map(|setting| setting.origin.file.to_path_buf());
    let own = files.last().expect("a configuration path has a file").clone();
    Ok(has_it.filter(|file| files.contains(file)).unwrap_or(own))
}

fn check_sha256(request: &InstallRequest) -> Result<(), ComponentError> {
    let Some(expected) = &request.sha256 else { return Ok(()) };
    let path = &request.source;
    let found = crate::verify::sha256(path).map_err(|error| io_failed("read", path, error))?;
    if found.eq_ignore_ascii_case(expected.trim()) {
        return Ok(());
    }
    Err(SourceError::Checksum { path: path.clone(), expected: expected.clone(), found }.into())
}
