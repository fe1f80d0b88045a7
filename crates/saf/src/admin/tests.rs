use super::*;
use crate::database::{Change, Database};
use crate::level::AccessLevel;
use crate::script::Script;
use crate::store::SqliteStore;
use crate::user::Authority;

const DEFINITIONS: &str = "
RDEFINE CDT ZOWE CDTINFO(POSIT(607) MAXLENGTH(246) DEFAULTUACC(NONE))
SETROPTS CLASSACT(ZOWE)
ADDGROUP ZWETOP
ADDGROUP ZWESUB SUPGROUP(ZWETOP) OWNER(ZWETOP)
ADDGROUP ZWEFAR SUPGROUP(ZWETOP) OWNER(ROOT)
ADDGROUP OTHER
ADDUSER AUD AUDITOR
ADDUSER GSPEC
CONNECT GSPEC GROUP(ZWETOP) SPECIAL
ADDUSER BOB OWNER(ZWESUB) NAME('BOB B.')
ADDUSER EVE
ADDUSER JOINER
CONNECT JOINER GROUP(ZWETOP) AUTHORITY(JOIN)
ADDUSER CONNER
CONNECT CONNER GROUP(ZWETOP) AUTHORITY(CONNECT)
ADDUSER GONE SPECIAL REVOKE
RDEFINE ZOWE ZOWE.EVE OWNER(EVE)
RDEFINE ZOWE ZOWE.BOB OWNER(BOB)
RDEFINE ZOWE ZOWE.ROOT OWNER(ROOT)
RDEFINE ZOWE ZOWE.SUB.** OWNER(ZWESUB)
RDEFINE ZOWE OTHER.THING OWNER(ROOT)
PERMIT ZOWE.ROOT CLASS(ZOWE) ID(BOB) ACCESS(ALTER)
PERMIT ZOWE.EVE CLASS(ZOWE) ID(BOB) ACCESS(READ)
PERMIT ZOWE.EVE CLASS(ZOWE) ID(ZWETOP) ACCESS(UPDATE)
";

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn policy() -> AdminPolicy {
    AdminPolicy::new("ZOWE".parse().unwrap())
}

fn database() -> Database {
    let mut database = Database::initial();
    let script = Script::parse_plain(DEFINITIONS).unwrap();
    let plan = script.plan(&database, &crate::command::Context { who: id("ROOT") }).unwrap();
    database.apply(&plan.changes).unwrap();
    database
}

fn profile(function: ProfileFunction, name: &str) -> ProfileRequest {
    let is_about_user = matches!(function, ProfileFunction::Give | ProfileFunction::Revoke);
    ProfileRequest {
        function,
        profile: name.to_owned(),
        owner: None,
        user: is_about_user.then(|| "BOB".to_owned()),
        access: (function == ProfileFunction::Give).then_some(AccessLevel::Read),
    }
}

fn group(function: GroupFunction, name: &str) -> GroupRequest {
    let is_about_user = matches!(function, GroupFunction::Connect | GroupFunction::Remove);
    GroupRequest {
        function,
        group: name.to_owned(),
        superior: None,
        user: is_about_user.then(|| "BOB".to_owned()),
        access: (function == GroupFunction::Connect).then_some(Authority::Use),
    }
}

fn ids(lines: &[UserLine]) -> Vec<&str> {
    lines.iter().map(|line| line.id.as_str()).collect()
}

