use super::*;
use crate::database::{Database, Record};
use crate::level::AuditSettings;
use crate::profile::{ConditionKind, ConditionalEntry, Profile, Who};
use crate::user::{Connect, Group, User, UserFlags};

fn id(name: &str) -> Id {
    name.parse().unwrap()
}

/// Users ANN (groups G1, G2), BOB (G2), and one profile FACILITY A.B that `change` fills.
fn database(change: impl FnOnce(&mut Profile)) -> Database {
    let mut database = Database::initial();
    for name in ["G1", "G2"] {
        let group =
            Group { id: id(name), superior: Some(id("SYS1")), owner: id("ROOT"), data: None, unix: None };
        database.insert(Record::Group(group));
    }
    for (name, groups) in [("ANN", &["G1", "G2"][..]), ("BOB", &["G2"])] {
        let user = User {
            id: id(name),
            name: None,
            owner: id("ROOT"),
            default_group: id(groups[0]),
            groups: groups.iter().map(|group| (id(group), Connect::default())).collect(),
            flags: UserFlags::default(),
            data: None,
            unix: None,
        };
        database.insert(Record::User(user));
    }
    let mut profile = Profile::new("FACILITY".parse().unwrap(), "A.B".to_owned(), id("ROOT"));
    change(&mut profile);
    database.insert(Record::Profile(profile));
    database
}

fn permit(profile: &mut Profile, who: &str, access: AccessLevel) {
    profile.access.insert(Who::try_from(who.to_owned()).unwrap(), access);
}

fn question(level: AccessLevel) -> Question<'static> {
    Question { class: "FACILITY", resource: "A.B", level, conditions: Conditions::default() }
}

/// Returns how much a user gets and why.
fn allowed(database: &Database, user: &str) -> (AccessLevel, String) {
    let compiled = Compiled::new(database);
    let decision = compiled.decide(&Subject::user(id(user)), &question(AccessLevel::Alter));
    (decision.allowed, decision.rule.to_string())
}

#[test]
fn entry_of_the_user_comes_before_those_of_its_groups() {
    let database = database(|profile| {
        profile.uacc = AccessLevel::Alter;
        permit(profile, "ANN", AccessLevel::None);
        permit(profile, "G2", AccessLevel::Update);
    });
    assert_eq!(allowed(&database, "ANN").0, AccessLevel::None);
    assert_eq!(
        allowed(&database, "BOB"),
        (AccessLevel::Update, "the entry of group G2 in profile A.B".to_owned())
    );
}

#[test]
fn highest_entry_of_several_groups_counts_and_none_of_them_falls_through_to_uacc() {
    let mut database = database(|profile| {
        profile.uacc = AccessLevel::Alter;
        permit(profile, "G1", AccessLevel::Read);
        permit(profile, "G2", AccessLevel::None);
    });
    assert_eq!(allowed(&database, "ANN").0, AccessLevel::Read);
    assert_eq!(allowed(&database, "BOB").0, AccessLevel::None);
    database.options.is_grouplist = false;
    database.users.get_mut("ANN").unwrap().default_group = id("G2");
    assert_eq!(allowed(&database, "ANN").0, AccessLevel::None);
}

#[test]
fn entry_for_everybody_is_for_defined_users_only() {
    let database = database(|profile| {
        profile.uacc = AccessLevel::Read;
        permit(profile, "*", AccessLevel::Update);
    });
    assert_eq!(allowed(&database, "ROOT").0, AccessLevel::Update);
    assert_eq!(allowed(&database, "STRANGER").0, AccessLevel::Read);
}

#[test]
fn restricted_user_gets_only_what_names_it() {
    let mut database = database(|profile| {
        profile.uacc = AccessLevel::Alter;
        permit(profile, "*", AccessLevel::Alter);
    });
    database.users.get_mut("BOB").unwrap().flags.is_restricted = true;
    assert_eq!(allowed(&database, "BOB").0, AccessLevel::None);
    assert_eq!(allowed(&database, "ANN").0, AccessLevel::Alter);
}

