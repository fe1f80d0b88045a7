//! SRVLVL PACKAGE: makes a package generation of a level and publishes it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use tender_content::servlink::{self, BuildOptions};
use tender_package::manifest::target;
use tender_package::repository::{KeyDir, NewTarget, Repository, Source, TargetCustom};
use tender_package::{LevelManifest, LevelName, Message, Mode, Outcome, Severity, Table, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::fault;
use crate::level::{Level, Operation as Asked, PackageState};
use crate::operation;
use crate::package_plan::{self, BasePart};
use crate::principal::{Principal, Share};
use crate::query;
use crate::shapes::LevelContent;
use crate::tables::{levels, packages, releases};

/// SRVLVL PACKAGE vrm level.
#[derive(Debug, Clone)]
pub struct SrvlvlPackage {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// Memory to stay within when servlinks are built; the builder's default when absent.
    pub memory_bytes_max: Option<u64>,
}

impl SrvlvlPackage {
    fn plan(&self, principal: &Principal, now: Timestamp) -> Result<(Level, LevelManifest), ServiceError> {
        let (level, content) = {
            let tables = principal.tables();
            let level = levels::expect(&tables, &self.vrm, &self.level)?;
            level.permits(Asked::Package)?;
            (level, levels::content(&tables, &self.vrm, &self.level)?)
        };
        let unbuilt = operation::unbuilt(principal, &self.vrm, &content)?;
        if !unbuilt.is_empty() {
            let names: Vec<_> = unbuilt.iter().map(ToString::to_string).collect();
            let text =
                format!("level {} has objects that are not built: {}", level.title(), names.join(", "));
            return Err(Refusal::new(150, text)
                .hint(format!("tender servmgr srvlvl service {} --build", level.title()))
                .into());
        }
        query::refuse_holds(principal, &level, &content, None)?;
        let manifest = self.manifest(principal, &level, &content, now)?;
        Ok((level, manifest))
    }

    fn manifest(
        &self,
        principal: &Principal,
        level: &Level,
        content: &LevelContent,
        now: Timestamp,
    ) -> Result<LevelManifest, ServiceError> {
        let tables = principal.tables();
        let release = releases::expect(&tables, &self.vrm)?;
        // BASE itself travels whole, from nothing: it is for systems that have no install media.
        let base: BTreeMap<_, _> = releases::components(&tables, &self.vrm)?
            .into_iter()
            .filter(|_| !level.name.is_base())
            .map(|base| (base.name, BasePart { tree: base.tree, restart: base.restart }))
            .collect();
        let actions = query::actions_of(&tables, &self.vrm, content)?;
        Ok(package_plan::plan(level, level.generation + 1, (&release.base, &base), content, actions, now))
    }

    fn outcome(&self, manifest: &LevelManifest, verb: &str) -> Outcome {
        let mut table = Table::new(
            format!("Package {}", manifest.level),
            &["component", "servlink bytes", "fixes", "local modifications"],
        );
        let mut bytes = 0;
        for component in &manifest.components {
            let size = component.servlink.as_ref().map_or(0, |servlink| servlink.size);
            bytes += size;
            let size = match (&component.servlink, &component.tree) {
                (_, None) => "removed".to_owned(),
                (None, _) => "as in BASE".to_owned(),
                (Some(_), _) => size.to_string(),
            };
            table.row([
                component.name.to_string(),
                size,
                component.fixes.len().to_string(),
                component.local_mods.len().to_string(),
            ]);
        }
        let mut outcome = Outcome::default();
        let changed = manifest.components.iter().filter(|component| component.servlink.is_some()).count();
        let text = format!(
            "package {} {verb}: {changed} components differ from BASE, {bytes} bytes",
            manifest.level
        );
        outcome.say(Message::csm(151, Severity::I, text));
        outcome.tables.push(table);
        outcome.data = serde_json::json!({
            "vrm": self.vrm, "level": self.level, "generation": manifest.level.generation,
            "content": manifest.content, "bytes": bytes, "actions": manifest.actions,
        });
        outcome
    }

    /// Builds the servlinks that are not in the repository yet and fills their sizes in.
    fn build_servlinks(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        manifest: &mut LevelManifest,
    ) -> Result<Vec<NewTarget>, ServiceError> {
        let work = principal.release_dir(&self.vrm).join("work");
        std::fs::create_dir_all(&work).map_err(ServiceError::file("making", &work))?;
        let mut options = BuildOptions::default();
        if let Some(bytes) = self.memory_bytes_max {
            options.memory_bytes_max = bytes;
        }
        let mut added = Vec::new();
        for component in &mut manifest.components {
            let (Some(servlink), Some(tree)) = (&mut component.servlink, &component.tree) else { continue };
            let from = component.base_tree.map(|base| principal.tree(&base)).transpose()?.unwrap_or_default();
            let to = principal.tree(tree)?;
            let name = servlink.target.rsplit('/').next().unwrap_or("servlink");
            let out: PathBuf = work.join(name);
            if servlink::inspect(&out).is_err() {
                servlink::build(&from, &to, principal.store(), &out, &options, context.progress)
                    .map_err(ServiceError::content(format!("building the servlink of {}", component.name)))?;
            }
            let metadata = std::fs::metadata(&out).map_err(ServiceError::file("reading", &out))?;
            servlink.size = metadata.len();
            added.push(NewTarget { name: servlink.target.clone(), source: Source::File(out), custom: None });
            fault::point("package.servlink");
        }
        Ok(added)
    }
}

/// Opens the repository of a release, does something with it, and closes it.
pub(crate) fn with_repository<T>(
    principal: &Principal,
    vrm: &Vrm,
    work: impl FnOnce(&mut Repository<'_>) -> Result<T, tender_package::repository::RepositoryError>,
) -> Result<T, ServiceError> {
    let doing = || format!("signed repository of release {vrm}");
    let keys = KeyDir::open(&principal.keys_dir()).map_err(ServiceError::repository(doing()))?;
    let mut repository =
        Repository::open(&principal.repo_dir(vrm), &keys).map_err(ServiceError::repository(doing()))?;
    work(&mut repository).map_err(ServiceError::repository(doing()))
}

/// Makes and publishes the next generation; the caller holds the release's lock.
pub(super) fn make(
    package: &SrvlvlPackage,
    principal: &Principal,
    context: &Context<'_>,
) -> Result<Outcome, ServiceError> {
    let now = (context.now)();
    let (mut level, mut manifest) = package.plan(principal, now)?;
    if level.package == PackageState::Current {
        let known = packages::find(&principal.tables(), &package.vrm, &package.level, level.generation)?;
        if let Some(known) = known.filter(|known| is_same(&known.manifest, &manifest)) {
            let mut outcome = package.outcome(&known.manifest, "is current already");
            report_review(principal, &level, &mut outcome)?;
            return Ok(outcome);
        }
    }
    let generation = level.generation + 1;
    manifest.made =
        packages::begin(&principal.tables(), &package.vrm, &package.level, generation, &level.content, now)?;
    fault::point("package.begun");
    let mut targets = package.build_servlinks(principal, context, &mut manifest)?;
    let files: Vec<PathBuf> = targets
        .iter()
        .filter_map(|target| match &target.source {
            Source::File(path) => Some(path.clone()),
            Source::Bytes(_) => None,
        })
        .collect();
    let bytes = serde_json::to_vec_pretty(&manifest).expect("a manifest has only text keys");
    targets.push(NewTarget {
        name: target::manifest(&manifest.level),
        source: Source::Bytes(bytes),
        custom: Some(TargetCustom { state: level.state, content: manifest.content, generation }),
    });
    with_repository(principal, &package.vrm, |repository| repository.publish(&targets, &[], now))?;
    fault::point("package.published");
    level.generation = generation;
    level.package = PackageState::Current;
    let size = manifest.components.iter().filter_map(|one| one.servlink.as_ref()).map(|one| one.size).sum();
    let row = packages::PackageRow {
        content: manifest.content,
        manifest: manifest.clone(),
        bytes: size,
        made: manifest.made,
        is_tested: false,
    };
    principal.transaction(|tables| {
        packages::insert(tables, &row)?;
        packages::end(tables, &package.vrm, &package.level)?;
        levels::update(tables, &level)
    })?;
    fault::point("package.recorded");
    for file in files {
        std::fs::remove_file(&file).map_err(ServiceError::file("removing", &file))?;
    }
    let verb = if level.state == Mode::Stable { "is published as STABLE" } else { "is published as TEST" };
    let mut outcome = package.outcome(&manifest, verb);
    report_review(principal, &level, &mut outcome)?;
    Ok(outcome)
}

/// Says which local modifications of a level people should look at.
pub(super) fn report_review(
    principal: &Principal,
    level: &Level,
    outcome: &mut Outcome,
) -> Result<(), ServiceError> {
    let content = levels::content(&principal.tables(), &level.vrm, &level.name)?;
    query::report_review(level, &content, outcome);
    Ok(())
}

/// Tells whether two manifests say the same, apart from generation, time and sizes.
fn is_same(known: &LevelManifest, next: &LevelManifest) -> bool {
    let mut next = next.clone();
    next.made = known.made;
    next.level = known.level.clone();
    for (next, known) in next.components.iter_mut().zip(&known.components) {
        if let (Some(next), Some(known)) = (&mut next.servlink, &known.servlink) {
            next.size = known.size;
        }
    }
    next == *known
}

impl Verb for SrvlvlPackage {
    fn word(&self) -> &'static str {
        "SRVLVL PACKAGE"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, self.level.to_string())
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let (level, manifest) = self.plan(principal, Timestamp::UNIX_EPOCH)?;
        let mut outcome = self.outcome(&manifest, "would be made");
        report_review(principal, &level, &mut outcome)?;
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        make(self, principal, context)
    }
}
