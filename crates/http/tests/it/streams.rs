//! Bodies that are handed on as they come, and connections that become another protocol's.

use std::time::Duration;
use tender_http::{Limits, Transport};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{World, ask, long, rest, short, within};

#[tokio::test]
async fn body_is_handed_on_piece_by_piece_in_both_directions() {
    let world = World::start(Transport::Plain, long());
    let mut stream = world.connect().await;
    let head = "POST /mirror HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    // Each piece comes back before the next is sent.
    let answer = ask(&mut stream, &format!("{head}3\r\none\r\n"), "3\r\none\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("transfer-encoding: chunked"), "{answer}");
    assert_eq!(ask(&mut stream, "3\r\ntwo\r\n", "3\r\ntwo\r\n").await, "3\r\ntwo\r\n");
    assert_eq!(ask(&mut stream, "0\r\n\r\n", "0\r\n\r\n").await, "0\r\n\r\n");
    let line = world.requests.lock().unwrap().pop().unwrap();
    assert!(line.contains("\"POST /mirror HTTP/1.1\" 200 6 ") && !line.ends_with(" cut"), "{line}");
}

#[tokio::test]
async fn client_that_leaves_in_the_middle_is_told_of_as_cut() {
    let world = World::start(Transport::Plain, long());
    let mut stream = world.connect().await;
    let post = "POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\none";
    ask(&mut stream, post, "one").await;
    drop(stream);
    within(async {
        while world.requests.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let line = world.requests.lock().unwrap().pop().unwrap();
    assert!(line.ends_with(" cut"), "{line}");
}

/// Waits until the server has seen the end of a connection: then one more is served.
async fn await_place(world: &World) {
    within(async {
        loop {
            let mut stream = world.connect().await;
            stream.write_all(b"GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.ok();
            if !rest(&mut stream).await.is_empty() {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn connection_of_another_protocol_is_left_alone_and_stays_counted() {
    let world = World::start(Transport::Plain, Limits { connections_per_address: 2, ..short() });
    let mut stream = world.connect().await;
    let request = "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let answer = ask(&mut stream, request, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    // Longer than anything may take that is HTTP: so long as others that ask nothing are there, one after the other.
    for _ in 0..3 {
        let mut idle = world.connect().await;
        let mut third = world.connect().await;
        assert_eq!(rest(&mut third).await, "");
        world.await_event("there are 2 of this address").await;
        assert_eq!(rest(&mut idle).await, "");
        await_place(&world).await;
    }
    within(stream.write_all(b"hello")).await.unwrap();
    let mut answer = [0; 5];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"hello");
}
