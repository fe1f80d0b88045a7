//! Every shape of the principal that is stored or travels in an envelope.
//!
//! They stand together because changing one changes tables and envelopes that exist already.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_content::{Digest, Node, PartPath};
use tender_package::report::AuditHead;
use tender_package::{ComponentName, FixId, LevelName, SystemName, Variant, Vrm};

/// A numbered set of part changes to one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fix {
    /// Its id, unique in a release.
    pub id: FixId,
    /// The component it changes.
    pub component: ComponentName,
    /// What it is about.
    #[serde(default)]
    pub description: String,
    /// Problem records it closes.
    #[serde(default)]
    pub problems: Vec<String>,
    /// What it needs.
    #[serde(default)]
    pub requisites: Vec<Requisite>,
    /// Older fixes it contains.
    #[serde(default)]
    pub supersedes: Vec<FixId>,
    /// Holds that came with it.
    #[serde(default)]
    pub holds: Vec<Hold>,
    /// What people must read before it goes into production.
    #[serde(default)]
    pub memo: Option<String>,
    /// Categories it belongs to.
    #[serde(default)]
    pub categories: Vec<String>,
    /// The parts it changes.
    #[serde(default)]
    pub parts: Vec<PartChange>,
}

/// What a fix needs; fix ids are unique in a release, so the other fix may belong to any component.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Requisite {
    /// Must be on before.
    Pre {
        /// The other fix.
        fix: FixId,
    },
    /// Must go on together.
    Co {
        /// The other fix.
        fix: FixId,
    },
    /// Must be on when the condition holds.
    If {
        /// The component that must be in the level.
        #[serde(default)]
        component: Option<ComponentName>,
        /// The fix that must be on; `on` of older descriptions is a truth value to YAML.
        #[serde(default, alias = "on")]
        when: Option<FixId>,
        /// The fix needed then.
        fix: FixId,
    },
    /// Must not be on.
    Npre {
        /// The other fix.
        fix: FixId,
    },
    /// Must be in production on other systems before this fix goes into production.
    Fleet {
        /// The other fix.
        fix: FixId,
        /// Only systems that have this component count.
        #[serde(default)]
        component: Option<ComponentName>,
        /// Only these systems and groups count; all of the release when none is named.
        #[serde(default)]
        systems: Vec<SystemName>,
    },
}

/// One part a fix changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartChange {
    /// The part.
    pub path: PartPath,
    /// What it was before, when it existed.
    pub was: Option<Node>,
    /// What it becomes; absent when it is deleted.
    pub becomes: Option<Node>,
}

/// Why a hold exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldClass {
    /// The fix is in error.
    Error,
    /// People must do something when the fix goes on.
    Action,
    /// The site decided so.
    User,
    /// A category, such as a piece of hardware, needs another fix with this one.
    Category,
}

impl HoldClass {
    /// Returns the word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Action => "action",
            Self::User => "user",
            Self::Category => "category",
        }
    }
}

/// Keeps a fix from going on, or asks for something when it does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Why.
    pub class: HoldClass,
    /// Reason word, such as a problem record, `RESTART`, or a category.
    pub reason: String,
    /// The fix that cures it.
    #[serde(default)]
    pub resolved_by: Option<FixId>,
    /// What to know or do.
    #[serde(default)]
    pub text: String,
}

/// How a local modification changes a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalModKind {
    /// The customer's part stands in place of the vendor's.
    Replace,
    /// The customer's changes are laid over the vendor's part.
    Patch,
    /// A part the vendor does not have.
    Add,
    /// The vendor's part is left out.
    Delete,
}

/// How a local modification stands after the last service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalModState {
    /// Written against, or unaffected by, the vendor's part as it is.
    Carried,
    /// Merged with a changed vendor part; people should look at it.
    Review,
}

/// The customer's own change to a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalMod {
    /// Its id, such as `L0001`.
    pub id: FixId,
    /// The component.
    pub component: ComponentName,
    /// The part.
    pub path: PartPath,
    /// How it changes the part.
    pub kind: LocalModKind,
    /// The vendor's part it was written against.
    pub base: Option<Node>,
    /// What it makes of the part; absent for DELETE.
    pub body: Option<Node>,
    /// Fixes that bring the same; when one is on, the modification is dropped.
    #[serde(default)]
    pub fixed_in: Vec<FixId>,
    /// Why it exists.
    pub reason: String,
    /// Who made it.
    pub owner: String,
    /// How it stands.
    pub state: LocalModState,
    /// How often it was merged or reworked.
    #[serde(default)]
    pub rework_count: u32,
}

/// What an envelope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EnvelopeKind {
    /// A recommended set.
    Rsu,
    /// Named fixes.
    Cor,
}

