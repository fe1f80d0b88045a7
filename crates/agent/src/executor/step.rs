//! The steps that plans are made of. Each may be cut off anywhere and done again.

use std::error::Error;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tender_content::materialise::{MaterialiseError, materialise_into, remove_tree};
use tender_content::scan::ScanMode;
use tender_content::servlink::{self, ApplyError, ApplyLimits};
use tender_content::store::StoreError;
use tender_content::{Digest, Tree, durable, slot};
use tender_package::repository::{RepositoryError, Verified};
use tender_package::{ComponentName, LevelRef, ReturnCode, Vrm};

use super::{Context, collect, trusted_root};
use crate::base::BaseRecord;
use crate::changes::{self, ChangesError};
use crate::home::{HomeError, Verifier, write_json};
use crate::hooks::HookError;
use crate::managed::ManagedState;
use crate::open_up;
use crate::slots::{Contents, LevelRecord, Slot};
use crate::trees::{self, TreesError};

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub(crate) enum Step {
    /// Copies a received file to where the receiver cannot change it, and verifies the copy.
    Stage { vrm: Vrm, target: String, file: String },
    /// Makes a component's tree from the staged servlink.
    Apply { component: ComponentName, file: String, from: Option<Digest>, to: Digest },
    /// Makes the runtime directory of a level, or makes it again when parts differ.
    Materialise { contents: Contents },
    /// Hashes every part of a runtime directory.
    Verify { contents: Contents },
    /// Remembers a BASE.
    Base { record: BaseRecord },
    /// Remembers a level.
    Record { record: Box<LevelRecord> },
    /// Makes a slot name a level, or nothing.
    Slot { slot: Slot, level: Option<LevelRef> },
    /// Lets the lifecycle check and configure a level before it is switched to.
    Validate { level: LevelRef },
    /// Lets the lifecycle restart what changed.
    Restart { level: Option<LevelRef> },
    /// Lets the lifecycle run a test instance on slot `test`; keeps what it showed for the result.
    TestRun { level: LevelRef },
    /// Remembers whether this system is managed, and its overrides.
    State { state: ManagedState },
    /// Makes components of slot `current` writable for emergency service, apart from the objects they share.
    OpenUp { level: LevelRef, components: Vec<ComponentName> },
    /// Takes write permission away again.
    Seal { level: LevelRef, components: Vec<ComponentName> },
    /// Removes levels and objects that no slot and no BASE needs.
    Collect,
}

