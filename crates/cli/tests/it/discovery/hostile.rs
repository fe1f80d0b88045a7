//! What hostile clients send; the service must refuse it, live on, and log it in one line.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::server::Server;

/// Sends bytes as they are and returns what came back until the end of the connection.
fn send(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The server may have hung up before it has everything.
    stream.write_all(bytes).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[test]
fn smuggled_malformed_and_huge_heads_are_refused() {
    let server = Server::plain(&["--access-log"]);
    let head = |lines: &str| format!("GET /eureka/apps HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
    assert_eq!(status(&send(&server, head("Host: a\r\n").as_bytes())), 200);
    // Of a length and chunks only the chunks count: what follows them is no request of its own.
    let both = "POST /eureka/apps/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: \
                close\r\n\r\n0\r\n\r\nGET /eureka/apps HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = send(&server, both.as_bytes());
    assert_eq!((status(&answer), answer.matches("HTTP/1.1").count()), (400, 1), "{answer}");
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let long = format!("Host: a\r\nx: {}\r\n", "y".repeat(100_000));
    for (what, text) in [
        ("no host", head("")),
        ("two hosts", head("Host: a\r\nHost: b\r\n")),
        ("two lengths", head("Host: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n")),
        ("odd length", head("Host: a\r\nContent-Length: +4\r\n")),
        ("unknown coding", head("Host: a\r\nTransfer-Encoding: gzip\r\n")),
        ("blank before colon", head("Host : a\r\n")),
        ("folded line", head("Host: a\r\nx: 1\r\n 2\r\n")),
        ("null in a header", head("Host: a\r\nx: 1\0\r\n")),
        ("many headers", head(&format!("Host: a\r\n{many}"))),
        ("long headers", head(&long)),
        ("long target", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000))),
        ("null in the target", "GET /eureka/\0 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("another protocol", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".repeat(20)),
        ("next protocol without agreement", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ] {
        let answer = send(&server, text.as_bytes());
        let code = status(&answer);
        assert!((400..500).contains(&code) || answer.is_empty(), "{what}: {answer}");
    }
    server.ask("/eureka/apps", &[]).is(200);
}

#[test]
fn paths_lead_nowhere_else_and_stay_on_one_line_of_the_log() {
    let server = Server::plain(&["--access-log"]);
    for path in [
        "/eureka/apps/../../etc/passwd",
        "/eureka/../application/prometheus/x",
        "/eureka/apps/%2e%2e/%2e%2e",
        "//eureka/apps",
        "/eureka/apps//",
        "/eureka/apps/a/b/c/d",
    ] {
        server.ask(path, &[]).is(404);
    }
    for path in ["/eureka/apps/a%0d%0aSet-Cookie:x", "/eureka/apps/%00", "/eureka/apps/%ff%fe"] {
        let refused = server.ask(path, &[]).is(400);
        assert_eq!(refused.header("set-cookie"), None);
    }
    server.await_line("\"GET /eureka/apps/a%0d%0aSet-Cookie:x HTTP/1.1\" 400");
}

#[test]
fn bodies_that_are_too_large_endless_or_bombs_are_refused() {
    let server = Server::plain(&[]);
    let post = |more: &str| {
        format!("POST /eureka/apps/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{more}\r\n")
    };
    // Announced: refused before it is read.
    assert_eq!(status(&send(&server, post("Content-Length: 10000000000\r\n").as_bytes())), 413);
    // Not announced: refused where it is too much.
    let mut endless = post("Transfer-Encoding: chunked\r\n").into_bytes();
    for _ in 0..100 {
        endless.extend_from_slice(format!("2000\r\n{}\r\n", "x".repeat(0x2000)).as_bytes());
    }
    let answer = send(&server, &endless);
    assert!(answer.is_empty() || status(&answer) == 413, "{answer}");

    let ask = |kind: &str, body: &str| {
        let file = server.path().join("body");
        std::fs::write(&file, body).unwrap();
        let kind = format!("Content-Type: {kind}");
        server.ask("/eureka/apps/a", &["-H", &kind, "--data-binary", &format!("@{}", file.display())])
    };
    ask("application/json", &"[".repeat(200_000)).is(400);
    ask("application/json", &format!("{{\"instance\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000)))
        .is(400);
    ask("application/json", "{\"instance\":{\"app\":\"\u{fffd}\\ud800\"}}").is(400);
    ask("application/xml", &"<a>".repeat(50_000)).is(400).says("lie in each other");
    let entity = |level: usize| format!("<!ENTITY a{level} \"{}\">", format!("&a{};", level - 1).repeat(10));
    let entities: String = (1..20).map(entity).collect();
    let bomb =
        format!("<!DOCTYPE x [<!ENTITY a0 \"aaaaaaaaaa\">{entities}]><instance><app>&a19;</app></instance>");
    ask("application/xml", &bomb).is(400).says("document type");
    ask("application/xml", "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><instance/>")
        .is(400)
        .says("document type");
    ask("application/xml", "<instance><app>&undefined;</app></instance>").is(400).says("not known");
    // A few bytes that unpack to many.
    let file = server.path().join("zeros");
    std::fs::write(&file, vec![b' '; 50_000_000]).unwrap();
    assert!(std::process::Command::new("gzip").arg(&file).status().unwrap().success());
    let packed = format!("@{}", server.path().join("zeros.gz").display());
    let post =
        ["-H", "Content-Type: application/json", "-H", "Content-Encoding: gzip", "--data-binary", &packed];
    server.ask("/eureka/apps/a", &post).is(413);

    assert_eq!(server.json("/eureka/apps")["applications"]["apps__hashcode"], "UP_1_");
    let memory = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 200 << 10, "{peak_kib} KiB at its peak");
}

#[test]
fn hostile_instance_leaves_the_documents_readable_for_others() {
    let server = Server::plain(&[]);
    let hostile = r#","metadata":{"]]><!--":"\u0000\u0001&<>\"","a b":"\ud83d\ude00","__proto__":"x","@class":"y"},"homePageUrl":"javascript:alert(1)""#;
    server.register("svc", "h:svc:1", hostile).is(204);
    server.register("<svc>&", "h:<svc>&:1", "").is(400);
    server.register("svc", "<script>alert(1)</script>", "").is(204);
    let page = server
        .ask("/", &[])
        .is(200)
        .says("&lt;script&gt;alert(1)&lt;/script&gt;")
        .says("<h1>Discovery service</h1>");
    assert!(!page.text().contains("<script>"), "{}", page.text());
    assert_eq!(
        page.header("content-security-policy").as_deref(),
        Some("default-src 'none'; style-src 'unsafe-inline'")
    );
    server.json("/eureka/apps");
    let xml = server.ask("/eureka/apps", &[]).is(200);
    let file = server.path().join("apps.xml");
    std::fs::write(&file, &xml.body).unwrap();
    let script =
        "import sys, xml.etree.ElementTree as t; print(len(t.parse(sys.argv[1]).findall('.//instance')))";
    let parsed = std::process::Command::new("python3").args(["-c", script]).arg(&file).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&parsed.stdout).trim(), "3", "{parsed:?}: {}", xml.text());
}
