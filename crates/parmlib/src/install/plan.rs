//! From what is wanted and what is there to what is to be done.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::content::{script_text, sysusers_text};
use super::failure::InstallError;
use super::found::{Found, Present, Source};
use super::request::{InstallRequest, Procedure};
use super::unit::{UnitFacts, unit_text};
use crate::authorised::{Digest, SealedProgram};
use crate::edit::{Change, EditError, KeyChange, merge, set};
use crate::keys::{Problem, Settings, SettingsError};
use crate::member::{Member, Warning};
use crate::operands::Operands;

/// What a file will hold.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A module.
    Module {
        /// Where it comes from.
        from: PathBuf,
        /// What it is.
        digest: Digest,
        /// How long it is, in bytes.
        length: u64,
        /// Itself.
        #[serde(skip)]
        program: Arc<SealedProgram>,
    },
    /// A text.
    Text(String),
}

/// What is in the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// Nothing.
    Absent,
    /// The same; there is nothing to do.
    Same,
    /// Something else.
    Other {
        /// What.
        digest: Digest,
    },
}

/// One thing to do. Doing it twice is doing it once.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A directory is made.
    Directory {
        /// Where.
        path: PathBuf,
        /// With these permissions.
        mode: u32,
    },
    /// A file gets its content.
    File {
        /// What it is.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// With these permissions.
        mode: u32,
        /// What is there.
        before: Before,
        /// What will be.
        content: Content,
    },
    /// Users are created.
    Users {
        /// Their names.
        names: Vec<&'static str>,
        /// The file that says the same.
        file: Option<PathBuf>,
    },
}

/// What is to be done, in order.
#[derive(Debug, Clone, Serialize)]
pub struct InstallPlan {
    /// What.
    pub steps: Vec<Step>,
    /// What becomes of keys of the member.
    pub member_changes: Vec<KeyChange>,
    /// Hazards in the member as it will be.
    pub member_warnings: Vec<Warning>,
    /// What is wrong with the parameters as they will be.
    pub member_problems: Vec<Problem>,
    /// Why the server would not start with them at all.
    pub member_error: Option<String>,
    /// Users that the server needs and that nobody creates.
    pub missing_users: Vec<&'static str>,
    /// Where journal and lock are.
    #[serde(skip)]
    pub(super) journal_directory: PathBuf,
}

impl InstallPlan {
    /// Says whether everything is as it is to be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let is_nothing = |step: &Step| matches!(step, Step::File { before: Before::Same, .. });
        self.steps.iter().all(is_nothing)
    }
}

/// Makes the plan.
pub fn plan(request: &InstallRequest, found: &Found) -> Result<InstallPlan, InstallError> {
    let (member, member_changes) = member(request, found)?;
    let parsed =
        Member::parse(request.member.as_str(), member.as_bytes()).map_err(|source| InstallError::Member {
            path: request.member_path(),
            source: EditError::Member { which: "merged", source },
        })?;
    let settled = Settings::from_parameters(Some(&parsed), &Operands::default());
    let facts = UnitFacts {
        program: request.loadlib.join("ZWESIS01"),
        parmlib: request.parmlib.clone(),
        suffix: request.member.suffix().unwrap_or("00").to_owned(),
        home: request.home.clone(),
        written: Vec::new(),
        is_running_others: false,
        is_inspecting: false,
    };
    let (facts, member_problems, member_error) = match settled {
        Ok(settled) => (facts.with_settings(&settled.settings), settled.problems, None),
        // A name that no server can have keeps the server from starting, not from being installed.
        Err(SettingsError::Name { origin, key, source }) => {
            (facts, Vec::new(), Some(format!("{origin}: {key}: {source}")))
        }
    };
    let mut steps = directories(request, found);
    steps.extend(files(request, found, &facts, member));
    let is_creating = request.is_creating_users && !found.missing_users.is_empty();
    if is_creating {
        steps.push(Step::Users { names: found.missing_users.clone(), file: request.sysusers_path() });
    }
    Ok(InstallPlan {
        steps,
        member_changes,
        member_warnings: parsed.warnings().to_vec(),
        member_problems,
        member_error,
        missing_users: if is_creating { Vec::new() } else { found.missing_users.clone() },
        journal_directory: request.journal_directory(),
    })
}

