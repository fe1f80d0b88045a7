//! One conversation, from accepting the connection to its end.

use std::{io, net::SocketAddr, sync::Arc, thread, time::Duration};

use libunftp::{
    ServerBuilder,
    options::{ActivePassiveMode, FtpsRequired, SiteMd5},
};
use rustix::{io::fcntl_dupfd_cloexec, net::Shutdown};
use tokio::{
    net::TcpStream,
    sync::{oneshot, watch},
};
use unftp_core::auth::DefaultUser;

use super::{
    Limits, Notice, Security, ServeConfig, SiteWords,
    activity::Activity,
    login::{Bans, Gate},
    ports::{self, PassivePorts},
    storage::Storage,
    tls,
    tree::Tree,
    words::WordHandler,
};

const WATCH_EVERY: Duration = Duration::from_millis(250);
/// How long a conversation that was cut may take to notice.
const CUT_GRACE: Duration = Duration::from_secs(1);
/// One for the file, one for a word, and one to spare.
const BLOCKING_THREADS_MAX: usize = 3;

const GREETING: &str = "Tender CSMSERVE ready; TLS is required";
const GREETING_CLEAR: &str = "Tender CSMSERVE ready; WARNING: CLEAR TEXT IS ALLOWED HERE. Without AUTH TLS this \
    session is NOT PROTECTED: anyone on the way can read and change everything, the password included";
const GREETING_ENROLMENT: &str = "Tender CSMSERVE ready to be enrolled; TLS is required";

/// What all conversations share.
pub(super) struct Hall {
    pub(super) config: ServeConfig,
    pub(super) tree: Arc<Tree>,
    pub(super) bans: Arc<Bans>,
    pub(super) words: Arc<dyn SiteWords>,
    pub(super) closing: watch::Receiver<bool>,
}

/// Says why there will be no conversation; a client that does not listen misses it.
pub(super) fn turn_away(stream: &TcpStream, why: &str) {
    stream.try_write(format!("421 {why}\r\n").as_bytes()).ok();
}

/// Begins a conversation on a thread and a runtime of its own; the receiver hears when it is over.
///
/// `libunftp` tells its control loop to go over to TLS through a task it spawns on answering AUTH. Where that
/// task can run on another thread than the loop, a quick client's first TLS record is now and then read as an
/// FTP command and the handshake fails. On a runtime with one thread the task has run before the loop looks
/// at the socket again. And when such a runtime is dropped everything that a conversation has left behind, a
/// stalled data connection for one, goes with it.
pub(super) fn start(
    stream: TcpStream,
    peer: SocketAddr,
    hall: Arc<Hall>,
) -> io::Result<oneshot::Receiver<()>> {
    let stream = stream.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()?;
    let (over_tx, over) = oneshot::channel();
    thread::Builder::new().name("conversation".to_owned()).spawn(move || {
        runtime.block_on(converse(stream, peer, &hall));
        // Lets a block of a file be written to its end; a word that takes longer is left to itself.
        runtime.shutdown_timeout(CUT_GRACE);
        drop(over_tx);
    })?;
    Ok(over)
}

/// Talks with one client until either end or the watch has had enough.
async fn converse(stream: std::net::TcpStream, peer: SocketAddr, hall: &Hall) {
    let activity = Arc::new(Activity::default());
    // It was registered with a runtime before, so nothing but a lack of resources can fail here.
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    // A second handle to the same connection: the one thing with which a conversation can be ended from
    // outside.
    let (Ok(leash), Ok(())) = (fcntl_dupfd_cloexec(&stream, 0), ports::tune(&stream)) else {
        return turn_away(&stream, "out of resources; try again later");
    };
    let server = match server(hall, peer, &activity) {
        Ok(server) => server,
        Err(why) => {
            hall.words.notice(&Notice::Unprepared { peer, why });
            return turn_away(&stream, "this system's certificate cannot be used; see its log");
        }
    };
    let mut closing = hall.closing.clone();
    let service = server.service(stream);
    tokio::pin!(service);
    let why = tokio::select! {
        _ = &mut service => None,
        why = watch(&activity, &hall.config.limits) => Some(why),
        _ = closing.wait_for(|&is_closing| is_closing) => Some("the server stops"),
    };
    let Some(why) = why else {
        if !activity.is_logged_in() {
            hall.words.notice(&Notice::LeftBeforeLogin { peer });
        }
        return;
    };
    hall.words.notice(&Notice::Cut { peer, why });
    // Fails only when the other end has gone already.
    rustix::net::shutdown(&leash, Shutdown::Both).ok();
    tokio::time::timeout(CUT_GRACE, service).await.ok();
}

/// Comes back when the conversation has overstayed.
async fn watch(activity: &Activity, limits: &Limits) -> &'static str {
    let login_timeout = Duration::from_millis(limits.login_timeout_ms);
    let idle_timeout = Duration::from_millis(limits.idle_timeout_ms);
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        if !activity.is_logged_in() && activity.age() > login_timeout {
            return "not logged in in time";
        }
        if activity.idle() > idle_timeout {
            return "idle for too long";
        }
    }
}

fn server(
    hall: &Hall,
    peer: SocketAddr,
    activity: &Arc<Activity>,
) -> Result<libunftp::Server<Storage, DefaultUser>, String> {
    let config = &hall.config;
    let tls = tls::server_config(&config.security, activity).map_err(|error| explain(&error))?;
    let (greeting, required) = match &config.security {
        Security::Required { .. } => (GREETING, FtpsRequired::All),
        Security::ClearAllowed { .. } => (GREETING_CLEAR, FtpsRequired::None),
        Security::Enrolment { .. } => (GREETING_ENROLMENT, FtpsRequired::All),
    };
    let gate = Gate {
        security: config.security.clone(),
        peer,
        bans: Arc::clone(&hall.bans),
        activity: Arc::clone(activity),
        words: Arc::clone(&hall.words),
    };
    let storage = Storage {
        tree: Arc::clone(&hall.tree),
        activity: Arc::clone(activity),
        is_protected: required == FtpsRequired::All,
        stall_timeout: Duration::from_millis(config.limits.stall_timeout_ms),
    };
    // The watch above ends idle conversations; libunftp's own clock, in whole seconds, only says goodbye
    // politely.
    let idle_seconds = config.limits.idle_timeout_ms.div_ceil(1000).max(1);
    let mut builder = ServerBuilder::with_authenticator(Box::new(move || storage.clone()), Arc::new(gate))
        .greeting(greeting)
        .ftps_manual::<&str>(tls)
        .ftps_required(required, required)
        .idle_session_timeout(idle_seconds)
        .passive_ports(config.passive_ports.clone())
        .active_passive_mode(ActivePassiveMode::PassiveOnly)
        .binder(PassivePorts)
        .sitemd5(SiteMd5::None);
    if let Some(host) = config.passive_host {
        builder = builder.passive_host(host);
    }
    for word in hall.words.words() {
        let handler = WordHandler { words: Arc::clone(&hall.words), activity: Arc::clone(activity) };
        builder = builder.site_command(word, handler);
    }
    builder.build().map_err(|error| explain(&error))
}

/// An error with all its causes, for a log line.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
