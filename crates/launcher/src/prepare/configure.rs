//! Configuring one component: what its manifest has registered, then its own script.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tender_config::manifest::Phase as Hook;

use super::run::{Failure, Ran, Surroundings, run};
use super::subject::Subject;
use crate::layout::{Layout, create_dir, remove_file, write_generated};
use crate::message::chain;
use crate::register::plugin::FramePlugin;
use crate::register::{api_definition, plugin, shared_library};
use crate::script::{Exports, exports};

/// What configuring a component left.
#[derive(Debug, Default)]
pub(crate) struct Configured {
    /// Variables for its start.
    pub(crate) exports: BTreeMap<String, String>,
    /// API definitions it has now.
    pub(crate) definitions: Vec<PathBuf>,
    /// What its scripts printed.
    pub(crate) output: Vec<String>,
    /// There was something to do.
    pub(crate) is_run: bool,
    /// Things to look at that do not stop it.
    pub(crate) notices: Vec<String>,
}

/// Configures a component; what was done until a failure is in `configured`.
pub(crate) fn configure(
    subject: &Subject,
    layout: &Layout,
    runtime: &Path,
    surroundings: &Surroundings,
    configured: &mut Configured,
) -> Result<(), Failure> {
    let failed = |error: &dyn std::error::Error| Failure::because(chain(error));
    let directory = layout.component_env(&subject.name);
    create_dir(&directory, 0o700).map_err(|error| failed(&error))?;
    copy_manifest(subject, &directory)?;
    // Its exports are dropped; its failure counts, as every script's does.
    let before = run(subject, Hook::PreConfigure, Exports::Dropped, surroundings)?;
    configured.is_run |= before.is_run;
    configured.output.extend(before.output);
    let mut pending = Vec::new();
    for file in &subject.manifest.static_definitions {
        configured.is_run = true;
        let (path, unfinished) = define(subject, layout, file, &mut configured.notices)?;
        configured.definitions.push(path);
        pending.extend(unfinished);
    }
    // Whatever fails, no unfinished definition stays.
    let ran = register(subject, layout, runtime)
        .and_then(|()| run(subject, Hook::Configure, Exports::Kept, surroundings));
    let finished = pending.into_iter().map(Unfinished::settle).fold(Ok(()), Result::and);
    let ran = ran?;
    finished?;
    configured.is_run |= ran.is_run;
    configured.exports = exports_of(subject, &ran)?;
    configured.output.extend(ran.output);
    Ok(())
}

fn exports_of(subject: &Subject, ran: &Ran) -> Result<BTreeMap<String, String>, Failure> {
    if !ran.is_run {
        return Ok(BTreeMap::new());
    }
    let is_shell = subject
        .manifest
        .script(&subject.root, Hook::Configure)
        .and_then(|script| {
            crate::script::Script::find(&subject.root, script.path.strip_prefix(&subject.root).ok()?).ok()
        })
        .is_some_and(|script| matches!(script.interpreter, crate::script::Interpreter::Shell(_)));
    if ran.third.is_empty() && is_shell {
        return Err(Failure {
            reason: "the exports of configure could not be read: the script has its own trap of EXIT"
                .to_owned(),
            output: ran.output.clone(),
        });
    }
    Ok(exports::exported(|name| subject.environment.get(name), exports::parse(&ran.third)))
}

fn copy_manifest(subject: &Subject, directory: &Path) -> Result<(), Failure> {
    let file = &subject.manifest.file;
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::because(format!("read `{}`: {error}", file.display())))?;
    let name = file.file_name().unwrap_or_default();
    write_generated(&directory.join(name), &bytes, 0o600)
        .map(drop)
        .map_err(|error| Failure::because(chain(&error)))
}

/// A definition with something wrong in it, put in place for the component's own configure script to mend.
///
/// The discovery service of the reference does that: its template holds `%WORDS%` that its script replaces.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
    /// What was there before.
    before: Option<Vec<u8>>,
    /// What is wrong.
    reason: String,
}

impl Unfinished {
    /// Keeps the definition when it is mended by now; else what was there before comes back.
    fn settle(self) -> Result<(), Failure> {
        let text = std::fs::read_to_string(&self.path);
        if text.is_ok_and(|text| api_definition::check(&text).is_ok()) {
            return Ok(());
        }
        let restored = match &self.before {
            Some(bytes) => write_generated(&self.path, bytes, 0o660).map(drop),
            None => remove_file(&self.path),
        };
        restored.map_err(|error| Failure::because(chain(&error)))?;
        Err(Failure::because(self.reason))
    }
}

