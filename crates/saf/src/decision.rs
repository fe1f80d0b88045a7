//! Decisions: a pure function of the compiled database, a subject and a question.
//!
//! ```text
//! class known and active? ── no ─► refused
//! user revoked? ── yes ─► refused
//! most specific profile of the resource ── none ─► what the class says of resources without a profile
//!   │
//!   ▼ standard access list                          conditional access list, the same way,
//! entry of the user itself                          of the entries whose condition is fulfilled
//!   else the highest entry of any of its groups               │
//!   else the entry for every defined user ┐ not for           │
//!   else UACC                             ┘ a restricted user │
//!   └────────────────────── the higher of both ───────────────┘
//! enough? ── no, and the profile only warns ─► granted, and written down
//! ```

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::compiled::{Compiled, CompiledClass, CompiledProfile, Name};
use crate::id::{Id, RESOURCE_BYTES_MAX};
use crate::level::AccessLevel;
use crate::profile::{Condition, Conditions};
use crate::subject::Subject;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The class.
    pub class: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// How much access is wanted.
    pub level: AccessLevel,
    /// The circumstances.
    pub conditions: Conditions<'a>,
}

/// The three answers of the mainframe's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SafReturnCode {
    /// Access is given.
    Allowed,
    /// Nothing is said about the resource; no access is given.
    NoDecision,
    /// Access is refused.
    Refused,
}

impl SafReturnCode {
    /// Returns the number: 0, 4 or 8.
    pub fn number(self) -> u8 {
        match self {
            Self::Allowed => 0,
            Self::NoDecision => 4,
            Self::Refused => 8,
        }
    }
}

/// Whom an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grantee<'a> {
    /// The user itself.
    User(&'a Id),
    /// One of its groups.
    Group(&'a Id),
    /// Every defined user.
    Everybody,
}

/// Which line of a profile decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// An entry of the standard access list.
    Listed(Grantee<'a>),
    /// An entry of the conditional access list.
    Conditional(Grantee<'a>, &'a Condition),
    /// The universal access.
    Uacc,
    /// None: the user is restricted and not named.
    Restricted,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'a> {
    /// There is no such class.
    UnknownClass,
    /// The class is not active.
    InactiveClass,
    /// No resource can be called so.
    NoResource,
    /// The user is revoked.
    Revoked,
    /// No profile matches.
    NoProfile,
    /// A profile.
    Profile {
        /// Its name.
        name: &'a str,
        /// Which line of it.
        entry: Entry<'a>,
    },
}

/// An answer and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether access is given.
    pub granted: bool,
    /// The same as the mainframe says it.
    pub return_code: SafReturnCode,
    /// How much access there is at most.
    pub allowed: AccessLevel,
    /// What decided.
    pub rule: Rule<'a>,
    /// Whether access is only given because the profile warns instead of refusing.
    pub is_warning: bool,
    /// Whether this is to be written down.
    pub audit: bool,
}

impl<'a> Decision<'a> {
    /// Answers without a profile. Refusals are written down: nobody has said that they need not be.
    fn without_profile(rule: Rule<'a>, return_code: SafReturnCode) -> Self {
        let granted = return_code == SafReturnCode::Allowed;
        let allowed = if granted { AccessLevel::Alter } else { AccessLevel::None };
        Self { granted, return_code, allowed, rule, is_warning: false, audit: !granted }
    }
}

/// Who asks, with names replaced by their numbers.
struct Asking<'a> {
    user: Option<Name>,
    connected: &'a [Name],
    /// Groups of the process.
    groups: &'a [Id],
    is_restricted: bool,
    is_audited: bool,
}

