//! The build step: parts to objects, by the recipes in a component's manifest.
//!
//! Without a recipe a part is copied. A recipe runs a command in a clean directory that holds its inputs, and the parts
//! its command names, and nothing else: what was not declared is not there. Equal inputs are never built twice.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};
use tender_content::{Digest, Node, PartPath, Tree, tree::TreeError};

use crate::error::ServiceError;
use crate::principal::Principal;
use crate::tables::levels;

/// How one object is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Its name, for messages.
    pub object: String,
    /// Patterns of the parts it is made of.
    pub inputs: Vec<String>,
    /// The command and its arguments; no shell reads it.
    pub command: Vec<String>,
    /// The parts it makes.
    pub outputs: Vec<String>,
    /// Seconds it may take.
    #[serde(default = "timeout_default_s")]
    pub timeout_s: u64,
    /// Whether its inputs stay in what runs.
    #[serde(default)]
    pub keep_inputs: bool,
}

const fn timeout_default_s() -> u64 {
    300
}

/// Says why an object was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The recipe makes no sense.
    #[error("the recipe has a fault: {reason}")]
    Recipe {
        /// What is wrong.
        reason: String,
    },
    /// The command could not be started.
    #[error("command `{command}` could not be started")]
    Start {
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The command failed.
    #[error("command `{command}` ended with {status}: {said}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        said: String,
    },
    /// The command took too long and was killed with everything it started.
    #[error("command `{command}` was killed after {timeout_s} s")]
    TimedOut {
        /// The command.
        command: String,
        /// How long it had.
        timeout_s: u64,
    },
    /// The command did not make what it should.
    #[error("command `{command}` did not make `{}`", output.display())]
    NoOutput {
        /// The command.
        command: String,
        /// What is missing.
        output: PathBuf,
    },
    /// What it made does not fit into the component.
    #[error("what it made does not fit")]
    Fit {
        /// Why.
        #[source]
        source: TreeError,
    },
    /// A file could not be read or written.
    #[error("working directory {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store or the tables failed.
    #[error("keeping records")]
    Service(#[source] Box<ServiceError>),
}

/// What one component's build led to.
#[derive(Debug)]
pub struct Built {
    /// The tree that runs; absent while an object is not built.
    pub tree: Option<Tree>,
    /// Objects that were built now.
    pub built: Vec<String>,
    /// Objects that were not built, each with the cause.
    pub failed: Vec<(String, BuildError)>,
}

impl Recipe {
    fn inputs_of(&self, source: &Tree) -> Result<Tree, BuildError> {
        let patterns = self.patterns()?;
        let is_named = |path: &PartPath| self.command.iter().any(|word| word == path.as_str());
        let inputs = source.iter().filter(|(path, _)| patterns.is_match(path.as_str()) || is_named(path));
        let nodes = inputs.map(|(path, node)| (path.clone(), node.clone())).collect();
        Tree::from_nodes(nodes).map_err(|source| BuildError::Fit { source })
    }

    fn patterns(&self) -> Result<GlobSet, BuildError> {
        let fault = |error: globset::Error| BuildError::Recipe { reason: error.to_string() };
        let mut set = GlobSetBuilder::new();
        for pattern in &self.inputs {
            set.add(GlobBuilder::new(pattern).literal_separator(true).build().map_err(fault)?);
        }
        set.build().map_err(fault)
    }

    fn digest(&self) -> Digest {
        Digest::of(serde_json::to_string(self).expect("a recipe has only text").as_bytes())
    }

    fn command_line(&self) -> String {
        self.command.join(" ")
    }
}

/// Returns what runs when every object was built before; `None` when one was not.
pub(crate) fn known_tree(
    principal: &Principal,
    source: &Tree,
    recipes: &[Recipe],
) -> Result<Option<Tree>, BuildError> {
    let mut outputs = Vec::new();
    for recipe in recipes {
        let inputs = recipe.inputs_of(source)?;
        let known =
            levels::built(&principal.tables(), &recipe.digest(), &inputs.digest()).map_err(service)?;
        let Some(digest) = known else { return Ok(None) };
        outputs.push((recipe, principal.tree(&digest).map_err(service)?));
    }
    assemble(source, &outputs).map(Some)
}

