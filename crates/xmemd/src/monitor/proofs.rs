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
            throttle: CheckThrottle::new(CheckThrottleOptions::default()),
        })
    }
}
