//! AUTH (11): passwords, access of others, tokens, users; functions 0 to 4.

use std::os::fd::OwnedFd;

use tender_identity::{Moment, TokenRequest, UserName};
use tender_saf::{AccessLevel, Compiled, Id, SafReturnCode, Subject};
use tender_worker::order::{Outcome, Secret as OrderSecret, Work};
use tender_worker::password::{PasswordOrder, PasswordOutcome};
use tender_xmem::code::{AuthCode, CmsCode};
use tender_xmem::service::{Auth, AuthAnswer, Level, Request as _, SafStatus, Secret};

use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Step};
use crate::monitor::rights;

/// What came of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    Right,
    Wrong(SafStatus),
    /// The worker ended.
    Ended,
}

const fn status(saf: u32, racf: u32, reason: u32) -> SafStatus {
    SafStatus { saf, racf, reason }
}

pub(super) fn call(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    let request = match Auth::decode(payload) {
        Ok(request) => request,
        Err(invalid) => return Answer::not_taken::<Auth>(&invalid),
    };
    match request {
        Auth::Password { user, password } => {
            check_password(monitor, asked, &user, password, |_, _, checked| verified(checked))
        }
        Auth::Entity { user, class, entity, level } => {
            entity_check(monitor, &user, &class, &entity, of_level(level))
        }
        Auth::Level { user, class, entity } => level_of(monitor, &user, &class, &entity),
        Auth::User { user } => match known(monitor, &user) {
            Some(_) => Answer::json(&AuthAnswer::default()),
            None => failed(AuthCode::CreateFailed, status(8, 4, 0)),
        },
        Auth::Token { user, password: Some(password), application, .. } => {
            let Ok(name) = user.to_ascii_uppercase().parse() else {
                return failed(AuthCode::CreateFailed, status(8, 4, 0));
            };
            check_password(monitor, asked, &user, password, move |monitor, _, checked| match checked {
                Checked::Right => generate(monitor, name, application.as_deref()),
                other => verified(other),
            })
        }
        Auth::Token { user, token, application, .. } => {
            let token = token.unwrap_or_else(|| Secret::new(String::new()));
            validate(monitor, &user, &token, application.as_deref())
        }
    }
}

fn failed(code: AuthCode, status: SafStatus) -> Step {
    Answer::json_with(code, &AuthAnswer { status, ..AuthAnswer::default() })
}

fn verified(checked: Checked) -> Step {
    match checked {
        Checked::Right => Answer::json(&AuthAnswer::default()),
        Checked::Wrong(status) => failed(AuthCode::CreateFailed, status),
        Checked::Ended => Answer::code(CmsCode::ServiceEnded),
    }
}

/// Returns a user of the database that is not revoked.
fn known(monitor: &Monitor, user: &str) -> Option<Id> {
    let id: Id = user.to_ascii_uppercase().parse().ok()?;
    let found = monitor.policy()?.database.users.get(&id)?;
    (!found.flags.is_revoked).then_some(id)
}

/// Has a password checked, if there have not been too many.
///
/// A user who does not exist costs as much time as a wrong password, and the answer is the same.
pub(super) fn check_password(
    monitor: &mut Monitor,
    asked: Asking,
    user: &str,
    password: Secret,
    then: impl FnOnce(&mut Monitor, Asking, Checked) -> Step + 'static,
) -> Step {
    let caller = monitor.uid(asked);
    let Ok(subject) = user.to_ascii_uppercase().parse::<UserName>() else {
        return then(monitor, asked, Checked::Wrong(status(8, 8, 0)));
    };
    if monitor.proofs().throttle.take(Moment::now(), caller, &subject).is_err() {
        // 28 is RACF's reason for a user that is locked out.
        return then(monitor, asked, Checked::Wrong(status(8, 28, 0)));
    }
    let is_known = known(monitor, user).is_some();
    let Ok(password) = OrderSecret::new(password.expose().as_bytes().to_vec().into()) else {
        return then(monitor, asked, Checked::Wrong(status(8, 8, 0)));
    };
    let Ok(id) = user.to_ascii_uppercase().parse::<Id>() else {
        return then(monitor, asked, Checked::Wrong(status(8, 8, 0)));
    };
    Step::Resolve {
        user: id,
        then: Box::new(move |_, _, identity| {
            let name = identity.and_then(|identity| identity.name);
            let user = name.unwrap_or_else(|| "no-such-user".to_owned());
            Step::Work {
                work: Box::new(Work::Password(PasswordOrder { user, password })),
                fds: Vec::new(),
                then: Box::new(move |monitor, asked, done| {
                    let checked = match done {
                        None => Checked::Ended,
                        Some((Outcome::Password(outcome), _)) => of_outcome(&outcome, is_known),
                        Some((outcome, _)) => {
                            monitor.debug(|| format!("password worker: {outcome:?}"));
                            Checked::Wrong(status(8, 8, 8))
                        }
                    };
                    if checked == Checked::Right {
                        monitor.proofs().throttle.succeeded(Moment::now(), caller, &subject);
                    }
                    then(monitor, asked, checked)
                }),
            }
        }),
    }
}

