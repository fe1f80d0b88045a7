//! The cross-memory server, which asks PAM: the gateway needs no privilege for it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tender_xmem::client::{Client, Options, ServiceError};
use tender_xmem::code::{AuthCode, CmsCode, TicketCode};
use tender_xmem::handshake::ServerName;
use tender_xmem::service::{Auth, AuthAnswer, Level, Secret, Ticket, TicketAnswer};

use super::{Access, Denied, Provider, Turns, Verified};

/// Checks of passwords at a time; PAM makes wrong ones wait.
const CHECKS_MAX: usize = 16;
/// Other questions at a time: they are answered at once, and not kept up by who tries passwords.
const QUESTIONS_MAX: usize = 16;

/// Asks a cross-memory server.
#[derive(Debug, Clone)]
pub struct CrossMemory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: ServerName,
    options: Options,
    checks: Turns,
    questions: Turns,
    /// Made at the first log-in: the server may be started later than the gateway.
    client: Mutex<Option<Arc<Client>>>,
}

impl CrossMemory {
    /// Uses the server of a name.
    #[must_use]
    pub fn new(server: ServerName, options: Options) -> Self {
        let (checks, questions) = (Turns::new(CHECKS_MAX), Turns::new(QUESTIONS_MAX));
        Self(Arc::new(Inner { server, options, checks, questions, client: Mutex::new(None) }))
    }

    fn check_now(&self, user: String, password: String) -> Result<(), Denied> {
        let request = Auth::Password { user, password: Secret::new(password) };
        match self.client()?.services().auth(&request) {
            Ok(_) => Ok(()),
            Err(ServiceError::Service { code, payload, .. }) => Err(understood(code, &payload)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    fn ticket_now(&self, user: String, application: String) -> Result<String, Denied> {
        match self.client()?.services().ticket(&Ticket::Generate { user, application }) {
            Ok(TicketAnswer::Generated { ticket, .. }) => Ok(ticket.expose().to_owned()),
            Ok(TicketAnswer::Evaluated {}) => Err(Denied::Unavailable {
                reason: "the cross-memory server answers another question".to_owned(),
            }),
            Err(error) => Err(of_ticket(&error)),
        }
    }

    fn allows_now(&self, request: &Auth) -> Result<bool, Denied> {
        match self.client()?.services().auth(request) {
            Ok(_) => Ok(true),
            // There is no such user, or no rule that lets him.
            Err(ServiceError::Service { code, .. })
                if matches!(
                    AuthCode::from_number(code),
                    Some(AuthCode::CreateFailed | AuthCode::Refused | AuthCode::NoDecision)
                ) =>
            {
                Ok(false)
            }
            // Of the class that it was told, the server answers questions, and of no other.
            Err(ServiceError::Service { code, .. })
                if matches!(
                    AuthCode::from_number(code),
                    Some(AuthCode::ClassNotRead | AuthCode::ClassNotAllowed)
                ) =>
            {
                Err(Denied::NotOffered)
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    fn client(&self) -> Result<Arc<Client>, Denied> {
        let mut kept = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*kept {
            return Ok(Arc::clone(client));
        }
        let client = Client::connect(self.0.server.clone(), self.0.options.clone());
        let client = Arc::new(client.map_err(|error| unavailable(&error))?);
        *kept = Some(Arc::clone(&client));
        Ok(client)
    }
}

fn unavailable(error: &dyn std::error::Error) -> Denied {
    Denied::Unavailable { reason: tender_http::chain(error) }
}

/// Says why there is no ticket: the rules are in the way, there were too many, or nobody can say.
fn of_ticket(error: &ServiceError) -> Denied {
    match error {
        ServiceError::Call { source, .. } if source.code() == Some(CmsCode::PermissionDenied) => {
            Denied::NotPermitted { reason: tender_http::chain(error) }
        }
        ServiceError::Service { code, .. } if TicketCode::from_number(*code) == Some(TicketCode::TooMany) => {
            Denied::TooMany
        }
        _ => unavailable(error),
    }
}

fn level(name: &str) -> Option<Level> {
    serde_json::from_value(serde_json::Value::String(name.to_ascii_uppercase())).ok()
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
    match (status.racf, status.reason) {
        (12, _) => Denied::Expired,
        // The same number stands for a user who is locked, and for one of whom too many passwords were wrong.
        (28, _) => Denied::Locked,
        (8, 8) => Denied::Unavailable { reason: "the cross-memory server cannot ask PAM".to_owned() },
        _ => Denied::Wrong,
    }
}

#[async_trait]
impl Provider for CrossMemory {
    async fn check(&self, user: &str, password: &str) -> Result<Verified, Denied> {
        let (this, name, password) = (self.clone(), user.to_owned(), password.to_owned());
        self.0.checks.check(move || this.check_now(name, password)).await?;
        Ok(Verified { user: user.to_owned(), domain: "security-domain".to_owned(), lifetime_s: None })
    }

    async fn ticket(&self, user: &str, application: &str) -> Result<String, Denied> {
        let (this, user, application) = (self.clone(), user.to_owned(), application.to_owned());
        self.0.questions.check(move || this.ticket_now(user, application)).await
    }

    fn knows_rights(&self) -> bool {
        true
    }

    async fn allows(&self, user: &str, access: Access<'_>) -> Result<bool, Denied> {
        // A level that does not exist is nobody's.
        let Some(level) = level(access.level) else { return Ok(false) };
        let (class, entity) = (access.class.to_owned(), access.resource.to_owned());
        let (this, request) = (self.clone(), Auth::Entity { user: user.to_owned(), class, entity, level });
        self.0.questions.check(move || this.allows_now(&request)).await
    }
}