#[test]
fn pages_go_on_after_their_cursor_even_when_it_is_gone() {
    let database = database();
    let root = id("ROOT");
    let first = users(&database, Some(&root), "", 3).unwrap();
    assert_eq!(ids(&first), ["AUD", "BOB", "CONNER"]);
    assert_eq!((first[1].name.as_str(), first[1].default_group.as_str()), ("BOB B.", "SYS1"));
    assert_eq!(ids(&users(&database, Some(&root), "CONNER", 2).unwrap()), ["EVE", "GONE"]);
    assert_eq!(ids(&users(&database, Some(&root), "coz", 1).unwrap()), ["EVE"]);
    assert!(users(&database, Some(&root), "ROOT", 5).unwrap().is_empty());
    let mut names = Vec::new();
    let mut start = String::new();
    loop {
        let page = profiles(&database, &policy(), Some(&root), "", &start, 2).unwrap();
        names.extend(page.iter().map(|line| line.name.clone()));
        let Some(last) = page.last().filter(|_| page.len() == 2) else { break };
        start.clone_from(&last.name);
    }
    assert_eq!(names, ["OTHER.THING", "ZOWE.BOB", "ZOWE.EVE", "ZOWE.ROOT", "ZOWE.SUB.**"]);
    let page = groups(&database, Some(&root), "SYS1", 2).unwrap();
    assert_eq!((page[0].id.as_str(), page[0].superior.as_ref().map(Id::as_str)), ("ZWEFAR", Some("ZWETOP")));
    for wrong in [0, 1001, u32::MAX] {
        assert_eq!(users(&database, Some(&root), "", wrong).unwrap_err().return_code(), 12);
        assert_eq!(profiles(&database, &policy(), Some(&root), "", "", wrong).unwrap_err().return_code(), 14);
    }
    assert_eq!(users(&database, Some(&root), "B O", 1).unwrap_err().return_code(), 10);
}

#[test]
fn listings_show_what_the_acting_user_may_see() {
    let database = database();
    let seen = |actor: &str| {
        let users = users(&database, Some(&id(actor)), "", 100).unwrap();
        let profiles = profiles(&database, &policy(), Some(&id(actor)), "zowe", "", 100).unwrap();
        let groups = groups(&database, Some(&id(actor)), "", 100).unwrap();
        let users: Vec<String> = users.iter().map(|line| line.id.to_string()).collect();
        let profiles: Vec<String> = profiles.iter().map(|line| line.name.clone()).collect();
        let groups: Vec<String> = groups.iter().map(|line| line.id.to_string()).collect();
        [users.join(" "), profiles.join(" "), groups.join(" ")]
    };
    assert_eq!(seen("AUD"), seen("ROOT"));
    assert_eq!(seen("EVE"), ["EVE", "ZOWE.EVE", ""]);
    // ALTER to a discrete profile shows it.
    assert_eq!(seen("BOB"), ["BOB", "ZOWE.BOB ZOWE.ROOT", ""]);
    // ZWESUB is owned by ZWETOP and in its scope, ZWEFAR is only below it.
    assert_eq!(seen("GSPEC"), ["BOB GSPEC", "ZOWE.BOB ZOWE.SUB.**", "ZWESUB ZWETOP"]);
    assert_eq!(seen("CONNER"), ["CONNER", "", "ZWETOP"]);
}

#[test]
fn lists_say_how_many_there_are_when_they_do_not_fit() {
    let database = database();
    let (root, eve) = (id("ROOT"), id("EVE"));
    let list = access_list(&database, &policy(), Some(&eve), "", "zowe.eve", 2).unwrap();
    assert_eq!(list.found, 2);
    assert!(list.entries.contains(&("ZWETOP".to_owned(), AccessLevel::Update)));
    for capacity in [0, 1] {
        let error = access_list(&database, &policy(), Some(&root), "ZOWE", "ZOWE.EVE", capacity).unwrap_err();
        assert_eq!((error.fault.clone(), error.return_code()), (AdminFault::Insufficient { found: 2 }, 16));
        let error = members(&database, Some(&root), "ZWETOP", capacity).unwrap_err();
        assert_eq!((error.fault.clone(), error.return_code()), (AdminFault::Insufficient { found: 3 }, 15));
    }
    let all = members(&database, Some(&id("GSPEC")), "ZWETOP", 3).unwrap();
    assert_eq!((all.entries[2].id.as_str(), all.entries[2].authority), ("JOINER", Authority::Join));
    for (error, code) in [
        (access_list(&database, &policy(), Some(&root), "", "ZOWE.EVE", 8193).unwrap_err(), 12),
        (access_list(&database, &policy(), Some(&root), "FACILITY", "ZWES.IS", 9).unwrap_err(), 17),
        (access_list(&database, &policy(), Some(&root), "", "", 9).unwrap_err(), 11),
        (access_list(&database, &policy(), Some(&eve), "", "ZOWE.ROOT", 9).unwrap_err(), 14),
        (access_list(&database, &policy(), Some(&root), "", "ZOWE.NONE", 9).unwrap_err(), 14),
        (access_list(&database, &policy(), None, "", "ZOWE.EVE", 9).unwrap_err(), 13),
    ] {
        assert_eq!(error.return_code(), code, "{error}");
    }
    assert_eq!(members(&database, Some(&eve), "ZWETOP", 9).unwrap_err().return_code(), 13);
    assert_eq!(members(&database, Some(&root), "ZWETOP", 8193).unwrap_err().return_code(), 11);
}