#[test]
fn revoked_user_and_revoked_connect_give_nothing() {
    let mut database = database(|profile| permit(profile, "G2", AccessLevel::Read));
    assert_eq!(allowed(&database, "BOB").0, AccessLevel::Read);
    database.users.get_mut("BOB").unwrap().groups.get_mut("G2").unwrap().is_revoked = true;
    assert_eq!(allowed(&database, "BOB").0, AccessLevel::None);
    database.users.get_mut("ANN").unwrap().flags.is_revoked = true;
    assert_eq!(allowed(&database, "ANN"), (AccessLevel::None, "the user is revoked".to_owned()));
}

#[test]
fn groups_of_the_process_count_also_for_an_unknown_user() {
    let compiled = Compiled::new(&database(|profile| permit(profile, "G1", AccessLevel::Read)));
    let subject = Subject { user: None, groups: vec![id("G1")] };
    assert!(compiled.decide(&subject, &question(AccessLevel::Read)).granted);
    assert!(!compiled.decide(&Subject::default(), &question(AccessLevel::Read)).granted);
}

#[test]
fn conditional_entry_raises_access_when_its_condition_holds_and_never_lowers_it() {
    let compiled = Compiled::new(&database(|profile| {
        permit(profile, "ANN", AccessLevel::Read);
        let when = Condition { kind: ConditionKind::Terminal, value: "T1".to_owned() };
        for (who, access) in [("ANN", AccessLevel::None), ("G2", AccessLevel::Update)] {
            let who = Who::try_from(who.to_owned()).unwrap();
            profile.conditional.push(ConditionalEntry { who, when: when.clone(), access });
        }
    }));
    let ask = |user: &str, terminal, level| {
        let conditions = Conditions { terminal, ..Conditions::default() };
        compiled.decide(&Subject::user(id(user)), &Question { conditions, ..question(level) }).granted
    };
    assert!(ask("ANN", Some("t1"), AccessLevel::Read));
    assert!(!ask("ANN", Some("T1"), AccessLevel::Update), "the user's own entry comes before the group's");
    assert!(ask("BOB", Some("T1"), AccessLevel::Update));
    assert!(!ask("BOB", Some("T2"), AccessLevel::Update));
    assert!(!ask("BOB", None, AccessLevel::Read));
}

#[test]
fn warning_gives_what_is_refused_and_is_written_down() {
    let compiled = Compiled::new(&database(|profile| {
        profile.is_warning = true;
        profile.audit = AuditSettings::NONE;
    }));
    let decision = compiled.decide(&Subject::user(id("ANN")), &question(AccessLevel::Read));
    assert_eq!((decision.granted, decision.is_warning, decision.audit), (true, true, true));
    assert_eq!(decision.allowed, AccessLevel::None);
}

#[test]
fn nothing_said_is_no_access() {
    let mut database = database(|_| ());
    let decide = |database: &Database, class: &'static str, resource: &'static str| {
        let compiled = Compiled::new(database);
        let question = Question { class, resource, ..question(AccessLevel::Read) };
        let decision = compiled.decide(&Subject::user(id("ROOT")), &question);
        assert!(decision.granted || decision.audit, "a refusal without a profile is written down");
        (decision.granted, decision.return_code.number(), decision.rule.to_string())
    };
    assert_eq!(decide(&database, "FACILITY", "X"), (false, 4, "no profile matches".to_owned()));
    assert_eq!(decide(&database, "SERVER", "X"), (false, 4, "the class is not active".to_owned()));
    assert_eq!(decide(&database, "NOSUCH", "X"), (false, 4, "the class is not defined".to_owned()));
    assert_eq!(decide(&database, "FACILITY", "A B").1, 8);
    assert_eq!(decide(&database, "FACILITY", "").1, 8);
    database.classes.get_mut("FACILITY").unwrap().default_return_code = 0;
    assert!(decide(&database, "FACILITY", "X").0);
}

#[test]
fn audit_follows_the_profile_and_the_user() {
    let mut database = database(|profile| {
        permit(profile, "ANN", AccessLevel::Update);
        profile.audit =
            AuditSettings { success: Some(AccessLevel::Update), failures: Some(AccessLevel::Control) };
    });
    let audit = |database: &Database, level| {
        Compiled::new(database).decide(&Subject::user(id("ANN")), &question(level)).audit
    };
    let levels = [AccessLevel::Read, AccessLevel::Update, AccessLevel::Control];
    assert_eq!(levels.map(|level| audit(&database, level)), [false, true, true]);
    database.users.get_mut("ANN").unwrap().flags.is_audited = true;
    assert!(audit(&database, AccessLevel::Read));
}

