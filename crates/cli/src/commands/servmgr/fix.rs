//! The words of the smaller verbs: groups, holds, fixes, vendors, the store.

use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;
use tender_package::{FixId, LevelName, SystemName, Vrm};
use tender_service::envelope::VendorPublicKey;
use tender_service::shapes::{Hold as HoldShape, HoldClass};
use tender_service::system::Target;
use tender_service::verbs::{
    Embargo, EmbargoOn, FixQuery, GroupQuery, GroupSet, HoldAccept, HoldAdd, HoldQuery, HoldRelease,
    PrincipalRenew, ReleaseDelete, StoreGc, VendorQuery, VendorSet,
};
use tender_service::{Refusal, ServiceError, Verb};

/// Verbs on the principal itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Own {
    /// Revokes the certificate with which CSMWORK logs in to systems, and makes another: the old one is shut out
    #[command(after_help = "Example:\n  tender servmgr principal renew --reason 'a backup tape was stolen'")]
    Renew {
        /// Why
        #[arg(long)]
        reason: String,
    },
}

impl Own {
    pub(super) fn verb(self) -> Box<dyn Verb> {
        match self {
            Self::Renew { reason } => Box::new(PrincipalRenew { reason }),
        }
    }
}

/// Verbs on releases.
#[derive(Debug, Subcommand)]
pub(crate) enum Releases {
    /// Drops a release that no system is on, with its levels, envelopes and fixes
    #[command(after_help = "Example:\n  tender servmgr release delete 710 --force 'replaced by 720'")]
    Delete {
        /// The release
        vrm: Vrm,
        /// Delete although it has levels besides BASE, with the reason
        #[arg(long, value_name = "REASON")]
        force: Option<String>,
    },
}

impl Releases {
    pub(super) fn verb(self) -> Box<dyn Verb> {
        match self {
            Self::Delete { vrm, force } => Box::new(ReleaseDelete { vrm, force }),
        }
    }
}

/// Verbs on nicknames.
#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Sets the members of a nickname; none removes it
    #[command(after_help = "Example:\n  tender servmgr group set 720 east vm01 vm02")]
    Set {
        /// The release
        vrm: Vrm,
        /// The nickname
        nickname: SystemName,
        /// Its members in order
        members: Vec<SystemName>,
    },
    /// Shows the nicknames
    Query,
}

impl Group {
    pub(super) fn verb(self) -> Box<dyn Verb> {
        match self {
            Self::Set { vrm, nickname, members } => Box::new(GroupSet { vrm, nickname, members }),
            Self::Query => Box::new(GroupQuery),
        }
    }
}

/// Verbs on holds.
#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Holds a fix, and reports where it runs already
    #[command(
        after_help = "Example:\n  tender servmgr hold add 720 UM10001 error PM007 --resolved-by UM10020 --text 'loses entries'"
    )]
    Add {
        /// The release
        vrm: Vrm,
        /// The fix
        fix: FixId,
        /// error, action, user or category
        #[arg(value_parser = class)]
        class: HoldClass,
        /// The reason word: a problem record, RESTART, a category
        reason: String,
        /// The fix that cures it
        #[arg(long, value_name = "FIX")]
        resolved_by: Option<FixId>,
        /// What to know or do
        #[arg(long, default_value = "", hide_default_value = true)]
        text: String,
    },
    /// Accepts a hold for one level, with the reason
    #[command(
        after_help = "Examples:\n  tender servmgr hold accept 720 vm010802_BLD2 3 --reason 'we do not use that part'\n  tender servmgr hold accept 720 vm010802_BLD2 3 --system vm01 --until 2026-12-24T18:00Z --reason 'a test'"
    )]
    Accept {
        /// The release
        vrm: Vrm,
        /// The level
        level: LevelName,
        /// Number of the hold, as `hold query` shows it
        number: i64,
        /// Only on this system, or the systems of this group
        #[arg(long, value_name = "SYSTEM|GROUP|ALL")]
        system: Option<Target>,
        /// When the acceptance ends and the hold blocks again, such as 2026-12-24T18:00Z
        #[arg(long, value_parser = super::until)]
        until: Option<Timestamp>,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Takes a hold back
    #[command(after_help = "Example:\n  tender servmgr hold release 720 3")]
    Release {
        /// The release
        vrm: Vrm,
        /// Number of the hold
        number: i64,
    },
    /// Shows the holds of a release
    Query {
        /// The release
        vrm: Vrm,
    },
}

