//! What is registered, as discovery says it, and while it says nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tender_certificate::tls::{Roots, VerifyMode, client_config};
use tender_gateway::{DiscoveryEvent, Event, Fetcher, FetcherSettings};

use crate::world::{Reply, Service, World};

fn registry(service: &Service, name: &str) -> String {
    format!(
        r#"{{"applications":{{"application":[{{"instance":[{{"app":"{name}","hostName":"127.0.0.1","status":"UP",
        "port":{{"$":{},"@enabled":"true"}},
        "metadata":{{"apiml.routes.a.gatewayUrl":"api/v1","apiml.routes.a.serviceUrl":"/"}}}}]}}]}}}}"#,
        service.address.port()
    )
}

fn fetcher(addresses: &[std::net::SocketAddr]) -> Fetcher {
    Fetcher::new(FetcherSettings {
        discovery: addresses
            .iter()
            .map(|address| format!("http://{address}/eureka/").parse().unwrap())
            .collect(),
        tls: client_config(VerifyMode::Strict, Roots::of(Vec::new()), None).unwrap(),
        interval: Duration::from_secs(3600),
        timeout: Duration::from_secs(20),
    })
}

#[tokio::test]
async fn registry_is_used_as_it_changes_and_stays_in_use_while_discovery_is_away() {
    let service = Service::start(|_| Reply::Answer(200, "", "here".to_owned())).await;
    let document = Arc::new(Mutex::new(registry(&service, "FIRST")));
    let said = Arc::clone(&document);
    let discovery = Service::start(move |message| {
        assert!(message.first_line().starts_with("GET /eureka/apps "), "{}", message.head);
        Reply::Answer(200, "", said.lock().unwrap().clone())
    })
    .await;
    let world = World::new([]);
    let mut fetcher = fetcher(&[discovery.address]);
    fetcher.turn(&world.gateway).await;
    world.get("/first/api/v1/x").await.is(200, "here");
    *document.lock().unwrap() = registry(&service, "SECOND");
    fetcher.turn(&world.gateway).await;
    world.get("/first/api/v1/x").await.is(404, "");
    world.get("/second/api/v1/x").await.is(200, "here");
    for broken in ["", "{}", "no json"] {
        *document.lock().unwrap() = broken.to_owned();
        fetcher.turn(&world.gateway).await;
        world.get("/second/api/v1/x").await.is(200, "here");
    }
    discovery.kill();
    fetcher.turn(&world.gateway).await;
    world.get("/second/api/v1/x").await.is(200, "here");
    world.get("/application/health").await.is(200, "registryAgeMs");
    let lost = |event: &&Event| matches!(event, Event::Discovery(DiscoveryEvent::Lost { .. }));
    assert_eq!(world.events.lock().unwrap().iter().filter(lost).count(), 1, "told once");
}

#[tokio::test]
async fn registry_that_has_not_changed_is_not_sent_again() {
    let service = Service::start(|_| Reply::Echo).await;
    let (document, whole) = (registry(&service, "A"), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&whole);
    let discovery = Service::start(move |message| {
        if message.header("if-none-match") == Some("\"7\"") {
            return Reply::Answer(304, "", String::new());
        }
        count.fetch_add(1, Ordering::Relaxed);
        Reply::Answer(200, "ETag: \"7\"\r\n", document.clone())
    })
    .await;
    let world = World::new([]);
    let mut fetcher = fetcher(&[discovery.address]);
    for _ in 0..3 {
        fetcher.turn(&world.gateway).await;
        world.get("/a/api/v1/x").await.is(200, "");
    }
    assert_eq!(whole.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn another_discovery_is_asked_when_one_is_silent() {
    let service = Service::start(|_| Reply::Echo).await;
    let document = registry(&service, "A");
    let (away, refusing) = (
        Service::start(|_| Reply::HangUp).await,
        Service::start(|_| Reply::Answer(500, "", String::new())).await,
    );
    away.kill();
    let here = Service::start(move |_| Reply::Answer(200, "", document.clone())).await;
    let world = World::new([]);
    let mut fetcher = fetcher(&[away.address, refusing.address, here.address]);
    fetcher.turn(&world.gateway).await;
    fetcher.turn(&world.gateway).await;
    world.get("/a/api/v1/x").await.is(200, "");
    assert_eq!((refusing.got().len(), here.got().len()), (1, 2), "whoever answered is asked first");
}

#[tokio::test]
async fn word_of_a_change_has_discovery_asked_at_once() {
    let service = Service::start(|_| Reply::Echo).await;
    let document = registry(&service, "A");
    let discovery = Service::start(move |_| Reply::Answer(200, "", document.clone())).await;
    let world = World::new([]);
    tokio::spawn(fetcher(&[discovery.address]).run(world.gateway.clone()));
    let asked = |times: usize| {
        let got = Arc::clone(&discovery.got);
        async move {
            while got.lock().unwrap().len() < times {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    };
    crate::world::in_time("the first time", asked(1)).await;
    world.ask("DELETE", "/gateway/cache/services/a", "").await.is(200, "");
    crate::world::in_time("asked again", asked(2)).await;
}

#[tokio::test]
async fn discovery_that_waits_for_changes_is_asked_for_the_next_at_once() {
    use tokio::io::{AsyncWriteExt as _, BufReader};
    let service = Service::start(|_| Reply::Echo).await;
    let documents = ["A", "B", "C", "D"].map(|name| registry(&service, name));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        for (number, document) in documents.iter().enumerate() {
            let asked = crate::world::receive(&mut stream, true).await.unwrap();
            assert_eq!(asked.header("prefer").is_some(), number > 0, "{}", asked.head);
            if number > 0 {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let length = document.len();
            let head = format!("HTTP/1.1 200 OK\r\nETag: \"{number}\"\r\nContent-Length: {length}\r\n\r\n");
            stream.get_mut().write_all(format!("{head}{document}").as_bytes()).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    let world = World::new([]);
    let mut fetcher = fetcher(&[address]);
    // The first two by hand: the interval is an hour.
    fetcher.turn(&world.gateway).await;
    fetcher.turn(&world.gateway).await;
    world.get("/b/api/v1/x").await.is(200, "");
    tokio::spawn(fetcher.run(world.gateway.clone()));
    let fourth = async {
        while world.get("/d/api/v1/x").await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    crate::world::in_time("the fourth change", fourth).await;
}
