//! Tickets for applications, and whether a user may do something.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Answered, Asked, Refused, denied, empty, error, no_certificate, refused};
use crate::auth::provider::Access;
use crate::auth::{AuthSettings, Denied, user};
use crate::service::{Event, json_answer};

/// The longest name of an application, in characters.
const APPLICATION_MAX: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TicketWanted {
    application_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessWanted {
    resource_class: String,
    resource_name: String,
    access_level: String,
}

impl AuthSettings {
    /// Makes a ticket; for services, which show a certificate beside the token of their user.
    pub(super) async fn ticket(&self, asked: Asked<'_>) -> Answered {
        if asked.peer.certificate_of(asked.headers).is_none() {
            return Err(no_certificate());
        }
        let token = user(self, asked.headers, super::OWN_SERVICE, super::now_s());
        let (claims, token) = token.map_err(|why| super::unaccepted(&why))?;
        let tell = asked.tell;
        let wanted = asked.json::<TicketWanted>().await;
        let is_name = |name: &String| {
            (1..=APPLICATION_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let application = wanted.map(|wanted| wanted.application_name).filter(is_name).ok_or_else(|| {
            error(
                StatusCode::BAD_REQUEST,
                "ZWEAG140E",
                "org.zowe.apiml.security.ticket.invalidApplicationName",
                "`applicationName` must have 1 to 8 letters and digits",
            )
        })?;
        let ticket = self.ticket_for(&claims.sub, &application, tell).await.map_err(|why| match why {
            Denied::Unavailable { .. } => denied(&why),
            why => no_ticket(&why.outside()),
        })?;
        Ok(json_answer(&json!({
            "token": token, "userId": claims.sub, "applicationName": application, "ticket": ticket,
        })))
    }

    /// Makes a ticket; an administrator is told when that is not for users to mend.
    pub(crate) async fn ticket_for(
        &self,
        user: &str,
        application: &str,
        tell: &(dyn Fn(&Event) + Sync),
    ) -> Result<String, Denied> {
        let made = self.provider.ticket(user, application).await;
        if let Some(reason) = made.as_ref().err().and_then(Denied::reason) {
            let (application, reason) = (application.to_owned(), reason.to_owned());
            tell(&Event::NoTicket { application, reason });
        }
        made
    }

    /// Says whether the user may do something with a resource: 204, or 401.
    pub(super) async fn check(&self, asked: Asked<'_>) -> Answered {
        let claims = self.caller(asked.headers)?;
        let tell = asked.tell;
        let wanted: AccessWanted = asked.json().await.ok_or_else(|| {
            error(
                StatusCode::BAD_REQUEST,
                "ZWEAG121E",
                "org.zowe.apiml.security.login.invalidInput",
                "Give `resourceClass`, `resourceName` and `accessLevel`",
            )
        })?;
        let access = Access {
            class: &wanted.resource_class,
            resource: &wanted.resource_name,
            level: &wanted.access_level,
        };
        if self.provider.allows(&claims.sub, access).await.map_err(|why| refused(&why, tell))? {
            Ok(empty(StatusCode::NO_CONTENT))
        } else {
            Err(unauthorized(&claims.sub, access))
        }
    }
}

fn no_ticket(why: &str) -> Refused {
    error(
        StatusCode::INTERNAL_SERVER_ERROR,
        "ZWEAG141E",
        "org.zowe.apiml.security.ticket.generateFailed",
        &format!("No ticket could be made: {why}"),
    )
}

/// To see what is registered.
const LISTING: Access<'static> = Access { class: "ZOWE", resource: "APIML.SERVICES", level: "READ" };

impl AuthSettings {
    /// Says why a user may not see what is registered; nothing when he may. Source: the reference's 3.12.
    pub(crate) async fn hidden_from(&self, user: &str, tell: &(dyn Fn(&Event) + Sync)) -> Option<Refused> {
        if !self.provider.knows_rights() {
            return None;
        }
        match self.provider.allows(user, LISTING).await {
            Ok(true) => None,
            Ok(false) => Some(forbidden(&format!(
                "`{user}` may not see services; that takes READ to APIML.SERVICES in the class ZOWE"
            ))),
            // It answers for the class that it was told, and that is another.
            Err(Denied::NotOffered) => Some(forbidden(&format!(
                "Nobody can say whether `{user}` may see services: ZWES.AUTH.CLASS of the cross-memory server is not ZOWE"
            ))),
            Err(why) => Some(refused(&why, tell)),
        }
    }
}

fn forbidden(text: &str) -> Refused {
    error(StatusCode::FORBIDDEN, "ZWEAT403E", "org.zowe.apiml.security.forbidden", text)
}

/// Says that a user may not.
pub(super) fn unauthorized(user: &str, access: Access<'_>) -> Refused {
    let Access { class, resource, level } = access;
    error(
        StatusCode::UNAUTHORIZED,
        "ZWEAG711E",
        "org.zowe.apiml.security.unauthorized",
        &format!("`{user}` has no access {level} to {resource} of the class {class}"),
    )
}
