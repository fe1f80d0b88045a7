//! What a request shows: a token in a cookie or in a header, or a name and a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE};

/// The cookie that holds the token.
pub(crate) const COOKIE_NAME: &str = "apimlAuthenticationToken";

/// The cookie and the header that hold a personal token.
pub(crate) const PERSONAL_COOKIE_NAME: &str = "personalAccessToken";
const PERSONAL_HEADER: &str = "private-token";

/// Returns the token: of a log-in's cookie first, then a personal one, then of `Authorization: Bearer`.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let of_cookie = |wanted: &str| {
        cookies(headers).find(|(name, value)| *name == wanted && !value.is_empty()).map(|(_, value)| value)
    };
    let of_header = || headers.get(PERSONAL_HEADER)?.to_str().ok().map(str::trim);
    of_cookie(COOKIE_NAME)
        .or_else(|| of_cookie(PERSONAL_COOKIE_NAME))
        .or_else(|| of_header().filter(|token| !token.is_empty()))
        .or_else(|| authorization(headers, "bearer").filter(|token| !token.is_empty()))
}

/// Returns name and password of `Authorization: Basic`; the password may hold colons.
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let text = STANDARD.decode(authorization(headers, "basic")?).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Returns the cookies of a request.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
}

fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (found, rest) = value.trim().split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// Returns the text that sets the cookie.
pub(super) fn set_cookie(token: &str) -> String {
    format!("{COOKIE_NAME}={token}; Path=/; SameSite=Strict; HttpOnly; Secure;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn token_of_the_cookie_comes_before_that_of_the_header() {
        let both =
            map(&[("cookie", "a=b; apimlAuthenticationToken=x.y.z"), ("authorization", "Bearer other")]);
        assert_eq!(token(&both), Some("x.y.z"));
        assert_eq!(token(&map(&[("authorization", "bearer  other")])), Some("other"));
        assert_eq!(
            token(&map(&[("cookie", "a=b"), ("cookie", "apimlAuthenticationToken=\"q\"")])),
            Some("q")
        );
        let empty = map(&[("cookie", "apimlAuthenticationToken="), ("authorization", "Bearer x")]);
        assert_eq!(token(&empty), Some("x"), "a cookie that was cleared hides nothing");
        let personal = map(&[("private-token", "p"), ("authorization", "Bearer x")]);
        assert_eq!(token(&personal), Some("p"));
        let all =
            map(&[("private-token", "p"), ("cookie", "personalAccessToken=c; apimlAuthenticationToken=a")]);
        assert_eq!(token(&all), Some("a"));
        for none in
            [map(&[]), map(&[("cookie", "apimlAuthenticationToken=")]), map(&[("authorization", "Basic x")])]
        {
            assert_eq!(token(&none), None);
        }
    }

    #[test]
    fn password_may_hold_colons_and_any_letter() {
        let encoded = STANDARD.encode("user:pass:wörd");
        let found = basic(&map(&[("authorization", &format!("Basic {encoded}"))]));
        assert_eq!(found, Some(("user".to_owned(), "pass:wörd".to_owned())));
        for wrong in ["Basic ", "Basic !!!", "Basic dXNlcg==", "Bearer x"] {
            assert_eq!(basic(&map(&[("authorization", wrong)])), None, "{wrong}");
        }
    }
}
