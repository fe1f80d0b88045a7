//! Security management through the server: lists, members and changes of groups.

use serde_json::{Value, json};

use crate::wire::Raw;
use crate::world::{ANN, USUAL, World, is_root, wait_until};

/// BOSS may everything, LEAD governs one group, BOB nothing; ANN may act for all three.
const PEOPLE: &[&str] = &[
    "ADDUSER BOSS SPECIAL",
    "ADDGROUP ZWETEAM",
    "ADDUSER LEAD",
    "CONNECT LEAD GROUP(ZWETEAM) AUTHORITY(JOIN) SPECIAL",
    "CONNECT BOB GROUP(ZWETEAM)",
    "RDEFINE FACILITY ZOWE.ONE UACC(NONE)",
    "PERMIT ZOWE.ONE CLASS(FACILITY) ID(ANN) ACCESS(READ)",
    "PERMIT ZOWE.ONE CLASS(FACILITY) ID(ZWETEAM) ACCESS(UPDATE)",
    "SETROPTS CLASSACT(SURROGAT)",
    "RDEFINE SURROGAT *.ZWES UACC(NONE)",
    "PERMIT *.ZWES CLASS(SURROGAT) ID(ANN) ACCESS(READ)",
];

struct Office {
    ann: Raw,
    world: World,
}

impl Office {
    fn open() -> Option<Self> {
        if !is_root() {
            return None;
        }
        let world = World::start(&[USUAL, PEOPLE].concat(), "ZWES.SECMGMT.CLASS=FACILITY\n");
        Some(Self { ann: Raw::enter(&world, ANN), world })
    }

    /// Asks as an actor; returns the service's code and what it says.
    fn ask(&mut self, actor: u64, service: u16, request: &Value) -> (u32, Value) {
        let (reply, payload) = self.ann.call_as(actor, service, request.to_string().as_bytes());
        assert_eq!(reply.code, 0, "{request}");
        (reply.detail, serde_json::from_slice(&payload).unwrap_or(Value::Null))
    }

    /// Waits until a question is answered so, as it is when the last change is in force.
    fn wait(
        &mut self,
        what: &str,
        actor: u64,
        service: u16,
        request: &Value,
        is_so: impl Fn(&Value) -> bool,
    ) {
        wait_until(what, || is_so(&self.ask(actor, service, request).1));
    }
}

/// The same request, not to be tried only.
fn really(request: &Value) -> Value {
    let mut request = request.clone();
    request["dry_run"] = json!(false);
    request
}

#[test]
fn access_list_comes_whole_or_says_how_long_it_is() {
    let Some(mut office) = Office::open() else { return };
    let boss = office.ann.act_as("BOSS");
    let list = |capacity: u32| json!({"profile": "ZOWE.ONE", "capacity": capacity});
    assert_eq!(office.ask(0, 16, &list(10)).0, 13, "without an actor");
    let (detail, short) = office.ask(boss, 16, &list(1));
    let found = short["found"].as_u64().unwrap();
    assert_eq!((detail, found, short["entries"].as_array().map(Vec::len)), (16, 2, Some(0)));
    let (detail, whole) = office.ask(boss, 16, &list(2));
    assert_eq!(detail, 0);
    assert_eq!(
        whole["entries"],
        json!([{"id": "ANN", "access": "READ"}, {"id": "ZWETEAM", "access": "UPDATE"}]),
    );
    assert_eq!(office.ask(boss, 16, &list(8193)).0, 12);
    assert_eq!(office.ask(boss, 16, &json!({"profile": "ZOWE.NONE", "capacity": 9})).0, 14);
    let elsewhere = json!({"class": "STARTED", "profile": "ZOWE.ONE", "capacity": 9});
    assert_eq!(office.ask(boss, 16, &elsewhere).0, 17);
    // Who may not see the profile is told what is told about one that does not exist.
    let bob = office.ann.act_as("BOB");
    assert_eq!(office.ask(bob, 16, &list(10)).0, 14);
}

