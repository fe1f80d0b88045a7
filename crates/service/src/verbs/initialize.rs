//! INITIALIZE: takes the BASE of a release from its install media.

use std::num::NonZeroU64;
use std::path::PathBuf;

use jiff::Timestamp;
use tender_content::import::import_dir;
use tender_package::manifest::content_digest;
use tender_package::repository::{Expiry, KeyDir, Repository};
use tender_package::{LevelName, Message, Mode, Outcome, Severity, Table, Variant, Vrm};

use super::{Context, Subject, Verb};
use crate::component::{MediaContents, manifest_of, media_contents};
use crate::error::{Refusal, ServiceError};
use crate::fault;
use crate::level::{Level, PackageState, Work};
use crate::principal::{Principal, Share};
use crate::shapes::{LevelComponent, LevelContent};
use crate::tables::{levels, releases};

/// INITIALIZE vrm.
#[derive(Debug, Clone)]
pub struct Initialize {
    /// The release.
    pub vrm: Vrm,
    /// Its install media: one directory a component, as shipped.
    pub from: PathBuf,
}

impl Initialize {
    fn plan(&self, principal: &Principal) -> Result<Option<MediaContents>, ServiceError> {
        if releases::find(&principal.tables(), &self.vrm)?.is_some() {
            return Ok(None);
        }
        if !self.from.exists() {
            return Err(ServiceError::Unknown {
                kind: "directory",
                name: self.from.display().to_string(),
                hint: format!("name the install media: tender servmgr initialize {} --from DIR", self.vrm),
            });
        }
        let media = media_contents(&self.from)?;
        if media.components.is_empty() {
            let text = format!("{} holds no component", self.from.display());
            return Err(Refusal::new(111, text)
                .hint("give the directory that holds one directory for each component")
                .into());
        }
        Ok(Some(media))
    }

    /// Says what of the media belongs to no component.
    fn say_left_out(&self, media: &MediaContents, outcome: &mut Outcome) {
        if !media.left_out.is_empty() {
            let text = format!(
                "not part of BASE, as they are no directories of components: {}",
                media.left_out.join(", ")
            );
            outcome.say(Message::csm(116, Severity::I, text));
        }
    }

    fn already(&self) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.say(Message::csm(112, Severity::W, format!("release {} is already initialised", self.vrm)));
        outcome.data = serde_json::json!({ "vrm": self.vrm, "is_new": false });
        outcome
    }

    fn import(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        components: &[(tender_package::ComponentName, PathBuf)],
    ) -> Result<Vec<(u32, releases::BaseComponent)>, ServiceError> {
        let mut imported = Vec::new();
        for (name, directory) in components {
            let doing = format!("taking component {name} from {}", directory.display());
            let tree = import_dir(principal.store(), directory, context.progress)
                .map_err(ServiceError::content(doing))?;
            let manifest = manifest_of(principal, name, &tree)?;
            let restart = manifest.restart(name);
            let order = manifest.tender.order.unwrap_or(100);
            let tree = principal.keep_tree(&tree)?;
            imported.push((order, releases::BaseComponent { name: name.clone(), tree, restart }));
        }
        principal.sync_store()?;
        imported.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        Ok(imported)
    }

    fn make_repository(&self, principal: &Principal, now: Timestamp) -> Result<(), ServiceError> {
        let doing = || format!("making the signed repository of release {}", self.vrm);
        let (keys_dir, repo_dir) = (principal.keys_dir(), principal.repo_dir(&self.vrm));
        let keys = match KeyDir::open(&keys_dir) {
            Ok(keys) => keys,
            Err(_) => KeyDir::create(&keys_dir, now, &Expiry::default())
                .map_err(ServiceError::repository(doing()))?,
        };
        if !repo_dir.join("metadata/timestamp.json").exists() {
            // A release may have been deleted before: the systems that were on it know versions of its repository, and
            // nobody publishes every second.
            let first =
                u64::try_from(now.as_second()).ok().and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MIN);
            Repository::create_from(&repo_dir, &keys, now, &Expiry::default(), first)
                .map_err(ServiceError::repository(doing()))?;
        }
        Ok(())
    }

    fn record(
        &self,
        principal: &Principal,
        operator: &str,
        components: &[releases::BaseComponent],
        now: Timestamp,
    ) -> Result<tender_content::Digest, ServiceError> {
        let base = content_digest(components.iter().map(|component| (&component.name, &component.tree)));
        let mut level = Level {
            vrm: self.vrm.clone(),
            name: LevelName::base(),
            parent: None,
            variant: Variant::default(),
            description: format!("Release {} as shipped", self.vrm),
            state: Mode::Test,
            is_locked: false,
            work: Work::Idle,
            package: PackageState::None,
            generation: 0,
            is_signed: true,
            content: base,
            made: now,
            changed: now,
            changed_by: operator.to_owned(),
        };
        let content = LevelContent {
            components: components
                .iter()
                .map(|component| LevelComponent {
                    name: component.name.clone(),
                    source: component.tree,
                    tree: component.tree,
                    restart: component.restart.clone(),
                })
                .collect(),
            ..LevelContent::default()
        };
        principal.transaction(|tables| {
            let release = releases::ReleaseRow { vrm: self.vrm.clone(), base, at: now };
            releases::insert(tables, &release, components)?;
            levels::insert(tables, &level)?;
            levels::write_content(tables, &self.vrm, &level.name, &content)?;
            level.state = Mode::Stable;
            level.is_locked = true;
            levels::update(tables, &level)
        })?;
        Ok(base)
    }
}

