//! Whether an installed component is what it should be.

use std::path::Path;

use tender_config::manifest::Phase as Hook;
use tender_config::problem::Severity;
use tender_supervisor::console::State;

use crate::check::Check;
use crate::component::ComponentError;
use crate::instance::Instance;
use crate::register::api_definition;
use crate::script::Script;

/// Checks one component: manifest, scripts, files it names, and its state when the instance runs.
pub fn verify(instance: &Instance, name: &str) -> Result<Vec<Check>, ComponentError> {
    let loaded = instance.load()?;
    let Some(component) = loaded.instance.component(name) else {
        let known = loaded.instance.components.iter().map(|component| component.name.clone()).collect();
        return Err(ComponentError::NotInstalled { name: name.to_owned(), known });
    };
    let manifest = &component.manifest;
    let problems = loaded.report.problems.iter().filter(|problem| {
        let is_ours = problem.origin.as_ref().is_some_and(|origin| origin.file.starts_with(&component.root));
        is_ours || problem.path.starts_with(&format!("components.{name}."))
    });
    let mut checks: Vec<Check> = problems
        .map(|problem| match problem.severity {
            Severity::Error => Check::failed("manifest and settings", problem.to_string()),
            _ => Check::warned("manifest and settings", problem.to_string()),
        })
        .collect();
    if checks.is_empty() {
        checks.push(Check::passed("manifest and settings", "no problem"));
    }
    for (hook, word) in [
        (Hook::Install, "install"),
        (Hook::PreConfigure, "preConfigure"),
        (Hook::Validate, "validate"),
        (Hook::Configure, "configure"),
        (Hook::Start, "start"),
    ] {
        let Some(script) = manifest.script(&component.root, hook) else { continue };
        let what = format!("script {word}");
        let relative = script.path.strip_prefix(&component.root).unwrap_or(Path::new(""));
        checks.push(match Script::find(&component.root, relative) {
            Ok(_) => Check::passed(what, relative.display().to_string()),
            Err(error) => Check::failed(what, crate::message::chain(&error)),
        });
    }
    let listed = [
        ("shared library", &manifest.gateway_shared_libs),
        ("shared library", &manifest.discovery_shared_libs),
        ("shared library", &manifest.zaas_shared_libs),
        ("desktop plugin", &manifest.appfw_plugins),
        ("API definition", &manifest.static_definitions),
    ];
    for (what, files) in listed {
        checks.extend(files.iter().map(|file| match component.root.join(file).exists() {
            true => Check::passed(what, file.display().to_string()),
            false => Check::failed(what, format!("{} is not there", file.display())),
        }));
    }
    if component.is_enabled {
        checks.extend(running(instance, &loaded, name));
    }
    Ok(checks)
}

/// Looks at the component in the running instance.
fn running(instance: &Instance, loaded: &crate::instance::Loaded, name: &str) -> Vec<Check> {
    let Ok(layout) = loaded.layout() else { return Vec::new() };
    let Some(component) = loaded.instance.component(name) else { return Vec::new() };
    let mut checks = Vec::new();
    match crate::launch::status(instance.directory(), &layout.ha_id) {
        None => checks.push(Check::skipped("state", "the instance does not run")),
        Some(status) => {
            let state = status.components.iter().find(|one| one.name == name);
            checks.push(match state {
                Some(one) if one.state == State::Ready => Check::passed("state", "READY"),
                Some(one) => Check::failed("state", format!("{:?}", one.state).to_uppercase()),
                None if !component.is_launched() => Check::skipped("state", "it has nothing to start"),
                None => Check::failed("state", "it is not in the running instance; reload"),
            });
            checks.extend(component.manifest.static_definitions.iter().map(|file| {
                let file = file.display().to_string();
                let path = layout.api_defs().join(api_definition::file_name(name, &file, &layout.ha_id));
                match path.exists() {
                    true => Check::passed("API definition in place", path.display().to_string()),
                    false => Check::failed("API definition in place", format!("{} is not there", path.display())),
                }
            }));
        }
    }
    checks
}
