//! `tender gateway run`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tender_cache::Store;
use tender_gateway::auth::provider::{CrossMemory, Dummy, PasswordFile};
use tender_gateway::auth::{AuthSettings, Provider, Revocations, SigningKey};
use tender_gateway::{Event, Gateway, Guarded, Settings, Sticky, UpstreamSettings};
use tender_http::hyper::Uri;
use tender_package::{Message, Outcome, ReturnCode};
use tender_xmem::ServerName;

use super::registration::{self, Kept, Planned};
use crate::commands::Shell;
use crate::error::CommandError;
use crate::serving::Named;
use crate::serving::access::{Access, Variables};
use crate::serving::environment::{Environment, Names};
use crate::serving::neighbours;
use crate::serving::options::{Options, PlanError, Serving, read};
use crate::serving::outward::{client, discovery_line, follow, outward};
use crate::serving::run::{Hooks, Opened, carry_out, check, tell};
use crate::serving::store::{self, Place};

const NAMED: Named =
    Named { component: "gateway", title: "gateway", port: 7554, port_names: &["GATEWAY_PORT"] };

const PROVIDER: Names = &["ZWE_configs_provider", "ZWE_components_gateway_provider"];
const STORE: Names = &["ZWE_configs_revocations", "ZWE_components_gateway_revocations"];

const STORE_ACCESS: Variables = Variables {
    option: "--store",
    trust: &["ZWE_configs_revocationsTrust", "ZWE_components_gateway_revocationsTrust"],
    key: &["ZWE_configs_revocationsKey", "ZWE_components_gateway_revocationsKey"],
    certificate: &["ZWE_configs_revocationsCertificate", "ZWE_components_gateway_revocationsCertificate"],
    user: &["ZWE_configs_revocationsUser", "ZWE_components_gateway_revocationsUser"],
    password: &["ZWE_configs_revocationsPassword"],
};

/// Options of `tender gateway run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender gateway run --keystore keystore.p12 --keystore-password-file password --trust truststore.p12 \\\n    \
                        --discovery https://localhost:7553/eureka --provider xmem --store etcd:https://localhost:2379\n  \
                        tender gateway run --plain --discovery http://127.0.0.1:8761/eureka --provider file:users\n\n\
                        What is not said comes from the variables that a launcher gives components: ZWE_configs_port,\n\
                        _provider and _revocations (the store; how it is reached: _revocationsTrust, _revocationsKey,\n\
                        _revocationsCertificate, _revocationsUser, _revocationsPassword), ZWE_DISCOVERY_SERVICES_LIST, ZWE_zowe_certificate_*, ZWE_zowe_verifyCertificates;\n\
                        what discovery is told of the gateway: ZWE_haInstance_hostname, ZOWE_IP_ADDRESS,\n\
                        ZWE_zowe_externalDomains_0 with ZWE_zowe_externalPort. Tokens are signed\n\
                        with the key of the certificate: gateways that share it, and a store, know each other's tokens.\n\
                        SIGHUP reads certificates again, SIGTERM ends it.\n\n\
                        Ends with 0 when it was stopped, 4 when requests had to be cut off, 12 when the port is taken or the\n\
                        store does not answer, 16 when it is not configured well or the certificate has ended, 24 for a wrong\n\
                        word, 28 when a file is missing."
)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// Where discovery is; may be given several times
    #[arg(long, value_name = "URL")]
    discovery: Vec<String>,
    /// Seconds between two looks at what is registered, unless discovery tells of a change
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    discovery_interval: u64,
    /// Who checks passwords: xmem, xmem:SERVER, file:FILE, dummy (for trials), or none (nobody logs in) [default: none]
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<Checks>,
    /// Hours for which a token is good
    #[arg(long, value_name = "HOURS", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=720))]
    token_hours: u64,
    /// Let clients with a certificate have a token followed by a new one
    #[arg(long)]
    allow_token_refresh: bool,
    /// Where tokens that were logged out are kept, for other gateways and after a restart: etcd:URL,URL… or
    /// rediss://HOST:PORT [default: memory]
    #[arg(long, value_name = "STORE")]
    store: Option<Place>,
    #[command(flatten)]
    access: store::Options,
    /// Seconds that a service has to begin its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Refuse paths with encoded slashes
    #[arg(long)]
    no_encoded_slashes: bool,
    /// Say in answers which instance gave them
    #[arg(long)]
    tell_instance: bool,
    #[command(flatten)]
    registration: registration::Options,
}

