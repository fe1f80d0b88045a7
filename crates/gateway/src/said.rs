//! What a service says about how it wants to be asked: read once, when the table is made, not with every request.

use std::time::Duration;

use hyper::header::HeaderName;

use crate::auth::Scheme;
use crate::cors::Policy;
use crate::sticky;

/// What instances of a service say together.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// How the service wants to know its users. Source: `apiml.authentication.*`.
    pub(crate) scheme: Scheme,
    /// Which pages may ask it. Source: `apiml.corsEnabled`, `apiml.corsAllowedOrigins`.
    pub(crate) cors: Policy,
    /// It takes no encoded characters in paths. Source: `apiml.enableUrlEncodedCharacters`.
    pub(crate) refuses_encoded: bool,
    /// How long the head of an answer may take. Source: `apiml.readTimeout`, in milliseconds.
    pub(crate) timeout: Option<Duration>,
    /// Headers that it does not want. Source: `apiml.headersToIgnore`.
    pub(crate) ignored: Vec<HeaderName>,
    /// Its users stay with an instance. Source: `apiml.lb.type`.
    pub(crate) is_sticky: bool,
    /// For how long they do. Source: `apiml.lb.cacheRecordExpirationTimeInHours`.
    pub(crate) sticky_for: Duration,
}

impl Said {
    /// Understands metadata: `says` returns a value that the first instance that has it says, `has_any` whether one says so.
    pub(crate) fn of<'s>(
        says: impl Fn(&str) -> Option<&'s str>,
        has_any: impl Fn(&str, &str) -> bool,
    ) -> Self {
        let timeout_ms = says("apiml.readTimeout").and_then(|text| text.parse().ok());
        let ignored = says("apiml.headersToIgnore").unwrap_or_default().split(',').map(str::trim);
        Self {
            scheme: Scheme::of(&says),
            cors: Policy {
                is_enabled: has_any("apiml.corsEnabled", "true"),
                origins: says("apiml.corsAllowedOrigins").map(str::to_owned),
            },
            refuses_encoded: has_any("apiml.enableUrlEncodedCharacters", "false"),
            timeout: timeout_ms.filter(|ms| *ms > 0).map(Duration::from_millis),
            ignored: ignored.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect(),
            is_sticky: has_any("apiml.lb.type", "authentication"),
            sticky_for: sticky::lifetime(says("apiml.lb.cacheRecordExpirationTimeInHours")),
        }
    }
}
