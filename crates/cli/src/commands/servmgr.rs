//! `tender servmgr …`: the words of SERVMGR, made into verbs of the principal.

mod fix;
mod release;
mod srvlvl;
mod srvlvl_verbs;
mod system;
mod system_verbs;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Subcommand;
use jiff::Timestamp;
use tender_package::{ComponentName, Outcome, Vrm};
use tender_service::{Context, Mode, Patience, Principal, ServiceError, Verb, perform};

use super::{Shell, agent};
use crate::error::CommandError;
use crate::fleet::FtpsFleet;
use crate::media::Media;

/// A release as typed: three digits, or left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Release {
    /// This one.
    Named(Vrm),
    /// The only one that has the named level.
    Omitted,
}

impl FromStr for Release {
    type Err = tender_package::name::NameError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if word == tender_service::grammar::RELEASE_OMITTED {
            Ok(Self::Omitted)
        } else {
            Vrm::new(word).map(Self::Named)
        }
    }
}

/// Reads ON or OFF.
fn on_or_off(word: &str) -> Result<bool, String> {
    match word.to_ascii_uppercase().as_str() {
        "ON" => Ok(true),
        "OFF" => Ok(false),
        _ => Err("it is ON or OFF".to_owned()),
    }
}

/// Reads a size such as `512M`, `2G` or a number of bytes.
fn bytes(word: &str) -> Result<u64, String> {
    let wrong = || "a size is needed, such as 512M or 2G".to_owned();
    let number = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match word[number.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Reads a time with its zone.
fn until(word: &str) -> Result<Timestamp, String> {
    word.parse().map_err(|_| "a time with its zone is needed, such as 2026-12-24T18:00Z".to_owned())
}

/// Reads the only communication type there is.
fn ftp(word: &str) -> Result<String, String> {
    if word.eq_ignore_ascii_case("FTP") {
        Ok("FTP".to_owned())
    } else {
        Err("FTP is the only communication type".to_owned())
    }
}

/// The verbs of SERVMGR.
#[derive(Debug, Subcommand)]
pub(crate) enum Servmgr {
    /// Takes in the BASE of a release from its install media
    #[command(
        after_help = "Example:\n  tender servmgr initialize 720 --from /media/720\n  tender servmgr initialize 720 --from product-720.tar.zst"
    )]
    Initialize {
        /// The release, such as 720
        vrm: Vrm,
        /// The install media: a directory or an archive with one directory for each component; principal/media/VRM below the home when left out
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
    },
    /// The principal's own certificate
    #[command(subcommand, name = "principal")]
    Own(fix::Own),
    /// Releases as a whole
    #[command(subcommand, name = "release")]
    Releases(fix::Releases),
    /// Service levels
    #[command(subcommand)]
    Srvlvl(srvlvl::Srvlvl),
    /// Managed systems
    #[command(subcommand)]
    System(system::System),
    /// On a managed system: takes components out of management for emergency service, or gives them back
    #[command(
        after_help = "Example:\n  tender servmgr managed off ledger --reason 'emergency fix' --until 2026-12-24T18:00Z\n  tender servmgr managed on"
    )]
    Managed {
        /// ON or OFF
        #[arg(value_name = "ON|OFF", value_parser = on_or_off, action = clap::ArgAction::Set)]
        on: bool,
        /// Components; ALL, or none given, for every one
        #[arg(value_name = "ALL|COMPONENT")]
        components: Vec<String>,
        /// Why; needed for OFF
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// When it should end, such as 2026-12-24T18:00Z
        #[arg(long, value_parser = until)]
        until: Option<Timestamp>,
    },
    /// Nicknames of several systems
    #[command(subcommand)]
    Group(fix::Group),
    /// Holds: fixes in error, actions to do, decisions of the site
    #[command(subcommand)]
    Hold(fix::Hold),
    /// Where a fix is, and where it is missing
    #[command(subcommand)]
    Fix(fix::Fix),
    /// Vendors and their keys
    #[command(subcommand)]
    Vendor(fix::Vendor),
    /// The object store
    #[command(subcommand)]
    Store(fix::Store),
    /// Limits and defaults of the principal
    #[command(after_help = "Examples:\n  tender servmgr setting\n  tender servmgr setting systems_max 200")]
    Setting {
        /// Which
        #[arg(requires = "value")]
        key: Option<String>,
        /// Its new value
        value: Option<u32>,
    },
}