/// Lists the objects of one component that were not built from the same inputs before.
pub(crate) fn unbuilt_objects(
    principal: &Principal,
    source: &Tree,
    recipes: &[Recipe],
) -> Result<Vec<String>, BuildError> {
    let mut names = Vec::new();
    for recipe in recipes {
        let inputs = recipe.inputs_of(source)?.digest();
        if levels::built(&principal.tables(), &recipe.digest(), &inputs).map_err(service)?.is_none() {
            names.push(recipe.object.clone());
        }
    }
    Ok(names)
}

/// Builds the objects of one component that were not built from the same inputs before.
pub(crate) fn build(principal: &Principal, work: &Path, source: &Tree, recipes: &[Recipe]) -> Built {
    let (mut built, mut failed, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
    for recipe in recipes {
        match build_object(principal, work, source, recipe) {
            Ok((tree, is_new)) => {
                if is_new {
                    built.push(recipe.object.clone());
                }
                outputs.push((recipe, tree));
            }
            Err(error) => failed.push((recipe.object.clone(), error)),
        }
    }
    if !failed.is_empty() {
        return Built { tree: None, built, failed };
    }
    match assemble(source, &outputs) {
        Ok(tree) => Built { tree: Some(tree), built, failed },
        Err(error) => Built { tree: None, built, failed: vec![("all objects".to_owned(), error)] },
    }
}

fn service(error: ServiceError) -> BuildError {
    BuildError::Service(Box::new(error))
}

/// Replaces inputs by what was made of them.
fn assemble(source: &Tree, outputs: &[(&Recipe, Tree)]) -> Result<Tree, BuildError> {
    let mut nodes = source.clone().into_nodes();
    for (recipe, _) in outputs.iter().filter(|(recipe, _)| !recipe.keep_inputs) {
        let patterns = recipe.patterns()?;
        nodes.retain(|path, _| !patterns.is_match(path.as_str()));
    }
    for (_, tree) in outputs {
        nodes.extend(tree.iter().map(|(path, node)| (path.clone(), node.clone())));
    }
    Tree::from_nodes(nodes).map_err(|source| BuildError::Fit { source })
}

/// Builds one object; tells whether it was built now.
fn build_object(
    principal: &Principal,
    work: &Path,
    source: &Tree,
    recipe: &Recipe,
) -> Result<(Tree, bool), BuildError> {
    let inputs = recipe.inputs_of(source)?;
    let (recipe_digest, inputs_digest) = (recipe.digest(), inputs.digest());
    let known = levels::built(&principal.tables(), &recipe_digest, &inputs_digest).map_err(service)?;
    if let Some(digest) = known {
        return Ok((principal.tree(&digest).map_err(service)?, false));
    }
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| BuildError::Io { path, source }
    };
    fs::create_dir_all(work).map_err(io(work))?;
    let directory = tempfile::Builder::new().prefix("build-").tempdir_in(work).map_err(io(work))?;
    lay_out(principal, &inputs, directory.path())?;
    run(recipe, directory.path())?;
    let outputs = collect(principal, recipe, directory.path())?;
    let digest = principal.keep_tree(&outputs).map_err(service)?;
    principal.sync_store().map_err(service)?;
    levels::record_built(&principal.tables(), &recipe_digest, &inputs_digest, &digest).map_err(service)?;
    Ok((outputs, true))
}

