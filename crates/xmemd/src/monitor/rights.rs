//! What a subject may do: a pure function of the profiles, the subject and the services that there are.

use serde_json::json;
use tender_saf::{AccessLevel, Compiled, Conditions, Question, Subject};

use crate::link::{PluginRow, Row, Table};
use crate::services;

/// The class of every profile that the server itself asks for.
pub(crate) const CLASS: &str = "FACILITY";
/// The gate.
pub(crate) const GATE: &str = "ZWES.IS";
/// Who may know why something was refused.
pub(crate) const EXPLAIN: &str = "ZWES.IS.EXPLAIN";

/// A service of a plug-in that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PluginService {
    pub(crate) plugin: String,
    pub(crate) service: String,
    pub(crate) version: u32,
    /// What it asks for itself: class and entity, READ.
    pub(crate) specific: Option<(String, String)>,
}

/// Whom a table is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whom<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) uid: u32,
    /// Name of the Linux user.
    pub(crate) name: Option<&'a str>,
}

/// Returns the resource of a service.
pub(crate) fn service_resource(name: &str) -> String {
    format!("ZWES.IS.SRV.{name}")
}

/// Returns the resource of a service of a plug-in.
pub(crate) fn plugin_resource(plugin: &str, service: &str) -> String {
    format!("ZWES.IS.{plugin}.{service}")
}

pub(crate) fn question<'a>(class: &'a str, resource: &'a str, level: AccessLevel) -> Question<'a> {
    Question { class, resource, level, conditions: Conditions::default() }
}

/// Makes the table of a subject.
pub(crate) fn table(
    compiled: &Compiled,
    whom: &Whom<'_>,
    plugins: &[PluginService],
    parameters: &[(String, String)],
) -> Table {
    let explains = compiled.decide(whom.subject, &question(CLASS, EXPLAIN, AccessLevel::Read)).granted;
    let row = |class: &str, resource: &str, level: AccessLevel| {
        let asked = question(class, resource, level);
        let decision = compiled.decide(whom.subject, &asked);
        let refusal = (explains && !decision.granted).then(|| refusal(compiled, whom, &asked));
        Row { granted: decision.granted, audit: decision.audit, rule: decision.rule.to_string(), refusal }
    };
    let of_service = |service: &services::Service| {
        let row = row(CLASS, &service_resource(service.name), service.level);
        (service.id, row)
    };
    let of_plugin = |service: &PluginService| PluginRow {
        plugin: service.plugin.clone(),
        service: service.service.clone(),
        version: service.version,
        specific: service.specific.as_ref().map(|(class, entity)| row(class, entity, AccessLevel::Read)),
        row: row(CLASS, &plugin_resource(&service.plugin, &service.service), AccessLevel::Read),
    };
    let is_router = |service: &&services::Service| matches!(service.place, services::Place::Router);
    Table {
        gate: row(CLASS, GATE, AccessLevel::Read),
        services: services::ALL.iter().filter(|service| !is_router(service)).map(of_service).collect(),
        plugins: plugins.iter().map(of_plugin).collect(),
        user: whom.subject.user.as_ref().map(ToString::to_string),
        groups: whom.subject.groups.iter().map(ToString::to_string).collect(),
        parameters: readable(parameters, whom),
    }
}

/// Says why not, as JSON without its last field, `reference`.
pub(crate) fn refusal(compiled: &Compiled, whom: &Whom<'_>, asked: &Question<'_>) -> String {
    let said = tender_saf::explain(compiled, whom.subject, asked);
    let subject = said.user.unwrap_or_else(|| format!("uid {}", whom.uid));
    let value = json!({
        "subject": subject,
        "class": said.class,
        "resource": said.resource,
        "level": said.level,
        "rule": said.rule,
        "remedy": said.remedy.unwrap_or_default(),
    });
    value.to_string()
}