impl Servmgr {
    /// Carries the verb out, here or, for MANAGED, on this managed system.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        if let Self::Managed { on, components, reason, until } = self {
            return managed(shell, on, &components, reason, until);
        }
        let place = shell.home.join("principal");
        make_private(&place)?;
        let principal = match Principal::open(&place) {
            Ok(principal) => principal,
            Err(fault) => return Ok(fault.outcome()),
        };
        let (this, _media) = self.with_media(shell)?;
        let verb = match this.verb(&principal) {
            Ok(verb) => verb,
            Err(fault) => return Ok(fault.outcome()),
        };
        let fleet = FtpsFleet::open(&principal.home().join("keys")).map_err(CommandError::Keys)?;
        let context = Context {
            operator: shell.operator.clone(),
            fleet: &fleet,
            enroller: &fleet,
            progress: &shell.bars,
            now: Timestamp::now,
            patience: Patience::default(),
        };
        let mode = if shell.is_check { Mode::Check } else { Mode::Run };
        Ok(perform(verb.as_ref(), &principal, &context, mode))
    }

    /// Unpacks the install media of INITIALIZE when they are an archive; they are kept as long as they are needed.
    fn with_media(self, shell: &Shell) -> Result<(Self, Option<Media>), CommandError> {
        let Self::Initialize { vrm, from: Some(path) } = self else { return Ok((self, None)) };
        let media = Media::open(&path, &shell.home, &shell.bars)
            .map_err(agent::failed("read the install media", tender_package::ReturnCode::Unknown))?;
        Ok((Self::Initialize { vrm, from: Some(media.directory().to_owned()) }, Some(media)))
    }

    fn verb(self, principal: &Principal) -> Result<Box<dyn Verb>, ServiceError> {
        use tender_service::verbs::{Initialize, SettingSet};
        Ok(match self {
            Self::Initialize { vrm, from } => {
                let from = from.unwrap_or_else(|| principal.home().join("media").join(vrm.as_str()));
                Box::new(Initialize { vrm, from })
            }
            Self::Own(verb) => verb.verb(),
            Self::Releases(verb) => verb.verb(),
            Self::Srvlvl(verb) => return verb.verb(principal),
            Self::System(verb) => return verb.verb(principal),
            Self::Group(verb) => verb.verb(),
            Self::Hold(verb) => verb.verb(),
            Self::Fix(verb) => verb.verb(),
            Self::Vendor(verb) => return verb.verb(),
            Self::Store(verb) => verb.verb(),
            Self::Setting { key, value } => Box::new(SettingSet { change: key.zip(value) }),
            Self::Managed { .. } => unreachable!("MANAGED is carried out before the principal is opened"),
        })
    }
}

/// Makes the principal's directory, closed to others: it holds the fleet's keys and addresses.
fn make_private(place: &Path) -> Result<(), CommandError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let fault = |source| CommandError::File { doing: "make", path: place.to_owned(), source };
    if place.is_dir() {
        return Ok(());
    }
    if let Some(above) = place.parent() {
        std::fs::create_dir_all(above).map_err(fault)?;
    }
    std::fs::DirBuilder::new().mode(0o700).create(place).map_err(fault)
}

fn managed(
    shell: &Shell,
    on: bool,
    components: &[String],
    reason: String,
    until: Option<Timestamp>,
) -> Result<Outcome, CommandError> {
    use tender_package::request::Verb;
    use tender_package::{Message, ReturnCode, Severity};
    let home = agent::open(shell)?;
    let is_all = components.iter().any(|word| word.eq_ignore_ascii_case("ALL"));
    let mut named = Vec::new();
    for word in components.iter().filter(|_| !is_all) {
        named
            .push(ComponentName::new(word).map_err(agent::failed("name the component", ReturnCode::Syntax))?);
    }
    if shell.is_check {
        let whose = if named.is_empty() {
            "every component".to_owned()
        } else {
            components.join(" ").to_ascii_lowercase()
        };
        let text = if on { "would go back to the principal" } else { "would be taken out of management" };
        let mut outcome = Outcome::default();
        outcome.say(Message::csm(84, Severity::I, format!("{whose} {text}")));
        return Ok(outcome);
    }
    let verb = Verb::Managed { on, components: named, reason, until };
    let answered = tender_agent::executor::ask_locally(
        &home,
        verb,
        &shell.operator,
        crate::activation::hooks(&home)?.as_ref(),
        &shell.bars,
    )
    .map_err(|fault| agent::failed("carry out MANAGED", fault.code())(fault))?;
    Ok(match answered {
        Some(result) => result.outcome,
        None => {
            let mut outcome = Outcome::default();
            outcome.say(Message::csm(85, Severity::W, "MANAGED is queued behind another request"));
            outcome
        }
    })
}