/// More processors are better used by the services behind it.
const THREADS_MAX: usize = 16;

/// Who checks passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Checks {
    Nobody,
    Dummy,
    File(PathBuf),
    CrossMemory(ServerName),
}

impl FromStr for Checks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::Nobody),
            None if text == "dummy" => Ok(Self::Dummy),
            None if text == "xmem" => Ok(Self::CrossMemory(ServerName::default())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("xmem", name)) => name.parse().map(Self::CrossMemory).map_err(|fault| format!("{fault}")),
            _ => Err("give xmem, xmem:SERVER, file:FILE, dummy or none".to_owned()),
        }
    }
}

struct Plan {
    serving: Serving,
    discovery: Vec<Uri>,
    registration: Option<Planned>,
    provider: Checks,
    store: Place,
    access: Access,
    args: Args,
}

impl Args {
    /// Serves until a signal ends it.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        carry_out(NAMED, shell, |environment| self.plan(environment), Plan::check, serve)
    }

    fn plan(self, environment: &Environment<'_>) -> Result<Plan, PlanError> {
        let serving = self.options.plan(NAMED, environment, false)?;
        let discovery = neighbours::discovery(&self.discovery, &serving, environment)?;
        let provider = read(environment, PROVIDER, "provider: xmem, xmem:SERVER, file:FILE, dummy or none")?;
        let store = read(environment, STORE, "store: memory, etcd:https://HOST:2379 or rediss://HOST:6379")?;
        let store = self.store.clone().or(store).unwrap_or(Place::Memory);
        let registration = self.registration.plan(&serving, environment)?;
        Ok(Plan {
            serving,
            discovery,
            registration,
            provider: self.provider.clone().or(provider).unwrap_or(Checks::Nobody),
            access: self.access.plan(&store, STORE_ACCESS, environment)?,
            store,
            args: self,
        })
    }
}

impl Plan {
    /// Says what would be run.
    fn check(&self) -> Result<Outcome, CommandError> {
        let mut outcome = Outcome::default();
        check(NAMED, &self.serving, &mut outcome)?;
        for address in &self.discovery {
            outcome.say(Message::with_id("ZWEAM007I", format!("would ask discovery at {address}")));
        }
        if let Some(registration) = &self.registration {
            let (host, address) = (&self.serving.host, &registration.address);
            let text = format!("would be registered there as gateway of {host}, at {address}");
            outcome.say(Message::with_id("ZWEAM007I", text));
        }
        Ok(outcome)
    }
}

async fn serve(plan: Plan, begun: Instant) -> Result<Outcome, CommandError> {
    let Plan { serving, discovery, registration, provider, store, access, args } = plan;
    let outward = outward(NAMED, &serving)?;
    let client = client(NAMED, &outward)?;
    let mut upstream = UpstreamSettings::new(Arc::new(client.clone()));
    upstream.answer_timeout = Duration::from_secs(args.timeout);
    upstream.guarded = Guarded {
        places: discovery.iter().filter_map(place).collect(),
        own_ports: serving.listen.iter().map(SocketAddr::port).collect(),
    };
    let mut settings = Settings::new(upstream);
    settings.allows_encoded_slashes = !args.no_encoded_slashes;
    settings.tells_instance = args.tell_instance;
    settings.events = Arc::new(|event| tell(&line(event)));
    let keys = store.keys(NAMED, &access, &serving)?;
    let store = shared_store(&store, keys, &provider).await?;
    settings.sticky = Arc::new(Sticky::new(store.clone()));
    settings.auth = auth(&args, &provider, store, outward.identity.as_ref())?;
    if let Some(auth) = &settings.auth {
        let lost = |fault: &tender_cache::StoreError| {
            let reason = tender_http::chain(fault);
            tell(&format!("ZWEAG104E the store of tokens that were logged out does not answer: {reason}"));
        };
        // No token that was logged out is good for even a moment.
        let known = auth.revocations.look(tender_cache::now_ms() / 1000).await;
        known.map_err(|fault| store_failed(fault.into()))?;
        tokio::spawn(Arc::clone(&auth.revocations).run(lost));
    }
    let limits = tender_http::Limits { body_bytes: u64::MAX, ..tender_http::Limits::default() };
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(THREADS_MAX);
    let opened = Opened::open(NAMED, &serving, limits, threads)?;
    let gateway = Gateway::new(settings);
    let interval = Duration::from_secs(args.discovery_interval.max(1));
    follow(gateway.clone(), discovery.clone(), client.clone(), interval).await;
    let addresses = opened.addresses();
    let kept = registration.map(|planned| Kept::begin(planned, &serving, &addresses, (discovery, client)));
    let stopping = kept.as_ref().map(|kept| Box::new(kept.ending()) as Box<dyn Fn() + Send + Sync>);
    let usual = Hooks::default();
    let outcome =
        opened.run(gateway, begun, Hooks { stopping: stopping.unwrap_or(usual.stopping), ..usual }).await;
    if let Some(kept) = kept {
        kept.ended().await;
    }
    outcome
}

