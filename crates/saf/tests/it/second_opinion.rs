//! Cedar, asked the same, answers the same.
//!
//! Each profile becomes policies of its own, written from the text of its name and its lists. Cedar has no order among
//! policies, so a profile's policies also say that no more specific profile matches.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::str::FromStr as _;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};
use proptest::prelude::*;
use tender_saf::{
    AccessLevel, Class, Compiled, ConditionalEntry, Conditions, Database, Id, Naming, Pattern, Profile,
    Question, Subject, Who,
};

use crate::generate;

/// Most qualifiers of a generated resource, and most characters of a qualifier.
const QUALIFIERS_MAX: usize = 4;
const CHARACTERS_MAX: usize = 2;

/// Says in Cedar that one qualifier of the resource is meant.
fn qualifier_matches(text: &str, at: usize) -> String {
    let (body, is_open) = text.strip_suffix('*').map_or((text, false), |body| (body, true));
    let mut said = format!("resource.length{at} {} {}", if is_open { ">=" } else { "==" }, body.len());
    for (place, wanted) in body.chars().enumerate().filter(|(_, wanted)| *wanted != '%') {
        write!(said, " && resource.char{at}_{place} == \"{wanted}\"").unwrap();
    }
    format!("({said})")
}

/// Says in Cedar that the qualifiers from one place on are meant; `None` for never.
fn rest_matches(qualifiers: &[&str], at: usize, count: usize) -> Option<String> {
    let Some((first, rest)) = qualifiers.split_first() else {
        return (at == count).then(|| "true".to_owned());
    };
    if *first == "**" {
        let ways: Vec<String> = (at..=count).filter_map(|from| rest_matches(rest, from, count)).collect();
        return (!ways.is_empty()).then(|| format!("({})", ways.join(" || ")));
    }
    if at == count {
        return None;
    }
    if rest.is_empty() && first.ends_with('*') {
        return Some(qualifier_matches(first, at));
    }
    Some(format!("({} && {})", qualifier_matches(first, at), rest_matches(rest, at + 1, count)?))
}

/// Says in Cedar that a profile name matches the resource.
fn name_matches(name: &str) -> String {
    let qualifiers: Vec<&str> = name.split('.').collect();
    let way =
        |count| Some(format!("(resource.count == {count} && {})", rest_matches(&qualifiers, 0, count)?));
    let ways: Vec<String> = (1..=QUALIFIERS_MAX).filter_map(way).collect();
    if ways.is_empty() { "false".to_owned() } else { format!("({})", ways.join(" || ")) }
}

/// Lists the actions that a level contains.
fn actions(access: AccessLevel) -> String {
    let contained = AccessLevel::ALL.iter().filter(|level| **level <= access);
    contained.map(|level| format!("Action::\"{level}\"")).collect::<Vec<_>>().join(", ")
}

/// Splits who is listed into users and groups, as Cedar names them.
fn listed<'a>(database: &Database, who: impl Iterator<Item = &'a Who>) -> (Vec<String>, Vec<String>) {
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for who in who {
        match who {
            Who::All => {}
            Who::Id(id) if database.users.contains_key(id) => users.push(format!("User::\"{id}\"")),
            Who::Id(id) => groups.push(format!("Group::\"{id}\"")),
        }
    }
    (users, groups)
}

fn holds(entry: &ConditionalEntry) -> String {
    format!("context.{} == {:?}", entry.when.kind.as_str().to_lowercase(), entry.when.value)
}

/// Says in Cedar that somebody of an entry asks, and that its condition holds.
fn applies(database: &Database, entry: &ConditionalEntry) -> String {
    match &entry.who {
        Who::All => holds(entry),
        Who::Id(id) if database.users.contains_key(id) => {
            format!("(principal == User::\"{id}\" && {})", holds(entry))
        }
        Who::Id(id) => format!("(principal in Group::\"{id}\" && {})", holds(entry)),
    }
}