impl Compiled {
    /// Answers a question.
    ///
    /// Limits: a resource longer than [`RESOURCE_BYTES_MAX`] or not of graphic ASCII characters is refused.
    pub fn decide(&self, subject: &Subject, question: &Question<'_>) -> Decision<'_> {
        let Some(class) = self.class(question.class) else {
            return Decision::without_profile(Rule::UnknownClass, SafReturnCode::NoDecision);
        };
        if !class.is_active {
            return Decision::without_profile(Rule::InactiveClass, SafReturnCode::NoDecision);
        }
        let Some(resource) = folded(class, question.resource) else {
            return Decision::without_profile(Rule::NoResource, SafReturnCode::Refused);
        };
        let known = subject.user.as_ref().and_then(|id| self.users.get(id.as_str()));
        if known.is_some_and(|user| user.is_revoked) {
            return Decision::without_profile(Rule::Revoked, SafReturnCode::Refused);
        }
        let asking = Asking {
            user: known.map(|user| user.name),
            connected: known.map_or(&[], |user| &user.groups),
            groups: if self.is_grouplist { &subject.groups } else { &[] },
            is_restricted: known.is_some_and(|user| user.is_restricted),
            is_audited: known.is_some_and(|user| user.is_audited),
        };
        let Some(place) = class.index.find(&resource) else {
            let return_code = match class.default_return_code {
                0 => SafReturnCode::Allowed,
                4 => SafReturnCode::NoDecision,
                _ => SafReturnCode::Refused,
            };
            let decision = Decision::without_profile(Rule::NoProfile, return_code);
            return Decision { audit: decision.audit || asking.is_audited, ..decision };
        };
        self.decide_by_profile(&class.profiles[place], &asking, question)
    }

    fn class(&self, name: &str) -> Option<&CompiledClass> {
        self.classes.get(name).or_else(|| self.classes.get(name.to_ascii_uppercase().as_str()))
    }

    fn decide_by_profile<'a>(
        &'a self,
        profile: &'a CompiledProfile,
        asking: &Asking<'_>,
        question: &Question<'_>,
    ) -> Decision<'a> {
        let (mut allowed, mut entry) = self.standard(profile, asking);
        if allowed < question.level
            && let Some((more, conditional)) = self.conditional(profile, asking, &question.conditions)
            && more > allowed
        {
            (allowed, entry) = (more, conditional);
        }
        let is_enough = allowed >= question.level;
        let is_warning = !is_enough && profile.is_warning;
        let granted = is_enough || is_warning;
        Decision {
            granted,
            return_code: if granted { SafReturnCode::Allowed } else { SafReturnCode::Refused },
            allowed,
            rule: Rule::Profile { name: &profile.name, entry },
            is_warning,
            audit: is_warning || asking.is_audited || profile.audit.wants(is_enough, question.level),
        }
    }

    /// Returns what the standard access list and UACC give.
    fn standard<'a>(&'a self, profile: &'a CompiledProfile, asking: &Asking<'_>) -> (AccessLevel, Entry<'a>) {
        if let Some(user) = asking.user
            && let Some(access) = profile.entry(user)
        {
            return (access, Entry::Listed(Grantee::User(self.name(user))));
        }
        let of_groups = self.groups(asking).filter_map(|group| Some((profile.entry(group)?, group)));
        if let Some((access, group)) = highest(of_groups) {
            return (access, Entry::Listed(Grantee::Group(self.name(group))));
        }
        if asking.is_restricted {
            return (AccessLevel::None, Entry::Restricted);
        }
        match profile.everybody.filter(|_| asking.user.is_some()) {
            Some(access) => (access, Entry::Listed(Grantee::Everybody)),
            None => (profile.uacc, Entry::Uacc),
        }
    }

    /// Returns what the conditional access list gives in these circumstances.
    fn conditional<'a>(
        &'a self,
        profile: &'a CompiledProfile,
        asking: &Asking<'_>,
        conditions: &Conditions<'_>,
    ) -> Option<(AccessLevel, Entry<'a>)> {
        if profile.conditional.is_empty() {
            return None;
        }
        let fulfilled = || profile.conditional.iter().filter(|entry| conditions.fulfil(&entry.condition));
        let of_user = fulfilled().filter(|entry| entry.who.is_some() && entry.who == asking.user);
        if let Some(entry) = of_user.max_by_key(|entry| entry.access) {
            let grantee = Grantee::User(self.name(asking.user?));
            return Some((entry.access, Entry::Conditional(grantee, &entry.condition)));
        }
        let of_groups = fulfilled().filter_map(|entry| {
            let who = entry.who?;
            self.groups(asking).any(|group| group == who).then_some((entry, who))
        });
        if let Some((entry, group)) = of_groups.max_by_key(|(entry, _)| entry.access) {
            let grantee = Grantee::Group(self.name(group));
            return Some((entry.access, Entry::Conditional(grantee, &entry.condition)));
        }
        if asking.is_restricted || asking.user.is_none() {
            return None;
        }
        let of_everybody = fulfilled().filter(|entry| entry.who.is_none());
        let entry = of_everybody.max_by_key(|entry| entry.access)?;
        Some((entry.access, Entry::Conditional(Grantee::Everybody, &entry.condition)))
    }

    fn groups<'a>(&'a self, asking: &'a Asking<'_>) -> impl Iterator<Item = Name> + 'a {
        let of_process = asking.groups.iter().filter_map(|group| self.name_of.get(group.as_str()).copied());
        asking.connected.iter().copied().chain(of_process)
    }

    fn name(&self, name: Name) -> &Id {
        &self.names[name as usize]
    }
}

