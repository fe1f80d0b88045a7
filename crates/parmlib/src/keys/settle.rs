//! From parameters to settings.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr as _;

use super::name::ServerName;
use super::nearest::nearest_key;
use super::problem::{Origin, Problem, ProblemKind, Severity};
use super::ranges::Ranges;
use super::settings::{
    AuditSettings, Limits, Place, PluginSetting, Setting, Settings, SettingsError, Settled,
};
use super::table::{Key, Kind, known_key, line};
use super::value::{fits, number};
use crate::member::Member;
use crate::operands::Operands;

/// The lowest uid of a person, by the custom of distributions.
const FIRST_ORDINARY_UID: u32 = 1000;

impl Settings {
    /// Makes settings of what a server was started with and of its member, if it has one.
    ///
    /// A key of the member overrides the same key of the start command. `NAME` counts more than `ZWES.NAME`, wherever
    /// either stands. Wrong values are problems, and defaults take their place; a name that no server can have is an
    /// error, since a server under another name would not be the one that was asked for.
    pub fn from_parameters(member: Option<&Member>, operands: &Operands) -> Result<Settled, SettingsError> {
        let parameters = merged(member, operands);
        let (name, is_name_default) = name(&parameters)?;
        let mut problems = Vec::new();
        let good = judged(&parameters, &mut problems);
        let values = Values { good };
        let settings = values.settings(name, is_name_default, parameters);
        warn_of_risks(&settings, &mut problems);
        if settings.is_strict {
            for problem in &mut problems {
                if !matches!(problem.kind, ProblemKind::Risky { .. }) {
                    problem.severity = Severity::Error;
                }
            }
        }
        Ok(Settled { settings, problems })
    }
}

/// Puts both together: keys in the order in which they appear first, each with the value that counts.
fn merged(member: Option<&Member>, operands: &Operands) -> Vec<Setting> {
    let start = operands.operands().iter().filter(|operand| !Operands::is_of_the_command(&operand.key));
    let start = start.map(|operand| Setting {
        key: operand.key.clone(),
        value: operand.value.clone(),
        origin: Origin::Start,
    });
    let member = member.into_iter().flat_map(Member::parameters).map(|parameter| Setting {
        key: parameter.key.clone(),
        value: parameter.value.clone(),
        origin: Origin::Member(parameter.lines),
    });
    let mut order: Vec<Setting> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for setting in start.chain(member) {
        if let Some(place) = places.get(&setting.key) {
            order[*place] = setting;
        } else {
            places.insert(setting.key.clone(), order.len());
            order.push(setting);
        }
    }
    order
}

fn name(parameters: &[Setting]) -> Result<(ServerName, bool), SettingsError> {
    for key in ["NAME", "ZWES.NAME"] {
        let Some(setting) = parameters.iter().find(|setting| setting.key == key) else { continue };
        let value = setting.value.as_deref().unwrap_or_default();
        let name = ServerName::from_str(value).map_err(|source| SettingsError::Name {
            origin: setting.origin,
            key,
            source,
        })?;
        return Ok((name, false));
    }
    Ok((ServerName::default(), true))
}

/// Returns the parameters whose value can be used, and tells of the others.
fn judged(parameters: &[Setting], problems: &mut Vec<Problem>) -> Vec<(&'static Key, Setting)> {
    let plugins: Vec<&str> =
        parameters.iter().filter_map(|setting| setting.key.strip_prefix("ZWES.PLUGIN.")).collect();
    let mut good = Vec::new();
    for setting in parameters {
        let kind = match known_key(&setting.key) {
            Some(key) => match judge_value(key, setting) {
                None => {
                    good.push((key, setting.clone()));
                    continue;
                }
                Some(kind) => kind,
            },
            None if belongs_to_a_plugin(&setting.key, &plugins) => continue,
            None => unknown(setting),
        };
        let (origin, key) = (setting.origin, setting.key.clone());
        problems.push(Problem { severity: Severity::Warning, origin, key, kind });
    }
    good
}

