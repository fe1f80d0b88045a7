//! The cross-memory server, which asks PAM: the gateway needs no privilege for it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tender_xmem::client::{Client, Options, ServiceError};
use tender_xmem::code::AuthCode;
use tender_xmem::handshake::ServerName;
use tender_xmem::service::{Auth, AuthAnswer, Secret};

use super::{Denied, Provider, Verified};

/// Asks a cross-memory server.
#[derive(Debug, Clone)]
pub struct CrossMemory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: ServerName,
    options: Options,
    /// Made at the first log-in: the server may be started later than the gateway.
    client: Mutex<Option<Arc<Client>>>,
}

impl CrossMemory {
    /// Uses the server of a name.
    #[must_use]
    pub fn new(server: ServerName, options: Options) -> Self {
        Self(Arc::new(Inner { server, options, client: Mutex::new(None) }))
    }

    fn check_now(&self, user: &str, password: String) -> Result<(), Denied> {
        let unavailable =
            |error: &dyn std::error::Error| Denied::Unavailable { reason: tender_http::chain(error) };
        let client = self.client().map_err(|error| unavailable(&error))?;
        let request = Auth::Password { user: user.to_owned(), password: Secret::new(password) };
        match client.services().auth(&request) {
            Ok(_) => Ok(()),
            Err(ServiceError::Service { code, payload, .. }) => Err(understood(code, &payload)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    fn client(&self) -> Result<Arc<Client>, tender_xmem::client::CallError> {
        let mut kept = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*kept {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(Client::connect(self.0.server.clone(), self.0.options.clone())?);
        *kept = Some(Arc::clone(&client));
        Ok(client)
    }
}

/// Understands a refusal: the numbers of the security manager say more than the code.
fn understood(code: u32, payload: &[u8]) -> Denied {
    if !matches!(
        AuthCode::from_number(code),
        Some(AuthCode::CreateFailed | AuthCode::Refused | AuthCode::Empty)
    ) {
        let text = AuthCode::from_number(code).map_or("another code than those known", AuthCode::text);
        return Denied::Unavailable { reason: format!("the cross-memory server answers: {text} ({code})") };
    }
    let status =
        serde_json::from_slice::<AuthAnswer>(payload).map(|answer| answer.status).unwrap_or_default();
    match status.racf {
        12 => Denied::Expired,
        28 => Denied::TooMany,
        _ => Denied::Wrong,
    }
}

#[async_trait]
impl Provider for CrossMemory {
    async fn check(&self, user: &str, password: &str) -> Result<Verified, Denied> {
        let (this, name, password) = (self.clone(), user.to_owned(), password.to_owned());
        let checked = tokio::task::spawn_blocking(move || this.check_now(&name, password)).await;
        checked.map_err(|_| Denied::Unavailable { reason: "the check broke off".to_owned() })??;
        Ok(Verified { user: user.to_owned(), domain: "security-domain".to_owned(), lifetime_s: None })
    }
}
