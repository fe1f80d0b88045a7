//! A server that ends, is killed, or is replaced.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tender_xmem::client::{Call, Client, Options};
use tender_xmem::code::CmsCode;

use crate::server::{ECHO, EXECUTE, HOLD, Server, name, options, wait_for};

#[test]
fn call_after_the_server_came_back_is_made_on_a_new_connection() {
    for ring in [false, true] {
        let run = tempfile::tempdir().expect("a directory");
        let first = Server::start(run.path());
        let old = Arc::clone(&first.orders);
        let client = first.client(ring);
        client.call(EXECUTE, b"1").expect("answered");
        drop(first);
        let second = Server::start(run.path());
        // A client that has not noticed yet may still put it into the ring of the dead server, and cannot know then.
        let again = client.start(Call { repeatable: true, ..Call::new(EXECUTE, b"2") }).expect("sent");
        assert_eq!(again.wait().expect("answered").payload, b"2", "ring: {ring}");
        assert_eq!(*old.executed.lock().expect("a lock"), [b"1"], "ring: {ring}");
        assert_eq!(*second.orders.executed.lock().expect("a lock"), [b"2"], "ring: {ring}");
        assert_eq!(second.orders.connections.load(Ordering::SeqCst), 1, "ring: {ring}");
    }
}

#[test]
fn call_without_a_server_waits_as_long_as_the_options_say() {
    let run = tempfile::tempdir().expect("a directory");
    let server = Server::start(run.path());
    let client =
        Client::connect(name(), Options { reconnect_ms: 20, ..options(run.path()) }).expect("connected");
    drop(server);
    let error = client.call(ECHO, b"").expect_err("nobody there");
    assert_eq!(error.code(), Some(CmsCode::ServerDown), "{error:?}");
}

#[test]
fn call_in_flight_when_the_connection_ends_is_98_or_repeated() {
    for ring in [false, true] {
        let run = tempfile::tempdir().expect("a directory");
        let first = Server::start(run.path());
        let client = first.client(ring);
        let once = client.start(Call::new(HOLD, b"once")).expect("sent");
        let again = client.start(Call { repeatable: true, ..Call::new(HOLD, b"again") }).expect("sent");
        wait_for("two held calls", || first.orders.held.load(Ordering::SeqCst) == 2);
        drop(first);
        let second = Server::start(run.path());
        second.orders.release.store(true, Ordering::SeqCst);
        assert_eq!(once.wait().expect_err("unknown").code(), Some(CmsCode::OutcomeUnknown));
        assert_eq!(again.wait().expect("repeated").payload, b"again");
    }
}

#[test]
fn goodbye_30_lets_calls_under_way_finish_and_sends_new_ones_elsewhere() {
    for ring in [false, true] {
        let run = tempfile::tempdir().expect("a directory");
        let old = Server::start(run.path());
        let client = old.client(ring);
        let held = client.start(Call::new(HOLD, b"old")).expect("sent");
        wait_for("a held call", || old.orders.held.load(Ordering::SeqCst) == 1);
        let new = Server::start(run.path());
        old.orders.goodbye.store(true, Ordering::SeqCst);
        let executed = || new.orders.executed.lock().expect("a lock").len();
        // The goodbye is noticed by a call or between two of them; no call fails, and soon all go to the new server.
        wait_for("a call on the new server", || {
            client.call(EXECUTE, b"x").expect("no call fails");
            executed() > 0
        });
        let before = executed();
        for _ in 0..20 {
            client.call(EXECUTE, b"x").expect("no call fails");
        }
        assert_eq!(executed(), before + 20);
        old.orders.release.store(true, Ordering::SeqCst);
        assert_eq!(held.wait().expect("finished on the old connection").payload, b"old");
    }
}

