//! Serves the receiver over FTPS: the only file that knows both ends.

use std::ffi::OsString;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tender_transport::enrolment::{ENROL_WORD, OFFERED_FILES, accepted_files};
use tender_transport::server::{
    self, Access, Bound, Limits, Notice, Security, ServeConfig, ServeError, SiteCode, SiteReply, SiteWords,
    View,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::enrolment::{self, EnrolError, EnrolmentWords};
use super::{Answer, AnswerKind, Receiver, SpawnError, WORDS};
use crate::changes;
use crate::home::{Home, HomeError};

/// How long the answer that ends enrolment may take to reach the principal before its connection is closed.
const GOODBYE: Duration = Duration::from_millis(300);

/// What the agent is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// It waits for the principal to bring its certificate.
    Enrolment(SocketAddr),
    /// It takes requests.
    Requests(SocketAddr),
}

/// Says why the agent stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The server failed.
    #[error("serve the principal")]
    Serve(#[source] ServeError),
    /// Enrolment failed.
    #[error("enrol this system")]
    Enrol(#[source] EnrolError),
    /// Neither certificate nor token is there.
    #[error(
        "this system is not enrolled; get a join token from the principal and give it to `tender agent enrol`"
    )]
    NotEnrolled,
    /// A directory of this system could not be made.
    #[error("prepare the directories of this system")]
    Home(#[source] HomeError),
    /// The executor for requests left over does not start.
    #[error("go on with the requests left over")]
    Resume(#[source] SpawnError),
    /// The password for sessions without TLS cannot be read.
    #[error(
        "`clear_text_allowed` in agent.json needs a password in `{}`: write it there as one line, mode 0600, or let \
         `tender agent init NAME --allow-clear-text` make one",
        path.display()
    )]
    ClearPassword {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<ServeError>,
    },
    /// The runtime or its signals cannot be had.
    #[error("prepare to serve")]
    Runtime(#[source] std::io::Error),
}

/// Serves until SIGTERM or SIGINT; `on_ready` hears each time the agent is ready for something.
pub fn run(
    home: &Home,
    executor: Vec<OsString>,
    on_ready: &mut dyn FnMut(Listening),
) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Runtime)?;
        let (stop, stopped) = watch::channel(false);
        let serving = serve(home, executor, on_ready, stopped);
        tokio::pin!(serving);
        loop {
            tokio::select! {
                ended = &mut serving => return ended,
                _ = terminate.recv() => stop.send_replace(true),
                _ = interrupt.recv() => stop.send_replace(true),
            };
        }
    })
}

/// Serves until `stopped` turns true: first enrolment when it is due, then requests.
///
/// Dropping the future ends every session at once; requests that were accepted go on in the executor.
pub async fn serve(
    home: &Home,
    executor: Vec<OsString>,
    on_ready: &mut dyn FnMut(Listening),
    stopped: watch::Receiver<bool>,
) -> Result<(), RunError> {
    if let Some(token) = enrolment::pending(home).map_err(RunError::Enrol)? {
        let (done, enrolled) = oneshot::channel();
        let words = EnrolmentWords { home: home.clone(), done: Mutex::new(Some(done)) };
        let security = Security::Enrolment {
            identity: home.identity(),
            system: home.config().name.clone(),
            password: token.login_password(),
        };
        let mut config = config(home, security);
        config.root = enrolment::exchange_dir(home);
        config.views = Vec::new();
        config.access = Access::Only {
            read: OFFERED_FILES.map(str::to_owned).to_vec(),
            write: accepted_files([enrolment::ROOT_FILE]),
        };
        let stopped_too = stopped.clone();
        let until = async move {
            tokio::select! {
                () = turned_true(stopped_too) => {}
                _ = enrolled => tokio::time::sleep(GOODBYE).await,
            }
        };
        let adapter = Adapter { home: home.clone(), answer: Box::new(move |_, _| words.answer()) };
        serve_until(
            config,
            Words(adapter, &[ENROL_WORD]),
            &mut |at| on_ready(Listening::Enrolment(at)),
            until,
        )
        .await?;
        if *stopped.borrow() {
            return Ok(());
        }
    }
    if !home.trusted_root().exists() {
        return Err(RunError::NotEnrolled);
    }
    changes::prepare(home).map_err(RunError::Home)?;
    while !*stopped.borrow() {
        serve_requests(home, &executor, on_ready, stopped.clone()).await?;
    }
    Ok(())
}