/// Renders, checks and places one static API definition.
fn define(
    subject: &Subject,
    layout: &Layout,
    file: &Path,
    notices: &mut Vec<String>,
) -> Result<(PathBuf, Option<Unfinished>), Failure> {
    let path = subject.root.join(file);
    let wrong = |reason: String| Failure::because(format!("API definition `{}`: {reason}", file.display()));
    if file.is_absolute() || file.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(wrong("its path leads out of the component".to_owned()));
    }
    let template = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let expanded = tender_config::template::expand(&template, &subject.variables);
    let expanded = expanded.map_err(|error| wrong(chain(&error)))?;
    notices.extend(expanded.notices.iter().map(|notice| {
        format!("API definition `{}`, line {}: {}", file.display(), notice.line, notice.message)
    }));
    let found = api_definition::check(&expanded.text).map_err(wrong);
    let name = file.display().to_string();
    let unfinished = match found {
        Ok(()) => None,
        Err(failure) if subject.manifest.script(&subject.root, Hook::Configure).is_none() => {
            return Err(failure);
        }
        Err(failure) => {
            let path = layout.api_defs().join(api_definition::file_name(&subject.name, &name, &layout.ha_id));
            Some(Unfinished { before: std::fs::read(&path).ok(), path, reason: failure.reason })
        }
    };
    let path = api_definition::place(layout, &subject.name, &name, &expanded.text)
        .map_err(|error| Failure::because(chain(&error)))?;
    Ok((path, unfinished))
}

/// Puts shared libraries and plugin pointers in place.
fn register(subject: &Subject, layout: &Layout, runtime: &Path) -> Result<(), Failure> {
    let manifest = &subject.manifest;
    let frames = frames(subject)?;
    let texts = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    let libraries = [
        ("gateway", &manifest.gateway_shared_libs),
        ("discovery", &manifest.discovery_shared_libs),
        ("zaas", &manifest.zaas_shared_libs),
    ];
    let _turn = layout.take_turn().map_err(|error| Failure::because(chain(&error)))?;
    for (kind, listed) in libraries {
        let component = (subject.name.as_str(), subject.root.as_path(), manifest.file.as_path());
        shared_library::place(layout, kind, component, &texts(listed))
            .map_err(|error| Failure::because(chain(&error)))?;
    }
    let component = (subject.name.as_str(), subject.root.as_path(), runtime);
    plugin::place(layout, component, &texts(&manifest.appfw_plugins), &frames)
        .map(drop)
        .map_err(|error| Failure::because(chain(&error)))
}

/// Fills in the defaults of pages in frames.
fn frames(subject: &Subject) -> Result<Vec<FramePlugin>, Failure> {
    let manifest = &subject.manifest;
    let variable = |name: &str| subject.environment.get(name).unwrap_or_default().to_owned();
    let host = [
        variable("ZOWE_EXPLORER_HOST"),
        variable("ZWE_zowe_externalDomains_0"),
        variable("ZWE_haInstance_hostname"),
    ]
    .into_iter()
    .find(|host| !host.is_empty())
    .unwrap_or_else(|| "localhost".to_owned());
    let port = [
        variable("GATEWAY_PORT"),
        variable("ZWE_zowe_externalPort"),
        variable("ZWE_components_gateway_port"),
    ]
    .into_iter()
    .find(|port| !port.is_empty())
    .unwrap_or_else(|| "7554".to_owned());
    let gateway = format!("https://{host}:{port}");
    let base = subject.settings.get("baseUri").and_then(|uri| uri.as_str()).unwrap_or_default();
    manifest
        .desktop_iframe_plugins
        .iter()
        .map(|frame| {
            let id = frame.id.clone().or_else(|| manifest.id.clone());
            let id =
                id.ok_or_else(|| Failure::because("a desktop plugin has no id, and the manifest has none"))?;
            let url = match &frame.url {
                Some(url) if url.starts_with('/') => format!("{gateway}{url}"),
                Some(url) => url.clone(),
                None => format!("{gateway}{base}"),
            };
            Ok(FramePlugin {
                title: frame.title.clone().or_else(|| manifest.title.clone()).unwrap_or_else(|| id.clone()),
                version: frame
                    .version
                    .clone()
                    .or_else(|| manifest.version.clone())
                    .unwrap_or_else(|| "1.0.0".to_owned()),
                icon: subject.root.join(&frame.icon),
                id,
                url,
            })
        })
        .collect()
}
