//! From files to one configuration: read, include, merge, evaluate, seal, check.

mod discover;
mod include;
mod legacy;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config_path::ConfigPath;
use crate::convert;
use crate::evaluate::{self, TemplateLimits, Which};
use crate::ha;
use crate::instance::InstanceConfiguration;
use crate::key_path::{KeyPath, KeyPathError};
use crate::merge::{self, KeyOrder};
use crate::node::{Mapping, Node, Value};
use crate::origin::{Layer, Origin};
use crate::problem::{Problem, Report};
use crate::schema::{Schema, Sealer};
use crate::yaml::{self, ReadError};

pub use discover::Installed;
pub(crate) use validate::{INSTANCE_KEYS, merged_extension};

const DEFAULTS: &str = include_str!("defaults.yaml");

/// Whether components also get the variables of version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LegacyNames {
    /// When the configuration is one of version 1: an `instance.env`, or a `zowe.yaml` with its keys.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to load.
#[derive(Debug, Clone)]
pub struct Load {
    /// The files.
    pub path: ConfigPath,
    /// A runtime directory in place of the configured one, such as another slot.
    pub runtime_override: Option<PathBuf>,
    /// Variables that every environment gets besides those of the configuration; they win.
    pub extra_environment: BTreeMap<String, String>,
    /// What templates may use.
    pub limits: TemplateLimits,
    /// Whether components also get the variables of version 1.
    pub legacy_names: LegacyNames,
}

impl Load {
    /// Loads these files, with everything else by default.
    #[must_use]
    pub fn new(path: ConfigPath) -> Self {
        Self {
            path,
            runtime_override: None,
            extra_environment: BTreeMap::new(),
            limits: TemplateLimits::default(),
            legacy_names: LegacyNames::Auto,
        }
    }
}

/// Says why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Files are missing, or no YAML.
    #[error("the configuration cannot be read: {} problems", report.problems.len())]
    Unusable {
        /// What is wrong.
        report: Box<Report>,
    },
    /// A text names no key.
    #[error(transparent)]
    Key(#[from] KeyPathError),
    /// The HA instance does not exist.
    #[error("HA instance `{id}` is not configured; configured are {}", known.join(", "))]
    UnknownInstance {
        /// The id, sanitised.
        id: String,
        /// Ids that are.
        known: Vec<String>,
    },
}

/// One text that values come from; its secrets are not sealed, so it never shows.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) root: Node,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root.origin)
    }
}

/// What all instances of a configuration share.
#[derive(Debug)]
pub(crate) struct Common {
    /// Merged, evaluated and sealed; without any HA override.
    pub(crate) root: Node,
    /// What was merged, highest precedence first.
    pub(crate) sources: Vec<Source>,
    pub(crate) installed: Vec<Installed>,
    pub(crate) load: Load,
    pub(crate) is_version_1: bool,
    pub(crate) product_version: Option<String>,
}

/// A configuration: merged, templates evaluated, checked; without the overrides of an HA instance.
#[derive(Debug, Clone)]
pub struct Configuration {
    common: Arc<Common>,
}

/// Where a value came from.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Explanation {
    /// The key.
    pub key: String,
    /// Its value, secrets as `(secret)`; nothing when no text sets it.
    pub value: Option<serde_json::Value>,
    /// Every text that sets it, the one that counts first. Mappings are merged of all of them, and sequences of those
    /// that append.
    pub settings: Vec<Setting>,
}

/// One text that sets a value.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Setting {
    /// Where.
    pub origin: Origin,
    /// What it sets, before templates are evaluated; secrets as `(secret)`.
    pub value: serde_json::Value,
    /// Whether it appends to what lies below.
    pub appends: bool,
    /// Whether something above it, or an HA override, replaces it.
    pub is_overridden: bool,
}

