//! One-time tickets: sixteen characters instead of a password, for one user at one application, once.
//!
//! ```text
//!  K7Q    0Z     4HXW9B2M1RT
//!  time   number authenticator
//! ```
//!
//! - time: the second of issue modulo 36³ (12.96 hours); a ticket is good ten minutes before and after it, as PassTickets are,
//! - number: tells tickets of one second apart,
//! - authenticator: HMAC-SHA-256 under the application's secret over application, user, whole time and number, modulo 36¹¹.
//!
//! Strength: a guess is right with probability 36⁻¹¹ (2⁻⁵⁷), whatever time and number it claims. Ten guesses a minute are
//! evaluated for one user at one application; a year of them succeeds with probability 4·10⁻¹¹. A ticket is as secret as a
//! password while it is good and has not been used: it belongs into the same channels. The application's secrets never leave
//! the server.
//!
//! Each ticket is accepted once. That it was used is on disk before it is accepted, in a file that a server and its
//! replacement share, so that neither a crash nor a change of servers nor a clock set back makes it good again.

mod code;
mod replay;
mod secrets;

use std::collections::HashMap;
use std::path::Path;

use self::code::{Code, NUMBERS};
use self::replay::Replay;
use self::secrets::Secrets;
use crate::clock::{Moment, TimeGuard};
use crate::journal::Journal;
use crate::name::{ApplicationName, UserName};
use crate::random::{self, RandomError};
use crate::throttle::{Rate, Throttle, Throttled};
use crate::vault::{Vault, VaultError};

/// The journal of used tickets.
const USED: &str = "tickets.journal";
/// The widest window that can be configured, in seconds: the time in a ticket must be unambiguous.
const WINDOW_LIMIT_S: u64 = 3600;
/// Users that can be given tickets in one second.
const ISSUED_PER_SECOND_MAX: usize = 65_536;

/// A ticket just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Sixteen characters of A-Z 0-9.
    pub code: String,
    /// From when on it is no longer good, in seconds since 1970.
    pub expires_s: u64,
}

/// How a [`TicketService`] behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketOptions {
    /// How long before and after its second of issue a ticket is good, in seconds; never more than an hour.
    pub window_s: u64,
    /// Used tickets that are remembered; beyond that none is accepted until the oldest run out.
    pub used_max: usize,
    /// How often a wrong ticket of one user may be evaluated at one application.
    pub rate: Rate,
    /// Pairs of user and application whose wrong tickets are counted at once.
    pub pairs_max: usize,
}

impl Default for TicketOptions {
    fn default() -> Self {
        let rate = Rate { burst: 10, per_minute: 10 };
        Self { window_s: 600, used_max: 262_144, rate, pairs_max: 16_384 }
    }
}

/// Says why a ticket could not be made, or the service not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// The files could not be used.
    #[error("the files of one-time tickets")]
    Files {
        /// Why.
        #[source]
        source: VaultError,
    },
    /// There are no random numbers.
    #[error("a ticket cannot be made")]
    Random {
        /// Why.
        #[source]
        source: RandomError,
    },
    /// The application has no secret.
    #[error("application {application} takes no tickets: it is not defined")]
    UnknownApplication {
        /// Which.
        application: ApplicationName,
    },
    /// There are too many applications.
    #[error("there are {max} applications already")]
    TooManyApplications {
        /// How many there may be.
        max: usize,
    },
    /// One second has no more numbers.
    #[error("too many tickets were wanted in one second; try again")]
    TooMany,
    /// The clock shows less than it has shown.
    #[error("the clock is {behind_s} seconds behind what it has shown; set it")]
    ClockBehind {
        /// By how much.
        behind_s: u64,
    },
}

impl From<VaultError> for TicketError {
    fn from(source: VaultError) -> Self {
        Self::Files { source }
    }
}

impl From<RandomError> for TicketError {
    fn from(source: RandomError) -> Self {
        Self::Random { source }
    }
}

