//! From method and path to what is asked for.

use hyper::Method;

use crate::path::{self, Unroutable, with_method};

/// Where everything lies; both routes of the gateway lead there, too.
const BASES: [&str; 3] = ["/apicatalog/api/v1", "/apicatalog/ui/v1", "/apicatalog"];

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// The page without the slash at its end.
    ToPage,
    File(String),
    Health,
    Info,
    OpenApi,
    Session,
    Login,
    Logout,
    Containers,
    Container(String),
    Services,
    Service(String),
    Document {
        service: String,
        /// The default one when nothing is said.
        api: Option<String>,
    },
    Refresh,
}

/// Understands a request; a slash at the end matters for the page alone.
pub(super) fn route(method: &Method, path: &str) -> Result<Call, Unroutable> {
    if path == "/" {
        return with_method(method, "GET, HEAD", Call::ToPage);
    }
    let below = path::below(&BASES, path)?;
    match below {
        "" => return with_method(method, "GET, HEAD", Call::ToPage),
        "/" => return with_method(method, "GET, HEAD", Call::File("index.html".to_owned())),
        _ => {}
    }
    let steps = path::steps(below.trim_end_matches('/'))?;
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let call = match steps.as_slice() {
        ["index.html"] => Call::File("index.html".to_owned()),
        ["static", name] => Call::File((*name).to_owned()),
        ["application", "health"] => Call::Health,
        ["application", "info"] => Call::Info,
        ["v3" | "v2", "api-docs"] => Call::OpenApi,
        ["session"] => Call::Session,
        ["auth", "login"] => return with_method(method, "POST", Call::Login),
        ["auth", "logout"] => return with_method(method, "POST", Call::Logout),
        ["static-api", "refresh"] => return with_method(method, "POST", Call::Refresh),
        ["containers"] => Call::Containers,
        ["containers", id] => Call::Container((*id).to_owned()),
        ["services"] => Call::Services,
        ["services", id] => Call::Service((*id).to_owned()),
        ["apidoc", service] => Call::Document { service: (*service).to_owned(), api: None },
        ["apidoc", service, api] => {
            Call::Document { service: (*service).to_owned(), api: Some((*api).to_owned()) }
        }
        _ => return Err(Unroutable::NoEndpoint),
    };
    with_method(method, "GET, HEAD", call)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(method: &str, path: &str) -> Result<Call, Unroutable> {
        route(&method.parse().unwrap(), path)
    }

    #[test]
    fn paths_of_the_reference_are_understood_in_every_form() {
        for base in BASES {
            for (method, path, call) in [
                ("GET", "/", Call::File("index.html".to_owned())),
                ("GET", "", Call::ToPage),
                ("GET", "/containers", Call::Containers),
                ("GET", "/containers/a%20b/", Call::Container("a b".to_owned())),
                ("GET", "/apidoc/s", Call::Document { service: "s".to_owned(), api: None }),
                (
                    "GET",
                    "/apidoc/s/org.a%20v1.0.0",
                    Call::Document { service: "s".to_owned(), api: Some("org.a v1.0.0".to_owned()) },
                ),
                ("POST", "/auth/login", Call::Login),
                ("POST", "/static-api/refresh", Call::Refresh),
                ("HEAD", "/static/catalog.js", Call::File("catalog.js".to_owned())),
            ] {
                assert_eq!(routed(method, &format!("{base}{path}")), Ok(call), "{method} {base}{path}");
            }
        }
        assert_eq!(routed("GET", "/"), Ok(Call::ToPage));
    }

    #[test]
    fn paths_and_methods_of_nobody_are_told_apart() {
        for path in
            ["/apicatalogue", "/apicatalog/other", "/containers", "/apicatalog/static/a/b", "/apicatalog/%ff"]
        {
            assert_eq!(routed("GET", path), Err(Unroutable::NoEndpoint), "{path}");
        }
        assert_eq!(routed("GET", "/apicatalog/auth/login"), Err(Unroutable::NoMethod { allowed: "POST" }));
        assert!(matches!(routed("DELETE", "/apicatalog/containers"), Err(Unroutable::NoMethod { .. })));
    }
}
