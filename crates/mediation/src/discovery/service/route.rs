//! Paths and methods to calls: decided without looking at anything else.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use tender_http::hyper::Method;

use super::peers::News;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Apps,
    Delta,
    App { app: String },
    Instance { app: String, id: String },
    InstanceById { id: String },
    Vip { name: String, is_secure: bool },
    Register { app: String },
    Heartbeat { app: String, id: String },
    Cancel { app: String, id: String },
    SetStatus { app: String, id: String },
    RemoveStatus { app: String, id: String },
    AddMetadata { app: String, id: String },
    Replicate,
    ServerStatus,
    Overrides,
    Page,
    Health,
    Info,
    Metrics,
    Statics,
    ReadStatics,
}

impl Call {
    /// Returns the service that the call changes, if it changes one.
    pub(super) fn changes(&self) -> Option<&str> {
        match self {
            Self::Register { app }
            | Self::Heartbeat { app, .. }
            | Self::Cancel { app, .. }
            | Self::SetStatus { app, .. }
            | Self::RemoveStatus { app, .. }
            | Self::AddMetadata { app, .. } => Some(app),
            _ => None,
        }
    }
}

impl Call {
    /// Returns what is news of which instance once the call is done; an announcement says itself what it is of.
    pub(super) fn news(&self) -> Option<(String, String, News)> {
        let (app, id, news) = match self {
            Self::Heartbeat { app, id } => (app, id, News::RENEWED),
            Self::Cancel { app, id } | Self::SetStatus { app, id } | Self::AddMetadata { app, id } => {
                (app, id, News::CHANGED)
            }
            Self::RemoveStatus { app, id } => (app, id, News::OVERRIDE_REMOVED),
            _ => return None,
        };
        Some((app.clone(), id.clone(), news))
    }
}

/// Why nothing is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unroutable {
    /// There is nothing at this path.
    NoEndpoint,
    /// There is, for other methods.
    Method(&'static str),
    /// A part of the path is no text once it is decoded.
    Malformed,
}

/// Finds the call for a path, as it was sent.
///
/// The registry is at `/eureka` and also at `/eureka/v2`; one slash more at the end changes nothing; parts are decoded
/// after they were told apart.
pub(super) fn route(method: &Method, path: &str) -> Result<Call, Unroutable> {
    if matches!(path, "/" | "/lastn") {
        return get(method, Call::Page);
    }
    let parts = parts(path)?;
    let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
    match parts.as_slice() {
        ["eureka", "v2", rest @ ..] | ["eureka", rest @ ..] => registry(method, rest),
        ["application", "health"] => get(method, Call::Health),
        ["application", "info"] => get(method, Call::Info),
        ["application", "prometheus"] => get(method, Call::Metrics),
        ["discovery", "api", "v1", "staticApi"] => match *method {
            Method::GET | Method::HEAD => Ok(Call::Statics),
            Method::POST => Ok(Call::ReadStatics),
            _ => Err(Unroutable::Method("GET, POST")),
        },
        _ => Err(Unroutable::NoEndpoint),
    }
}

fn registry(method: &Method, parts: &[&str]) -> Result<Call, Unroutable> {
    let owned = |part: &&str| (*part).to_owned();
    match parts {
        ["apps"] => get(method, Call::Apps),
        ["apps", "delta"] => get(method, Call::Delta),
        ["apps", app] => match *method {
            Method::GET | Method::HEAD => Ok(Call::App { app: owned(app) }),
            Method::POST => Ok(Call::Register { app: owned(app) }),
            _ => Err(Unroutable::Method("GET, POST")),
        },
        ["apps", app, id] => {
            let (app, id) = (owned(app), owned(id));
            match *method {
                Method::GET | Method::HEAD => Ok(Call::Instance { app, id }),
                Method::PUT => Ok(Call::Heartbeat { app, id }),
                Method::DELETE => Ok(Call::Cancel { app, id }),
                _ => Err(Unroutable::Method("GET, PUT, DELETE")),
            }
        }
        ["apps", app, id, "status"] => {
            let (app, id) = (owned(app), owned(id));
            match *method {
                Method::PUT => Ok(Call::SetStatus { app, id }),
                Method::DELETE => Ok(Call::RemoveStatus { app, id }),
                _ => Err(Unroutable::Method("PUT, DELETE")),
            }
        }
        ["apps", app, id, "metadata"] => match *method {
            Method::PUT => Ok(Call::AddMetadata { app: owned(app), id: owned(id) }),
            _ => Err(Unroutable::Method("PUT")),
        },
        ["instances", id] => get(method, Call::InstanceById { id: owned(id) }),
        ["vips", name] => get(method, Call::Vip { name: owned(name), is_secure: false }),
        ["svips", name] => get(method, Call::Vip { name: owned(name), is_secure: true }),
        ["peerreplication", "batch"] => match *method {
            Method::POST => Ok(Call::Replicate),
            _ => Err(Unroutable::Method("POST")),
        },
        ["status"] => get(method, Call::ServerStatus),
        ["serverinfo", "statusoverrides"] => get(method, Call::Overrides),
        _ => Err(Unroutable::NoEndpoint),
    }
}