/// Returns host and port of an address.
fn place(address: &Uri) -> Option<(String, u16)> {
    let usual = if address.scheme_str() == Some("https") { 443 } else { 80 };
    Some((address.host()?.to_owned(), address.port_u16().unwrap_or(usual)))
}

fn store_failed(fault: Box<dyn std::error::Error + Send + Sync>) -> CommandError {
    NAMED.told("ZWEAG104E", ReturnCode::Outside, "failed to open the store of", None, fault)
}

/// Opens what gateways share, if they do.
async fn shared_store(
    place: &Place,
    keys: store::Keys,
    provider: &Checks,
) -> Result<Option<Arc<dyn Store>>, CommandError> {
    if *place != Place::Memory {
        return place.open("gateway", keys).await.map(Some).map_err(|fault| store_failed(fault.into()));
    }
    if *provider != Checks::Nobody {
        tell(
            "ZWEAG106W tokens that were logged out are kept in memory alone: they are good again after a restart",
        );
    }
    Ok(None)
}

fn auth(
    args: &Args,
    provider: &Checks,
    store: Option<Arc<dyn Store>>,
    identity: Option<&tender_certificate::KeyEntry>,
) -> Result<Option<AuthSettings>, CommandError> {
    let refused = |fault: Box<dyn std::error::Error + Send + Sync>| {
        NAMED.told("ZWEAG104E", ReturnCode::Refused, "failed to set up logging in at", None, fault)
    };
    let provider: Arc<dyn Provider> = match provider {
        Checks::Nobody => return Ok(None),
        Checks::Dummy => {
            tell("ZWEAG105W two users that everybody knows may log in: for trials alone");
            Arc::new(Dummy)
        }
        Checks::File(path) => Arc::new(PasswordFile::open(path).map_err(|fault| refused(fault.into()))?),
        Checks::CrossMemory(server) => {
            let options = tender_xmem::Options { client: "gateway".to_owned(), ..Default::default() };
            Arc::new(CrossMemory::new(server.clone(), options))
        }
    };
    let key = match identity {
        Some(entry) => {
            SigningKey::of_pkcs8(entry.key.secret_pkcs8_der()).map_err(|fault| refused(fault.into()))?
        }
        None => SigningKey::generate(),
    };
    Ok(Some(AuthSettings {
        provider,
        key: Arc::new(key),
        revocations: Arc::new(Revocations::new(store)),
        lifetime: Duration::from_secs(args.token_hours * 3600),
        allows_refresh: args.allow_token_refresh,
    }))
}

fn line(event: &Event) -> String {
    match event {
        Event::Unanswered { .. } => format!("ZWEAG708E {event}"),
        Event::NoTicket { .. } => format!("ZWEAG141E {event}"),
        Event::NobodyChecks { .. } | Event::NotShared { .. } => format!("ZWEAG104E {event}"),
        Event::Discovery(event) => discovery_line(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_named_by_a_word() {
        assert_eq!("none".parse(), Ok(Checks::Nobody));
        assert_eq!("dummy".parse(), Ok(Checks::Dummy));
        assert_eq!("file:/a".parse(), Ok(Checks::File("/a".into())));
        assert!(matches!("xmem:ZWESIS_B".parse(), Ok(Checks::CrossMemory(_))));
        for wrong in ["", "file:", "saf", "xmem:a name"] {
            assert!(wrong.parse::<Checks>().is_err(), "{wrong}");
        }
    }
}
