//! Making envelopes from trees of components.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tender_content::durable::{DurableError, sync_directory};
use tender_content::import::{ImportError, import_dir};
use tender_content::{Digest, Node, ObjectStore, Progress, Tree};
use tender_package::{FixId, Vrm};

use super::{EnvelopeError, FORMAT, Limits, MAGIC, VendorKey, open, signed_bytes};
use crate::fix::{FixError, changes_between};
use crate::shapes::{Blob, EnvelopeHeader, EnvelopeKind, Fix, Hold};

/// zstd level: envelopes are made once and read often.
const LEVEL: i32 = 15;

/// Says why an envelope was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A tree could not be taken.
    #[error("taking {}", path.display())]
    Import {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: ImportError,
    },
    /// OLD and NEW are equal.
    #[error("fix {fix} changes nothing: both trees are equal")]
    NothingChanged {
        /// The fix.
        fix: FixId,
    },
    /// OLD and the changes do not make a tree.
    #[error("the parts of fix {fix} do not make a tree")]
    Tree {
        /// The fix.
        fix: FixId,
        /// Why.
        #[source]
        source: tender_content::tree::TreeError,
    },
    /// A fix is wrong.
    #[error("a fix is wrong")]
    Fix(#[source] FixError),
    /// There is no fix.
    #[error("an envelope needs at least one fix")]
    NoFix,
    /// A fix comes twice.
    #[error("fix {fix} comes twice")]
    FixTwice {
        /// The fix.
        fix: FixId,
    },
    /// The store failed.
    #[error("working store")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file could not be written.
    #[error("writing {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file could not be made durable.
    #[error("making {} durable", path.display())]
    Durable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DurableError,
    },
    /// One of the envelopes to join cannot be read.
    #[error("joining {}", path.display())]
    Join {
        /// The envelope.
        path: PathBuf,
        /// Why.
        #[source]
        source: EnvelopeError,
    },
}

/// One fix to be made: what leads from one directory to another.
#[derive(Debug, Clone)]
pub struct FixSource {
    /// The fix without its parts.
    pub fix: Fix,
    /// The component before; absent for a new component.
    pub from: Option<PathBuf>,
    /// The component afterwards.
    pub to: PathBuf,
    /// Whether `to` holds only new and changed parts, to be laid over `from`.
    pub is_overlay: bool,
}

/// What an envelope is, besides its fixes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name.
    pub name: String,
    /// RSU or COR.
    pub kind: EnvelopeKind,
    /// Who makes it.
    pub vendor: String,
    /// The release it is for.
    pub vrm: Option<Vrm>,
    /// What to read first.
    pub memo: Option<String>,
    /// Holds for fixes that came earlier.
    pub holds: Vec<(FixId, Hold)>,
}

/// Makes an envelope at `out`, signed when a key is given.
pub fn create(
    sources: Vec<FixSource>,
    options: &Options,
    key: Option<&VendorKey>,
    out: &Path,
    progress: &dyn Progress,
) -> Result<EnvelopeHeader, CreateError> {
    let (store, _work) = working_store(out)?;
    let mut fixes = Vec::new();
    for source in sources {
        fixes.push(fix_of(&store, source, progress)?);
    }
    write(&store, fixes, options, key, out, progress)
}

/// Makes one envelope of several, such as an RSU of the fixes of all components; their memos and holds come along.
pub fn join(
    envelopes: &[PathBuf],
    options: &Options,
    key: Option<&VendorKey>,
    out: &Path,
    progress: &dyn Progress,
) -> Result<EnvelopeHeader, CreateError> {
    let (store, _work) = working_store(out)?;
    let mut options = options.clone();
    let mut memos: Vec<String> = options.memo.take().into_iter().collect();
    let mut fixes = Vec::new();
    for path in envelopes {
        let wrap = |source| CreateError::Join { path: path.clone(), source };
        let envelope = open(path, &Limits::default()).map_err(wrap)?;
        let header = envelope.receive(&store, progress).map_err(wrap)?;
        fixes.extend(header.fixes);
        options.holds.extend(header.holds);
        memos.extend(header.memo);
    }
    options.memo = (!memos.is_empty()).then(|| memos.join("\n"));
    write(&store, fixes, &options, key, out, progress)
}