/// The header of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeHeader {
    /// Version of the format.
    pub format: u32,
    /// Name, such as `RSU0801`.
    pub name: String,
    /// What it is.
    pub kind: EnvelopeKind,
    /// Who made it.
    pub vendor: String,
    /// The release it is for; absent fits any.
    pub vrm: Option<Vrm>,
    /// The fixes.
    pub fixes: Vec<Fix>,
    /// Holds for fixes that came earlier, with the fix they hold.
    #[serde(default)]
    pub holds: Vec<(FixId, Hold)>,
    /// What to read first.
    #[serde(default)]
    pub memo: Option<String>,
    /// The contents of parts, in the order of the stream.
    pub blobs: Vec<Blob>,
}

/// The contents of a part in an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// Digest of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// The rows of a level that make its content.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelContent {
    /// Fixes on, in order.
    pub fixes: Vec<LevelFix>,
    /// Fixes left out on purpose.
    pub excluded: Vec<FixId>,
    /// Local modifications, in order of their ids.
    pub mods: Vec<LocalMod>,
    /// The components.
    pub components: Vec<LevelComponent>,
}

/// A fix in a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelFix {
    /// The fix.
    pub id: FixId,
    /// Its component.
    pub component: ComponentName,
    /// The envelope it came from.
    pub envelope: String,
    /// The fix that contains it.
    pub superseded_by: Option<FixId>,
}

/// A component in a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelComponent {
    /// The component.
    pub name: ComponentName,
    /// Vendor parts and local modifications, before the build.
    pub source: Digest,
    /// What runs: the source after the build.
    pub tree: Digest,
    /// Components with the same word restart together.
    pub restart: String,
}

/// What an interrupted operation on a level needs to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The verb.
    pub verb: String,
    /// What was typed, so that the same command resumes.
    pub command: String,
    /// When it began.
    pub began: Timestamp,
    /// The content to reach; the trees of components are filled in as they are composed and built. The level itself
    /// keeps its old content until the end.
    pub after: LevelContent,
    /// Components whose parts must be put together, and then their objects built.
    pub dirty: Vec<ComponentName>,
    /// Local modifications that people must rework first.
    pub conflicts: Vec<FixId>,
}

/// How far a level is with a system (specification 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PairState {
    /// Nothing of it is there.
    None,
    /// Files are on their way.
    Sending,
    /// They did not arrive.
    SendFailed,
    /// They are there.
    Received,
    /// The system refused them.
    Rejected,
    /// The system is loading.
    Loading,
    /// It did not finish.
    LoadFailed,
    /// In slot `test`, for testing only.
    LoadedTest,
    /// In slot `test`, ready for production.
    LoadedStable,
    /// Going into production.
    Promoting,
    /// It did not get there.
    PromoteFailed,
    /// In slot `current`.
    Prod,
    /// In slot `previous`.
    Previous,
}

impl PairState {
    /// Returns the word kept in the tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Sending => "SENDING",
            Self::SendFailed => "SEND_FAILED",
            Self::Received => "RECEIVED",
            Self::Rejected => "REJECTED",
            Self::Loading => "LOADING",
            Self::LoadFailed => "LOAD_FAILED",
            Self::LoadedTest => "LOADED_TEST",
            Self::LoadedStable => "LOADED_STABLE",
            Self::Promoting => "PROMOTING",
            Self::PromoteFailed => "PROMOTE_FAILED",
            Self::Prod => "PROD",
            Self::Previous => "PREVIOUS",
        }
    }
}

/// What an audit record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub operator: String,
    /// The verb and its operands.
    pub command: String,
    /// The release, when it concerns one.
    pub vrm: Option<Vrm>,
    /// How it ended.
    pub code: u8,
    /// What it said.
    pub messages: Vec<String>,
}

/// How far the principal's copy of a system's audit log goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditCopy {
    /// Where the log ends, as far as it is copied.
    pub end: AuditHead,
    /// Bytes of the copy that count.
    pub bytes: u64,
    /// Why the log there does not go on where the copy ends; nothing is copied then until people have looked.
    pub fault: Option<String>,
}

/// Connection and standing of a managed system, as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemRecord {
    /// Its name.
    pub name: SystemName,
    /// Its release.
    pub vrm: Vrm,
    /// Its variant.
    pub variant: Variant,
    /// Host name or address.
    pub host: String,
    /// Control port.
    pub port: u16,
    /// Kind of connection.
    pub commtype: String,
    /// Whether clear text is refused.
    pub is_tls_required: bool,
    /// The level it is said to run.
    pub asserted: LevelName,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn condition_is_read_from_yaml_and_from_older_json() {
        let when = |read: Requisite| match read {
            Requisite::If { when, .. } => when.unwrap().to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(when(serde_saphyr::from_str("{ kind: if, when: UM1, fix: UM2 }").unwrap()), "UM1");
        let json = r#"{"kind":"if","component":null,"on":"UM1","fix":"UM2"}"#;
        assert_eq!(when(serde_json::from_str(json).unwrap()), "UM1");
    }
}
