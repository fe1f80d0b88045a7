//! Requests and answers that two servers could read differently: what one takes for a body another takes for a request.

use super::front::Front;
use super::recorder::Recorder;

/// A request that no route leads to: it reaches a service only as part of what is taken for another.
const HIDDEN: &str = "GET /internal HTTP/1.1\r\nHost: a\r\n\r\n";

/// Asserts that a service got nothing that could be read in two ways, and nothing that was hidden; and that it goes on.
#[track_caller]
fn assert_clean(front: &Front, service: &Recorder, what: &str) {
    let (status, answer) = front.curl("/files/api/v1/after", &[]);
    assert!(status == 200 && answer.ends_with("good"), "after {what}: {answer}");
    for asked in service.asked() {
        assert!(!asked.is_ambiguous && !asked.line.contains("internal"), "{what}: {asked:?}");
    }
}

/// What is odd, the headers that say so, and the body; `HIDDEN` stands for the hidden request, `LENGTH` and `HEX` for its
/// length.
const BODIES: &[(&str, &str, &str)] = &[
    ("a length beside chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN"),
    (
        "chunks beside a length",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "HEX\r\nHIDDEN\r\n0\r\n\r\n",
    ),
    ("chunks twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\nHIDDEN"),
    ("chunks and more", "Transfer-Encoding: chunked, identity\r\nContent-Length: 4\r\n", "0\r\n\r\nHIDDEN"),
    ("another coding", "Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n", "0\r\n\r\nHIDDEN"),
    ("a quoted coding", "Transfer-Encoding: \"chunked\"\r\nContent-Length: 4\r\n", "0\r\n\r\nHIDDEN"),
    ("a coding after a tab", "Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n", "0\r\n\r\nHIDDEN"),
    (
        "a coding with a control",
        "Transfer-Encoding: \u{b}chunked\r\nContent-Length: 4\r\n",
        "0\r\n\r\nHIDDEN",
    ),
    ("a blank before the colon", "Transfer-Encoding : chunked\r\nContent-Length: 4\r\n", "0\r\n\r\nHIDDEN"),
    ("a folded coding", "Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n", "0\r\n\r\nHIDDEN"),
    ("half an end of a line", "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\nHIDDEN"),
    ("the other half", "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\nHIDDEN"),
    ("two lengths", "Content-Length: 0\r\nContent-Length: LENGTH\r\n", "HIDDEN"),
    ("two lengths in one", "Content-Length: 0, LENGTH\r\n", "HIDDEN"),
    ("a length with a sign", "Content-Length: +LENGTH\r\n", "HIDDEN"),
    ("a length in hex", "Content-Length: 0xHEX\r\n", "HIDDEN"),
    ("a length below nothing", "Content-Length: -1\r\n", "HIDDEN"),
    ("a length without end", "Content-Length: 99999999999999999999\r\n", "HIDDEN"),
    ("a length of the connection", "Content-Length: LENGTH\r\nConnection: Content-Length\r\n", "HIDDEN"),
    (
        "chunks of the connection",
        "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n",
        "HEX\r\nHIDDEN\r\n0\r\n\r\n",
    ),
    ("a chunk without end", "Transfer-Encoding: chunked\r\n", "100000000000000HEX\r\nHIDDEN\r\n0\r\n\r\n"),
    ("a chunk below nothing", "Transfer-Encoding: chunked\r\n", "-1\r\nHIDDEN"),
    ("a chunk ended by half", "Transfer-Encoding: chunked\r\n", "1\nx\n0\n\nHIDDEN"),
    ("a chunk longer than it says", "Transfer-Encoding: chunked\r\n", "1\r\nxy\r\n0\r\n\r\nHIDDEN"),
    ("a word with a chunk", "Transfer-Encoding: chunked\r\n", "1;a=\"\nHIDDEN\"\r\nx\r\n0\r\n\r\n"),
    (
        "headers after chunks",
        "Transfer-Encoding: chunked\r\n",
        "1\r\nx\r\n0\r\nContent-Length: 50\r\nHost: b\r\n\r\n",
    ),
];