/// Writes the policies of one profile; `matched` says when it is the one that counts.
fn policies_of_profile(database: &Database, profile: &Profile, matched: &str, policies: &mut String) {
    let mut permit = |access: AccessLevel, when: String| {
        let actions = actions(access);
        writeln!(
            policies,
            "permit(principal, action in [{actions}], resource) when {{ {matched} && {when} }};"
        )
        .unwrap();
    };
    let (users, groups) = listed(database, profile.access.keys());
    let not_user = format!("!([{}].contains(principal))", users.join(", "));
    let not_group = format!("!(principal in [{}])", groups.join(", "));
    let has_all = profile.access.contains_key(&Who::All);
    for (who, access) in &profile.access {
        match who {
            Who::All => permit(
                *access,
                format!("principal.defined && !principal.restricted && {not_user} && {not_group}"),
            ),
            Who::Id(id) if database.users.contains_key(id) => {
                permit(*access, format!("principal == User::\"{id}\""));
            }
            Who::Id(id) => permit(*access, format!("principal in Group::\"{id}\" && {not_user}")),
        }
    }
    let uacc =
        format!("!principal.restricted && !(principal.defined && {has_all}) && {not_user} && {not_group}");
    permit(profile.uacc, uacc);
    permit(AccessLevel::None, "true".to_owned());
    if profile.is_warning {
        permit(AccessLevel::Alter, "true".to_owned());
    }
    for entry in &profile.conditional {
        // An entry counts unless a nearer one, of the user itself or of a group, applies too.
        let rank = |entry: &ConditionalEntry| match &entry.who {
            Who::All => 2,
            Who::Id(id) => u8::from(!database.users.contains_key(id)),
        };
        let nearer = profile.conditional.iter().filter(|other| rank(other) < rank(entry));
        let nearer: Vec<String> = nearer.map(|other| applies(database, other)).collect();
        let nearer = if nearer.is_empty() { "false".to_owned() } else { nearer.join(" || ") };
        let known = if entry.who == Who::All { "principal.defined && !principal.restricted" } else { "true" };
        permit(entry.access, format!("{} && {known} && !({nearer})", applies(database, entry)));
    }
}

/// Writes the policies of a class.
fn policies(database: &Database, class: &Class) -> String {
    let mut policies = "forbid(principal, action, resource) when { principal.revoked };\n".to_owned();
    if !class.is_active {
        return policies;
    }
    let mut profiles: Vec<(Pattern, &Profile)> = database
        .profiles_of(&class.name)
        .map(|profile| (Pattern::parse(&profile.name, Naming::General, 246).unwrap(), profile))
        .collect();
    profiles.sort_by(|(one, _), (two, _)| (one.is_generic(), one).cmp(&(two.is_generic(), two)));
    let mut earlier = vec!["false".to_owned()];
    for (_, profile) in profiles {
        let matches = name_matches(&profile.name);
        let matched = format!("{matches} && !({})", earlier.join(" || "));
        policies_of_profile(database, profile, &matched, &mut policies);
        earlier.push(matches);
    }
    if class.default_return_code == 0 {
        writeln!(policies, "permit(principal, action, resource) when {{ !({}) }};", earlier.join(" || "))
            .unwrap();
    }
    policies
}

fn uid(kind: &str, name: &str) -> EntityUid {
    EntityUid::from_str(&format!("{kind}::{name:?}")).unwrap()
}

/// Makes who asks: a user with the groups that count for it.
fn principal(database: &Database, subject: &Subject) -> Entity {
    let name = subject.user.as_ref().map_or("", Id::as_str);
    let user = database.users.get(name);
    let is_counting =
        |group: &Id| database.options.is_grouplist || user.is_some_and(|user| user.default_group == *group);
    let mut parents = HashSet::new();
    for (group, connect) in user.into_iter().flat_map(|user| &user.groups) {
        if !connect.is_revoked && is_counting(group) {
            parents.insert(uid("Group", group.as_str()));
        }
    }
    if database.options.is_grouplist {
        parents.extend(subject.groups.iter().map(|group| uid("Group", group.as_str())));
    }
    let flag = |is_so: bool| RestrictedExpression::new_bool(is_so);
    let attributes = HashMap::from([
        ("defined".to_owned(), flag(user.is_some())),
        ("restricted".to_owned(), flag(user.is_some_and(|user| user.flags.is_restricted))),
        ("revoked".to_owned(), flag(user.is_some_and(|user| user.flags.is_revoked))),
    ]);
    Entity::new(uid("User", name), attributes, parents).unwrap()
}

