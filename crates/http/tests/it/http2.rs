//! Clients of HTTP/2, which say themselves how much of an answer they take.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tender_http::{Bytes, ClientAuth, EventSink, Limits, Transport};
use tokio::task::JoinHandle;

use crate::tls::{Files, connect};
use crate::world::{World, long, rest, short, within};

/// The bytes that `/large` answers with.
const LARGE: usize = 64 << 20;

fn start(limits: Limits) -> (World, Files) {
    let files = Files::new();
    let nothing: EventSink = std::sync::Arc::new(|_| {});
    let tls = files.tls(ClientAuth::None, &nothing).unwrap();
    (World::start(Transport::Tls(tls), limits), files)
}

/// Connects with a window of so many bytes for each answer; returns the end of the connection, too.
async fn client(world: &World, files: &Files, window: u32) -> (SendRequest<Empty<Bytes>>, JoinHandle<()>) {
    let mut config = files.client(None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TokioIo::new(connect(world, config).await.unwrap());
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let (sender, connection) = within(builder.handshake(stream)).await.unwrap();
    (sender, tokio::spawn(async { drop(connection.await) }))
}

async fn get(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Response<hyper::body::Incoming> {
    let request = Request::get(format!("https://localhost{path}")).body(Empty::new()).unwrap();
    within(sender.send_request(request)).await.unwrap()
}

#[tokio::test]
async fn client_that_gives_no_window_is_cut_off() {
    let limits = Limits { write_timeout: Duration::from_millis(100), ..long() };
    let (world, files) = start(limits);
    for path in ["/large", "/who"] {
        let (mut sender, end) = client(&world, &files, 0).await;
        let answer = get(&mut sender, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        within(end).await.unwrap();
        world.await_event("takes no byte of its answer").await;
        world.events.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn client_that_reads_slowly_gets_its_answer_to_the_end() {
    let limits = Limits { write_timeout: Duration::from_secs(60), ..short() };
    let (world, files) = start(limits);
    let (mut sender, _end) = client(&world, &files, 64 << 10).await;
    let mut body = get(&mut sender, "/large").await.into_body();
    let mut read = 0;
    // As long as several others last that ask nothing.
    for _ in 0..4 {
        let frame = within(body.frame()).await.unwrap().unwrap();
        read += frame.data_ref().map_or(0, Bytes::len);
        assert_eq!(rest(&mut world.connect().await).await, "");
    }
    read += within(body.collect()).await.unwrap().to_bytes().len();
    assert_eq!(read, LARGE);
}
