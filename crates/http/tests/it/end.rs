//! The end of a server.

use tender_http::Transport;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::world::{World, long, rest, short, within};

const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn request_that_is_being_answered_comes_to_its_end() {
    let mut world = World::start(Transport::Plain, long());
    let (mut busy, mut idle) = (world.connect().await, world.connect().await);
    within(busy.write_all(WAIT)).await.unwrap();
    within(world.waits.notified()).await;
    world.stop();
    assert_eq!(rest(&mut idle).await, "", "who asks nothing is let go at once");
    let refused = TcpStream::connect(world.address).await;
    assert!(refused.is_err() || rest(&mut refused.unwrap()).await.is_empty());
    world.go_on.notify_one();
    let answer = rest(&mut busy).await;
    assert!(answer.ends_with("waited") && answer.contains("connection: close"), "{answer}");
    assert!(world.ended().await.is_clean);
}

#[tokio::test]
async fn request_that_never_ends_is_cut_off_after_the_grace() {
    let mut world = World::start(Transport::Plain, short());
    let mut busy = world.connect().await;
    within(busy.write_all(WAIT)).await.unwrap();
    within(world.waits.notified()).await;
    world.stop();
    assert_eq!(rest(&mut busy).await, "");
    assert!(!world.ended().await.is_clean);
}
