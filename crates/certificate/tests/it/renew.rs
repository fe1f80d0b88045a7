//! New certificates from the same authority, and new authorities.

use std::fs;

use jiff::Timestamp;
use tender_certificate::{
    CheckStatus, KeyType,
    renew::{self, RenewRequest},
    setup::SetupError,
};

use crate::world::{World, checks, in_days, mode, set_up};

fn request(world: &World) -> RenewRequest {
    RenewRequest::new(&world.keystore_dir(), "localhost", "local_ca")
}

#[test]
fn renewed_certificate_is_another_one_with_the_same_names_password_and_modes() {
    let world = World::new();
    let mut setup = world.request();
    setup.key_type = KeyType::EcP384;
    let before = set_up(&setup).unwrap();
    let layout = world.layout();
    let password = fs::read(layout.leaf(&layout.password())).unwrap();
    let key = fs::read(layout.leaf(&layout.key_pem())).unwrap();
    let plan = renew::plan(&request(&world), in_days(0)).unwrap();
    let after = renew::execute(&plan).unwrap().unwrap();
    let (old, new) = (before.leaf.unwrap(), after.leaf.unwrap());
    assert_ne!((&old.fingerprint, &old.serial), (&new.fingerprint, &new.serial));
    assert_eq!((old.alternative_names, old.subject, old.key), (new.alternative_names, new.subject, new.key));
    assert_eq!(fs::read(layout.leaf(&layout.password())).unwrap(), password);
    assert_ne!(fs::read(layout.leaf(&layout.key_pem())).unwrap(), key);
    assert_eq!((mode(&layout.leaf_dir()), mode(&layout.leaf(&layout.key_pem()))), (0o500, 0o400));
    assert_eq!(before.certificate, after.certificate);
    assert!(
        checks(&after.certificate, &["gateway.example.com"], in_days(0))
            .iter()
            .all(|check| check.status == CheckStatus::Passed)
    );
}

#[test]
fn renewal_only_when_due_does_nothing_before_and_renews_after() {
    let world = World::new();
    world.set_up();
    let mut request = request(&world);
    request.only_when_due = true;
    let early = renew::plan(&request, in_days(100)).unwrap();
    assert!(early.steps.is_empty() && !early.due.is_due);
    assert!(renew::execute(&early).unwrap().is_none());
    let late = renew::plan(&request, in_days(300)).unwrap();
    assert!(late.due.is_due && !late.steps.is_empty());
}

#[test]
fn name_added_by_renewal_is_in_the_certificate() {
    let world = World::new();
    world.set_up();
    let mut request = request(&world);
    request.host_names = vec!["new.example.com".to_owned()];
    renew::execute(&renew::plan(&request, in_days(0)).unwrap()).unwrap();
    let (ca, leaf) = (world.leaf("local_ca.cer"), world.leaf("localhost.cer"));
    for host in ["new.example.com", "gateway.example.com"] {
        world.openssl(&["verify", "-CAfile", &ca, "-verify_hostname", host, &leaf]);
    }
}

#[test]
fn further_authorities_stay_trusted_over_a_renewal() {
    let world = World::new();
    world.openssl_authority("partner");
    let mut setup = world.request();
    setup.authorities = vec![world.path("partner.pem")];
    let before = set_up(&setup).unwrap();
    let after = renew::execute(&renew::plan(&request(&world), in_days(0)).unwrap()).unwrap().unwrap();
    assert_eq!(before.certificate, after.certificate);
    assert!(
        checks(&after.certificate, &[], in_days(0)).iter().all(|check| check.status == CheckStatus::Passed)
    );
}

