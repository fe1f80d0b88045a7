//! What a service gets of a user, by the scheme it asks for. Source: the reference's 4.7.

use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use tender_http::PeerCertificate;

use super::present::{COOKIE_NAME, PERSONAL_COOKIE_NAME, cookies};

/// Says to a service and to the client why a service gets nothing of the user.
pub(crate) const FAILURE: HeaderName = HeaderName::from_static("x-zowe-auth-failure");

/// Cookies and headers that are a user's, and not for a service that gets something else.
const COOKIES: [&str; 4] = [COOKIE_NAME, PERSONAL_COOKIE_NAME, "jwtToken", "LtpaToken2"];
const HEADERS: [&str; 2] = ["private-token", "x-saf-token"];

/// How a service wants to know its users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// It gets what the client sent.
    #[default]
    Bypass,
    /// It gets the token.
    ZoweJwt,
    /// It gets a user and a ticket for the application that it names.
    PassTicket(Option<String>),
    /// It gets what the client's certificate says: all, or some of it with commas between.
    X509(Option<String>),
    /// It asks for something that this gateway does not make.
    Other(String),
}

/// What the gateway knows of whoever asks.
#[derive(Debug)]
pub(crate) struct Credentials<'c> {
    pub(crate) token: Token<'c>,
    /// The ticket that was made, with whom it is for; or why none was.
    pub(crate) ticket: Option<Result<(&'c str, &'c str), &'c str>>,
    /// The certificate of whoever asks.
    pub(crate) certificate: Option<&'c PeerCertificate>,
}

/// The token that a request shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'c> {
    /// None, or nobody can log in here.
    None,
    Good(&'c str),
    /// One that is not accepted: the service must not see it, it might not look whether it was logged out.
    Bad,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The headers are as the service wants them.
    Done,
    /// The service gets nothing, with this reason in a header of its own.
    Nothing(String),
}

impl Scheme {
    /// Understands what a service says in its metadata.
    pub(crate) fn of<'s>(says: impl Fn(&str) -> Option<&'s str>) -> Self {
        let said = |key: &str| says(key).map(str::to_owned);
        match says("apiml.authentication.scheme").unwrap_or("bypass") {
            "bypass" | "" => Self::Bypass,
            "zoweJwt" => Self::ZoweJwt,
            "httpBasicPassTicket" => Self::PassTicket(said("apiml.authentication.applid")),
            "x509" => Self::X509(said("apiml.authentication.headers")),
            other => Self::Other(other.to_owned()),
        }
    }

    /// Changes the headers of a request as the service wants them.
    pub(crate) fn apply(&self, headers: &mut HeaderMap, credentials: &Credentials<'_>) -> Outcome {
        if *self != Self::Bypass && credentials.token == Token::Bad {
            strip(headers);
            return failed(headers, "ZWEAG102E The token is not valid");
        }
        match self {
            Self::Bypass => Outcome::Done,
            Self::ZoweJwt => {
                if let Token::Good(token) = credentials.token {
                    strip(headers);
                    add_cookie(headers, token);
                }
                Outcome::Done
            }
            Self::PassTicket(None) => {
                strip(headers);
                failed(headers, "ZWEAG141E The service names no application (apiml.authentication.applid)")
            }
            Self::PassTicket(Some(_)) => match credentials.ticket {
                // Without a user nothing is changed, as for other schemes.
                None => Outcome::Done,
                Some(Ok((user, ticket))) => {
                    strip(headers);
                    add_basic(headers, user, ticket);
                    Outcome::Done
                }
                Some(Err(reason)) => {
                    strip(headers);
                    failed(headers, &format!("ZWEAG141E No ticket could be made: {reason}"))
                }
            },
            Self::X509(wanted) => {
                let Some(certificate) = credentials.certificate else {
                    return failed(headers, "ZWEAG167E No client certificate was given");
                };
                strip(headers);
                certify(headers, certificate, wanted.as_deref());
                Outcome::Done
            }
            Self::Other(name) => {
                failed(headers, &format!("ZWEAG169E This gateway makes nothing for scheme {name}"))
            }
        }
    }
}

fn failed(headers: &mut HeaderMap, reason: &str) -> Outcome {
    if let Ok(value) = HeaderValue::from_str(reason) {
        headers.insert(FAILURE, value);
    }
    Outcome::Nothing(reason.to_owned())
}

