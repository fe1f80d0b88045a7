//! CSMSERVE: the dedicated server of a managed system.
//!
//! One user, CSMWORK, may log in, with a certificate of the principal's authority. It sees one directory and
//! nothing beside or above it, may fill it up to a quota, and may say the words that the caller has
//! registered. Nothing it sends is executed here.
//!
//! The FTP protocol itself is `libunftp`'s. What that leaves open is closed here: connections are counted and
//! watched (`session`), the passive port is handed out by one party at a time (`ports`), data that did not
//! come over TLS is refused (`activity`), and paths are resolved by the kernel below the root (`tree`).

mod activity;
mod login;
mod ports;
mod session;
mod storage;
mod tls;
mod tree;
mod words;

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot, watch},
    task::JoinSet,
};

pub use self::login::read_password;
pub use self::words::{Notice, SiteCode, SiteReply, SiteWords};
use self::{login::Bans, session::Hall, tree::Tree};
use crate::{CONTROL_PORT, DATA_PORT, identity::IdentityError};

/// How long open conversations may take to end after the server was told to stop.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long to wait before accepting again when the machine has run out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whom the server lets in, and how.
#[derive(Clone)]
pub enum Security {
    /// TLS with CSMWORK's certificate, always.
    Required {
        /// The directory of this system's identity; read anew for every connection, so that a renewal needs
        /// no restart.
        identity: PathBuf,
    },
    /// As above, but whoever knows the password may come in the clear. The greeting says loudly what that
    /// means.
    ClearAllowed {
        /// The directory of this system's identity.
        identity: PathBuf,
        /// The password for a connection without a certificate.
        password: String,
    },
    /// Before enrolment: TLS with a certificate of our own making, CSMWORK with the token's derived password.
    Enrolment {
        /// The directory of this system's identity, which has a key and no certificate yet.
        identity: PathBuf,
        /// The system's name, for its temporary certificate.
        system: String,
        /// The password derived from the join token.
        password: String,
    },
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required { .. } => "Required",
            Self::ClearAllowed { .. } => "ClearAllowed",
            Self::Enrolment { .. } => "Enrolment",
        })
    }
}

/// What CSMWORK may do with the files below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everything, within the limits.
    Full,
    /// Read and write just the files named, relative to the root.
    Only {
        /// Files that may be read.
        read: Vec<String>,
        /// Files that may be written.
        write: Vec<String>,
    },
}

/// A directory from elsewhere that shows up below the root, for reading alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name below the root, one component.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What one principal may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Conversations at the same time.
    pub connections_max: usize,
    /// Failed logins from one address before it is turned away.
    pub failed_logins_max: u32,
    /// How long it is turned away, from its last failure.
    pub ban_ms: u64,
    /// From connecting to being logged in.
    pub login_timeout_ms: u64,
    /// Without a command or a transfer.
    pub idle_timeout_ms: u64,
    /// Without a byte during a transfer.
    pub stall_timeout_ms: u64,
    /// One file.
    pub file_bytes_max: u64,
    /// All files below the root together.
    pub total_bytes_max: u64,
    /// Files and directories below the root.
    pub entries_max: u64,
    /// What must stay free in the file system.
    pub free_bytes_min: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 32,
            failed_logins_max: 5,
            ban_ms: 120_000,
            login_timeout_ms: 15_000,
            idle_timeout_ms: 300_000,
            stall_timeout_ms: 60_000,
            file_bytes_max: 16 << 30,
            total_bytes_max: 64 << 30,
            entries_max: 100_000,
            free_bytes_min: 64 << 20,
        }
    }
}

/// Everything the server needs to know.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Ports for passive data connections; `0..=0` takes any free ones.
    pub passive_ports: RangeInclusive<u16>,
    /// The address to announce to clients that use the older PASV through a translating router.
    pub passive_host: Option<Ipv4Addr>,
    /// The directory CSMWORK works in; it must exist.
    pub root: PathBuf,
    /// Directories shown for reading.
    pub views: Vec<View>,
    /// What may be done below the root.
    pub access: Access,
    /// Whom to let in.
    pub security: Security,
    /// What one may use up.
    pub limits: Limits,
}