/// Writes the inputs as ordinary files that the command may change.
fn lay_out(principal: &Principal, inputs: &Tree, directory: &Path) -> Result<(), BuildError> {
    for (path, node) in inputs.iter() {
        let place = path.below(directory);
        let io = |source| BuildError::Io { path: place.clone(), source };
        let above = place.parent().unwrap_or(directory);
        fs::create_dir_all(above).map_err(io)?;
        match node {
            Node::File { mode, digest, .. } => {
                let doing = format!("reading part {path}");
                let bytes = principal
                    .store()
                    .read(digest)
                    .map_err(|error| service(ServiceError::content(doing)(error)))?;
                fs::write(&place, bytes).map_err(io)?;
                fs::set_permissions(&place, fs::Permissions::from_mode(mode | 0o600)).map_err(io)?;
            }
            Node::Symlink { target } => symlink(target, &place).map_err(io)?,
            Node::Directory => fs::create_dir(&place).map_err(io)?,
        }
    }
    Ok(())
}

fn run(recipe: &Recipe, directory: &Path) -> Result<(), BuildError> {
    const LOG: &str = ".tender-build.log";
    let command_line = recipe.command_line();
    let Some((program, arguments)) = recipe.command.split_first() else {
        return Err(BuildError::Recipe { reason: format!("object {} has no command", recipe.object) });
    };
    let program = if program.contains('/') { directory.join(program) } else { PathBuf::from(program) };
    let log_path = directory.join(LOG);
    let log =
        fs::File::create(&log_path).map_err(|source| BuildError::Io { path: log_path.clone(), source })?;
    let second = log.try_clone().map_err(|source| BuildError::Io { path: log_path.clone(), source })?;
    let child = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("TZ", "UTC")])
        .env("HOME", directory)
        .env("SOURCE_DATE_EPOCH", "0")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(second)
        .process_group(0)
        .spawn()
        .map_err(|source| BuildError::Start { command: command_line.clone(), source })?;
    match wait(child, Duration::from_secs(recipe.timeout_s)) {
        Some(Ok(status)) if status.success() => Ok(()),
        Some(Ok(status)) => {
            Err(BuildError::Failed { command: command_line, status, said: end_of(&log_path) })
        }
        Some(Err(source)) => Err(BuildError::Start { command: command_line, source }),
        None => Err(BuildError::TimedOut { command: command_line, timeout_s: recipe.timeout_s }),
    }
}

/// Waits for a command; afterwards its whole process group is gone. `None` when it took too long.
fn wait(mut child: Child, timeout: Duration) -> Option<std::io::Result<ExitStatus>> {
    let group = rustix::process::Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    let waiter = std::thread::spawn(move || sender.send(child.wait()));
    let status = receiver.recv_timeout(timeout).ok();
    // Fails only when nobody of the group is left, which is what is wanted.
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    drop(waiter.join());
    status
}

fn end_of(log: &Path) -> String {
    let mut bytes = Vec::new();
    let read = fs::File::open(log).and_then(|file| file.take(1 << 20).read_to_end(&mut bytes));
    if let Err(error) = read {
        return format!("(its output cannot be read: {error})");
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

fn collect(principal: &Principal, recipe: &Recipe, directory: &Path) -> Result<Tree, BuildError> {
    let mut nodes = std::collections::BTreeMap::new();
    for output in &recipe.outputs {
        let path = PartPath::new(output.as_str())
            .map_err(|error| BuildError::Recipe { reason: error.to_string() })?;
        let place = path.below(directory);
        let no_output = || BuildError::NoOutput { command: recipe.command_line(), output: output.into() };
        let metadata = fs::symlink_metadata(&place).map_err(|_| no_output())?;
        let io = |source| BuildError::Io { path: place.clone(), source };
        let node = if metadata.is_symlink() {
            let target = fs::read_link(&place).map_err(io)?.to_string_lossy().into_owned();
            Node::Symlink { target }
        } else if metadata.is_file() {
            let doing = format!("keeping {output}");
            let (digest, size) = principal
                .store()
                .put_file(&place)
                .map_err(|error| service(ServiceError::content(doing)(error)))?;
            // The umask of whoever builds must not show in the level.
            let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            Node::File { mode, size, digest }
        } else {
            return Err(no_output());
        };
        nodes.insert(path, node);
    }
    Tree::from_nodes(nodes).map_err(|source| BuildError::Fit { source })
}