/// Returns the highest entry; of equal ones the first, so that an answer always names the same group.
fn highest(entries: impl Iterator<Item = (AccessLevel, Name)>) -> Option<(AccessLevel, Name)> {
    entries.reduce(|best, next| if next.0 > best.0 { next } else { best })
}

/// Returns a resource as its class spells it; `None` when no resource can be called so.
fn folded<'a>(class: &CompiledClass, resource: &'a str) -> Option<Cow<'a, str>> {
    let is_resource = !resource.is_empty()
        && resource.len() <= RESOURCE_BYTES_MAX
        && resource.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_resource {
        return None;
    }
    if class.is_case_sensitive || !resource.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Some(Cow::Borrowed(resource));
    }
    Some(Cow::Owned(resource.to_ascii_uppercase()))
}

impl fmt::Display for Grantee<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(formatter, "the entry of user {id}"),
            Self::Group(id) => write!(formatter, "the entry of group {id}"),
            Self::Everybody => formatter.write_str("the entry ID(*)"),
        }
    }
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownClass => formatter.write_str("the class is not defined"),
            Self::InactiveClass => formatter.write_str("the class is not active"),
            Self::NoResource => formatter.write_str("no resource can have this name"),
            Self::Revoked => formatter.write_str("the user is revoked"),
            Self::NoProfile => formatter.write_str("no profile matches"),
            Self::Profile { name, entry } => match entry {
                Entry::Listed(grantee) => write!(formatter, "{grantee} in profile {name}"),
                Entry::Conditional(grantee, when) => write!(formatter, "{grantee} {when} in profile {name}"),
                Entry::Uacc => write!(formatter, "UACC of profile {name}"),
                Entry::Restricted => {
                    write!(formatter, "no entry in profile {name} for a restricted user")
                }
            },
        }
    }
}

/// A decision with its reason and what would change it, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Who asked; `None` for somebody unknown.
    pub user: Option<String>,
    /// Groups that count: those of the database and those of the process.
    pub groups: Vec<String>,
    /// The class.
    pub class: String,
    /// The resource.
    pub resource: String,
    /// What was asked for.
    pub level: AccessLevel,
    /// Whether access is given.
    pub granted: bool,
    /// The same as the mainframe says it.
    pub return_code: u8,
    /// How much access there is at most.
    pub allowed: AccessLevel,
    /// The profile that decided.
    pub profile: Option<String>,
    /// What decided, in words.
    pub rule: String,
    /// Whether access is only given because the profile warns.
    pub is_warning: bool,
    /// Whether the decision is written down.
    pub audit: bool,
    /// Less specific profiles that also match and do not count, the nearest first.
    pub shadowed: Vec<String>,
    /// The command that would give what was refused.
    pub remedy: Option<String>,
}

