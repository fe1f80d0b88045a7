//! The directories of a managed system and its configuration.
//!
//! ```text
//! agent.json     how this agent runs                 bases/<vrm>.json     which BASE is held
//! state.json     managed or not, overrides           identity/            trusted root, certificates
//! incoming/      all the receiver may write          objects/             parts by digest
//! levels/<vrm>/<LEVEL>.<gen>/ and .json              test current previous  the slots, links into levels/
//! changes/       parts changed by hand               (changes.json, and parts by digest)
//! requests/<id>/ durable journal                     results/<id>.json .log until the principal has them
//! logs/          audit.log, executor.log             run/                 locks      cache/  scan caches
//! ```

use std::io::Read as _;
use std::num::NonZeroU16;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tender_content::durable::{self, DurableError};
use tender_content::store::{ObjectStore, StoreError};
use tender_package::{LevelRef, Variant, Vrm};

/// The largest file of our own that is read as JSON; a manifest with a hundred thousand fixes stays below it.
const JSON_BYTES_MAX: u64 = 256 << 20;

/// How an agent runs: `agent.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// The system's name at its principal.
    pub name: String,
    /// The tag that levels for this system must have.
    #[serde(default)]
    pub variant: Variant,
    /// Address to listen at.
    #[serde(default = "default_listen")]
    pub listen: std::net::IpAddr,
    /// Control port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// First and last passive data port.
    #[serde(default = "default_passive_ports")]
    pub passive_ports: (u16, u16),
    /// Whether sessions without TLS are accepted. Anyone on the way can then read and change what is sent; only
    /// the signatures of packages still hold.
    #[serde(default)]
    pub clear_text_allowed: bool,
    /// Bytes that may lie in `incoming/`.
    #[serde(default = "default_quota_bytes")]
    pub quota_bytes: u64,
    /// Bytes that must stay free after a level was loaded.
    #[serde(default = "default_free_bytes_min")]
    pub free_bytes_min: u64,
    /// Acknowledged results that are kept for people.
    #[serde(default = "default_results_kept")]
    pub results_kept: NonZeroU16,
}

fn default_listen() -> std::net::IpAddr {
    std::net::Ipv4Addr::UNSPECIFIED.into()
}

fn default_port() -> u16 {
    4535
}

fn default_passive_ports() -> (u16, u16) {
    (4534, 4534)
}

fn default_quota_bytes() -> u64 {
    16 << 30
}

fn default_free_bytes_min() -> u64 {
    64 << 20
}

fn default_results_kept() -> NonZeroU16 {
    NonZeroU16::new(100).expect("100 is not 0")
}

impl AgentConfig {
    /// Returns the configuration of a system that says nothing but its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            variant: Variant::default(),
            listen: default_listen(),
            port: default_port(),
            passive_ports: default_passive_ports(),
            clear_text_allowed: false,
            quota_bytes: default_quota_bytes(),
            free_bytes_min: default_free_bytes_min(),
            results_kept: default_results_kept(),
        }
    }
}

/// Says what went wrong with a file of the managed system.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is no agent in this directory.
    #[error("`{}` holds no managed system; make one with `tender agent init NAME`", path.display())]
    NotAHome {
        /// The directory.
        path: PathBuf,
    },
    /// A file or directory could not be used.
    #[error("{step} `{}`", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be written durably.
    #[error("write `{}`", path.display())]
    Durable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: DurableError,
    },
    /// A file is not what it should be.
    #[error("`{}` cannot be read as what it should be", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The object store failed.
    #[error("open the object store")]
    Store(#[source] StoreError),
}

impl HomeError {
    pub(crate) fn io(step: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { step, path, source }
    }

    pub(crate) fn durable(path: &Path) -> impl FnOnce(DurableError) -> Self {
        let path = path.to_owned();
        move |source| Self::Durable { path, source }
    }
}

/// The directory of a managed system.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
    config: AgentConfig,
}

