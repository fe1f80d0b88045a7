use proptest::prelude::*;

use super::*;
use crate::discovery::instance::{Instance, Status};
use crate::discovery::{Policy, json};

const PREFIX: &str = "/p/instances/";

fn instance(id: &str, dirty_ms: u64) -> Instance {
    let body = format!(
        r#"{{"instance":{{"instanceId":"{id}","app":"svc","hostName":"h","ipAddr":"1","dataCenterInfo":{{"name":"MyOwn"}},
        "lastDirtyTimestamp":{dirty_ms}}}}}"#
    );
    json::read_instance(body.as_bytes(), 1).unwrap()
}

fn key(id: &str) -> Key {
    ("SVC".to_owned(), id.to_owned())
}

/// What etcd does, as far as it matters here.
#[derive(Debug, Default)]
struct Etcd {
    revision: i64,
    keys: BTreeMap<Vec<u8>, Held>,
    leases: BTreeSet<i64>,
    lease: i64,
    log: Vec<(i64, Vec<u8>, Option<Held>)>,
}

#[derive(Debug, Clone)]
struct Held {
    value: Vec<u8>,
    revision: i64,
    lease: i64,
}

impl Etcd {
    fn carry_out(&mut self, order: &Order) -> Answer {
        let lease = match order.write {
            Write::Put { lease: Some(lease), .. } if !self.leases.contains(&lease) => return Answer::NoLease,
            Write::Put { lease: Some(lease), .. } => lease,
            Write::Put { .. } => {
                self.lease += 1;
                self.leases.insert(self.lease);
                self.lease
            }
            Write::Delete => 0,
        };
        if self.keys.get(&order.place).map(|held| held.revision) != order.revision {
            return Answer::Conflict;
        }
        let value = match &order.write {
            Write::Put { value, .. } => Some(value.clone()),
            Write::Delete => None,
        };
        self.set(order.place.clone(), value, lease);
        Answer::Done { revision: self.revision }
    }

    fn set(&mut self, place: Vec<u8>, value: Option<Vec<u8>>, lease: i64) {
        self.revision += 1;
        let revision = self.revision;
        let held = value.map(|value| Held { value, revision, lease });
        match held.clone() {
            Some(held) => self.keys.insert(place.clone(), held),
            None => self.keys.remove(&place),
        };
        self.log.push((revision, place, held));
    }

    /// Ends a lease, with what was written under it.
    fn end(&mut self, lease: i64) {
        self.leases.remove(&lease);
        let of: Vec<_> =
            self.keys.iter().filter(|(_, held)| held.lease == lease).map(|(key, _)| key.clone()).collect();
        of.into_iter().for_each(|place| self.set(place, None, 0));
    }
}

/// A server: its registry, its journal, and how far it has come.
struct Server {
    registry: Registry,
    journal: Journal,
    /// Changes of the log that were seen.
    seen: usize,
    orders: Vec<Order>,
    answers: Vec<(Order, Answer)>,
    renewals: BTreeSet<i64>,
}

impl Server {
    fn new(name: &str) -> Self {
        Self {
            registry: Registry::new(Policy::default()),
            journal: Journal::new(name.to_owned(), "/p", false),
            seen: 0,
            orders: Vec::new(),
            answers: Vec::new(),
            renewals: BTreeSet::new(),
        }
    }

    /// Does what a client asks for, as the service does it.
    fn client(&mut self, what: u8, id: &str, number: u64, now_ms: u64) {
        let (registry, journal) = (&mut self.registry, &mut self.journal);
        match what {
            0..3 => match registry.register(instance(id, number), now_ms) {
                Registered::New | Registered::Replaced => journal.announced(key(id)),
                _ => journal.heard(registry, &key(id)),
            },
            3..5 => {
                if registry.heartbeat("svc", id, None, false, now_ms).is_ok() {
                    journal.heard(registry, &key(id));
                }
            }
            5 => {
                let dirty_ms = registry.get("svc", id).map_or(0, |entry| entry.instance.dirty_ms);
                if registry.cancel("svc", id, now_ms).is_ok() {
                    journal.cancelled(key(id), dirty_ms);
                }
            }
            6 => {
                let status = Status::ALL[number as usize % 5];
                if registry.set_status("svc", id, status, now_ms).is_ok() {
                    journal.ruled(key(id));
                }
            }
            7 => {
                if registry.remove_status("svc", id, Status::Up, now_ms).is_ok() {
                    journal.ruled(key(id));
                }
            }
            _ => {
                let more = BTreeMap::from([(format!("k{}", number % 3), number.to_string())]);
                if registry.add_metadata("svc", id, more.clone(), now_ms).is_ok() {
                    journal.added(key(id), more);
                }
            }
        }
    }