impl Verb for Initialize {
    fn word(&self) -> &'static str {
        "INITIALIZE"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, format!("FROM {}", self.from.display()))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let Some(media) = self.plan(principal)? else { return Ok(self.already()) };
        let components = &media.components;
        let mut outcome = Outcome::default();
        self.say_left_out(&media, &mut outcome);
        let mut table =
            Table::new(format!("BASE of release {} would hold", self.vrm), &["component", "from"]);
        for (name, directory) in components {
            table.row([name.to_string(), directory.display().to_string()]);
        }
        let names: Vec<_> = components.iter().map(|(name, _)| name).collect();
        outcome.data = serde_json::json!({ "vrm": self.vrm, "is_new": true, "components": names });
        outcome.tables.push(table);
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        let Some(media) = self.plan(principal)? else { return Ok(self.already()) };
        fault::point("initialize.begun");
        // Of a release that was deleted, or not made to its end.
        let leftover = principal.release_dir(&self.vrm);
        if leftover.exists() {
            let doing = format!("removing {}", leftover.display());
            tender_content::remove_tree(&leftover).map_err(ServiceError::content(doing))?;
        }
        let imported = self.import(principal, context, &media.components)?;
        fault::point("initialize.imported");
        let now = (context.now)();
        self.make_repository(principal, now)?;
        let components: Vec<_> = imported.into_iter().map(|(_, component)| component).collect();
        let base = self.record(principal, &context.operator, &components, now)?;

        let mut outcome = Outcome::default();
        outcome.say(Message::csm(
            113,
            Severity::I,
            format!(
                "release {} is initialised: BASE has {} components, identity {}",
                self.vrm,
                components.len(),
                base.short()
            ),
        ));
        self.say_left_out(&media, &mut outcome);
        let mut table =
            Table::new(format!("BASE of release {}", self.vrm), &["component", "tree", "restart"]);
        for component in &components {
            table.row([component.name.to_string(), component.tree.short(), component.restart.clone()]);
        }
        let names: Vec<_> = components.iter().map(|component| &component.name).collect();
        outcome.data =
            serde_json::json!({ "vrm": self.vrm, "is_new": true, "base": base, "components": names });
        outcome.tables.push(table);
        Ok(outcome)
    }
}
