//! Connecting, and being told why not.

use std::sync::atomic::Ordering;

use tender_xmem::client::{CallFailure, Client, Options};
use tender_xmem::code::CmsCode;
use tender_xmem::socket::{Listener, name_directory, socket_path};

use crate::server::{Server, name, options};

#[test]
fn connect_without_a_server_tells_never_started_from_down() {
    let run = tempfile::tempdir().expect("a directory");
    let absent = Client::connect(name(), options(run.path())).expect_err("never started");
    assert_eq!(absent.code(), Some(CmsCode::ServerUnknown), "{absent}");
    std::fs::create_dir_all(name_directory(run.path(), &name())).expect("the directory");
    let stopped = Client::connect(name(), options(run.path())).expect_err("no socket");
    assert_eq!(stopped.code(), Some(CmsCode::ServerDown), "{stopped}");
    // A server that was killed leaves its socket behind.
    drop(Listener::bind(&socket_path(run.path(), &name()), 1).expect("listening"));
    let killed = Client::connect(name(), options(run.path())).expect_err("nobody listens");
    assert_eq!(killed.code(), Some(CmsCode::ServerDown), "{killed}");
}

#[test]
fn connect_to_a_server_that_is_not_ready_is_30() {
    let run = tempfile::tempdir().expect("a directory");
    let server = Server::start(run.path());
    server.orders.welcome_code.store(30, Ordering::SeqCst);
    let error = Client::connect(name(), options(run.path())).expect_err("not ready");
    assert_eq!(error.code(), Some(CmsCode::ServerNotReady));
}

#[test]
fn connect_that_is_refused_keeps_the_reason() {
    let run = tempfile::tempdir().expect("a directory");
    let server = Server::start(run.path());
    server.orders.welcome_code.store(33, Ordering::SeqCst);
    let error = Client::connect(name(), options(run.path())).expect_err("refused");
    assert_eq!((error.code(), error.reference()), (Some(CmsCode::PermissionDenied), 4711));
    assert!(error.refusal().is_none(), "nothing was said");
    assert_eq!(error.to_string(), "permission denied (33), reference 4711");
    let refusal = br#"{"subject":"ALICE","class":"FACILITY","resource":"ZWES.IS","level":"READ","rule":"no profile","remedy":"PERMIT","reference":4711,"later":1}"#;
    *server.orders.welcome_payload.lock().expect("a lock") = refusal.to_vec();
    let error = Client::connect(name(), options(run.path())).expect_err("refused");
    assert_eq!(error.refusal().map(|refusal| refusal.subject.as_str()), Some("ALICE"));
}

#[test]
fn connect_to_a_server_that_says_nothing_ends_with_the_deadline() {
    let run = tempfile::tempdir().expect("a directory");
    let server = Server::start(run.path());
    server.orders.silent.store(true, Ordering::SeqCst);
    let options = Options { deadline_ms: 50, ..options(run.path()) };
    let error = Client::connect(name(), options).expect_err("silence");
    assert_eq!(error.code(), Some(CmsCode::DeadlinePassed));
}

#[test]
fn connect_through_a_directory_that_everybody_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let run = tempfile::tempdir().expect("a directory");
    let _server = Server::start(run.path());
    let directory = name_directory(run.path(), &name());
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).expect("open to all");
    let error = Client::connect(name(), options(run.path())).expect_err("not trusted");
    assert_eq!(error.code(), Some(CmsCode::Error));
    assert!(matches!(error.failure(), Some(CallFailure::Connect(_))), "{error:?}");
}

#[test]
fn connect_to_a_socket_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a socket away");
        return;
    }
    let run = tempfile::tempdir().expect("a directory");
    let _server = Server::start(run.path());
    std::os::unix::fs::chown(socket_path(run.path(), &name()), Some(12345), Some(12345)).expect("given away");
    let error = Client::connect(name(), options(run.path())).expect_err("not trusted");
    assert_eq!(error.code(), Some(CmsCode::Error));
}

#[test]
fn connect_with_a_ring_to_a_server_without_one_uses_the_socket() {
    let run = tempfile::tempdir().expect("a directory");
    let server = Server::start(run.path());
    server.orders.no_ring.store(true, Ordering::SeqCst);
    let client = server.client(true);
    assert!(!client.has_ring());
    assert_eq!(client.services().status(b"x").expect("answered"), b"x");
}
