//! A store, trees made of literal parts, and servlinks between them.

use std::path::PathBuf;

use tender_content::servlink::{ApplyError, ApplyLimits, BuildOptions, ServlinkSummary, apply, build};
use tender_content::{NoProgress, Node, ObjectStore, PartPath, Tree};

pub(crate) struct Setup {
    pub(crate) dir: tempfile::TempDir,
    /// Has the objects of every tree.
    pub(crate) store: ObjectStore,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(&dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn tree(&self, parts: &[(&str, Vec<u8>)]) -> Tree {
        let nodes = parts.iter().map(|(path, bytes)| {
            let digest = self.store.put_bytes(bytes).unwrap();
            let mode = if path.ends_with(".so") { 0o755 } else { 0o644 };
            (PartPath::new(*path).unwrap(), Node::File { mode, size: bytes.len() as u64, digest })
        });
        Tree::from_nodes(nodes.collect()).unwrap()
    }

    pub(crate) fn build(&self, from: &Tree, to: &Tree) -> ServlinkSummary {
        self.build_with(from, to, &BuildOptions::default())
    }

    pub(crate) fn build_with(&self, from: &Tree, to: &Tree, options: &BuildOptions) -> ServlinkSummary {
        build(from, to, &self.store, &self.at("servlink"), options, &NoProgress).unwrap()
    }

    /// Applies the servlink last built with a store that has only what `from` needs.
    pub(crate) fn apply(&self, from: &Tree) -> Result<(Tree, ObjectStore), ApplyError> {
        self.apply_limited(from, &ApplyLimits::default())
    }

    pub(crate) fn apply_limited(
        &self,
        from: &Tree,
        limits: &ApplyLimits,
    ) -> Result<(Tree, ObjectStore), ApplyError> {
        let receiver = tempfile::Builder::new().prefix("receiver").tempdir_in(self.dir.path()).unwrap();
        let receiver = ObjectStore::open(&receiver.keep()).unwrap();
        for digest in from.iter().filter_map(|(_, node)| node.digest()) {
            receiver.put_bytes(&self.store.read(&digest).unwrap()).unwrap();
        }
        let tree = apply(&self.at("servlink"), from, &receiver, limits, &NoProgress)?;
        Ok((tree, receiver))
    }
}

/// Bytes that do not compress and are the same for the same seed.
pub(crate) fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    bytes.take(count).collect()
}

/// Something like a program: an ELF magic, code-like bytes, some of them changed by `version`.
pub(crate) fn program(version: u64, count: usize) -> Vec<u8> {
    let mut bytes = noise(7, count);
    bytes[..4].copy_from_slice(b"\x7fELF");
    for at in (100..count).step_by(997) {
        bytes[at] = bytes[at].wrapping_add(u8::try_from(version % 251).unwrap());
    }
    bytes
}

pub(crate) fn text(version: u64, lines: u64) -> Vec<u8> {
    let line = |n: u64| {
        let marker = if n % 97 == version % 97 { version } else { 0 };
        format!("line {n} of {} is {marker}\n", n.wrapping_mul(n))
    };
    (0..lines).map(line).collect::<String>().into_bytes()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
