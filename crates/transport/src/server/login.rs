//! Who may come in: CSMWORK alone.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, Read},
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use aws_lc_rs::{constant_time, digest};
use unftp_core::auth::{AuthenticationError, Authenticator, ChannelEncryptionState, Credentials, Principal};

use super::{Limits, Notice, Security, ServeError, SiteWords, activity::Activity};
use crate::{WORK_USER, certificate, revocation::Revocations};

const USER_SHOWN_CHARS: usize = 32;
const BANS_MAX: usize = 4096;

/// Addresses from which logins have failed.
#[derive(Debug)]
pub(super) struct Bans {
    failures_max: u32,
    lasts: Duration,
    failures: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

impl Bans {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            failures_max: limits.failed_logins_max,
            lasts: Duration::from_millis(limits.ban_ms),
            failures: Mutex::default(),
        }
    }

    pub(super) fn is_banned(&self, address: IpAddr) -> bool {
        let failures = self.lock();
        failures
            .get(&address)
            .is_some_and(|&(count, last)| count >= self.failures_max && last.elapsed() < self.lasts)
    }

    fn count(&self, address: IpAddr) {
        let mut failures = self.lock();
        failures.retain(|_, (_, last)| last.elapsed() < self.lasts);
        // Full of addresses that all failed just now: an attack from everywhere, against which a list does
        // not help.
        if failures.len() < BANS_MAX || failures.contains_key(&address) {
            let entry = failures.entry(address).or_insert((0, Instant::now()));
            *entry = (entry.0.saturating_add(1), Instant::now());
        }
    }

    fn forgive(&self, address: IpAddr) {
        self.lock().remove(&address);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, (u32, Instant)>> {
        // Counting leaves nothing half done that a panic could expose.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the password for connections in the clear: the only line of a file that nobody but its owner may read.
///
/// Errors: [`ServeError::Password`], also when the file is open to others or has no line or several.
pub fn read_password(path: &Path) -> Result<String, ServeError> {
    let failed = |source| ServeError::Password { path: path.to_owned(), source };
    let invalid = |why| failed(io::Error::new(io::ErrorKind::InvalidData, why));
    let mut file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(invalid("others than the owner may read or write it; chmod 600"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    if line.is_empty() || line.chars().any(char::is_control) {
        return Err(invalid("it must hold one line"));
    }
    Ok(line.to_owned())
}

/// Decides about the logins of one connection.
pub(super) struct Gate {
    pub(super) security: Security,
    pub(super) peer: SocketAddr,
    pub(super) bans: Arc<Bans>,
    pub(super) activity: Arc<Activity>,
    pub(super) words: Arc<dyn SiteWords>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for Gate {
    async fn authenticate(
        &self,
        user: &str,
        credentials: &Credentials,
    ) -> Result<Principal, AuthenticationError> {
        let refused = if self.bans.is_banned(self.peer.ip()) {
            Err("too many failed logins")
        } else {
            decide(&self.security, user, credentials)
        };
        match refused {
            Ok(()) => {
                self.bans.forgive(self.peer.ip());
                self.activity.log_in();
                let is_protected = credentials.command_channel_security == ChannelEncryptionState::Tls;
                self.words.notice(&Notice::LoggedIn { peer: self.peer, is_protected });
                Ok(Principal { username: user.to_owned() })
            }
            Err(why) => {
                self.bans.count(self.peer.ip());
                let user = user.chars().take(USER_SHOWN_CHARS).flat_map(char::escape_default).collect();
                self.words.notice(&Notice::LoginRefused { peer: self.peer, user, why });
                Err(AuthenticationError::new(why))
            }
        }
    }

    async fn cert_auth_sufficient(&self, _user: &str) -> bool {
        // Asked only when there is a certificate, and for every user: the wrong one is refused at once.
        !matches!(self.security, Security::Enrolment { .. })
    }
}

/// The certificate was checked against the authority by TLS; here it is about what it says, or about a
/// password.
fn decide(security: &Security, user: &str, credentials: &Credentials) -> Result<(), &'static str> {
    if user != WORK_USER {
        return Err("unknown user");
    }
    let certificate = credentials.certificate_chain.as_deref().and_then(<[_]>::first);
    let password = match (security, certificate) {
        (Security::Required { identity } | Security::ClearAllowed { identity, .. }, Some(certificate)) => {
            let name = certificate::common_name(certificate.as_ref());
            if name.as_deref() != Some(WORK_USER) {
                return Err("certificate of another");
            }
            // Read at each login: a list that came meanwhile counts at once. Without it nobody can be told apart.
            return match Revocations::of_identity(identity) {
                Ok(list) if list.revokes(certificate.as_ref()) => Err("certificate was revoked"),
                Ok(_) => Ok(()),
                Err(_) => Err("the list of revoked certificates is damaged"),
            };
        }
        (Security::Required { .. }, None) => return Err("no certificate"),
        (Security::ClearAllowed { password, .. } | Security::Enrolment { password, .. }, _) => password,
    };
    if password.is_empty() || !same_secret(password, credentials.password.as_deref().unwrap_or_default()) {
        return Err("wrong password");
    }
    Ok(())
}

/// Compares digests, so that the time taken says nothing about length or content.
fn same_secret(expected: &str, found: &str) -> bool {
    let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    constant_time::verify_slices_are_equal(digest(expected).as_ref(), digest(found).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(ban_ms: u64) -> Limits {
        Limits { failed_logins_max: 2, ban_ms, ..Limits::default() }
    }

    #[test]
    fn address_is_banned_after_its_last_allowed_failure_until_forgiven() {
        let bans = Bans::new(&limits(60_000));
        let address = IpAddr::from([192, 0, 2, 1]);
        bans.count(address);
        assert!(!bans.is_banned(address));
        bans.count(address);
        assert!(bans.is_banned(address));
        assert!(!bans.is_banned(IpAddr::from([192, 0, 2, 2])));
        bans.forgive(address);
        assert!(!bans.is_banned(address));
    }

    #[test]
    fn address_is_not_banned_when_its_time_is_over() {
        let bans = Bans::new(&limits(0));
        let address = IpAddr::from([192, 0, 2, 1]);
        bans.count(address);
        bans.count(address);
        assert!(!bans.is_banned(address));
    }

    #[test]
    fn login_in_the_clear_needs_its_password_and_an_empty_one_is_none() {
        let allowed =
            |password: &str| Security::ClearAllowed { identity: "/".into(), password: password.into() };
        assert_eq!(decide(&allowed("right"), WORK_USER, &Credentials::from("right")), Ok(()));
        assert_eq!(decide(&allowed("right"), WORK_USER, &Credentials::from("wrong")), Err("wrong password"));
        assert_eq!(decide(&allowed(""), WORK_USER, &Credentials::from("")), Err("wrong password"));
        assert_eq!(decide(&allowed("right"), "root", &Credentials::from("right")), Err("unknown user"));
    }

    #[test]
    fn password_file_open_to_others_or_of_several_lines_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let read = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read_password(&path)
        };
        assert_eq!(read("agreed word\n", 0o600).unwrap(), "agreed word");
        assert_eq!(read("agreed word", 0o400).unwrap(), "agreed word");
        for (text, mode) in
            [("agreed\n", 0o640), ("agreed\n", 0o604), ("", 0o600), ("\n", 0o600), ("a\nb\n", 0o600)]
        {
            let refused = read(text, mode);
            assert!(matches!(refused, Err(ServeError::Password { .. })), "{text:?} {mode:o}: {refused:?}");
        }
    }

    #[test]
    fn login_without_certificate_is_refused_where_one_is_required() {
        let required = Security::Required { identity: "/".into() };
        assert_eq!(decide(&required, WORK_USER, &Credentials::from("any")), Err("no certificate"));
    }
}
