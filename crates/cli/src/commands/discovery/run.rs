//! `tender discovery run`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tender_http::Limits;
use tender_mediation::discovery::{
    Access, ClusterEvent, Discovery, Event, Gateways, Others, Own, Rules, Settings,
};
use tender_package::{Message, Outcome};

use super::plan::{Options, Plan};
use super::{NAMED, fault};
use crate::commands::Shell;
use crate::error::CommandError;
use crate::serving::outward::{client, outward};
use crate::serving::run::{self, Hooks, Opened, carry_out, tell};

/// Options of `tender discovery run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender discovery run --keystore keystore.p12 --keystore-password-file password --trust truststore.p12\n  \
                  tender discovery run --plain --listen 127.0.0.1:8761 --definitions 'api-defs;more-defs'\n  \
                  tender discovery run … --registry etcd:https://etcd1:2379,https://etcd2:2379\n\n\
                  What is not said comes from the variables that a launcher gives components: ZWE_configs_port,\n\
                  ZWE_haInstance_hostname, ZWE_zowe_certificate_*, ZWE_zowe_verifyCertificates,\n\
                  ZWE_STATIC_DEFINITIONS_DIR, ZWE_configs_registry (with it services share one registry),\n\
                  ZWE_DISCOVERY_SERVICES_LIST (the peers: they are told what clients tell here, unless the registry is\n\
                  shared), ZWE_configs_notifyGateways (true or false), and those of version 1. While etcd is away clients are served with what was known last.\n\
                  SIGHUP reads certificates and static definitions again,\n\
                  SIGTERM ends it.\n\n\
                  Ends with 0 when it was stopped, 4 when requests had to be cut off, 12 when the port is taken, 16 when\n\
                  it is not configured well or the certificate has ended, 24 for a wrong word, 28 when a file is missing."
)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
}

impl Args {
    /// Serves until a signal ends it.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let options = self.options;
        carry_out(NAMED, shell, |environment| options.plan(environment), check, serve)
    }
}

/// Says what would be run, having looked at the certificates and the rules.
fn check(plan: &Plan) -> Result<Outcome, CommandError> {
    let mut outcome = Outcome::default();
    run::check(NAMED, &plan.serving, &mut outcome)?;
    rules_of(plan)?;
    let cluster = plan.registry.as_ref().map(|shared| shared.open(&plan.serving)).transpose()?;
    let mut say = |text: String| outcome.say(Message::with_id("ZWEAM007I", text));
    if let Some((user, _)) = &plan.login {
        say(format!("for the user `{user}`"));
    }
    if let (Some(shared), Some(_)) = (&plan.registry, cluster) {
        say(format!("with the registry that services share through {}", shared.description()));
    }
    for address in &plan.peers {
        say(format!("with what {address} knows, and telling it what is new"));
    }
    if plan.notifies_gateways {
        say("telling gateways of changes".to_owned());
    }
    for directory in &plan.directories {
        say(format!("with static definitions of `{}`", directory.display()));
    }
    Ok(outcome)
}

async fn serve(plan: Plan, begun: Instant) -> Result<Outcome, CommandError> {
    let opened = Opened::open(NAMED, &plan.serving, Limits::default(), 0)?;
    let discovery = Discovery::new(settings_of(&plan, &opened.addresses())?);
    // Whoever finds the port open finds what is defined in files.
    discovery.begin().await;
    tokio::spawn(discovery.clone().tasks());
    let (again, ending) = (discovery.clone(), discovery.clone());
    let hooks = Hooks {
        reload: Box::new(move || drop(tokio::spawn(read_again(again.clone(), plan.rules.clone())))),
        stopping: Box::new(move || ending.end_waiting()),
    };
    opened.run(discovery, begun, hooks).await
}