    fn see(&mut self, etcd: &Etcd, now_ms: u64) -> bool {
        let Some((revision, place, held)) = etcd.log.get(self.seen) else { return false };
        self.seen += 1;
        match held {
            Some(held) => {
                let at = (held.revision, held.lease);
                let asked = Asked::read(PREFIX, (place, &held.value), at, now_ms).unwrap();
                self.journal.written(&mut self.registry, asked, now_ms);
            }
            None => {
                let key = record::read_key(PREFIX, place).unwrap();
                self.journal.deleted(&mut self.registry, key, *revision, now_ms);
            }
        }
        true
    }

    fn read_all(&mut self, etcd: &Etcd, now_ms: u64) {
        let read = |(place, held): (&Vec<u8>, &Held)| {
            Asked::read(PREFIX, (place, &held.value), (held.revision, held.lease), now_ms).unwrap()
        };
        let all = etcd.keys.iter().map(read);
        let is_unchanged = |asked: &Asked| self.journal.is_unchanged(&asked.key, asked.revision, asked.lease);
        let (unchanged, all): (Vec<_>, Vec<_>) = all.partition(is_unchanged);
        let unchanged = unchanged.into_iter().map(|asked| asked.key).collect();
        self.journal.all(&mut self.registry, all, unchanged, etcd.revision, now_ms);
        self.seen = etcd.log.len();
    }

    /// One step of the work beside the answers; says whether there was any.
    fn work(&mut self, step: u8, etcd: &mut Etcd, now_ms: u64) -> bool {
        match step {
            0 => {
                let orders = self.journal.take(&self.registry, 2);
                let is_work = !orders.is_empty();
                self.orders.extend(orders);
                is_work
            }
            1 => {
                let Some(order) = self.orders.pop() else { return false };
                let answer = etcd.carry_out(&order);
                self.answers.push((order, answer));
                true
            }
            2 => {
                let Some((order, answer)) = self.answers.pop() else { return false };
                self.journal.answered(&order, answer);
                true
            }
            3 => {
                self.renewals.extend(self.journal.take_renewals());
                let Some(lease) = self.renewals.pop_first() else { return false };
                self.journal.renewed(&mut self.registry, lease, etcd.leases.contains(&lease), now_ms);
                true
            }
            // Nobody learns what came of it.
            4 => {
                let Some((order, _)) = self.answers.pop() else { return false };
                self.journal.answered(&order, Answer::Failed);
                true
            }
            _ => self.see(etcd, now_ms),
        }
    }

    /// What readers see, without the times of leases.
    fn seen_by_readers(&self) -> Vec<Instance> {
        let plain = |one: &std::sync::Arc<Instance>| {
            let mut one = (**one).clone();
            one.lease.renewed_ms = 0;
            (one.updated_ms, one.action) = (0, crate::discovery::Action::Added);
            one
        };
        self.registry.all().map(plain).collect()
    }
}

