//! Foreign certificates.

use std::{fs, path::Path};

use jiff::Timestamp;
use tender_certificate::{
    Bundle, BundleError, CheckStatus, Secret,
    setup::{ImportRequest, SetupError, SetupRequest},
    show,
};

use crate::world::{World, checks, set_up};

fn import(world: &World, keystore: &Path) -> SetupRequest {
    SetupRequest {
        import: Some(ImportRequest {
            keystore: keystore.to_owned(),
            key: None,
            password: Some(Secret::new("s3cret")),
            alias: None,
        }),
        host_names: Vec::new(),
        ..world.request()
    }
}

#[test]
fn stores_of_openssl_in_modern_and_old_forms_are_imported() {
    for further in [&[][..], &["-legacy"], &["-descert", "-legacy"], &["-nomac"], &["-macalg", "sha512"]] {
        let world = World::new();
        world.openssl_authority("ca");
        world.openssl_leaf("site", "ca", "20");
        let store = world.openssl_store("site", "ca", further);
        let outcome = set_up(&import(&world, &store)).unwrap();
        let leaf = outcome.leaf.unwrap();
        assert_eq!(leaf.alternative_names, ["DNS:site.example.com"], "{further:?}");
        let checks = checks(&outcome.certificate, &["site.example.com"], Timestamp::now());
        let bad: Vec<_> = checks.iter().filter(|check| check.status != CheckStatus::Passed).collect();
        // Twenty days are less than the thirty before which someone should be told.
        assert!(bad.iter().all(|check| check.text.contains("days")), "{further:?} {bad:#?}");
        let password = world.leaf("localhost.keystore.password");
        if let Some(listed) = world.keytool_list(&world.leaf("localhost.keystore.p12"), &password) {
            assert!(
                listed.contains("Alias name: localhost") && listed.contains("PrivateKeyEntry"),
                "{listed}"
            );
        }
    }
}

#[test]
fn store_of_keytool_with_several_keys_is_imported_by_alias() {
    let world = World::new();
    fs::write(world.path("pw"), "s3cret").unwrap();
    for alias in ["first", "second"] {
        let listed = world.keytool(&[
            "-genkeypair",
            "-alias",
            alias,
            "-keyalg",
            "EC",
            "-groupname",
            "secp256r1",
            "-dname",
            &format!("CN={alias}, O=Java"),
            "-storetype",
            "PKCS12",
            "-keystore",
            "java.p12",
            "-storepass:file",
            "pw",
            "-validity",
            "90",
        ]);
        if listed.is_none() {
            return;
        }
    }
    let store = world.path("java.p12");
    let error = set_up(&import(&world, &store)).unwrap_err().to_string();
    assert!(error.contains("first") && error.contains("second"), "{error}");
    let mut request = import(&world, &store);
    request.import.as_mut().unwrap().alias = Some("Second".to_owned());
    let outcome = set_up(&request).unwrap();
    assert!(outcome.leaf.unwrap().subject.contains("CN=second"));
    request.import.as_mut().unwrap().alias = Some("third".to_owned());
    request.overwrite = true;
    let error = set_up(&request).unwrap_err().to_string();
    assert!(error.contains("third") && error.contains("first, second"), "{error}");
}

#[test]
fn store_of_old_java_is_read() {
    let world = World::new();
    fs::write(world.path("pw"), "s3cret").unwrap();
    let made = world.keytool(&[
        "-J-Dkeystore.pkcs12.legacy",
        "-genkeypair",
        "-alias",
        "old",
        "-keyalg",
        "RSA",
        "-dname",
        "CN=old",
        "-storetype",
        "PKCS12",
        "-keystore",
        "old.p12",
        "-storepass:file",
        "pw",
    ]);
    if made.is_some() {
        let secret = Secret::new("s3cret");
        let shown = show(&world.path("old.p12"), Some(&secret), Timestamp::now()).unwrap();
        assert_eq!((shown[0].alias.as_deref(), shown[0].has_private_key), (Some("old"), true));
    }
}