fn of_outcome(outcome: &PasswordOutcome, is_known: bool) -> Checked {
    match outcome {
        PasswordOutcome::Accepted if is_known => Checked::Right,
        PasswordOutcome::Accepted | PasswordOutcome::Refused => Checked::Wrong(status(8, 8, 0)),
        PasswordOutcome::PasswordExpired => Checked::Wrong(status(8, 12, 0)),
        PasswordOutcome::AccountExpired | PasswordOutcome::AccountDenied => Checked::Wrong(status(8, 28, 0)),
        PasswordOutcome::Unavailable { .. } => Checked::Wrong(status(8, 8, 8)),
    }
}

/// Returns the class that questions may be about.
fn class(monitor: &Monitor, named: &str) -> Result<String, AuthCode> {
    let allowed = monitor.settings().auth_class.clone().ok_or(AuthCode::ClassNotRead)?;
    if named.is_empty() || named == allowed { Ok(allowed) } else { Err(AuthCode::ClassNotAllowed) }
}

fn asking<'m>(
    monitor: &'m Monitor,
    user: &str,
    named: &str,
) -> Result<(&'m Compiled, Subject, String), Step> {
    let class = class(monitor, named).map_err(Answer::detail)?;
    let id = known(monitor, user).ok_or_else(|| failed(AuthCode::CreateFailed, status(8, 4, 0)))?;
    let policy = monitor.policy().ok_or_else(|| Answer::code(CmsCode::ServerNotReady))?;
    Ok((&policy.compiled, Subject::user(id), class))
}

fn entity_check(monitor: &Monitor, user: &str, named: &str, entity: &str, level: AccessLevel) -> Step {
    let (compiled, subject, class) = match asking(monitor, user, named) {
        Ok(asking) => asking,
        Err(step) => return step,
    };
    let decision = compiled.decide(&subject, &rights::question(&class, entity, level));
    match decision.return_code {
        SafReturnCode::Allowed => Answer::json(&AuthAnswer::default()),
        SafReturnCode::NoDecision => failed(AuthCode::NoDecision, status(4, 4, 0)),
        SafReturnCode::Refused => failed(AuthCode::Refused, status(8, 8, 0)),
    }
}

fn level_of(monitor: &Monitor, user: &str, named: &str, entity: &str) -> Step {
    let (compiled, subject, class) = match asking(monitor, user, named) {
        Ok(asking) => asking,
        Err(step) => return step,
    };
    let decision = compiled.decide(&subject, &rights::question(&class, entity, AccessLevel::Alter));
    let level = if decision.is_warning { AccessLevel::Alter } else { decision.allowed };
    Answer::json(&AuthAnswer { level: Some(to_level(level)), ..AuthAnswer::default() })
}

pub(super) fn of_level(level: Level) -> AccessLevel {
    match level {
        Level::None => AccessLevel::None,
        Level::Execute => AccessLevel::Execute,
        Level::Read => AccessLevel::Read,
        Level::Update => AccessLevel::Update,
        Level::Control => AccessLevel::Control,
        Level::Alter => AccessLevel::Alter,
    }
}

pub(super) fn to_level(level: AccessLevel) -> Level {
    match level {
        AccessLevel::None => Level::None,
        AccessLevel::Execute => Level::Execute,
        AccessLevel::Read => Level::Read,
        AccessLevel::Update => Level::Update,
        AccessLevel::Control => Level::Control,
        AccessLevel::Alter => Level::Alter,
    }
}

fn generate(monitor: &mut Monitor, user: UserName, application: Option<&str>) -> Step {
    let Ok(application) = application.map(str::parse).transpose() else {
        return Answer::detail(AuthCode::TooLong);
    };
    let moment = Moment::now();
    let request = TokenRequest { user, application, lifetime_s: None };
    match monitor.proofs().tokens.issue(moment, &request) {
        Ok(issued) => Answer::json(&AuthAnswer {
            expires_in_s: u32::try_from(issued.claims.exp.saturating_sub(moment.unix_s)).ok(),
            token: Some(Secret::new(issued.text)),
            ..AuthAnswer::default()
        }),
        Err(error) => {
            monitor.debug(|| format!("token: {}", crate::role::chain(&error)));
            failed(AuthCode::CheckEnded, status(8, 8, 8))
        }
    }
}

fn validate(monitor: &mut Monitor, user: &str, token: &Secret, application: Option<&str>) -> Step {
    let Ok(application) = application.map(str::parse).transpose() else {
        return Answer::detail(AuthCode::TooLong);
    };
    let moment = Moment::now();
    let claims = monitor.proofs().tokens.validate(moment, token.expose(), application.as_ref());
    match claims {
        Ok(claims) if claims.sub.as_str().eq_ignore_ascii_case(user) && known(monitor, user).is_some() => {
            let expires_in_s = u32::try_from(claims.exp.saturating_sub(moment.unix_s)).ok();
            Answer::json(&AuthAnswer { expires_in_s, ..AuthAnswer::default() })
        }
        Ok(_) => failed(AuthCode::Refused, status(8, 8, 0)),
        Err(refusal) => {
            monitor.debug(|| format!("token: {}", crate::role::chain(&refusal)));
            failed(AuthCode::Refused, status(8, 8, 0))
        }
    }
}