#[test]
fn certificate_of_a_new_authority_is_accepted_by_who_knows_only_the_old_one() {
    let world = World::new();
    world.set_up();
    fs::copy(world.leaf("local_ca.cer"), world.path("old-ca.pem")).unwrap();
    fs::copy(world.leaf("localhost.cer"), world.path("old-leaf.pem")).unwrap();
    let mut request = request(&world);
    request.new_authority = true;
    let outcome = renew::execute(&renew::plan(&request, in_days(0)).unwrap()).unwrap().unwrap();
    assert!(outcome.authority.unwrap().subject.ends_with("CN=Tender Instance CA G2"));
    let leaf = world.leaf("localhost.cer");
    // The file has the certificate and the bridge, as a server sends them.
    world.openssl(&["verify", "-x509_strict", "-CAfile", "old-ca.pem", "-untrusted", &leaf, &leaf]);
    world.openssl(&["verify", "-x509_strict", "-CAfile", &world.leaf("local_ca.cer"), &leaf]);
    // The renewed side still accepts certificates of the old authority.
    let trusted = outcome.certificate.pem.as_ref().unwrap().certificate_authorities.as_ref().unwrap().paths();
    assert_eq!(trusted.len(), 2);
    world.openssl(&["verify", "-CAfile", &trusted[1].display().to_string(), "old-leaf.pem"]);
    let lines = checks(&outcome.certificate, &["gateway.example.com"], in_days(0));
    assert!(lines.iter().all(|check| check.status == CheckStatus::Passed), "{lines:#?}");

    // A plain renewal after that keeps the bridge.
    let plain = RenewRequest { new_authority: false, ..request };
    renew::execute(&renew::plan(&plain, in_days(0)).unwrap()).unwrap().unwrap();
    world.openssl(&["verify", "-CAfile", "old-ca.pem", "-untrusted", &leaf, &leaf]);
    let password = world.leaf("localhost.keystore.password");
    if let Some(listed) = world.keytool_list(&world.leaf("localhost.keystore.p12"), &password) {
        assert!(listed.contains("chain length: 3"), "{listed}");
    }
}

#[test]
fn second_new_authority_keeps_those_before_it_trusted() {
    let world = World::new();
    world.set_up();
    fs::copy(world.leaf("localhost.cer"), world.path("first.pem")).unwrap();
    let mut request = request(&world);
    request.new_authority = true;
    let mut outcome = None;
    for _ in 0..2 {
        outcome = renew::execute(&renew::plan(&request, in_days(0)).unwrap()).unwrap();
    }
    let outcome = outcome.unwrap();
    assert!(outcome.authority.unwrap().subject.ends_with(" G3"));
    let trusted = outcome.certificate.pem.as_ref().unwrap().certificate_authorities.as_ref().unwrap().paths();
    assert_eq!(trusted.len(), 3);
    world.openssl(&["verify", "-CAfile", &trusted[2].display().to_string(), "first.pem"]);
    let lines = checks(&outcome.certificate, &[], in_days(0));
    assert!(lines.iter().all(|check| check.status == CheckStatus::Passed), "{lines:#?}");
}

#[test]
fn foreign_certificate_is_not_renewed_here() {
    let world = World::new();
    world.set_up();
    world.openssl_authority("ca");
    world.openssl_leaf("site", "ca", "90");
    let mut setup = world.request();
    setup.name = "foreign".to_owned();
    setup.import = Some(tender_certificate::setup::ImportRequest {
        keystore: world.openssl_store("site", "ca", &[]),
        key: None,
        password: Some(tender_certificate::Secret::new("s3cret")),
        alias: None,
    });
    set_up(&setup).unwrap();
    let request = RenewRequest::new(&world.keystore_dir(), "foreign", "local_ca");
    let error = renew::plan(&request, Timestamp::now()).unwrap_err();
    assert!(
        matches!(error, SetupError::ForeignIssuer { .. }) && error.to_string().contains("CN=ca"),
        "{error}"
    );
}

#[test]
fn renewal_where_nothing_is_names_the_directory() {
    let world = World::new();
    let error = renew::plan(&request(&world), Timestamp::now()).unwrap_err();
    assert!(matches!(error, SetupError::Missing { .. }), "{error}");
}
