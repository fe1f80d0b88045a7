//! From a plan to a service that answers until a signal ends it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tender_http::{
    Access, Event, EventSink, Handler, Limits, Server, Settings, Tls, Transport, descriptors, ready, signal,
};
use tender_package::{Message, Outcome, ReturnCode};

use super::Named;
use super::environment::Environment;
use super::options::{PlanError, Serving};
use crate::commands::Shell;
use crate::error::CommandError;

/// How often it is looked whether certificates have changed.
const CERTIFICATES_PERIOD: Duration = Duration::from_secs(5);
/// Answering is not what takes time: more threads would only take memory.
const THREADS_MAX: usize = 4;

/// What a service does beside answering.
pub(crate) struct Hooks {
    /// Somebody says that what was read should be read again.
    pub(crate) reload: Box<dyn Fn() + Send + Sync>,
    /// It is about to end: nobody should be kept waiting.
    pub(crate) stopping: Box<dyn Fn() + Send + Sync>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { reload: Box::new(|| {}), stopping: Box::new(|| {}) }
    }
}

/// Plans a service and runs it, or says with `--check` what would be run.
pub(crate) fn carry_out<P, F>(
    named: Named,
    shell: &Shell,
    plan: impl FnOnce(&Environment<'_>) -> Result<P, PlanError>,
    check: impl FnOnce(&P) -> Result<Outcome, CommandError>,
    serve: impl FnOnce(P, Instant) -> F,
) -> Result<Outcome, CommandError>
where
    F: Future<Output = Result<Outcome, CommandError>>,
{
    let begun = Instant::now();
    let plan = plan(&Environment::of_process(named.component)).map_err(|fault| named.plan(fault))?;
    if shell.is_check {
        return check(&plan);
    }
    tender_http::inherit();
    with_threads(named, serve(plan, begun))
}

/// Runs something with the threads of a service.
fn with_threads<T>(
    named: Named,
    what: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, THREADS_MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(named.component)
        .enable_all()
        .build()
        .map_err(|fault| named.system(fault))?;
    let outcome = runtime.block_on(what);
    // What reads a file or looks up a name at this moment is not waited for.
    runtime.shutdown_background();
    outcome
}

/// Says what would be run, having looked at the certificates.
pub(crate) fn check(named: Named, plan: &Serving, outcome: &mut Outcome) -> Result<(), CommandError> {
    if let Some(files) = &plan.tls {
        Tls::load(files.clone(), &http_events()).map_err(|fault| named.tls(fault))?;
    }
    let mut say = |text: String| outcome.say(Message::with_id("ZWEAM007I", text));
    for address in &plan.listen {
        say(format!("would listen at {address} as {}", plan.host));
    }
    say(match &plan.tls {
        Some(_) => format!("over TLS; certificates of others: {}", plan.verify),
        None => "without TLS, for everybody on this machine".to_owned(),
    });
    Ok(())
}

/// A service that listens and does not answer yet.
pub(crate) struct Opened {
    named: Named,
    server: Server,
    tls: Option<Arc<Tls>>,
    events: EventSink,
}

impl Opened {
    /// Listens as planned; so many threads of its own answer, or those of the runtime when there are none.
    pub(crate) fn open(
        named: Named,
        plan: &Serving,
        limits: Limits,
        threads: usize,
    ) -> Result<Self, CommandError> {
        let events = http_events();
        let loaded = plan.tls.clone().map(|files| Tls::load(files, &events)).transpose();
        let tls = loaded.map_err(|fault| named.tls(fault))?;
        let transport = tls.clone().map_or(Transport::Plain, Transport::Tls);
        let access = plan
            .has_access_log
            .then(|| Arc::new(|access: &Access<'_>| tell(&access.to_string())) as tender_http::AccessSink);
        let settings = Settings { limits, threads, access, events: Arc::clone(&events), transport };
        descriptors::allow(settings.limits.connections);
        let server = Server::bind(&plan.listen, settings).map_err(|fault| named.bind(fault))?;
        Ok(Self { named, server, tls, events })
    }

    /// Returns where it listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.server.addresses()
    }

    /// Answers until a signal ends it; SIGHUP reads certificates again.
    pub(crate) async fn run(
        self,
        handler: impl Handler,
        begun: Instant,
        hooks: Hooks,
    ) -> Result<Outcome, CommandError> {
        let Self { named, server, tls, events } = self;
        let mut termination = signal::Termination::listen().map_err(|fault| named.system(fault))?;
        let hangups = signal::hangups().map_err(|fault| named.system(fault))?;
        let Hooks { reload, stopping } = hooks;
        if let Some(tls) = &tls {
            tokio::spawn(Arc::clone(tls).watch(CERTIFICATES_PERIOD, Arc::clone(&events)));
        }
        tokio::spawn(read_again(hangups, tls, events, reload));
        for address in server.addresses() {
            tell(&format!("ZWEAM002I {} listens at {address}", named.title));
        }
        tell(&format!("ZWEAM000I {} started in {:.3} seconds", named.title, begun.elapsed().as_secs_f64()));
        server.keep();
        ready::announce();
        let stopped = async move {
            termination.wait().await;
            ready::withdraw();
            stopping();
        };
        let ended = handler.serve(server, Box::pin(stopped)).await;
        let mut outcome = Outcome::default();
        if !ended.is_clean {
            outcome.code = ReturnCode::Warning;
            tell("ZWEAM003W requests that took too long were cut off");
        }
        tell(&format!("ZWEAM004I {} has ended", named.title));
        Ok(outcome)
    }
}

/// Reads certificates and whatever else again when somebody says so.
async fn read_again(
    mut hangups: tokio::signal::unix::Signal,
    tls: Option<Arc<Tls>>,
    events: EventSink,
    reload: Box<dyn Fn() + Send + Sync>,
) {
    while hangups.recv().await.is_some() {
        if let Some(tls) = tls.clone() {
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(Err(source)) => events(&Event::NotReloaded { source }),
                Ok(Ok(())) => tell("ZWEAM005I certificates were read again"),
                Err(_) => {}
            }
        }
        reload();
    }
}

fn http_events() -> EventSink {
    tender_http::calmed(Arc::new(|event| {
        if event.is_notable() {
            let id = match event {
                Event::Handshake { .. } => "ZWEAM511E",
                Event::TooMany { .. } => "ZWEAO106W",
                Event::NotReloaded { .. } => "ZWEAM400E",
                Event::Accept { .. } => "ZWEAM402E",
                Event::Expiring { .. } => "ZWEAM006W",
                Event::LeftOut { .. } => "ZWEAM008I",
                Event::Reloaded { .. } | Event::Connection { .. } => "ZWEAM005I",
            };
            tell(&format!("{id} {event}"));
        }
    }))
}

/// Says something while the service goes on; without a reader it goes on all the same.
pub(crate) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}
