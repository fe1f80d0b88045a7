//! One component as the phases see it: plain values, taken out of the configuration once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tender_config::Environment;
use tender_config::manifest::{Extension, FailurePolicy, Manifest};
use tender_config::node::Node;
use tender_supervisor::plan;

use super::foresee::Wanting;
use super::variables::Variables;

/// One component.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// Its job name.
    pub(crate) job_name: String,
    /// Its directory.
    pub(crate) root: PathBuf,
    /// What it says of itself.
    pub(crate) manifest: Manifest,
    /// What we do with it.
    pub(crate) extension: Extension,
    /// How it is started again.
    pub(crate) restart: plan::Restart,
    /// Its whole environment, secrets resolved.
    pub(crate) environment: Variables,
    /// The same as the configuration has it, for templates.
    pub(crate) variables: Environment,
    /// Names in it whose values are secret.
    pub(crate) secrets: BTreeSet<String>,
    /// Values for placeholders of probes, by configuration path below the component (`port`, `a.b`).
    pub(crate) settings: serde_json::Value,
    /// What follows when something fails, unless the component says otherwise.
    pub(crate) policies: FailurePolicies,
    /// The configuration has this against it already.
    pub(crate) problem: Option<String>,
}

/// What follows when a phase of a component fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailurePolicies {
    /// When `validate` fails.
    pub(crate) on_validate: FailurePolicy,
    /// When `configure` fails.
    pub(crate) on_configure: FailurePolicy,
}

impl Subject {
    /// Makes the subject of a component that is enabled and has no directory: all it can do is fail by its policy.
    pub(crate) fn absent(
        name: &str,
        root: PathBuf,
        settings: &Node,
        policies: FailurePolicies,
        problems: Option<&Vec<String>>,
    ) -> Self {
        let extension = settings.get("tender").and_then(|node| Extension::of(node).ok()).unwrap_or_default();
        let problem = problems.map_or_else(|| "it is not installed".to_owned(), |all| all.join("; "));
        Self {
            name: name.to_owned(),
            job_name: String::new(),
            root,
            manifest: Manifest { name: name.to_owned(), ..Manifest::default() },
            // Nothing but its policy means anything without the component.
            extension: Extension { on_failure: extension.on_failure, ..Extension::default() },
            restart: plan::Restart::default(),
            environment: Variables::default(),
            variables: Environment::default(),
            secrets: BTreeSet::new(),
            settings: settings.to_json(),
            policies,
            problem: Some(problem),
        }
    }

    /// Returns the environment as the supervisor carries it.
    pub(crate) fn environment_with(&self, exports: &BTreeMap<String, String>) -> plan::Environment {
        let mut environment = self.environment.to_map();
        environment.extend(exports.iter().map(|(name, value)| (name.clone(), value.clone())));
        plan::Environment(environment)
    }

    /// Returns what the component waits for.
    pub(crate) fn wanting(&self) -> Wanting<'_> {
        Wanting { name: &self.name, requires: &self.extension.requires, after: &self.extension.after }
    }

    /// Returns every secret value that is long enough to be looked for in a text.
    pub(crate) fn secret_values(&self) -> impl Iterator<Item = &str> {
        const SHORTEST: usize = 4;
        let values = self.secrets.iter().filter_map(|name| self.environment.get(name));
        values.filter(|value| value.len() >= SHORTEST)
    }
}
