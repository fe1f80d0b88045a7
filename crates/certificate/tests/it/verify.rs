//! Every fault shows as a line of its own.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use tender_certificate::{Check, CheckStatus, Password, RuntimeCertificate, Secret};

use crate::world::{World, assert_fails, checks, in_days, set_up};

fn run(certificate: &RuntimeCertificate) -> Vec<Check> {
    checks(certificate, &["gateway.example.com"], in_days(0))
}

fn open(world: &World, file: &str) {
    fs::set_permissions(world.layout().leaf_dir(), Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(world.leaf(file), Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn fresh_certificate_passes_every_check_for_every_kind_of_name() {
    let world = World::new();
    let outcome = world.set_up();
    let hosts = ["gateway.example.com", "GATEWAY.EXAMPLE.COM", "192.0.2.7", "::1", "[::1]", "localhost"];
    let lines = checks(&outcome.certificate, &hosts, in_days(0));
    assert!(lines.iter().all(|check| check.status == CheckStatus::Passed), "{lines:#?}");
    for what in ["file", "password", "key", "chain", "validity", "host name", "strength", "PEM"] {
        assert!(lines.iter().any(|check| check.what == what), "{what}");
    }
}

#[test]
fn host_that_is_not_in_the_certificate_fails() {
    let world = World::new();
    let outcome = world.set_up();
    let lines = checks(&outcome.certificate, &["other.example.com", "192.0.2.8"], in_days(0));
    assert_fails(&lines, "host name", "gateway.example.com");
    assert_eq!(lines.iter().filter(|check| check.status == CheckStatus::Failed).count(), 2);
}

#[test]
fn certificate_that_ends_soon_is_a_warning_and_one_that_ended_a_failure() {
    let world = World::new();
    let outcome = world.set_up();
    let soon = checks(&outcome.certificate, &[], in_days(385));
    let warned: Vec<_> = soon.iter().filter(|check| check.status != CheckStatus::Passed).collect();
    assert!(
        warned.iter().any(|check| check.what == "validity" && check.text.contains("it ends in 1")),
        "{warned:#?}"
    );
    assert!(warned.iter().all(|check| check.status == CheckStatus::Warning), "{warned:#?}");
    let late = checks(&outcome.certificate, &[], in_days(400));
    assert!(late.iter().any(|check| check.what == "validity" && check.text.contains("expired")), "{late:#?}");
    assert!(late.iter().any(|check| check.what == "chain" && check.text.contains("expired")), "{late:#?}");
}

#[test]
fn key_that_everyone_can_read_fails() {
    let world = World::new();
    let outcome = world.set_up();
    open(&world, "localhost.key");
    fs::set_permissions(world.leaf("localhost.key"), Permissions::from_mode(0o644)).unwrap();
    assert_fails(&run(&outcome.certificate), "mode", "0644");
}

#[test]
fn missing_file_fails_with_its_name() {
    let world = World::new();
    let outcome = world.set_up();
    fs::remove_file(world.leaf("local_ca.cer")).unwrap();
    let lines = run(&outcome.certificate);
    assert!(
        lines.iter().any(|check| check.what == "file" && check.subject.contains("local_ca.cer")),
        "{lines:#?}"
    );
}

#[test]
fn wrong_password_fails_for_both_stores() {
    let world = World::new();
    let outcome = world.set_up();
    open(&world, "localhost.keystore.password");
    fs::write(world.leaf("localhost.keystore.password"), "wrong\n").unwrap();
    let lines = run(&outcome.certificate);
    let stores: Vec<_> = lines.iter().filter(|check| check.what == "store").collect();
    assert!(stores.len() == 2 && stores.iter().all(|check| check.text.contains("wrong")), "{lines:#?}");
}

#[test]
fn password_in_the_configuration_is_a_warning_and_does_not_show() {
    let world = World::new();
    let mut outcome = world.set_up();
    let secret = outcome.certificate.keystore.password.as_ref().unwrap().resolve().unwrap();
    outcome.certificate.keystore.password = Some(Password::Literal(secret.clone()));
    let lines = run(&outcome.certificate);
    let warned: Vec<_> = lines.iter().filter(|check| check.status == CheckStatus::Warning).collect();
    assert!(warned.len() == 1 && warned[0].text.contains("file:"), "{lines:#?}");
    assert!(!format!("{lines:?}").contains(secret.expose()));
}

#[test]
fn store_with_a_password_of_the_documentation_is_a_warning() {
    let world = World::new();
    world.openssl_authority("ca");
    world.openssl_leaf("gateway", "ca", "90");
    world.openssl_words(
        "pkcs12 -export -inkey gateway.key -in gateway.pem -certfile ca.pem -name x -passout \
             pass:password -out g.p12",
    );
    let mut outcome = world.set_up();
    outcome.certificate.keystore.file = world.path("g.p12");
    outcome.certificate.keystore.alias = Some("x".to_owned());
    outcome.certificate.keystore.password = Some(Password::Literal(Secret::new("password")));
    let lines = run(&outcome.certificate);
    assert!(lines.iter().any(|check| check.text.contains("public documentation")), "{lines:#?}");
    // It was signed by someone whom the trust store does not know, and PEM has another certificate.
    assert!(
        lines.iter().any(|check| check.what == "chain" && check.text.contains("authorities")),
        "{lines:#?}"
    );
    assert!(
        lines.iter().any(|check| check.what == "PEM" && check.status == CheckStatus::Failed),
        "{lines:#?}"
    );
}

#[test]
fn pem_key_of_another_certificate_fails() {
    let world = World::new();
    let outcome = world.set_up();
    open(&world, "localhost.key");
    world.openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        &world.leaf("localhost.key"),
    ]);
    fs::set_permissions(world.leaf("localhost.key"), Permissions::from_mode(0o600)).unwrap();
    assert_fails(&run(&outcome.certificate), "PEM", "find the certificate of the key");
}

#[test]
fn alias_that_is_not_there_fails_with_those_that_are() {
    let world = World::new();
    let mut outcome = world.set_up();
    outcome.certificate.keystore.alias = Some("nobody".to_owned());
    assert_fails(&run(&outcome.certificate), "key", "it has localhost");
}

#[test]
fn key_ring_fails_alone() {
    let world = World::new();
    let mut outcome = world.set_up();
    outcome.certificate.keystore.kind = "JCERACFKS".to_owned();
    let lines = run(&outcome.certificate);
    assert!(
        lines.len() == 1 && lines[0].text.contains("z/OS") && lines[0].text.contains("PEM"),
        "{lines:#?}"
    );
}

/// An instance whose key store is one that OpenSSL made of a key of so many bits.
fn with_foreign_key(world: &World, bits: &str, further: &[&str]) -> RuntimeCertificate {
    world.openssl_authority("ca");
    let extensions = "subjectAltName=DNS:gateway.example.com\nextendedKeyUsage=serverAuth\n";
    fs::write(world.path("weak.ext"), extensions).unwrap();
    let (key, subject) = (format!("rsa:{bits}"), "/CN=weak");
    world.openssl(&[
        "req", "-newkey", &key, "-nodes", "-subj", subject, "-keyout", "weak.key", "-out", "weak.csr",
    ]);
    let mut sign = vec![
        "x509",
        "-req",
        "-in",
        "weak.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "90",
        "-extfile",
        "weak.ext",
        "-out",
        "weak.pem",
    ];
    sign.extend(further);
    world.openssl(&sign);
    let mut setup = world.request();
    setup.authorities = vec![world.path("ca.pem")];
    let mut certificate = set_up(&setup).unwrap().certificate;
    certificate.keystore.file = world.openssl_store("weak", "ca", &[]);
    certificate.keystore.alias = None;
    certificate.keystore.password = Some(Password::Literal(Secret::new("s3cret")));
    certificate
}

#[test]
fn weak_signature_fails() {
    let world = World::new();
    let lines = run(&with_foreign_key(&world, "2048", &["-sha1"]));
    let strength = lines.iter().find(|check| check.what == "strength").unwrap();
    assert!(strength.status == CheckStatus::Failed && strength.text.contains("sha1"), "{lines:#?}");
}

#[test]
fn certificate_for_servers_only_fails_as_client() {
    let world = World::new();
    let lines = run(&with_foreign_key(&world, "2048", &["-sha256"]));
    let status = |role: &str| lines.iter().find(|check| check.subject.ends_with(role)).unwrap();
    assert_eq!(status("as server").status, CheckStatus::Passed, "{lines:#?}");
    let client = status("as client");
    assert!(client.status == CheckStatus::Failed && client.text.contains("usage"), "{lines:#?}");
}

#[test]
fn key_that_is_too_small_fails_with_what_is_needed() {
    let world = World::new();
    let lines = run(&with_foreign_key(&world, "1024", &["-sha256"]));
    let store = lines.iter().find(|check| check.what == "store").unwrap();
    assert!(store.text.contains("RSA from 2048 bits"), "{lines:#?}");
}

#[test]
fn authority_in_one_trust_store_only_is_a_warning() {
    let world = World::new();
    world.openssl_authority("partner");
    let mut setup = world.request();
    setup.authorities = vec![world.path("partner.pem")];
    let mut outcome = set_up(&setup).unwrap();
    let first = world.leaf("local_ca.cer");
    outcome.certificate.pem.as_mut().unwrap().certificate_authorities =
        Some(tender_certificate::OneOrMany::One(first));
    let lines = run(&outcome.certificate);
    let pem: Vec<_> = lines.iter().filter(|check| check.status == CheckStatus::Warning).collect();
    assert!(pem.len() == 1 && pem[0].text.contains("extca.1"), "{lines:#?}");
}