/// Takes away what is the user's own.
fn strip(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
    for name in HEADERS {
        headers.remove(name);
    }
    let is_kept =
        |name: &str| !COOKIES.iter().any(|other| name == *other || name.starts_with(&format!("{other}.")));
    let kept: Vec<_> = cookies(headers)
        .filter(|(name, _)| is_kept(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    headers.remove(COOKIE);
    if let Some(value) = (!kept.is_empty()).then(|| HeaderValue::from_str(&kept.join("; ")).ok()).flatten() {
        headers.insert(COOKIE, value);
    }
}

fn add_cookie(headers: &mut HeaderMap, token: &str) {
    let before = headers.get(COOKIE).and_then(|value| value.to_str().ok()).map(|text| format!("{text}; "));
    let whole = format!("{}{COOKIE_NAME}={token}", before.unwrap_or_default());
    if let Ok(value) = HeaderValue::from_str(&whole) {
        headers.insert(COOKIE, value);
    }
}

fn add_basic(headers: &mut HeaderMap, user: &str, password: &str) {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    if let Ok(value) = HeaderValue::from_str(&format!("Basic {pair}")) {
        headers.insert(AUTHORIZATION, value);
    }
}

fn certify(headers: &mut HeaderMap, certificate: &PeerCertificate, wanted: Option<&str>) {
    use base64::Engine as _;
    let subject = certificate.subject();
    let public = base64::engine::general_purpose::STANDARD.encode(certificate.der());
    let common = subject.split(", ").find_map(|part| part.strip_prefix("CN="));
    let all = [
        ("X-Certificate-Public", Some(public.as_str())),
        ("X-Certificate-DistinguishedName", Some(subject)),
        ("X-Certificate-CommonName", common),
    ];
    let is_wanted = |name: &str| {
        wanted.is_none_or(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case(name)))
    };
    for (name, value) in all {
        if let Some(value) =
            value.filter(|_| is_wanted(name)).and_then(|value| HeaderValue::from_str(value).ok())
            && let Ok(name) = HeaderName::from_bytes(name.as_bytes())
        {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        headers.insert(
            COOKIE,
            HeaderValue::from_static(
                "a=b; apimlAuthenticationToken=x; apimlAuthenticationToken.1=y; jwtToken=z",
            ),
        );
        headers.insert("private-token", HeaderValue::from_static("x"));
        headers
    }

    fn of(scheme: &str) -> Scheme {
        Scheme::of(|key| (key == "apiml.authentication.scheme").then_some(scheme))
    }

    fn applied(scheme: Scheme, token: Token<'_>) -> (HeaderMap, Outcome) {
        let mut headers = sent();
        let outcome = scheme.apply(&mut headers, &Credentials { token, ticket: None, certificate: None });
        (headers, outcome)
    }

    #[test]
    fn service_that_wants_the_token_gets_it_and_nothing_else_of_the_user() {
        let (headers, outcome) = applied(of("zoweJwt"), Token::Good("good"));
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(headers[COOKIE], "a=b; apimlAuthenticationToken=good");
        assert!(!headers.contains_key(AUTHORIZATION) && !headers.contains_key("private-token"));
    }

    #[test]
    fn token_that_is_not_accepted_does_not_reach_the_service() {
        for name in ["zoweJwt", "x509", "zosmf"] {
            let (headers, outcome) = applied(of(name), Token::Bad);
            assert!(matches!(&outcome, Outcome::Nothing(reason) if reason.starts_with("ZWEAG102E")));
            assert_eq!(headers[COOKIE], "a=b");
            assert!(!headers.contains_key(AUTHORIZATION) && headers.contains_key(FAILURE));
        }
    }

    #[test]
    fn service_that_wants_nothing_gets_what_was_sent() {
        assert_eq!(applied(of("bypass"), Token::Good("good")).0, sent());
        assert_eq!(applied(of("zoweJwt"), Token::None).0, sent(), "nobody is logged in");
    }

    #[test]
    fn service_that_wants_what_cannot_be_had_is_told_why() {
        for name in ["x509", "safIdt", "made-up"] {
            let (headers, outcome) = applied(of(name), Token::Good("good"));
            assert!(
                matches!(&outcome, Outcome::Nothing(reason) if reason.starts_with("ZWEAG")),
                "{outcome:?}"
            );
            assert!(headers.contains_key(FAILURE));
        }
    }

    #[test]
    fn service_that_wants_a_ticket_gets_it_in_place_of_the_token() {
        let with = |application: Option<&str>, ticket| {
            let mut headers = sent();
            let credentials = Credentials { token: Token::Good("x"), ticket, certificate: None };
            let outcome =
                Scheme::PassTicket(application.map(str::to_owned)).apply(&mut headers, &credentials);
            (headers, outcome)
        };
        let (headers, outcome) = with(Some("APPL"), Some(Ok(("user", "TICKET"))));
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(headers[AUTHORIZATION], "Basic dXNlcjpUSUNLRVQ=");
        assert_eq!(headers[COOKIE], "a=b");
        for (application, ticket) in [(None, Some(Ok(("user", "T")))), (Some("APPL"), Some(Err("why")))] {
            let (headers, outcome) = with(application, ticket);
            assert!(
                matches!(&outcome, Outcome::Nothing(reason) if reason.starts_with("ZWEAG141E")),
                "{outcome:?}"
            );
            assert!(!headers.contains_key(AUTHORIZATION) && headers[COOKIE] == "a=b");
        }
    }
}