#[test]
fn replacing_the_server_under_load_fails_no_call_and_executes_each_once() {
    for ring in [false, true] {
        let run = tempfile::tempdir().expect("a directory");
        let mut servers = vec![Server::start(run.path())];
        let client = servers[0].client(ring);
        let done = AtomicBool::new(false);
        let counts: Vec<u32> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..4u32)
                .map(|caller| {
                    let (client, done) = (&client, &done);
                    scope.spawn(move || {
                        let mut count = 0;
                        while !done.load(Ordering::SeqCst) {
                            let id = format!("{caller}-{count}");
                            let reply = client.call(EXECUTE, id.as_bytes()).expect("no call fails");
                            assert_eq!(reply.payload, id.as_bytes());
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            for _ in 0..3 {
                let served = |server: &Server| server.orders.executed.lock().expect("a lock").len();
                let old = servers.last().expect("a server");
                let before = served(old);
                wait_for("some calls", || served(old) > before + 20);
                let new = Server::start(run.path());
                old.orders.goodbye.store(true, Ordering::SeqCst);
                wait_for("calls on the new server", || served(&new) > 20);
                old.orders.end.store(true, Ordering::SeqCst);
                servers.push(new);
            }
            done.store(true, Ordering::SeqCst);
            callers.into_iter().map(|caller| caller.join().expect("a caller")).collect()
        });
        let mut executed: HashMap<Vec<u8>, u32> = HashMap::new();
        for server in &servers {
            for id in server.orders.executed.lock().expect("a lock").iter() {
                *executed.entry(id.clone()).or_default() += 1;
            }
        }
        assert!(executed.values().all(|count| *count == 1), "a call was executed twice");
        assert_eq!(executed.len() as u32, counts.iter().sum::<u32>());
    }
}

const RUN: &str = "TENDER_XMEM_TEST_SERVER_RUN";

/// Not a test: the server process of the test below, when it is started by it.
#[test]
fn child_server() {
    let Some(run) = std::env::var_os(RUN) else { return };
    let server = Server::start(Path::new(&run));
    *server.orders.journal.lock().expect("a lock") = Some(Path::new(&run).join("journal"));
    std::fs::write(Path::new(&run).join("ready"), b"").expect("ready");
    loop {
        std::thread::park();
    }
}

fn spawn_server(run: &Path) -> Child {
    drop(std::fs::remove_file(run.join("ready")));
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "reconnect::child_server", "--nocapture"])
        .env(RUN, run)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the server process");
    wait_for("the server process", || run.join("ready").exists());
    child
}

#[test]
fn server_killed_under_load_executes_nothing_twice_and_loses_nothing_repeatable() {
    for ring in [false, true] {
        let run = tempfile::tempdir().expect("a directory");
        let mut server = spawn_server(run.path());
        let client = Client::connect(name(), Options { ring, reconnect_ms: 20_000, ..options(run.path()) })
            .expect("connected");
        let (done, calls) = (AtomicBool::new(false), AtomicU32::new(0));
        let unknown = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..4u32)
                .map(|caller| {
                    let (client, done, calls) = (&client, &done, &calls);
                    scope.spawn(move || {
                        let (mut count, mut unknown) = (0, Vec::new());
                        while !done.load(Ordering::SeqCst) {
                            let id = format!(
                                "{}{caller}-{count}",
                                if caller % 2 == 0 { "once-" } else { "again-" }
                            );
                            let call =
                                Call { repeatable: caller % 2 == 1, ..Call::new(EXECUTE, id.as_bytes()) };
                            match client.call_with(call) {
                                Ok(reply) => assert_eq!(reply.payload, id.as_bytes()),
                                Err(error) => {
                                    assert_eq!(error.code(), Some(CmsCode::OutcomeUnknown), "{error:?}");
                                    assert!(caller % 2 == 0, "a repeatable call failed: {error:?}");
                                    unknown.push(id);
                                }
                            }
                            count += 1;
                            calls.fetch_add(1, Ordering::SeqCst);
                        }
                        (count, unknown)
                    })
                })
                .collect();
            for _ in 0..3 {
                let before = calls.load(Ordering::SeqCst);
                wait_for("some calls", || calls.load(Ordering::SeqCst) > before + 200);
                server.kill().expect("killed");
                server.wait().expect("reaped");
                server = spawn_server(run.path());
            }
            done.store(true, Ordering::SeqCst);
            callers.into_iter().map(|caller| caller.join().expect("a caller")).collect::<Vec<_>>()
        });
        server.kill().expect("killed");
        server.wait().expect("reaped");
        let journal = std::fs::read_to_string(run.path().join("journal")).expect("the journal");
        let mut executed: HashMap<&str, u32> = HashMap::new();
        for line in journal.lines() {
            *executed.entry(line).or_default() += 1;
        }
        for (caller, (count, unknown)) in unknown.iter().enumerate() {
            assert!(unknown.len() <= 3, "caller {caller} was told 98 more than once a kill");
            for number in 0..*count {
                let id = format!("{}{caller}-{number}", if caller % 2 == 0 { "once-" } else { "again-" });
                let times = executed.get(id.as_str()).copied().unwrap_or(0);
                if caller % 2 == 1 {
                    assert!(times >= 1, "{id} was lost");
                } else if unknown.contains(&id) {
                    assert!(times <= 1, "{id} was executed {times} times");
                } else {
                    assert_eq!(times, 1, "{id} was answered but executed {times} times");
                }
            }
        }
    }
}
