//! Who is let in, and who is not.

use std::{
    fs,
    io::{Cursor, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::Arc,
};

use jiff::{Timestamp, civil::date};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use suppaftp::{Mode, RustlsFtpStream, Status};
use tender_transport::{
    authority::{Authority, AuthorityError, CertificateUse, Validity},
    client::{ConnectSecurity, FtpsLink, Link, LinkError},
    identity::{Identity, IdentityError},
    server::{Notice, Security},
};

use crate::world::{Running, World, connect_config, explain, system_use, wait_until};

fn today() -> Validity {
    Validity::starting(Timestamp::now(), 10)
}

fn is_tls_failure(result: &Result<FtpsLink, LinkError>, words: &str) {
    match result {
        Err(error @ LinkError::Tls { why, .. }) => {
            assert!(why.contains(words), "{why}");
            assert!(!error.is_transient());
        }
        other => panic!("TLS failure about '{words}' expected: {other:?}"),
    }
}

#[test]
fn login_with_the_work_certificate_is_noticed_as_protected() {
    let world = World::new();
    let running = world.serve();
    let link = world.connect(&running);
    assert!(link.greeting().contains("TLS is required"), "{}", link.greeting());
    running.wait_for(|notice| matches!(notice, Notice::LoggedIn { is_protected: true, .. }));
}

#[test]
fn login_with_a_certificate_of_another_authority_is_refused_by_the_server() {
    let world = World::new();
    let running = world.serve();
    let other = Authority::create(&world.path("other-ca"), "other").unwrap();
    let stranger = world.smuggled("stranger", &other, &CertificateUse::Work, today());
    is_tls_failure(&world.connect_as(&running, &stranger), "not from the authority the system trusts");
}

#[test]
fn server_with_a_certificate_of_another_authority_is_refused_by_the_client() {
    let world = World::new();
    let other = Authority::create(&world.path("other-ca"), "other").unwrap();
    let mut config = world.config();
    config.security =
        Security::Required { identity: world.smuggled("impostor", &other, &system_use(), today()) };
    let running = Running::start(config);
    is_tls_failure(&world.connect_as(&running, &world.path("work")), "not from this principal's authority");
}

#[test]
fn server_under_another_name_is_refused_by_the_client() {
    let world = World::new();
    let running = world.serve();
    let mut config = world.connect_config(&running);
    config.server_name = Some("vm02.example.com".into());
    is_tls_failure(&FtpsLink::connect(&config), "for another name");
    config.server_name = Some("localhost".into());
    FtpsLink::connect(&config).unwrap();
}

#[test]
fn login_with_an_expired_certificate_is_refused() {
    let world = World::new();
    let running = world.serve();
    let past = Validity { from: date(2020, 1, 1), until: date(2021, 1, 1) };
    let expired = world.smuggled("expired", &world.authority, &CertificateUse::Work, past);
    is_tls_failure(&world.connect_as(&running, &expired), "our certificate has expired");
}

#[test]
fn server_with_an_expired_certificate_is_refused_by_the_client() {
    let world = World::new();
    let past = Validity { from: date(2020, 1, 1), until: date(2021, 1, 1) };
    let mut config = world.config();
    config.security =
        Security::Required { identity: world.smuggled("stale", &world.authority, &system_use(), past) };
    let running = Running::start(config);
    is_tls_failure(&world.connect_as(&running, &world.path("work")), "the system's certificate has expired");
}

#[test]
fn login_with_the_certificate_of_a_managed_system_is_refused() {
    let world = World::new();
    let running = world.serve();
    let other = world.enrolled("vm02", &CertificateUse::System { name: "CSMWORK".into(), addresses: vec![] });
    is_tls_failure(&world.connect_as(&running, &other), "does not accept our certificate");
}

#[test]
fn login_with_a_client_certificate_for_another_name_is_refused() {
    let world = World::new();
    let running = world.serve();
    let dir = world.path("other");
    Identity::create(&dir).unwrap();
    let key = KeyPair::from_pem(&fs::read_to_string(dir.join("key.pem")).unwrap()).unwrap();
    let ca_key = KeyPair::from_pem(&fs::read_to_string(world.path("ca/ca.key")).unwrap()).unwrap();
    let issuer = Issuer::from_ca_cert_pem(world.authority.ca_pem(), ca_key).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "CSMWORKER");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    fs::write(dir.join("cert.pem"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    fs::write(dir.join("ca.pem"), world.authority.ca_pem()).unwrap();
    let result = world.connect_as(&running, &dir);
    assert!(matches!(result, Err(LinkError::LoginRefused { code: 530, .. })), "{result:?}");
    running.wait_for(|notice| matches!(notice, Notice::LoginRefused { why: "certificate of another", .. }));
}

#[test]
fn login_without_a_certificate_is_refused() {
    let world = World::new();
    let running = world.serve();
    let security = ConnectSecurity::Enrolment { password: "guess".into() };
    is_tls_failure(&FtpsLink::connect(&connect_config(running.control, security)), "wants a certificate");
    running.wait_for(|notice| matches!(notice, Notice::LeftBeforeLogin { .. }));
}

#[test]
fn login_in_the_clear_is_refused_where_tls_is_required() {
    let world = World::new();
    let running = world.serve();
    let security = ConnectSecurity::Clear { password: "any".into() };
    let result = FtpsLink::connect(&connect_config(running.control, security));
    assert!(matches!(result, Err(LinkError::LoginRefused { code: 534, .. })), "{result:?}");
}

#[test]
fn login_in_the_clear_where_allowed_needs_the_password_and_is_warned() {
    let world = World::new();
    let mut config = world.config();
    config.security =
        Security::ClearAllowed { identity: world.path("system"), password: "agreed word".into() };
    let running = Running::start(config);
    let clear = |password: &str| {
        let security = ConnectSecurity::Clear { password: password.into() };
        FtpsLink::connect(&connect_config(running.control, security))
    };
    let refused = clear("wrong");
    assert!(matches!(refused, Err(LinkError::LoginRefused { code: 530, .. })), "{refused:?}");
    let mut link = clear("agreed word").unwrap();
    assert!(link.greeting().contains("NOT PROTECTED"), "{}", link.greeting());
    running.wait_for(|notice| matches!(notice, Notice::LoggedIn { is_protected: false, .. }));
    link.store("a", &mut Cursor::new(b"clear"), 0, &mut |_| {}).unwrap();
    assert_eq!(link.retrieve("a", 10).unwrap(), b"clear");
    world.connect(&running).list("").expect("TLS works there too");
}

#[test]
fn address_with_too_many_failed_logins_is_turned_away_for_a_while() {
    let world = World::new();
    let mut config = world.config();
    config.security = Security::ClearAllowed { identity: world.path("system"), password: "agreed".into() };
    config.limits.failed_logins_max = 2;
    let running = Running::start(config);
    let guess = || {
        let security = ConnectSecurity::Clear { password: "guess".into() };
        FtpsLink::connect(&connect_config(running.control, security))
    };
    assert!(matches!(guess(), Err(LinkError::LoginRefused { code: 530, .. })));
    assert!(matches!(guess(), Err(LinkError::LoginRefused { code: 530, .. })));
    assert!(matches!(guess(), Err(LinkError::Refused { code: 421, .. })));
}

#[test]
fn certificate_renewed_is_used_without_a_restart() {
    let world = World::new();
    let running = world.serve();
    world.connect(&running);
    let system = Identity::open(&world.path("system")).unwrap();
    let usage = CertificateUse::System { name: "vm01".into(), addresses: vec!["renewed.example.com".into()] };
    let renewed = world.authority.issue(&system.csr_pem("vm01").unwrap(), &usage).unwrap();
    system.install(&renewed, world.authority.ca_pem()).unwrap();
    let mut config = world.connect_config(&running);
    config.server_name = Some("renewed.example.com".into());
    FtpsLink::connect(&config).unwrap();
}

#[test]
fn certificate_for_another_key_or_of_another_authority_is_not_installed() {
    let world = World::new();
    let one = Identity::create(&world.path("one")).unwrap();
    let two = Identity::create(&world.path("two")).unwrap();
    let certificate = world.authority.issue(&two.csr_pem("two").unwrap(), &CertificateUse::Work).unwrap();
    let other = Authority::create(&world.path("other-ca"), "other").unwrap();
    let refused = |result| assert!(matches!(result, Err(IdentityError::Unusable { .. })), "{result:?}");
    refused(one.install(&certificate, world.authority.ca_pem()));
    refused(two.install(&certificate, other.ca_pem()));
    refused(two.install("nonsense", world.authority.ca_pem()));
    assert!(!one.is_enrolled() && !two.is_enrolled());
}

#[test]
fn authority_made_twice_or_damaged_says_so() {
    let world = World::new();
    let ca = world.path("ca");
    for key in [ca.join("ca.key"), world.path("system/key.pem"), world.path("work/key.pem")] {
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", key.display());
    }
    let again = Authority::create(&ca, "test");
    assert!(matches!(again, Err(AuthorityError::Exists { .. })), "{again:?}");
    assert_eq!(Authority::open(&ca).unwrap().fingerprint(), world.authority.fingerprint());
    Authority::create(&world.path("other-ca"), "other").unwrap();
    fs::copy(world.path("other-ca/ca.key"), ca.join("ca.key")).unwrap();
    let damaged = Authority::open(&ca);
    assert!(matches!(damaged, Err(AuthorityError::Damaged { .. })), "{damaged:?}");
    let missing = Authority::open(&world.path("none"));
    assert!(matches!(missing, Err(AuthorityError::Missing { .. })), "{missing:?}");
}

#[test]
fn authority_refuses_a_request_that_is_not_one_and_an_address_that_cannot_be() {
    let world = World::new();
    let request = Identity::create(&world.path("one")).unwrap().csr_pem("one").unwrap();
    let nonsense = world.authority.issue("nonsense", &CertificateUse::Work).unwrap_err();
    assert!(explain(&nonsense).contains("CSMWORK"), "{nonsense:?}");
    for address in ["two words", "", "bad_\u{e9}"] {
        let usage = CertificateUse::System { name: "vm01".into(), addresses: vec![address.into()] };
        let refused = world.authority.issue(&request, &usage);
        assert!(matches!(refused, Err(AuthorityError::Address { .. })), "{address}: {refused:?}");
    }
}

/// Opens a control connection as CSMWORK without our client, to say what it never would.
fn raw_control(world: &World, control: SocketAddr) -> RustlsFtpStream {
    let work = world.path("work");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(work.join("ca.pem")).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_file(work.join("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(work.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let mut stream = RustlsFtpStream::connect(control)
        .unwrap()
        .into_secure(suppaftp::RustlsConnector::from(Arc::new(config)), "localhost")
        .unwrap();
    stream.set_mode(Mode::ExtendedPassive);
    stream.custom_command("USER CSMWORK", &[Status::LogoutAck]).unwrap();
    stream
}

fn open_data(stream: &mut RustlsFtpStream, control: SocketAddr) -> TcpStream {
    let reply = stream.custom_command("EPSV", &[Status::ExtendedPassiveMode]).unwrap().as_string().unwrap();
    let port = reply.split('|').nth(3).unwrap().parse().unwrap();
    TcpStream::connect((control.ip(), port)).unwrap()
}

#[test]
fn data_in_the_clear_is_refused_on_a_protected_control_connection() {
    let world = World::new();
    let running = world.serve();
    let mut stream = raw_control(&world, running.control);
    stream.custom_command("PROT C", &[Status::CommandOk]).unwrap();
    let mut data = open_data(&mut stream, running.control);
    stream.custom_command("STOR clear", &[Status::AboutToSend]).unwrap();
    data.write_all(b"in the clear").unwrap();
    drop(data);
    // The refusal comes of its own accord, before or after the answer to a command.
    let stream = std::cell::RefCell::new(stream);
    wait_until("the upload is refused", || {
        stream.borrow_mut().custom_command("NOOP", &[Status::FileUnavailable]).is_ok()
    });
    assert_eq!(fs::read_dir(world.root()).unwrap().count(), 0);
}

#[test]
fn data_connection_that_fails_at_tls_disturbs_nobody_else() {
    let world = World::new();
    let running = world.serve();
    let mut stream = raw_control(&world, running.control);
    let mut data = open_data(&mut stream, running.control);
    stream.custom_command("STOR broken", &[Status::AboutToSend]).unwrap();
    data.write_all(b"this is not TLS, whatever it is").unwrap();
    drop(data);
    let mut link = world.connect(&running);
    link.store("good", &mut Cursor::new(b"good"), 0, &mut |_| {}).unwrap();
    assert_eq!(link.list("").unwrap().len(), 1);
}

#[test]
fn login_as_another_user_is_refused_even_with_the_work_certificate() {
    let world = World::new();
    let running = world.serve();
    for user in ["root", "anonymous", "csmwork", "CSMWORK2"] {
        let mut stream = raw_control(&world, running.control);
        // The session is logged in as CSMWORK; another user needs another session.
        assert!(
            stream
                .custom_command(format!("USER {user}"), &[Status::LogoutAck, Status::NeedPassword])
                .is_err()
        );
    }
}
