//! Which components are installed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::key_path::KeyPath;
use crate::load::Source;
use crate::manifest::{self, Manifest};
use crate::node::{Mapping, Node, Value};
use crate::origin::{Layer, Origin};
use crate::problem::{Problem, Severity};
use crate::schema::{self, Schema};

/// A component that is installed.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Its name: that of its directory.
    pub name: String,
    /// Its directory.
    pub root: PathBuf,
    /// Whether it belongs to the product, and not to an extension.
    pub is_core: bool,
    /// What it says of itself; defaults when the manifest cannot be used.
    pub manifest: Arc<Manifest>,
    /// Whether its manifest can be used.
    pub is_usable: bool,
    /// The schema of its settings, when it brings one.
    pub(crate) schema: Option<Arc<Schema>>,
    /// What is wrong with its manifest.
    pub(crate) problems: Vec<Problem>,
}

/// Lists what is installed: `<runtime>/components/*`, `<runtime>/*`, `<extensions>/*`, each in order of names.
pub(super) fn discover(
    runtime: Option<&Path>,
    extensions: &Option<PathBuf>,
    problems: &mut Vec<Problem>,
) -> Vec<Installed> {
    let mut installed: Vec<Installed> = Vec::new();
    let places = [
        (runtime.map(|runtime| runtime.join("components")), true),
        (runtime.map(Path::to_owned), true),
        (extensions.clone(), false),
    ];
    for (directory, is_core) in places {
        let Some(directory) = directory else { continue };
        for root in directories(&directory) {
            let Some(file) = manifest::find(&root) else { continue };
            let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(first) = installed.iter().find(|one| one.name == name) {
                let message = format!(
                    "component {name} is installed twice; the one in `{}` counts",
                    first.root.display()
                );
                problems.push(Problem::warning(message).at(&Origin::of_file(&file)));
                continue;
            }
            installed.push(read(name, root, is_core, &file));
        }
    }
    installed
}

/// Lists directories, also behind links, in order of their names; hidden ones are left out.
fn directories(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

fn read(name: String, root: PathBuf, is_core: bool, file: &Path) -> Installed {
    let (manifest, problems) = match manifest::load(file) {
        Ok(loaded) => (loaded.manifest, loaded.problems),
        Err(fault) => {
            let cause =
                std::error::Error::source(&fault).map(|cause| format!(": {cause}")).unwrap_or_default();
            let problem =
                Problem::error(format!("the manifest cannot be used: {fault}{cause}")).id("ZWEL0132E");
            (None, vec![problem.at(&Origin::of_file(file))])
        }
    };
    let has_errors = problems.iter().any(|problem| problem.severity == Severity::Error);
    let is_usable = manifest.is_some() && !has_errors;
    let unnamed = || Manifest { name: name.clone(), file: file.to_owned(), ..Manifest::default() };
    let manifest = Arc::new(manifest.unwrap_or_else(unnamed));
    Installed { name, root, is_core, manifest, is_usable, schema: None, problems }
}

/// Makes a text of what manifests say under `configs`.
pub(super) fn defaults_of(installed: &[Installed]) -> Source {
    let origin = Origin { layer: Layer::Manifest, ..Origin::of_file(Path::new("component manifests")) };
    let mut root = Node::new(Value::Mapping(Mapping::default()), origin);
    for component in installed {
        if let Some(configs) = &component.manifest.configs {
            root.set(&["components", &component.name], configs.clone());
        }
    }
    Source { root }
}

/// Reads the schemas of components that are configured; one that cannot be used is an error when validation is strict.
pub(super) fn read_schemas(installed: &mut [Installed], root: &Node, problems: &mut Vec<Problem>) {
    let is_strict = root.below(&["zowe", "configmgr", "validation"]).and_then(Node::text) == Some("STRICT");
    for component in installed {
        let manifest = &component.manifest;
        if manifest.config_schemas.is_empty() || root.below(&["components", &component.name]).is_none() {
            continue;
        }
        match Schema::of_component(&component.name, &component.root, &manifest.config_schemas) {
            Ok(schema) => component.schema = schema.map(Arc::new),
            Err(fault) => {
                let mut problem = schema::unusable(&fault, &manifest::origin(manifest), &component.name);
                if !is_strict {
                    problem.severity = Severity::Warning;
                }
                problems.push(problem);
            }
        }
    }
}

/// Names the place of a component in a configuration.
pub(super) fn place(component: &str) -> KeyPath {
    KeyPath::of(&["components", component])
}
