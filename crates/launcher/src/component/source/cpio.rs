//! The cpio formats that `pax -w` writes besides tar: `odc` (octal text) and `newc` (hexadecimal text).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tender_content::tree::Node;
use tender_content::{ObjectStore, PartPath, Tree};

use super::{SourceError, at};

const END: &str = "TRAILER!!!";
const KIND: u64 = 0o170_000;

/// Says whether a file that begins so is one.
pub(super) fn is_magic(head: &[u8]) -> bool {
    matches!(head, b"070707" | b"070701" | b"070702")
}

/// Stores the files of an archive and returns their tree.
pub(super) fn read(path: &Path, store: &ObjectStore) -> Result<Tree, SourceError> {
    let bytes = fs::read(path).map_err(at("read", path))?;
    let damaged = |reason: String| SourceError::Damaged { path: path.to_owned(), reason };
    let mut rest = Reader { bytes: &bytes, position: 0 };
    let mut nodes = BTreeMap::new();
    while let Some(entry) = rest.entry().map_err(damaged)? {
        let name = entry.name.strip_prefix("./").unwrap_or(&entry.name);
        if entry.mode & KIND == 0o040_000 || matches!(name, "" | ".") {
            continue;
        }
        let part = PartPath::new(name).map_err(|error| damaged(format!("`{name}`: {error}")))?;
        let node = match entry.mode & KIND {
            0o100_000 => {
                let failed = |source| SourceError::Store { path: path.to_owned(), source };
                let digest = store.put_bytes(entry.data).map_err(failed)?;
                let mode = u32::try_from(entry.mode & 0o777).expect("nine bits fit");
                Node::File { mode, size: entry.data.len() as u64, digest }
            }
            0o120_000 => {
                let target = std::str::from_utf8(entry.data).map_err(|_| damaged(format!("link `{name}` is no text")))?;
                Node::Symlink { target: target.to_owned() }
            }
            _ => return Err(damaged(format!("`{name}` is neither file, directory nor link"))),
        };
        nodes.insert(part, node);
    }
    Tree::from_nodes(nodes).map_err(|source| SourceError::Tree { path: path.to_owned(), source })
}

struct Entry<'b> {
    name: String,
    mode: u64,
    data: &'b [u8],
}

struct Reader<'b> {
    bytes: &'b [u8],
    position: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: u64) -> Result<&'b [u8], String> {
        let count = usize::try_from(count).map_err(|_| "a length is too large".to_owned())?;
        let end = self.position.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| "it is cut short".to_owned())?;
        let taken = &self.bytes[self.position..end];
        self.position = end;
        Ok(taken)
    }

    fn number(&mut self, digits: u64, radix: u32) -> Result<u64, String> {
        let text = std::str::from_utf8(self.take(digits)?).map_err(|_| "a header is no text".to_owned())?;
        u64::from_str_radix(text, radix).map_err(|_| format!("`{text}` is no number"))
    }

    /// Skips to the next multiple of four, as `newc` does after names and data.
    fn align(&mut self, is_newc: bool) -> Result<(), String> {
        let gap = if is_newc { self.position.next_multiple_of(4) - self.position } else { 0 };
        self.take(gap as u64).map(drop)
    }

    /// Reads the next entry; `None` is the end of the archive.
    fn entry(&mut self) -> Result<Option<Entry<'b>>, String> {
        let magic = self.take(6)?;
        if !is_magic(magic) {
            return Err("an entry has no header".to_owned());
        }
        let is_newc = magic != b"070707";
        let (mode, name_bytes, size) = if is_newc {
            let fields = (0..13).map(|_| self.number(8, 16)).collect::<Result<Vec<_>, _>>()?;
            (fields[1], fields[11], fields[6])
        } else {
            let front = [6, 6, 6, 6, 6, 6, 6, 11, 6, 11];
            let fields = front.iter().map(|digits| self.number(*digits, 8)).collect::<Result<Vec<_>, _>>()?;
            (fields[2], fields[8], fields[9])
        };
        let name = self.take(name_bytes)?;
        let name = name.strip_suffix(b"\0").ok_or_else(|| "a name has no end".to_owned())?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| "a name is not UTF-8".to_owned())?;
        self.align(is_newc)?;
        let data = self.take(size)?;
        self.align(is_newc)?;
        Ok((name != END).then_some(Entry { name, mode, data }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut archive = b"070707".to_vec();
            archive.extend(bytes);
            let mut reader = Reader { bytes: &archive, position: 0 };
            while let Ok(Some(_)) = reader.entry() {}
        }
    }
}
