//! `tender agent init NAME`.

use std::net::SocketAddr;

use tender_agent::home::HomeError;
use tender_agent::{AgentConfig, Home};
use tender_package::{Message, Outcome, ReturnCode, Severity, SystemName, Variant};

use super::{Shell, failed, root};
use crate::error::CommandError;

/// Options of `tender agent init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender agent init vm01 --listen 10.1.4.7:4535")]
pub(crate) struct Args {
    /// The name under which the principal knows this system
    name: SystemName,
    /// Address and control port to listen at; 0.0.0.0:4535 the first time
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// First and last data port; 4534 the first time
    #[arg(long, value_name = "FIRST-LAST", value_parser = range)]
    passive: Option<(u16, u16)>,
    /// Only levels of this variant are for this system; NONESM the first time
    #[arg(long)]
    variant: Option<Variant>,
    /// Also serve sessions without TLS; everybody on the way can then read and change them
    #[arg(long)]
    allow_clear_text: bool,
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |word: &str| word.parse::<u16>().ok().filter(|port| *port > 0);
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err("two ports are needed, such as 4534-4540".to_owned()),
    }
}

impl Args {
    /// Makes the directories and writes the configuration.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let place = root(shell);
        // What is not said stays as it is when the system was set up before.
        let mut config = match Home::open(&place) {
            Ok(home) => home.config().clone(),
            Err(HomeError::NotAHome { .. }) => AgentConfig::named(self.name.as_str()),
            Err(fault) => return Err(failed("open the managed system", ReturnCode::Outside)(fault)),
        };
        config.name = self.name.to_string();
        config.variant = self.variant.unwrap_or(config.variant);
        config.listen = self.listen.map_or(config.listen, |listen| listen.ip());
        config.port = self.listen.map_or(config.port, |listen| listen.port());
        config.passive_ports = self.passive.unwrap_or(config.passive_ports);
        config.clear_text_allowed |= self.allow_clear_text;
        let mut outcome = Outcome::default();
        let (first, last) = config.passive_ports;
        let at = SocketAddr::new(config.listen, config.port);
        let text =
            format!("{} listens at {at}, data ports {first}-{last}, variant {}", self.name, config.variant);
        if shell.is_check {
            outcome.say(Message::csm(
                71,
                Severity::I,
                format!("would set up {} so that {text}", place.display()),
            ));
            return Ok(outcome);
        }
        let home = Home::create(&place, &config)
            .map_err(failed("set up the managed system", ReturnCode::Outside))?;
        outcome.say(
            Message::csm(72, Severity::I, format!("{text}; everything is in {}", place.display()))
                .with_hint(
                    "next: `tender agent base VRM --from MEDIA`, then `tender agent enrol TOKEN` with the token of \
                     the principal's SYSTEM ADD",
                ),
        );
        if self.allow_clear_text {
            outcome.say(Message::csm(
                73,
                Severity::W,
                "clear text is allowed: passwords and packages can be read and changed on the way",
            ));
            let path = home
                .ensure_clear_password()
                .map_err(failed("make the password for clear text", ReturnCode::Outside))?;
            outcome.say(
                Message::csm(
                    86,
                    Severity::I,
                    format!("the password for clear text is in {}", path.display()),
                )
                .with_hint("bring it to the principal by a safe way; to change it, write another line there"),
            );
        }
        Ok(outcome)
    }
}
