//! Where a component comes from: a directory, or an archive (tar, gzip, xz, zstd, zip, pax).
//!
//! Reading goes through the importers of `tender-content`, which refuse what leads out of the component, devices and
//! set-id bits. A pax archive is a tar (read like one) or a cpio archive (read here). `.Z` needs the program `gzip`.

mod cpio;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tender_content::store::StoreError;
use tender_content::tree::{Node, TreeError};
use tender_content::{
    ImportError, NoProgress, ObjectStore, PartPath, Tree, durable, import_archive, import_dir,
};

const MANIFESTS: &[&str] = &["manifest.yaml", "manifest.yml", "manifest.json"];

/// Says why a component could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is nothing at the path.
    #[error("`{}` is not there", path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// The directory or archive cannot be taken over.
    #[error("read the component in `{}`", path.display())]
    Import {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: ImportError,
    },
    /// A pax (cpio) archive is damaged.
    #[error("archive `{}` is damaged: {reason}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A program that is needed is not installed or failed.
    #[error("`{}` needs the program `{program}`: {reason}", path.display())]
    Program {
        /// The archive.
        path: PathBuf,
        /// Which program.
        program: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no manifest in it.
    #[error("`{}` has no manifest.yaml, manifest.yml or manifest.json", path.display())]
    NoManifest {
        /// Which.
        path: PathBuf,
    },
    /// The parts are not a tree.
    #[error("the parts in `{}` do not fit together", path.display())]
    Tree {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: TreeError,
    },
    /// Objects cannot be kept while it is read.
    #[error("keep the parts of `{}`", path.display())]
    Store {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The checksum is another one.
    #[error("`{}` has SHA-256 {found}, not {expected}", path.display())]
    Checksum {
        /// Which.
        path: PathBuf,
        /// What was asked for.
        expected: String,
        /// What it has.
        found: String,
    },
    /// A file could not be written.
    #[error("{step} `{}`", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn at(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SourceError {
    let path = path.to_owned();
    move |source| SourceError::Io { step, path, source }
}

/// Makes `dest`, which must not exist, a copy of the component in `source`; `work` is for intermediate files and must
/// lie on the same file system.
///
/// The copy is writable by its owner, as an extension is, and durable when this returns.
pub fn copy(source: &Path, work: &Path, dest: &Path) -> Result<(), SourceError> {
    let store_dir = work.join("objects");
    let failed = |error| SourceError::Store { path: source.to_owned(), source: error };
    let store = ObjectStore::open(&store_dir).map_err(failed)?;
    let tree = component_tree(read(source, &store, work)?, source)?;
    write_tree(&store, &tree, dest)?;
    durable::sync_filesystem(dest).map_err(|error| at("flush", dest)(io::Error::other(error)))?;
    fs::remove_dir_all(&store_dir).map_err(at("remove", &store_dir))
}

fn read(source: &Path, store: &ObjectStore, work: &Path) -> Result<Tree, SourceError> {
    let import = |error| SourceError::Import { path: source.to_owned(), source: error };
    let metadata = fs::metadata(source).map_err(|_| SourceError::Missing { path: source.to_owned() })?;
    if metadata.is_dir() {
        return import_dir(store, source, &NoProgress).map_err(import);
    }
    let mut head = [0; 6];
    let mut file = File::open(source).map_err(at("read", source))?;
    let known = io::Read::read(&mut file, &mut head).map_err(at("read", source))?;
    match &head[..known] {
        [0x1f, 0x9d, ..] => read(&uncompressed(source, work)?, store, work),
        magic if cpio::is_magic(magic) => cpio::read(source, store),
        _ => import_archive(store, source, 0, &NoProgress).map_err(import),
    }
}

/// Undoes `compress`: `gzip` reads its files too.
fn uncompressed(source: &Path, work: &Path) -> Result<PathBuf, SourceError> {
    let target = work.join("uncompressed");
    let output = File::create(&target).map_err(at("create", &target))?;
    let program = |reason: String| SourceError::Program { path: source.to_owned(), program: "gzip", reason };
    let mut command = Command::new("gzip");
    let ended = command.arg("-dc").arg("--").arg(source).stdin(Stdio::null()).stdout(output).output();
    let ended = ended.map_err(|error| program(error.to_string()))?;
    if ended.status.success() {
        Ok(target)
    } else {
        Err(program(String::from_utf8_lossy(&ended.stderr).trim().to_owned()))
    }
}

/// Takes the component out of an archive that holds it in one directory.
fn component_tree(tree: Tree, source: &Path) -> Result<Tree, SourceError> {
    if MANIFESTS.iter().any(|name| tree.get(name).is_some()) {
        return Ok(tree);
    }
    let top =
        tree.iter().next().and_then(|(path, _)| path.as_str().split_once('/')).map(|(top, _)| top.to_owned());
    let no_manifest = || SourceError::NoManifest { path: source.to_owned() };
    let prefix = format!("{}/", top.ok_or_else(no_manifest)?);
    let has_manifest = MANIFESTS.iter().any(|name| tree.get(&format!("{prefix}{name}")).is_some());
    if !has_manifest || !tree.iter().all(|(path, _)| path.as_str().starts_with(&prefix)) {
        return Err(no_manifest());
    }
    let nodes = tree.into_nodes().into_iter().map(|(path, node)| {
        let inner = path.as_str()[prefix.len()..].to_owned();
        (PartPath::new(inner).expect("the rest of a part path is a part path"), node)
    });
    Tree::from_nodes(nodes.collect())
        .map_err(|error| SourceError::Tree { path: source.to_owned(), source: error })
}

fn write_tree(store: &ObjectStore, tree: &Tree, dest: &Path) -> Result<(), SourceError> {
    let directory = |path: &Path| {
        DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(at("create directory", path))
    };
    directory(dest)?;
    for (part, node) in tree.iter() {
        let path = part.below(dest);
        directory(path.parent().expect("a part lies in a directory"))?;
        match node {
            Node::Directory => directory(&path)?,
            Node::Symlink { target } => symlink(target, &path).map_err(at("make link", &path))?,
            Node::File { mode, digest, .. } => {
                let mut options = OpenOptions::new();
                let mut file = options
                    .write(true)
                    .create_new(true)
                    .mode(mode | 0o600)
                    .open(&path)
                    .map_err(at("create", &path))?;
                let mut object = File::open(store.object_path(digest)).map_err(at("read", &path))?;
                io::copy(&mut object, &mut file).map_err(at("write", &path))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
