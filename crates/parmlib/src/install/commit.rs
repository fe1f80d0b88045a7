//! Carrying a plan out: all of it, or nothing.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, RenameFlags};
use serde::Serialize;

use super::accounts;
use super::failure::InstallError;
use super::found::present;
use super::journal::{Journal, Undo, sync};
use super::plan::{Before, Content, InstallPlan, Step};
use super::request::InstallRequest;
use crate::authorised::Digest;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Installed {
    /// Files that were written.
    pub written: Vec<PathBuf>,
    /// Files that were as they are to be.
    pub unchanged: Vec<PathBuf>,
    /// Directories that were made.
    pub made: Vec<PathBuf>,
    /// Users that were created.
    pub users: Vec<String>,
    /// An earlier run had been cut off, and was taken back first.
    pub is_recovered: bool,
}

/// A file that is to be replaced.
#[derive(Debug)]
struct Target<'p> {
    path: &'p Path,
    mode: u32,
    before: Before,
    content: &'p Content,
    staged: PathBuf,
    backup: Option<PathBuf>,
}

/// Carries a plan out. On any failure everything is as it was before; a run that is killed is taken back by the next.
///
/// `point` is called after each durable step with its name.
///
/// Errors: [`InstallError::HalfDone`] alone leaves something changed; the next run goes on taking it back.
/// [`InstallError::Changed`] means that somebody else was quicker: make the plan anew.
pub fn commit(plan: &InstallPlan, point: &mut dyn FnMut(&'static str)) -> Result<Installed, InstallError> {
    let journal = Journal::open(&plan.journal_directory)?;
    if journal.recover()? {
        // The plan was made of a state that is no more.
        let mut anew = Err(InstallError::Changed { path: plan.journal_directory.clone() });
        if plan_still_holds(plan)? {
            anew = commit_locked(plan, &journal, point);
        }
        return anew.map(|installed| Installed { is_recovered: true, ..installed });
    }
    commit_locked(plan, &journal, point)
}

/// Says whether everything is as the plan takes it to be.
fn plan_still_holds(plan: &InstallPlan) -> Result<bool, InstallError> {
    for step in &plan.steps {
        let is_as_planned = match step {
            Step::File { path, before, content, .. } => is_before(path, *before, content)?,
            Step::Directory { .. } | Step::Users { .. } => true,
        };
        if !is_as_planned {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_before(path: &Path, before: Before, content: &Content) -> Result<bool, InstallError> {
    let now = present(path)?.map(|present| present.digest);
    Ok(match before {
        Before::Absent => now.is_none(),
        Before::Same => now == Some(content.digest()),
        Before::Other { digest } => now == Some(digest),
    })
}

fn commit_locked(
    plan: &InstallPlan,
    journal: &Journal,
    point: &mut dyn FnMut(&'static str),
) -> Result<Installed, InstallError> {
    let targets = targets(plan);
    let undo = undo(plan, &targets);
    journal.begin(&undo)?;
    point("install.begun");
    let done = carry_out(plan, &targets, point).and_then(|installed| journal.end().map(|()| installed));
    match done {
        Ok(installed) => {
            point("install.ended");
            clear(plan);
            Ok(installed)
        }
        Err(fault) => {
            journal.take_back(&undo, &fault.to_string())?;
            Err(fault)
        }
    }
}

/// Removes second names, those that a run cut off at its very end has left included.
fn clear(plan: &InstallPlan) {
    for step in &plan.steps {
        if let Step::File { path, .. } = step {
            // It is only another name of what nobody wants any more; the next run tries again.
            drop(std::fs::remove_file(beside(path, "old")));
        }
    }
}

/// Takes back what an earlier run left that was cut off; says whether there was one.
///
/// Call it before a plan is made. [`commit`] does it too, but then the plan may be for what is no more.
pub fn recover(request: &InstallRequest) -> Result<bool, InstallError> {
    let directory = request.journal_directory();
    if directory.is_dir() { Journal::open(&directory)?.recover() } else { Ok(false) }
}

/// Returns a name beside a file that nobody else uses.
fn beside(path: &Path, end: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tender-{end}"))
}

fn targets(plan: &InstallPlan) -> Vec<Target<'_>> {
    let target = |step| match step {
        &Step::File { ref path, mode, before, ref content, .. } if before != Before::Same => Some(Target {
            path: path.as_path(),
            mode,
            before,
            content,
            staged: beside(path, "new"),
            backup: (before != Before::Absent).then(|| beside(path, "old")),
        }),
        _ => None,
    };
    plan.steps.iter().filter_map(target).collect()
}

fn undo(plan: &InstallPlan, targets: &[Target<'_>]) -> Vec<Undo> {
    let mut undo = Vec::new();
    for step in &plan.steps {
        if let Step::Directory { path, .. } = step {
            undo.push(Undo::Directory { path: path.clone() });
        }
    }
    undo.extend(targets.iter().map(|target| Undo::File {
        path: target.path.to_owned(),
        digest: target.content.digest().to_string(),
        staged: target.staged.clone(),
        backup: target.backup.clone(),
    }));
    for step in &plan.steps {
        if let Step::Users { names, .. } = step {
            undo.extend(names.iter().map(|name| Undo::User { name: (*name).to_owned() }));
        }
    }
    undo
}

fn carry_out(
    plan: &InstallPlan,
    targets: &[Target<'_>],
    point: &mut dyn FnMut(&'static str),
) -> Result<Installed, InstallError> {
    let mut installed = Installed::default();
    for step in &plan.steps {
        match step {
            Step::Directory { path, mode } => {
                if make(path, *mode)? {
                    installed.made.push(path.clone());
                }
            }
            Step::File { path, before: Before::Same, .. } => installed.unchanged.push(path.clone()),
            Step::File { .. } | Step::Users { .. } => {}
        }
    }
    point("install.directories");
    let mut held = Vec::new();
    for target in targets {
        held.extend(target.hold()?);
        target.stage()?;
        point("install.staged");
    }
    for target in targets {
        target.back_up()?;
        point("install.kept");
    }
    for target in targets {
        let renamed = target.replace().and_then(|()| sync(target.directory()));
        renamed.map_err(|fault| InstallError::io("replace", target.path, fault))?;
        installed.written.push(target.path.to_owned());
        point("install.replaced");
    }
    for step in &plan.steps {
        if let Step::Users { names, file } = step {
            accounts::create(names, file.as_deref())?;
            installed.users.extend(names.iter().map(|name| (*name).to_owned()));
            point("install.users");
        }
    }
    drop(held);
    Ok(installed)
}

/// Makes a directory; says whether it was not there.
fn make(path: &Path, mode: u32) -> Result<bool, InstallError> {
    let failed = |fault| InstallError::io("make", path, fault);
    match std::fs::create_dir(path) {
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(false),
        made => made.map_err(failed)?,
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .and_then(|()| sync(path.parent().unwrap_or(Path::new("/"))))
        .map_err(failed)?;
    Ok(true)
}

impl Target<'_> {
    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Makes sure that nobody holds the file that is there, and that it is the one that was planned for.
    fn hold(&self) -> Result<Option<File>, InstallError> {
        if !is_before(self.path, self.before, self.content)? {
            return Err(InstallError::Changed { path: self.path.to_owned() });
        }
        if self.before == Before::Absent {
            return Ok(None);
        }
        let file = File::open(self.path).map_err(|fault| InstallError::io("open", self.path, fault))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(InstallError::Busy { path: self.path.to_owned() }),
            Err(error) => Err(InstallError::io("lock", self.path, error.into())),
        }
    }

    /// Writes the new file beside its target, and reads it again.
    fn stage(&self) -> Result<(), InstallError> {
        let failed = |fault| InstallError::io("write", &self.staged, fault);
        drop(std::fs::remove_file(&self.staged));
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.staged).map_err(failed)?;
        match self.content {
            Content::Text(text) => file.write_all(text.as_bytes()).map_err(failed)?,
            Content::Module { program, .. } => {
                file.write_all(&program.content().map_err(failed)?).map_err(failed)?;
            }
        }
        // Umask or not: these permissions were planned.
        file.set_permissions(Permissions::from_mode(self.mode)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let written: Option<Digest> = present(&self.staged)?.map(|present| present.digest);
        if written != Some(self.content.digest()) {
            return Err(InstallError::Damaged { path: self.staged.clone() });
        }
        Ok(())
    }

    /// Puts the new file in its place. Where nothing was, nothing may have come to be.
    fn replace(&self) -> io::Result<()> {
        let flags = match self.before {
            Before::Absent => RenameFlags::NOREPLACE,
            _ => RenameFlags::empty(),
        };
        let at = rustix::fs::CWD;
        match rustix::fs::renameat_with(at, &self.staged, at, self.path, flags) {
            // Not every file system knows the flag.
            Err(rustix::io::Errno::INVAL) if !self.path.exists() => std::fs::rename(&self.staged, self.path),
            renamed => Ok(renamed?),
        }
    }

    /// Gives the file that is there a second name.
    fn back_up(&self) -> Result<(), InstallError> {
        let Some(backup) = &self.backup else { return Ok(()) };
        drop(std::fs::remove_file(backup));
        // File systems without links, and files of others, get a copy.
        std::fs::hard_link(self.path, backup)
            .or_else(|_| std::fs::copy(self.path, backup).map(drop))
            .and_then(|()| sync(self.directory()))
            .map_err(|fault| InstallError::io("keep", self.path, fault))
    }
}
