//! Component manifests, versions 1 to 3.

mod extension;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::node::Node;
use crate::origin::{Layer, Origin};
use crate::problem::{Problem, Severity};
use crate::schema::{self, Schema};
use crate::yaml::{self, ReadError};

pub use extension::{
    Extension, ExtensionError, FailurePolicy, Health, Limits, Probe, Readiness, RestartMode, RestartPolicy,
    Stop,
};

/// Names a manifest can have, in the order they are looked for.
pub const FILE_NAMES: [&str; 3] = ["manifest.yaml", "manifest.yml", "manifest.json"];

/// Keys that say something to people; nothing is done with them.
const DESCRIPTIVE: [&str; 11] = [
    "id",
    "version",
    "title",
    "description",
    "license",
    "homepage",
    "keywords",
    "repository",
    "build",
    "autoEncoding",
    "dependencies",
];

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Manifest {
    /// Short name; the name of its directory.
    pub name: String,
    /// Name such as `org.example.server`.
    pub id: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Title for people.
    pub title: Option<String>,
    /// Description for people.
    pub description: Option<String>,
    /// Licence.
    pub license: Option<String>,
    /// Page on the web.
    pub homepage: Option<String>,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Where its source is.
    pub repository: Option<Repository>,
    /// What it was built from.
    pub build: Option<Build>,
    /// Schemas of its configuration, relative to the component.
    pub config_schemas: Vec<PathBuf>,
    /// What it runs.
    pub commands: Commands,
    /// Java package with extensions of the gateway.
    pub base_package: Option<String>,
    /// Ids of services that register themselves.
    pub dynamic_services: Vec<String>,
    /// Templates of static API definitions, relative to the component.
    pub static_definitions: Vec<PathBuf>,
    /// Directories of desktop plugins, relative to the component.
    pub appfw_plugins: Vec<PathBuf>,
    /// Pages shown in the desktop (v1).
    pub desktop_iframe_plugins: Vec<IframePlugin>,
    /// Libraries for the gateway, relative to the component.
    pub gateway_shared_libs: Vec<PathBuf>,
    /// Libraries for discovery, relative to the component.
    pub discovery_shared_libs: Vec<PathBuf>,
    /// Libraries for zaas, relative to the component.
    pub zaas_shared_libs: Vec<PathBuf>,
    /// Plugins of the cross-memory server.
    pub zis_plugins: Vec<ZisPlugin>,
    /// Defaults of its configuration.
    pub configs: Option<Node>,
    /// Whether it says that it needs services of z/OS.
    pub needs_zos: bool,
    /// The key `tender`, as it was written.
    pub tender: Option<Node>,
    /// The file.
    pub file: PathBuf,
}

/// What a component runs; paths are relative to the component.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Commands {
    /// Once, after installation.
    pub install: Option<PathBuf>,
    /// v1: once for each instance.
    pub configure_instance: Option<PathBuf>,
    /// Before the built-in steps of configure.
    pub pre_configure: Option<PathBuf>,
    /// At every start, before any configure.
    pub validate: Option<PathBuf>,
    /// At every start.
    pub configure: Option<PathBuf>,
    /// Starts the server.
    pub start: Option<PathBuf>,
}

/// Where the source of a component is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Repository {
    /// Kind, such as `git`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Place.
    pub url: Option<String>,
}

/// What a component was built from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Build {
    /// Branch.
    pub branch: Option<String>,
    /// Number.
    #[serde(deserialize_with = "text_of_scalar")]
    pub number: Option<String>,
    /// Commit.
    pub commit_hash: Option<String>,
    /// Seconds since 1970.
    #[serde(deserialize_with = "text_of_scalar")]
    pub timestamp: Option<String>,
}

/// A page shown in the desktop.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct IframePlugin {
    /// Identifier; the component's when left out.
    pub id: Option<String>,
    /// Title; the component's when left out.
    pub title: Option<String>,
    /// Address; what begins with `/` is below the gateway.
    pub url: Option<String>,
    /// Image, relative to the component.
    pub icon: PathBuf,
    /// Version; the component's when left out.
    pub version: Option<String>,
}

/// A plugin of the cross-memory server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct ZisPlugin {
    /// Its id.
    pub id: String,
    /// Its directory, relative to the component.
    pub path: PathBuf,
}