#[test]
fn trust_store_of_java_is_read_as_trusted() {
    let world = World::new();
    world.openssl_authority("partner");
    fs::write(world.path("pw"), "s3cret").unwrap();
    let made = world.keytool(&[
        "-importcert",
        "-noprompt",
        "-alias",
        "Their CA",
        "-file",
        "partner.pem",
        "-storetype",
        "PKCS12",
        "-keystore",
        "trust.p12",
        "-storepass:file",
        "pw",
    ]);
    if made.is_some() {
        let secret = Secret::new("s3cret");
        let shown = show(&world.path("trust.p12"), Some(&secret), Timestamp::now()).unwrap();
        let [only] = shown.as_slice() else { panic!("{shown:#?}") };
        assert_eq!((only.alias.as_deref(), only.is_trusted, only.is_ca), (Some("Their CA"), true, true));
    }
}

#[test]
fn key_and_chain_in_pem_files_are_imported_in_every_form_of_key() {
    for form in ["pkcs8", "traditional", "ec"] {
        let world = World::new();
        world.openssl_authority("ca");
        world.openssl_leaf("site", "ca", "90");
        if form == "traditional" {
            world.openssl_words("rsa -in site.key -traditional -out site.key");
        } else if form == "ec" {
            world.openssl_words("ecparam -name secp384r1 -genkey -noout -out site.key");
            world.openssl_words("req -new -key site.key -subj /CN=site -out site.csr");
            fs::write(world.path("ec.ext"), "subjectAltName=DNS:site.example.com").unwrap();
            world.openssl_words(
                "x509 -req -in site.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 90 \
                 -extfile ec.ext -out site.pem",
            );
        }
        let mut chain = fs::read(world.path("site.pem")).unwrap();
        chain.extend(fs::read(world.path("ca.pem")).unwrap());
        fs::write(world.path("chain.pem"), chain).unwrap();
        let mut request = import(&world, &world.path("chain.pem"));
        request.import.as_mut().unwrap().key = Some(world.path("site.key"));
        let outcome = set_up(&request).unwrap();
        world.openssl(&["verify", "-CAfile", &world.leaf("extca.1.cer"), &world.leaf("localhost.cer")]);
        let key = fs::read_to_string(world.leaf("localhost.key")).unwrap();
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "{form}");
        assert_eq!(outcome.certificate.pem.unwrap().certificate_authorities.unwrap().paths().len(), 1);
    }
}

#[test]
fn chain_without_root_is_completed_by_the_imported_authorities_or_refused() {
    let world = World::new();
    world.openssl_authority("ca");
    world.openssl_leaf("site", "ca", "90");
    world.openssl_words("pkcs12 -export -inkey site.key -in site.pem -passout pass:s3cret -out alone.p12");
    let mut request = import(&world, &world.path("alone.p12"));
    let error = set_up(&request).unwrap_err();
    assert!(matches!(error, SetupError::NoRoot { .. }) && error.to_string().contains("CN=ca"), "{error}");
    request.authorities = vec![world.path("ca.pem")];
    let outcome = set_up(&request).unwrap();
    assert!(
        checks(&outcome.certificate, &["site.example.com"], Timestamp::now())
            .iter()
            .all(|check| check.status == CheckStatus::Passed)
    );
}

#[test]
fn further_authorities_are_in_both_trust_stores_of_an_own_certificate() {
    let world = World::new();
    world.openssl_authority("partner");
    let mut request = world.request();
    request.authorities = vec![world.path("partner.pem")];
    let outcome = set_up(&request).unwrap();
    let paths = outcome.certificate.pem.unwrap().certificate_authorities.unwrap().paths();
    assert_eq!(paths, [world.layout().leaf("local_ca.cer"), world.layout().leaf("extca.1.cer")]);
    let password = world.leaf("localhost.keystore.password");
    if let Some(listed) = world.keytool_list(&world.leaf("localhost.truststore.p12"), &password) {
        assert!(listed.contains("2 entries"), "{listed}");
    }
}

