//! Own authority and certificate, seen by others.

use std::{fs, path::Path};

use tender_certificate::{
    CheckStatus, DistinguishedName, KeyType, Owner, Secret,
    setup::{self, SetupError},
};

use crate::world::{World, assert_fails, checks, in_days, mode, planned, set_up};

#[test]
fn certificate_of_every_key_type_passes_openssl_and_keytool() {
    for key_type in KeyType::ALL {
        let world = World::new();
        let mut request = world.request();
        request.key_type = key_type;
        set_up(&request).unwrap();
        let (ca, leaf) = (world.leaf("local_ca.cer"), world.leaf("localhost.cer"));
        for purpose in ["sslserver", "sslclient"] {
            world.openssl(&["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &ca, &leaf]);
        }
        let keystore = world.leaf("localhost.keystore.p12");
        let password = world.leaf("localhost.keystore.password");
        let from_store =
            world.openssl(&["pkcs12", "-in", &keystore, "-nodes", "-passin", &format!("file:{password}")]);
        assert!(from_store.contains("BEGIN PRIVATE KEY"), "{key_type}");
        let of_key = world.openssl(&["pkey", "-in", &world.leaf("localhost.key"), "-pubout"]);
        let of_certificate = world.openssl(&["x509", "-in", &leaf, "-pubkey", "-noout"]);
        assert_eq!(of_key, of_certificate, "{key_type}");
        if let Some(listed) = world.keytool_list(&keystore, &password) {
            assert!(listed.contains("PrivateKeyEntry") && listed.contains("chain length: 2"), "{listed}");
        }
        if let Some(listed) = world.keytool_list(&world.leaf("localhost.truststore.p12"), &password) {
            assert!(
                listed.contains("trustedCertEntry") && listed.contains("Alias name: local_ca"),
                "{listed}"
            );
        }
    }
}

#[test]
fn names_and_addresses_of_both_families_are_accepted_by_openssl() {
    let world = World::new();
    let mut request = world.request();
    request.host_names.extend(["[2001:db8::7]".to_owned(), "HA2.example.com.".to_owned()]);
    set_up(&request).unwrap();
    let (ca, leaf) = (world.leaf("local_ca.cer"), world.leaf("localhost.cer"));
    for host in ["gateway.example.com", "ha2.example.com", "localhost"] {
        world.openssl(&["verify", "-CAfile", &ca, "-verify_hostname", host, &leaf]);
    }
    for address in ["192.0.2.7", "2001:db8::7", "127.0.0.1", "::1"] {
        world.openssl(&["verify", "-CAfile", &ca, "-verify_ip", address, &leaf]);
    }
    let (is_well, text) = world.try_openssl(&["verify", "-CAfile", &ca, "-verify_ip", "2001:db8::8", &leaf]);
    assert!(!is_well, "{text}");
}

#[test]
fn extensions_are_those_of_a_server_and_a_client_and_subjects_differ() {
    let world = World::new();
    let mut request = world.request();
    request.key_type = KeyType::Rsa2048;
    request.subject = DistinguishedName {
        country: Some("cz".to_owned()),
        locality: Some("Praha – Žižkov".to_owned()),
        ..DistinguishedName::default()
    };
    set_up(&request).unwrap();
    let leaf = world.openssl(&["x509", "-in", &world.leaf("localhost.cer"), "-noout", "-text"]);
    for expected in [
        "Digital Signature, Non Repudiation, Key Encipherment, Data Encipherment",
        "TLS Web Client Authentication, TLS Web Server Authentication",
        "CN = Tender Instance Certificate",
        "C = CZ",
    ] {
        assert!(leaf.contains(expected), "{expected} in {leaf}");
    }
    let ca = world.openssl(&["x509", "-in", &world.leaf("local_ca.cer"), "-noout", "-text"]);
    assert!(ca.contains("CA:TRUE") && ca.contains("Certificate Sign"), "{ca}");
    let subject = world.openssl(&["x509", "-in", &world.leaf("local_ca.cer"), "-noout", "-subject"]);
    assert!(subject.contains("CN = Tender Instance CA"), "{subject}");
    let end =
        world.openssl(&["x509", "-in", &world.leaf("localhost.cer"), "-noout", "-checkend", "34128000"]);
    assert!(end.contains("will not expire"), "395 days from now: {end}");
    let (outlasts, _) =
        world.try_openssl(&["x509", "-in", &world.leaf("localhost.cer"), "-noout", "-checkend", "34300800"]);
    assert!(!outlasts, "it lasts longer than 397 days");
}

#[test]
fn locked_directory_is_closed_to_all_but_its_owner() {
    let world = World::new();
    world.set_up();
    let layout = world.layout();
    for dir in [layout.leaf_dir(), layout.ca_dir()] {
        assert_eq!(mode(&dir), 0o500, "{}", dir.display());
        for name in World::names(&dir) {
            assert_eq!(mode(&dir.join(&name)), 0o400, "{name}");
        }
    }
}

#[test]
fn unlocked_directory_keeps_secrets_to_its_owner() {
    let world = World::new();
    let mut request = world.request();
    request.lock = false;
    set_up(&request).unwrap();
    let layout = world.layout();
    assert_eq!(mode(&layout.leaf_dir()), 0o700);
    for name in [layout.keystore(), layout.truststore(), layout.password(), layout.key_pem()] {
        assert_eq!(mode(&layout.leaf(&name)), 0o600, "{name}");
    }
    assert_eq!(mode(&layout.ca(&layout.ca_password())), 0o600);
}

#[test]
fn files_of_the_certificate_are_given_to_the_owner_and_the_authority_is_not() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new();
    let mut request = world.request();
    request.owner = Owner { uid: Some(65_534), gid: Some(65_534) };
    set_up(&request).unwrap();
    let layout = world.layout();
    let owner = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid())
    };
    assert_eq!(owner(&layout.leaf(&layout.key_pem())), (65_534, 65_534));
    assert_eq!(owner(&layout.leaf_dir()), (65_534, 65_534));
    assert_ne!(owner(&layout.ca_dir()).0, 65_534);
}

