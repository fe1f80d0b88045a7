//! The configuration of an instance, for commands that look at values.

use std::path::PathBuf;

use serde_json::Value as Json;
use tender_config::edit::{self, EditError, Scalar};
use tender_config::node::{Node, Value};
use tender_config::problem::{Problem, Report};
use tender_config::secret::SecretSource;
use tender_launcher::instance::{Instance, InstanceError, Loaded, Place};
use tender_package::{Message, ReturnCode};

use super::Which;
use crate::error::{CommandError, RuntimeFault};

/// Problems that an error shows; the report of `tender config validate` has them all.
const PROBLEMS_SHOWN: usize = 10;

impl Which {
    /// Finds the instance; its configuration is read later.
    pub(crate) fn open(&self) -> Result<Instance, CommandError> {
        let place = match &self.config {
            Some(config) => Place::Config(config.clone()),
            None => Place::Directory(self.directory()?),
        };
        Instance::open(&place, self.ha_instance.as_deref()).map_err(fault)
    }

    /// Reads the configuration with the overrides of the HA instance.
    pub(crate) fn load(&self) -> Result<Loaded, CommandError> {
        self.open()?.load().map_err(fault)
    }

    /// Returns a value of the configuration; secrets show as `(secret)`.
    pub(crate) fn value(&self, key: &str) -> Result<Option<Json>, CommandError> {
        Ok(node(&self.load()?, key)?.map(Node::to_json))
    }

    /// Returns a value of the configuration with its secrets or what refers to them, for use in this process alone.
    pub(crate) fn private_value(&self, key: &str) -> Result<Option<Json>, CommandError> {
        Ok(node(&self.load()?, key)?.map(private))
    }
}

impl Which {
    /// Writes a value into the instance's own file, all its keys or none, and leaves everything else in it as it is.
    pub(crate) fn update(&self, key: &str, value: &Json) -> Result<PathBuf, CommandError> {
        let instance = self.open()?;
        // The last file is the instance's own, which others override.
        let own = instance.config().paths().last().expect("a configuration path has a file");
        let file = if own.is_dir() { own.join("zowe.yaml") } else { own.clone() };
        let mut scalars = Vec::new();
        flatten(key, value, &mut scalars);
        edit::set_all(&file, &scalars).map_err(|fault| {
            let text = format!("failed to set {key} in {}", file.display());
            CommandError::from(RuntimeFault::new("ZWEL0138E", edit_code(&fault), text).because(fault))
        })?;
        Ok(file)
    }
}

/// Returns the code of a change to a configuration that was not made.
pub(crate) fn edit_code(fault: &EditError) -> ReturnCode {
    match fault {
        EditError::Key(_) => ReturnCode::Syntax,
        EditError::Place { .. } | EditError::Syntax { .. } => ReturnCode::Refused,
        EditError::Read(_) | EditError::Write { .. } => ReturnCode::Outside,
    }
}

/// Lists the scalars of a value with their keys; a list becomes one text with commas, as the reference writes it.
fn flatten(key: &str, value: &Json, scalars: &mut Vec<(String, Scalar)>) {
    let scalar = match value {
        Json::Null => return,
        Json::Object(map) => {
            map.iter().for_each(|(name, value)| flatten(&format!("{key}.{name}"), value, scalars));
            return;
        }
        Json::Array(elements) => {
            let words = elements
                .iter()
                .map(|element| element.as_str().map_or_else(|| element.to_string(), str::to_owned));
            Scalar::Text(words.collect::<Vec<_>>().join(","))
        }
        Json::Bool(is_true) => Scalar::Bool(*is_true),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Scalar::Text(number.to_string()), Scalar::Integer)
        }
        Json::String(text) => Scalar::Text(text.clone()),
    };
    scalars.push((key.to_owned(), scalar));
}

/// Returns the place of a key in the tree.
pub(crate) fn node<'l>(loaded: &'l Loaded, key: &str) -> Result<Option<&'l Node>, CommandError> {
    loaded.instance.get(key).map_err(|fault| {
        RuntimeFault::new("ZWEL0303E", ReturnCode::Syntax, "failed to find a value").because(fault).into()
    })
}

fn private(node: &Node) -> Json {
    match &node.value {
        Value::Secret(source) => match source {
            SecretSource::Literal(secret) => secret.expose().into(),
            SecretSource::File(path) => format!("file:{}", path.display()).into(),
            SecretSource::Environment(name) => format!("env:{name}").into(),
            SecretSource::Credential(name) => format!("credential:{name}").into(),
        },
        Value::Sequence(elements) => elements.iter().map(private).collect(),
        Value::Mapping(mapping) => Json::Object(
            mapping.entries().iter().map(|entry| (entry.key.clone(), private(&entry.node))).collect(),
        ),
        _ => node.to_json(),
    }
}

/// Says why an instance cannot be used.
pub(crate) fn fault(fault: InstanceError) -> CommandError {
    let (id, code) = match &fault {
        InstanceError::NoConfiguration { .. } => ("ZWEL0032E", ReturnCode::Unknown),
        InstanceError::Path { .. } => ("ZWEL0035E", ReturnCode::Syntax),
        InstanceError::Configuration { report, .. } => of_report(report),
        InstanceError::Config(_) => ("ZWEL0072E", ReturnCode::Refused),
        InstanceError::UnknownHa { .. } => ("ZWEL0036E", ReturnCode::Unknown),
        InstanceError::NotConfigured { .. } => ("ZWEL0157E", ReturnCode::Refused),
        InstanceError::Look { .. } => ("ZWEL0036E", ReturnCode::Outside),
    };
    let hint = match &fault {
        InstanceError::Configuration { report, .. } => Some(lines(report)),
        InstanceError::UnknownHa { known, .. } if !known.is_empty() => {
            Some("name one of them with --ha-instance".to_owned())
        }
        InstanceError::NotConfigured { key } => Some(format!("set {key} in zowe.yaml")),
        _ => None,
    };
    let mut told = RuntimeFault::new(id, code, "failed to use the instance").because(fault);
    told.hint = hint;
    told.into()
}

/// Returns id and code of a configuration that cannot be read: a file that is not there does not exist, one that cannot
/// be opened is an outside failure, and anything else is wrong in a file.
pub(crate) fn of_report(report: &Report) -> (&'static str, ReturnCode) {
    let closed = report.problems.iter().filter(|problem| problem.id == Some("ZWEL0109E"));
    let codes = closed.map(|problem| match problem.origin.as_ref().map(|origin| origin.file.try_exists()) {
        Some(Ok(false)) => ReturnCode::Unknown,
        _ => ReturnCode::Outside,
    });
    codes.max().map_or(("ZWEL0072E", ReturnCode::Refused), |code| ("ZWEL0109E", code))
}

fn lines(report: &Report) -> String {
    let shown: Vec<String> = report.problems.iter().take(PROBLEMS_SHOWN).map(ToString::to_string).collect();
    shown.join("\n          ")
}

/// Makes a message of a problem.
pub(crate) fn told(problem: &Problem) -> Message {
    use tender_config::problem::Severity;
    let id = match problem.severity {
        Severity::Error => problem.id.filter(|id| id.ends_with('E')).unwrap_or("ZWEL0070E"),
        Severity::Warning => "ZWEL0818W",
        Severity::Notice => "ZWEL0818I",
    };
    Message::with_id(id, problem.to_string())
}
