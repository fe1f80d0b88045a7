//! SRVLVL VMFSETUP: lays a level out as directories to look at, and names them for a shell.

use tender_content::{Tree, materialise};
use tender_package::{ComponentName, LevelName, Message, Outcome, Severity, Table, Vrm};

use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::level::Level;
use crate::principal::{Principal, Share};
use crate::shapes::LevelComponent;
use crate::tables::levels;

/// SRVLVL VMFSETUP vrm level component.
#[derive(Debug, Clone)]
pub struct SrvlvlVmfsetup {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// One component; all when absent.
    pub component: Option<ComponentName>,
}

impl SrvlvlVmfsetup {
    fn plan(&self, principal: &Principal) -> Result<(Level, Vec<LevelComponent>), ServiceError> {
        let tables = principal.tables();
        let level = levels::expect(&tables, &self.vrm, &self.level)?;
        let mut components = levels::components(&tables, &self.vrm, &self.level)?;
        if let Some(name) = &self.component {
            components.retain(|component| component.name == *name);
            if components.is_empty() {
                return Err(ServiceError::Unknown {
                    kind: "component",
                    name: name.to_string(),
                    hint: format!("list them with `tender servmgr srvlvl query {}`", level.title()),
                });
            }
        }
        Ok((level, components))
    }

    /// Names the copy by its tree: a copy that is there is right, and another level with equal parts shares it.
    fn place(&self, principal: &Principal, component: &LevelComponent) -> std::path::PathBuf {
        let name = format!("{}-{}", component.name, component.tree.short());
        principal.release_dir(&self.vrm).join("views").join(name)
    }

    fn outcome(&self, principal: &Principal, level: &Level, components: &[LevelComponent]) -> Outcome {
        let mut table = Table::new(format!("Level {}", level.title()), &["component", "directory"]);
        let mut environment = serde_json::Map::new();
        let (vrm, name) = (self.vrm.to_string(), self.level.to_string());
        environment.insert("TENDER_VRM".to_owned(), vrm.into());
        environment.insert("TENDER_LEVEL".to_owned(), name.into());
        environment.insert("TENDER_CONTENT".to_owned(), level.content.to_hex().into());
        for component in components {
            let place = self.place(principal, component).display().to_string();
            table.row([component.name.to_string(), place.clone()]);
            let word: String = component.name.as_str().chars().map(variable_character).collect();
            environment.insert(format!("TENDER_COMPONENT_{word}"), place.into());
        }
        let mut outcome = Outcome::default();
        for (name, value) in &environment {
            let value = value.as_str().unwrap_or_default();
            outcome.say(Message::csm(160, Severity::I, format!("{name}={value}")));
        }
        outcome.tables.push(table);
        outcome.data = serde_json::json!({ "environment": environment });
        outcome
    }
}

fn variable_character(character: char) -> char {
    if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' }
}

impl Verb for SrvlvlVmfsetup {
    fn word(&self) -> &'static str {
        "SRVLVL VMFSETUP"
    }

    fn subject(&self) -> Subject {
        let component = self.component.as_ref().map_or("ALL", ComponentName::as_str);
        Subject::new(&self.vrm, format!("{} {component}", self.level))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let (level, components) = self.plan(principal)?;
        Ok(self.outcome(principal, &level, &components))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Shared, &context.operator, self.word())?;
        let (level, components) = self.plan(principal)?;
        for component in &components {
            let place = self.place(principal, component);
            if place.exists() {
                continue;
            }
            let above = principal.release_dir(&self.vrm).join("views");
            std::fs::create_dir_all(&above).map_err(ServiceError::file("making", &above))?;
            let tree: Tree = principal.tree(&component.tree)?;
            materialise(principal.store(), &tree, &place)
                .map_err(ServiceError::content(format!("laying out {}", component.name)))?;
        }
        Ok(self.outcome(principal, &level, &components))
    }
}