#[test]
fn password_is_random_kept_in_a_file_and_nowhere_else() {
    let world = World::new();
    let request = world.request();
    let plan = planned(&request).unwrap();
    let outcome = setup::execute(&plan).unwrap();
    let layout = world.layout();
    let password = fs::read_to_string(layout.leaf(&layout.password())).unwrap();
    let password = password.trim_end();
    assert_eq!(password.len(), 32);
    let shown = format!("{plan:?} {outcome:?} {}", serde_json::to_string(&(&plan, &outcome)).unwrap());
    assert!(!shown.contains(password), "the password shows");
    let reference = format!("file:{}", layout.leaf(&layout.password()).display());
    assert_eq!(outcome.certificate.keystore.password.unwrap().to_string(), reference);
    let of_authority = fs::read_to_string(layout.ca(&layout.ca_password())).unwrap();
    assert_ne!(of_authority.trim_end(), password);
}

#[test]
fn password_of_the_documentation_is_replaced_and_another_one_is_kept() {
    let world = World::new();
    let mut request = world.request();
    request.password = Some(Secret::new("password"));
    request.ca_password = Some(Secret::new("c0rrect$horse \"battery\""));
    let plan = planned(&request).unwrap();
    assert!(plan.notes.iter().any(|note| note.contains("public documentation")), "{:?}", plan.notes);
    setup::execute(&plan).unwrap();
    let layout = world.layout();
    assert_ne!(fs::read_to_string(layout.leaf(&layout.password())).unwrap().trim_end(), "password");
    let file = format!("file:{}", layout.ca(&layout.ca_password()).display());
    let store = layout.ca(&layout.ca_keystore()).display().to_string();
    world.openssl(&["pkcs12", "-in", &store, "-nodes", "-passin", &file]);
}

#[test]
fn plan_changes_nothing_and_names_every_file() {
    let world = World::new();
    let plan = planned(&world.request()).unwrap();
    assert!(!world.keystore_dir().exists());
    let shown = plan.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    setup::execute(&plan).unwrap();
    let layout = world.layout();
    for dir in [layout.leaf_dir(), layout.ca_dir()] {
        for name in World::names(&dir) {
            assert!(shown.contains(&name), "{name} in {shown}");
        }
    }
}

#[test]
fn second_setup_is_refused_and_overwriting_keeps_a_backup_and_the_authority() {
    let world = World::new();
    let first = world.set_up();
    let error = set_up(&world.request()).unwrap_err();
    assert!(matches!(error, SetupError::Exists { .. }) && error.to_string().contains("exists"), "{error}");
    let mut request = world.request();
    request.overwrite = true;
    let second = set_up(&request).unwrap();
    let fingerprint = |info: &Option<tender_certificate::CertificateInfo>| info.clone().unwrap().fingerprint;
    assert_eq!(fingerprint(&first.authority), fingerprint(&second.authority));
    assert_ne!(fingerprint(&first.leaf), fingerprint(&second.leaf));
    let [backup] = second.backups.as_slice() else { panic!("{:?}", second.backups) };
    assert_eq!(World::names(backup), World::names(&world.layout().leaf_dir()));
    assert_eq!(mode(backup), 0o700);
    assert!(checks(&second.certificate, &[], in_days(0)).iter().all(|c| c.status == CheckStatus::Passed));
}