#[test]
fn nobody_and_the_revoked_do_nothing() {
    let database = database();
    for actor in [None, Some(&id("GONE")), Some(&id("NOBODY"))] {
        let codes = [
            users(&database, actor, "", 1).unwrap_err().return_code(),
            profiles(&database, &policy(), actor, "", "", 1).unwrap_err().return_code(),
            access_list(&database, &policy(), actor, "", "ZOWE.EVE", 1).unwrap_err().return_code(),
            plan_profile(&database, &policy(), actor, &profile(ProfileFunction::Define, "ZOWE.X"))
                .unwrap_err()
                .return_code(),
            groups(&database, actor, "", 1).unwrap_err().return_code(),
            members(&database, actor, "ZWETOP", 1).unwrap_err().return_code(),
            plan_group(&database, &policy(), actor, &group(GroupFunction::Add, "ZWEX"))
                .unwrap_err()
                .return_code(),
        ];
        assert_eq!(codes, [13, 15, 13, 14, 13, 12, 14]);
    }
}

#[test]
fn profiles_are_changed_by_whom_racf_lets() {
    use ProfileFunction::{Define, Delete, Give, Revoke};
    let database = database();
    let may = |actor: &str, function, name: &str| match plan_profile(
        &database,
        &policy(),
        Some(&id(actor)),
        &profile(function, name),
    ) {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error.fault, AdminFault::NotAuthorised { .. }), "{actor} {name}: {error}");
            assert_eq!(error.return_code(), 17);
            false
        }
    };
    for actor in ["AUD", "GSPEC", "BOB", "EVE", "JOINER"] {
        assert!(!may(actor, Define, "ZOWE.NEW"), "{actor} defines");
    }
    assert!(may("ROOT", Define, "ZOWE.NEW"));
    for function in [Delete, Give, Revoke] {
        for (name, who) in [
            ("ZOWE.EVE", ["ROOT", "EVE"].as_slice()),
            ("ZOWE.BOB", &["ROOT", "BOB", "GSPEC"]),
            ("ZOWE.ROOT", &["ROOT", "BOB"]),
            ("ZOWE.SUB.**", &["ROOT", "GSPEC"]),
        ] {
            for actor in ["ROOT", "AUD", "GSPEC", "BOB", "EVE", "JOINER", "CONNER"] {
                assert_eq!(may(actor, function, name), who.contains(&actor), "{actor} {function:?} {name}");
            }
        }
    }
}

#[test]
fn plan_of_a_profile_is_the_command_and_what_it_changes() {
    let database = database();
    let (root, auto) = (id("ROOT"), AdminPolicy { is_auto_refresh: true, ..policy() });
    let owned =
        ProfileRequest { owner: Some("eve".to_owned()), ..profile(ProfileFunction::Define, "zowe.new.*") };
    for (request, command) in [
        (owned, "RDEFINE ZOWE ZOWE.NEW.* OWNER(EVE) UACC(NONE)"),
        (profile(ProfileFunction::Define, "ZOWE.N"), "RDEFINE ZOWE ZOWE.N OWNER(ROOT) UACC(NONE)"),
        (profile(ProfileFunction::Delete, "ZOWE.EVE"), "RDELETE ZOWE ZOWE.EVE"),
        (profile(ProfileFunction::Give, "ZOWE.BOB"), "PERMIT ZOWE.BOB CLASS(ZOWE) ID(BOB) ACCESS(READ)"),
        (profile(ProfileFunction::Revoke, "ZOWE.EVE"), "PERMIT ZOWE.EVE CLASS(ZOWE) ID(BOB) DELETE"),
    ] {
        let plan = plan_profile(&database, &auto, Some(&root), &request).unwrap();
        assert_eq!((plan.command.as_str(), plan.plan.changes.len()), (command, 1));
        assert_eq!(plan.refresh.as_deref(), Some("SETROPTS RACLIST(ZOWE) REFRESH"));
        assert!(!plan.message().is_empty());
    }
    assert_eq!(database, self::database(), "planning changes nothing");
}