/// Answers a question and says why.
pub fn explain(compiled: &Compiled, subject: &Subject, question: &Question<'_>) -> Explanation {
    let name = question.class.to_ascii_uppercase();
    let class = compiled.class(&name);
    let resource = class.and_then(|class| folded(class, question.resource));
    // From here on everything is spelled as the database spells it.
    let resource = resource.unwrap_or(Cow::Borrowed(question.resource));
    let question = &Question { class: &name, resource: &resource, ..*question };
    let decision = compiled.decide(subject, question);
    let profile = match decision.rule {
        Rule::Profile { name, .. } => Some(name.to_owned()),
        _ => None,
    };
    let all = class.into_iter().flat_map(|class| &class.profiles);
    let matching = all.filter(|profile| profile.pattern.matches(&resource));
    let matching: Vec<String> = matching.map(|profile| profile.name.to_string()).collect();
    let known = subject.user.as_ref().and_then(|id| compiled.users.get(id.as_str()));
    let connected = known.into_iter().flat_map(|user| user.groups.iter().map(|group| compiled.name(*group)));
    let groups = connected.chain(subject.groups.iter().filter(|_| compiled.is_grouplist));
    Explanation {
        user: subject.user.as_ref().map(ToString::to_string),
        groups: groups.map(ToString::to_string).collect(),
        class: question.class.to_owned(),
        resource: question.resource.to_owned(),
        level: question.level,
        granted: decision.granted,
        return_code: decision.return_code.number(),
        allowed: decision.allowed,
        shadowed: matching.into_iter().filter(|name| Some(name) != profile.as_ref()).collect(),
        profile,
        rule: decision.rule.to_string(),
        is_warning: decision.is_warning,
        audit: decision.audit,
        remedy: if decision.granted { None } else { Some(remedy(&decision, subject, question)) },
    }
}

/// Returns what an administrator would do to give what was refused.
pub(crate) fn remedy(decision: &Decision<'_>, subject: &Subject, question: &Question<'_>) -> String {
    let Question { class, resource, level, .. } = question;
    let Some(user) = &subject.user else {
        return "define the user (ADDUSER) or one of its groups (ADDGROUP), then permit it".to_owned();
    };
    match decision.rule {
        Rule::UnknownClass => format!("RDEFINE CDT {class} CDTINFO(…)"),
        Rule::InactiveClass => format!("SETROPTS CLASSACT({class})"),
        Rule::NoResource => "ask for a resource of 1 to 246 graphic ASCII characters".to_owned(),
        Rule::Revoked => format!("ALTUSER {user} RESUME"),
        Rule::NoProfile => {
            format!(
                "RDEFINE {class} {resource} UACC(NONE), then PERMIT {resource} CLASS({class}) ID({user}) ACCESS({level})"
            )
        }
        Rule::Profile { name, .. } => format!("PERMIT {name} CLASS({class}) ID({user}) ACCESS({level})"),
    }
}

/// The answer to one of many questions, ready to be kept: a decision without what it was decided from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Right {
    /// Whether access is given.
    pub granted: bool,
    /// Whether uses of it are written down.
    pub is_audited: bool,
    /// Whether access is only given because the profile warns.
    pub is_warning: bool,
    /// What decided, in words.
    pub rule: String,
}

impl Compiled {
    /// Returns the answers to many questions of one subject, in their order: a table that holds until the database changes.
    ///
    /// A use of a right that [`Right::is_warning`] is written down like a refusal, one by one.
    pub fn rights<'a>(
        &self,
        subject: &Subject,
        questions: impl IntoIterator<Item = Question<'a>>,
    ) -> Vec<Right> {
        let right = |question: Question<'a>| {
            let decision = self.decide(subject, &question);
            Right {
                granted: decision.granted,
                is_audited: decision.audit,
                is_warning: decision.is_warning,
                rule: decision.rule.to_string(),
            }
        };
        questions.into_iter().map(right).collect()
    }
}

/// One user's access to a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Who; `None` for anybody whom the database does not know.
    pub user: Option<String>,
    /// How much.
    pub allowed: AccessLevel,
    /// What decided, in words.
    pub rule: String,
    /// Whether access is only given because the profile warns.
    pub is_warning: bool,
}

/// Returns who gets what is asked for: every defined user for whom [`Compiled::decide`] says so, and the unknown.
///
/// Users count with the groups that the database gives them; groups of Linux are not looked up.
pub fn who_can(compiled: &Compiled, question: &Question<'_>) -> Vec<Grant> {
    let defined = compiled.users().map(|id| Subject::user(id.clone()));
    let mut grants: Vec<Grant> = defined
        .chain([Subject::default()])
        .filter_map(|subject| {
            let decision = compiled.decide(&subject, question);
            decision.granted.then(|| Grant {
                user: subject.user.map(String::from),
                allowed: decision.allowed,
                rule: decision.rule.to_string(),
                is_warning: decision.is_warning,
            })
        })
        .collect();
    grants.sort_by(|one, two| (one.user.is_none(), &one.user).cmp(&(two.user.is_none(), &two.user)));
    grants
}

#[cfg(test)]
mod tests;
