//! Which instances a managed system brings up with its slots: `instance.json` in its home.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tender_content::durable;

/// The file, beside `agent.json`.
const FILE: &str = "instance.json";
/// How long what was restarted may take until it is ready, unless told otherwise.
const READY_LIMIT_MS: u64 = 120_000;

/// Says why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read or removed.
    #[error("{doing} `{}`", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("read `{}`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The file cannot be written.
    #[error("write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: durable::DurableError,
    },
}

/// The instances of a managed system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The instance that runs slot `current`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) production: Option<Bound>,
    /// The instance that runs slot `test` when a level is sent for a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) test: Option<Bound>,
    /// How long components may take until they are ready, in milliseconds.
    #[serde(default = "ready_limit_ms")]
    pub(crate) ready_limit_ms: u64,
    /// Whether the test instance goes on running after its test.
    #[serde(default)]
    pub(crate) is_test_kept: bool,
}

fn ready_limit_ms() -> u64 {
    READY_LIMIT_MS
}

impl Default for Settings {
    fn default() -> Self {
        Self { production: None, test: None, ready_limit_ms: READY_LIMIT_MS, is_test_kept: false }
    }
}

/// One instance that follows a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bound {
    /// The instance directory.
    pub(crate) directory: PathBuf,
    /// The HA instance of this host, when there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ha_instance: Option<String>,
}

impl Settings {
    /// Reads the settings of the managed system in `home`; `None` when it brings up nothing.
    pub(crate) fn read(home: &Path) -> Result<Option<Self>, SettingsError> {
        let path = home.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SettingsError::Io { doing: "read", path, source }),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| SettingsError::Malformed { path, source })
    }

    /// Writes the settings; without any instance the file goes.
    pub(crate) fn write(&self, home: &Path) -> Result<(), SettingsError> {
        let path = home.join(FILE);
        if self.production.is_none() && self.test.is_none() {
            return match std::fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    Err(SettingsError::Io { doing: "remove", path, source })
                }
                _ => Ok(()),
            };
        }
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|source| SettingsError::Malformed { path: path.clone(), source })?;
        durable::write_atomically(&path, &bytes).map_err(|source| SettingsError::Write { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_written_are_read_again_and_go_with_the_last_instance() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Settings::read(home.path()).unwrap(), None);
        let bound = Bound { directory: "/srv/prod".into(), ha_instance: Some("a".to_owned()) };
        let settings = Settings { production: Some(bound), is_test_kept: true, ..Settings::default() };
        settings.write(home.path()).unwrap();
        assert_eq!(Settings::read(home.path()).unwrap(), Some(settings));
        Settings::default().write(home.path()).unwrap();
        assert_eq!(Settings::read(home.path()).unwrap(), None);
        Settings::default().write(home.path()).unwrap();
    }

    #[test]
    fn settings_with_an_unknown_key_are_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(FILE), r#"{"productoin": {"directory": "/x"}}"#).unwrap();
        let fault = Settings::read(home.path()).unwrap_err();
        assert!(fault.to_string().contains(FILE), "{fault}");
    }
}
