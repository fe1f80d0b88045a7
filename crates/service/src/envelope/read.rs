//! Reading envelopes, hostile ones included.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use tender_content::{Digest, Node, ObjectStore, PartPath, Progress};
use tender_package::FixId;

use super::{EnvelopeError, FORMAT, Limits, MAGIC, VendorPublicKey, signed_bytes};
use crate::shapes::{Blob, EnvelopeHeader};

/// Memory a zstd stream may ask for.
const WINDOW_LOG_MAX: u32 = 27;

/// An opened envelope: its header is checked, its parts are not read yet.
#[derive(Debug)]
pub struct Envelope {
    /// What it holds.
    pub header: EnvelopeHeader,
    /// Digest of the header, which names everything else.
    pub digest: Digest,
    signature: Vec<u8>,
    rest: BufReader<File>,
}

/// Opens an envelope and checks its header against the limits.
pub fn open(path: &Path, limits: &Limits) -> Result<Envelope, EnvelopeError> {
    let mut rest = BufReader::new(File::open(path).map_err(EnvelopeError::Io)?);
    let mut magic = [0; MAGIC.len()];
    match rest.read_exact(&mut magic) {
        Ok(()) if magic == MAGIC => {}
        Ok(()) => return Err(EnvelopeError::NotAnEnvelope),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(EnvelopeError::NotAnEnvelope);
        }
        Err(error) => return Err(EnvelopeError::Io(error)),
    }
    let length = u64::from_le_bytes(read_array(&mut rest, "its header")?);
    if length > limits.header_bytes {
        let limit = limits.header_bytes;
        return Err(EnvelopeError::TooLarge { what: "its header".into(), found: length, limit });
    }
    let mut text = Vec::new();
    rest.by_ref().take(length).read_to_end(&mut text).map_err(EnvelopeError::Io)?;
    if text.len() as u64 != length {
        return Err(EnvelopeError::Truncated { place: "its header".into() });
    }
    let digest = Digest::from_bytes(read_array(&mut rest, "its header")?);
    if Digest::of(&text) != digest {
        return Err(EnvelopeError::HeaderDamaged);
    }
    let [signature_bytes] = read_array::<1>(&mut rest, "its signature")?;
    let signature = match signature_bytes {
        0 => Vec::new(),
        64 => read_array::<64>(&mut rest, "its signature")?.to_vec(),
        _ => return Err(EnvelopeError::HeaderDamaged),
    };
    let header = parse_header(&text, limits)?;
    Ok(Envelope { header, digest, signature, rest })
}

fn read_array<const N: usize>(reader: &mut impl Read, place: &str) -> Result<[u8; N], EnvelopeError> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => EnvelopeError::Truncated { place: place.to_owned() },
        _ => EnvelopeError::Io(error),
    })?;
    Ok(bytes)
}

fn parse_header(text: &[u8], limits: &Limits) -> Result<EnvelopeHeader, EnvelopeError> {
    #[derive(serde::Deserialize)]
    struct OnlyFormat {
        format: u32,
    }
    // A newer header may have a shape that is not known here: its number is read first.
    let format = serde_json::from_slice::<OnlyFormat>(text).map_err(EnvelopeError::HeaderShape)?.format;
    if format > FORMAT {
        return Err(EnvelopeError::Newer { found: format });
    }
    let header: EnvelopeHeader = serde_json::from_slice(text).map_err(EnvelopeError::HeaderShape)?;
    check_limits(&header, limits)?;
    let mut seen = HashSet::new();
    for fix in &header.fixes {
        fix.validate().map_err(EnvelopeError::Fix)?;
        if !seen.insert(&fix.id) {
            return Err(EnvelopeError::FixTwice { fix: fix.id.clone() });
        }
    }
    check_blobs(&header)?;
    Ok(header)
}

fn check_limits(header: &EnvelopeHeader, limits: &Limits) -> Result<(), EnvelopeError> {
    let check = |what: String, found: u64, limit: u64| {
        if found > limit { Err(EnvelopeError::TooLarge { what, found, limit }) } else { Ok(()) }
    };
    check("its list of fixes".into(), header.fixes.len() as u64, limits.fixes as u64)?;
    let parts: usize = header.fixes.iter().map(|fix| fix.parts.len()).sum();
    check("its list of parts".into(), parts as u64, limits.parts as u64)?;
    let mut total = 0_u64;
    for fix in &header.fixes {
        for part in &fix.parts {
            let size = part.becomes.as_ref().map_or(0, Node::size);
            check(format!("part `{}` of fix {}", part.path, fix.id), size, limits.part_bytes)?;
        }
    }
    for blob in &header.blobs {
        total = total.saturating_add(blob.size);
    }
    check("all its parts together".into(), total, limits.total_bytes)
}

