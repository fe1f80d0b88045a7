use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use rustix::fs::SealFlags;

use super::*;

const PROGRAM: &str = "/bin/true";

fn name(text: &str) -> ModuleName {
    text.parse().unwrap()
}

fn line(module: &str, proof: Proof) -> AuthorisedModule {
    AuthorisedModule { name: name(module), proof, purpose: Purpose::Plugin, comment: String::new() }
}

fn list_of(modules: impl IntoIterator<Item = AuthorisedModule>) -> AuthorisedList {
    let mut list = AuthorisedList::default();
    for module in modules {
        assert_eq!(list.add(module), Added::New);
    }
    list
}

fn digest_of(path: &Path) -> Digest {
    Digest(*blake3::hash(&fs::read(path).unwrap()).as_bytes())
}

/// A directory with a real program called ECHO in it.
fn library() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ECHO");
    fs::copy(PROGRAM, &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (dir, path)
}

fn open(list: &AuthorisedList, dir: &Path) -> Result<VerifiedModule, ModuleError> {
    list.open_verified(&[dir.to_owned()], &name("ECHO"), Purpose::Plugin)
}

#[test]
fn list_reads_back_as_it_was_written() {
    let digest = format!("blake3:{}", "0a".repeat(32));
    let key = format!("ed25519:{}", "ff".repeat(32));
    let text = format!("# ours\n\nECHO     {digest} plugin from the vendor\nZWESIS01 {key} server\n");
    let list = AuthorisedList::parse(&text).unwrap();
    assert_eq!(list.to_string(), text);
    let modules: Vec<_> = list.modules().collect();
    assert_eq!((modules[0].comment.as_str(), modules[1].purpose), ("from the vendor", Purpose::Server));
}

#[test]
fn one_wrong_line_makes_the_whole_list_wrong() {
    let digest = format!("blake3:{}", "0a".repeat(32));
    for (wrong, said) in [
        (format!("echo {digest} plugin"), "line 2"),
        (format!("NINECHARS {digest} plugin"), "line 2"),
        ("ECHO".to_owned(), "no digest"),
        (format!("ECHO {digest}"), "no purpose"),
        (format!("ECHO {digest} anything"), "line 2"),
        ("ECHO blake3:0a plugin".to_owned(), "line 2"),
        ("ECHO sha256:00 plugin".to_owned(), "line 2"),
    ] {
        let error = AuthorisedList::parse(&format!("# ours\n{wrong}\n")).unwrap_err();
        assert!(error.to_string().contains(said), "{wrong}: {error}");
    }
}

#[test]
fn line_is_added_once_and_beside_its_module() {
    let one = line("ECHO", Proof::Digest(Digest([1; 32])));
    let two = line("ECHO", Proof::Digest(Digest([2; 32])));
    let mut list = list_of([one.clone(), line("OTHER", Proof::Digest(Digest([3; 32])))]);
    assert_eq!(list.add(one), Added::Present);
    assert_eq!(list.add(two.clone()), Added::New);
    let names: Vec<_> = list.modules().map(|module| module.name.to_string()).collect();
    assert_eq!(names, ["ECHO", "ECHO", "OTHER"]);
    assert_eq!(list.remove(&name("ECHO"), Some(&two.proof)), [two]);
    assert_eq!(list.remove(&name("ECHO"), None).len(), 1);
    assert_eq!(list.remove(&name("ECHO"), None), []);
}

#[test]
fn comment_cannot_become_a_line_of_its_own() {
    let mut module = line("ECHO", Proof::Digest(Digest([1; 32])));
    module.comment = format!("x\nEVIL blake3:{} server", "00".repeat(32));
    let list = list_of([module]);
    assert_eq!(AuthorisedList::parse(&list.to_string()).unwrap().modules().count(), 1);
}

#[test]
fn module_on_the_list_is_executed_from_its_sealed_copy() {
    let (dir, path) = library();
    let list = list_of([line("ECHO", Proof::Digest(digest_of(&path)))]);
    let opened = open(&list, dir.path()).unwrap();
    // Whatever happens to the file now, the copy is what was compared.
    fs::write(&path, "something else").unwrap();
    let fd = opened.program.into_fd();
    let seals = rustix::fs::fcntl_get_seals(&fd).unwrap();
    assert!(seals.contains(SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL));
    assert!(rustix::io::write(&fd, b"x").is_err());
    assert!(rustix::fs::ftruncate(&fd, 0).is_err());
    let through = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    assert!(Command::new(through).status().unwrap().success());
}