/// Whole requests that are odd.
const REQUESTS: &[(&str, &str)] = &[
    (
        "a read with a body",
        "GET /files/api/v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: LENGTH\r\nConnection: close\r\n\r\nHIDDEN",
    ),
    (
        "chunks of a protocol without",
        "POST /files/api/v1/x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "another protocol below",
        "GET /files/api/v1/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nHIDDEN",
    ),
    ("a request in a header", "GET /files/api/v1/x HTTP/1.1\r\nX: HIDDEN"),
];

#[test]
fn request_with_a_body_of_two_lengths_reaches_a_service_as_one_or_not_at_all() {
    let (front, service) = (Front::start(&[]), Recorder::start());
    front.register("files", service.port);
    let (length, hex) = (HIDDEN.len().to_string(), format!("{:x}", HIDDEN.len()));
    let filled = |text: &str| text.replace("HIDDEN", HIDDEN).replace("LENGTH", &length).replace("HEX", &hex);
    let of_bodies = BODIES.iter().map(|(what, headers, body)| {
        let head = "POST /files/api/v1/x HTTP/1.1\r\nHost: a\r\n";
        (*what, filled(&format!("{head}{headers}Connection: close\r\n\r\n{body}")))
    });
    let whole = REQUESTS.iter().map(|(what, request)| (*what, filled(request)));
    let attacks: Vec<_> = of_bodies.chain(whole).collect();
    // At once: for some of them the gateway waits until it has had enough.
    std::thread::scope(|scope| {
        for (what, request) in &attacks {
            let front = &front;
            scope.spawn(move || {
                let answer = front.send(request.as_bytes(), false);
                let text = String::from_utf8_lossy(&answer);
                assert!(text.is_empty() || text.starts_with("HTTP/1."), "{what}: {text}");
            });
        }
    });
    assert_clean(&front, &service, "all of them");
}

