//! Publication and verification in one process.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use tender_package::Mode;
use tender_package::manifest::target;
use tender_package::repository::{
    Expiry, FileKind, KeyDir, NewTarget, OnlineRole, RepositoryError, Source, TargetCustom, Verified,
};

use crate::fixture::{Fixture, SERVLINK, content, level};

fn fixture() -> Fixture {
    Fixture::new(Timestamp::now(), &Expiry::default())
}

fn load(fixture: &Fixture, dir: &Path) -> Result<Verified, RepositoryError> {
    Verified::load(dir, fixture.keys.trusted_root(), &fixture.datastore())
}

fn stable() -> TargetCustom {
    TargetCustom { state: Mode::Stable, content: content(), generation: 1 }
}

#[test]
fn level_published_and_received_is_verified() {
    let fixture = fixture();
    let incoming = fixture.dir.path().join("incoming");
    fixture.receive(&incoming);
    let verified = load(&fixture, &incoming).unwrap();
    let (manifest, custom) = verified.manifest(&level()).unwrap();
    assert_eq!(manifest.level, level());
    assert_eq!(custom.state, Mode::Test);
    assert_eq!(verified.read(SERVLINK).unwrap(), vec![7; 300_000]);
    let copy = fixture.dir.path().join("copy");
    verified.copy(SERVLINK, &copy).unwrap();
    assert_eq!(std::fs::read(copy).unwrap(), vec![7; 300_000]);
}

#[test]
fn files_for_level_end_with_timestamp() {
    let fixture = fixture();
    let files = fixture.open().files_for(&[target::manifest(&level())]).unwrap();
    assert_eq!(files.first().unwrap().kind, FileKind::Target);
    assert_eq!(files.last().unwrap().path, "metadata/timestamp.json");
    assert!(matches!(
        fixture.open().files_for(&["720/x".to_owned()]),
        Err(RepositoryError::UnknownTarget { .. })
    ));
}

#[test]
fn state_set_to_stable_is_seen_by_reader() {
    let fixture = fixture();
    load(&fixture, &fixture.repo()).unwrap();
    fixture.open().set_custom(&target::manifest(&level()), &stable(), Timestamp::now()).unwrap();
    let verified = load(&fixture, &fixture.repo()).unwrap();
    assert_eq!(verified.manifest(&level()).unwrap().1.state, Mode::Stable);
    assert_eq!(fixture.open().custom(&target::manifest(&level())), Some(stable()));
}

#[test]
fn target_removed_is_gone_from_list_and_disk() {
    let fixture = fixture();
    let before = fixture.open().files_for(&[SERVLINK.to_owned()]).unwrap();
    fixture.open().publish(&[], &[SERVLINK.to_owned()], Timestamp::now()).unwrap();
    assert_eq!(fixture.open().target_names(), [target::manifest(&level())]);
    assert!(!fixture.repo().join(&before[0].path).exists());
}

#[test]
fn target_with_changed_byte_is_refused() {
    let fixture = fixture();
    let path = fixture.open().files_for(&[SERVLINK.to_owned()]).unwrap()[0].path.clone();
    let mut bytes = vec![7; 300_000];
    bytes[150_000] = 8;
    std::fs::write(fixture.repo().join(&path), &bytes).unwrap();
    let verified = load(&fixture, &fixture.repo()).unwrap();
    for result in
        [verified.read(SERVLINK).map(drop), verified.copy(SERVLINK, &fixture.dir.path().join("copy"))]
    {
        let error = result.unwrap_err();
        assert!(matches!(error, RepositoryError::Tampered { .. }), "{error}");
        assert!(error.is_integrity());
    }
    std::fs::write(fixture.repo().join(&path), &bytes[..1000]).unwrap();
    assert!(matches!(verified.verify(SERVLINK), Err(RepositoryError::Tampered { .. })));
    std::fs::remove_file(fixture.repo().join(&path)).unwrap();
    assert!(matches!(verified.verify(SERVLINK), Err(RepositoryError::Missing { .. })));
}

#[test]
fn metadata_rolled_back_is_refused_and_memory_kept() {
    let fixture = fixture();
    let old = fixture.dir.path().join("old");
    fixture.receive(&old);
    fixture.open().set_custom(&target::manifest(&level()), &stable(), Timestamp::now()).unwrap();
    load(&fixture, &fixture.repo()).unwrap();
    let memory = std::fs::read(fixture.datastore().join("timestamp.json")).unwrap();
    let error = load(&fixture, &old).unwrap_err();
    assert!(matches!(error, RepositoryError::Rollback { .. }), "{error}");
    assert_eq!(std::fs::read(fixture.datastore().join("timestamp.json")).unwrap(), memory);
}

