//! Making an instance directory.
//!
//! [`plan`] looks and decides, [`execute`] makes what is missing. What is there already is kept: doing it again is
//! how a unit is written later, or a mode repaired.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tender_content::durable::{self, DurableError};

use super::unit::{self, Unit};
use crate::layout::{LayoutError, create_dir};

const EXAMPLE: &str = include_str!("example.yaml");

/// What is asked for.
#[derive(Debug, Clone)]
pub struct InitRequest {
    /// The instance directory, made when it is missing.
    pub directory: PathBuf,
    /// The product tree, or a link to it.
    pub runtime: PathBuf,
    /// Where extensions go; `<instance>/extensions` when there is none.
    pub extensions: Option<PathBuf>,
    /// The host's name for users; the name of this host when there is none.
    pub host: Option<String>,
    /// Name of the whole; `ZWE1SV` when there is none.
    pub job_name: Option<String>,
    /// Write a systemd unit.
    pub systemd: Option<SystemdRequest>,
}

/// What a systemd unit needs.
#[derive(Debug, Clone)]
pub struct SystemdRequest {
    /// The `tender` program.
    pub program: PathBuf,
    /// Who runs the instance.
    pub user: Option<String>,
    /// Which HA instance.
    pub ha_id: Option<String>,
}

/// Says why an instance directory cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The directory lies in the product.
    #[error("`{}` lies in the runtime directory `{}`, which is never written to", directory.display(), runtime.display())]
    InsideRuntime {
        /// The instance directory.
        directory: PathBuf,
        /// The product tree.
        runtime: PathBuf,
    },
    /// There is no product.
    #[error("runtime directory `{}` is not there", path.display())]
    NoRuntime {
        /// Where it should be.
        path: PathBuf,
    },
    /// A path cannot be written into a configuration.
    #[error("path `{}` is not UTF-8 or has control characters", path.display())]
    Path {
        /// Which.
        path: PathBuf,
    },
    /// A job name is not usable.
    #[error("job name `{name}` needs 3 to 8 letters, digits, $, # or @")]
    JobName {
        /// As given.
        name: String,
    },
    /// The user cannot be used.
    #[error("make the instance for user `{name}`: {reason}")]
    User {
        /// As given.
        name: String,
        /// Why not.
        reason: String,
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
    /// A directory could not be made.
    #[error("make the instance directory")]
    Layout(#[from] LayoutError),
    /// A file could not be written.
    #[error("write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: DurableError,
    },
}

/// What is to be done, in order; empty when all is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitPlan {
    /// The instance directory, absolute.
    pub directory: PathBuf,
    /// The steps.
    pub steps: Vec<InitStep>,
    /// Who gets what is made, except for the unit; whoever makes it when there is none.
    pub owner: Option<InstanceOwner>,
}

/// One step; each may be done twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum InitStep {
    /// Make a directory.
    Directory {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Write a file.
    File {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its content.
        text: String,
    },
}

/// The user that an instance is made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceOwner {
    /// The name.
    pub name: String,
    /// The user id.
    pub uid: u32,
    /// The id of the user's group.
    pub gid: u32,
}

/// Decides what is to be done.
pub fn plan(request: &InitRequest) -> Result<InitPlan, InitError> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|source| InitError::Look { path: path.to_owned(), source })
    };
    let (directory, runtime) = (absolute(&request.directory)?, absolute(&request.runtime)?);
    if !runtime.is_dir() {
        return Err(InitError::NoRuntime { path: runtime });
    }
    for path in [Some(&directory), request.extensions.as_ref()].into_iter().flatten() {
        if is_inside(path, &runtime) {
            return Err(InitError::InsideRuntime { directory: path.clone(), runtime });
        }
    }
    let user = request.systemd.as_ref().and_then(|systemd| systemd.user.as_deref());
    let owner = user.map(owner_of).transpose()?;
    let mut steps = Vec::new();
    for (name, mode) in [("", 0o775), ("logs", 0o770), ("workspace", 0o770)] {
        let path = if name.is_empty() { directory.clone() } else { directory.join(name) };
        if !path.is_dir() {
            steps.push(InitStep::Directory { path, mode });
        }
    }
    let extensions = match &request.extensions {
        Some(path) => absolute(path)?,
        None => directory.join("extensions"),
    };
    if !extensions.is_dir() {
        steps.push(InitStep::Directory { path: extensions.clone(), mode: 0o775 });
    }
    let configuration = directory.join("zowe.yaml");
    if !configuration.exists() && !directory.join("instance.env").exists() {
        let text = example(request, &directory, &runtime, &extensions)?;
        steps.push(InitStep::File { path: configuration, mode: 0o640, text });
    }
    if let Some(systemd) = &request.systemd {
        let path = directory.join(unit_name(&directory, systemd.ha_id.as_deref()));
        let text = unit::text(&Unit {
            directory: &directory,
            ha_id: systemd.ha_id.as_deref(),
            program: &systemd.program,
            user: systemd.user.as_deref(),
        });
        if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            steps.push(InitStep::File { path, mode: 0o644, text });
        }
    }
    Ok(InitPlan { directory, steps, owner })
}

