//! `tender discovery run`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tender_http::{
    Access as Requested, Event as HttpEvent, Limits, Server, Settings as HttpSettings, Tls, Transport,
};
use tender_http::{descriptors, ready, signal};
use tender_mediation::discovery::{Access, Discovery, Event, Own, Rules, Settings};
use tender_package::{Message, Outcome, ReturnCode};

use super::environment::Environment;
use super::fault;
use super::plan::{Options, Plan};
use crate::commands::Shell;
use crate::error::CommandError;

/// How often it is looked whether certificates have changed.
const CERTIFICATES_PERIOD: Duration = Duration::from_secs(5);
/// Answering is not what takes time here: more threads would only take memory.
const THREADS_MAX: usize = 4;

/// Options of `tender discovery run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender discovery run --keystore keystore.p12 --keystore-password-file password --trust truststore.p12\n  \
                  tender discovery run --plain --listen 127.0.0.1:8761 --definitions 'api-defs;more-defs'\n\n\
                  What is not said comes from the variables that a launcher gives components: ZWE_configs_port,\n\
                  ZWE_haInstance_hostname, ZWE_zowe_certificate_*, ZWE_zowe_verifyCertificates,\n\
                  ZWE_STATIC_DEFINITIONS_DIR, and those of version 1. SIGHUP reads certificates and static\n\
                  definitions again, SIGTERM ends it.\n\n\
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
        let begun = Instant::now();
        let plan = self.options.plan(&Environment(&|name| std::env::var(name).ok())).map_err(fault::plan)?;
        if shell.is_check {
            return check(&plan);
        }
        let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, THREADS_MAX);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("discovery")
            .enable_all()
            .build()
            .map_err(fault::system("failed to start threads"))?;
        let outcome = runtime.block_on(serve(plan, begun));
        // What reads a file or looks up a name at this moment is not waited for.
        runtime.shutdown_background();
        outcome
    }
}

/// Says what would be run, having looked at the certificates.
fn check(plan: &Plan) -> Result<Outcome, CommandError> {
    if let Some(files) = &plan.tls {
        Tls::load(files.clone(), &http_events()).map_err(fault::tls)?;
    }
    if let Some(path) = &plan.rules {
        Rules::read(path).map_err(|report| fault::rules(&report))?;
    }
    let mut outcome = Outcome::default();
    let mut say = |text: String| outcome.say(Message::with_id("ZWEAM007I", text));
    for address in &plan.listen {
        say(format!("would listen at {address} as {}", plan.host));
    }
    say(match (&plan.tls, &plan.login) {
        (Some(_), _) => format!("over TLS; certificates of clients: {}", plan.verify),
        (None, Some((user, _))) => format!("without TLS, for the user `{user}`"),
        (None, None) => "without TLS, for everybody on this machine".to_owned(),
    });
    for directory in &plan.directories {
        say(format!("with static definitions of `{}`", directory.display()));
    }
    Ok(outcome)
}

async fn serve(plan: Plan, begun: Instant) -> Result<Outcome, CommandError> {
    let events = http_events();
    let tls = plan.tls.clone().map(|files| Tls::load(files, &events)).transpose().map_err(fault::tls)?;
    let transport = tls.clone().map_or(Transport::Plain, Transport::Tls);
    let access = plan
        .has_access_log
        .then(|| Arc::new(|access: &Requested<'_>| tell(&access.to_string())) as tender_http::AccessSink);
    let limits = Limits::default();
    descriptors::allow(limits.connections);
    let settings = HttpSettings { limits, access, events: Arc::clone(&events), transport };
    let server = Server::bind(&plan.listen, settings).map_err(fault::bind)?;
    let mut termination =
        signal::Termination::listen().map_err(fault::system("failed to listen to signals"))?;
    let hangups = signal::hangups().map_err(fault::system("failed to listen to signals"))?;
    let addresses = server.addresses();
    let discovery = Discovery::new(settings_of(&plan, &addresses)?);
    // Whoever finds the port open finds what is defined in files.
    discovery.begin().await;
    tokio::spawn(discovery.clone().tasks());
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).watch(CERTIFICATES_PERIOD, Arc::clone(&events)));
    }
    tokio::spawn(reload(hangups, discovery.clone(), tls, plan.rules.clone(), events));
    for address in &addresses {
        tell(&format!("ZWEAM002I discovery listens at {address}"));
    }
    tell(&format!("ZWEAM000I discovery started in {:.3} seconds", begun.elapsed().as_secs_f64()));
    ready::announce();
    let told = async {
        termination.wait().await;
        ready::withdraw();
        discovery.end_waiting();
    };
    let ended = server.run(discovery.clone(), told).await;
    let mut outcome = Outcome::default();
    if !ended.is_clean {
        outcome.code = ReturnCode::Warning;
        tell("ZWEAM003W requests that took too long were cut off");
    }
    tell("ZWEAM004I discovery has ended");
    Ok(outcome)
}

fn settings_of(plan: &Plan, addresses: &[SocketAddr]) -> Result<Settings, CommandError> {
    let access = match (&plan.tls, &plan.login) {
        (None, Some((user, password))) => {
            let password = password.resolve().map_err(fault::password)?;
            Access::basic(user, password.expose())
        }
        (Some(_), _) if plan.verify.checks_chain() => Access::Certificate,
        _ => Access::Open,
    };
    let port = addresses.first().map_or(0, SocketAddr::port);
    let own =
        Own { host: plan.host.clone(), address: plan.address.clone(), port, is_secure: plan.tls.is_some() };
    Ok(Settings {
        policy: plan.policy,
        access,
        rules: plan
            .rules
            .as_deref()
            .map_or(Ok(Rules::default()), Rules::read)
            .map_err(|report| fault::rules(&report))?,
        directories: plan.directories.clone(),
        eviction_interval: plan.eviction_interval,
        own: Some(own),
        events: Arc::new(|event| tell(&line(event))),
        ..Settings::default()
    })
}

/// Reads certificates and definitions again when somebody says so.
async fn reload(
    mut hangups: tokio::signal::unix::Signal,
    discovery: Discovery,
    tls: Option<Arc<Tls>>,
    rules: Option<PathBuf>,
    events: tender_http::EventSink,
) {
    while hangups.recv().await.is_some() {
        if let Some(tls) = tls.clone() {
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(Err(source)) => events(&HttpEvent::NotReloaded { source }),
                Ok(Ok(())) => tell("ZWEAM005I certificates were read again"),
                Err(_) => {}
            }
        }
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
}

fn http_events() -> tender_http::EventSink {
    tender_http::calmed(Arc::new(|event| {
        if event.is_notable() {
            let id = match event {
                HttpEvent::Handshake { .. } => "ZWEAM511E",
                HttpEvent::TooMany { .. } => "ZWEAO106W",
                HttpEvent::NotReloaded { .. } => "ZWEAM400E",
                HttpEvent::Accept { .. } => "ZWEAM402E",
                HttpEvent::Expiring { .. } => "ZWEAM006W",
                HttpEvent::LeftOut { .. } => "ZWEAM008I",
                HttpEvent::Reloaded { .. } | HttpEvent::Connection { .. } => "ZWEAM005I",
            };
            tell(&format!("{id} {event}"));
        }
    }))
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
    }
}

/// Says something while the service goes on; without a reader it goes on all the same.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}
