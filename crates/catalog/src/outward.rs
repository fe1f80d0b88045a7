//! Asking others: the gateway, discovery, and services for their documents.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::client::legacy::Error;
use tender_certificate::KeyEntry;
use tender_certificate::tls::{Roots, TlsError, VerifyMode, client_config};
use tender_http::{BoxError, Bytes, Client, Reach};

/// How others are reached, and by what they are trusted.
#[derive(Debug, Clone)]
pub struct Outward {
    /// How much of their certificates is checked.
    pub mode: VerifyMode,
    /// Authorities that are trusted.
    pub roots: Roots,
    /// What is shown to them.
    pub identity: Option<KeyEntry>,
    /// How long a whole answer may take.
    pub timeout: Duration,
}

/// Connections to others, kept for the next question.
#[derive(Debug)]
pub(crate) struct Asker {
    client: Client,
    timeout: Duration,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silence {
    #[error("it cannot be reached")]
    Unreachable(#[source] Error),
    #[error("there is no whole answer after {} seconds", .0.as_secs_f32())]
    Late(Duration),
    #[error("the answer has more than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the answer broke off")]
    Broken(#[source] BoxError),
}

impl Asker {
    pub(crate) fn new(outward: &Outward, reach: Reach) -> Result<Self, TlsError> {
        let tls = client_config(outward.mode, outward.roots.clone(), outward.identity.as_ref())?;
        let client = tender_http::client(tls, outward.timeout, reach);
        Ok(Self { client, timeout: outward.timeout })
    }

    /// Asks, and reads the answer to its end; redirects are answers like others.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>, limit: usize) -> Result<Told, Silence> {
        let whole = async {
            let (head, body) = self.client.request(request).await.map_err(understood)?.into_parts();
            let body = Limited::new(body, limit).collect().await.map_err(|error| {
                let is_limit = error.is::<LengthLimitError>();
                if is_limit { Silence::TooLarge { limit } } else { Silence::Broken(error) }
            })?;
            Ok(Told { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        tokio::time::timeout(self.timeout, whole).await.map_err(|_| Silence::Late(self.timeout))?
    }
}

fn understood(error: Error) -> Silence {
    if error.is_connect() { Silence::Unreachable(error) } else { Silence::Broken(error.into()) }
}
