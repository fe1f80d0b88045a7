//! New connections to instances.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::client::conn::http1;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tender_http::{BoxError, Reach};
use tokio::net::TcpStream;
use tower_service::Service as _;

use super::Unanswered;
use super::body::SharedBody;
use super::driven::Driven;
use super::guarded::Guarded;

/// Makes connections, TLS included, within a time.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    https: tender_http::Connector,
    timeout: Duration,
    guarded: Guarded,
}

impl Connector {
    pub(super) fn new(tls: &Arc<ClientConfig>, timeout: Duration, guarded: Guarded) -> Self {
        let https = tender_http::connector((**tls).clone(), timeout, Reach::Registered);
        Self { https, timeout, guarded }
    }

    /// Connects to where an address leads.
    pub(super) async fn connect(
        &self,
        origin: Uri,
    ) -> Result<(http1::SendRequest<SharedBody>, Driven), Unanswered> {
        let connected = tokio::time::timeout(self.timeout, self.https.clone().call(origin)).await;
        let io = match connected {
            Ok(Ok(io)) => io,
            Ok(Err(error)) => return Err(unreachable(error)),
            Err(_) => {
                let text = format!("no connection after {:?}", self.timeout);
                return Err(unreachable(io::Error::new(io::ErrorKind::TimedOut, text).into()));
            }
        };
        let (peer, local) = ends(&io).map_err(|error| Unanswered::Unreachable(error.into()))?;
        let looked = self.guarded.look(peer, local).await;
        looked.map_err(|refused| Unanswered::Unreachable(refused.into()))?;
        let mut builder = http1::Builder::new();
        // Requests are small: one piece is written quicker than a list of them.
        builder.writev(false);
        let made = builder.handshake(io).await;
        let (sender, connection) = made.map_err(|error| Unanswered::Unreachable(error.into()))?;
        Ok((sender, Driven::new(connection.with_upgrades())))
    }
}

/// Returns the two addresses of a connection, the other end's first.
fn ends(io: &MaybeHttpsStream<TokioIo<TcpStream>>) -> io::Result<(SocketAddr, SocketAddr)> {
    let stream = match io {
        MaybeHttpsStream::Http(stream) => stream.inner(),
        MaybeHttpsStream::Https(stream) => stream.inner().get_ref().0.inner().inner(),
    };
    Ok((stream.peer_addr()?, stream.local_addr()?))
}

fn unreachable(error: BoxError) -> Unanswered {
    if is_tls(&*error) { Unanswered::Tls(error) } else { Unanswered::Unreachable(error) }
}

fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // What an error of input and output holds is not among its causes.
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let held = held.map(|held| held as &(dyn std::error::Error + 'static));
    held.or_else(|| error.source()).is_some_and(is_tls)
}