fn working_store(out: &Path) -> Result<(ObjectStore, tempfile::TempDir), CreateError> {
    let above = directory_of(out);
    let work = tempfile::Builder::new()
        .prefix(".envelope-")
        .tempdir_in(above)
        .map_err(|source| CreateError::Write { path: above.to_owned(), source })?;
    let store = ObjectStore::open(work.path()).map_err(|error| CreateError::Store(Box::new(error)))?;
    Ok((store, work))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn fix_of(store: &ObjectStore, source: FixSource, progress: &dyn Progress) -> Result<Fix, CreateError> {
    let import = |path: &PathBuf| {
        import_dir(store, path, progress).map_err(|source| CreateError::Import { path: path.clone(), source })
    };
    let from = source.from.as_ref().map(import).transpose()?.unwrap_or_default();
    let mut to = import(&source.to)?;
    let mut fix = source.fix;
    if source.is_overlay {
        let mut nodes = from.clone().into_nodes();
        nodes.extend(to.into_nodes());
        to = Tree::from_nodes(nodes).map_err(|source| CreateError::Tree { fix: fix.id.clone(), source })?;
    }
    fix.parts = changes_between(&from, &to);
    if fix.parts.is_empty() {
        return Err(CreateError::NothingChanged { fix: fix.id });
    }
    fix.validate().map_err(CreateError::Fix)?;
    Ok(fix)
}

/// Lists the contents that the fixes bring, each once, in a fixed order.
fn blobs_of(fixes: &[Fix]) -> Vec<Blob> {
    let mut blobs: BTreeMap<(&str, &str), Blob> = BTreeMap::new();
    let mut seen: HashSet<Digest> = HashSet::new();
    for fix in fixes {
        for part in &fix.parts {
            if let Some(Node::File { size, digest, .. }) = &part.becomes
                && seen.insert(*digest)
            {
                let blob = Blob { digest: *digest, size: *size };
                // Parts of like names lie side by side, which compresses best.
                blobs.insert((part.path.as_str(), fix.id.as_str()), blob);
            }
        }
    }
    blobs.into_values().collect()
}

fn write(
    store: &ObjectStore,
    fixes: Vec<Fix>,
    options: &Options,
    key: Option<&VendorKey>,
    out: &Path,
    progress: &dyn Progress,
) -> Result<EnvelopeHeader, CreateError> {
    if fixes.is_empty() {
        return Err(CreateError::NoFix);
    }
    let mut seen = HashSet::new();
    if let Some(fix) = fixes.iter().find(|fix| !seen.insert(&fix.id)) {
        return Err(CreateError::FixTwice { fix: fix.id.clone() });
    }
    let header = EnvelopeHeader {
        format: FORMAT,
        name: options.name.to_ascii_uppercase(),
        kind: options.kind,
        vendor: options.vendor.clone(),
        vrm: options.vrm.clone(),
        blobs: blobs_of(&fixes),
        fixes,
        holds: options.holds.clone(),
        memo: options.memo.clone(),
    };
    let io = |source| CreateError::Write { path: out.to_owned(), source };
    let above = directory_of(out);
    let mut file = tempfile::Builder::new().prefix(".envelope-").tempfile_in(above).map_err(io)?;
    write_to(store, &header, key, file.as_file_mut(), progress).map_err(|error| match error {
        WriteError::Io(source) => io(source),
        WriteError::Store(source) => CreateError::Store(source),
    })?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(out).map_err(|error| io(error.error))?;
    sync_directory(above).map_err(|source| CreateError::Durable { path: above.to_owned(), source })?;
    Ok(header)
}

enum WriteError {
    Io(std::io::Error),
    Store(Box<dyn std::error::Error + Send + Sync>),
}

impl From<std::io::Error> for WriteError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

fn write_to(
    store: &ObjectStore,
    header: &EnvelopeHeader,
    key: Option<&VendorKey>,
    file: &mut std::fs::File,
    progress: &dyn Progress,
) -> Result<(), WriteError> {
    let text = serde_json::to_vec(header).expect("a header has only text keys");
    let digest = Digest::of(&text);
    let signature = key.map(|key| key.sign(&signed_bytes(&digest))).unwrap_or_default();
    let mut out = BufWriter::new(file);
    out.write_all(MAGIC)?;
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)?;
    out.write_all(digest.as_bytes())?;
    out.write_all(&[u8::try_from(signature.len()).expect("an Ed25519 signature has 64 bytes")])?;
    out.write_all(&signature)?;
    progress.begin("packing parts", header.blobs.iter().map(|blob| blob.size).sum());
    let mut stream = zstd::Encoder::new(out, LEVEL)?;
    for blob in &header.blobs {
        let bytes = store.map(&blob.digest).map_err(|error| WriteError::Store(Box::new(error)))?;
        stream.write_all(&bytes)?;
        progress.advance(blob.size);
    }
    stream.finish()?.flush()?;
    progress.end();
    Ok(())
}