/// Says whether a key is a plug-in's own: `<id>.…` or `ZWES.<id>.…` where `ZWES.PLUGIN.<id>` is there.
fn belongs_to_a_plugin(key: &str, plugins: &[&str]) -> bool {
    let own = key.strip_prefix("ZWES.").unwrap_or(key);
    let is_of = |id: &&str| own.strip_prefix(*id).is_some_and(|rest| rest.starts_with('.'));
    plugins.iter().any(is_of)
}

fn unknown(setting: &Setting) -> ProblemKind {
    let nearest = nearest_key(&setting.key);
    let is_word = setting.value.is_none() && !setting.key.contains('.');
    if setting.origin == Origin::Start && is_word {
        ProblemKind::UnknownOperand { nearest }
    } else {
        ProblemKind::Unknown { nearest }
    }
}

fn judge_value(key: &'static Key, setting: &Setting) -> Option<ProblemKind> {
    let value = setting.value.clone().unwrap_or_default();
    let default = key.default.to_owned();
    let expected = match fits(key.kind, &value) {
        Ok(()) => return None,
        Err(expected) => expected,
    };
    Some(match key.kind {
        Kind::Flag => ProblemKind::FlagWithValue { value },
        Kind::Choice if value.eq_ignore_ascii_case("yes") => {
            ProblemKind::Case { value, meant: "YES", default }
        }
        Kind::Choice if value.eq_ignore_ascii_case("no") => ProblemKind::Case { value, meant: "NO", default },
        _ => ProblemKind::Value { value, expected, default },
    })
}

fn warn_of_risks(settings: &Settings, problems: &mut Vec<Problem>) {
    let mut warn = |key: &str, reason: String| {
        let Some(setting) = settings.parameter(key) else { return };
        let (origin, key) = (setting.origin, key.to_owned());
        problems.push(Problem {
            severity: Severity::Warning,
            origin,
            key,
            kind: ProblemKind::Risky { reason },
        });
    };
    if settings.runas_uids.spans().first().is_some_and(|span| span.first < FIRST_ORDINARY_UID) {
        warn("ZWES.RUNAS.UIDS", format!("users below {FIRST_ORDINARY_UID} belong to the system"));
    }
    if settings.is_dev_mode {
        warn("ZWES.DEV_MODE", "development mode is on; it is not for production".to_owned());
    } else if settings.is_dev_mode_lpa {
        warn("ZWES.DEV_MODE.LPA", "development mode is on; it is not for production".to_owned());
    }
    let mut users = [
        ("ZWES.USER.MONITOR", &settings.monitor_user),
        ("ZWES.USER.FRONT", &settings.front_user),
        ("ZWES.USER.AUXILIARY", &settings.auxiliary_user),
    ];
    for (key, user) in users {
        if user == "root" {
            warn(key, "this process must not be root; the server will not start with it".to_owned());
        }
    }
    users.sort_by_key(|(_, user)| user.as_str());
    for pair in users.windows(2) {
        if pair[0].1 == pair[1].1 {
            let reason =
                format!("`{}` is the user of {} too; each process should have its own", pair[1].1, pair[0].0);
            warn(pair[1].0, reason);
        }
    }
}

/// Parameters whose values can be used.
#[derive(Debug)]
struct Values {
    good: Vec<(&'static Key, Setting)>,
}

impl Values {
    /// Returns the value of a key, or its default.
    fn text(&self, key: &'static str) -> &str {
        let given = self.good.iter().find(|(_, setting)| setting.key == key);
        given.and_then(|(_, setting)| setting.value.as_deref()).unwrap_or(line(key).default)
    }

    fn has(&self, key: &str) -> bool {
        self.good.iter().any(|(_, setting)| setting.key == key)
    }

    fn choice(&self, key: &'static str) -> bool {
        self.text(key) == "YES"
    }

    fn number(&self, key: &'static str) -> u64 {
        number(self.text(key)).expect("values are judged, and a test reads every default")
    }

    fn small(&self, key: &'static str) -> u32 {
        u32::try_from(self.number(key)).expect("the table limits the value")
    }

