//! Tickets, tokens and the bound on guessing.

use tender_identity::{
    CheckThrottle, CheckThrottleOptions, Moment, TicketOptions, TicketService, TokenOptions, TokenService,
};

use crate::link::Begin;
use crate::role::chain;

/// What proves who somebody is.
#[derive(Debug)]
pub(crate) struct Proofs {
    pub(crate) tickets: TicketService,
    pub(crate) tokens: TokenService,
    pub(crate) throttle: CheckThrottle,
    attempts_max: u32,
}

impl Proofs {
    /// Opens keys and journals below the server's state, making them at the first start.
    pub(crate) fn open(begin: &Begin) -> Result<Self, String> {
        let directory = begin.state.join("keys");
        let moment = Moment::now();
        let server = begin.server.parse().map_err(|error| format!("{error}"))?;
        let tokens = TokenService::open(&directory, server, TokenOptions::default(), moment);
        let tickets = TicketService::open(&directory, TicketOptions::default(), moment);
        Ok(Self {
            tokens: tokens.map_err(|error| chain(&error))?,
            tickets: tickets.map_err(|error| chain(&error))?,
            throttle: throttle(begin.settings.auth_attempts_max),
            attempts_max: begin.settings.auth_attempts_max,
        })
    }

    /// Sets how many wrong passwords in a row a caller may try for a user; another number begins to count anew.
    pub(crate) fn set_attempts(&mut self, attempts_max: u32) {
        if attempts_max != self.attempts_max {
            (self.throttle, self.attempts_max) = (throttle(attempts_max), attempts_max);
        }
    }
}

/// Bounds wrong passwords: so many of one caller for one user, and as many or more where either is counted alone.
fn throttle(attempts_max: u32) -> CheckThrottle {
    let mut options = CheckThrottleOptions::default();
    options.pair.burst = attempts_max;
    for alone in [&mut options.caller, &mut options.subject] {
        alone.burst = alone.burst.max(attempts_max);
    }
    CheckThrottle::new(options)
}
