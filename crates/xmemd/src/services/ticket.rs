//! TICKET (21): one-time tickets for a user and an application.
//!
//! Class PTKTDATA, `IRRPTAUTH.<application>.<user>`: UPDATE makes a ticket, READ evaluates one.

use std::os::fd::OwnedFd;

use tender_identity::{ApplicationName, Moment, TicketError, TicketRefusal, UserName};
use tender_saf::AccessLevel;
use tender_xmem::code::{CmsCode, TicketCode};
use tender_xmem::service::{Request as _, Secret, Ticket, TicketAnswer};

use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Step};

const CLASS: &str = "PTKTDATA";

pub(super) fn call(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    let request = match Ticket::decode(payload) {
        Ok(request) => request,
        Err(invalid) => return Answer::not_taken::<Ticket>(&invalid),
    };
    let (Ticket::Generate { user, application } | Ticket::Evaluate { user, application, .. }) = &request;
    let names = (user.to_ascii_uppercase().parse::<UserName>(), application.parse::<ApplicationName>());
    let (Ok(user), Ok(application)) = names else { return Answer::detail(TicketCode::TooLong) };
    let Some(subject) = monitor.subject(asked) else { return Answer::code(CmsCode::Error) };
    let level = match &request {
        Ticket::Generate { .. } => AccessLevel::Update,
        Ticket::Evaluate { .. } => AccessLevel::Read,
    };
    let resource = format!("IRRPTAUTH.{application}.{user}");
    if let Err(step) = monitor.require(asked, &subject, (CLASS, &resource, level)) {
        return step;
    }
    match request {
        Ticket::Generate { .. } => generate(monitor, &user, &application),
        Ticket::Evaluate { ticket, .. } => evaluate(monitor, &user, &application, &ticket),
    }
}

fn generate(monitor: &mut Monitor, user: &UserName, application: &ApplicationName) -> Step {
    let moment = Moment::now();
    let tickets = &mut monitor.proofs().tickets;
    // Who may make tickets for an application has had it defined by whoever permitted that.
    let defined = tickets.define(moment, application);
    match defined.and_then(|_| tickets.generate(moment, user, application)) {
        Ok(ticket) => Answer::json(&TicketAnswer::Generated {
            expires_in_s: u32::try_from(ticket.expires_s.saturating_sub(moment.unix_s)).unwrap_or(u32::MAX),
            ticket: Secret::new(ticket.code.to_string()),
        }),
        Err(TicketError::TooMany) => Answer::detail(TicketCode::TooMany),
        Err(error) => {
            monitor.debug(|| format!("ticket: {}", crate::role::chain(&error)));
            Answer::detail(TicketCode::Application)
        }
    }
}

fn evaluate(monitor: &mut Monitor, user: &UserName, application: &ApplicationName, ticket: &Secret) -> Step {
    let evaluated = monitor.proofs().tickets.evaluate(Moment::now(), user, application, ticket.expose());
    match evaluated {
        Ok(()) => Answer::json(&TicketAnswer::Evaluated {}),
        Err(refusal) => {
            monitor.debug(|| format!("ticket of {user}: {}", crate::role::chain(&refusal)));
            Answer::detail(match refusal {
                TicketRefusal::UnknownApplication { .. } => TicketCode::Application,
                TicketRefusal::Throttled { .. } | TicketRefusal::Full { .. } => TicketCode::TooMany,
                // Which of them it was would tell who guesses how far off the guess is.
                _ => TicketCode::Wrong,
            })
        }
    }
}
