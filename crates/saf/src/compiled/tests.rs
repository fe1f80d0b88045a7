use proptest::prelude::*;

use super::*;
use crate::class::Naming;
use crate::id::{ClassName, RESOURCE_BYTES_MAX};
use crate::pattern::PatternMatcher;
use crate::pattern::tests::{pattern_text, resource_text};
use crate::profile::StartedData;

fn general(name: &str) -> Pattern {
    Pattern::parse(name, Naming::General, RESOURCE_BYTES_MAX).unwrap()
}

fn index_of(names: &[&str]) -> (Index, Vec<String>) {
    let mut sorted: Vec<(Pattern, &str)> = names.iter().map(|name| (general(name), *name)).collect();
    sorted.sort_by(|(one, _), (two, _)| (!one.is_generic(), one).cmp(&(!two.is_generic(), two)));
    let index = Index::new(sorted.iter().map(|(pattern, name)| (pattern, *name)));
    (index, sorted.iter().map(|(_, name)| (*name).to_owned()).collect())
}

/// Profiles, a resource, and the profile that is found.
fn check(names: &[&str], resource: &str, wanted: Option<&str>) {
    let (index, sorted) = index_of(names);
    assert_eq!(index.find(resource).map(|place| sorted[place].as_str()), wanted, "{resource}");
}

#[test]
fn discrete_profile_comes_before_generic_ones() {
    check(&["A.B", "A.*", "**"], "A.B", Some("A.B"));
    check(&["A.B", "A.*", "**"], "A.C", Some("A.*"));
    check(&["A.B", "A.*", "**"], "B", Some("**"));
    check(&["A.B", "A.*"], "B", None);
}

#[test]
fn walk_that_ends_nowhere_goes_back() {
    check(&["A.B.C.%", "A.*.C.**"], "A.B.C.XY", Some("A.*.C.**"));
    check(&["A.B*.X", "A.BB.Y", "**.X"], "A.BB.X", Some("A.B*.X"));
}

#[test]
fn names_after_a_double_asterisk_line_up_from_the_end() {
    check(&["**.C.B", "**.B"], "X.C.B", Some("**.C.B"));
    check(&["A.**.B*", "A.**.C"], "A.X.B.D", Some("A.**.B*"));
    check(&["A.**", "A.**.Z"], "A", Some("A.**"));
}

#[test]
fn resource_longer_than_any_name_has_no_profile() {
    check(&["**"], &"A".repeat(246), Some("**"));
    check(&["**"], &".".repeat(246), Some("**"));
    check(&["**"], &"A".repeat(247), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// The tree finds what trying every profile in order finds.
    #[test]
    fn index_finds_what_a_walk_through_all_finds(
        names in prop::collection::btree_set(pattern_text(), 1..24),
        resources in prop::collection::vec(resource_text(), 1..12),
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (index, sorted) = index_of(&names);
        for resource in &resources {
            let found = index.find(resource).map(|place| general(&sorted[place]));
            if let Some(discrete) = names.iter().find(|name| *name == resource) {
                prop_assert_eq!(found, Some(general(discrete)));
                continue;
            }
            let matcher = PatternMatcher::new(names.iter().map(|name| general(name)).collect());
            prop_assert_eq!(found.as_ref(), matcher.find(resource), "{}", resource);
        }
    }
}

fn user(id: &str, uid: Option<u32>) -> crate::user::User {
    let mut user = Database::initial().users.into_values().next().unwrap();
    user.id = id.parse().unwrap();
    user.unix = Some(crate::user::UserUnix { uid, ..crate::user::UserUnix::default() });
    user
}

#[test]
fn linux_user_goes_by_number_before_name() {
    let mut database = Database::initial();
    for made in [user("ANN", Some(1001)), user("BOB", None), user("CAT", Some(7)), user("DAN", Some(7))] {
        database.users.insert(made.id.clone(), made);
    }
    let compiled = Compiled::new(&database);
    let subject = |uid, name: &str| {
        let identity = LinuxIdentity { uid, name: Some(name.to_owned()), groups: Vec::new() };
        compiled.subject(&identity).user.map(String::from)
    };
    assert_eq!(subject(1001, "someone").as_deref(), Some("ANN"));
    assert_eq!(subject(1002, "bob").as_deref(), Some("BOB"));
    assert_eq!(subject(1002, "ann"), None, "ANN has a number, and it is another");
    assert_eq!(subject(7, "cat"), None, "two claim the number");
    assert_eq!(subject(0, "root").as_deref(), Some("ROOT"));
}

#[test]
fn linux_groups_count_when_the_database_knows_them() {
    let mut database = Database::initial();
    let mut group = database.groups.values().next().unwrap().clone();
    group.id = "STAFF".parse().unwrap();
    group.unix = None;
    database.groups.insert(group.id.clone(), group);
    let groups = [(50, Some("staff")), (51, Some("games")), (0, None)];
    let groups = groups.map(|(gid, name)| LinuxGroup { gid, name: name.map(str::to_owned) });
    let identity = LinuxIdentity { uid: 5, name: None, groups: groups.to_vec() };
    let subject = Compiled::new(&database).subject(&identity);
    assert_eq!(subject.groups.iter().map(Id::as_str).collect::<Vec<_>>(), ["STAFF", "SYS1"]);
}

#[test]
fn started_task_takes_its_user_from_the_most_specific_profile() {
    let mut database = Database::initial();
    let class: ClassName = "STARTED".parse().unwrap();
    let root: Id = "ROOT".parse().unwrap();
    for (name, started) in [("ZWES*.**", StartedUser::Member), ("ZWESISTC.*", StartedUser::Id(root.clone()))]
    {
        let mut profile = Profile::new(class.clone(), name.to_owned(), root.clone());
        profile.started = Some(StartedData {
            user: Some(started),
            group: None,
            is_trusted: false,
            is_privileged: false,
            is_traced: false,
        });
        database.insert(crate::database::Record::Profile(profile));
    }
    let compiled = Compiled::new(&database);
    let task = |procedure| compiled.started_task(procedure, "JOB").unwrap();
    assert_eq!((task("zwesistc").profile, task("ZWESISTC").user), ("ZWESISTC.*", Some(root)));
    assert_eq!(task("ZWESASTC").user.unwrap().as_str(), "ZWESASTC");
    assert_eq!(compiled.started_task("OTHER", "JOB"), None);
}