#[test]
fn certificate_that_is_no_authority_is_not_trusted_as_one() {
    let world = World::new();
    world.openssl_authority("ca");
    world.openssl_leaf("site", "ca", "90");
    let mut request = world.request();
    request.authorities = vec![world.path("site.pem")];
    let error = set_up(&request).unwrap_err();
    assert!(matches!(error, SetupError::NotAnAuthority { .. }), "{error}");
}

#[test]
fn expired_certificate_is_not_imported() {
    let world = World::new();
    world.openssl_authority("ca");
    world.openssl_leaf("site", "ca", "-1");
    let store = world.openssl_store("site", "ca", &[]);
    let error = set_up(&import(&world, &store)).unwrap_err().to_string();
    assert!(error.contains("expired"), "{error}");
}

#[test]
fn certificate_of_version_1_is_refused_with_the_reason() {
    let world = World::new();
    world.openssl_authority("ca");
    world.openssl_words("req -newkey rsa:2048 -nodes -subj /CN=site -keyout site.key -out site.csr");
    world.openssl_words(
        "x509 -req -in site.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -out site.pem",
    );
    let error = set_up(&import(&world, &world.openssl_store("site", "ca", &[]))).unwrap_err().to_string();
    assert!(error.contains("version 3"), "{error}");
}

#[test]
fn wrong_and_missing_passwords_are_told_apart() {
    let world = World::new();
    world.openssl_authority("ca");
    world.openssl_leaf("site", "ca", "90");
    for further in [&[][..], &["-legacy"], &["-nomac"]] {
        let store = world.openssl_store("site", "ca", further);
        let wrong = Bundle::read(&store, Some(&Secret::new("wrong"))).unwrap_err();
        assert!(matches!(wrong, BundleError::Password { .. }), "{further:?} {wrong}");
        let missing = Bundle::read(&store, None).unwrap_err();
        assert!(matches!(missing, BundleError::PasswordMissing { .. }), "{further:?} {missing}");
    }
}

#[test]
fn truncated_store_is_an_error_that_names_the_file() {
    let world = World::new();
    world.openssl_authority("ca");
    world.openssl_leaf("site", "ca", "90");
    let bytes = fs::read(world.openssl_store("site", "ca", &[])).unwrap();
    let secret = Secret::new("s3cret");
    for length in (0..bytes.len()).step_by(97) {
        let error = Bundle::parse(&bytes[..length], Path::new("/x/site.p12"), Some(&secret)).unwrap_err();
        assert!(error.to_string().contains("/x/site.p12"), "{length}: {error}");
    }
    let pem = fs::read(world.path("site.pem")).unwrap();
    for length in (0..pem.len() - 30).step_by(53) {
        assert!(Bundle::parse(&pem[..length], Path::new("/x/site.pem"), None).is_err(), "{length}");
    }
}

#[test]
fn stores_of_other_kinds_are_named_with_a_way_out() {
    let path = Path::new("/x/store");
    let jks = Bundle::parse(&[0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2], path, None).unwrap_err().to_string();
    assert!(jks.contains("keytool -importkeystore"), "{jks}");
    let ebcdic = [0x60, 0x60, 0x60, 0x60, 0x60, 0xC2, 0xC5, 0xC7, 0xC9, 0xD5, 0x40];
    let ebcdic = Bundle::parse(&ebcdic, path, None).unwrap_err().to_string();
    assert!(ebcdic.contains("EBCDIC"), "{ebcdic}");
}

#[test]
fn key_of_another_certificate_is_refused() {
    let world = World::new();
    world.openssl_authority("ca");
    world.openssl_leaf("site", "ca", "90");
    let error = Bundle::read_pem_files(&[&world.path("site.pem"), &world.path("ca.key")]).unwrap_err();
    assert!(matches!(error, BundleError::KeyAlone { .. }), "{error}");
}
