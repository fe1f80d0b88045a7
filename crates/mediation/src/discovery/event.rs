//! What happens to a registry that an administrator may want to know.

mod cluster;

use std::fmt;
use std::sync::Arc;

use tender_config::Problem;

use super::rules::Forbidden;

pub use cluster::ClusterEvent;

/// Where events go.
pub type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// An instance is new or has changed its status.
    Registered {
        /// The service.
        app: String,
        /// The instance.
        id: String,
        /// How it is.
        status: &'static str,
        /// Whom the certificate of its announcement names.
        subject: Option<String>,
    },
    /// An instance said good-bye.
    Cancelled {
        /// The service.
        app: String,
        /// The instance.
        id: String,
    },
    /// An instance was taken away because it was silent.
    Evicted {
        /// The service.
        app: String,
        /// The instance.
        id: String,
    },
    /// So few heartbeats arrive that nobody is taken away, or no longer so few.
    Preserving {
        /// How many are silent and stay; 0 when it is over.
        silent: usize,
    },
    /// Somebody may not announce or change a service.
    Forbidden {
        /// The service.
        app: String,
        /// Whom the certificate names.
        subject: Option<String>,
        /// Why.
        why: Forbidden,
    },
    /// Static definitions were read.
    Statics {
        /// Instances that they make.
        instances: usize,
        /// Problems in them.
        problems: usize,
    },
    /// Something is wrong with a static definition.
    Definition(Problem),
    /// What another server knows was taken over at the start.
    PeerFetched {
        /// Where it is.
        address: String,
        /// How many instances it told.
        instances: usize,
    },
    /// Another server cannot be asked or told; what it is to be told waits.
    PeerLost {
        /// Where it is.
        address: String,
        /// Why.
        reason: String,
    },
    /// Another server that was lost is told again.
    PeerFound {
        /// Where it is.
        address: String,
    },
    /// Something about the registry that servers share.
    Cluster(ClusterEvent),
    /// Another server does not take something that it was told.
    PeerRefuses {
        /// Where it is.
        address: String,
        /// The status of its answer.
        code: u64,
    },
    /// A gateway does not take that something has changed; told once.
    GatewayNotTold {
        /// Its instance.
        id: String,
        /// Why, down to the cause.
        reason: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { app, id, status, subject } => {
                write!(f, "instance `{}` of {} is {status}", id.escape_debug(), app.escape_debug())?;
                match subject {
                    Some(subject) => write!(f, ", announced by `{}`", subject.escape_debug()),
                    None => Ok(()),
                }
            }
            Self::Cancelled { app, id } => {
                write!(f, "instance `{}` of {} has ended", id.escape_debug(), app.escape_debug())
            }
            Self::Evicted { app, id } => {
                write!(
                    f,
                    "instance `{}` of {} was silent and is taken away",
                    id.escape_debug(),
                    app.escape_debug()
                )
            }
            Self::Preserving { silent: 0 } => f.write_str("silent instances are taken away again"),
            Self::Preserving { silent } => {
                write!(
                    f,
                    "{silent} instances are silent at once, perhaps the network is broken: none is taken away"
                )
            }
            Self::Forbidden { app, subject, why } => {
                let subject = subject.as_deref().unwrap_or("nobody");
                write!(
                    f,
                    "{} may not be announced or changed by `{}`: {why}",
                    app.escape_debug(),
                    subject.escape_debug()
                )
            }
            Self::Statics { instances, problems: 0 } => {
                write!(f, "static definitions: {instances} instances")
            }
            Self::Statics { instances, problems } => {
                write!(f, "static definitions: {instances} instances, {problems} problems")
            }
            Self::Definition(problem) => problem.fmt(f),
            Self::PeerFetched { address, instances } => {
                write!(f, "{instances} instances were taken over from {address}")
            }
            Self::PeerLost { address, reason } => {
                write!(f, "{address} is not told what is new until it answers: {reason}")
            }
            Self::PeerFound { address } => write!(f, "{address} is told again what is new"),
            Self::Cluster(event) => event.fmt(f),
            Self::PeerRefuses { address, code } => {
                write!(f, "{address} does not take an instance that it was told of: {code}")
            }
            Self::GatewayNotTold { id, reason } => {
                write!(f, "gateway `{}` is not told of changes: {reason}", id.escape_debug())
            }
        }
    }
}