fn settle(servers: &mut [Server], etcd: &mut Etcd, now_ms: u64) {
    for _ in 0..10_000 {
        let mut is_work = false;
        for server in servers.iter_mut() {
            for step in [5, 0, 1, 2, 3] {
                is_work |= server.work(step, etcd, now_ms);
            }
        }
        if !is_work {
            return;
        }
    }
    panic!("it does not come to rest: {:?}", servers.iter().map(|one| &one.journal).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn servers_have_the_same_in_the_end_whatever_comes_in_between(
        steps in proptest::collection::vec((0..3_usize, 0..20_u8, 0..3_u8, 0..4_u64), 1..120)
    ) {
        let (mut etcd, mut now_ms) = (Etcd::default(), 1_000_u64);
        let mut servers = [Server::new("a"), Server::new("b"), Server::new("c")];
        for (at, what, id, back) in steps {
            now_ms += 1_000;
            let (server, id) = (&mut servers[at], id.to_string());
            match what {
                // Clients' clocks differ.
                0..9 => server.client(what, &id, (now_ms / 1000).saturating_sub(back), now_ms),
                9..15 => drop(server.work(what - 9, &mut etcd, now_ms)),
                15 => server.read_all(&etcd, now_ms),
                16 => {
                    let lease = etcd.keys.values().map(|held| held.lease).nth(back as usize);
                    lease.into_iter().for_each(|lease| etcd.end(lease));
                }
                17 => server.journal.renewals_lost(),
                // A pause longer than any lease.
                18 => now_ms += 200_000,
                _ => drop(server.see(&etcd, now_ms)),
            }
        }
        settle(&mut servers, &mut etcd, now_ms);
        let [a, b, c] = &servers;
        prop_assert_eq!(a.seen_by_readers(), b.seen_by_readers());
        prop_assert_eq!(a.seen_by_readers(), c.seen_by_readers());
        prop_assert_eq!(a.registry.overrides().collect::<Vec<_>>(), b.registry.overrides().collect::<Vec<_>>());
        prop_assert_eq!(a.registry.hash(), b.registry.hash());
        let there: Vec<_> = etcd.keys.keys().map(|place| record::read_key(PREFIX, place).unwrap()).collect();
        let registered: Vec<_> = a.registry.all().map(|one| (one.app.clone(), one.id.clone())).collect();
        prop_assert_eq!(there, registered, "nobody who is not in etcd, and everybody who is");
        // Who reads all at once has what those have who saw each change.
        let mut new = Server::new("d");
        new.read_all(&etcd, now_ms);
        prop_assert_eq!(new.seen_by_readers(), a.seen_by_readers());
        for server in &servers {
            prop_assert_eq!(server.journal.waiting(), 0);
        }
    }
}

/// A server and an etcd that have one instance, announced at the server.
fn with_one() -> (Server, Etcd) {
    let (mut servers, mut etcd) = ([Server::new("a")], Etcd::default());
    servers[0].client(0, "1", 5, 1_000);
    settle(&mut servers, &mut etcd, 1_000);
    let [server] = servers;
    (server, etcd)
}

#[test]
fn announcement_is_written_under_a_lease_and_a_heartbeat_renews_it() {
    let mut server = Server::new("a");
    server.client(0, "1", 5, 1_000);
    assert!(server.journal.take_news() && server.journal.waiting() == 1);
    let orders = server.journal.take(&server.registry, 9);
    let Write::Put { lease: None, ttl_s: 90, .. } = orders[0].write else { panic!("{orders:?}") };
    assert_eq!((orders[0].place.as_slice(), orders[0].revision), (b"/p/instances/SVC/1".as_slice(), None));
    server.journal.answered(&orders[0], Answer::Done { revision: 7 });
    // It counts when it is seen.
    assert_eq!((server.journal.waiting(), server.journal.take_renewals()), (1, BTreeSet::new()));
    let Write::Put { value, .. } = &orders[0].write else { panic!("{orders:?}") };
    let asked = Asked::read(PREFIX, (&orders[0].place, value), (7, 70), 1_500).unwrap();
    server.journal.written(&mut server.registry, asked, 1_500);
    assert_eq!(server.journal.waiting(), 0);
    server.client(3, "1", 0, 2_000);
    assert_eq!(server.journal.take_renewals(), BTreeSet::from([70]));
    // What is said again is written over it, under the same lease.
    server.client(0, "1", 6, 3_000);
    let orders = server.journal.take(&server.registry, 9);
    let Write::Put { lease: Some(70), .. } = orders[0].write else { panic!("{orders:?}") };
    assert_eq!(orders[0].revision, Some(7));
    server.journal.answered(&orders[0], Answer::NoLease);
    let orders = server.journal.take(&server.registry, 9);
    let Write::Put { lease: None, .. } = orders[0].write else { panic!("{orders:?}") };
}

#[test]
fn instance_that_is_silent_goes_with_its_lease_and_one_that_is_heard_takes_another() {
    let (mut server, mut etcd) = with_one();
    etcd.end(1);
    // Its heartbeat came when the lease had just ended.
    server.client(3, "1", 0, 80_000);
    assert!(server.work(3, &mut etcd, 80_000));
    let mut servers = [server];
    settle(&mut servers, &mut etcd, 80_000);
    assert_eq!((servers[0].registry.count(), etcd.keys.values().next().map(|held| held.lease)), (1, Some(2)));
    etcd.end(2);
    settle(&mut servers, &mut etcd, 400_000);
    assert_eq!((servers[0].registry.count(), etcd.keys.len()), (0, 0));
}

#[test]
fn who_was_away_writes_who_lives_and_forgets_who_was_cancelled_or_went_meanwhile() {
    let (mut server, mut etcd) = with_one();
    for id in ["2", "3"] {
        server.client(0, id, 5, 1_000);
    }
    let mut servers = [server];
    settle(&mut servers, &mut etcd, 1_000);
    let place = |id: &str| record::key_of(PREFIX, &key(id));
    // 1 was cancelled elsewhere; the leases of 2 and 3 ended, and of these only 2 is heard of.
    etcd.set(place("1"), None, 0);
    for id in ["2", "3"] {
        let lease = etcd.keys[&place(id)].lease;
        etcd.end(lease);
    }
    let now_ms = 300_000;
    for id in ["1", "2"] {
        servers[0].client(3, id, 0, now_ms);
    }
    servers[0].read_all(&etcd, now_ms);
    assert!(servers[0].registry.get("svc", "3").is_none() && servers[0].registry.count() == 2);
    settle(&mut servers, &mut etcd, now_ms);
    assert_eq!(etcd.keys.keys().collect::<Vec<_>>(), [&place("2")]);
    assert_eq!(servers[0].registry.count(), 1);
}

#[test]
fn instance_whose_heartbeats_come_here_is_ours_after_the_second() {
    let (server, mut etcd) = with_one();
    let mut servers = [server, Server::new("b")];
    settle(&mut servers, &mut etcd, 1_000);
    let kept = |server: &Server| server.registry.get("svc", "1").unwrap().kept();
    assert_eq!((kept(&servers[0]), kept(&servers[1])), (Kept::Here, Kept::Elsewhere));
    // One in two arrives at each: nothing is written.
    let revision = etcd.revision;
    for (at, now_ms) in [(1, 30_000), (0, 60_000), (1, 90_000), (0, 120_000)] {
        servers[at].client(3, "1", 0, now_ms);
        settle(&mut servers, &mut etcd, now_ms);
    }
    assert_eq!(etcd.revision, revision);
    for now_ms in [150_000, 180_000] {
        servers[1].client(3, "1", 0, now_ms);
        settle(&mut servers, &mut etcd, now_ms);
    }
    assert_eq!(
        (kept(&servers[0]), kept(&servers[1]), etcd.revision),
        (Kept::Elsewhere, Kept::Here, revision + 1)
    );
}

#[test]
fn what_others_hear_of_is_not_expected_here_and_many_that_are_silent_here_are_kept() {
    let mut servers = [Server::new("a"), Server::new("b")];
    let mut etcd = Etcd::default();
    for id in 0..10 {
        servers[0].client(0, &id.to_string(), 1, 1_000);
    }
    servers[1].client(0, "alone", 1, 1_000);
    settle(&mut servers, &mut etcd, 1_000);
    for round in 1..5 {
        servers[1].client(3, "alone", 0, round * 30_000);
    }
    // All that are to be heard of at b are, however silent those of a are.
    assert!(!servers[1].registry.is_preserving(150_000));
    assert_eq!(servers[1].registry.preserved(150_000).preserved, 0);
    assert_eq!(servers[0].registry.preserved(150_000).preserved, 10);
    // What b tells of is not taken away by the time of a.
    assert_eq!(servers[0].registry.evict(10_000_000).preserved, 10);
    assert!(servers[0].registry.get("svc", "alone").is_some());
}

#[test]
fn own_instance_is_nobody_elses_and_is_written_again_when_it_went() {
    let (mut server, mut etcd) = (Server::new("a"), Etcd::default());
    server.registry.take_own(instance("own", 1), 1_000);
    server.journal.announced(key("own"));
    let mut other = Server::new("b");
    other.client(0, "own", 9, 1_000);
    other.client(6, "own", 1, 1_000);
    let mut servers = [other, server];
    settle(&mut servers, &mut etcd, 1_000);
    let own = servers[1].registry.get("svc", "own").unwrap();
    assert_eq!((own.kept(), own.instance.dirty_ms, own.instance.status), (Kept::Own, 1, Status::ALL[1]));
    let lease = etcd.keys.values().next().unwrap().lease;
    etcd.end(lease);
    settle(&mut servers, &mut etcd, 2_000_000);
    assert_eq!((servers[1].registry.count(), etcd.keys.len()), (1, 1));
}

#[test]
fn etcd_that_begins_anew_has_everybody_again_who_is_heard_of() {
    let (mut server, mut etcd) = with_one();
    server.client(0, "2", 5, 1_000);
    let mut servers = [server];
    settle(&mut servers, &mut etcd, 1_000);
    servers[0].client(3, "1", 0, 200_000);
    // One more is on its way to the etcd that is lost.
    servers[0].client(0, "3", 5, 200_000);
    servers[0].work(0, &mut etcd, 200_000);
    let mut other = Etcd { lease: 100, ..Etcd::default() };
    servers[0].read_all(&other, 200_000);
    settle(&mut servers, &mut other, 200_000);
    let there: Vec<_> = other.keys.keys().map(|place| record::read_key(PREFIX, place).unwrap().1).collect();
    assert_eq!(there, ["1", "3"], "2 was silent for longer than its lease");
    assert_eq!((servers[0].registry.count(), servers[0].journal.waiting()), (2, 0));
}

#[test]
fn what_is_refused_waits_until_it_is_tried_again_and_holds_up_nobody() {
    let mut server = Server::new("a");
    server.client(0, "1", 5, 1_000);
    let orders = server.journal.take(&server.registry, 9);
    server.journal.answered(&orders[0], Answer::Refused);
    assert!(server.journal.has_refused() && server.journal.take(&server.registry, 9).is_empty());
    server.client(0, "2", 5, 2_000);
    assert_eq!(server.journal.take(&server.registry, 9).len(), 1);
    server.journal.retry_refused();
    assert_eq!(server.journal.take(&server.registry, 9).len(), 1);
    assert_eq!(server.journal.waiting(), 2);
    // What is said anew may be taken.
    server.client(0, "3", 5, 3_000);
    let orders = server.journal.take(&server.registry, 9);
    server.client(0, "3", 6, 4_000);
    server.journal.answered(&orders[0], Answer::Refused);
    assert_eq!(server.journal.take(&server.registry, 9).len(), 1);
}

#[test]
fn key_that_stands_for_nothing_is_written_over_by_who_hears_of_the_instance() {
    let (server, mut etcd) = with_one();
    let mut servers = [server, Server::new("b")];
    settle(&mut servers, &mut etcd, 1_000);
    etcd.set(record::key_of(PREFIX, &key("1")), Some(b"nothing".to_vec()), 0);
    for server in &mut servers {
        server.seen += 1;
        server.journal.spoilt(&server.registry, key("1"), etcd.revision, 0);
    }
    settle(&mut servers, &mut etcd, 1_000);
    let held = etcd.keys.values().next().unwrap();
    assert!(Record::read(&key("1"), &held.value, 1).is_ok() && held.lease == 2);
    assert_eq!(servers.map(|server| (server.registry.count(), server.journal.waiting())), [(1, 0), (1, 0)]);
}
