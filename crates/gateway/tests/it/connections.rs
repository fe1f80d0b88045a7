//! Connections to instances: which are used again, and which never.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{Message, Reply, Service, World, in_time};

/// More than the buffers of all sockets on the way.
const LARGE: usize = 8 << 20;

fn by_path(message: &Message) -> Reply {
    let is_large = message.first_line().contains("large");
    Reply::Answer(200, "", if is_large { "x".repeat(LARGE) } else { "small".to_owned() })
}

#[tokio::test]
async fn connection_of_an_answer_that_has_ended_is_used_for_the_next_request() {
    let service = Service::start(by_path).await;
    let world = World::new([service.instance("a", &[])]);
    for _ in 0..5 {
        world.get("/a/api/v1/x").await.is(200, "small");
        world.post("/a/api/v1/x", "a body").await.is(200, "small");
        assert_eq!(world.get("/a/api/v1/large").await.body.len(), LARGE);
    }
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn connection_that_the_service_has_closed_is_replaced_also_for_a_change() {
    let service = Service::start(by_path).await;
    let world = World::new([service.instance("a", &[])]);
    for number in 0..10 {
        world.get("/a/api/v1/x").await.is(200, "small");
        service.hang_up().await;
        world.post("/a/api/v1/x", "a change").await.is(200, "small");
        assert_eq!(service.connections(), 1, "{number}");
    }
    assert!(world.events.lock().unwrap().is_empty());
}

#[tokio::test]
async fn connection_of_an_answer_that_the_client_leaves_is_not_used_again() {
    let service = Service::start(by_path).await;
    let world = World::new([service.instance("a", &[])]);
    for number in 1..4 {
        let mut client = TcpStream::connect(world.address).await.unwrap();
        client.write_all(b"GET /a/api/v1/large HTTP/1.1\r\nHost: gateway\r\n\r\n").await.unwrap();
        let mut some = [0; 4096];
        in_time("some of the answer", client.read_exact(&mut some)).await.unwrap();
        drop(client);
        world.get("/a/api/v1/x").await.is(200, "small");
        // The one that was left, and one that goes on to be used.
        assert!(service.connections() <= number + 1, "{}", service.connections());
    }
}

#[tokio::test]
async fn requests_at_the_same_time_have_connections_of_their_own() {
    let service = Service::start(by_path).await;
    let world = World::new([service.instance("a", &[])]);
    let paths = ["/a/api/v1/large", "/a/api/v1/x", "/a/api/v1/large", "/a/api/v1/x"];
    for _ in 0..3 {
        let [one, two, three, four] = paths.map(|path| world.get(path));
        let (one, two, three, four) = tokio::join!(one, two, three, four);
        assert_eq!((one.body.len(), three.body.len()), (LARGE, LARGE));
        two.is(200, "small");
        four.is(200, "small");
    }
    assert!(service.connections() <= 4, "{}", service.connections());
}