impl Configuration {
    /// Loads a configuration and reports all that is wrong with it.
    ///
    /// A configuration comes back as long as its files can be read at all; whether it may be used is for
    /// [`Report::has_errors`] to say.
    ///
    /// Errors: [`ConfigError::Unusable`].
    pub fn load(load: &Load) -> Result<(Self, Report), ConfigError> {
        Schema::make_base();
        let mut problems = Vec::new();
        let Some(files) = read_files(load, &mut problems) else {
            return Err(ConfigError::Unusable { report: Box::new(Report::of(problems)) });
        };
        let is_version_1 = files.is_version_1;
        let mut sources = files.sources;
        let mut root = stack(&sources);
        let directories = Directories::of(&root, load);
        if let Some(runtime) = &directories.runtime {
            read_defaults(runtime, &mut sources, &mut problems);
        }
        let mut installed = discover::discover(
            directories.runtime.as_deref(),
            &Directories::of(&stack(&sources), load).extension,
            &mut problems,
        );
        sources.push(discover::defaults_of(&installed));
        sources.push(built_in());
        root = stack(&sources);
        if let Some(runtime) = &load.runtime_override {
            let node = Node::new(Value::text(runtime.to_string_lossy()), Origin::of_file(runtime));
            root.set(&["zowe", "runtimeDirectory"], node);
        }
        let evaluated = evaluate::evaluate(&mut root, Which::All, &load.limits);
        problems.extend(evaluated.problems);
        discover::read_schemas(&mut installed, &root, &mut problems);
        problems.extend(coerce(&mut root, &installed));
        problems.extend(sealer(&installed).seal(&mut root));
        problems.extend(validate::validate(&root, &installed, evaluated.failed));
        let product_version = directories.runtime.as_deref().and_then(product_version);
        let common = Common { root, sources, installed, load: load.clone(), is_version_1, product_version };
        Ok((Self { common: Arc::new(common) }, Report::of(problems)))
    }

    /// Lists the ids of the configured HA instances, sanitised, in the order of the configuration.
    #[must_use]
    pub fn instance_ids(&self) -> Vec<String> {
        instance_ids(&self.common.root)
    }

    /// Applies the overrides of an HA instance.
    ///
    /// Without an id, or with a placeholder, the name of this system counts; when no HA instances are configured, any
    /// id is accepted and overrides nothing.
    ///
    /// Errors: [`ConfigError::UnknownInstance`], with the ids that exist.
    pub fn for_instance(&self, id: Option<&str>) -> Result<InstanceConfiguration, ConfigError> {
        let known = self.instance_ids();
        let id = match id.filter(|id| !ha::is_placeholder(id)) {
            Some(id) => ha::sanitise(id),
            None => default_instance(&self.common.root, &known),
        };
        if !known.is_empty() && !known.contains(&id) {
            return Err(ConfigError::UnknownInstance { id, known });
        }
        Ok(InstanceConfiguration::new(&self.common, id))
    }

    /// Returns the merged tree, without any HA override.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.common.root
    }

    /// Returns the value of a key, without any HA override.
    ///
    /// Errors: [`ConfigError::Key`].
    pub fn get(&self, key: &str) -> Result<Option<&Node>, ConfigError> {
        Ok(self.common.root.at(&key.parse()?))
    }

    /// Says where the value of a key comes from, without any HA override.
    ///
    /// Errors: [`ConfigError::Key`].
    pub fn explain(&self, key: &str) -> Result<Explanation, ConfigError> {
        let path: KeyPath = key.parse()?;
        Ok(explain(&self.common, &self.common.root, &path, None))
    }

    /// Lists the components that are installed, whether they are enabled or not.
    #[must_use]
    pub fn installed(&self) -> &[Installed] {
        &self.common.installed
    }

    /// Returns the version of the product in the runtime directory, when its `manifest.json` says it.
    #[must_use]
    pub fn product_version(&self) -> Option<&str> {
        self.common.product_version.as_deref()
    }

    /// Says whether the configuration is one of version 1.
    #[must_use]
    pub fn is_version_1(&self) -> bool {
        self.common.is_version_1
    }
}

/// Makes what seals secrets, with the schemas of all components.
fn sealer(installed: &[Installed]) -> Sealer<'_> {
    let schemas = installed.iter().filter_map(|one| Some((one.name.as_str(), one.schema.as_deref()?)));
    Sealer::new(Schema::base(), schemas)
}

