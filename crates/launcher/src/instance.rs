//! Instances: a configuration, its writable directories, and which of its HA instances is meant.

pub mod init;
pub mod unit;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tender_config::config_path::{ConfigPath, ConfigPathError};
use tender_config::environment;
use tender_config::instance::InstanceConfiguration;
use tender_config::load::{ConfigError, Configuration, Load};
use tender_config::problem::Report;

use crate::launch::child::Identity;
use crate::layout::Layout;

/// Where an instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A directory with a `zowe.yaml` or, of version 1, an `instance.env`.
    Directory(PathBuf),
    /// A configuration: a path, or `FILE(a):FILE(b)`; the last file lies in the instance directory.
    Config(String),
}

/// An instance that was found; its configuration is read by [`Instance::load`].
#[derive(Debug, Clone)]
pub struct Instance {
    directory: PathBuf,
    config: ConfigPath,
    ha_id: Option<String>,
    runtime_override: Option<PathBuf>,
}

/// The configuration of an instance, read and checked.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// All of it.
    pub configuration: Configuration,
    /// As it is for the HA instance.
    pub instance: InstanceConfiguration,
    /// What is wrong with it.
    pub report: Report,
}

/// Says why there is no instance.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// The directory has no configuration.
    #[error("`{}` is no instance directory: it has neither zowe.yaml nor instance.env", path.display())]
    NoConfiguration {
        /// The directory.
        path: PathBuf,
    },
    /// The path of the configuration makes no sense.
    #[error("use configuration `{text}`")]
    Path {
        /// As given.
        text: String,
        /// Why.
        #[source]
        source: ConfigPathError,
    },
    /// A path could not be made absolute.
    #[error("look at `{}`", path.display())]
    Look {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The files cannot be read as a configuration.
    #[error("the configuration {config} cannot be read")]
    Configuration {
        /// Which.
        config: String,
        /// What is wrong, all of it.
        report: Box<Report>,
    },
    /// The HA instance is not one of the configuration.
    #[error("HA instance `{id}` is not configured; {}", there_are(known))]
    UnknownHa {
        /// The id, sanitised.
        id: String,
        /// Those that are.
        known: Vec<String>,
    },
    /// A directory that everything needs is not configured.
    #[error("{key} is not configured")]
    NotConfigured {
        /// Its key.
        key: &'static str,
    },
    /// Another fault of the configuration.
    #[error("read the configuration")]
    Config(#[source] ConfigError),
}

fn there_are(known: &[String]) -> String {
    if known.is_empty() { "no HA instance is".to_owned() } else { format!("there are {}", known.join(" ")) }
}

impl Instance {
    /// Finds an instance; `ha_id` is the HA instance, that of this host when there is none.
    pub fn open(place: &Place, ha_id: Option<&str>) -> Result<Self, InstanceError> {
        let text = match place {
            Place::Directory(path) => path.display().to_string(),
            Place::Config(text) => text.clone(),
        };
        let config = match place {
            Place::Directory(path) => ConfigPath::file(path),
            Place::Config(text) => ConfigPath::from_str(text)
                .map_err(|source| InstanceError::Path { text: text.clone(), source })?,
        };
        let paths = config.paths().iter().map(|path| {
            std::path::absolute(path).map_err(|source| InstanceError::Look { path: path.clone(), source })
        });
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        let last = paths.last().expect("a configuration path has a file").clone();
        let directory = if last.is_dir() {
            if !["instance.env", "zowe.yaml"].iter().any(|name| last.join(name).is_file()) {
                return Err(InstanceError::NoConfiguration { path: last });
            }
            last
        } else {
            last.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
        };
        let config = ConfigPath::files(paths).map_err(|source| InstanceError::Path { text, source })?;
        let ha_id = ha_id.map(tender_config::ha::sanitise);
        Ok(Self { directory, config, ha_id, runtime_override: None })
    }

    /// Returns the instance directory: it holds the lock and the console socket.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the configuration files.
    #[must_use]
    pub fn config(&self) -> &ConfigPath {
        &self.config
    }

    /// Returns the same instance with another product tree, such as the slot of a level that is to come.
    #[must_use]
    pub fn with_runtime(&self, runtime: &Path) -> Self {
        Self { runtime_override: Some(runtime.to_owned()), ..self.clone() }
    }

    /// Returns the same instance with a further file of configuration that wins over the others.
    #[must_use]
    pub fn with_overlay(&self, file: &Path) -> Self {
        let paths = [file.to_owned()].into_iter().chain(self.config.paths().iter().cloned()).collect();
        let config = ConfigPath::files(paths).expect("there is at least the further file");
        Self { config, ..self.clone() }
    }

    /// Returns the same instance with its HA instance named.
    #[must_use]
    pub fn pinned(&self, ha_id: &str) -> Self {
        Self { ha_id: Some(ha_id.to_owned()), ..self.clone() }
    }

    /// Returns the arguments that name this instance to another `tender` process.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["--config".into(), self.config.to_string().into()];
        if let Some(id) = &self.ha_id {
            words.extend(["--ha-instance".into(), id.into()]);
        }
        words
    }

    /// Reads the configuration.
    ///
    /// Errors: those that leave nothing to work with; everything else is in the report.
    pub fn load(&self) -> Result<Loaded, InstanceError> {
        let mut load = Load::new(self.config.clone());
        load.runtime_override.clone_from(&self.runtime_override);
        let (configuration, mut report) = Configuration::load(&load).map_err(|error| self.failed(error))?;
        let instance =
            configuration.for_instance(self.ha_id.as_deref()).map_err(|error| self.failed(error))?;
        // Two keys that give one variable different values.
        let mut problems = std::mem::take(&mut report.problems);
        problems.extend(environment::instance(&instance).problems);
        let report = Report::of(problems);
        Ok(Loaded { configuration, instance, report })
    }

    fn failed(&self, error: ConfigError) -> InstanceError {
        match error {
            ConfigError::Unusable { report } => {
                InstanceError::Configuration { config: self.config.to_string(), report }
            }
            ConfigError::UnknownInstance { id, known } => InstanceError::UnknownHa { id, known },
            other => InstanceError::Config(other),
        }
    }

    /// Reads what is needed to lock the instance and to reach its console.
    pub fn identity(&self) -> Result<Identity, InstanceError> {
        self.load()?.identity(self)
    }
}

impl Loaded {
    /// Returns what is needed to lock the instance and to reach its console.
    pub fn identity(&self, instance: &Instance) -> Result<Identity, InstanceError> {
        let layout = self.layout()?;
        Ok(Identity {
            ha_id: layout.ha_id.clone(),
            directory: instance.directory.clone(),
            private: layout.private(),
            logs: layout.logs,
        })
    }

    /// Returns the directories of the HA instance.
    pub fn layout(&self) -> Result<Layout, InstanceError> {
        let workspace = self.instance.workspace_directory();
        let workspace = workspace.ok_or(InstanceError::NotConfigured { key: "zowe.workspaceDirectory" })?;
        // Logs lie beside what is generated when nobody says where.
        let logs = self.instance.log_directory().unwrap_or_else(|| workspace.join("logs"));
        Ok(Layout { workspace, logs, ha_id: self.instance.id.clone() })
    }
}