/// Returns the parameters that a user may read: its own and those for everybody.
fn readable(parameters: &[(String, String)], whom: &Whom<'_>) -> Vec<(String, String)> {
    let uid = whom.uid.to_string();
    let own: Vec<&str> =
        [Some(&*uid), whom.name, whom.subject.user.as_ref().map(tender_saf::Id::as_str), Some("*")]
            .into_iter()
            .flatten()
            .collect();
    let may_read = |key: &str| {
        let Some(rest) = key.strip_prefix("ZWES.CLIENT.") else { return key.starts_with("ZWES.PUBLIC.") };
        own.iter()
            .any(|name| rest.strip_prefix(name).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.')))
    };
    parameters.iter().filter(|(key, _)| may_read(key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_saf::{Command, Context, Database};

    fn compiled(commands: &[&str]) -> Compiled {
        let mut database = Database::initial();
        let context = Context { who: "ROOT".parse().unwrap() };
        for text in commands {
            let plan = Command::parse(text).unwrap().plan(&database, &context).unwrap();
            database.apply(&plan.changes).unwrap();
        }
        Compiled::new(&database)
    }

    fn whom(subject: &Subject) -> Whom<'_> {
        Whom { subject, uid: 1000, name: Some("ann") }
    }

    #[test]
    fn subject_without_profiles_may_nothing_and_is_told_nothing() {
        let subject = Subject::default();
        let table = table(&compiled(&[]), &whom(&subject), &[], &[]);
        assert!(!table.gate.granted && table.gate.audit && table.gate.refusal.is_none());
        assert!(table.services.iter().all(|(_, row)| !row.granted));
    }

    #[test]
    fn each_service_has_its_own_profile_and_level() {
        let compiled = compiled(&[
            "ADDUSER ANN",
            "RDEFINE FACILITY ZWES.IS UACC(READ)",
            "RDEFINE FACILITY ZWES.IS.SRV.* UACC(NONE)",
            "PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(ANN) ACCESS(READ)",
            "RDEFINE FACILITY ZWES.IS.EXPLAIN UACC(READ)",
        ]);
        let subject = Subject::user("ANN".parse().unwrap());
        let table = table(&compiled, &whom(&subject), &[], &[]);
        let row = |id| &table.services.iter().find(|(found, _)| *found == id).unwrap().1;
        assert!(row(4).granted && !row(11).granted);
        let refusal: serde_json::Value = serde_json::from_str(row(11).refusal.as_ref().unwrap()).unwrap();
        assert_eq!(refusal["resource"], "ZWES.IS.SRV.AUTH");
        assert_eq!(refusal["level"], "UPDATE");
    }

    #[test]
    fn plugin_that_asks_for_more_gets_a_row_of_its_own() {
        let compiled = compiled(&["RDEFINE FACILITY ZWES.IS.ECHO.* UACC(READ)"]);
        let subject = Subject::default();
        let service = PluginService {
            plugin: "ECHO".to_owned(),
            service: "SAY".to_owned(),
            version: 1,
            specific: Some(("FACILITY".to_owned(), "ECHO.SAY".to_owned())),
        };
        let table = table(&compiled, &whom(&subject), &[service], &[]);
        assert!(table.plugins[0].row.granted && !table.plugins[0].specific.as_ref().unwrap().granted);
    }

    #[test]
    fn parameters_of_others_are_not_in_the_table() {
        let subject = Subject::user("ANN".parse().unwrap());
        let key = |key: &str| (key.to_owned(), "v".to_owned());
        let parameters = [
            key("ZWES.CLIENT.1000.A"),
            key("ZWES.CLIENT.10000.A"),
            key("ZWES.CLIENT.ann.B"),
            key("ZWES.CLIENT.*.C"),
            key("ZWES.CLIENT.ann2.D"),
            key("ZWES.CLIENT.ann"),
            key("ZWES.PUBLIC.E"),
            key("ZWES.PLUGIN.F"),
        ];
        let found: Vec<String> =
            readable(&parameters, &whom(&subject)).into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, ["ZWES.CLIENT.1000.A", "ZWES.CLIENT.ann.B", "ZWES.CLIENT.*.C", "ZWES.PUBLIC.E"]);
    }
}