const DIRECTORIES: [&str; 12] = [
    "bases",
    "cache",
    "changes",
    "identity",
    "incoming/requests",
    "levels",
    "logs",
    "objects",
    "requests",
    "results",
    "run",
    "identity/tuf",
];

impl Home {
    /// Makes the directories of a managed system, or changes the configuration of one that exists.
    pub fn create(root: &Path, config: &AgentConfig) -> Result<Self, HomeError> {
        for below in DIRECTORIES {
            let path = root.join(below);
            std::fs::create_dir_all(&path).map_err(HomeError::io("make directory", &path))?;
        }
        // Keys and what was received are nobody else's business.
        for private in ["identity", "incoming"] {
            let path = root.join(private);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))
                .map_err(HomeError::io("set the mode of", &path))?;
        }
        write_json(&root.join("agent.json"), config)?;
        Self::open(root)
    }

    /// Opens a managed system that exists.
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        let config = read_json(&root.join("agent.json"))?
            .ok_or_else(|| HomeError::NotAHome { path: root.to_owned() })?;
        // Slots hold relative links and steps run in any directory, so one absolute name is used everywhere.
        let root = root.canonicalize().map_err(HomeError::io("find", root))?;
        Ok(Self { root, config })
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &AgentConfig {
        &self.config
    }

    /// Returns the directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory that the receiver may write, and the principal through it.
    #[must_use]
    pub fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    /// Returns the directory of results, which the principal may read.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.root.join("results")
    }

    /// Returns the directory of what was changed by hand, which the principal may read.
    #[must_use]
    pub fn changes(&self) -> PathBuf {
        self.root.join("changes")
    }

    /// Returns the directory of logs, which the principal may read.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Returns the directory with keys, certificates and the trusted root.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }

    /// Returns the file of the trusted root metadata, brought by enrolment.
    #[must_use]
    pub fn trusted_root(&self) -> PathBuf {
        self.identity().join("root.json")
    }

    /// Returns the file with the password for sessions without TLS: one line that only its owner may read.
    #[must_use]
    pub fn clear_password(&self) -> PathBuf {
        self.identity().join("clear-password")
    }

    /// Makes a random password for sessions without TLS, unless there is one; returns its file.
    pub fn ensure_clear_password(&self) -> Result<PathBuf, HomeError> {
        let path = self.clear_password();
        if path.try_exists().map_err(HomeError::io("look for", &path))? {
            return Ok(path);
        }
        let source = Path::new("/dev/urandom");
        let mut random = [0; 20];
        std::fs::File::open(source)
            .and_then(|mut file| file.read_exact(&mut random))
            .map_err(HomeError::io("read", source))?;
        let line: String = random.iter().map(|byte| format!("{byte:02x}")).chain(["\n".to_owned()]).collect();
        durable::write_secret_atomically(&path, line.as_bytes()).map_err(HomeError::durable(&path))?;
        Ok(path)
    }

    /// Returns where a release's received packages lie.
    #[must_use]
    pub fn received(&self, vrm: &Vrm) -> PathBuf {
        self.incoming().join(vrm.as_str())
    }

    /// Returns the append-only record of every change.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.root.join("logs/audit.log")
    }

    /// Returns the runtime directory of a loaded level.
    #[must_use]
    pub fn level_dir(&self, level: &LevelRef) -> PathBuf {
        self.root.join(self.level_link(level))
    }

    /// Opens the object store: `objects/`, and `tmp/` for what is being written.
    pub fn store(&self) -> Result<ObjectStore, HomeError> {
        ObjectStore::open(&self.root).map_err(HomeError::Store)
    }

    /// Returns how many bytes are free where levels are kept.
    pub fn free_bytes(&self) -> Result<u64, HomeError> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|error| HomeError::io("look at the file system of", &self.root)(error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Returns what a slot's link holds for a level: relative, so that the home can be moved.
    #[expect(clippy::unused_self, reason = "the shape of a link belongs to the home")]
    pub(crate) fn level_link(&self, level: &LevelRef) -> PathBuf {
        PathBuf::from(format!("levels/{}/{}.{}", level.vrm, level.level, level.generation))
    }

    pub(crate) fn level_record(&self, level: &LevelRef) -> PathBuf {
        self.root.join(format!("levels/{}/{}.{}.json", level.vrm, level.level, level.generation))
    }

    pub(crate) fn base_record(&self, vrm: &Vrm) -> PathBuf {
        self.root.join(format!("bases/{vrm}.json"))
    }

    /// Returns the link that is a slot, whether the slot is taken or not.
    #[must_use]
    pub fn slot_link(&self, slot: crate::slots::Slot) -> PathBuf {
        self.root.join(slot.word())
    }

    pub(crate) fn request_dir(&self, id: &str) -> PathBuf {
        self.root.join("requests").join(id)
    }

    pub(crate) fn result_file(&self, id: &str) -> PathBuf {
        self.results().join(format!("{id}.json"))
    }

    pub(crate) fn log_file(&self, id: &str) -> PathBuf {
        self.results().join(format!("{id}.log"))
    }

    /// Returns where one of the two processes remembers the newest metadata it accepted.
    pub(crate) fn datastore(&self, vrm: &Vrm, who: Verifier) -> PathBuf {
        let who = match who {
            Verifier::Receiver => "receiver",
            Verifier::Executor => "executor",
        };
        self.identity().join(format!("tuf/{who}-{vrm}"))
    }
}

