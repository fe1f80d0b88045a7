//! SETTING: numbers that can be changed, such as the most systems of a principal.

use tender_package::{Message, Outcome, Severity, Table};

use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::principal::Principal;
use crate::tables::settings;

/// SETTING key value; shows all without a key.
#[derive(Debug, Clone, Default)]
pub struct SettingSet {
    /// The key and its new value.
    pub change: Option<(String, u32)>,
}

impl Verb for SettingSet {
    fn word(&self) -> &'static str {
        "SETTING"
    }

    fn subject(&self) -> Subject {
        Subject::general(
            self.change.as_ref().map_or_else(String::new, |(key, value)| format!("{key} {value}")),
        )
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let tables = principal.tables();
        let mut table = Table::new("Settings", &["setting", "value", "default"]);
        let mut data = serde_json::Map::new();
        for setting in settings::ALL {
            let value = settings::read(&tables, setting)?;
            table.row([setting.key.to_owned(), value.to_string(), setting.default.to_string()]);
            data.insert(setting.key.to_owned(), value.into());
        }
        if let Some((key, _)) = &self.change
            && settings::ALL.iter().all(|setting| setting.key != *key)
        {
            return Err(ServiceError::Unknown {
                kind: "setting",
                name: key.clone(),
                hint: "list them with `tender servmgr setting`".to_owned(),
            });
        }
        Ok(Outcome { tables: vec![table], data: data.into(), ..Outcome::default() })
    }

    fn run(&self, principal: &Principal, _context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let outcome = self.check(principal)?;
        let Some((key, value)) = &self.change else { return Ok(outcome) };
        for setting in settings::ALL.iter().filter(|setting| setting.key == *key) {
            settings::write(&principal.tables(), *setting, *value)?;
        }
        let mut outcome = self.check(principal)?;
        outcome.say(Message::csm(205, Severity::I, format!("{key} is {value}")));
        Ok(outcome)
    }
}
