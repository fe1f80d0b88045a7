//! Slow, large and many.

use std::time::Duration;

use tender_http::{Limits, Transport};
use tokio::io::AsyncWriteExt as _;

use crate::world::{World, ask, long, rest, short, within};

const GET: &str = "GET /who HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn head_that_trickles_in_is_cut_off_while_others_are_served() {
    let limits = Limits { idle_timeout: Duration::from_secs(60), ..short() };
    let world = World::start(Transport::Plain, limits);
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = world.connect().await;
        within(stream.write_all(b"GET /who HTTP/1.1\r\nHost: ")).await.unwrap();
        slow.push(stream);
    }
    let (mut trickle, mut good) = (world.connect().await, world.connect().await);
    // What is asked meanwhile takes the time between two bytes.
    within(async {
        let endless = b"GET /who HTTP/1.1\r\nHost: a-very-long-name-that-comes-byte-by-byte".iter();
        for byte in endless.chain(std::iter::repeat(&b'a')) {
            assert!(ask(&mut good, GET, "nobody").await.starts_with("HTTP/1.1 200"));
            if trickle.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    })
    .await;
    for mut stream in slow {
        assert_eq!(rest(&mut stream).await, "");
    }
    // More bytes do not buy more time.
    world.await_event("head of a request came too slowly").await;
}

#[tokio::test]
async fn connection_without_a_request_is_closed_and_one_with_requests_is_kept() {
    let world = World::start(Transport::Plain, short());
    let (mut silent, mut used) = (world.connect().await, world.connect().await);
    let end = tokio::spawn(async move { rest(&mut silent).await });
    while !end.is_finished() {
        assert!(ask(&mut used, GET, "nobody").await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(end.await.unwrap(), "");
    ask(&mut used, GET, "nobody").await;
    assert_eq!(rest(&mut used).await, "", "now it is idle too");
}

#[tokio::test]
async fn body_is_bounded_in_bytes_and_time() {
    let world = World::start(Transport::Plain, short());
    let post = |more: &str| format!("POST /echo HTTP/1.1\r\nHost: a\r\n{more}\r\n");
    let mut stream = world.connect().await;
    assert!(ask(&mut stream, &(post("Content-Length: 3\r\n") + "abc"), "abc").await.contains("200 OK"));
    let answer = ask(&mut stream, &post("Content-Length: 1001\r\n"), "}]}").await;
    assert!(answer.contains("400") && answer.contains("more than 1000 bytes"), "{answer}");
    let chunks =
        post("Transfer-Encoding: chunked\r\n") + &format!("64\r\n{}\r\n", "x".repeat(100)).repeat(20);
    let mut stream = world.connect().await;
    within(stream.write_all(chunks.as_bytes())).await.unwrap();
    assert!(rest(&mut stream).await.contains("more than 1000 bytes"));
    let mut stream = world.connect().await;
    within(stream.write_all((post("Content-Length: 10\r\n") + "abc").as_bytes())).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.contains("too slowly: 3 bytes"), "{answer}");
}

#[tokio::test]
async fn answer_given_before_the_body_was_read_arrives_and_the_connection_goes_on() {
    let world = World::start(Transport::Plain, long());
    let mut stream = world.connect().await;
    let body = "x".repeat(100_000);
    let post = format!("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for _ in 0..3 {
        let answer = ask(&mut stream, &post, "}]}").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    assert!(ask(&mut stream, GET, "nobody").await.starts_with("HTTP/1.1 200"));
    // More than is read for nothing ends the connection.
    let huge = "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n".to_owned()
        + &"x".repeat(600_000);
    stream.write_all(huge.as_bytes()).await.ok();
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn client_that_takes_no_byte_of_its_answer_is_cut_off() {
    let world = World::start(Transport::Plain, short());
    let mut stream = world.connect().await;
    within(stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")).await.unwrap();
    world.await_event("takes no byte of its answer").await;
    let got = rest(&mut stream).await;
    assert!(got.len() < 64 << 20, "{} bytes", got.len());
}

#[tokio::test]
async fn connections_past_the_limit_are_closed_and_others_go_on() {
    let world = World::start(Transport::Plain, Limits { connections_per_address: 2, ..long() });
    let (mut first, mut second) = (world.connect().await, world.connect().await);
    ask(&mut first, GET, "nobody").await;
    ask(&mut second, GET, "nobody").await;
    let mut third = world.connect().await;
    assert_eq!(rest(&mut third).await, "");
    world.await_event("there are 2 of this address").await;
    ask(&mut first, GET, "nobody").await;
    drop(second);
    // The place is free as soon as the server has seen the end.
    within(async {
        loop {
            let mut fourth = world.connect().await;
            fourth.write_all(GET.as_bytes()).await.ok();
            if rest_of_one(&mut fourth).await {
                break;
            }
        }
    })
    .await;
}

async fn rest_of_one(stream: &mut tokio::net::TcpStream) -> bool {
    use tokio::io::AsyncReadExt as _;
    let mut some = [0; 1024];
    matches!(stream.read(&mut some).await, Ok(count) if count > 0)
}

#[tokio::test]
async fn refusals_of_the_server_itself_are_messages() {
    let world = World::start(Transport::Plain, long());
    let mut stream = world.connect().await;
    let answer = ask(&mut stream, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "}]}").await;
    assert!(answer.contains("404") && answer.contains("\"messageNumber\":\"ZWEAM104E\""), "{answer}");
    let answer = ask(&mut stream, "GET /who HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "}]}").await;
    assert!(answer.contains("400") && answer.contains("one Host header"), "{answer}");
    let line = world.requests.lock().unwrap().first().cloned().unwrap();
    assert!(line.starts_with("127.0.0.1 \"-\" \"GET /nothing HTTP/1.1\" 404 "), "{line}");
}