#[test]
fn request_that_is_wrong_or_reaches_further_is_refused_by_its_number() {
    use ProfileFunction::{Define, Delete, Give, Revoke};
    let database = database();
    let plan = |request: &ProfileRequest| plan_profile(&database, &policy(), Some(&id("ROOT")), request);
    let named = |name: &str| profile(Define, name);
    for (request, code) in [
        (named("OTHER.THING"), 11),
        (named("ZOWE"), 11),
        (named("**"), 11),
        (named("ZOW*.X"), 11),
        (named(""), 10),
        (named("ZOWE.X UACC(ALTER)"), 10),
        (named("ZOWE.X)UACC(ALTER"), 10),
        (named("ZOWE.X'Y"), 10),
        (named("ZOWE.X-"), 10),
        (named("ZOWE.X\nRDELETE"), 10),
        (named("ZOWE.\u{41e}"), 10),
        (named(&format!("ZOWE.{}", "A".repeat(300))), 10),
        (ProfileRequest { owner: Some("NOBODY".to_owned()), ..named("ZOWE.X") }, 22),
        (ProfileRequest { owner: Some("EVE)UACC(ALTER".to_owned()), ..named("ZOWE.X") }, 22),
        (ProfileRequest { owner: Some("EVE".to_owned()), ..profile(Delete, "ZOWE.EVE") }, 22),
        (ProfileRequest { user: Some("BOB".to_owned()), ..named("ZOWE.X") }, 18),
        (ProfileRequest { user: None, ..profile(Give, "ZOWE.EVE") }, 18),
        (ProfileRequest { user: Some("*".to_owned()), ..profile(Give, "ZOWE.EVE") }, 13),
        (ProfileRequest { user: Some("BOB EVE".to_owned()), ..profile(Revoke, "ZOWE.EVE") }, 13),
        (ProfileRequest { access: None, ..profile(Give, "ZOWE.EVE") }, 16),
        (ProfileRequest { access: Some(AccessLevel::None), ..profile(Give, "ZOWE.EVE") }, 16),
        (ProfileRequest { access: Some(AccessLevel::Read), ..profile(Revoke, "ZOWE.EVE") }, 16),
        (ProfileRequest { user: Some("NOBODY".to_owned()), ..profile(Give, "ZOWE.EVE") }, 17),
        (profile(Delete, "ZOWE.NONE"), 17),
    ] {
        let error = plan(&request).unwrap_err();
        assert_eq!(error.return_code(), code, "{request:?}: {error}");
    }
    let nowhere = AdminPolicy::new("NOCLASS".parse().unwrap());
    let error = plan_profile(&database, &nowhere, Some(&id("ROOT")), &named("ZOWE.X")).unwrap_err();
    assert_eq!(error.return_code(), 19);
}

#[test]
fn groups_are_changed_by_whom_racf_lets() {
    use GroupFunction::{Add, Connect, Delete, Remove};
    let database = database();
    let may = |actor: &str, request: &GroupRequest| match plan_group(
        &database,
        &policy(),
        Some(&id(actor)),
        request,
    ) {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error.fault, AdminFault::NotAuthorised { .. }), "{actor}: {error}");
            false
        }
    };
    let below = |superior: &str| GroupRequest { superior: Some(superior.to_owned()), ..group(Add, "ZWENEW") };
    let giving = |access| GroupRequest { access: Some(access), ..group(Connect, "ZWETOP") };
    for (request, who) in [
        (group(Add, "ZWENEW"), ["ROOT"].as_slice()),
        (below("ZWETOP"), &["ROOT", "GSPEC", "JOINER"]),
        (below("ZWESUB"), &["ROOT", "GSPEC"]),
        (below("ZWEFAR"), &["ROOT"]),
        (group(Delete, "ZWESUB"), &["ROOT", "GSPEC", "JOINER"]),
        (group(Delete, "ZWEFAR"), &["ROOT", "GSPEC", "JOINER"]),
        (giving(Authority::Use), &["ROOT", "GSPEC", "JOINER", "CONNER"]),
        (giving(Authority::Connect), &["ROOT", "GSPEC", "JOINER", "CONNER"]),
        (giving(Authority::Join), &["ROOT", "GSPEC", "JOINER"]),
        (group(Remove, "ZWETOP"), &["ROOT", "GSPEC", "JOINER", "CONNER"]),
        (group(Connect, "ZWESUB"), &["ROOT", "GSPEC"]),
        (group(Connect, "ZWEFAR"), &["ROOT"]),
    ] {
        for actor in ["ROOT", "AUD", "GSPEC", "BOB", "EVE", "JOINER", "CONNER"] {
            assert_eq!(may(actor, &request), who.contains(&actor), "{actor} {request:?}");
        }
    }
}