fn directories(request: &InstallRequest, found: &Found) -> Vec<Step> {
    let mode = |path: &Path| if path == request.logs { 0o750 } else { 0o755 };
    let step = |path: &PathBuf| Step::Directory { path: path.clone(), mode: mode(path) };
    found.missing_directories.iter().map(step).collect()
}

fn files(request: &InstallRequest, found: &Found, facts: &UnitFacts, member: String) -> Vec<Step> {
    let module = |source: &Source| Content::Module {
        from: source.path.clone(),
        digest: source.program.digest(),
        length: source.program.length(),
        program: Arc::clone(&source.program),
    };
    let (procedure, procedure_mode) = match request.procedure {
        Procedure::Systemd => (unit_text(facts), 0o644),
        Procedure::Script => {
            let text =
                script_text(&facts.program, &facts.parmlib, &request.logs, &request.home, &facts.suffix);
            (text, 0o755)
        }
    };
    let mut wanted = vec![
        ("server module", request.loadlib.join("ZWESIS01"), 0o755, module(&found.server)),
        ("auxiliary module", request.loadlib.join("ZWESAUX"), 0o755, module(&found.auxiliary)),
        ("parameter member", request.member_path(), 0o644, Content::Text(member)),
        ("member as shipped", request.shipped_path(), 0o644, Content::Text(found.shipped.clone())),
        ("start procedure", request.procedure_path(), procedure_mode, Content::Text(procedure)),
    ];
    let mut record = serde_json::to_string_pretty(&request.installation()).expect("paths are text");
    record.push('\n');
    wanted.push(("record of what is where", request.record_path(), 0o644, Content::Text(record)));
    if let Some(path) = request.sysusers_path() {
        wanted.push(("users", path, 0o644, Content::Text(sysusers_text())));
    }
    let step = |(what, path, mode, content): (&'static str, PathBuf, u32, Content)| {
        let before = before(found.files.get(&path), &content, mode);
        Step::File { what, path, mode, before, content }
    };
    wanted.into_iter().map(step).collect()
}

fn before(present: Option<&Present>, content: &Content, mode: u32) -> Before {
    match present {
        None => Before::Absent,
        Some(present) if present.digest == content.digest() && present.mode == mode => Before::Same,
        Some(present) => Before::Other { digest: present.digest },
    }
}

impl Content {
    /// Returns the digest of the content.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Module { digest, .. } => *digest,
            Self::Text(text) => Digest(*blake3::hash(text.as_bytes()).as_bytes()),
        }
    }
}

/// Makes the member as it will be.
fn member(request: &InstallRequest, found: &Found) -> Result<(String, Vec<KeyChange>), InstallError> {
    let path = request.member_path();
    let failed = |source| InstallError::Member { path: path.clone(), source };
    let text_of = |path: &PathBuf| found.files.get(path).and_then(|present| present.text.as_deref());
    let (text, mut changes) = match found.files.get(&path) {
        None => (found.shipped.clone(), Vec::new()),
        Some(Present { text: None, .. }) => return Err(InstallError::NotAFile { path }),
        Some(Present { text: Some(edited), .. }) => {
            let merged = merge(text_of(&request.shipped_path()), edited, &found.shipped).map_err(failed)?;
            (merged.text, merged.changes)
        }
    };
    let Some(name) = &request.name else { return Ok((text, changes)) };
    let change = Change::Set { key: "ZWES.NAME".to_owned(), value: name.to_string() };
    let named = set(&text, &[change]).map_err(failed)?;
    changes.extend(named.changes);
    Ok((named.text, changes))
}
