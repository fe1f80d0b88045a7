//! Real handshakes with servers of another make.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::Arc,
    thread,
};

use rustls::{ClientConnection, StreamOwned};
use tender_certificate::{
    Bundle, CheckStatus, Password, RuntimeCertificate, TrustStore,
    service::{ServiceError, ServiceReport, ServiceTarget, trust_service, verify_service},
    tls::{Roots, VerifyMode, client_config},
};

use crate::world::{Server, World, checks, in_days, output};

fn target(host: &str, port: u16) -> ServiceTarget {
    ServiceTarget { host: host.to_owned(), port, timeout_ms: 30_000 }
}

fn trust_store(certificate: &RuntimeCertificate) -> TrustStore {
    let store = &certificate.truststore;
    TrustStore { file: store.file.clone(), password: store.password.as_ref().unwrap().resolve().unwrap() }
}

fn roots(certificate: &RuntimeCertificate) -> Roots {
    let store = trust_store(certificate);
    Roots::of_bundle(&Bundle::read(&store.file, Some(&store.password)).unwrap())
}

fn own_server(world: &World) -> Server {
    Server::start(world, &["-cert", &world.leaf("localhost.cer"), "-key", &world.leaf("localhost.key")])
}

fn report(host: &str, port: u16, mode: VerifyMode, roots: &Roots) -> ServiceReport {
    verify_service(&target(host, port), mode, roots, None, in_days(0)).unwrap()
}

fn status(report: &ServiceReport, what: &str) -> CheckStatus {
    report.checks.iter().find(|check| check.what == what).unwrap().status
}

#[test]
fn own_server_is_accepted_strictly_under_its_names_and_addresses() {
    let world = World::new();
    let outcome = world.set_up();
    let server = own_server(&world);
    let roots = roots(&outcome.certificate);
    for host in ["127.0.0.1", "localhost"] {
        let report = report(host, server.port, VerifyMode::Strict, &roots);
        assert!(report.is_accepted(), "{host}: {:#?}", report.checks);
        assert_eq!(report.protocol.as_deref(), Some("TLSv1_3"));
        assert_eq!(report.chain[0].fingerprint, outcome.leaf.as_ref().unwrap().fingerprint);
    }
}

#[test]
fn modes_differ_in_what_they_accept() {
    let world = World::new();
    let outcome = world.set_up();
    world.openssl_authority("ca");
    world.openssl_leaf("elsewhere", "ca", "90");
    let known = roots(&outcome.certificate);
    let foreign = Roots::of(Bundle::read(&world.path("ca.pem"), None).unwrap().certificates());
    // Its certificate is for elsewhere.example.com.
    let server = Server::start(&world, &["-cert", "elsewhere.pem", "-key", "elsewhere.key"]);
    let expectations = [
        (VerifyMode::Strict, &foreign, false, CheckStatus::Passed, CheckStatus::Failed),
        (VerifyMode::Nonstrict, &foreign, true, CheckStatus::Passed, CheckStatus::Skipped),
        (VerifyMode::Nonstrict, &known, false, CheckStatus::Failed, CheckStatus::Skipped),
        (VerifyMode::Disabled, &known, true, CheckStatus::Skipped, CheckStatus::Skipped),
    ];
    for (mode, roots, is_accepted, chain, host) in expectations {
        let report = report("localhost", server.port, mode, roots);
        assert_eq!(report.is_accepted(), is_accepted, "{mode} {:#?}", report.checks);
        assert_eq!((status(&report, "chain"), status(&report, "host name")), (chain, host), "{mode}");
        let name = report.checks.iter().find(|check| check.what == "host name").unwrap();
        assert!(name.text.contains("DNS:elsewhere.example.com"), "{}", name.text);
    }
}

#[test]
fn client_configuration_agrees_with_the_report_and_logs_in() {
    let world = World::new();
    let outcome = world.set_up();
    let ca = world.leaf("local_ca.cer");
    let server = Server::start(
        &world,
        &[
            "-cert",
            &world.leaf("localhost.cer"),
            "-key",
            &world.leaf("localhost.key"),
            "-Verify",
            "2",
            "-verify_return_error",
            "-CAfile",
            &ca,
            "-www",
        ],
    );
    let keystore = &outcome.certificate.keystore;
    let password = keystore.password.as_ref().unwrap().resolve().unwrap();
    let bundle = Bundle::read(&keystore.file, Some(&password)).unwrap();
    let entry = bundle.key(None, &keystore.file).unwrap();
    let speak = |mode, identity, name: &'static str| {
        let config = client_config(mode, roots(&outcome.certificate), identity).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
        let mut stream =
            StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", server.port)).unwrap());
        let mut text = Vec::new();
        let asked = stream.write_all(b"GET / HTTP/1.0\r\n\r\n").and_then(|()| stream.read_to_end(&mut text));
        // The server ends without a farewell; what counts is what it said.
        (asked.err(), String::from_utf8_lossy(&text).into_owned())
    };
    let (_, page) = speak(VerifyMode::Strict, Some(entry), "gateway.example.com");
    assert!(page.contains("200 ok") && page.contains("Client certificate"), "{page}");
    let (error, page) = speak(VerifyMode::Strict, Some(entry), "other.example.com");
    assert!(page.is_empty() && error.unwrap().to_string().contains("other.example.com"));
    let (_, page) = speak(VerifyMode::Nonstrict, Some(entry), "other.example.com");
    assert!(page.contains("200 ok"), "{page}");
    let (error, page) = speak(VerifyMode::Strict, None, "gateway.example.com");
    assert!(page.is_empty() && error.is_some(), "the server takes clients without certificate: {page}");
}