fn settings_of(plan: &Plan, addresses: &[SocketAddr]) -> Result<Settings, CommandError> {
    let serving = &plan.serving;
    let access = match (&serving.tls, &plan.login) {
        (None, Some((user, password))) => {
            let password = password.resolve().map_err(fault::password)?;
            Access::basic(user, password.expose())
        }
        (Some(_), _) if serving.verify.checks_chain() => Access::Certificate,
        _ => Access::Open,
    };
    let port = addresses.first().map_or(0, SocketAddr::port);
    let own = Own {
        host: serving.host.clone(),
        address: plan.address.clone(),
        port,
        is_secure: serving.tls.is_some(),
    };
    Ok(Settings {
        cluster: plan.registry.as_ref().map(|shared| shared.open(serving)).transpose()?,
        others: others_of(plan)?,
        gateways: gateways_of(plan)?,
        policy: plan.policy,
        access,
        directories: plan.directories.clone(),
        eviction_interval: plan.eviction_interval,
        own: Some(own),
        rules: rules_of(plan)?,
        events: Arc::new(|event| tell(&line(event))),
        ..Settings::default()
    })
}

/// How long another service or a gateway may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Makes ready to tell gateways of changes.
fn gateways_of(plan: &Plan) -> Result<Option<Gateways>, CommandError> {
    if !plan.notifies_gateways {
        return Ok(None);
    }
    let tls = client(NAMED, &outward(NAMED, &plan.serving)?)?;
    Ok(Some(Gateways { tls, timeout: TIMEOUT }))
}

/// Makes ready to ask the other services, with the certificate of this one.
fn others_of(plan: &Plan) -> Result<Option<Others>, CommandError> {
    if plan.peers.is_empty() {
        return Ok(None);
    }
    let tls = client(NAMED, &outward(NAMED, &plan.serving)?)?;
    Ok(Some(Others { addresses: plan.peers.clone(), tls, timeout: TIMEOUT }))
}

/// Reads the rules, which are of use only where clients show certificates.
fn rules_of(plan: &Plan) -> Result<Rules, CommandError> {
    let Some(path) = &plan.rules else { return Ok(Rules::default()) };
    if plan.serving.tls.is_none() || !plan.serving.verify.checks_chain() {
        return Err(fault::rules_without_certificates(path));
    }
    Rules::read(path).map_err(|report| fault::rules(&report))
}

/// Reads rules and definitions again.
async fn read_again(discovery: Discovery, rules: Option<PathBuf>) {
    match rules.as_deref().map(Rules::read) {
        Some(Ok(rules)) => discovery.set_rules(rules),
        Some(Err(report)) => {
            tell("ZWEAD106E changed rules for registrations are not used:");
            report.problems.iter().for_each(|problem| tell(&format!("ZWEAD106E {problem}")));
        }
        None => {}
    }
    discovery.read_statics().await;
}

fn line(event: &Event) -> String {
    match event {
        Event::Definition(problem) => {
            let mut told = problem.clone();
            let id = told.id.take().unwrap_or("ZWEAD702W");
            format!("{id} {told}")
        }
        Event::Statics { .. } => format!("ZWEAD100I {event}"),
        Event::Preserving { silent: 1.. } => format!("ZWEAD101W {event}"),
        Event::Preserving { silent: 0 } => format!("ZWEAD102I {event}"),
        Event::Registered { .. } => format!("ZWEAD103I {event}"),
        Event::Cancelled { .. } => format!("ZWEAD104I {event}"),
        Event::Forbidden { .. } => format!("ZWEAT403E {event}"),
        Event::Evicted { .. } => format!("ZWEAD105W {event}"),
        Event::PeerFetched { .. } => format!("ZWEAD107I {event}"),
        Event::PeerLost { .. } => format!("ZWEAD108W {event}"),
        Event::PeerFound { .. } => format!("ZWEAD109I {event}"),
        Event::PeerRefuses { .. } => format!("ZWEAD110W {event}"),
        Event::GatewayNotTold { .. } => format!("ZWEAD118W {event}"),
        Event::Cluster(event) => cluster_line(event),
    }
}

fn cluster_line(event: &ClusterEvent) -> String {
    let id = match event {
        ClusterEvent::Read { .. } => "ZWEAD111I",
        ClusterEvent::Lost { .. } => "ZWEAD112W",
        ClusterEvent::Found { .. } => "ZWEAD113I",
        ClusterEvent::Gone { .. } => "ZWEAD114I",
        ClusterEvent::Record { .. } => "ZWEAD115W",
        ClusterEvent::Refuses { .. } => "ZWEAD116W",
    };
    format!("{id} {event}")
}
