//! `tender xmem call`.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use tender_package::{Message, Outcome, ReturnCode};
use tender_xmem::client::{Call, CallError, Client};
use tender_xmem::code::{CmsCode, RouterCode, service_text};
use tender_xmem::frame::{ANY_VERSION, PAYLOAD_BYTES_MAX};
use tender_xmem::service::{RouterCall, ServiceId};

use super::places::{Places, Which};
use super::running::options;
use crate::commands::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::live::Live;

/// Options of `tender xmem call`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
SERVICE is a name (STATUS, IDENTIFY, NETWORK …), a number from 1 to 127, or PLUGIN.SERVICE. `tender xmem call IDENTIFY` \
lists what there is and what you may call.\n\n\
Examples:\n  tender xmem call STATUS hello\n  tender xmem call IDENTIFY --json\n  tender xmem call ECHO.ECHO @request.bin \
--output reply.bin\n  printf secret | tender xmem call DUMP @-")]
pub(crate) struct Args {
    /// The service
    service: String,
    /// The request: text, @FILE for what is in a file, @- for standard input
    #[arg(default_value = "")]
    payload: String,
    /// Version that the service must have at least
    #[arg(long = "at-least", value_name = "VERSION", default_value_t = ANY_VERSION, hide_default_value = true)]
    version: u32,
    /// How long it may take
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    deadline_ms: u32,
    /// It may be executed twice without harm, should the server end meanwhile
    #[arg(long)]
    repeatable: bool,
    /// Where the answer goes as it is
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

/// What is called.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Service(u16),
    Plugin { plugin: String, service: String },
}

impl Target {
    fn parse(text: &str) -> Result<Self, CommandError> {
        let unknown = || {
            let text = format!("`{text}` is neither a service, a number from 1 to 127 nor PLUGIN.SERVICE");
            let names: Vec<_> = ServiceId::ALL.iter().map(|service| service.name()).collect();
            CommandError::from(
                RuntimeFault::new("ZWES2161E", ReturnCode::Syntax, text)
                    .with_hint(format!("services: {}", names.join(" "))),
            )
        };
        if let Ok(number) = text.parse::<u16>() {
            return if (1..=127).contains(&number) { Ok(Self::Service(number)) } else { Err(unknown()) };
        }
        if let Some(service) = ServiceId::from_name(&text.to_uppercase()) {
            return Ok(Self::Service(service.number()));
        }
        let (plugin, service) = text.split_once('.').ok_or_else(unknown)?;
        Ok(Self::Plugin { plugin: plugin.to_owned(), service: service.to_owned() })
    }

    fn number(&self) -> u16 {
        match self {
            Self::Service(number) => *number,
            Self::Plugin { .. } => ServiceId::Router.number(),
        }
    }
}

impl Args {
    /// Calls, and shows the answer.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        if shell.is_check {
            return Err(CommandError::NothingToCheck("xmem call"));
        }
        let target = Target::parse(&self.service)?;
        let mut payload = self.payload()?;
        if let Target::Plugin { plugin, service } = &target {
            let (plugin, service) = (plugin.clone(), service.clone());
            payload = RouterCall { plugin, service, payload: &payload }.encode().map_err(|cause| {
                RuntimeFault::new("ZWES2161E", ReturnCode::Syntax, "no plug-in can be called like that")
                    .because(cause)
            })?;
        }
        let places = Places::find(shell)?;
        let name = &self.which.server;
        let server = name.as_str().parse().map_err(|cause: tender_xmem::NameError| {
            RuntimeFault::new("ZWES2161E", ReturnCode::Syntax, "no server has this name").because(cause)
        })?;
        let failed = |cause| refused(&self.service, cause);
        let client =
            Client::connect(server, options(places.run_of(name), self.deadline_ms)).map_err(failed)?;
        let reply = client
            .call_with(Call {
                service: target.number(),
                version: self.version,
                payload: &payload,
                repeatable: self.repeatable,
                deadline_ms: self.deadline_ms,
                ..Call::default()
            })
            .map_err(failed)?;
        self.shown(shell, &target, reply.service_code, &reply.payload)
    }

    fn payload(&self) -> Result<Vec<u8>, CommandError> {
        let Some(path) = self.payload.strip_prefix('@') else { return Ok(self.payload.clone().into_bytes()) };
        let failed = |source| CommandError::File { doing: "read", path: PathBuf::from(path), source };
        let limit = PAYLOAD_BYTES_MAX as u64 + 1;
        let mut payload = Vec::new();
        if path == "-" {
            std::io::stdin().lock().take(limit).read_to_end(&mut payload).map_err(failed)?;
        } else {
            std::fs::File::open(path)
                .map_err(failed)?
                .take(limit)
                .read_to_end(&mut payload)
                .map_err(failed)?;
        }
        if payload.len() > PAYLOAD_BYTES_MAX {
            let text = format!("the request is longer than {PAYLOAD_BYTES_MAX} bytes");
            return Err(RuntimeFault::new("ZWES2161E", ReturnCode::Syntax, text).into());
        }
        Ok(payload)
    }

    fn shown(
        &self,
        shell: &Shell,
        target: &Target,
        service_code: u32,
        payload: &[u8],
    ) -> Result<Outcome, CommandError> {
        let mut outcome = Outcome::default();
        let text = std::str::from_utf8(payload).ok();
        outcome.data = serde_json::json!({
            "service": self.service,
            "service_code": service_code,
            "bytes": payload.len(),
            "text": text,
            "json": text.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok()),
            "hex": text.is_none().then(|| hexadecimal(payload)),
        });
        if let Some(path) = &self.output {
            let written = std::fs::File::create(path).and_then(|mut file| file.write_all(payload));
            written.map_err(|source| CommandError::File { doing: "write", path: path.clone(), source })?;
        } else if !payload.is_empty() {
            let shown = text.map_or_else(|| hexadecimal(payload), escaped);
            Live::new(shell.audience).line(shown.trim_end()).map_err(CommandError::Print)?;
        }
        if service_code != 0 {
            let meaning = match target {
                Target::Plugin { .. } => RouterCode::from_number(service_code).map(RouterCode::text),
                Target::Service(number) => {
                    ServiceId::from_number(*number).and_then(|service| service_text(service, service_code))
                }
            };
            let meaning = meaning.map(|meaning| format!(": {meaning}")).unwrap_or_default();
            let said = format!("{} answered with code {service_code}{meaning}", self.service);
            outcome.say(Message::with_id("ZWES2162E", said));
            outcome.code = ReturnCode::Refused;
        }
        Ok(outcome)
    }
}