#[test]
fn groups_come_page_by_page_and_each_actor_sees_its_own() {
    let Some(mut office) = Office::open() else { return };
    let numbered: Vec<String> = (0..25).map(|number| format!("ADDGROUP ZWEG{number:02}")).collect();
    office.world.saf(&numbered.iter().map(String::as_str).collect::<Vec<_>>());
    let boss = office.ann.act_as("BOSS");
    office.wait("all groups are there", boss, 18, &json!({"start": "ZWEG23", "count": 1}), |answer| {
        answer["groups"][0]["group"] == "ZWEG24"
    });
    let (mut start, mut seen) = (String::new(), Vec::new());
    loop {
        let (detail, page) = office.ask(boss, 18, &json!({"start": start, "count": 10}));
        assert_eq!(detail, 0);
        let names: Vec<String> = page["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["group"].as_str().unwrap().to_owned())
            .collect();
        seen.extend(names.iter().cloned());
        match names.last() {
            Some(last) if names.len() == 10 => start.clone_from(last),
            _ => break,
        }
    }
    assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
    assert_eq!(seen.iter().filter(|name| name.starts_with("ZWEG")).count(), 25, "{seen:?}");
    let (_, first) = office.ask(boss, 18, &json!({"start": "ZWEG24", "count": 1}));
    assert_eq!(first["groups"][0]["group"], "ZWETEAM");
    assert_eq!(first["groups"][0]["superior"], "SYS1");
    for count in [0, 1001] {
        assert_eq!(office.ask(boss, 18, &json!({"count": count})).0, 12);
    }
    assert_eq!(office.ask(0, 18, &json!({"count": 1})).0, 13, "without an actor");
    let lead = office.ann.act_as("LEAD");
    let (_, own) = office.ask(lead, 18, &json!({"count": 1000}));
    assert_eq!(own["groups"].as_array().map(Vec::len), Some(1), "{own}");
    let bob = office.ann.act_as("BOB");
    assert_eq!(office.ask(bob, 18, &json!({"count": 1000})).1["groups"], json!([]));
}

#[test]
fn members_come_with_their_authority() {
    let Some(mut office) = Office::open() else { return };
    let lead = office.ann.act_as("LEAD");
    let team = |capacity: u32| json!({"group": "ZWETEAM", "capacity": capacity});
    let (detail, answer) = office.ask(lead, 19, &team(10));
    assert_eq!(detail, 0);
    assert_eq!(answer["members"], json!([{"id": "BOB", "access": "USE"}, {"id": "LEAD", "access": "JOIN"}]));
    let (detail, answer) = office.ask(lead, 19, &team(1));
    assert_eq!((detail, answer["found"].as_u64()), (15, Some(2)));
    assert_eq!(office.ask(0, 19, &team(10)).0, 12, "without an actor");
    let bob = office.ann.act_as("BOB");
    assert_eq!(office.ask(bob, 19, &team(10)).0, 13, "USE does not show who else is in it");
    assert_eq!(office.ask(lead, 19, &json!({"group": "NOGROUP", "capacity": 1})).0, 13);
}

#[test]
fn group_is_changed_only_when_it_is_said_that_it_is_no_dry_run() {
    let Some(mut office) = Office::open() else { return };
    let boss = office.ann.act_as("BOSS");
    let exists = json!({"start": "ZWEMOR", "count": 1});
    let add = json!({"function": "add", "group": "ZWEMORE", "superior": "ZWETEAM"});
    assert_eq!(office.ask(0, 20, &add).0, 14, "without an actor");
    let (detail, shown) = office.ask(boss, 20, &add);
    assert_eq!((detail, &shown["changed"]), (0, &json!(false)), "{shown}");
    assert!(shown["command"].as_str().unwrap().contains("ADDGROUP ZWEMORE"), "{shown}");
    assert_ne!(office.ask(boss, 18, &exists).1["groups"][0]["group"], "ZWEMORE", "a dry run has changed it");
    let (detail, done) = office.ask(boss, 20, &really(&add));
    assert_eq!((detail, &done["changed"], &done["command"]), (0, &json!(true), &shown["command"]));
    office.wait("the group is there", boss, 18, &exists, |answer| answer["groups"][0]["group"] == "ZWEMORE");
    let (detail, again) = office.ask(boss, 20, &really(&add));
    assert_eq!((detail, &again["changed"]), (0, &json!(false)), "{again}");
    assert!(again["message"].as_str().unwrap().contains("already"), "{again}");
    // Connect, see, remove, delete.
    let team = json!({"group": "ZWEMORE", "capacity": 5});
    let connect = json!({"function": "connect", "group": "ZWEMORE", "user": "ANN", "access": "CONNECT"});
    assert_eq!(office.ask(boss, 20, &really(&connect)).0, 0);
    office.wait("ANN is connected", boss, 19, &team, |answer| {
        answer["members"] == json!([{"id": "ANN", "access": "CONNECT"}])
    });
    let remove = json!({"function": "remove", "group": "ZWEMORE", "user": "ANN"});
    assert_eq!(office.ask(boss, 20, &really(&remove)).0, 0);
    office.wait("ANN is removed", boss, 19, &team, |answer| answer["found"] == 0);
    let delete = json!({"function": "delete", "group": "ZWEMORE"});
    assert_eq!(office.ask(boss, 20, &really(&delete)).0, 0);
    office.wait("the group is gone", boss, 18, &exists, |answer| answer["groups"][0]["group"] != "ZWEMORE");
    // What it may not do, and how that is told.
    for (request, code) in [
        (json!({"function": "add", "group": "SYSTEM"}), 12),
        (json!({"function": "add", "group": "ZWE0".repeat(9)}), 10),
        (json!({"function": "connect", "group": "ZWETEAM", "access": "USE"}), 18),
        (json!({"function": "connect", "group": "ZWETEAM", "user": "ANN"}), 16),
        (json!({"function": "promote", "group": "ZWETEAM"}), 8),
    ] {
        assert_eq!(office.ask(boss, 20, &really(&request)).0, code, "{request}");
    }
    // Without authority in the group nothing is changed, not even said.
    let bob = office.ann.act_as("BOB");
    let (detail, said) = office.ask(
        bob,
        20,
        &really(&json!({
            "function": "connect", "group": "ZWETEAM", "user": "ANN", "access": "USE",
        })),
    );
    assert_eq!((detail, &said["changed"]), (17, &json!(false)), "{said}");
    assert!(said["message"].as_str().unwrap().contains("authority"), "{said}");
    // Who did it is in the history of the database, under its own name.
    let store = tender_saf::SqliteStore::open(&office.world.path("saf.db")).unwrap();
    let history = tender_saf::Store::history(&store).unwrap();
    let of_boss = history.iter().filter(|entry| entry.who == "BOSS" && entry.what.contains("ZWEMORE"));
    assert_eq!(of_boss.count(), 4, "{history:?}");
}

#[test]
fn change_that_was_made_is_answered_as_made_though_another_database_counts_by_then() {
    if !is_root() {
        return;
    }
    let mut world = World::prepare(&[USUAL, PEOPLE].concat(), "");
    tender_saf::SqliteStore::create(&world.path("other.db")).unwrap();
    world.saf_of("other.db", USUAL);
    let name = |world: &World, database: &str| {
        let path = world.path(database);
        world.write_member(&format!("ZWES.SECMGMT.CLASS=FACILITY\nZWES.SAF.DATABASE={}\n", path.display()));
    };
    name(&world, "saf.db");
    world.is_database_in_member = true;
    world.run(&[]);
    let mut ann = Raw::enter(&world, ANN);
    let boss = ann.act_as("BOSS");
    let keeper = world.boxes("keeper")[0];
    crate::world::signal(keeper, rustix::process::Signal::STOP);
    let request = really(&json!({"function": "add", "group": "ZWELATE"})).to_string();
    let mut header = ann.next_call(20, request.len());
    header.actor = boss;
    ann.send(&[&header.encode()[..], request.as_bytes()].concat(), &[]).unwrap();
    // What comes after it on the same way is answered: it is with the keeper.
    assert_eq!(ann.call(26, br#"{"refusals":{"count":1}}"#).0.code, 0);
    name(&world, "other.db");
    let (lines, code) = world.modify("RELOAD");
    assert_eq!(code, 0, "{lines:?}");
    wait_until("the other profiles are there", || world.log().contains("other.db are in force"));
    crate::world::signal(keeper, rustix::process::Signal::CONT);
    let (reply, payload) = ann.hear().frame();
    let said: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((reply.sequence, reply.code, reply.detail), (header.sequence, 0, 0), "{said}");
    assert_eq!(said["changed"], true, "{said}");
    let groups = |database: &str| {
        let store = tender_saf::SqliteStore::open(&world.path(database)).unwrap();
        tender_saf::Store::load(&store).unwrap().0.groups
    };
    let is_it = |id: &tender_saf::Id| id.as_str() == "ZWELATE";
    assert!(groups("saf.db").keys().any(is_it) && !groups("other.db").keys().any(is_it));
}
