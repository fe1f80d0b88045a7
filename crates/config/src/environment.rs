//! The environment that scripts of components get: plain values, quoted by rule, never read by a shell on the way.

mod build;
mod discovery;
mod names;
mod render;
mod version_1;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::instance::InstanceConfiguration;
use crate::origin::Origin;
use crate::problem::Problem;
use crate::secret::{Secret, SecretError, SecretSource};

pub use names::{collapsed, sanitised};
pub use render::{Format, quote, unquote};
pub use version_1::path_of as version_1_path;

pub(crate) use build::common;
pub(crate) use version_1::{Target, target_of};

/// The variables of an instance, or of one component of it.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// What the environments of all components of an instance have alike, kept once.
    shared: Arc<Values>,
    /// What this one has besides, or differently.
    own: Values,
    /// Collisions: two places of the configuration that give one variable different values.
    pub problems: Vec<Problem>,
}

type Values = BTreeMap<Arc<str>, EnvValue>;

/// A variable.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvValue {
    /// Its text.
    pub text: EnvText,
    /// The key of the configuration it comes from, or what it is derived from.
    pub source: String,
    /// Where that stands, when it stands somewhere.
    pub origin: Option<Origin>,
}

/// The text of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvText {
    /// A text.
    Plain(String),
    /// A secret that has not been fetched.
    Secret(SecretSource),
}

impl EnvValue {
    /// Returns the text, unless it is secret.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match &self.text {
            EnvText::Plain(text) => Some(text),
            EnvText::Secret(_) => None,
        }
    }

    /// Says whether it is secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self.text, EnvText::Secret(_))
    }
}

impl fmt::Display for EnvText {
    /// Writes the text; a secret shows as `(secret)`, wherever it is kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Secret(_) => f.write_str(crate::secret::REDACTED),
        }
    }
}

/// An environment with its secrets fetched, ready for a process. Its values never show in debug output.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ResolvedEnvironment(BTreeMap<String, Secret>);

impl fmt::Debug for ResolvedEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl ResolvedEnvironment {
    /// Lists names and values in order of names; the caller must not show or store the values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose()))
    }

    /// Turns it into an ordinary map for a process to be started.
    #[must_use]
    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
    }

    /// Returns `NAME=value` pieces, each ended by a NUL: a form in which every value survives.
    #[must_use]
    pub fn to_nul_separated(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in self.iter() {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'=');
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0);
        }
        bytes
    }
}

/// Says why there is no environment.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// There is no such component.
    #[error("component `{name}` is not installed")]
    UnknownComponent {
        /// Its name.
        name: String,
    },
    /// A secret cannot be had.
    #[error("set variable {variable} from key `{key}`")]
    Secret {
        /// The variable.
        variable: String,
        /// The key of the configuration.
        key: String,
        /// Why.
        #[source]
        source: SecretError,
    },
}

impl Environment {
    /// Returns a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&EnvValue> {
        self.own.get(name).or_else(|| self.shared.get(name))
    }

    /// Lists the variables in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &EnvValue)> {
        let mut own = self.own.iter().peekable();
        let mut shared = self.shared.iter().filter(|(name, _)| !self.own.contains_key(&**name)).peekable();
        std::iter::from_fn(move || {
            let is_own = match (own.peek(), shared.peek()) {
                (Some((own, _)), Some((shared, _))) => own < shared,
                (found, _) => found.is_some(),
            };
            let (name, value) = if is_own { own.next()? } else { shared.next()? };
            Some((&**name, value))
        })
    }

    /// Lists the variables that this environment has besides those of [`Self::shared`], or differently.
    pub fn own(&self) -> impl Iterator<Item = (&str, &EnvValue)> {
        self.own.iter().map(|(name, value)| (&**name, value))
    }

    /// Returns what the environments of all components of the instance have alike.
    #[must_use]
    pub fn shared(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), own: Values::new(), problems: Vec::new() }
    }

    /// Makes what is in it the part that environments made of it share.
    fn settled(mut self) -> Self {
        Arc::make_mut(&mut self.shared).append(&mut self.own);
        self
    }

    /// Sets a variable that is derived from something other than the configuration.
    pub fn set(&mut self, name: &str, text: impl Into<String>, source: &str) {
        self.put(
            name,
            EnvValue { text: EnvText::Plain(text.into()), source: source.to_owned(), origin: None },
        );
    }

    fn put(&mut self, name: &str, value: EnvValue) {
        self.own.insert(Arc::from(name), value);
    }

    /// Fetches the secrets.
    ///
    /// Errors: [`EnvironmentError::Secret`], which names the variable and the key.
    pub fn resolve(&self) -> Result<ResolvedEnvironment, EnvironmentError> {
        resolved(self.iter())
    }

    /// Fetches the secrets of its own part, [`Self::own`].
    ///
    /// Errors: [`EnvironmentError::Secret`].
    pub fn resolve_own(&self) -> Result<ResolvedEnvironment, EnvironmentError> {
        resolved(self.own())
    }
}

fn resolved<'v>(
    values: impl Iterator<Item = (&'v str, &'v EnvValue)>,
) -> Result<ResolvedEnvironment, EnvironmentError> {
    let mut resolved = BTreeMap::new();
    for (name, value) in values {
        let secret = match &value.text {
            EnvText::Plain(text) => Secret::new(text.clone()),
            EnvText::Secret(source) => source.resolve().map_err(|source| EnvironmentError::Secret {
                variable: name.to_owned(),
                key: value.source.clone(),
                source,
            })?,
        };
        resolved.insert(name.to_owned(), secret);
    }
    Ok(ResolvedEnvironment(resolved))
}

/// Makes the environment that all components of an instance share.
#[must_use]
pub fn instance(configuration: &InstanceConfiguration) -> Environment {
    build::build(configuration, None)
}

/// Makes the environment of one component.
///
/// It holds what [`instance`] has, the component's settings as `ZWE_configs_*`, and its secrets; secrets of other
/// components and of the set-up are not in it.
///
/// Errors: [`EnvironmentError::UnknownComponent`].
pub fn component(configuration: &InstanceConfiguration, name: &str) -> Result<Environment, EnvironmentError> {
    let component = configuration
        .component(name)
        .ok_or_else(|| EnvironmentError::UnknownComponent { name: name.to_owned() })?;
    Ok(build::build(configuration, Some(component)))
}

/// Lists the addresses of all discovery services of an installation, the same in every HA instance.
#[must_use]
pub fn discovery_list(configuration: &InstanceConfiguration) -> String {
    discovery::list(&configuration.common.root)
}

#[cfg(test)]
mod tests;