/// Makes bytes readable.
fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// Writes what a terminal would act on so that it can be read.
pub(super) fn escaped(text: &str) -> String {
    let is_plain = |character: char| !character.is_control() || character == '\n' || character == '\t';
    text.chars()
        .map(
            |character| {
                if is_plain(character) {
                    character.to_string()
                } else {
                    character.escape_unicode().to_string()
                }
            },
        )
        .collect()
}

/// Makes a fault of a call that was not made.
fn refused(service: &str, cause: CallError) -> CommandError {
    use CmsCode as C;
    let code = match cause.code() {
        Some(C::PermissionDenied | C::NotImplemented) => ReturnCode::Refused,
        Some(C::ServerUnknown | C::FunctionMissing | C::ServiceOutOfRange | C::ServiceNotInitialised) => {
            ReturnCode::Unknown
        }
        Some(C::NoRoom) => ReturnCode::Busy,
        Some(C::BadParameter | C::ServerNameTooLong | C::ServerNameMissing) => ReturnCode::Syntax,
        // It may have been executed.
        Some(C::OutcomeUnknown) => ReturnCode::Partial,
        _ => ReturnCode::Outside,
    };
    let hint = match (cause.refusal(), cause.code()) {
        (Some(refusal), _) => {
            Some(format!("{}: {} ({})", refusal, refusal.remedy, reference(refusal.reference)))
        }
        (None, Some(C::PermissionDenied)) => Some(format!(
            "root sees why, and what would help, with `tender xmem modify EXPLAIN`: {}; with READ on FACILITY \
             ZWES.IS.EXPLAIN you would see it here",
            reference(cause.reference())
        )),
        (None, Some(C::ServerUnknown | C::ServerDown)) => Some("`tender xmem start` starts it".to_owned()),
        _ => None,
    };
    let fault = RuntimeFault::new("ZWES2163E", code, format!("{service} was not called")).because(cause);
    match hint {
        Some(hint) => fault.with_hint(hint).into(),
        None => fault.into(),
    }
}

fn reference(number: u64) -> String {
    if number == 0 { "no audit record".to_owned() } else { format!("audit record {number}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_is_a_name_a_number_or_one_of_a_plug_in() {
        assert_eq!(Target::parse("status").unwrap(), Target::Service(4));
        assert_eq!(Target::parse("65").unwrap(), Target::Service(65));
        let plugin = Target::Plugin { plugin: "ECHO".to_owned(), service: "ECHO".to_owned() };
        assert_eq!(Target::parse("ECHO.ECHO").unwrap(), plugin);
        for wrong in ["0", "128", "NOTHING", ""] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn answer_cannot_act_on_a_terminal() {
        assert_eq!(escaped("a\u{1b}[2Jb\nc\t"), "a\\u{1b}[2Jb\nc\t");
    }
}
