//! Instances that die, hang or refuse: what is repeated, and what never is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tender_gateway::Event;

use crate::world::{Reply, Service, World, in_time};

fn ok(body: &str) -> Reply {
    Reply::Answer(200, "", body.to_owned())
}

#[tokio::test]
async fn request_that_was_not_sent_goes_to_another_instance_whatever_its_method() {
    let (dead, alive) = (Service::start(|_| ok("dead")).await, Service::start(|_| ok("alive")).await);
    dead.kill();
    let world = World::new([dead.instance("a", &[]), alive.instance("a", &[])]);
    for number in 0..6 {
        world.post("/a/api/v1/x", &format!("number {number}")).await.is(200, "alive");
        world.get("/a/api/v1/x").await.is(200, "alive");
    }
    let posts = alive.got().into_iter().filter(|message| message.first_line().starts_with("POST"));
    let bodies: Vec<_> = posts.map(|message| message.text()).collect();
    assert_eq!(bodies, (0..6).map(|number| format!("number {number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn change_whose_connection_broke_is_not_repeated_and_says_so() {
    let (one, two) = (Service::start(|_| Reply::HangUp).await, Service::start(|_| Reply::HangUp).await);
    let world = World::new([one.instance("a", &[]), two.instance("a", &[])]);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let before = one.got().len() + two.got().len();
        let answer = world.ask(method, "/a/api/v1/x", "Content-Length: 0\r\n").await;
        answer.is(500, "ZWEAG707E").is(500, "may have been done");
        assert_eq!(one.got().len() + two.got().len(), before + 1, "{method} was sent once");
    }
}

#[tokio::test]
async fn read_whose_connection_broke_is_asked_of_another_instance() {
    let (breaking, alive) = (Service::start(|_| Reply::HangUp).await, Service::start(|_| ok("alive")).await);
    let world = World::new([breaking.instance("a", &[]), alive.instance("a", &[])]);
    for _ in 0..4 {
        world.get("/a/api/v1/x").await.is(200, "alive");
    }
}

#[tokio::test]
async fn read_of_a_busy_instance_goes_to_another_and_a_change_does_not() {
    let busy = Service::start(|_| Reply::Answer(503, "", "busy".to_owned())).await;
    let alive = Service::start(|_| ok("alive")).await;
    let world = World::new([busy.instance("a", &[]), alive.instance("a", &[])]);
    for _ in 0..4 {
        world.get("/a/api/v1/x").await.is(200, "alive");
    }
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(world.post("/a/api/v1/x", "x").await.status());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 503, 503], "a change is answered by whoever got it");
    drop(alive);
    let alone = World::new([busy.instance("a", &[])]);
    alone.get("/a/api/v1/x").await.is(503, "busy");
}

#[tokio::test]
async fn service_of_which_no_instance_can_be_reached_is_told_to_client_and_log() {
    let dead = Service::start(|_| ok("dead")).await;
    dead.kill();
    let world = World::new([dead.instance("a", &[])]);
    let answer = world.post("/a/api/v1/x", "x").await;
    answer.is(503, "ZWEAO503E");
    assert!(!answer.text().contains(&dead.address.port().to_string()), "what is inside stays inside");
    let events = world.events.lock().unwrap().clone();
    assert!(
        matches!(&events[..], [Event::Unanswered { service, reason }] if service == "a" && reason.contains("localhost:a:")),
        "{events:?}"
    );
}

#[tokio::test]
async fn service_that_never_answers_is_given_up_after_its_own_time() {
    let silent = Service::start(|_| Reply::Silence).await;
    let world = World::new([silent.instance("a", &[("apiml.readTimeout", "50")])]);
    in_time("the gateway gives up", world.get("/a/api/v1/x")).await.is(504, "ZWEAM700E");
    assert_eq!(silent.got().len(), 1);
}

#[tokio::test]
async fn body_that_is_too_large_is_refused_and_not_passed_on() {
    let service = Service::start(|_| ok("")).await;
    let world = World::with([service.instance("a", &[])], |settings| settings.body_bytes = 1000);
    world.post("/a/api/v1/x", &"x".repeat(1000)).await.is(200, "");
    let chunked = format!(
        "POST /a/api/v1/x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n{}\r\n1\r\ny\r\n0\r\n\r\n",
        "x".repeat(1000)
    );
    world.send(chunked).await.is(413, "1000 bytes");
    assert_eq!(service.got().len(), 1, "the service never had it whole");
}

/// Reads while one of two instances is killed: none fails. Changes fail only when they had been sent.
#[tokio::test(flavor = "multi_thread")]
async fn instance_killed_under_load_costs_no_read_and_no_change_twice() {
    let (one, two) = (Service::start(|_| ok("one")).await, Service::start(|_| ok("two")).await);
    let world = Arc::new(World::new([one.instance("a", &[]), two.instance("a", &[])]));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..16 {
        let (world, is_over) = (Arc::clone(&world), Arc::clone(&is_over));
        clients.spawn(async move {
            let (mut reads, mut done, mut lost) = (0, Vec::new(), 0);
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let answer = world.get("/a/api/v1/x").await;
                assert_eq!(answer.status(), 200, "{}{}", answer.head, answer.text());
                reads += 1;
                let name = format!("{client}-{number}");
                match world.post("/a/api/v1/x", &name).await.status() {
                    200 => done.push(name),
                    500 => lost += 1,
                    other => panic!("{other}"),
                }
            }
            (reads, done, lost)
        });
    }
    let got = || one.got().len() + two.got().len();
    in_time("load is on", until(|| got() > 200)).await;
    one.kill();
    let at_the_kill = got();
    in_time("load went on", until(|| got() > at_the_kill + 200)).await;
    is_over.store(true, Ordering::Relaxed);
    let outcomes = clients.join_all().await;
    let reads: usize = outcomes.iter().map(|(reads, ..)| reads).sum();
    let lost: usize = outcomes.iter().map(|(_, _, lost)| lost).sum();
    let mut bodies: Vec<_> = one
        .got()
        .iter()
        .chain(&two.got())
        .map(|message| message.text())
        .filter(|text| !text.is_empty())
        .collect();
    let count = bodies.len();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), count, "no change came twice");
    for (_, done, _) in &outcomes {
        assert!(done.iter().all(|name| bodies.binary_search(name).is_ok()), "what was answered was done");
    }
    assert!(reads > 100 && lost <= 64, "{reads} reads, {lost} changes may have been done or not");
}

async fn until(is: impl Fn() -> bool) {
    while !is() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
