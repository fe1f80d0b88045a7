//! A tar or zip archive made into a tree.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use tar::EntryType;

use super::zip::import_zip;
use super::{ImportError, permission_bits};
use crate::path::PartPath;
use crate::progress::Progress;
use crate::store::{ObjectStore, StoreError};
use crate::tree::{Node, Tree};

const BUFFER_BYTES: usize = 256 * 1024;
/// Enough to see the magic of a plain tar, which stands at 257.
const SNIFF_BYTES: usize = 512;

/// Stores the files of an archive and returns their tree.
///
/// The kind (tar, plain or compressed with gzip, xz or zstd; zip and so wheels and jars) is read from the content,
/// not from the name. `strip_components` leading names are taken off every path, as `tar --strip-components` does.
pub fn import_archive(
    store: &ObjectStore,
    archive: &Path,
    strip_components: usize,
    progress: &dyn Progress,
) -> Result<Tree, ImportError> {
    let failed = |source| ImportError::Read { path: archive.to_owned(), source };
    let mut file = File::open(archive).map_err(failed)?;
    let total_bytes = file.metadata().map_err(failed)?.len();
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    (&mut file).take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(failed)?;
    let mut collector = Collector { store, strip_components, nodes: BTreeMap::new() };
    progress.begin("reading archive", total_bytes);
    let collected = if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        import_zip(&mut file, archive, &mut collector, progress)
    } else {
        let counted = Counted { inner: io::Cursor::new(&head).chain(file), progress };
        match tar_stream(&head, BufReader::with_capacity(BUFFER_BYTES, counted)) {
            Ok(Some(stream)) => import_tar(stream, archive, &mut collector),
            Ok(None) => Err(ImportError::UnknownArchive { path: archive.to_owned() }),
            Err(source) => Err(failed(source)),
        }
    };
    progress.end();
    collected?;
    Tree::from_nodes(collector.nodes).map_err(ImportError::Tree)
}

fn tar_stream<'r>(head: &[u8], raw: impl io::BufRead + 'r) -> io::Result<Option<Box<dyn Read + 'r>>> {
    Ok(if head.starts_with(&[0x1f, 0x8b]) {
        Some(Box::new(flate2::bufread::MultiGzDecoder::new(raw)))
    } else if head.starts_with(b"\xfd7zXZ\0") {
        Some(Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(raw)))
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
        decoder.window_log_max(31)?;
        Some(Box::new(decoder))
    } else if head.get(257..262) == Some(b"ustar") || head.iter().all(|byte| *byte == 0) {
        Some(Box::new(raw))
    } else {
        None
    })
}

fn import_tar(
    stream: Box<dyn Read + '_>,
    archive: &Path,
    into: &mut Collector<'_>,
) -> Result<(), ImportError> {
    let failed = |source| ImportError::Read { path: archive.to_owned(), source };
    let mut tar = tar::Archive::new(stream);
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let kind = entry.header().entry_type();
        let raw_path = entry.path_bytes().into_owned();
        let mode = entry.header().mode().map_err(failed)?;
        let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        let Some(part) = into.part_path(&raw_path)? else { continue };
        let node = match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                // Old archives write a directory as a file whose name ends in a slash.
                if raw_path.ends_with(b"/") {
                    Node::Directory
                } else {
                    into.file(&part, mode & 0o7777, &mut entry, archive)?
                }
            }
            EntryType::Symlink => {
                let target = String::from_utf8(target.unwrap_or_default());
                let target = target.map_err(|_| ImportError::NameEncoding { part: part.to_string() })?;
                Node::Symlink { target }
            }
            EntryType::Link => into.hard_link(&part, &target.unwrap_or_default())?,
            EntryType::Directory => Node::Directory,
            EntryType::XGlobalHeader => continue,
            EntryType::Fifo => return Err(refused(&part, "a named pipe")),
            EntryType::Char | EntryType::Block => return Err(refused(&part, "a device")),
            _ => return Err(refused(&part, "an entry of an unknown kind")),
        };
        into.insert(part, node)?;
    }
    Ok(())
}

fn refused(part: &PartPath, what: &'static str) -> ImportError {
    ImportError::Kind { part: part.to_string(), what }
}

/// Collects the parts of an archive.
pub(super) struct Collector<'s> {
    store: &'s ObjectStore,
    strip_components: usize,
    nodes: BTreeMap<PartPath, Node>,
}

impl Collector<'_> {
    /// Returns the part an entry names; `None` when nothing is left of its path.
    pub(super) fn part_path(&self, raw: &[u8]) -> Result<Option<PartPath>, ImportError> {
        let Ok(text) = std::str::from_utf8(raw) else {
            return Err(ImportError::NameEncoding { part: String::from_utf8_lossy(raw).into_owned() });
        };
        if text.starts_with('/') {
            let source = PartPath::new(text).expect_err("an absolute path is no part path");
            return Err(ImportError::Name { part: text.to_owned(), source });
        }
        let names = text.split('/').filter(|name| !matches!(*name, "" | "."));
        let path = names.skip(self.strip_components).collect::<Vec<_>>().join("/");
        if path.is_empty() {
            return Ok(None);
        }
        let part = text.to_owned();
        PartPath::new(path).map(Some).map_err(|source| ImportError::Name { part, source })
    }

    /// Stores the bytes of a file.
    pub(super) fn file(
        &self,
        part: &PartPath,
        mode: u32,
        bytes: &mut dyn Read,
        archive: &Path,
    ) -> Result<Node, ImportError> {
        let mode = permission_bits(mode, part)?;
        let (digest, size) = self.store.put_reader(bytes).map_err(|error| match error {
            StoreError::Source { source, .. } => ImportError::Read { path: archive.to_owned(), source },
            source => ImportError::Store { part: part.clone(), source },
        })?;
        Ok(Node::File { mode, size, digest })
    }

    fn hard_link(&self, part: &PartPath, target: &[u8]) -> Result<Node, ImportError> {
        let original = self.part_path(target)?.and_then(|target| self.nodes.get(&target));
        original.cloned().ok_or_else(|| ImportError::HardLink {
            part: part.clone(),
            target: String::from_utf8_lossy(target).into_owned(),
        })
    }

    /// Adds a part; the same part again is one part, another one of the name is refused.
    pub(super) fn insert(&mut self, part: PartPath, node: Node) -> Result<(), ImportError> {
        match self.nodes.get(&part) {
            // A link may stand for a directory that the archive names too, as `tar` itself would make of it.
            Some(Node::Symlink { .. }) if node == Node::Directory => Ok(()),
            Some(before) if *before != node => Err(ImportError::Twice { part }),
            _ => {
                self.nodes.insert(part, node);
                Ok(())
            }
        }
    }
}

/// Reports what is read of the archive file.
struct Counted<'p, R> {
    inner: R,
    progress: &'p dyn Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}