#[test]
fn new_authority_replaces_the_old_one_when_asked_for() {
    let world = World::new();
    let first = world.set_up();
    let mut request = world.request();
    (request.overwrite, request.new_authority) = (true, true);
    let second = set_up(&request).unwrap();
    assert_ne!(first.authority.unwrap().fingerprint, second.authority.unwrap().fingerprint);
    assert_eq!(second.backups.len(), 2);
    assert!(checks(&second.certificate, &[], in_days(0)).iter().all(|c| c.status == CheckStatus::Passed));
}

#[test]
fn second_certificate_of_a_directory_is_signed_by_the_same_authority() {
    let world = World::new();
    world.set_up();
    let mut request = world.request();
    request.name = "component".to_owned();
    let outcome = set_up(&request).unwrap();
    assert!(outcome.backups.is_empty());
    world.openssl(&[
        "verify",
        "-CAfile",
        &world.leaf("local_ca.cer"),
        &world.keystore_dir().join("component/component.cer").display().to_string(),
    ]);
}

#[test]
fn authority_that_cannot_be_opened_is_not_replaced_silently() {
    let world = World::new();
    world.set_up();
    let layout = world.layout();
    fs::remove_file(layout.ca(&layout.ca_password())).unwrap();
    let mut request = world.request();
    request.overwrite = true;
    let error = set_up(&request).unwrap_err().to_string();
    assert!(error.contains("local_ca") && error.contains("password"), "{error}");
}

#[test]
fn certificate_of_a_ten_year_configuration_is_short_and_its_authority_long() {
    let world = World::new();
    let section = format!(
        r#"{{"pkcs12": {{"directory": "{}", "lock": false}}, "validity": 3650}}"#,
        world.keystore_dir().display()
    );
    let request = setup::SetupRequest::of_section(
        &serde_json::from_str(&section).unwrap(),
        &["a.example.com".to_owned()],
    )
    .unwrap();
    let plan = planned(&request).unwrap();
    assert!(plan.notes.iter().any(|note| note.contains("396 days")), "{:?}", plan.notes);
    let outcome = setup::execute(&plan).unwrap();
    assert!((395..=396).contains(&outcome.leaf.unwrap().days_left));
    assert!((3649..=3650).contains(&outcome.authority.unwrap().days_left));
}

#[test]
fn names_that_cannot_stand_in_a_certificate_are_refused_before_anything_is_written() {
    let world = World::new();
    for host in ["not a host", "300.1.1.1", "a_b..c"] {
        let mut request = world.request();
        request.host_names = vec![host.to_owned()];
        let error = set_up(&request).unwrap_err().to_string();
        assert!(error.contains(host), "{error}");
    }
    let mut request = world.request();
    request.name = "../evil".to_owned();
    assert!(matches!(set_up(&request), Err(SetupError::Name { .. })));
    request = world.request();
    request.ca_days = Some(0);
    assert!(matches!(set_up(&request), Err(SetupError::Validity { .. })));
    assert!(!world.keystore_dir().exists());
}

#[test]
fn short_lived_authority_bounds_its_certificate() {
    let world = World::new();
    let mut request = world.request();
    request.ca_days = Some(10);
    let outcome = set_up(&request).unwrap();
    assert_eq!(outcome.leaf.unwrap().not_after, outcome.authority.unwrap().not_after);
    let late = checks(&outcome.certificate, &[], in_days(11));
    assert!(late.iter().any(|check| check.what == "validity" && check.text.contains("expired")), "{late:#?}");
}

#[test]
fn clock_before_the_certificate_was_made_is_suspected() {
    let world = World::new();
    let outcome = world.set_up();
    let early = checks(&outcome.certificate, &[], in_days(-3));
    assert!(early.iter().any(|check| check.text.contains("clock")), "{early:#?}");
    assert_fails(
        &early.into_iter().filter(|check| check.what == "validity").collect::<Vec<_>>(),
        "validity",
        "not valid before",
    );
}
