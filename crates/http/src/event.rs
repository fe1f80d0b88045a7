//! What happens to a server outside of requests.

use std::collections::HashMap;
use std::fmt;
use std::mem::Discriminant;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::message::chain;
use crate::tls::TlsError;

/// Where events go.
pub type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;

/// Something that an administrator may have to know.
#[derive(Debug)]
pub enum Event {
    /// A client did not get through the TLS handshake.
    Handshake {
        /// Who.
        client: SocketAddr,
        /// Why, in a sentence that names what to look at.
        reason: String,
    },
    /// A connection was closed because there are too many.
    TooMany {
        /// Who.
        client: SocketAddr,
        /// The limit that was reached.
        limit: usize,
        /// The limit is that of one address.
        is_of_address: bool,
    },
    /// The system gives no more connections, for instance because the process has no file descriptors left.
    Accept {
        /// Why.
        source: std::io::Error,
    },
    /// Certificates were read again and are used for new connections.
    Reloaded {
        /// Whom the certificate names.
        subject: String,
        /// Whole days until it ends.
        days_left: i64,
    },
    /// Certificates have changed and cannot be used; those of before stay.
    NotReloaded {
        /// Why.
        source: TlsError,
    },
    /// The certificate ends soon, or has ended.
    Expiring {
        /// Whom it names.
        subject: String,
        /// Whole days until it ends; negative when it has ended.
        days_left: i64,
    },
    /// Events of one kind were left out, because there were many in a short time; one of that kind follows.
    LeftOut {
        /// How many.
        count: u64,
    },
    /// A connection ended in the middle of something.
    Connection {
        /// Who.
        client: SocketAddr,
        /// Why.
        reason: String,
    },
}

impl Event {
    /// Says whether it is worth a line in every log, rather than only when somebody looks for a fault.
    #[must_use]
    pub fn is_notable(&self) -> bool {
        !matches!(self, Self::Connection { .. })
    }
}

/// Lets one event of each kind pass a second, so that no crowd of clients fills the log; what was left out is counted, and
/// the count told before the next of that kind.
#[must_use]
pub fn calmed(sink: EventSink) -> EventSink {
    let begun = Instant::now();
    calmed_by(sink, move || begun.elapsed())
}

/// As [`calmed`], with the time since its begin as `clock` has it.
fn calmed_by(sink: EventSink, clock: impl Fn() -> Duration + Send + Sync + 'static) -> EventSink {
    const INTERVAL: Duration = Duration::from_secs(1);
    let kinds: Mutex<HashMap<Discriminant<Event>, (Duration, u64)>> = Mutex::default();
    Arc::new(move |event| {
        let left_out = {
            let mut kinds = kinds.lock().unwrap_or_else(PoisonError::into_inner);
            let now = clock();
            match kinds.get_mut(&std::mem::discriminant(event)) {
                Some((last, left_out)) if now.saturating_sub(*last) < INTERVAL => {
                    *left_out += 1;
                    return;
                }
                Some(known) => std::mem::replace(known, (now, 0)).1,
                None => {
                    kinds.insert(std::mem::discriminant(event), (now, 0));
                    0
                }
            }
        };
        if left_out > 0 {
            sink(&Event::LeftOut { count: left_out });
        }
        sink(event);
    })
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake { client, reason } => write!(f, "TLS handshake with {client} failed: {reason}"),
            Self::TooMany { client, limit, is_of_address } => {
                let whose = if *is_of_address { "of this address" } else { "of this server" };
                write!(f, "connection of {client} closed: there are {limit} {whose}, the most there may be")
            }
            Self::Accept { source } => write!(f, "no connection can be taken: {source}"),
            Self::Reloaded { subject, days_left } => {
                write!(f, "certificate read again: `{subject}`, valid for {days_left} more days")
            }
            Self::NotReloaded { source } => {
                write!(f, "changed certificates are not used: {}", chain(source))
            }
            Self::Expiring { subject, days_left: ..0 } => {
                write!(f, "certificate `{subject}` has ended; renew it with `tender certificate renew`")
            }
            Self::Expiring { subject, days_left } => {
                write!(
                    f,
                    "certificate `{subject}` ends in {days_left} days; renew it with `tender certificate renew`"
                )
            }
            Self::LeftOut { count } => write!(f, "{count} more were not told, the last was like this:"),
            Self::Connection { client, reason } => write!(f, "connection of {client} ended: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowd_of_events_is_told_once_and_counted_and_other_kinds_are_not_held_back() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&told);
        let now = Arc::new(Mutex::new(Duration::ZERO));
        let clock = Arc::clone(&now);
        let sink =
            calmed_by(Arc::new(move |event| keep.lock().unwrap().push(event.to_string())), move || {
                *clock.lock().unwrap()
            });
        let client: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let too_many = Event::TooMany { client, limit: 1, is_of_address: false };
        for _ in 0..1000 {
            sink(&too_many);
        }
        sink(&Event::Handshake { client, reason: "x".to_owned() });
        assert_eq!(told.lock().unwrap().len(), 2);
        *now.lock().unwrap() = Duration::from_secs(1);
        sink(&too_many);
        assert_eq!(
            told.lock().unwrap()[2..],
            [Event::LeftOut { count: 999 }.to_string(), too_many.to_string()]
        );
        *now.lock().unwrap() = Duration::from_secs(2);
        sink(&too_many);
        assert_eq!(told.lock().unwrap().len(), 5, "none was left out since");
    }
}
