//! How a server that keeps something for services is reached: who asks, and which certificates are trusted and shown.

use std::io::ErrorKind;
use std::path::PathBuf;

use tender_certificate::{Bundle, BundleError, Password};
use tender_etcd::Tls;
use tender_http::{ClientAuth, Identity, TlsError, TlsFiles, TrustFile};
use tender_package::ReturnCode;

use super::Named;
use super::environment::{Environment, Names};
use super::options::{PlanError, Serving};
use crate::error::CommandError;

/// What the command line says of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    pub(crate) trust: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
}

/// The variables that say what the command line does not, and what its options begin with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variables {
    pub(crate) option: &'static str,
    pub(crate) trust: Names,
    pub(crate) key: Names,
    pub(crate) certificate: Names,
    pub(crate) user: Names,
    pub(crate) password: Names,
}

/// How a server is reached.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    variables: Variables,
    login: Option<(String, Password)>,
    /// What is trusted and shown; what is missing is the service's own.
    trust: Option<PathBuf>,
    identity: Option<Identity>,
}

impl Access {
    /// Says how; half of a log-in or of a certificate is refused, and certificates for what is reached without TLS.
    pub(crate) fn plan(
        given: &Given,
        variables: Variables,
        environment: &Environment<'_>,
        has_tls: bool,
    ) -> Result<Self, PlanError> {
        let path =
            |own: &Option<PathBuf>, names| own.clone().or_else(|| environment.text(names).map(PathBuf::from));
        let file = given.password_file.clone().map(Password::File);
        let password = file.or_else(|| environment.text(variables.password).map(Password::from));
        let user = given.user.clone().or_else(|| environment.text(variables.user));
        let key = path(&given.key, variables.key);
        let certificate = path(&given.certificate, variables.certificate);
        let named = |end: &str, names| variables.named(end, names);
        let access = Self {
            variables,
            login: both(
                (user, named("user", variables.user)),
                (password, named("password-file", variables.password)),
            )?,
            trust: path(&given.trust, variables.trust),
            identity: both(
                (key, named("key", variables.key)),
                (certificate, named("certificate", variables.certificate)),
            )?
            .map(|(key, certificate)| Identity::Pem { key, certificate }),
        };
        let unused = match (&access.trust, &access.identity) {
            (Some(_), _) => named("trust", variables.trust),
            (None, Some(_)) => named("certificate", variables.certificate),
            (None, None) => return Ok(access),
        };
        if has_tls { Ok(access) } else { Err(PlanError::Unencrypted { given: unused }) }
    }

    /// Says whether a password is shown.
    pub(crate) fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// Returns name and password; `what` is the server as a sentence names it.
    pub(crate) fn login(&self, named: Named, what: &str) -> Result<Option<(String, String)>, CommandError> {
        let Some((user, password)) = &self.login else { return Ok(None) };
        let password = password.resolve().map_err(|fault| {
            let doing = format!("failed to get the password for {what} of");
            named.told("ZWEAM509E", ReturnCode::Refused, &doing, None, fault)
        })?;
        Ok(Some((user.clone(), password.expose().to_owned())))
    }