    fn optional(&self, key: &'static str) -> Option<String> {
        Some(self.text(key)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn ranges(&self, key: &'static str) -> Ranges {
        let Kind::Ranges { min, max } = line(key).kind else { return Ranges::default() };
        match self.text(key) {
            "" => Ranges::default(),
            text => Ranges::parse(text, min, max).expect("values are judged"),
        }
    }

    /// Returns the rest of the key, and the value, of every parameter of a family.
    fn family(&self, family: &str) -> impl Iterator<Item = (&str, &str)> {
        self.good.iter().filter_map(move |(_, setting)| {
            Some((setting.key.strip_prefix(family)?, setting.value.as_deref().unwrap_or_default()))
        })
    }

    fn limits(&self) -> Limits {
        Limits {
            calls_max: self.small("ZWES.PCSS_STACK_POOL_SIZE"),
            recovery_states_max: self.small("ZWES.PCSS_RECOVERY_POOL_SIZE"),
            calls_per_connection_max: self.small("ZWES.CALLS_PER_CONNECTION"),
            calls_per_uid_max: self.small("ZWES.CALLS_PER_UID"),
            connections_max: self.small("ZWES.CONNECTIONS_MAX"),
            log_lines_per_second_max: self.small("ZWES.LOG_LINES_PER_SECOND"),
            spin_us: self.number("ZWES.SPIN_US"),
            auth_attempts_max: self.small("ZWES.AUTH.ATTEMPTS"),
            auxiliary_memory_mib: self.number("ZWES.AUXILIARY.MEMORY_MIB"),
            auxiliary_processes_max: self.number("ZWES.AUXILIARY.PROCESSES"),
            connections_per_uid_max: self.small("ZWES.CONNECTIONS_PER_UID"),
            deadline_ms: self.number("ZWES.CALL_DEADLINE_MS"),
            drain_seconds: self.number("ZWES.DRAIN_SECONDS"),
        }
    }

    fn audit(&self) -> AuditSettings {
        AuditSettings {
            queue_entries_max: self.small("ZWES.AUDIT.QUEUE_ENTRIES_MAX") as usize,
            linger_ms: self.number("ZWES.AUDIT.LINGER_MS"),
            wait_ms: self.number("ZWES.AUDIT.WAIT_MS"),
            retry_ms: self.number("ZWES.AUDIT.RETRY_MS"),
        }
    }

    fn settings(&self, name: ServerName, is_name_default: bool, parameters: Vec<Setting>) -> Settings {
        let is_dev_mode = self.choice("ZWES.DEV_MODE");
        let plugin =
            |(id, module): (&str, &str)| PluginSetting { id: id.to_owned(), module: module.to_owned() };
        let place = |(id, directories): (&str, &str)| Place {
            id: id.to_owned(),
            directories: directories.split(':').map(PathBuf::from).collect(),
        };
        Settings {
            name,
            is_name_default,
            is_cold: self.has("COLD"),
            is_debug: self.has("DEBUG"),
            is_lookup_reset: self.has("RESET(LOOKUP)"),
            is_strict: self.choice("ZWES.STRICT"),
            loadlib: self
                .optional("ZWES.LOADLIB")
                .iter()
                .flat_map(|text| text.split(':'))
                .map(PathBuf::from)
                .collect(),
            plugins: self.family("ZWES.PLUGIN.").map(plugin).collect(),
            limits: self.limits(),
            is_auth_checked: self.choice("ZWES.CHECKAUTH"),
            auth_class: self.optional("ZWES.AUTH.CLASS"),
            security_class: self.optional("ZWES.SECMGMT.CLASS"),
            is_security_refreshed: self.choice("ZWES.SECMGMT.AUTOREFRESH"),
            is_dev_mode,
            is_dev_mode_lpa: is_dev_mode || self.choice("ZWES.DEV_MODE.LPA"),
            monitor_user: self.text("ZWES.USER.MONITOR").to_owned(),
            front_user: self.text("ZWES.USER.FRONT").to_owned(),
            auxiliary_user: self.text("ZWES.USER.AUXILIARY").to_owned(),
            saf_database: self.optional("ZWES.SAF.DATABASE").map(PathBuf::from),
            is_userns_allowed: self.choice("ZWES.USERNS"),
            is_inspect_on: self.choice("ZWES.INSPECT"),
            runas_uids: self.ranges("ZWES.RUNAS.UIDS"),
            ports: self.ranges("ZWES.PORTS"),
            places: self.family("ZWES.PLACE.").map(place).collect(),
            audit: self.audit(),
            parameters,
        }
    }
}
