//! Authorities that are trusted later.

use tender_certificate::{
    Bundle, CheckStatus, OneOrMany, RuntimeCertificate, TrustError, TrustStore, import_authorities,
    setup::Outcome,
};

use crate::world::{World, checks, in_days, mode};

fn store(outcome: &Outcome) -> TrustStore {
    let store = &outcome.certificate.truststore;
    TrustStore { file: store.file.clone(), password: store.password.as_ref().unwrap().resolve().unwrap() }
}

fn with_authorities(
    mut certificate: RuntimeCertificate,
    further: Vec<std::path::PathBuf>,
) -> RuntimeCertificate {
    let pem = certificate.pem.as_mut().unwrap();
    let mut paths = pem.certificate_authorities.as_ref().unwrap().paths();
    paths.extend(further);
    pem.certificate_authorities = Some(OneOrMany::Many(paths));
    certificate
}

#[test]
fn imported_authority_is_in_the_locked_directory_in_both_forms() {
    let world = World::new();
    let outcome = world.set_up();
    world.openssl_authority("partner");
    let store = store(&outcome);
    let files = [world.path("partner.pem")];
    let imported = import_authorities(&store, &files, in_days(0)).unwrap();
    assert_eq!(imported.pem_files, [world.layout().leaf("extca.1.cer")]);
    assert!(imported.backup.unwrap().is_dir());
    assert_eq!((mode(&world.layout().leaf_dir()), mode(&store.file)), (0o500, 0o400));
    let certificate = with_authorities(outcome.certificate, imported.pem_files);
    let lines = checks(&certificate, &[], in_days(0));
    assert!(lines.iter().all(|check| check.status == CheckStatus::Passed), "{lines:#?}");
    let again = import_authorities(&store, &files, in_days(0)).unwrap();
    assert_eq!((again.added.len(), again.present.len()), (0, 1));
}

#[test]
fn trust_store_elsewhere_is_replaced_as_a_file_and_kept() {
    let world = World::new();
    let outcome = world.set_up();
    world.openssl_authority("partner");
    let mut store = store(&outcome);
    let elsewhere = world.path("trust.p12");
    std::fs::copy(&store.file, &elsewhere).unwrap();
    store.file.clone_from(&elsewhere);
    let imported = import_authorities(&store, &[world.path("partner.pem")], in_days(0)).unwrap();
    assert!(imported.pem_files.is_empty());
    let count = |path| Bundle::read(path, Some(&store.password)).unwrap().trusted().count();
    assert_eq!((count(&elsewhere), count(&imported.backup.unwrap())), (2, 1));
}

#[test]
fn certificate_that_is_no_authority_changes_nothing() {
    let world = World::new();
    let outcome = world.set_up();
    world.openssl_authority("ca");
    world.openssl_leaf("site", "ca", "90");
    let store = store(&outcome);
    let before = std::fs::read(&store.file).unwrap();
    let error = import_authorities(&store, &[world.path("site.pem")], in_days(0)).unwrap_err();
    assert!(matches!(error, TrustError::NotAnAuthority { .. }), "{error}");
    assert_eq!(std::fs::read(&store.file).unwrap(), before);
}