#[test]
fn group_request_that_is_wrong_is_refused_by_its_number() {
    use GroupFunction::{Add, Connect, Delete, Remove};
    let database = database();
    let plan = |request: &GroupRequest| plan_group(&database, &policy(), Some(&id("ROOT")), request);
    for (request, code) in [
        (group(Add, "OTHER"), 12),
        (group(Delete, "SYS1"), 12),
        (group(Add, "ZWE X"), 10),
        (group(Add, "ZWEX)OWNER(EVE"), 10),
        (group(Add, ""), 10),
        (GroupRequest { superior: Some("A B".to_owned()), ..group(Add, "ZWEX") }, 11),
        (GroupRequest { superior: Some("ZWETOP".to_owned()), ..group(Delete, "ZWESUB") }, 11),
        (GroupRequest { superior: Some("NOWHERE".to_owned()), ..group(Add, "ZWEX") }, 17),
        (GroupRequest { user: Some("B B".to_owned()), ..group(Connect, "ZWETOP") }, 13),
        (GroupRequest { user: None, ..group(Connect, "ZWETOP") }, 18),
        (GroupRequest { access: None, ..group(Connect, "ZWETOP") }, 16),
        (GroupRequest { access: Some(Authority::Use), ..group(Remove, "ZWETOP") }, 16),
        (GroupRequest { user: Some("NOBODY".to_owned()), ..group(Connect, "ZWETOP") }, 17),
        (group(Delete, "ZWETOP"), 17),
        (group(Delete, "ZWENONE"), 17),
    ] {
        let error = plan(&request).unwrap_err();
        assert_eq!(error.return_code(), code, "{request:?}: {error}");
    }
    let add = plan(&GroupRequest { superior: Some("zwetop".to_owned()), ..group(Add, "zwenew") }).unwrap();
    assert_eq!(add.command, "ADDGROUP ZWENEW SUPGROUP(ZWETOP) OWNER(ROOT)");
    assert_eq!(plan(&group(Connect, "ZWETOP")).unwrap().command, "CONNECT BOB GROUP(ZWETOP) AUTHORITY(USE)");
    assert_eq!(plan(&group(Remove, "ZWETOP")).unwrap().command, "REMOVE BOB GROUP(ZWETOP)");
}

#[test]
fn commit_is_one_transaction_with_the_acting_user_in_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::create(&dir.path().join("saf.db")).unwrap();
    let (empty, _) = store.load().unwrap();
    let filled = database();
    let at = Timestamp::UNIX_EPOCH;
    let changes: Vec<Change> = empty.changes_to(&filled);
    let first = Transaction { who: "ROOT".to_owned(), at, what: "definitions".to_owned(), changes };
    store.commit(&first).unwrap();

    let before = store.epoch().unwrap();
    let (loaded, _) = store.load().unwrap();
    let request = profile(ProfileFunction::Give, "ZOWE.SUB.**");
    let plan = plan_profile(&loaded, &policy(), Some(&id("GSPEC")), &request).unwrap();
    assert_eq!(store.epoch().unwrap(), before, "a plan is only a plan");
    let same = plan_profile(&loaded, &policy(), Some(&id("GSPEC")), &request).unwrap();
    let committed = plan.commit(&store, at).unwrap();
    assert_eq!(committed.transaction, Some(2));
    let history = store.history().unwrap();
    let last = history.last().unwrap();
    assert_eq!((last.who.as_str(), last.what.as_str()), ("GSPEC", plan.command.as_str()));
    assert!(
        matches!(same.commit(&store, at), Err(StoreError::Conflict { .. })),
        "planned on what is no more"
    );
}
