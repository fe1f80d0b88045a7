//! Databases made at random, within what commands could have made.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tender_saf::{
    AccessLevel, AuditSettings, Authority, Condition, ConditionKind, ConditionalEntry, Connect, Database,
    Group, GroupUnix, Id, Profile, Record, StartedData, StartedUser, User, UserFlags, UserUnix, Who,
};

/// Users and groups that every generated database has.
pub(crate) const USERS: [&str; 4] = ["ANN", "BOB", "CAT", "ROOT"];
pub(crate) const GROUPS: [&str; 4] = ["G1", "G2", "G3", "SYS1"];

fn id(name: &str) -> Id {
    name.parse().unwrap()
}

pub(crate) fn level() -> impl Strategy<Value = AccessLevel> {
    prop::sample::select(AccessLevel::ALL.to_vec())
}

fn who() -> impl Strategy<Value = Who> {
    let names: Vec<String> =
        USERS.iter().chain(&GROUPS).map(ToString::to_string).chain(["*".to_owned()]).collect();
    prop::sample::select(names).prop_map(|name| Who::try_from(name).unwrap())
}

/// What would hide most of the rest if it were often so.
fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.12)
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[ -~äß]{0,20}")
}

/// Names over a small alphabet, so that profiles overlap.
pub(crate) fn profile_name() -> impl Strategy<Value = String> {
    let qualifier = prop_oneof![
        6 => "[AB]{1,2}",
        2 => "[AB%]{1,2}",
        2 => "[AB%]{0,2}\\*",
        1 => Just("**".to_owned()),
    ];
    prop::collection::vec(qualifier, 1..4)
        .prop_map(|qualifiers| qualifiers.join("."))
        .prop_filter("one `**` at most", |name| name.split('.').filter(|part| *part == "**").count() < 2)
}

pub(crate) fn resource() -> impl Strategy<Value = String> {
    prop::collection::vec("[AB]{1,2}", 1..5).prop_map(|qualifiers| qualifiers.join("."))
}

fn conditional() -> impl Strategy<Value = ConditionalEntry> {
    let kind = prop::sample::select(ConditionKind::ALL.to_vec());
    (who(), kind, "[T1 (']{1,1}", level()).prop_map(|(who, kind, value, access)| ConditionalEntry {
        who,
        when: Condition { kind, value },
        access,
    })
}

prop_compose! {
    pub(crate) fn profile(class: &'static str)(
        name in profile_name(), uacc in level(), is_warning in rarely(), number in any::<u8>(),
        audit in (prop::option::of(level()), prop::option::of(level())),
        notify in prop::option::of(prop::sample::select(USERS.to_vec())),
        data in text(), appl_data in text(), started in any::<Option<(bool, bool, bool, bool, bool)>>(),
        access in prop::collection::btree_map(who(), level(), 0..7),
        conditional in prop::collection::vec(conditional(), 0..5),
    ) -> Profile {
        let mut profile = Profile::new(class.parse().unwrap(), name, id("ROOT"));
        profile.uacc = uacc;
        profile.is_warning = is_warning;
        profile.level = number;
        profile.audit = AuditSettings { success: audit.0, failures: audit.1 };
        profile.notify = notify.map(id);
        profile.data = data;
        profile.appl_data = appl_data;
        profile.access = access;
        let mut conditional = conditional;
        conditional.sort();
        conditional.dedup_by(|one, two| (&one.who, &one.when) == (&two.who, &two.when));
        profile.conditional = conditional;
        if class == "STARTED" {
            profile.started = started.map(|(user, group, is_trusted, is_privileged, is_traced)| StartedData {
                user: user.then_some(StartedUser::Member),
                group: group.then(|| StartedUser::Id(id("G1"))),
                is_trusted,
                is_privileged,
                is_traced,
            });
        }
        profile
    }
}

prop_compose! {
    fn user(name: &'static str)(
        called in text(), data in text(), default in 0..GROUPS.len(),
        groups in prop::collection::btree_map(
            prop::sample::select(GROUPS.to_vec()),
            (prop::sample::select(Authority::ALL.to_vec()), rarely(), any::<bool>()), 0..4),
        flags in any::<[bool; 5]>(), is_restricted in rarely(), is_revoked in rarely(),
        unix in prop::option::of((any::<Option<u16>>(), text(), text())),
    ) -> User {
        let connect = |(authority, is_revoked, is_special)| Connect { authority, is_revoked, is_special };
        let mut groups: BTreeMap<Id, Connect> =
            groups.into_iter().map(|(group, found)| (id(group), connect(found))).collect();
        groups.entry(id(GROUPS[default])).or_default();
        User {
            id: id(name),
            name: called,
            owner: id("ROOT"),
            default_group: id(GROUPS[default]),
            groups,
            flags: UserFlags {
                is_special: flags[0],
                is_auditor: flags[1],
                is_operations: flags[2],
                is_restricted,
                is_protected: flags[3],
                is_revoked,
                is_audited: flags[4],
            },
            data,
            unix: unix.map(|(uid, home, program)| UserUnix { uid: uid.map(u32::from), home, program }),
        }
    }
}

prop_compose! {
    /// A database with all [`USERS`] and [`GROUPS`], a class of its own, and profiles in three classes.
    pub(crate) fn database()(
        ann in user("ANN"), bob in user("BOB"), cat in user("CAT"),
        gids in any::<[Option<Option<u16>>; 3]>(), group_data in text(), not_grouplist in rarely(),
        states in any::<[bool; 6]>(), inactive in rarely(), code in prop::sample::select(vec![0u8, 4, 8]), uacc in level(),
        facility in prop::collection::vec(profile("FACILITY"), 0..8),
        started in prop::collection::vec(profile("STARTED"), 0..3),
        own in prop::collection::vec(profile("$OWN"), 0..3),
    ) -> Database {
        let mut database = Database::initial();
        database.options.is_grouplist = !not_grouplist;
        for (name, gid) in GROUPS.into_iter().zip(gids) {
            let superior = Some(id(if name == "G3" { "G1" } else { "SYS1" }));
            let unix = gid.map(|gid| GroupUnix { gid: gid.map(u32::from) });
            let data = group_data.clone();
            database.insert(Record::Group(Group { id: id(name), superior, owner: id("ANN"), data, unix }));
        }
        let mut class = tender_saf::Class::new("$OWN".parse().unwrap());
        class.is_active = states[0] || states[5];
        class.is_case_sensitive = states[1];
        class.posit = 600;
        class.default_return_code = code;
        class.default_uacc = uacc;
        database.insert(Record::Class(class));
        let facility_class = database.classes.get_mut("FACILITY").unwrap();
        facility_class.is_active = !inactive;
        facility_class.is_raclisted = states[3];
        facility_class.is_generic = states[4];
        for user in [ann, bob, cat] {
            database.insert(Record::User(user));
        }
        for profile in facility.into_iter().chain(started).chain(own) {
            database.insert(Record::Profile(profile));
        }
        database
    }
}