/// Carries a plan out.
pub fn execute(plan: &InitPlan) -> Result<(), InitError> {
    for step in &plan.steps {
        match step {
            InitStep::Directory { path, mode } => {
                create_dir(path, *mode)?;
                give(path, plan.owner.as_ref())?;
            }
            InitStep::File { path, mode, text } => {
                let failed = |source| InitError::Write { path: path.clone(), source };
                durable::write_secret_atomically(path, text.as_bytes()).map_err(failed)?;
                let failed =
                    |source| LayoutError::File { step: "set the mode of", path: path.clone(), source };
                fs::set_permissions(path, Permissions::from_mode(*mode)).map_err(failed)?;
                if path.extension().is_none_or(|extension| extension != "service") {
                    give(path, plan.owner.as_ref())?;
                }
            }
        }
    }
    Ok(())
}

/// Finds a user, also one that a directory service knows; only root makes instances for others.
fn owner_of(name: &str) -> Result<InstanceOwner, InitError> {
    let failed = |reason: String| InitError::User { name: name.to_owned(), reason };
    if name.is_empty() || name.starts_with('-') {
        return Err(failed("it is no name".to_owned()));
    }
    let output = std::process::Command::new("getent").args(["passwd", name]).output();
    let output = output.map_err(|error| failed(format!("run getent: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let fields: Vec<&str> = text.trim().split(':').collect();
    let id = |index: usize| fields.get(index).and_then(|field| field.parse::<u32>().ok());
    let (Some(uid), Some(gid)) = (id(2), id(3)) else {
        return Err(failed("this system does not know it".to_owned()));
    };
    let own = rustix::process::geteuid();
    if !own.is_root() && own.as_raw() != uid {
        return Err(failed("only root makes an instance for another user".to_owned()));
    }
    Ok(InstanceOwner { name: name.to_owned(), uid, gid })
}

fn give(path: &Path, owner: Option<&InstanceOwner>) -> Result<(), LayoutError> {
    let Some(owner) = owner else { return Ok(()) };
    let failed = |source| LayoutError::File { step: "set the owner of", path: path.to_owned(), source };
    std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid)).map_err(failed)
}

/// Returns the file name of the unit, such as `tender-payments.service`.
fn unit_name(directory: &Path, ha_id: Option<&str>) -> String {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let safe: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    match ha_id {
        Some(id) => format!("tender-{safe}-{id}.service"),
        None => format!("tender-{safe}.service"),
    }
}

/// Says whether `path` lies in `runtime`, also through links.
fn is_inside(path: &Path, runtime: &Path) -> bool {
    let resolved = runtime.canonicalize().unwrap_or_else(|_| runtime.to_owned());
    let existing = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    path.starts_with(runtime) || existing.is_some_and(|existing| existing.starts_with(&resolved))
}

fn example(
    request: &InitRequest,
    directory: &Path,
    runtime: &Path,
    extensions: &Path,
) -> Result<String, InitError> {
    let job = request.job_name.as_deref().unwrap_or("ZWE1SV");
    let is_job = (3..=8).contains(&job.len())
        && job.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"$#@".contains(&byte));
    if !is_job {
        return Err(InitError::JobName { name: job.to_owned() });
    }
    let prefix = job.strip_suffix("SV").filter(|prefix| !prefix.is_empty()).unwrap_or(job);
    let host = request
        .host
        .clone()
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let path = |path: &Path| match path.to_str() {
        Some(text) if !text.contains(char::is_control) => Ok(yaml_quoted(text)),
        _ => Err(InitError::Path { path: path.to_owned() }),
    };
    Ok(EXAMPLE
        .replace("@RUNTIME@", &path(runtime)?)
        .replace("@LOGS@", &path(&directory.join("logs"))?)
        .replace("@WORKSPACE@", &path(&directory.join("workspace"))?)
        .replace("@EXTENSIONS@", &path(extensions)?)
        .replace("@DIRECTORY@", &directory.display().to_string())
        .replace("@JOB@", &yaml_quoted(job))
        .replace("@PREFIX@", &yaml_quoted(prefix))
        .replace("@HOST@", &yaml_quoted(&host)))
}