/// Checks that blobs and parts belong to each other: every file has its contents, once, of the size it says.
fn check_blobs(header: &EnvelopeHeader) -> Result<(), EnvelopeError> {
    let mut sizes: HashMap<Digest, u64> = HashMap::new();
    for blob in &header.blobs {
        if sizes.insert(blob.digest, blob.size).is_some() {
            return Err(EnvelopeError::StrayBlob { digest: blob.digest });
        }
    }
    let mut used = HashSet::new();
    for fix in &header.fixes {
        for part in &fix.parts {
            let Some(Node::File { size, digest, .. }) = &part.becomes else { continue };
            let fault = match sizes.get(digest) {
                None => "are missing",
                Some(found) if found != size => "have another size than it says",
                Some(_) => {
                    used.insert(*digest);
                    continue;
                }
            };
            return Err(EnvelopeError::Part { fix: fix.id.clone(), path: part.path.clone(), fault });
        }
    }
    match header.blobs.iter().find(|blob| !used.contains(&blob.digest)) {
        Some(stray) => Err(EnvelopeError::StrayBlob { digest: stray.digest }),
        None => Ok(()),
    }
}

impl Envelope {
    /// Tells whether it has a signature; whose is another question.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        !self.signature.is_empty()
    }

    /// Checks the signature.
    pub fn verify_signature(&self, key: &VendorPublicKey) -> Result<(), EnvelopeError> {
        let vendor = || self.header.vendor.clone();
        if !self.is_signed() {
            return Err(EnvelopeError::NotSigned { vendor: vendor() });
        }
        if key.verifies(&signed_bytes(&self.digest), &self.signature) {
            Ok(())
        } else {
            Err(EnvelopeError::WrongSignature { vendor: vendor() })
        }
    }

    /// Reads every part into a store and returns the header; a part is kept only when its digest is right.
    pub fn receive(
        self,
        store: &ObjectStore,
        progress: &dyn Progress,
    ) -> Result<EnvelopeHeader, EnvelopeError> {
        self.read_parts(progress, &mut |blob, owner, reader| {
            let (digest, size) = store
                .put_reader(reader)
                .map_err(|source| EnvelopeError::Store { path: owner.1.clone(), source: Box::new(source) })?;
            Ok(digest == blob.digest && size == blob.size)
        })
    }

    /// Reads and checks every part without keeping any.
    pub fn verify_parts(self, progress: &dyn Progress) -> Result<EnvelopeHeader, EnvelopeError> {
        self.read_parts(progress, &mut |blob, _, reader| {
            let mut hasher = HashingReader { bytes: 0, digest: None };
            hasher.read_all(reader)?;
            Ok(hasher.digest == Some(blob.digest) && hasher.bytes == blob.size)
        })
    }

    fn read_parts(
        self,
        progress: &dyn Progress,
        keep: &mut KeepPart<'_>,
    ) -> Result<EnvelopeHeader, EnvelopeError> {
        let owners = owners(&self.header);
        let mut stream = zstd::Decoder::with_buffer(self.rest).map_err(EnvelopeError::Io)?;
        stream.window_log_max(WINDOW_LOG_MAX).map_err(EnvelopeError::Io)?;
        let mut stream = stream.single_frame();
        progress.begin("reading parts", self.header.blobs.iter().map(|blob| blob.size).sum());
        for blob in &self.header.blobs {
            let owner = &owners[&blob.digest];
            let fault = |fault| EnvelopeError::Part { fix: owner.0.clone(), path: owner.1.clone(), fault };
            let mut part = PartReader { stream: &mut stream, left: blob.size, failed: false };
            let is_right = keep(blob, owner, &mut part);
            if part.failed {
                return Err(fault("cannot be unpacked"));
            }
            if !is_right? {
                return Err(fault("were changed or damaged"));
            }
            progress.advance(blob.size);
        }
        let mut byte = [0];
        let is_over = matches!(stream.read(&mut byte), Ok(0));
        let mut rest = stream.finish();
        let is_end = is_over && matches!(rest.read(&mut byte), Ok(0));
        progress.end();
        if is_end { Ok(self.header) } else { Err(EnvelopeError::Trailing) }
    }
}

type Owner = (FixId, PartPath);
type KeepPart<'a> = dyn FnMut(&Blob, &Owner, &mut dyn Read) -> Result<bool, EnvelopeError> + 'a;

/// Names, for every blob, the first part that needs it.
fn owners(header: &EnvelopeHeader) -> HashMap<Digest, Owner> {
    let mut owners = HashMap::new();
    for fix in &header.fixes {
        for part in &fix.parts {
            if let Some(digest) = part.becomes.as_ref().and_then(Node::digest) {
                owners.entry(digest).or_insert_with(|| (fix.id.clone(), part.path.clone()));
            }
        }
    }
    owners
}

/// Reads one part's bytes and no more, and remembers whether the stream itself failed.
struct PartReader<'s, R: Read> {
    stream: &'s mut R,
    left: u64,
    failed: bool,
}

impl<R: Read> Read for PartReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        match self.stream.read(&mut buffer[..most]) {
            Ok(0) | Err(_) => {
                self.failed = true;
                Err(std::io::ErrorKind::UnexpectedEof.into())
            }
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
        }
    }
}

struct HashingReader {
    bytes: u64,
    digest: Option<Digest>,
}

impl HashingReader {
    fn read_all(&mut self, reader: &mut dyn Read) -> Result<(), EnvelopeError> {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    self.bytes += count as u64;
                }
                // The caller sees that the stream failed and says so.
                Err(_) => return Ok(()),
            }
        }
        self.digest = Some(hasher.finalize().into());
        Ok(())
    }
}