/// A step of a component's life that a script can take part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Once, after installation.
    Install,
    /// v1: once for each instance.
    ConfigureInstance,
    /// Before the built-in steps of configure.
    PreConfigure,
    /// Before any configure.
    Validate,
    /// Before any start.
    Configure,
    /// The server itself.
    Start,
}

/// The script of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Where it is.
    pub path: PathBuf,
    /// Whether the manifest does not name it and `bin/` holds it.
    pub is_fallback: bool,
    /// Whether it is a file that exists; a command of a manifest whose file is missing is an error.
    pub exists: bool,
}

impl Manifest {
    /// Returns the script of a phase for a component in `root`.
    ///
    /// Without a command in the manifest, `bin/validate.sh`, `bin/configure.sh` and `bin/start.sh` are used when they
    /// exist, as version 1 does.
    #[must_use]
    pub fn script(&self, root: &Path, phase: Phase) -> Option<Script> {
        let (command, fallback) = match phase {
            Phase::Install => (&self.commands.install, None),
            Phase::ConfigureInstance => (&self.commands.configure_instance, None),
            Phase::PreConfigure => (&self.commands.pre_configure, None),
            Phase::Validate => (&self.commands.validate, Some("bin/validate.sh")),
            Phase::Configure => (&self.commands.configure, Some("bin/configure.sh")),
            Phase::Start => (&self.commands.start, Some("bin/start.sh")),
        };
        if let Some(command) = command {
            let path = root.join(command);
            let exists = path.is_file();
            return Some(Script { path, is_fallback: false, exists });
        }
        let path = root.join(fallback?);
        path.is_file().then_some(Script { path, is_fallback: true, exists: true })
    }

    /// Returns what Tender does with the component, as the manifest alone says it.
    ///
    /// Errors: a duration, size or share that is none.
    pub fn extension(&self) -> Result<Extension, ExtensionError> {
        self.tender.as_ref().map_or_else(|| Ok(Extension::default()), Extension::of)
    }
}

/// A manifest that was read, with what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What could be understood; nothing when the file cannot be used.
    pub manifest: Option<Manifest>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Returns the manifest file of a directory, when there is one.
#[must_use]
pub fn find(directory: &Path) -> Option<PathBuf> {
    FILE_NAMES.iter().map(|name| directory.join(name)).find(|path| path.is_file())
}

/// Reads the manifest of a component.
pub fn load(file: &Path) -> Result<Loaded, ReadError> {
    let parsed = yaml::load(file, Layer::Manifest)?;
    let mut problems = parsed.problems;
    let Some(root) = parsed.root else { return Ok(Loaded { manifest: None, problems }) };
    let manifest = understand(&root, file, &mut problems);
    Ok(Loaded { manifest, problems })
}

/// Reads a manifest from its text.
#[must_use]
pub fn parse(text: &str, file: &Path) -> Loaded {
    let parsed = yaml::parse(text, &std::sync::Arc::from(file), Layer::Manifest);
    let mut problems = parsed.problems;
    let manifest = parsed.root.and_then(|root| understand(&root, file, &mut problems));
    Loaded { manifest, problems }
}

fn understand(root: &Node, file: &Path, problems: &mut Vec<Problem>) -> Option<Manifest> {
    let before = problems.len();
    let mut found = Schema::manifest().check(root, &schema::Context::default());
    let mut json = root.to_json();
    for problem in &mut found {
        soften(problem, &mut json);
    }
    problems.extend(found);
    check_name(root, file, problems);
    let shape = match serde_json::from_value::<Shape>(json) {
        Ok(shape) => shape,
        Err(fault) => {
            let has_error = problems[before..].iter().any(|problem| problem.severity == Severity::Error);
            if !has_error {
                problems
                    .push(Problem::error(format!("the manifest cannot be used: {fault}")).at(&root.origin));
            }
            return None;
        }
    };
    let has_error = problems[before..].iter().any(|problem| problem.severity == Severity::Error);
    if let Some(tender) = root.get("tender")
        && let Err(fault) = Extension::of(tender)
        && !has_error
    {
        problems.push(Problem::error(fault.to_string()).at(&tender.origin).on("tender"));
    }
    Some(shape.into_manifest(root, file))
}