/// Writes a text as a YAML scalar.
fn yaml_quoted(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    if is_plain { text.to_owned() } else { serde_json::to_string(text).expect("a text is JSON") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(dir: &Path) -> InitRequest {
        fs::create_dir_all(dir.join("runtime")).unwrap();
        InitRequest {
            directory: dir.join("my instance"),
            runtime: dir.join("runtime"),
            extensions: None,
            host: Some("host.example.com".to_owned()),
            job_name: None,
            systemd: Some(SystemdRequest { program: "/usr/bin/tender".into(), user: None, ha_id: None }),
        }
    }

    #[test]
    fn instance_is_made_once_and_kept_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let first = plan(&request(dir.path())).unwrap();
        assert!(!first.directory.exists());
        execute(&first).unwrap();
        let yaml = fs::read_to_string(first.directory.join("zowe.yaml")).unwrap();
        assert!(yaml.contains("my instance/logs\"") && !yaml.contains('@'), "{yaml}");
        let unit = fs::read_to_string(first.directory.join("tender-my-instance.service")).unwrap();
        assert!(unit.contains("ExecStart=/usr/bin/tender launcher run"));
        assert_eq!(plan(&request(dir.path())).unwrap().steps, []);
        fs::write(first.directory.join("zowe.yaml"), "mine").unwrap();
        execute(&plan(&request(dir.path())).unwrap()).unwrap();
        assert_eq!(fs::read_to_string(first.directory.join("zowe.yaml")).unwrap(), "mine");
    }

    #[test]
    fn instance_for_a_user_belongs_to_that_user_and_its_unit_to_root() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let mut request = request(dir.path());
        let user = |name: &str| {
            let user = Some(name.to_owned());
            Some(SystemdRequest { program: "/usr/bin/tender".into(), user, ha_id: None })
        };
        request.systemd = user("no-such-user");
        assert!(matches!(plan(&request), Err(InitError::User { name, .. }) if name == "no-such-user"));
        request.systemd = user("daemon");
        if !rustix::process::geteuid().is_root() {
            assert!(matches!(plan(&request), Err(InitError::User { .. })));
            return;
        }
        let plan = plan(&request).unwrap();
        execute(&plan).unwrap();
        let owner = |name: &str| fs::metadata(plan.directory.join(name)).unwrap().uid();
        let uid = plan.owner.as_ref().unwrap().uid;
        assert_ne!(uid, 0);
        assert!(["", "logs", "workspace", "extensions", "zowe.yaml"].iter().all(|name| owner(name) == uid));
        assert_eq!(owner("tender-my-instance.service"), 0);
    }

    #[test]
    fn directory_inside_the_runtime_is_refused_also_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let mut inside = request(dir.path());
        inside.directory = dir.path().join("runtime/instance");
        assert!(matches!(plan(&inside), Err(InitError::InsideRuntime { .. })));
        std::os::unix::fs::symlink("runtime", dir.path().join("link")).unwrap();
        inside.directory = dir.path().join("link/instance");
        assert!(matches!(plan(&inside), Err(InitError::InsideRuntime { .. })));
    }

    #[test]
    fn wrong_job_name_and_missing_runtime_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut wrong = request(dir.path());
        wrong.job_name = Some("much too long".to_owned());
        assert!(matches!(plan(&wrong), Err(InitError::JobName { .. })));
        wrong.runtime = dir.path().join("none");
        assert!(matches!(plan(&wrong), Err(InitError::NoRuntime { .. })));
    }
}
