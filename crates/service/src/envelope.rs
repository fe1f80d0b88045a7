//! Envelopes: files with fixes, made by vendors and sites.
//!
//! ```text
//! "tender-envelope-1\n"
//! length of the header        8 bytes, little-endian
//! header                      JSON, an EnvelopeHeader
//! BLAKE3 of the header        32 bytes
//! length of the signature     1 byte: 0 or 64
//! signature                   Ed25519 over "tender-envelope-1\n" and the digest of the header
//! blobs                       one zstd stream, in the order of the header; ends with the file
//! ```
//!
//! The header names the digest and size of every blob, so checking the header checks everything. A reader believes no
//! length before it compared it with a limit, and no byte before it compared its digest.

mod create;
mod keys;
mod read;

use tender_content::{Digest, PartPath};
use tender_package::{FixId, ReturnCode};

pub use create::{CreateError, FixSource, Options, create, join};
pub use keys::{KeyError, VendorKey, VendorPublicKey};
pub use read::{Envelope, open};

use crate::fix::FixError;

/// What an envelope begins with.
const MAGIC: &[u8] = b"tender-envelope-1\n";

/// Version of the header.
pub const FORMAT: u32 = 1;

/// Limits a reader holds an envelope to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest header.
    pub header_bytes: u64,
    /// Largest part.
    pub part_bytes: u64,
    /// All parts together.
    pub total_bytes: u64,
    /// Most fixes.
    pub fixes: usize,
    /// Most changed parts.
    pub parts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            header_bytes: GIB / 4,
            part_bytes: 8 * GIB,
            total_bytes: 256 * GIB,
            fixes: 100_000,
            parts: 5_000_000,
        }
    }
}

/// Says why an envelope is refused.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[source] std::io::Error),
    /// It is something else.
    #[error("it is not an envelope")]
    NotAnEnvelope,
    /// It ends too early.
    #[error("it ends inside {place}")]
    Truncated {
        /// Where.
        place: String,
    },
    /// Something in it is larger than allowed.
    #[error("{what} has {found}; at most {limit} are allowed")]
    TooLarge {
        /// What.
        what: String,
        /// How large it says it is.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The header was changed or damaged.
    #[error("its header was changed or damaged")]
    HeaderDamaged,
    /// The header has a wrong shape.
    #[error("its header cannot be understood")]
    HeaderShape(#[source] serde_json::Error),
    /// A newer Tender made it.
    #[error("it has format {found}; this Tender reads format {FORMAT}")]
    Newer {
        /// Its format.
        found: u32,
    },
    /// A fix in it is wrong.
    #[error("it holds a wrong fix")]
    Fix(#[source] FixError),
    /// A fix is in it twice.
    #[error("it holds fix {fix} twice")]
    FixTwice {
        /// The fix.
        fix: FixId,
    },
    /// A part has no contents in it, or others than it says.
    #[error("part `{path}` of fix {fix}: its contents {fault}")]
    Part {
        /// The fix.
        fix: FixId,
        /// The part.
        path: PartPath,
        /// What is wrong.
        fault: &'static str,
    },
    /// A blob belongs to no part.
    #[error("contents {} belong to no part", digest.short())]
    StrayBlob {
        /// Its digest.
        digest: Digest,
    },
    /// Something follows its end.
    #[error("something follows its last part")]
    Trailing,
    /// It is not signed, and its vendor should sign.
    #[error("it is not signed by vendor {vendor}")]
    NotSigned {
        /// The vendor.
        vendor: String,
    },
    /// The vendor is not known here.
    #[error("vendor {vendor} is not known here")]
    UnknownVendor {
        /// The vendor.
        vendor: String,
    },
    /// The signature is wrong.
    #[error("its signature is not that of vendor {vendor}")]
    WrongSignature {
        /// The vendor.
        vendor: String,
    },
    /// It is for another release.
    #[error("it is for release {found}")]
    OtherRelease {
        /// That release.
        found: tender_package::Vrm,
    },
    /// A fix of this id was received before and was another one.
    #[error("fix {fix} was received before with other contents")]
    FixDiffers {
        /// The fix.
        fix: FixId,
    },
    /// An envelope of this name was received before and was another one.
    #[error("another envelope named {name} was received before")]
    NameTaken {
        /// Its name.
        name: String,
    },
    /// A part could not be kept.
    #[error("part `{path}` cannot be kept")]
    Store {
        /// The part.
        path: PartPath,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl EnvelopeError {
    /// Returns the return code this becomes.
    #[must_use]
    pub fn code(&self) -> ReturnCode {
        match self {
            Self::Io(source) if source.kind() == std::io::ErrorKind::NotFound => ReturnCode::Unknown,
            Self::Io(_) | Self::Store { .. } => ReturnCode::Outside,
            Self::NotSigned { .. }
            | Self::UnknownVendor { .. }
            | Self::OtherRelease { .. }
            | Self::NameTaken { .. }
            | Self::Newer { .. } => ReturnCode::Refused,
            _ => ReturnCode::Integrity,
        }
    }

    /// Says how to go on.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotSigned { vendor } => {
                Some(format!("ask for a signed one, or say `tender servmgr vendor set {vendor} --unsigned`"))
            }
            Self::UnknownVendor { vendor } => Some(format!(
                "tender servmgr vendor set {vendor} --key FILE, or --unsigned when it does not sign"
            )),
            Self::Io(_) | Self::Store { .. } => None,
            Self::OtherRelease { found } => Some(format!("use it for a level of release {found}")),
            Self::Newer { .. } => Some("use the newer Tender".to_owned()),
            Self::NameTaken { .. } => {
                Some("ask the vendor for an envelope with a name of its own".to_owned())
            }
            _ => Some("get the envelope again from where it came from".to_owned()),
        }
    }
}

/// Returns the bytes a vendor signs.
fn signed_bytes(header_digest: &Digest) -> Vec<u8> {
    [MAGIC, header_digest.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