/// Takes requests until `stopped` turns true, or certificates were revoked: ending ends every session, those too
/// that are logged in with a revoked certificate.
async fn serve_requests(
    home: &Home,
    executor: &[OsString],
    on_ready: &mut dyn FnMut(Listening),
    stopped: watch::Receiver<bool>,
) -> Result<(), RunError> {
    let security = security(home)?;
    let receiver = Receiver::new(home.clone(), executor.to_vec());
    let (revoke, revoked) = oneshot::channel();
    // The other end is gone only when the server is ending anyway.
    receiver.on_revocation(move || revoke.send(()).unwrap_or_default());
    receiver.resume().map_err(RunError::Resume)?;
    let answer = Box::new(move |word: &str, arguments: &str| receiver.answer(word, arguments));
    let adapter = Adapter { home: home.clone(), answer };
    let until = async move {
        tokio::select! {
            () = turned_true(stopped) => {}
            Ok(()) = revoked => tokio::time::sleep(GOODBYE).await,
        }
    };
    serve_until(
        config(home, security),
        Words(adapter, &WORDS),
        &mut |at| on_ready(Listening::Requests(at)),
        until,
    )
    .await
}

/// Waits for the order to stop; without anyone left who could give it, that is an order too.
async fn turned_true(mut stopped: watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopped| *stopped).await);
}

async fn serve_until(
    config: ServeConfig,
    words: Words,
    on_ready: &mut dyn FnMut(SocketAddr),
    until: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let (ready, bound) = oneshot::channel::<Bound>();
    let serving = server::serve(config, Arc::new(words), ready, until);
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map_err(RunError::Serve),
        bound = bound => bound.into_iter().for_each(|bound| on_ready(bound.control)),
    }
    serving.await.map_err(RunError::Serve)
}

fn config(home: &Home, security: Security) -> ServeConfig {
    let wanted = home.config();
    let mut config = ServeConfig::new(home.incoming(), security);
    config.listen = SocketAddr::new(wanted.listen, wanted.port);
    config.passive_ports = wanted.passive_ports.0..=wanted.passive_ports.1;
    let view = |name: &str, path| View { name: name.to_owned(), path };
    config.views =
        vec![view("results", home.results()), view("changes", home.changes()), view("logs", home.logs())];
    config.limits = Limits {
        file_bytes_max: wanted.quota_bytes,
        total_bytes_max: wanted.quota_bytes,
        free_bytes_min: wanted.free_bytes_min,
        ..Limits::default()
    };
    config
}

fn security(home: &Home) -> Result<Security, RunError> {
    let identity = home.identity();
    if !home.config().clear_text_allowed {
        return Ok(Security::Required { identity });
    }
    let path = home.clear_password();
    let password = server::read_password(&path)
        .map_err(|source| RunError::ClearPassword { path, source: Box::new(source) })?;
    Ok(Security::ClearAllowed { identity, password })
}

/// Answers a word and its arguments.
type Answering = Box<dyn Fn(&str, &str) -> Answer + Send + Sync>;

/// Brings words to the one who answers and notices into a log.
struct Adapter {
    home: Home,
    answer: Answering,
}

/// An adapter with the words it is registered for.
struct Words(Adapter, &'static [&'static str]);

impl SiteWords for Words {
    fn words(&self) -> Vec<&'static str> {
        self.1.to_vec()
    }

    fn answer(&self, word: &str, arguments: &str) -> SiteReply {
        let Answer { kind, text } = (self.0.answer)(word, arguments);
        let code = match kind {
            AnswerKind::Done => SiteCode::Done,
            AnswerKind::Failed => SiteCode::Failed,
            AnswerKind::Syntax => SiteCode::Syntax,
            AnswerKind::Refused => SiteCode::Refused,
        };
        SiteReply { code, text }
    }

    /// One short line; a log that cannot be written must not stop the service.
    fn notice(&self, notice: &Notice) {
        let path = self.0.home.root().join("logs/receiver.log");
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut log| writeln!(log, "{} {notice:?}", Timestamp::now()))
            .map_err(HomeError::io("write", &path));
        drop(written);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::home::AgentConfig;

    #[test]
    fn clear_text_needs_its_password_file_and_says_how_to_make_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = AgentConfig::named("VM01");
        config.clear_text_allowed = true;
        let home = Home::create(dir.path(), &config).unwrap();
        let text = security(&home).unwrap_err().to_string();
        for word in ["agent.json", "identity/clear-password", "one line", "mode 0600", "--allow-clear-text"] {
            assert!(text.contains(word), "{text}");
        }

        let path = home.ensure_clear_password().unwrap();
        assert!(matches!(security(&home), Ok(Security::ClearAllowed { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(security(&home), Err(RunError::ClearPassword { .. })), "open to others");
    }
}
