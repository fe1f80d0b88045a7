//! Clients and services that take or send slowly, too much, or without end.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::front::{Connection, Front};
use super::recorder::Recorder;
use crate::world::{DEADLINE, wait_until};

/// Much more than any of this may take, much less than what is sent.
const MEMORY_KIB: u64 = 200 << 10;
/// More than all buffers between two programs hold.
const ENDLESS: usize = 1 << 30;

/// Says whether the other end has closed a connection.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

#[test]
fn connections_that_bring_nothing_or_byte_by_byte_are_closed_and_others_are_served() {
    let (front, service) = (Front::start(&[]), Recorder::start());
    front.register("files", service.port);
    // Before TLS: nothing, and the beginning of a handshake.
    let mut open: Vec<_> = (0..300).map(|_| TcpStream::connect(("127.0.0.1", front.port)).unwrap()).collect();
    for stream in open.iter_mut().skip(150) {
        stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1]).unwrap();
    }
    // Within TLS: a head that goes on and on.
    let mut slow: Vec<_> = (0..50).map(|_| front.connect(false)).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /files/api/v1/x HTTP/1.1\r\nHost: a\r\nX-").unwrap();
    }
    let (mut rounds, mut cut) = (0, 0);
    wait_until("all of them being closed", || {
        rounds += 1;
        for stream in &mut slow {
            stream.write_all(b"a").ok();
        }
        let (status, answer) = front.curl("/files/api/v1/x", &[]);
        assert_eq!(status, 200, "in round {rounds}: {answer}");
        open.retain_mut(|stream| !is_closed(stream));
        let before = slow.len();
        slow.retain_mut(|stream| !is_closed(&mut stream.sock));
        cut += before - slow.len();
        open.is_empty() && slow.is_empty()
    });
    assert_eq!(cut, 50);
    assert!(service.asked().iter().all(|asked| !asked.is_ambiguous), "no half of a request arrived");
}

/// Sends the same again and again until nothing more is taken; returns how much was.
fn send_what_is_taken(stream: &mut Connection) -> usize {
    let mut sent = 0;
    while sent < ENDLESS {
        match stream.write(&[b'x'; 0x4000]) {
            Ok(count) if count > 0 => sent += count,
            _ => break,
        }
        if stream.flush().is_err() {
            break;
        }
    }
    sent
}

#[test]
fn body_without_end_for_a_service_that_takes_none_of_it_waits_and_takes_no_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let front = Front::start(&[]);
    std::thread::spawn(move || {
        // Taken, and never read.
        let taken: Vec<_> = listener.incoming().map_while(Result::ok).collect();
        drop(taken);
    });
    front.register_at("files", "127.0.0.1", port, &serde_json::json!({}));
    let usual = Recorder::start();
    front.register("usual", usual.port);
    let mut clients: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = front.connect(false);
            let head = "POST /files/api/v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                        7fffffff\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            stream.flush().unwrap();
            stream.sock.set_nonblocking(true).unwrap();
            (stream, 0_usize)
        })
        .collect();
    let mut rounds_without_progress = 0;
    wait_until("nothing more being taken", || {
        let before: usize = clients.iter().map(|(_, sent)| sent).sum();
        clients.iter_mut().for_each(|(stream, sent)| *sent += send_what_is_taken(stream));
        let after: usize = clients.iter().map(|(_, sent)| sent).sum();
        assert!(after < ENDLESS, "all of it was taken");
        rounds_without_progress = if after == before { rounds_without_progress + 1 } else { 0 };
        rounds_without_progress == 20
    });
    assert_eq!(front.curl("/usual/api/v1/x", &[]).0, 200);
    let peak = front.peak_kib();
    assert!(
        peak < MEMORY_KIB,
        "{peak} KiB for {:?}",
        clients.iter().map(|(_, sent)| sent).collect::<Vec<_>>()
    );
}

#[test]
fn answer_without_end_for_a_client_that_takes_none_of_it_waits_and_takes_no_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            std::thread::spawn(move || {
                stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                let mut sent = 0;
                while sent < ENDLESS && stream.write_all(chunk.as_bytes()).is_ok() {
                    sent += chunk.len();
                }
                tell.send(sent).ok();
            });
        }
    });
    let front = Front::start(&[]);
    front.register_at("files", "127.0.0.1", port, &serde_json::json!({}));
    let usual = Recorder::start();
    front.register("usual", usual.port);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = front.connect(false);
            stream.write_all(b"GET /files/api/v1/x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            stream.flush().unwrap();
            stream
        })
        .collect();
    for _ in &clients {
        let sent = told.recv_timeout(DEADLINE).unwrap();
        assert!(sent < ENDLESS, "all of it was taken");
    }
    assert_eq!(front.curl("/usual/api/v1/x", &[]).0, 200);
    let peak = front.peak_kib();
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

#[test]
fn head_of_an_answer_that_never_ends_is_no_answer_and_takes_no_memory() {
    let service = Recorder::answering(|asked| match asked.line.as_str() {
        line if line.contains("/many ") => {
            let headers: String = (0..2_000_000).map(|number| format!("x-{number}: y\r\n")).collect();
            format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes()
        }
        line if line.contains("/long ") => {
            format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(50 << 20)).into_bytes()
        }
        line if line.contains("/early ") => "HTTP/1.1 100 Continue\r\n\r\n".repeat(1 << 20).into_bytes(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood".to_vec(),
    });
    let front = Front::start(&["--timeout", "10"]);
    front.register("files", service.port);
    for path in ["many", "long", "early"] {
        let (status, answer) = front.curl(&format!("/files/api/v1/{path}"), &[]);
        assert!((500..600).contains(&status), "{path}: {}", &answer[..answer.len().min(500)]);
        assert_eq!(front.curl("/files/api/v1/usual", &[]).0, 200, "after {path}");
    }
    let peak = front.peak_kib();
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}
