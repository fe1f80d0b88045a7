//! From PEM to PKCS12 and back, several keys in one store, and what is shown of all of it.

use std::fs;

use jiff::Timestamp;
use tender_certificate::{Bundle, Secret, show};

use crate::world::World;

#[test]
fn pem_becomes_a_store_that_openssl_and_keytool_read_and_back() {
    let world = World::new();
    world.openssl_authority("ca");
    world.openssl_leaf("one", "ca", "90");
    world.openssl_leaf("two", "ca", "90");
    let mut bundle = Bundle::default();
    for name in ["one", "two"] {
        let files =
            [format!("{name}.pem"), format!("{name}.key"), "ca.pem".to_owned()].map(|file| world.path(&file));
        let read = Bundle::read_pem_files(&[&files[0], &files[1], &files[2]]).unwrap();
        bundle.add_key(read.key(None, &files[0]).unwrap().clone());
    }
    let secret = Secret::new("pass phrase with $ and \"");
    fs::write(world.path("pw"), secret.expose()).unwrap();
    fs::write(world.path("both.p12"), bundle.to_pkcs12(&secret).unwrap()).unwrap();
    let text = world.openssl_words("pkcs12 -in both.p12 -nodes -passin file:pw");
    assert_eq!(text.matches("BEGIN PRIVATE KEY").count(), 2, "{text}");
    if let Some(listed) = world.keytool_list("both.p12", "pw") {
        assert!(listed.contains("2 entries") && listed.contains("Alias name: two"), "{listed}");
    }
    let back = Bundle::read(&world.path("both.p12"), Some(&secret)).unwrap();
    for name in ["one", "two"] {
        let entry = back.key(Some(name), &world.path("both.p12")).unwrap();
        assert_eq!(entry.chain.len(), 2);
        fs::write(world.path("back.key"), entry.key_pem().as_bytes()).unwrap();
        let of_back = world.openssl_words("pkey -in back.key -pubout");
        assert_eq!(of_back, world.openssl(&["pkey", "-in", &format!("{name}.key"), "-pubout"]));
        let original = fs::read_to_string(world.path(&format!("{name}.pem"))).unwrap();
        assert_eq!(entry.chain_pem(), original);
    }
}

#[test]
fn trust_store_of_foreign_authorities_is_listed_by_keytool() {
    let world = World::new();
    let mut bundle = Bundle::default();
    for name in ["alpha", "beta"] {
        world.openssl_authority(name);
        let path = world.path(&format!("{name}.pem"));
        bundle.add_trusted(name, Bundle::read(&path, None).unwrap().certificates()[0].clone());
    }
    let secret = Secret::generate();
    fs::write(world.path("pw"), secret.expose()).unwrap();
    fs::write(world.path("trust.p12"), bundle.to_pkcs12(&secret).unwrap()).unwrap();
    if let Some(listed) = world.keytool_list("trust.p12", "pw") {
        assert_eq!(listed.matches("trustedCertEntry").count(), 2, "{listed}");
    }
    let back = Bundle::read(&world.path("trust.p12"), Some(&secret)).unwrap();
    assert_eq!(back.trusted().map(|entry| entry.alias.as_str()).collect::<Vec<_>>(), ["alpha", "beta"]);
}

#[test]
fn shown_certificate_says_what_openssl_says() {
    let world = World::new();
    world.set_up();
    let layout = world.layout();
    let now = Timestamp::now();
    let pem = &show(&layout.leaf(&layout.certificate_pem()), None, now).unwrap()[0];
    let path = world.leaf("localhost.cer");
    let openssl = world.openssl(&["x509", "-in", &path, "-noout", "-fingerprint", "-sha256"]);
    assert_eq!(openssl.trim().split('=').next_back(), Some(pem.fingerprint.as_str()));
    let serial = world.openssl(&["x509", "-in", &path, "-noout", "-serial"]);
    assert_eq!(serial.trim().split('=').next_back(), Some(pem.serial.replace(':', "").as_str()));
    assert_eq!(
        pem.alternative_names,
        [
            "DNS:gateway.example.com",
            "IP:192.0.2.7",
            "DNS:localhost",
            "DNS:localhost.localdomain",
            "IP:127.0.0.1",
            "IP:::1",
        ]
    );
    assert_eq!((pem.key.kind.as_str(), pem.key.bits, pem.is_ca), ("EC P-256", 256, false));
    assert!((395..=396).contains(&pem.days_left));

    world.openssl(&["x509", "-in", &path, "-outform", "DER", "-out", "leaf.der"]);
    let der = &show(&world.path("leaf.der"), None, now).unwrap()[0];
    assert_eq!(der.fingerprint, pem.fingerprint);

    let secret = tender_certificate::Password::File(layout.leaf(&layout.password())).resolve().unwrap();
    let store = show(&layout.leaf(&layout.keystore()), Some(&secret), now).unwrap();
    assert_eq!(store.len(), 2);
    assert_eq!((store[0].alias.as_deref(), store[0].has_private_key), (Some("localhost"), true));
    assert_eq!((store[1].chain_position, store[1].has_private_key, store[1].is_ca), (1, false, true));
    let json = serde_json::to_string(&store).unwrap();
    assert!(!json.contains("PRIVATE") && json.contains("\"fingerprint\""), "{json}");
}

#[test]
fn key_never_shows_in_debug_output() {
    let world = World::new();
    world.set_up();
    let layout = world.layout();
    let files = [layout.leaf(&layout.certificate_pem()), layout.leaf(&layout.key_pem())];
    let bundle = Bundle::read_pem_files(&[&files[0], &files[1]]).unwrap();
    let entry = bundle.keys().next().unwrap();
    let secret = entry.key.secret_pkcs8_der();
    let shown = format!("{bundle:?}");
    assert!(!shown.contains(&format!("{secret:?}")[1..40]), "{shown}");
    let hex: String = secret[40..56].iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!shown.to_lowercase().contains(&hex), "{shown}");
}
