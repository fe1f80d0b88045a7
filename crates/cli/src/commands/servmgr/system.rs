//! The words of `tender servmgr system …`.

use clap::{Args, Subcommand};
use tender_package::{ComponentName, FixId, LevelName, SystemName, Variant};
use tender_service::system::Target;

use super::Release;

/// Verbs on managed systems.
#[derive(Debug, Subcommand)]
pub(crate) enum System {
    /// Takes a system into service: issues its join token, then checks and registers it
    #[command(
        after_help = "Example:\n  tender servmgr system add 720 vm01 vm010102_bld1 nonesm hostname vm01.example.com \
        commtype ftp '(port' 4535 'require)'"
    )]
    Add(Add),
    /// Lets a system go
    #[command(after_help = "Example:\n  tender servmgr system delete 720 vm01")]
    Delete(Delete),
    /// Changes what is known of a system
    #[command(after_help = "Example:\n  tender servmgr system modify 720 vm01 hostname vm01.example.net")]
    Modify(Modify),
    /// Shows one system, a group, or all
    #[command(after_help = "Example:\n  tender servmgr system query 720 all")]
    Query(Query),
    /// Compares what systems have with what their level says
    #[command(after_help = "Example:\n  tender servmgr system servcheck 720 all")]
    Servcheck(Servcheck),
    /// Puts the stable level that is loaded into production
    #[command(
        name = "put2prod",
        after_help = "Example:\n  tender servmgr system put2prod 720 vm01 --acknowledge UM10010"
    )]
    Put2prod(Put2prod),
    /// Goes back to the level that was in production before
    #[command(after_help = "Example:\n  tender servmgr system fallback 720 vm01")]
    Fallback(Fallback),
    /// Takes the level that is loaded out of slot test
    #[command(after_help = "Example:\n  tender servmgr system unload 720 vm01")]
    Unload(Unload),
    /// Makes a level of what was changed on a system by hand
    #[command(
        after_help = "Examples:\n  tender servmgr system absorb 720 vm01 ledger into vm010802_FIX1\n  \
        tender servmgr system absorb 720 vm01 into vm010802_FIX1   (every component that differs)"
    )]
    Absorb(Absorb),
    /// Parts of one system that stay as they are, whatever level is loaded
    #[command(subcommand, alias = "EXCEPTION")]
    Exception(Exception),
    /// Shows the principal's copy of a system's audit log
    #[command(
        after_help = "Examples:\n  tender servmgr system audit 720 vm01\n  tender servmgr system audit 720 vm01 last 100"
    )]
    Audit(Audit),
}

#[derive(Debug, Args)]
pub(crate) struct Absorb {
    /// The release, such as 720
    #[arg(value_name = "VRM")]
    pub(crate) release: Release,
    /// The system
    pub(crate) system: SystemName,
    /// Which components; every one that differs when none is named
    #[arg(value_name = "COMPONENT")]
    pub(crate) components: Vec<ComponentName>,
    /// The level to make, based on the one the system runs
    #[arg(long, value_name = "SRVLVL")]
    pub(crate) into: LevelName,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// The release, such as 720
    #[arg(value_name = "VRM")]
    pub(crate) release: Release,
    /// The system
    pub(crate) system: SystemName,
    /// How many of the last records to show; 20 otherwise
    #[arg(long, value_name = "N")]
    pub(crate) last: Option<usize>,
    /// Put the copy aside and begin a new one, with the reason, after people looked at a log that was changed
    #[arg(long, value_name = "REASON")]
    pub(crate) renew: Option<String>,
}