impl ServeConfig {
    /// The usual ports on all addresses, full access and the default limits.
    pub fn new(root: PathBuf, security: Security) -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), CONTROL_PORT),
            passive_ports: DATA_PORT..=DATA_PORT,
            passive_host: None,
            root,
            views: Vec::new(),
            access: Access::Full,
            security,
            limits: Limits::default(),
        }
    }
}

/// Where the server turned out to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The control address.
    pub control: SocketAddr,
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The control port is taken or not ours to take.
    #[error("listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The root or a view cannot be opened.
    #[error("serve the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The range of passive ports or the name of a view makes no sense.
    #[error("serve with {what}")]
    Setting {
        /// What is wrong.
        what: String,
    },
    /// The password file for connections in the clear cannot be used.
    #[error("use the password file {}", path.display())]
    Password {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// This system's key or certificate cannot be used.
    #[error("use this system's key and certificate")]
    Identity(#[source] IdentityError),
}

/// Serves until `shutdown` is done; says through `ready` where.
///
/// A conversation that fails, stalls or is attacked ends by itself and disturbs no other. Dropping the future
/// closes the listener and every conversation at once.
pub async fn serve(
    config: ServeConfig,
    words: Arc<dyn SiteWords>,
    ready: oneshot::Sender<Bound>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    check(&config)?;
    let tree = Tree::open(&config)?;
    // Found wrong here rather than by the first client.
    tls::server_config(&config.security, &Arc::default()).map_err(ServeError::Identity)?;
    let failed = |source| ServeError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let control = listener.local_addr().map_err(failed)?;
    let (closing_tx, closing) = watch::channel(false);
    let hall = Arc::new(Hall {
        tree: Arc::new(tree),
        bans: Arc::new(Bans::new(&config.limits)),
        words,
        config,
        closing,
    });
    // Nobody has to be interested.
    ready.send(Bound { control }).ok();
    let mut conversations = accept_until(&listener, &hall, shutdown).await;
    drop(listener);
    closing_tx.send_replace(true);
    let farewell = async { while conversations.join_next().await.is_some() {} };
    // Whoever has not gone by now is on its way out: every socket has been shut down.
    tokio::time::timeout(FAREWELL, farewell).await.ok();
    Ok(())
}

async fn accept_until(
    listener: &TcpListener,
    hall: &Arc<Hall>,
    shutdown: impl Future<Output = ()> + Send,
) -> JoinSet<()> {
    let seats = Arc::new(Semaphore::new(hall.config.limits.connections_max));
    let mut conversations = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return conversations,
            Some(_) = conversations.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if hall.bans.is_banned(peer.ip()) {
            session::turn_away(&stream, "too many failed logins; try again later");
            hall.words.notice(&Notice::TurnedAway { peer, why: "too many failed logins" });
            continue;
        }
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            session::turn_away(&stream, "too many connections; try again later");
            hall.words.notice(&Notice::TurnedAway { peer, why: "too many connections" });
            continue;
        };
        let Ok(over) = session::start(stream, peer, Arc::clone(hall)) else {
            hall.words.notice(&Notice::TurnedAway { peer, why: "out of threads or descriptors" });
            continue;
        };
        conversations.spawn(async move {
            // Hears nothing but the end, which comes as an error because nothing is ever sent.
            over.await.ok();
            drop(seat);
        });
    }
}

fn check(config: &ServeConfig) -> Result<(), ServeError> {
    let range = &config.passive_ports;
    let setting = |what| Err(ServeError::Setting { what });
    if range.is_empty() || (*range.start() == 0 && *range.end() != 0) {
        return setting(format!("passive ports {}-{}", range.start(), range.end()));
    }
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    if let Some(view) = config.views.iter().find(|view| !is_name(&view.name)) {
        return setting(format!("a view named '{}'", view.name.escape_debug()));
    }
    Ok(())
}