#[test]
fn module_with_other_content_is_refused() {
    let (dir, path) = library();
    let list = list_of([line("ECHO", Proof::Digest(digest_of(&path)))]);
    fs::write(&path, "something else").unwrap();
    let error = open(&list, dir.path()).unwrap_err();
    assert!(matches!(error, ModuleError::Mismatch { .. }), "{error}");
    assert!(error.to_string().contains(&digest_of(&path).to_string()), "it says what the file is: {error}");
}

#[test]
fn module_listed_for_something_else_is_refused() {
    let (dir, path) = library();
    let list = list_of([line("ECHO", Proof::Digest(digest_of(&path)))]);
    let error = list.open_verified(&[dir.path().to_owned()], &name("ECHO"), Purpose::Server).unwrap_err();
    assert!(matches!(error, ModuleError::NotListed { .. }), "{error}");
    let error = AuthorisedList::default().open_file(&path, &name("ECHO"), Purpose::Plugin).unwrap_err();
    assert!(matches!(error, ModuleError::NotListed { .. }), "{error}");
}

#[test]
fn links_are_not_followed_anywhere_in_the_path() {
    let (dir, path) = library();
    let list = list_of([line("ECHO", Proof::Digest(digest_of(&path)))]);
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(&path, elsewhere.path().join("ECHO")).unwrap();
    assert!(matches!(open(&list, elsewhere.path()), Err(ModuleError::Link { .. })));
    let linked = elsewhere.path().join("library");
    symlink(dir.path(), &linked).unwrap();
    assert!(matches!(open(&list, &linked), Err(ModuleError::Link { .. })));
}

#[test]
fn file_that_others_may_change_is_refused() {
    let (dir, path) = library();
    let list = list_of([line("ECHO", Proof::Digest(digest_of(&path)))]);
    for mode in [0o775, 0o757, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(open(&list, dir.path()), Err(ModuleError::Foreign { .. })), "{mode:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    open(&list, dir.path()).unwrap();
}

#[test]
fn file_of_somebody_else_is_refused() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: giving a file away needs root");
        return;
    }
    let (dir, path) = library();
    let list = list_of([line("ECHO", Proof::Digest(digest_of(&path)))]);
    std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
    let error = open(&list, dir.path()).unwrap_err();
    assert!(matches!(error, ModuleError::Foreign { uid: 65_534, .. }), "{error}");
}

#[test]
fn directory_or_pipe_in_the_place_of_a_module_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let list = list_of([line("ECHO", Proof::Digest(Digest([0; 32])))]);
    let path = dir.path().join("ECHO");
    assert!(matches!(open(&list, dir.path()), Err(ModuleError::NotFound { .. })));
    fs::create_dir(&path).unwrap();
    assert!(matches!(open(&list, dir.path()), Err(ModuleError::NotAFile { .. })));
    fs::remove_dir(&path).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    assert!(matches!(open(&list, dir.path()), Err(ModuleError::NotAFile { .. })));
}

#[test]
fn signed_module_is_allowed_in_every_version_and_only_with_its_signature() {
    let (dir, path) = library();
    let pair = Ed25519KeyPair::generate().unwrap();
    let key: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
    let list = list_of([line("ECHO", Proof::Signer(SignerKey(key)))]);
    let beside = dir.path().join("ECHO.sig");
    assert!(matches!(open(&list, dir.path()), Err(ModuleError::Mismatch { .. })));
    fs::write(&beside, pair.sign(&fs::read(&path).unwrap())).unwrap();
    open(&list, dir.path()).unwrap();
    // Another version: the signature of the one before does not do.
    fs::write(&path, "version 2").unwrap();
    assert!(matches!(open(&list, dir.path()), Err(ModuleError::Mismatch { .. })));
    fs::write(&beside, pair.sign(b"version 2")).unwrap();
    let opened = open(&list, dir.path()).unwrap();
    assert_eq!(opened.program.content().unwrap(), b"version 2");
    // Somebody else's signature.
    fs::write(&beside, Ed25519KeyPair::generate().unwrap().sign(b"version 2")).unwrap();
    assert!(matches!(open(&list, dir.path()), Err(ModuleError::Mismatch { .. })));
}

#[test]
fn file_swapped_all_the_time_is_never_opened_as_anything_but_what_is_listed() {
    let (dir, path) = library();
    let good = fs::read(&path).unwrap();
    let list = list_of([line("ECHO", Proof::Digest(digest_of(&path)))]);
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                // In place, and by rename.
                fs::write(&path, "evil").unwrap();
                let beside = dir.path().join("new");
                fs::write(&beside, &good).unwrap();
                fs::rename(&beside, &path).unwrap();
            }
        });
        for _ in 0..200 {
            if let Ok(opened) = open(&list, dir.path()) {
                assert_eq!(opened.program.content().unwrap(), good);
            }
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