fn resource(name: &str) -> Entity {
    let qualifiers: Vec<&str> = name.split('.').collect();
    let long = |number: usize| RestrictedExpression::new_long(i64::try_from(number).unwrap());
    let mut attributes = HashMap::from([("count".to_owned(), long(qualifiers.len()))]);
    for at in 0..QUALIFIERS_MAX {
        let text = qualifiers.get(at).copied().unwrap_or_default();
        attributes.insert(format!("length{at}"), long(text.len()));
        for place in 0..CHARACTERS_MAX {
            let found = text.get(place..=place).unwrap_or_default().to_owned();
            attributes.insert(format!("char{at}_{place}"), RestrictedExpression::new_string(found));
        }
    }
    Entity::new(uid("Resource", name), attributes, HashSet::new()).unwrap()
}

fn context(conditions: &Conditions<'_>) -> Context {
    let given = [
        ("terminal", conditions.terminal),
        ("console", conditions.console),
        ("program", conditions.program),
        ("jesinput", conditions.job),
        ("sysid", conditions.system),
    ];
    let pairs = given.map(|(name, value)| {
        (name.to_owned(), RestrictedExpression::new_string(value.unwrap_or_default().to_owned()))
    });
    Context::from_pairs(pairs).unwrap()
}

/// A question in words that proptest can make.
#[derive(Debug, Clone)]
struct Asked {
    user: usize,
    groups: Vec<&'static str>,
    is_own_class: bool,
    resource: String,
    level: AccessLevel,
    terminal: Option<String>,
    program: Option<String>,
}

prop_compose! {
    fn asked()(
        user in 0..=generate::USERS.len(),
        groups in prop::collection::vec(prop::sample::select(generate::GROUPS.to_vec()), 0..2),
        is_own_class in prop::bool::weighted(0.25),
        resource in generate::resource(),
        level in generate::level(),
        terminal in prop::option::of("[T1 (']{1,1}"),
        program in prop::option::of("[T1 (']{1,1}"),
    ) -> Asked {
        Asked { user, groups, is_own_class, resource, level, terminal, program }
    }
}

fn check(database: &Database, questions: &[Asked]) -> Result<(), TestCaseError> {
    let compiled = Compiled::new(database);
    let classes: BTreeMap<&str, PolicySet> = ["FACILITY", "$OWN"]
        .map(|name| {
            let text = policies(database, &database.classes[name]);
            (name, PolicySet::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
        })
        .into();
    let authorizer = Authorizer::new();
    for asked in questions {
        let class = if asked.is_own_class { "$OWN" } else { "FACILITY" };
        let user = generate::USERS.get(asked.user).map(|name| name.parse().unwrap());
        let groups = asked.groups.iter().map(|group| group.parse().unwrap()).collect();
        let subject = Subject { user, groups };
        let conditions = Conditions {
            terminal: asked.terminal.as_deref(),
            program: asked.program.as_deref(),
            job: asked.terminal.as_deref(),
            ..Conditions::default()
        };
        let question = Question { class, resource: &asked.resource, level: asked.level, conditions };
        let decision = compiled.decide(&subject, &question);

        let (principal, resource) = (principal(database, &subject), resource(&asked.resource));
        let request = Request::new(
            principal.uid(),
            uid("Action", asked.level.as_str()),
            resource.uid(),
            context(&conditions),
            None,
        );
        let entities = Entities::from_entities([principal, resource], None).unwrap();
        let answer = authorizer.is_authorized(&request.unwrap(), &classes[class], &entities);
        let errors: Vec<_> = answer.diagnostics().errors().collect();
        prop_assert!(errors.is_empty(), "{:?}", errors);
        let granted = answer.decision() == Decision::Allow;
        prop_assert_eq!(decision.granted, granted, "{:?}: {}", asked, decision.rule);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn cedar_answers_the_same(
        database in generate::database(),
        questions in prop::collection::vec(asked(), 60),
    ) {
        check(&database, &questions)?;
    }
}