#[test]
fn metadata_expired_is_refused() {
    let past = Timestamp::now() - SignedDuration::from_hours(48);
    let expiry = Expiry { timestamp_s: 3600, ..Expiry::default() };
    let fixture = Fixture::new(past, &expiry);
    let error = load(&fixture, &fixture.repo()).unwrap_err();
    assert!(matches!(&error, RepositoryError::Expired { role, .. } if role == "timestamp"), "{error}");
    fixture.open().refresh(Timestamp::now()).unwrap();
    load(&fixture, &fixture.repo()).unwrap();
}

#[test]
fn metadata_of_another_principal_is_refused() {
    let fixture = fixture();
    let other = self::fixture();
    let error = load(&fixture, &other.repo()).unwrap_err();
    assert!(matches!(error, RepositoryError::WrongRoot { .. }), "{error:?}");
    assert!(!fixture.datastore().join("timestamp.json").exists());
}

#[test]
fn metadata_with_changed_byte_is_refused() {
    let fixture = fixture();
    for (file, from, to) in [
        ("timestamp.json", "\"version\": 2", "\"version\": 9"),
        ("2.snapshot.json", "\"version\": 2", "\"version\": 9"),
        ("2.targets.json", "TEST", "STABLE"),
    ] {
        let path = fixture.repo().join("metadata").join(file);
        let good = std::fs::read_to_string(&path).unwrap();
        assert!(good.contains(from), "{file}");
        std::fs::write(&path, good.replace(from, to)).unwrap();
        let error = load(&fixture, &fixture.repo()).unwrap_err();
        assert!(error.is_integrity(), "{file}: {error:?}");
        std::fs::write(&path, good).unwrap();
    }
    std::fs::remove_file(fixture.repo().join("metadata/2.snapshot.json")).unwrap();
    let error = load(&fixture, &fixture.repo()).unwrap_err();
    assert!(matches!(error, RepositoryError::Missing { .. }), "{error:?}");
}

#[test]
fn clock_set_back_is_refused() {
    let fixture = fixture();
    load(&fixture, &fixture.repo()).unwrap();
    let future = Timestamp::now() + SignedDuration::from_hours(24);
    std::fs::write(fixture.datastore().join("latest_known_time.json"), format!("\"{future}\"")).unwrap();
    let error = load(&fixture, &fixture.repo()).unwrap_err();
    assert!(matches!(error, RepositoryError::ClockWentBack { .. }), "{error:?}");
}

#[test]
fn online_key_rotated_is_followed_from_the_old_root() {
    let mut fixture = fixture();
    let first_root = fixture.keys.trusted_root().to_vec();
    load(&fixture, &fixture.repo()).unwrap();
    for role in [OnlineRole::Timestamp, OnlineRole::Targets, OnlineRole::Snapshot] {
        fixture.keys.rotate(role, Timestamp::now(), &Expiry::default()).unwrap();
    }
    fixture.open().refresh(Timestamp::now()).unwrap();
    Verified::load(&fixture.repo(), &first_root, &fixture.datastore()).unwrap();
    let reopened = KeyDir::open(&fixture.dir.path().join("keys")).unwrap();
    assert_eq!(reopened.trusted_root(), fixture.keys.trusted_root());
    // The system has followed; the first timestamp key means nothing to it any more.
    std::fs::remove_file(fixture.repo().join("metadata/4.root.json")).unwrap();
    Verified::load(&fixture.repo(), &first_root, &fixture.datastore()).unwrap();
}

#[test]
fn publication_cut_before_the_timestamp_is_invisible() {
    let fixture = fixture();
    let before = std::fs::read(fixture.repo().join("metadata/timestamp.json")).unwrap();
    let new = NewTarget { name: "720/new".to_owned(), source: Source::Bytes(b"new".to_vec()), custom: None };
    fixture.open().publish(std::slice::from_ref(&new), &[], Timestamp::now()).unwrap();
    std::fs::write(fixture.repo().join("metadata/timestamp.json"), before).unwrap();
    assert!(!load(&fixture, &fixture.repo()).unwrap().target_names().any(|name| name == "720/new"));
    fixture.open().publish(&[new], &[], Timestamp::now()).unwrap();
    assert!(load(&fixture, &fixture.repo()).unwrap().target_names().any(|name| name == "720/new"));
}

#[test]
fn target_name_that_leaves_the_repository_is_refused() {
    let fixture = fixture();
    for name in ["../x", "/x", "a//b", "a/./b", "a/.hidden", "a b", ""] {
        let new = NewTarget { name: name.to_owned(), source: Source::Bytes(Vec::new()), custom: None };
        let error = fixture.open().publish(&[new], &[], Timestamp::now()).unwrap_err();
        assert!(matches!(error, RepositoryError::TargetName { .. }), "{name}: {error}");
    }
}

#[test]
fn keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = fixture();
    for key in ["root", "targets", "snapshot", "timestamp"] {
        let path = fixture.dir.path().join(format!("keys/{key}.pk8"));
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = KeyDir::create(&fixture.dir.path().join("keys"), Timestamp::now(), &Expiry::default());
    assert!(matches!(again, Err(RepositoryError::Exists { .. })));
}
