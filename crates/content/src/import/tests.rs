use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;
use crate::digest::Digest;
use crate::progress::NoProgress;
use crate::store::ObjectStore;
use crate::tree::{Node, Tree};

fn setup() -> (tempfile::TempDir, ObjectStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(&dir.path().join("store")).unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    (dir, store)
}

fn file(mode: u32, bytes: &[u8]) -> Node {
    Node::File { mode, size: bytes.len() as u64, digest: crate::Digest::of(bytes) }
}

fn tree(parts: &[(&str, Node)]) -> Tree {
    let nodes = parts.iter().map(|(path, node)| (PartPath::new(*path).unwrap(), node.clone()));
    Tree::from_nodes(nodes.collect()).unwrap()
}

enum Entry<'a> {
    File(&'a str, u32, &'a [u8]),
    Link(&'a str, &'a str),
    HardLink(&'a str, &'a str),
    Fifo(&'a str),
    Directory(&'a str),
}

/// Writes names as given: a builder that checks them could not make hostile archives.
fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        let (name, kind, mode, target, bytes): (_, _, _, _, &[u8]) = match entry {
            Entry::File(name, mode, bytes) => (name, tar::EntryType::Regular, *mode, "", bytes),
            Entry::Link(name, target) => (name, tar::EntryType::Symlink, 0o777, *target, b""),
            Entry::HardLink(name, target) => (name, tar::EntryType::Link, 0o644, *target, b""),
            Entry::Fifo(name) => (name, tar::EntryType::Fifo, 0o644, "", b""),
            Entry::Directory(name) => (name, tar::EntryType::Directory, 0o755, "", b""),
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn import(bytes: &[u8], strip_components: usize) -> Result<Tree, ImportError> {
    let (dir, store) = setup();
    let path = dir.path().join("archive");
    fs::write(&path, bytes).unwrap();
    import_archive(&store, &path, strip_components, &NoProgress)
}

#[test]
fn directory_with_files_and_links_becomes_its_tree() {
    let (dir, store) = setup();
    let input = dir.path().join("in");
    fs::create_dir_all(input.join("a/empty")).unwrap();
    fs::write(input.join("a/run"), b"#!").unwrap();
    fs::set_permissions(input.join("a/run"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::hard_link(input.join("a/run"), input.join("a/same")).unwrap();
    symlink("run", input.join("a/link")).unwrap();
    let link = Node::Symlink { target: "run".to_owned() };
    let wanted = tree(&[
        ("a/empty", Node::Directory),
        ("a/link", link),
        ("a/run", file(0o755, b"#!")),
        ("a/same", file(0o755, b"#!")),
    ]);
    assert_eq!(import_dir(&store, &input, &NoProgress).unwrap(), wanted);
    assert_eq!(store.read(&crate::Digest::of(b"#!")).unwrap(), b"#!");
}

#[test]
fn directory_with_a_set_id_file_is_refused_by_name() {
    let (dir, store) = setup();
    let path = dir.path().join("in/su");
    fs::write(&path, b"").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
    let result = import_dir(&store, &dir.path().join("in"), &NoProgress);
    assert!(matches!(result, Err(ImportError::Kind { part, .. }) if part == "su"));
}

#[test]
fn directory_with_pipe_or_foreign_name_is_refused_by_name() {
    use std::os::unix::ffi::OsStrExt;
    let (dir, store) = setup();
    let input = dir.path().join("in");
    let pipe = input.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let result = import_dir(&store, &input, &NoProgress);
    assert!(matches!(result, Err(ImportError::Kind { part, what: "a named pipe" }) if part == "pipe"));
    fs::remove_file(pipe).unwrap();
    fs::write(input.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), b"").unwrap();
    let result = import_dir(&store, &input, &NoProgress);
    assert!(matches!(result, Err(ImportError::NameEncoding { .. })));
}

#[test]
fn directory_with_link_leading_out_is_refused() {
    let (dir, store) = setup();
    symlink("../secret", dir.path().join("in/link")).unwrap();
    let result = import_dir(&store, &dir.path().join("in"), &NoProgress);
    assert!(matches!(result, Err(ImportError::Tree(TreeError::LinkEscapes { .. }))));
}

#[test]
fn tar_in_every_compression_becomes_the_same_tree() {
    let plain = tar_of(&[
        Entry::File("./p/a", 0o644, b"hello"),
        Entry::HardLink("./p/b", "./p/a"),
        Entry::Link("./p/c", "a"),
    ]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&plain).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).unwrap();
    let zst = zstd::encode_all(&plain[..], 1).unwrap();
    let link = Node::Symlink { target: "a".to_owned() };
    let wanted = tree(&[("a", file(0o644, b"hello")), ("b", file(0o644, b"hello")), ("c", link)]);
    for bytes in [plain, gz.finish().unwrap(), xz.finish().unwrap(), zst] {
        assert_eq!(import(&bytes, 1).unwrap(), wanted);
    }
}

#[test]
fn archive_with_empty_directories_brings_them_along() {
    let entries = [
        Entry::Directory("./"),
        Entry::Directory("./p/"),
        Entry::Directory("./p/full/"),
        Entry::File("./p/full/a", 0o644, b"a"),
        Entry::Directory("./p/empty/"),
        Entry::Link("./p/link", "full"),
        Entry::Directory("./p/link/"),
    ];
    let link = Node::Symlink { target: "full".to_owned() };
    let wanted = tree(&[("empty", Node::Directory), ("full/a", file(0o644, b"a")), ("link", link)]);
    assert_eq!(import(&tar_of(&entries), 1).unwrap(), wanted);
    assert_eq!(import(&zip_of("p/empty/", 0o40_755, b""), 1).unwrap(), tree(&[("empty", Node::Directory)]));
    let both = [Entry::File("p/empty", 0o644, b""), Entry::Directory("p/empty/")];
    assert!(matches!(import(&tar_of(&both), 1), Err(ImportError::Twice { .. })));
}

#[test]
fn tar_with_what_cannot_be_serviced_is_refused_by_name() {
    let cases: &[(&[Entry<'_>], &str)] = &[
        (&[Entry::File("../a", 0o644, b"")], "../a"),
        (&[Entry::File("/etc/passwd", 0o644, b"")], "/etc/passwd"),
        (&[Entry::File("su", 0o4755, b"")], "su"),
        (&[Entry::Fifo("pipe")], "pipe"),
        (&[Entry::HardLink("h", "nothing")], "nothing"),
        (&[Entry::File("twice", 0o644, b"a"), Entry::File("twice", 0o644, b"b")], "twice"),
        (&[Entry::Link("out", "../..")], "out"),
        (&[Entry::Link("d", "e"), Entry::File("d/x", 0o644, b"")], "d/x"),
    ];
    for (entries, named) in cases {
        let error = import(&tar_of(entries), 0).unwrap_err();
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            text.push_str(&source.to_string());
        }
        assert!(text.contains(named), "{named}: {text}");
    }
}

#[test]
fn file_that_is_no_archive_is_refused() {
    assert!(matches!(import(b"hello", 0), Err(ImportError::UnknownArchive { .. })));
}

#[test]
fn tar_cut_short_is_refused() {
    let bytes = tar_of(&[Entry::File("a", 0o644, &[1; 4000])]);
    assert!(matches!(import(&bytes[..2000], 0), Err(ImportError::Read { .. })));
}

/// One member, deflated, made by Unix with the given mode.
fn zip_of(name: &str, mode: u32, bytes: &[u8]) -> Vec<u8> {
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    deflate.write_all(bytes).unwrap();
    let data = deflate.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    let le16 = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
    let le32 = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    let mut sizes = Vec::new();
    sizes.extend(crc.sum().to_le_bytes());
    sizes.extend(le32(data.len()));
    sizes.extend(le32(bytes.len()));
    let mut zip = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0".to_vec();
    zip.extend(&sizes);
    zip.extend(le16(name.len()));
    zip.extend([0, 0]);
    zip.extend(name.as_bytes());
    zip.extend(&data);
    let directory_offset = zip.len();
    zip.extend(b"PK\x01\x02\x14\x03\x14\0\0\0\x08\0\0\0\0\0");
    zip.extend(&sizes);
    zip.extend(le16(name.len()));
    zip.extend([0; 8]);
    zip.extend((mode << 16).to_le_bytes());
    zip.extend([0; 4]);
    zip.extend(name.as_bytes());
    let directory_bytes = zip.len() - directory_offset;
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend(le32(directory_bytes));
    zip.extend(le32(directory_offset));
    zip.extend([0, 0]);
    zip
}

#[test]
fn zip_becomes_its_tree() {
    let bytes = b"print(1)\n".repeat(100);
    let wanted = tree(&[("pkg/a.py", file(0o755, &bytes))]);
    assert_eq!(import(&zip_of("pkg/a.py", 0o100_755, &bytes), 0).unwrap(), wanted);
}

/// The same archive with every number that may be in its zip64 fields.
fn zip64_of(name: &str, mode: u32, bytes: &[u8]) -> Vec<u8> {
    let small = zip_of(name, mode, bytes);
    let directory = small.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let number = |at: usize| {
        u64::from(u32::from_le_bytes(small[directory + at..directory + at + 4].try_into().unwrap()))
    };
    let (packed, plain) = (number(20), number(24));
    let mut zip = small[..directory + 46 + name.len()].to_vec();
    zip[directory + 20..directory + 28].fill(0xff);
    zip[directory + 42..directory + 46].fill(0xff);
    zip[directory + 30..directory + 32].copy_from_slice(&(6 + 28_u16).to_le_bytes());
    // Another extra field first, as tools write them.
    zip.extend(b"UT\x02\0ab\x01\0\x18\0");
    [plain, packed, 0].iter().for_each(|number| zip.extend(number.to_le_bytes()));
    let end = zip.len();
    zip.extend(b"PK\x06\x06");
    zip.extend(44_u64.to_le_bytes());
    zip.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [1, 1, end - directory, directory] {
        zip.extend((number as u64).to_le_bytes());
    }
    zip.extend(b"PK\x06\x07\0\0\0\0");
    zip.extend((end as u64).to_le_bytes());
    zip.extend([1, 0, 0, 0]);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([0xff; 12]);
    zip.extend([0, 0]);
    zip
}

#[test]
fn zip64_becomes_its_tree() {
    let bytes = b"print(64)\n".repeat(100);
    let wanted = tree(&[("pkg/a.py", file(0o755, &bytes))]);
    let zip = zip64_of("pkg/a.py", 0o100_755, &bytes);
    assert_eq!(import(&zip, 0).unwrap(), wanted);
    for at in 0..zip.len() {
        // Whatever is damaged, it is refused or makes no difference.
        let mut damaged = zip.clone();
        damaged[at] ^= 0x11;
        if let Ok(made) = import(&damaged, 0)
            && let Some(Node::File { digest, .. }) = made.get("pkg/a.py")
        {
            assert_eq!(*digest, Digest::of(&bytes), "{at}");
        }
    }
}

#[test]
fn zip_that_is_damaged_or_hostile_is_refused() {
    assert!(matches!(import(&zip_of("../a", 0o100_644, b"x"), 0), Err(ImportError::Name { .. })));
    let mut wrong_crc = zip_of("a", 0o100_644, b"x");
    let directory = wrong_crc.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    wrong_crc[directory + 16] ^= 1;
    assert!(matches!(import(&wrong_crc, 0), Err(ImportError::DamagedArchive { .. })));
    let cut = zip_of("a", 0o100_644, b"x");
    assert!(matches!(import(&cut[..cut.len() - 30], 0), Err(ImportError::DamagedArchive { .. })));
}

#[test]
fn import_of_missing_path_names_it() {
    let (_dir, store) = setup();
    let error = import_dir(&store, Path::new("/nonexistent-tender"), &NoProgress).unwrap_err();
    assert!(error.to_string().contains("/nonexistent-tender"), "{error}");
}