/// The service itself would tell.
#[test]
fn service_notices_what_could_be_read_in_two_ways() {
    use std::io::{Read as _, Write as _};
    for (request, is_ambiguous) in [
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", false),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", false),
        ("POST /x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true),
        ("POST /x HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", true),
        ("POST /x HTTP/1.1\r\nContent-Length: +0\r\n\r\n", true),
        ("POST /x HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", true),
        ("POST /x HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", true),
        ("POST /x HTTP/1.1\r\nX: y\nZ: a\r\n\r\n", true),
        ("POST /x HTTP/1.1\r\nX: y\rZ: a\r\n\r\n", true),
    ] {
        let service = Recorder::start();
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", service.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 10]).unwrap();
        let asked: Vec<_> = service.asked().iter().map(|asked| asked.is_ambiguous).collect();
        assert_eq!(asked, [is_ambiguous], "{request}");
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers as literals that no table knows.
fn literals(headers: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        // Seven bits of a length, and more when these are full.
        let length = text.len();
        let mut bytes = if length < 127 {
            vec![u8::try_from(length).unwrap()]
        } else {
            let mut rest = length - 127;
            let mut bytes = vec![127];
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
            bytes
        };
        bytes.extend(text.as_bytes());
        bytes
    };
    headers.iter().flat_map(|(name, value)| [vec![0x10], text(name), text(value)].concat()).collect()
}

#[test]
fn request_of_http2_reaches_a_service_of_http1_as_one_or_not_at_all() {
    let (front, service) = (Front::start(&[]), Recorder::start());
    front.register("files", service.port);
    let usual =
        [(":method", "POST"), (":scheme", "https"), (":path", "/files/api/v1/x"), (":authority", "a")];
    let path = format!("/files/api/v1/x HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}");
    let value = format!("y\r\n\r\n{HIDDEN}");
    let name = "x: y\r\ntransfer-encoding";
    let length = HIDDEN.len().to_string();
    let attacks: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("nothing odd", vec![]),
        ("chunks", vec![("transfer-encoding", "chunked")]),
        ("chunks and a length", vec![("transfer-encoding", "chunked"), ("content-length", &length)]),
        ("a length that is too short", vec![("content-length", "3")]),
        ("a length that is too long", vec![("content-length", "9000")]),
        ("two lengths", vec![("content-length", "3"), ("content-length", &length)]),
        ("a header of the connection", vec![("connection", "content-length, x-forwarded-for")]),
        ("another protocol", vec![("upgrade", "websocket"), ("connection", "upgrade")]),
        ("lines in a value", vec![("x", &value)]),
        ("half a line in a value", vec![("x", "y\nTransfer-Encoding: chunked")]),
        ("the other half in a value", vec![("x", "y\rTransfer-Encoding: chunked")]),
        ("nothing at all in a value", vec![("x", "y\0z")]),
        ("lines in a name", vec![(name, "chunked")]),
        ("a colon in a name", vec![("x: y", "z")]),
        ("a blank in a name", vec![("transfer-encoding ", "chunked")]),
        ("a name in capitals", vec![("Transfer-Encoding", "chunked")]),
        ("a second path", vec![(":path", "/internal")]),
        ("another host", vec![("host", "b"), ("host", "c")]),
    ];
    let mut all: Vec<_> =
        attacks.into_iter().map(|(what, more)| (what, [&usual[..], &more].concat())).collect();
    for (what, position, odd) in [
        ("lines in the path", 2, path.as_str()),
        ("a blank in the path", 2, "/files/api/v1/x HTTP/1.1"),
        ("lines in the method", 0, "GET /internal HTTP/1.1\r\nHost: a\r\n\r\nPOST"),
        ("a blank in the method", 0, "GET /internal"),
        ("lines in the authority", 3, "a\r\nX: y"),
        ("lines in the scheme", 1, "https\r\nX: y"),
        ("another place in the path", 2, "http://127.0.0.1/internal"),
        ("no slash in the path", 2, "internal"),
    ] {
        let mut headers = usual.to_vec();
        headers[position].1 = odd;
        all.push((what, headers));
    }
    for (what, headers) in all {
        let bytes = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, 0, &[]),
            frame(1, 4, 1, &literals(&headers)),
            frame(0, 1, 1, HIDDEN.as_bytes()),
            // That is all: whatever has come, the gateway may go.
            frame(7, 0, 0, &[0; 8]),
        ];
        front.send(&bytes.concat(), true);
        assert_clean(&front, &service, what);
    }
    let usual = service.asked().into_iter().find(|asked| asked.line.starts_with("POST"));
    assert_eq!(usual.unwrap().body, HIDDEN.as_bytes(), "what is not odd arrives");
}

#[test]
fn answer_that_holds_another_is_not_given_to_the_next_client() {
    let odd: [(&str, &str); 10] = [
        (
            "more",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        ("empty", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
        (
            "early",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        (
            "lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 50\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        (
            "both",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        (
            "unchanged",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        (
            "upgrade",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        (
            "lines",
            "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: apimlAuthenticationToken=x\r\nContent-Length: 4\r\n\r\ngood",
        ),
        (
            "chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-4\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        ("nothing", "poison"),
    ];
    let service = Recorder::answering(move |asked| {
        let of_it = odd.iter().find(|(name, _)| asked.line.contains(&format!("/odd-{name} ")));
        let usual = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
        of_it.map_or(usual, |(_, answer)| answer).as_bytes().to_vec()
    });
    let front = Front::start(&[]);
    front.register("files", service.port);
    for (name, _) in odd {
        for method in ["GET", "HEAD"] {
            let head = format!("{method} /files/api/v1/odd-{name} HTTP/1.1\r\nHost: a\r\n\r\n");
            let next = "GET /files/api/v1/usual HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            // The next request is there already when the answer comes: it is asked in the same moment.
            for _ in 0..5 {
                let answer = String::from_utf8_lossy(&front.send((head.clone() + next).as_bytes(), false))
                    .into_owned();
                assert!(!answer.contains("poison"), "{method} {name}: {answer}");
                assert!(!answer.to_ascii_lowercase().contains("\rset-cookie"), "{method} {name}: {answer}");
                let (status, answer) = front.curl("/files/api/v1/usual", &[]);
                assert!(status == 200 && answer.ends_with("good"), "after {method} {name}: {answer}");
            }
        }
    }
}