/// Verbs on exceptions.
#[derive(Debug, Subcommand)]
pub(crate) enum Exception {
    /// Keeps parts that were changed on a system
    #[command(
        alias = "ADD",
        after_help = "Examples:\n  tender servmgr system exception add 720 vm01 ledger etc/ledger.ini reason other printer\n  \
        tender servmgr system exception add 720 vm01 ledger reason 'all that differs stays'"
    )]
    Add {
        #[command(flatten)]
        parts: Parts,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Keeps parts no longer: they count as changed by hand again until the next level takes their place
    #[command(
        alias = "DELETE",
        after_help = "Example:\n  tender servmgr system exception delete 720 vm01 ledger etc/ledger.ini"
    )]
    Delete {
        #[command(flatten)]
        parts: Parts,
    },
    /// Shows what systems keep
    #[command(alias = "QUERY", after_help = "Example:\n  tender servmgr system exception query 720 all")]
    Query {
        /// The release, such as 720
        #[arg(value_name = "VRM")]
        release: Release,
        /// A system, a group, or ALL
        #[arg(value_name = "SYSTEM|GROUP|ALL", default_value = "ALL")]
        target: Target,
    },
}

/// Parts of a component of one system.
#[derive(Debug, Args)]
pub(crate) struct Parts {
    /// The release, such as 720
    #[arg(value_name = "VRM")]
    pub(crate) release: Release,
    /// The system
    pub(crate) system: SystemName,
    /// The component
    pub(crate) component: ComponentName,
    /// Which parts; all when none is named
    #[arg(value_name = "PART")]
    pub(crate) parts: Vec<String>,
}

/// How to reach a system.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// Its host name or address
    #[arg(long, value_name = "HOST", alias = "ipaddress")]
    pub(crate) hostname: Option<String>,
    /// How it is reached; FTP is what there is
    #[arg(long, value_name = "FTP", value_parser = super::ftp)]
    pub(crate) commtype: Option<String>,
    /// Its control port
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Refuse connections without TLS (the default)
    #[arg(long, conflicts_with = "norequire")]
    pub(crate) require: bool,
    /// Allow clear text if the system allows it too
    #[arg(long)]
    pub(crate) norequire: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The release, such as 720
    #[arg(value_name = "VRM")]
    pub(crate) release: Release,
    /// The system
    pub(crate) system: SystemName,
    /// The level it runs
    #[arg(value_name = "SRVLVL")]
    pub(crate) level: LevelName,
    /// Its variant: ESM, NONESM or a word of yours
    #[arg(long, default_value = "NONESM")]
    pub(crate) variant: Variant,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// One system, a group, or ALL.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The release, such as 720
    #[arg(value_name = "VRM")]
    pub(crate) release: Release,
    /// A system, a group, or ALL
    #[arg(value_name = "SYSTEM|GROUP|ALL")]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) at: At,
    /// Delete although the system cannot be reached, with the reason
    #[arg(long, value_name = "REASON")]
    pub(crate) force: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Modify {
    /// The release, such as 720
    #[arg(value_name = "VRM")]
    pub(crate) release: Release,
    /// The system
    pub(crate) system: SystemName,
    /// The level it is said to run
    #[arg(long, value_name = "SRVLVL")]
    pub(crate) srvlvl: Option<LevelName>,
    /// Its variant
    #[arg(long)]
    pub(crate) variant: Option<Variant>,
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Change it without checking, with the reason
    #[arg(long, value_name = "REASON")]
    pub(crate) force: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The release, such as 720
    #[arg(value_name = "VRM")]
    pub(crate) release: Release,
    /// A system, a group, or ALL
    #[arg(value_name = "SYSTEM|GROUP|ALL", default_value = "ALL")]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Servcheck {
    #[command(flatten)]
    pub(crate) at: At,
    /// Hash every part again instead of trusting unchanged files
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Put2prod {
    #[command(flatten)]
    pub(crate) at: At,
    /// The level that must be loaded; whatever stable level is loaded when left out
    #[arg(value_name = "SRVLVL")]
    pub(crate) level: Option<LevelName>,
    /// Its generation
    #[arg(value_name = "GENERATION")]
    pub(crate) generation: Option<u32>,
    /// Fixes whose action items and memos were read and done; ALL for every one
    #[arg(long, value_name = "FIX|ALL")]
    pub(crate) acknowledge: Vec<FixId>,
    /// Go on although parts drifted, with the reason
    #[arg(long, value_name = "REASON")]
    pub(crate) force: Option<String>,
    /// How many systems at a time; one otherwise, so that a bad level stops early
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Fallback {
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct Unload {
    #[command(flatten)]
    pub(crate) at: At,
}