/// Makes a warning of an error in what only describes the component, and leaves that out.
fn soften(problem: &mut Problem, json: &mut serde_json::Value) {
    let top = problem.path.split(['.', '[']).next().unwrap_or_default();
    if problem.severity == Severity::Error && DESCRIPTIVE.contains(&top) {
        problem.severity = Severity::Warning;
        if let Some(object) = json.as_object_mut() {
            object.remove(top);
        }
    }
}

/// Compares the name with that of the directory.
fn check_name(root: &Node, file: &Path, problems: &mut Vec<Problem>) {
    let Some(directory) = file.parent().and_then(Path::file_name).map(|name| name.to_string_lossy()) else {
        return;
    };
    let Some(name) = root.get("name") else { return };
    if name.text().is_some_and(|text| !text.is_empty() && text != directory) {
        problems.push(
            Problem::warning(format!(
                "the name differs from the directory `{directory}`, which is what counts"
            ))
            .at(&name.origin)
            .on("name")
            .found(name.shown()),
        );
    }
}

/// The shape of a manifest in its file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Shape {
    name: String,
    id: Option<String>,
    version: Option<String>,
    title: Option<String>,
    description: Option<String>,
    license: Option<String>,
    homepage: Option<String>,
    keywords: Vec<String>,
    repository: Option<Repository>,
    build: Option<Build>,
    schemas: Schemas,
    commands: Commands,
    apiml_services: ApimlServices,
    appfw_plugins: Vec<PluginPath>,
    desktop_iframe_plugins: Vec<IframePlugin>,
    gateway_shared_libs: Vec<PathBuf>,
    discovery_shared_libs: Vec<PathBuf>,
    zaas_shared_libs: Vec<PathBuf>,
    zis_plugins: Vec<ZisPlugin>,
    dependencies: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Schemas {
    configs: OneOrMany<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ApimlServices {
    base_package: Option<String>,
    dynamic: Vec<DynamicService>,
    #[serde(rename = "static")]
    static_definitions: OneOrMany<StaticFile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DynamicService {
    service_id: String,
}

#[derive(Debug, Deserialize)]
struct StaticFile {
    file: PathBuf,
}

#[derive(Debug, Deserialize)]
struct PluginPath {
    path: PathBuf,
}

/// One value, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::Many(many) => many,
            Self::One(one) => vec![one],
        }
    }
}

impl Shape {
    fn into_manifest(self, root: &Node, file: &Path) -> Manifest {
        let services = self.apiml_services;
        Manifest {
            name: self.name,
            id: self.id,
            version: self.version,
            title: self.title,
            description: self.description,
            license: self.license,
            homepage: self.homepage,
            keywords: self.keywords,
            repository: self.repository,
            build: self.build,
            config_schemas: self.schemas.configs.into_vec(),
            commands: self.commands,
            base_package: services.base_package,
            dynamic_services: services.dynamic.into_iter().map(|service| service.service_id).collect(),
            static_definitions: services
                .static_definitions
                .into_vec()
                .into_iter()
                .map(|one| one.file)
                .collect(),
            appfw_plugins: self.appfw_plugins.into_iter().map(|plugin| plugin.path).collect(),
            desktop_iframe_plugins: self.desktop_iframe_plugins,
            gateway_shared_libs: self.gateway_shared_libs,
            discovery_shared_libs: self.discovery_shared_libs,
            zaas_shared_libs: self.zaas_shared_libs,
            zis_plugins: self.zis_plugins,
            configs: root.get("configs").filter(|configs| !configs.is_null()).cloned(),
            needs_zos: self.dependencies.is_some_and(|needs| needs.get("zos").is_some_and(is_wanted)),
            tender: root.get("tender").cloned(),
            file: file.to_owned(),
        }
    }
}

fn is_wanted(value: &serde_json::Value) -> bool {
    !matches!(value, serde_json::Value::Null | serde_json::Value::Bool(false))
}

fn text_of_scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// Names the manifest as the origin of what is not written anywhere else.
pub(crate) fn origin(manifest: &Manifest) -> Origin {
    Origin { layer: Layer::Manifest, ..Origin::of_file(&manifest.file) }
}