fn get(method: &Method, call: Call) -> Result<Call, Unroutable> {
    if matches!(*method, Method::GET | Method::HEAD) { Ok(call) } else { Err(Unroutable::Method("GET")) }
}

/// Splits a path and decodes its parts.
fn parts(path: &str) -> Result<Vec<Cow<'_, str>>, Unroutable> {
    let path = path.strip_prefix('/').ok_or(Unroutable::NoEndpoint)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let part = |part| match part {
        "" => Err(Unroutable::NoEndpoint),
        part => decoded(part).ok_or(Unroutable::Malformed),
    };
    path.split('/').map(part).collect()
}

fn decoded(part: &str) -> Option<Cow<'_, str>> {
    let text = percent_decode_str(part).decode_utf8().ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

/// A part of a query that is no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` of the query is no text in UTF-8 once it is decoded")]
pub(super) struct Undecodable {
    part: String,
}

/// Reads the parameters of a query.
pub(super) fn parameters(query: &str) -> Result<Vec<(String, String)>, Undecodable> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().map(Cow::into_owned);
        decoded.map_err(|_| Undecodable { part: text.to_owned() })
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(id: &str) -> Result<Call, Unroutable> {
        Ok(Call::Heartbeat { app: "svc".to_owned(), id: id.to_owned() })
    }

    #[test]
    fn paths_of_every_client_lead_to_the_same_call() {
        for path in ["/eureka/apps", "/eureka/apps/", "/eureka/v2/apps", "/eureka/v2/apps/"] {
            assert_eq!(route(&Method::GET, path), Ok(Call::Apps), "{path}");
        }
        assert_eq!(route(&Method::GET, "/eureka/apps/delta"), Ok(Call::Delta));
        for path in ["/eureka/apps/svc/h:svc:1", "/eureka/v2/apps/svc/h%3Asvc%3A1/"] {
            assert_eq!(route(&Method::PUT, path), heartbeat("h:svc:1"), "{path}");
        }
        assert_eq!(route(&Method::PUT, "/eureka/apps/svc/a%2Fb"), heartbeat("a/b"));
        assert_eq!(route(&Method::POST, "/eureka/peerreplication/batch/"), Ok(Call::Replicate));
        assert_eq!(route(&Method::POST, "/eureka/apps/v2"), Ok(Call::Register { app: "v2".to_owned() }));
    }

    #[test]
    fn other_paths_and_methods_are_refused_for_their_reason() {
        for path in [
            "/apps",
            "//",
            "",
            "/eureka",
            "/eureka//apps",
            "/eureka/apps//",
            "/EUREKA/apps",
            "/eureka/apps/a/b/c",
        ] {
            assert_eq!(route(&Method::GET, path), Err(Unroutable::NoEndpoint), "{path}");
        }
        assert_eq!(route(&Method::POST, "/eureka/apps"), Err(Unroutable::Method("GET")));
        assert_eq!(route(&Method::PATCH, "/eureka/apps/a/b"), Err(Unroutable::Method("GET, PUT, DELETE")));
        for path in ["/eureka/apps/%ff", "/eureka/apps/a%00b", "/eureka/apps/a%0Ab/c"] {
            assert_eq!(route(&Method::GET, path), Err(Unroutable::Malformed), "{path}");
        }
    }

    #[test]
    fn parameters_are_decoded_after_they_are_told_apart() {
        let read = parameters("a=1%262&b=x+y&c&&%64=%25").unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, [("a", "1&2"), ("b", "x y"), ("c", ""), ("d", "%")]);
        let fault = parameters("b=c&a=%ff").unwrap_err().to_string();
        assert!(fault.contains("`%ff`"), "{fault}");
    }
}