#[test]
fn explanation_names_rule_shadowed_profiles_and_remedy() {
    let mut database = database(|profile| permit(profile, "G1", AccessLevel::Read));
    for name in ["A.*", "**"] {
        let profile = Profile::new("FACILITY".parse().unwrap(), name.to_owned(), id("ROOT"));
        database.insert(Record::Profile(profile));
    }
    let compiled = Compiled::new(&database);
    let explained = explain(&compiled, &Subject::user(id("ANN")), &question(AccessLevel::Update));
    assert_eq!(explained.rule, "the entry of group G1 in profile A.B");
    assert_eq!(explained.shadowed, ["A.*", "**"]);
    assert_eq!(explained.groups, ["G1", "G2"]);
    assert_eq!(explained.remedy.unwrap(), "PERMIT A.B CLASS(FACILITY) ID(ANN) ACCESS(UPDATE)");
    let folded = Question { class: "facility", resource: "a.b", ..question(AccessLevel::Read) };
    let explained = explain(&compiled, &Subject::user(id("ANN")), &folded);
    assert_eq!((explained.granted, explained.remedy), (true, None));
    let folded = Question { class: "facility", resource: "a.x", ..question(AccessLevel::Read) };
    let remedy = explain(&compiled, &Subject::user(id("ANN")), &folded).remedy.unwrap();
    assert_eq!(remedy, "PERMIT A.* CLASS(FACILITY) ID(ANN) ACCESS(READ)");
}

#[test]
fn who_can_lists_exactly_those_whom_decide_lets_in() {
    let compiled = Compiled::new(&database(|profile| {
        permit(profile, "G1", AccessLevel::Read);
        permit(profile, "BOB", AccessLevel::None);
        profile.uacc = AccessLevel::Read;
    }));
    let grants = who_can(&compiled, &question(AccessLevel::Read));
    let users: Vec<_> = grants.iter().map(|grant| grant.user.as_deref()).collect();
    assert_eq!(users, [Some("ANN"), Some("ROOT"), None]);
    assert!(who_can(&compiled, &question(AccessLevel::Update)).is_empty());
}

#[test]
fn rights_are_the_decisions_one_by_one_in_their_order() {
    let mut database = database(|profile| {
        profile.audit = AuditSettings { success: Some(AccessLevel::Read), failures: None };
        permit(profile, "ANN", AccessLevel::Update);
    });
    let mut warning = Profile::new("FACILITY".parse().unwrap(), "A.W".to_owned(), id("ROOT"));
    warning.is_warning = true;
    database.insert(Record::Profile(warning));
    let compiled = Compiled::new(&database);
    let of = |class: &'static str, resource: &'static str, level| Question {
        class,
        resource,
        level,
        conditions: Conditions::default(),
    };
    let questions = [
        of("FACILITY", "A.B", AccessLevel::Read),
        of("FACILITY", "A.B", AccessLevel::Alter),
        of("FACILITY", "A.W", AccessLevel::Read),
        of("FACILITY", "NO.PROFILE", AccessLevel::Read),
        of("NOCLASS", "A.B", AccessLevel::Read),
        of("FACILITY", "A.B", AccessLevel::Read),
    ];
    for subject in [Subject::user(id("ANN")), Subject::user(id("BOB")), Subject::default()] {
        let rights = compiled.rights(&subject, questions);
        assert_eq!(rights.len(), questions.len());
        for (right, question) in rights.iter().zip(&questions) {
            let decision = compiled.decide(&subject, question);
            let wanted = Right {
                granted: decision.granted,
                is_audited: decision.audit,
                is_warning: decision.is_warning,
                rule: decision.rule.to_string(),
            };
            assert_eq!(*right, wanted, "{subject:?} {question:?}");
        }
    }
    // What the table says, once in plain words.
    let ann = compiled.rights(&Subject::user(id("ANN")), questions);
    let granted: Vec<bool> = ann.iter().map(|right| right.granted).collect();
    assert_eq!(granted, [true, false, true, false, false, true]);
    assert!(ann[0].is_audited && !ann[0].is_warning && ann[0].rule.contains("A.B"), "{:?}", ann[0]);
    assert!(ann[2].is_warning, "{:?}", ann[2]);
    assert_eq!(ann[0], ann[5]);
    assert_eq!(compiled.rights(&Subject::default(), []), []);
}
