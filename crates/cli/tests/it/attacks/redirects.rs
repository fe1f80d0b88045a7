//! Paths and headers that would have the gateway send a browser elsewhere.

use super::front::Front;
use super::recorder::Recorder;

/// Returns where an answer sends a browser.
fn location(answer: &str) -> Option<String> {
    let line = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("location:"))?;
    Some(line.split_once(':').unwrap().1.trim().to_owned())
}

#[test]
fn page_without_its_slash_leads_to_this_host_however_it_is_written() {
    let (front, service) = (Front::start(&[]), Recorder::start());
    front.register("files", service.port);
    let (status, answer) = front.curl("/files/ui/v1", &[]);
    assert_eq!((status, location(&answer).as_deref()), (302, Some("/files/ui/v1/")), "{answer}");
    for target in [
        "//evil.example/ui/v1",
        "///evil.example/files/ui/v1",
        "//evil.example/files/ui/v1",
        "/\\evil.example/ui/v1",
        "/%2fevil.example/ui/v1",
        "/%5cevil.example/files/ui/v1",
        "/files/ui/v1?//evil.example",
        "/ui/v1/files?/../../evil.example",
        "/ui/v1//evil.example",
        "/files//ui/v1",
        "/files/ui/v1/..//evil.example",
        "/files/ui/v1/%2e%2e//evil.example",
        "/.evil.example/ui/v1",
        "/@evil.example/ui/v1",
        "http://evil.example/files/ui/v1",
        "http:evil.example/files/ui/v1",
        "https://localhost@evil.example/files/ui/v1",
        "/files/ui/v1?\tSet-Cookie:a=b",
        "/files/ui/v1?%0d%0aLocation:%20https://evil.example",
    ] {
        for host in ["localhost", "evil.example"] {
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n\
                 X-Forwarded-Prefix: //evil.example\r\nX-Original-URL: //evil.example\r\nConnection: close\r\n\r\n"
            );
            let answer = String::from_utf8_lossy(&front.send(request.as_bytes(), false)).into_owned();
            if let Some(to) = location(&answer) {
                let is_here = to.starts_with('/') && !to[1..].starts_with(['/', '\\']);
                assert!(is_here && answer.starts_with("HTTP/1.1 302"), "{target}: {answer}");
                assert!(!answer.to_ascii_lowercase().contains("\nset-cookie"), "{target}: {answer}");
            }
        }
    }
}

#[test]
fn redirect_of_a_service_to_itself_leads_over_the_gateway_and_one_that_only_looks_like_it_does_not() {
    let service = Recorder::answering(|asked| {
        let to = asked.values("x-to").first().map_or_else(String::new, |to| (*to).to_owned());
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    });
    let front = Front::start(&[]);
    front.register("files", service.port);
    let own = format!("http://127.0.0.1:{}", service.port);
    let to = |to: &str| {
        let forged = ["-H", "X-Forwarded-Host: evil.example", "-H", "X-Forwarded-Prefix: //evil.example"];
        let (status, answer) =
            front.curl("/files/api/v1/x", &[&["-H", &*format!("X-To: {to}")], &forged[..]].concat());
        assert_eq!(status, 302, "{answer}");
        location(&answer).unwrap_or_default()
    };
    let here = format!("https://localhost:{}/files/", front.port);
    for path in ["", "/", "/pages/x", "//evil.example/", "/?//evil.example"] {
        let led = to(&format!("{own}{path}"));
        assert!(led.starts_with(&here), "{path}: {led}");
    }
    // Whoever is meant by these, it is not the service: what it says stays, and does not seem to be of the gateway.
    for odd in [
        format!("{own}@evil.example/"),
        format!("{own}.evil.example/"),
        format!("{own}0/"),
        format!("http://evil.example#{own}/"),
        format!("http://user@127.0.0.1:{}/", service.port),
        format!("https://evil.example/{own}"),
        format!("{own}\\@evil.example/"),
        "//evil.example/".to_owned(),
        "javascript:alert(1)".to_owned(),
    ] {
        assert_eq!(to(&odd), odd);
    }
}