/// What was read of the files that the user names.
struct Files {
    sources: Vec<Source>,
    is_version_1: bool,
}

fn read_files(load: &Load, problems: &mut Vec<Problem>) -> Option<Files> {
    let mut sources = Vec::new();
    let mut is_version_1 = false;
    let mut is_broken = false;
    for path in load.path.paths() {
        let file = file_of(path);
        if convert::is_instance_env(&file) {
            is_version_1 = true;
            match convert::read_instance_env(&file) {
                Ok((root, found)) => {
                    problems.extend(found);
                    sources.push(Source { root });
                }
                Err(found) => {
                    is_broken = true;
                    problems.extend(found);
                }
            }
            continue;
        }
        match read_file(&file, problems) {
            Some(mut root) => {
                is_version_1 |= legacy::modernise(&mut root, problems);
                sources.push(Source { root });
            }
            None => is_broken = true,
        }
    }
    (!is_broken).then_some(Files { sources, is_version_1 })
}

/// A directory stands for what configures it: version 1 prefers its `instance.env`.
fn file_of(path: &Path) -> PathBuf {
    if !path.is_dir() {
        return path.to_owned();
    }
    let old = path.join("instance.env");
    if old.is_file() { old } else { path.join("zowe.yaml") }
}

fn read_file(file: &Path, problems: &mut Vec<Problem>) -> Option<Node> {
    let parsed = match yaml::load(file, Layer::File) {
        Ok(parsed) => parsed,
        Err(fault) => {
            problems.push(unreadable(file, &fault));
            return None;
        }
    };
    problems.extend(parsed.problems);
    let root = parsed.root?;
    let root = include::expand(root, file, problems)?;
    problems.extend(merge::check_appends(&root));
    match root.value {
        Value::Mapping(_) => Some(root),
        Value::Null => Some(Node::new(Value::Mapping(Mapping::default()), root.origin)),
        _ => {
            problems.push(
                Problem::error("a configuration is a mapping")
                    .at(&root.origin)
                    .found(root.value.kind())
                    .id("ZWEL0072E"),
            );
            None
        }
    }
}

fn unreadable(file: &Path, fault: &ReadError) -> Problem {
    let cause = std::error::Error::source(fault).map(|cause| format!(": {cause}")).unwrap_or_default();
    Problem::error(format!("the file cannot be used: {fault}{cause}"))
        .at(&Origin::of_file(file))
        .id("ZWEL0109E")
}

/// Lays texts over each other, the first on top.
fn stack(sources: &[Source]) -> Node {
    let mut trees = sources.iter().rev().map(|source| source.root.clone());
    let lowest = trees.next().unwrap_or_else(|| Node::new(Value::Null, Origin::of_file(Path::new(""))));
    trees.fold(merge::settle(lowest), |lower, upper| merge::overlay(lower, upper, KeyOrder::Upper))
}

/// Directories that have to be known before everything is.
struct Directories {
    runtime: Option<PathBuf>,
    extension: Option<PathBuf>,
}

impl Directories {
    fn of(root: &Node, load: &Load) -> Self {
        let places = ["runtimeDirectory", "extensionDirectory"].map(|key| KeyPath::of(&["zowe", key]));
        // Problems of templates are reported when all of them are evaluated.
        let mut root = root.clone();
        evaluate::evaluate(&mut root, Which::At(&places), &load.limits);
        let [runtime, extension] = places.map(|place| {
            root.at(&place).and_then(Node::text).filter(|text| !text.is_empty()).map(PathBuf::from)
        });
        Self { runtime: load.runtime_override.clone().or(runtime), extension }
    }
}

/// Takes in the defaults that a product brings with its runtime directory.
fn read_defaults(runtime: &Path, sources: &mut Vec<Source>, problems: &mut Vec<Problem>) {
    let file = runtime.join("files/defaults.yaml");
    if file.is_file() {
        sources.extend(read_file(&file, problems).map(|root| Source { root }));
    }
}

