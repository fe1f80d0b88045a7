//! The words of `tender servmgr srvlvl …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tender_package::{FixId, LevelName, SystemName, Variant};
use tender_service::system::Target;

use super::Release;

/// Verbs on service levels.
#[derive(Debug, Subcommand)]
pub(crate) enum Srvlvl {
    /// Defines a level based on BASE or on an earlier level
    #[command(
        after_help = "Example:\n  tender servmgr srvlvl add 720 vm010102_BLD1 basedon BASE nonesm desc Initial RSU"
    )]
    Add(Add),
    /// Removes a level that nothing refers to any more
    #[command(after_help = "Example:\n  tender servmgr srvlvl delete 720 vm010102_BLD1")]
    Delete(Delete),
    /// Installs envelopes in a level: receive, apply, build
    #[command(
        after_help = "Examples:\n  tender servmgr srvlvl service 720 vm010802_BLD2 all rsu0802.envelope\n  \
        tender servmgr srvlvl service 720 vm010802_BLD2 restart"
    )]
    Service(Service),
    /// Makes, changes or drops a local modification of one part
    #[command(
        after_help = "Examples:\n  tender servmgr srvlvl localmod 720 vm010802_BLD2 ledger --id L0001 \
        --replace etc/ledger.ini --from ledger.ini --reason 'our currency'\n  \
        tender servmgr srvlvl localmod 720 vm010802_BLD2 ledger --drop L0001"
    )]
    Localmod(Localmod),
    /// Makes the package: what differs from BASE, signed
    #[command(after_help = "Example:\n  tender servmgr srvlvl package 720 vm010802_BLD2")]
    Package(Package),
    /// Sets or lifts the update-control lock of a level
    #[command(after_help = "Example:\n  tender servmgr srvlvl setlock 720 vm010802_BLD2 on")]
    Setlock(Setlock),
    /// Sends a package to a system or a group, to be tested or as stable
    #[command(after_help = "Examples:\n  tender servmgr srvlvl send 720 vm010802_BLD2 vm01 '(test'\n  \
        tender servmgr srvlvl send 720 vm010802_BLD2 east '(stable'")]
    Send(Send),
    /// Shows a level, or all of a release
    #[command(after_help = "Examples:\n  tender servmgr srvlvl query 720 all\n  \
        tender servmgr srvlvl query 720 vm010802_BLD2 --system vm01")]
    Query(Query),
    /// Lays out a level, or one component of it, to look at
    #[command(after_help = "Example:\n  tender servmgr srvlvl vmfsetup 720 vm010802_BLD2 ledger")]
    Vmfsetup(Vmfsetup),
    /// Says how two levels differ: fixes, local modifications, parts
    #[command(after_help = "Example:\n  tender servmgr srvlvl compare 720 vm010102_BLD1 vm010802_BLD2")]
    Compare(Compare),
    /// Marks the package of a level stable: it may go into production, and the level is locked
    #[command(after_help = "Example:\n  tender servmgr srvlvl promote 720 vm010802_BLD2")]
    Promote(Promote),
    /// Stops a stable level from being sent or put in production anywhere else
    #[command(
        after_help = "Example:\n  tender servmgr srvlvl withdraw 720 vm010802_BLD2 --reason 'loses mail'"
    )]
    Withdraw(Withdraw),
    /// Keeps a level from being sent anywhere for the time being, or lets it go again
    #[command(
        after_help = "Examples:\n  tender servmgr srvlvl embargo 720 vm010802_BLD2 on reason wait for the audit\n  \
        tender servmgr srvlvl embargo 720 vm010802_BLD2 off"
    )]
    Embargo(Embargo),
}

#[derive(Debug, Args)]
pub(crate) struct Embargo {
    #[command(flatten)]
    pub(crate) at: Named,
    /// ON or OFF
    #[arg(value_name = "ON|OFF", value_parser = super::on_or_off, action = clap::ArgAction::Set)]
    pub(crate) on: bool,
    /// Why; needed for ON
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

/// A level of a release.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The release, such as 720; may be left out when one release has the level
    #[arg(value_name = "VRM")]
    pub(crate) release: Release,
    /// The level
    #[arg(value_name = "SRVLVL")]
    pub(crate) level: LevelName,
}