/// Says why a ticket is not accepted.
///
/// It is for the audit log and the operator; who presented the ticket is told no more than that it is not accepted, or
/// that it is to wait.
#[derive(Debug, thiserror::Error)]
pub enum TicketRefusal {
    /// Too many wrong tickets were evaluated.
    #[error("too many tickets of this user at this application were wrong")]
    Throttled {
        /// Until when.
        #[source]
        source: Throttled,
    },
    /// Not sixteen characters of A-Z 0-9.
    #[error("it is not a ticket: sixteen characters of A-Z 0-9")]
    Malformed,
    /// The application has no secret.
    #[error("application {application} takes no tickets: it is not defined")]
    UnknownApplication {
        /// Which.
        application: ApplicationName,
    },
    /// Issued too long ago, or too far in the future.
    #[error("the ticket was issued outside of the {window_s} seconds around now")]
    OutsideWindow {
        /// How far away it may be.
        window_s: u64,
    },
    /// For another user or application, or made up.
    #[error("the ticket is not for this user and application")]
    Wrong,
    /// It was used, or may have been.
    #[error("the ticket was used already")]
    Used,
    /// No more used tickets can be remembered.
    #[error(
        "{max} used tickets are remembered, which is all that may be; none is accepted until the oldest run out"
    )]
    Full {
        /// How many can be.
        max: usize,
    },
    /// It cannot be found out whether it was used, or not be written down that it is.
    #[error("whether the ticket was used cannot be found out or kept")]
    Files {
        /// Why.
        #[source]
        source: VaultError,
    },
}

/// Makes and evaluates one-time tickets.
///
/// Several processes may use one directory at once; what one has accepted no other accepts again.
#[derive(Debug)]
pub struct TicketService {
    options: TicketOptions,
    vault: Vault,
    secrets: Secrets,
    used: Journal<Replay>,
    guard: TimeGuard,
    throttle: Throttle<(ApplicationName, UserName)>,
    /// The numbers given out in the present second.
    issued: (u64, HashMap<(ApplicationName, UserName), Numbers>),
}

/// Numbers of one second: where they begin, and how many are gone.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    first: u64,
    gone: u64,
}

impl TicketService {
    /// Opens the directory of secrets, making it if it is not there. It may be that of [`TokenService`](crate::TokenService).
    pub fn open(directory: &Path, options: TicketOptions, moment: Moment) -> Result<Self, TicketError> {
        let options = TicketOptions { window_s: options.window_s.clamp(1, WINDOW_LIMIT_S), ..options };
        let vault = Vault::open(directory)?;
        let secrets = Secrets::open(&vault)?;
        let mut used: Journal<Replay> = Journal::open(&vault, USED)?;
        let guard = TimeGuard::new(moment, used.current(&vault)?.forgotten_s());
        let throttle = Throttle::new(options.rate, options.pairs_max);
        Ok(Self { options, vault, secrets, used, guard, throttle, issued: (0, HashMap::new()) })
    }

    /// Gives an application a secret of its own, if it has none. Returns whether it had none.
    pub fn define(&mut self, moment: Moment, application: &ApplicationName) -> Result<bool, TicketError> {
        self.secrets.define(&self.vault, application, moment.unix_s)
    }

    /// Gives an application another secret: its tickets that were not used yet are void.
    pub fn renew(&mut self, moment: Moment, application: &ApplicationName) -> Result<(), TicketError> {
        self.secrets.renew(&self.vault, application, moment.unix_s)
    }

    /// Takes an application's secret away: it takes no more tickets. Returns whether it had one.
    pub fn remove(&mut self, application: &ApplicationName) -> Result<bool, TicketError> {
        self.secrets.remove(&self.vault, application)
    }

    /// Returns the applications that take tickets.
    pub fn applications(&mut self) -> Result<Vec<ApplicationName>, TicketError> {
        self.secrets.refresh(&self.vault)?;
        Ok(self.secrets.applications().cloned().collect())
    }