fn built_in() -> Source {
    let parsed = yaml::parse(DEFAULTS, &Arc::from(Path::new("built-in defaults")), Layer::BuiltIn);
    Source { root: parsed.root.expect("a test reads the built-in defaults") }
}

/// Understands numbers in quotes, as version 1 wrote them.
fn coerce(root: &mut Node, installed: &[Installed]) -> Vec<Problem> {
    let mut problems = Schema::base().coerce(root, &crate::schema::Context::default());
    for component in installed {
        let Some(schema) = &component.schema else { continue };
        let context = crate::schema::Context {
            prefix: KeyPath::of(&["components", &component.name]),
            ..Default::default()
        };
        if let Some(settings) = root.at_mut(&context.prefix) {
            problems.extend(schema.coerce_component(&component.name, settings, &context));
        }
    }
    problems
}

/// Returns the version that the product manifest of a runtime directory names.
fn product_version(runtime: &Path) -> Option<String> {
    let parsed = yaml::load(&runtime.join("manifest.json"), Layer::Manifest).ok()?;
    parsed.root?.get("version")?.scalar()
}

pub(crate) fn instance_ids(root: &Node) -> Vec<String> {
    let mut seen = BTreeSet::new();
    root.get("haInstances")
        .and_then(Node::mapping)
        .map(|instances| instances.keys().map(ha::sanitise).filter(|id| seen.insert(id.clone())).collect())
        .unwrap_or_default()
}

/// Returns the id that belongs to this system: its name, or that of the instance with its `sysname`.
fn default_instance(root: &Node, known: &[String]) -> String {
    let system = ha::system_name();
    let id = ha::sanitise(&system);
    if known.contains(&id) {
        return id;
    }
    let by_name = root.get("haInstances").and_then(Node::mapping).and_then(|instances| {
        let is_here = |node: &Node| {
            node.get("sysname").and_then(Node::scalar).is_some_and(|name| name.eq_ignore_ascii_case(&system))
        };
        instances.entries().iter().find(|entry| is_here(&entry.node)).map(|entry| ha::sanitise(&entry.key))
    });
    by_name.unwrap_or(id)
}

/// Collects every text that sets a key.
pub(crate) fn explain(common: &Common, root: &Node, path: &KeyPath, instance: Option<&str>) -> Explanation {
    let mut settings = Vec::new();
    let mut sources = common.sources.clone();
    for source in &mut sources {
        sealer(&common.installed).seal(&mut source.root);
    }
    for source in &sources {
        if let Some(section) = instance.and_then(|id| instance_section(&source.root, id)) {
            settings.extend(settings_of(section, path, Layer::HaInstance));
        }
    }
    for source in &sources {
        settings.extend(settings_of(&source.root, path, source.root.origin.layer));
    }
    let is_merged = root.at(path).is_some_and(|node| node.mapping().is_some());
    let mut is_covered = false;
    for setting in &mut settings {
        setting.is_overridden = is_covered && !is_merged;
        is_covered |= !setting.appends;
    }
    Explanation { key: path.to_string(), value: root.at(path).map(Node::to_json), settings }
}

/// Returns the section of an HA instance, whatever way its id is written.
pub(crate) fn instance_section<'a>(root: &'a Node, id: &str) -> Option<&'a Node> {
    let instances = root.get("haInstances")?.mapping()?;
    instances.entries().iter().find(|entry| ha::sanitise(&entry.key) == id).map(|entry| &entry.node)
}

fn settings_of(root: &Node, path: &KeyPath, layer: Layer) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut add = |node: &Node, appends: bool| {
        let layer = if node.origin.layer == Layer::File { layer } else { node.origin.layer };
        let origin = Origin { layer, ..node.origin.clone() };
        found.push(Setting { origin, value: node.to_json(), appends, is_overridden: false });
    };
    if let Some(node) = root.at(path) {
        add(node, false);
    }
    if let Some(key) = path.last_key() {
        let mut appending = path.clone();
        appending.steps.pop();
        if let Some(node) = root.at(&appending.key(&format!("{key}+"))) {
            add(node, true);
        }
    }
    found
}