#[derive(Debug, Args)]
pub(crate) struct Package {
    #[command(flatten)]
    pub(crate) at: Named,
    /// Memory to stay within when servlinks are built, such as 512M or 2G
    #[arg(long, value_name = "SIZE", value_parser = super::bytes)]
    pub(crate) max_memory: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    pub(crate) at: Named,
    /// BASE, or the level whose content the new one starts with
    #[arg(long, value_name = "SRVLVL", default_value = "BASE")]
    pub(crate) basedon: LevelName,
    /// Systems must have the same variant: ESM, NONESM or a word of yours; that of the level it is based on otherwise
    #[arg(long)]
    pub(crate) variant: Option<Variant>,
    /// What the level is for
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) desc: String,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) at: Named,
    /// Delete although the level is locked, with the reason
    #[arg(long, value_name = "REASON")]
    pub(crate) force: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Service {
    #[command(flatten)]
    pub(crate) at: Named,
    /// ALL or one component
    #[arg(value_name = "ALL|COMPONENT", default_value = "ALL")]
    pub(crate) component: String,
    /// Envelopes: files, or names of envelopes received before
    #[arg(value_name = "ENVELOPE")]
    pub(crate) envelopes: Vec<PathBuf>,
    /// Install only these fixes and what they need
    #[arg(long, value_name = "FIX")]
    pub(crate) select: Vec<FixId>,
    /// Leave these fixes out
    #[arg(long, value_name = "FIX")]
    pub(crate) exclude: Vec<FixId>,
    /// Take these fixes off the excludes, and install them when they were received
    #[arg(long, value_name = "FIX")]
    pub(crate) include: Vec<FixId>,
    /// Resume after a failure or an interruption
    #[arg(long, conflicts_with_all = ["abandon", "status", "build"])]
    pub(crate) restart: bool,
    /// Give an interrupted SERVICE up and go back to the content before it
    #[arg(long, conflicts_with_all = ["status", "build"])]
    pub(crate) abandon: bool,
    /// Only build what is outstanding
    #[arg(long, conflicts_with = "status")]
    pub(crate) build: bool,
    /// Only show which fixes are on
    #[arg(long)]
    pub(crate) status: bool,
    /// Install fixes again that are on
    #[arg(long)]
    pub(crate) redo: bool,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("change").required(true).args(["replace", "patch", "add", "delete", "drop", "reviewed"])))]
pub(crate) struct Localmod {
    #[command(flatten)]
    pub(crate) at: Named,
    /// The component
    pub(crate) component: tender_package::ComponentName,
    /// Id of the local modification, such as L0001; the next free one when left out
    #[arg(long)]
    pub(crate) id: Option<FixId>,
    /// Replace this part with the file given by --from
    #[arg(long, value_name = "PART", requires = "from")]
    pub(crate) replace: Option<String>,
    /// Change this part with the patch (diff -u) given by --from
    #[arg(long, value_name = "PART", requires = "from")]
    pub(crate) patch: Option<String>,
    /// Add this part from the file given by --from
    #[arg(long, value_name = "PART", requires = "from")]
    pub(crate) add: Option<String>,
    /// Take this part away
    #[arg(long, value_name = "PART")]
    pub(crate) delete: Option<String>,
    /// Drop the local modification with this id
    #[arg(long, value_name = "ID")]
    pub(crate) drop: Option<FixId>,
    /// Note that the local modification with this id was looked at after it was merged
    #[arg(long, value_name = "ID")]
    pub(crate) reviewed: Option<FixId>,
    /// The file with the new content or the patch
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Fixes that contain the change, which then drop it
    #[arg(long, value_name = "FIX")]
    pub(crate) fixed_in: Vec<FixId>,
    /// Why the change is needed
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Setlock {
    #[command(flatten)]
    pub(crate) at: Named,
    /// ON or OFF
    #[arg(value_name = "ON|OFF", value_parser = super::on_or_off, action = clap::ArgAction::Set)]
    pub(crate) on: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) at: Named,
    /// A system, a group, or ALL
    #[arg(value_name = "SYSTEM|GROUP|ALL")]
    pub(crate) target: Target,
    /// Load it for a test (the default)
    #[arg(long, conflicts_with = "stable")]
    pub(crate) test: bool,
    /// Promote the level if needed and load it so that it may be put in production
    #[arg(long)]
    pub(crate) stable: bool,
    /// Fixes on the systems that may get lost
    #[arg(long, value_name = "FIX")]
    pub(crate) lose: Vec<FixId>,
    /// Make a new package first when the level changed since the last
    #[arg(long)]
    pub(crate) repack: bool,
    /// Memory to stay within when a new package is made, such as 512M or 2G
    #[arg(long, value_name = "SIZE", value_parser = super::bytes, requires = "repack")]
    pub(crate) max_memory: Option<u64>,
    /// Go on past drift, overrides and missing tests, with the reason
    #[arg(long, value_name = "REASON")]
    pub(crate) force: Option<String>,
    /// How many systems at a time; the setting `parallel_max` otherwise
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The release
    #[arg(value_name = "VRM")]
    pub(crate) release: Release,
    /// A level, or ALL
    #[arg(value_name = "SRVLVL|ALL", default_value = "ALL")]
    pub(crate) level: String,
    /// Show what the level would change on this system
    #[arg(long)]
    pub(crate) system: Option<SystemName>,
}

#[derive(Debug, Args)]
pub(crate) struct Vmfsetup {
    #[command(flatten)]
    pub(crate) at: Named,
    /// One component only
    pub(crate) component: Option<tender_package::ComponentName>,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    #[command(flatten)]
    pub(crate) at: Named,
    /// The other level
    #[arg(value_name = "SRVLVL2")]
    pub(crate) other: LevelName,
}

#[derive(Debug, Args)]
pub(crate) struct Promote {
    #[command(flatten)]
    pub(crate) at: Named,
    /// Promote although no system has tested this package, with the reason
    #[arg(long, value_name = "REASON")]
    pub(crate) force: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Withdraw {
    #[command(flatten)]
    pub(crate) at: Named,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
}
