//! Connections that become ones of another protocol.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, in_time, instance, receive};

const ROUTE: [(&str, &str); 2] =
    [("apiml.routes.ws_v1.gatewayUrl", "ws/v1"), ("apiml.routes.ws_v1.serviceUrl", "/sockets")];

/// A service that changes to another protocol and sends back what it gets, in capitals.
async fn echo() -> (std::net::SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let request = receive(&mut stream, false).await.unwrap();
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: v12.stomp\r\n\r\n";
        stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
        let mut piece = [0; 1024];
        loop {
            let count = stream.read(&mut piece).await.unwrap_or(0);
            if count == 0 {
                return request.head;
            }
            piece[..count].make_ascii_uppercase();
            stream.get_mut().write_all(&piece[..count]).await.unwrap();
        }
    });
    (address, serving)
}

#[tokio::test]
async fn bytes_pass_both_ways_until_one_side_ends() {
    for path in ["/a/ws/v1/terminal?session=1&x=%2F", "/ws/v1/a/terminal?session=1&x=%2F"] {
        let (address, serving) = echo().await;
        let world = World::new([instance("a", address, &ROUTE)]);
        let mut client = BufReader::new(TcpStream::connect(world.address).await.unwrap());
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\
             Sec-WebSocket-Protocol: v12.stomp\r\n\r\n"
        );
        client.get_mut().write_all(request.as_bytes()).await.unwrap();
        let answer = in_time("an answer", receive(&mut client, false)).await.unwrap();
        assert_eq!(answer.is(101, "").header("sec-websocket-protocol"), Some("v12.stomp"));
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        for text in ["hello", "again"] {
            client.get_mut().write_all(text.as_bytes()).await.unwrap();
            let mut back = vec![0; text.len()];
            in_time("an echo", client.read_exact(&mut back)).await.unwrap();
            assert_eq!(back, text.to_ascii_uppercase().as_bytes());
        }
        drop(client);
        let head = in_time("the service sees the end", serving).await.unwrap();
        assert!(head.starts_with("GET /sockets/terminal?session=1&x=%2F HTTP/1.1"), "{head}");
        assert!(head.to_ascii_lowercase().contains("sec-websocket-key: x"), "{head}");
    }
}

#[tokio::test]
async fn service_that_does_not_change_answers_as_usual() {
    let service =
        crate::world::Service::start(|_| crate::world::Reply::Answer(426, "", "no".to_owned())).await;
    let world = World::new([service.instance("a", &ROUTE)]);
    let answer = world.ask("GET", "/a/ws/v1/x", "Connection: Upgrade\r\nUpgrade: websocket\r\n").await;
    answer.is(426, "no");
    assert!(answer.header("upgrade").is_none());
}