#[test]
fn python_trusts_the_server_by_its_authority_file() {
    let world = World::new();
    world.set_up();
    let server = own_server(&world);
    let script = "import socket,ssl,sys
context=ssl.create_default_context(cafile=sys.argv[1])
with socket.create_connection(('127.0.0.1',int(sys.argv[2]))) as plain:
    with context.wrap_socket(plain,server_hostname=sys.argv[3]) as tls: print(tls.version())
";
    let ask = |host: &str| {
        let port = server.port.to_string();
        output(Command::new("python3").args(["-c", script, &world.leaf("local_ca.cer"), &port, host]))
    };
    let (is_well, text) = ask("gateway.example.com");
    assert!(is_well && text.contains("TLSv1.3"), "{text}");
    let (is_well, text) = ask("other.example.com");
    assert!(!is_well && text.contains("Hostname mismatch"), "{text}");
}

#[test]
fn server_that_signed_for_itself_is_trusted_by_fingerprint_only() {
    let world = World::new();
    let outcome = world.set_up();
    world.openssl_words(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj \
             /CN=partner -keyout p.key -out p.pem -addext subjectAltName=DNS:localhost",
    );
    let server = Server::start(&world, &["-cert", "p.pem", "-key", "p.key"]);
    let store = trust_store(&outcome.certificate);
    let target = target("localhost", server.port);
    let before = fs::read(&store.file).unwrap();
    let now = in_days(0);
    let shown = trust_service(&target, None, &store, now).unwrap();
    assert!(shown.imported.is_none() && shown.chain.len() == 1);
    let wrong = "AA:".repeat(31) + "AA";
    let error = trust_service(&target, Some(&wrong), &store, now).unwrap_err();
    assert!(
        matches!(error, ServiceError::Fingerprint { .. })
            && error.to_string().contains(&shown.chain[0].fingerprint)
    );
    assert!(matches!(
        trust_service(&target, Some("AA"), &store, now),
        Err(ServiceError::NoFingerprint { .. })
    ));
    assert_eq!(fs::read(&store.file).unwrap(), before, "the trust store was changed");
    assert!(
        !report("localhost", server.port, VerifyMode::Strict, &roots(&outcome.certificate)).is_accepted()
    );

    let right = world.openssl_words("x509 -in p.pem -noout -fingerprint -sha256");
    let imported = trust_service(&target, Some(&right), &store, now).unwrap().imported.unwrap();
    assert_eq!((imported.added.len(), imported.pem_files.len()), (1, 1));
    assert!(report("localhost", server.port, VerifyMode::Strict, &roots(&outcome.certificate)).is_accepted());
    let password = world.leaf("localhost.keystore.password");
    if let Some(listed) = world.keytool_list(&world.leaf("localhost.truststore.p12"), &password) {
        assert!(listed.contains("Alias name: partner"), "{listed}");
    }
    let again = trust_service(&target, Some(&right), &store, now).unwrap().imported.unwrap();
    assert!(again.added.is_empty() && again.present.len() == 1 && again.backup.is_none());

    let mut certificate = outcome.certificate;
    let pem = certificate.pem.as_mut().unwrap();
    let mut paths = pem.certificate_authorities.as_ref().unwrap().paths();
    paths.extend(imported.pem_files);
    pem.certificate_authorities = Some(tender_certificate::OneOrMany::Many(paths));
    let lines = checks(&certificate, &[], now);
    assert!(lines.iter().all(|check| check.status == CheckStatus::Passed), "{lines:#?}");
}

#[test]
fn expired_server_is_refused_unless_nothing_is_checked() {
    let world = World::new();
    let outcome = world.set_up();
    let server = own_server(&world);
    let roots = roots(&outcome.certificate);
    let at = |mode, days| {
        verify_service(&target("localhost", server.port), mode, &roots, None, in_days(days)).unwrap()
    };
    let late = at(VerifyMode::Strict, 400);
    assert!(!late.is_accepted() && late.checks[0].text.contains("expired"), "{:#?}", late.checks);
    let early = at(VerifyMode::Strict, -10);
    assert!(early.checks[0].text.contains("clock"), "{:#?}", early.checks);
    assert!(at(VerifyMode::Disabled, 400).is_accepted());
}

#[test]
fn port_where_no_tls_server_listens_is_an_error_that_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let talker = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 ready for plain talk\r\n").unwrap();
    });
    let nothing = Roots::of(Vec::new());
    let run = |host: &str, port, timeout_ms| {
        let target = ServiceTarget { host: host.to_owned(), port, timeout_ms };
        verify_service(&target, VerifyMode::Strict, &nothing, None, in_days(0)).unwrap_err()
    };
    let error = run("127.0.0.1", port, 30_000);
    assert!(matches!(error, ServiceError::Handshake { .. }), "{error}");
    talker.join().unwrap();
    let error = run("127.0.0.1", port, 30_000);
    assert!(matches!(error, ServiceError::Connect { .. }), "{error}");
    assert!(matches!(run("no host", 1, 1), ServiceError::Host { .. }));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = run("127.0.0.1", silent.local_addr().unwrap().port(), 300);
    assert!(matches!(&error, ServiceError::Handshake { .. }), "{error}");
}

#[test]
fn password_reference_of_the_environment_that_is_not_set_is_named() {
    let error = Password::Environment("TENDER_NO_SUCH_VARIABLE".to_owned()).resolve().unwrap_err();
    assert!(error.to_string().contains("env:TENDER_NO_SUCH_VARIABLE"), "{error}");
}