/// Who verifies a package: each trusts only its own memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verifier {
    Receiver,
    Executor,
}

/// Reads a file of ours; `None` when it is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, HomeError> {
    let too_large = |length| std::io::Error::other(format!("{length} bytes are too many"));
    let bytes = match std::fs::metadata(path) {
        Ok(found) if found.len() > JSON_BYTES_MAX => Err(too_large(found.len())),
        _ => std::fs::read(path),
    };
    match bytes {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| HomeError::Malformed { path: path.to_owned(), source }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HomeError::io("read", path)(error)),
    }
}

/// Writes a file of ours durably.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), HomeError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|source| HomeError::Malformed { path: path.to_owned(), source })?;
    bytes.push(b'\n');
    durable::write_atomically(path, &bytes).map_err(HomeError::durable(path))
}

/// Removes a file; one that is not there is already removed.
pub(crate) fn remove_file(path: &Path) -> Result<(), HomeError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(HomeError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_with_a_name_only_has_the_registered_ports() {
        let config: AgentConfig = serde_json::from_str(r#"{"name":"VM01"}"#).unwrap();
        assert_eq!(config, AgentConfig::named("VM01"));
        assert_eq!((config.port, config.passive_ports), (4535, (4534, 4534)));
        assert!(!config.clear_text_allowed);
    }

    #[test]
    fn config_with_an_unknown_field_is_refused() {
        assert!(serde_json::from_str::<AgentConfig>(r#"{"name":"VM01","prot":1}"#).is_err());
    }

    #[test]
    fn clear_password_is_made_once_random_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let password = |name: &str| {
            let home = Home::create(&dir.path().join(name), &AgentConfig::named(name)).unwrap();
            let path = home.ensure_clear_password().unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            (tender_transport::server::read_password(&path).unwrap(), path)
        };
        let (first, path) = password("VM01");
        assert_eq!(first.len(), 40);
        assert_ne!(password("VM02").0, first);
        std::fs::write(&path, "chosen by hand\n").unwrap();
        assert_eq!(password("VM01").0, "chosen by hand");
    }

    #[test]
    fn home_that_was_never_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Home::open(&dir.path().join("nothing")).unwrap_err();
        assert!(matches!(error, HomeError::NotAHome { .. }), "{error}");
    }
}