    /// Makes a ticket. Whether the caller may have one for this user was decided by the caller.
    pub fn generate(
        &mut self,
        moment: Moment,
        user: &UserName,
        application: &ApplicationName,
    ) -> Result<Ticket, TicketError> {
        self.secrets.refresh(&self.vault)?;
        let behind_s = self.guard.latest_s(moment).saturating_sub(moment.unix_s);
        if behind_s > self.options.window_s / 2 {
            return Err(TicketError::ClockBehind { behind_s });
        }
        if self.secrets.key(application).is_none() {
            return Err(TicketError::UnknownApplication { application: application.clone() });
        }
        let at_s = moment.unix_s;
        let number = self.number(at_s, user, application)?;
        let key = self.secrets.key(application).expect("it was there a moment ago");
        let code = Code::make(key, application, user, at_s, number);
        Ok(Ticket { code: code.as_str().to_owned(), expires_s: at_s.saturating_add(self.options.window_s) })
    }

    /// Returns a number that no ticket of this second has.
    fn number(
        &mut self,
        at_s: u64,
        user: &UserName,
        application: &ApplicationName,
    ) -> Result<u64, TicketError> {
        let (second, pairs) = &mut self.issued;
        if *second != at_s {
            (*second, *pairs) = (at_s, HashMap::new());
        }
        if pairs.len() >= ISSUED_PER_SECOND_MAX {
            return Err(TicketError::TooMany);
        }
        let pair = (application.clone(), user.clone());
        let numbers = match pairs.get_mut(&pair) {
            Some(numbers) => numbers,
            None => {
                // Another process may give out numbers too: both begin somewhere else.
                let first = random::random_u64()? % NUMBERS;
                pairs.entry(pair).or_insert(Numbers { first, gone: 0 })
            }
        };
        if numbers.gone >= NUMBERS {
            return Err(TicketError::TooMany);
        }
        numbers.gone += 1;
        Ok((numbers.first + numbers.gone) % NUMBERS)
    }

    /// Evaluates a ticket; with success it is used up, durably.
    pub fn evaluate(
        &mut self,
        moment: Moment,
        user: &UserName,
        application: &ApplicationName,
        code: &str,
    ) -> Result<(), TicketRefusal> {
        let pair = (application.clone(), user.clone());
        self.throttle.take(moment, &pair).map_err(|source| TicketRefusal::Throttled { source })?;
        self.accept(moment, user, application, code)?;
        // Only wrong ones are counted: a right one cannot be guessed with.
        self.throttle.give_back(moment, &pair);
        Ok(())
    }

    fn accept(
        &mut self,
        moment: Moment,
        user: &UserName,
        application: &ApplicationName,
        code: &str,
    ) -> Result<(), TicketRefusal> {
        let files = |source| TicketRefusal::Files { source };
        self.secrets.refresh(&self.vault).map_err(files)?;
        let code = Code::parse(code).ok_or(TicketRefusal::Malformed)?;
        let key = self.secrets.key(application);
        let key =
            key.ok_or_else(|| TicketRefusal::UnknownApplication { application: application.clone() })?;
        let window_s = self.options.window_s;
        let latest_s = self.guard.latest_s(moment);
        let at_s = code.issued_s(moment.unix_s).filter(|at_s| at_s.abs_diff(moment.unix_s) <= window_s);
        let at_s = at_s.ok_or(TicketRefusal::OutsideWindow { window_s })?;
        if !code.is_right(key, application, user, at_s) {
            return Err(TicketRefusal::Wrong);
        }
        // A ticket is good through the last second of its window.
        let until_s = at_s.saturating_add(window_s).saturating_add(1);
        if latest_s >= until_s {
            return Err(TicketRefusal::OutsideWindow { window_s });
        }
        let used_max = self.options.used_max;
        let id = code.id(application, user, at_s);
        let decide = |known: &mut Replay| known.accept(id, until_s, latest_s, used_max);
        self.used.update(&self.vault, decide).map_err(files)?
    }
}

#[cfg(test)]
mod tests;