/// Says why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("verify the package")]
    Package(#[source] RepositoryError),
    #[error("trust the package: {0}")]
    Untrusted(String),
    #[error("apply the servlink of component `{component}`")]
    Apply {
        component: ComponentName,
        #[source]
        source: Box<ApplyError>,
    },
    #[error("use BASE of component `{component}`")]
    Base {
        component: ComponentName,
        #[source]
        source: Box<TreesError>,
    },
    #[error("the servlink of component `{component}` leads to tree {} instead of {}", found.short(), expected.short())]
    OtherTree { component: ComponentName, found: Digest, expected: Digest },
    #[error("use the object store")]
    Store(#[source] StoreError),
    #[error("make the runtime directory of {level}")]
    Materialise {
        level: LevelRef,
        #[source]
        source: Box<MaterialiseError>,
    },
    #[error("{count} parts of {level} are not as its manifest says, such as {example}")]
    Differs { level: LevelRef, count: usize, example: String },
    #[error("compare {level} with its manifest")]
    Trees {
        level: LevelRef,
        #[source]
        source: Box<TreesError>,
    },
    #[error("use the files of this system")]
    Home(#[source] HomeError),
    #[error("switch slot `{slot}`")]
    Switch {
        slot: &'static str,
        #[source]
        source: durable::DurableError,
    },
    #[error("lifecycle")]
    Hook(#[source] HookError),
    #[error("remove what is no longer needed")]
    Collect(#[source] collect::CollectError),
    #[error("keep what was changed by hand")]
    Changes(#[source] ChangesError),
    #[error("exchange `{}` for the directory made again", path.display())]
    Exchange {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl StepError {
    fn trees(level: &LevelRef, source: TreesError) -> Self {
        Self::Trees { level: level.clone(), source: Box::new(source) }
    }

    /// Returns what the request ends with.
    pub(crate) fn code(&self) -> ReturnCode {
        match self {
            Self::Hook(_) => ReturnCode::Outside,
            Self::Changes(ChangesError::Moved { .. }) => ReturnCode::Outside,
            other => code_of(other),
        }
    }
}

/// Tells failures of the world from failures of trust: a full disk is no forgery.
pub(crate) fn code_of(error: &(dyn Error + 'static)) -> ReturnCode {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(repository) = cause.downcast_ref::<RepositoryError>() {
            return match repository {
                RepositoryError::Expired { .. } | RepositoryError::Format { .. } => ReturnCode::Refused,
                RepositoryError::UnknownTarget { .. } => ReturnCode::Unknown,
                other if other.is_integrity() => ReturnCode::Integrity,
                _ => ReturnCode::Outside,
            };
        }
        if let Some(TreesError::Rework { .. }) = cause.downcast_ref::<TreesError>() {
            return ReturnCode::Refused;
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => ReturnCode::Integrity,
                _ => ReturnCode::Outside,
            };
        }
        next = cause.source();
    }
    ReturnCode::Integrity
}

impl Step {
    /// Returns the step's name in fault points.
    pub(crate) fn label(&self, verb: &str) -> &'static str {
        match self {
            Self::Stage { .. } => "stage",
            Self::Apply { .. } => "apply",
            Self::Materialise { .. } => "materialise",
            Self::Verify { .. } => "verify",
            Self::Base { .. } => "base",
            Self::Record { .. } => "record",
            Self::Slot { slot: Slot::Current, .. } => "switch",
            Self::Slot { slot: Slot::Previous, .. } => "previous",
            Self::Slot { slot: Slot::Test, .. } if verb == "put2prod" || verb == "fallback" => "clear",
            Self::Slot { slot: Slot::Test, .. } => "slot",
            Self::Validate { .. } => "validate",
            Self::Restart { .. } => "restart",
            Self::TestRun { .. } => "test-run",
            Self::State { .. } => "state",
            Self::OpenUp { .. } => "open",
            Self::Seal { .. } => "seal",
            Self::Collect => "collect",
        }
    }

    /// Says what the step does, for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Stage { target, .. } => format!("stage {target}"),
            Self::Apply { component, from: Some(from), to, .. } => {
                format!("apply servlink of {component}: {} to {}", from.short(), to.short())
            }
            Self::Apply { component, to, .. } => format!("unpack {component} {}", to.short()),
            Self::Materialise { contents } => format!("make runtime directory of {}", contents.level),
            Self::Verify { contents } => format!("verify every part of {}", contents.level),
            Self::Base { record } => format!("remember BASE {} {}", record.vrm, record.base.short()),
            Self::Record { record } => {
                let mode = format!("{:?}", record.mode).to_uppercase();
                format!("record {} as {mode}", record.manifest.level)
            }
            Self::Slot { slot, level: Some(level) } => format!("set slot {} to {level}", slot.word()),
            Self::Slot { slot, level: None } => format!("clear slot {}", slot.word()),
            Self::Validate { level } => format!("validate and configure {level}"),
            Self::Restart { .. } => "restart what changed and wait until it is ready".to_owned(),
            Self::TestRun { level } => format!("run a test instance of {level}, when there is one"),
            Self::State { .. } => "remember the state of management".to_owned(),
            Self::OpenUp { level, .. } => format!("make components of {level} ready for service by hand"),
            Self::Seal { level, .. } => format!("close components of {level} to service by hand"),
            Self::Collect => "remove what is no longer needed".to_owned(),
        }
    }

    /// Does the step, or does it again.
    pub(super) fn run(&self, context: &Context<'_>, staging: &Path) -> Result<(), StepError> {
        let home = context.home;
        match self {
            Self::Stage { vrm, target, file } => stage(context, vrm, target, &staging.join(file)),
            Self::Apply { component, file, from, to } => {
                apply(context, component, &staging.join(file), from.as_ref(), to)
            }
            Self::Materialise { contents } => materialise(context, contents),
            Self::Verify { contents } => verify(context, contents),
            Self::Base { record } => {
                write_json(&home.base_record(&record.vrm), record).map_err(StepError::Home)
            }
            Self::Record { record } => {
                write_json(&home.level_record(&record.manifest.level), record).map_err(StepError::Home)
            }
            Self::Slot { slot, level } => set_slot(context, *slot, level.as_ref()),
            Self::Validate { level } => {
                context.hooks.validate_and_configure(&home.level_dir(level)).map_err(StepError::Hook)
            }
            Self::Restart { level: None } => Ok(()),
            Self::Restart { level: Some(_) } => {
                context.hooks.restart_and_ready(&home.slot_link(Slot::Current)).map_err(StepError::Hook)
            }
            Self::TestRun { level } => test_run(context, level, staging),
            Self::State { state } => {
                changes::keep(home, &context.store, state).map_err(StepError::Changes)?;
                state.write(home).map_err(StepError::Home)
            }
            Self::OpenUp { level, components } => {
                open_up::open_up(home, level, components).map_err(StepError::Home)
            }
            Self::Seal { level, components } => {
                open_up::seal(home, level, components).map_err(StepError::Home)
            }
            Self::Collect => collect::collect(context).map_err(StepError::Collect),
        }
    }
}

/// Returns where the step that runs a test instance leaves what it showed.
pub(super) fn test_run_file(request_dir: &Path) -> PathBuf {
    request_dir.join("test-run.json")
}

fn test_run(context: &Context<'_>, level: &LevelRef, staging: &Path) -> Result<(), StepError> {
    let Some(shown) = context.hooks.test_run(level, &context.home.slot_link(Slot::Test)) else {
        return Ok(());
    };
    let request_dir = staging.parent().unwrap_or(staging);
    write_json(&test_run_file(request_dir), &shown).map_err(StepError::Home)
}

fn stage(context: &Context<'_>, vrm: &Vrm, target: &str, to: &Path) -> Result<(), StepError> {
    let home = context.home;
    let root = trusted_root(home).map_err(|refusal| {
        StepError::Untrusted(refusal.messages.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let datastore = home.datastore(vrm, Verifier::Executor);
    let verified = Verified::load(&home.received(vrm), &root, &datastore).map_err(StepError::Package)?;
    let staging = to.parent().unwrap_or(to);
    std::fs::create_dir_all(staging)
        .map_err(HomeError::io("make directory", staging))
        .map_err(StepError::Home)?;
    verified.copy(target, to).map_err(StepError::Package)
}

fn apply(
    context: &Context<'_>,
    component: &ComponentName,
    file: &Path,
    from: Option<&Digest>,
    to: &Digest,
) -> Result<(), StepError> {
    let store = &context.store;
    if trees::is_complete(store, to) {
        return Ok(());
    }
    let from = match from {
        None => Tree::new(),
        Some(digest) => trees::read(store, digest)
            .map_err(|source| StepError::Base { component: component.clone(), source: Box::new(source) })?,
    };
    let limits = ApplyLimits::default();
    let tree = servlink::apply(file, &from, store, &limits, context.progress)
        .map_err(|source| StepError::Apply { component: component.clone(), source: Box::new(source) })?;
    let found = tree.digest();
    if found != *to {
        return Err(StepError::OtherTree { component: component.clone(), found, expected: *to });
    }
    trees::put(store, &tree).map_err(StepError::Store)?;
    store.sync().map_err(StepError::Store)
}

fn materialise(context: &Context<'_>, contents: &Contents) -> Result<(), StepError> {
    let dir = context.home.level_dir(&contents.level);
    let failed = |source| StepError::Materialise { level: contents.level.clone(), source: Box::new(source) };
    let parent = dir.parent().unwrap_or(&dir);
    std::fs::create_dir_all(parent)
        .map_err(HomeError::io("make directory", parent))
        .map_err(StepError::Home)?;
    let trees = trees::effective(&context.store, contents)
        .map_err(|source| StepError::trees(&contents.level, source))?;
    let named: Vec<(&str, &Tree)> = trees.iter().map(|(name, tree)| (name.as_str(), tree)).collect();
    if !dir.exists() {
        return materialise_into(&context.store, &named, &dir).map(drop).map_err(failed);
    }
    let drift = drift(context, contents, ScanMode::Cached)?;
    if drift.is_empty() {
        return Ok(());
    }
    trees::drop_damaged(&context.store, contents, &drift)
        .map_err(|source| StepError::trees(&contents.level, source))?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let again = parent.join(format!(".{name}.again"));
    remove_tree(&again).map_err(failed)?;
    materialise_into(&context.store, &named, &again).map_err(failed)?;
    // One exchange, so that a slot that names the directory never sees it missing.
    let cwd = rustix::fs::CWD;
    rustix::fs::renameat_with(cwd, &again, cwd, &dir, rustix::fs::RenameFlags::EXCHANGE)
        .map_err(|error| StepError::Exchange { path: dir.clone(), source: error.into() })?;
    durable::sync_directory(parent).map_err(HomeError::durable(parent)).map_err(StepError::Home)?;
    remove_tree(&again).map_err(failed)
}

fn verify(context: &Context<'_>, contents: &Contents) -> Result<(), StepError> {
    let drift = drift(context, contents, ScanMode::Full)?;
    let Some(first) = drift.first() else { return Ok(()) };
    trees::drop_damaged(&context.store, contents, &drift)
        .map_err(|source| StepError::trees(&contents.level, source))?;
    Err(StepError::Differs {
        level: contents.level.clone(),
        count: drift.len(),
        example: format!("{}/{}", first.component, first.path),
    })
}

fn drift(
    context: &Context<'_>,
    contents: &Contents,
    mode: ScanMode,
) -> Result<Vec<tender_package::report::DriftItem>, StepError> {
    trees::drift(context.home, &context.store, "test", contents, mode, context.progress)
        .map_err(|source| StepError::trees(&contents.level, source))
}

fn set_slot(context: &Context<'_>, which: Slot, level: Option<&LevelRef>) -> Result<(), StepError> {
    let link = context.home.slot_link(which);
    match level {
        Some(level) => slot::switch(&link, &context.home.level_link(level)),
        None => slot::clear(&link),
    }
    .map_err(|source| StepError::Switch { slot: which.word(), source })
}