fn class(word: &str) -> Result<HoldClass, String> {
    match word.to_ascii_lowercase().as_str() {
        "error" => Ok(HoldClass::Error),
        "action" | "system" => Ok(HoldClass::Action),
        "user" => Ok(HoldClass::User),
        "category" => Ok(HoldClass::Category),
        _ => Err("it is error, action, user or category".to_owned()),
    }
}

impl Hold {
    pub(super) fn verb(self) -> Box<dyn Verb> {
        match self {
            Self::Add { vrm, fix, class, reason, resolved_by, text } => {
                Box::new(HoldAdd { vrm, fix, hold: HoldShape { class, reason, resolved_by, text } })
            }
            Self::Accept { vrm, level, number, system, until, reason } => {
                Box::new(HoldAccept { vrm, level, number, target: system, until, reason })
            }
            Self::Release { vrm, number } => Box::new(HoldRelease { vrm, number }),
            Self::Query { vrm } => Box::new(HoldQuery { vrm }),
        }
    }
}

/// Verbs on fixes.
#[derive(Debug, Subcommand)]
pub(crate) enum Fix {
    /// Shows which levels and systems have a fix, and which systems miss it
    #[command(after_help = "Example:\n  tender servmgr fix query 720 UM10001")]
    Query {
        /// The release
        vrm: Vrm,
        /// The fix
        fix: FixId,
    },
    /// Keeps every level with a fix from being sent anywhere for the time being, or lets them go again
    #[command(
        after_help = "Examples:\n  tender servmgr fix embargo 720 UM10001 on --reason 'under a court order'\n  \
        tender servmgr fix embargo 720 UM10001 off"
    )]
    Embargo {
        /// The release
        vrm: Vrm,
        /// The fix
        fix: FixId,
        /// ON or OFF
        #[arg(value_name = "ON|OFF", value_parser = super::on_or_off, action = clap::ArgAction::Set)]
        on: bool,
        /// Why; needed for ON
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
}

impl Fix {
    pub(super) fn verb(self) -> Box<dyn Verb> {
        match self {
            Self::Query { vrm, fix } => Box::new(FixQuery { vrm, fix }),
            Self::Embargo { vrm, fix, on, reason } => {
                Box::new(Embargo { vrm, what: EmbargoOn::Fix(fix), on, reason })
            }
        }
    }
}

/// Verbs on vendors.
#[derive(Debug, Subcommand)]
pub(crate) enum Vendor {
    /// Keeps a vendor's public key, or says that the vendor does not sign
    #[command(after_help = "Examples:\n  tender servmgr vendor set example --key vendor.key.pub\n  \
        tender servmgr vendor set smallshop --unsigned")]
    Set {
        /// The vendor, as its envelopes name it
        name: String,
        /// Its public key
        #[arg(long, value_name = "FILE", required_unless_present = "unsigned", conflicts_with = "unsigned")]
        key: Option<PathBuf>,
        /// It does not sign; anyone can then make envelopes in its name
        #[arg(long)]
        unsigned: bool,
    },
    /// Shows the vendors
    Query,
}

impl Vendor {
    pub(super) fn verb(self) -> Result<Box<dyn Verb>, ServiceError> {
        Ok(match self {
            Self::Set { name, key, unsigned } => {
                let key = key.map(|path| {
                    VendorPublicKey::load(&path).map_err(|fault| {
                        Refusal::new(41, fault.to_string()).hint("`tender envelope key FILE` makes one")
                    })
                });
                Box::new(VendorSet { name, key: key.transpose()?, is_unsigned: unsigned })
            }
            Self::Query => Box::new(VendorQuery),
        })
    }
}

/// Verbs on the object store.
#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Removes objects that nothing refers to, and what killed commands left
    #[command(after_help = "Example:\n  tender servmgr store gc --check")]
    Gc,
}

impl Store {
    pub(super) fn verb(self) -> Box<dyn Verb> {
        match self {
            Self::Gc => Box::new(StoreGc),
        }
    }
}
