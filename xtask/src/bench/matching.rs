//! Which old file a new file comes from, for tools that compare one file with one file.
//!
//! The tools themselves know nothing of renamed files. So that they are measured at their best, a new path is matched
//! with a path that went away when both are alike after numbers and hexadecimal hashes are masked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// What differs between two trees, paths relative to them.
#[derive(Debug, Default)]
pub(crate) struct Matching {
    /// Old path and new path of files with other bytes.
    pub(crate) changed: Vec<(PathBuf, PathBuf)>,
    /// New files and links without a counterpart.
    pub(crate) added: Vec<PathBuf>,
    /// Bytes of the new tree.
    pub(crate) new_bytes: u64,
    /// Files of the new tree.
    pub(crate) new_files: u64,
}

impl Matching {
    /// Compares two trees.
    pub(crate) fn of(old: &Path, new: &Path) -> Result<Self, Failure> {
        let (old_files, new_files) = (list(old)?, list(new)?);
        let mut gone: BTreeMap<String, Vec<&PathBuf>> = BTreeMap::new();
        for (path, _) in old_files.iter().filter(|(path, _)| !new_files.contains_key(*path)) {
            gone.entry(masked(path)).or_default().push(path);
        }
        let mut matching = Self::default();
        for (path, is_link) in &new_files {
            if !is_link {
                matching.new_files += 1;
                matching.new_bytes +=
                    fs::metadata(new.join(path)).map_err(Failure::file("read", path))?.len();
            }
            let from = if old_files.contains_key(path) {
                Some(path)
            } else {
                gone.get_mut(&masked(path)).and_then(Vec::pop)
            };
            match from {
                Some(from) if *is_link || old_files[from] => {
                    let is_same = from == path
                        && fs::read_link(old.join(from)).ok() == fs::read_link(new.join(path)).ok();
                    if !is_same {
                        matching.added.push(path.clone());
                    }
                }
                Some(from) if !is_equal(&old.join(from), &new.join(path))? => {
                    matching.changed.push((from.clone(), path.clone()));
                }
                Some(_) => {}
                None => matching.added.push(path.clone()),
            }
        }
        Ok(matching)
    }
}

/// Lists files and links below a directory; the value says whether it is a link.
fn list(root: &Path) -> Result<BTreeMap<PathBuf, bool>, Failure> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).map_err(Failure::file("read", &dir))? {
            let entry = entry.map_err(Failure::file("read", &dir))?;
            let kind = entry.file_type().map_err(Failure::file("read", &dir))?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else {
                let path = entry.path();
                let relative = path.strip_prefix(root).expect("it was found below the root").to_owned();
                found.insert(relative, kind.is_symlink());
            }
        }
    }
    Ok(found)
}

/// Says whether two files hold the same bytes.
pub(crate) fn is_equal(a: &Path, b: &Path) -> Result<bool, Failure> {
    let open = |path: &Path| File::open(path).map_err(Failure::file("read", path));
    let (one, other) = (open(a)?, open(b)?);
    let length = |file: &File| file.metadata().map(|metadata| metadata.len());
    if length(&one).map_err(Failure::file("read", a))? != length(&other).map_err(Failure::file("read", b))? {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    let (mut left, mut right) = ([0; 4096], [0; 4096]);
    loop {
        let length = one.read(&mut left).map_err(Failure::file("read", a))?;
        if length == 0 {
            return Ok(true);
        }
        other.read_exact(&mut right[..length]).map_err(Failure::file("read", b))?;
        if left[..length] != right[..length] {
            return Ok(false);
        }
    }
}

/// Replaces numbers and hexadecimal hashes by one sign.
fn masked(path: &Path) -> String {
    let text = path.to_string_lossy();
    let mut masked = String::new();
    let mut rest = text.as_ref();
    while let Some(first) = rest.chars().next() {
        let hex = rest.len()
            - rest.trim_start_matches(|c: char| c.is_ascii_digit() || ('a'..='f').contains(&c)).len();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let length = if hex >= 8 { hex } else { digits };
        if length > 0 {
            masked.push('#');
            rest = &rest[length..];
        } else {
            masked.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_paths_with_other_versions_and_hashes_are_alike() {
        let alike = |a: &str, b: &str| masked(Path::new(a)) == masked(Path::new(b));
        assert!(alike("uv-0.13.7.dist-info/RECORD", "uv-0.13.8.dist-info/RECORD"));
        assert!(alike("libopenblas-0cf96a72.so", "libopenblas-8fb3d286.so"));
        assert!(!alike("lib/a.so", "lib/b.so"));
    }

    #[test]
    fn matching_of_two_trees_finds_changed_renamed_and_added_files() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        for (path, text) in [("same", "s"), ("changed", "1"), ("lib-1.0.so", "x"), ("gone", "g")] {
            fs::create_dir_all(&old).unwrap();
            fs::write(old.join(path), text).unwrap();
        }
        for (path, text) in [("same", "s"), ("changed", "2"), ("lib-1.1.so", "y"), ("added", "a")] {
            fs::create_dir_all(&new).unwrap();
            fs::write(new.join(path), text).unwrap();
        }
        let matching = Matching::of(&old, &new).unwrap();
        let pair = |a: &str, b: &str| (PathBuf::from(a), PathBuf::from(b));
        assert_eq!(matching.changed, [pair("changed", "changed"), pair("lib-1.0.so", "lib-1.1.so")]);
        assert_eq!(matching.added, [PathBuf::from("added")]);
        assert_eq!((matching.new_files, matching.new_bytes), (4, 4));
    }
}