    /// Reads the authorities, and the key with its certificate.
    pub(crate) fn tls(&self, named: Named, serving: &Serving, what: &str) -> Result<Tls, CommandError> {
        let doing = format!("failed to set up TLS with {what} for");
        let own = serving.tls.as_ref();
        let trust = match (&self.trust, own) {
            (Some(file), _) => vec![TrustFile { file: file.clone(), password: None }],
            (None, Some(own)) if !own.trust.is_empty() => own.trust.clone(),
            (None, _) => {
                let option = self.variables.named("trust", self.variables.trust);
                let hint = format!("give {option} with the authorities of {what}");
                let fault =
                    format!("no authorities are configured that the certificate of {what} is trusted by");
                return Err(named.told("ZWEAM507E", ReturnCode::Refused, &doing, Some(&hint), fault));
            }
        };
        let identity = self.identity.clone().or_else(|| own.map(|own| own.identity.clone()));
        // Only authorities are read when there is no key to show.
        let nobody = Identity::Pem { key: PathBuf::new(), certificate: PathBuf::new() };
        let files =
            TlsFiles { identity: identity.clone().unwrap_or(nobody), trust, client_auth: ClientAuth::None };
        let failed = |fault: TlsError| {
            let code = if is_missing(&fault) { ReturnCode::Unknown } else { ReturnCode::Refused };
            named.told("ZWEAM400E", code, &doing, None, fault)
        };
        let roots = files.roots().map_err(failed)?;
        let mut authorities = Bundle::default();
        roots.certificates().iter().for_each(|one| authorities.add_trusted("authority", one.clone()));
        let identity = match identity {
            Some(_) => {
                let key = files.key().map_err(failed)?;
                Some((key.chain_pem().into_bytes(), key.key_pem().as_bytes().to_vec()))
            }
            None => None,
        };
        Ok(Tls { authorities: authorities.trusted_pem().into_bytes(), identity })
    }
}

impl Variables {
    /// Names a setting as the command line does, and as a launcher does.
    fn named(self, end: &str, names: Names) -> String {
        let variable = names.first().copied().unwrap_or_default();
        format!("{}-{end} (or {variable})", self.option)
    }
}

/// Says whether a file is not there.
fn is_missing(fault: &TlsError) -> bool {
    let TlsError::Store { source, .. } = fault else { return false };
    matches!(&**source, BundleError::Read { source, .. } if source.kind() == ErrorKind::NotFound)
}

/// Returns both of what is of no use alone; nothing when there is neither.
fn both<A, B>(
    (one, name): (Option<A>, String),
    (other, other_name): (Option<B>, String),
) -> Result<Option<(A, B)>, PlanError> {
    match (one, other) {
        (Some(one), Some(other)) => Ok(Some((one, other))),
        (Some(_), None) => Err(PlanError::Half { given: name, missing: other_name }),
        (None, Some(_)) => Err(PlanError::Half { given: other_name, missing: name }),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: Variables = Variables {
        option: "--x",
        trust: &["T"],
        key: &["K"],
        certificate: &["C"],
        user: &["U"],
        password: &["P"],
    };

    fn planned(given: &Given, variables: &[(&str, &str)]) -> Result<Access, PlanError> {
        let look_up = |name: &str| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        Access::plan(given, VARIABLES, &Environment::new("x", &look_up), true)
    }

    #[test]
    fn certificates_for_what_is_reached_without_tls_are_refused() {
        let trust = Given { trust: Some("/t".into()), ..Given::default() };
        let nothing = Environment::new("x", &|_| None);
        let error = Access::plan(&trust, VARIABLES, &nothing, false).unwrap_err();
        assert!(error.to_string().contains("--x-trust (or T)"), "{error}");
        assert!(Access::plan(&Given::default(), VARIABLES, &nothing, false).is_ok());
    }

    #[test]
    fn half_of_what_belongs_together_is_refused_instead_of_left_out() {
        for variable in ["U", "P", "K", "C"] {
            assert!(matches!(planned(&Given::default(), &[(variable, "x")]), Err(PlanError::Half { .. })));
        }
        assert!(planned(&Given::default(), &[("T", "x")]).is_ok());
    }

    #[test]
    fn variables_say_how_options_win_and_no_password_shows() {
        let variables = [("U", "tender"), ("P", "secret"), ("T", "/t")];
        let access = planned(&Given::default(), &variables).unwrap();
        assert_eq!(access.login.as_ref().map(|(user, _)| user.as_str()), Some("tender"));
        assert!(!format!("{access:?}").contains("secret"));
        let given = Given { trust: Some("/other".into()), ..Given::default() };
        assert_eq!(planned(&given, &variables).unwrap().trust, Some("/other".into()));
    }
}
