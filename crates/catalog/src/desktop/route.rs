//! From method and path to what is asked for.

use hyper::Method;

use crate::path::{self, Unroutable, with_method};

/// Where everything lies: of the gateway's routes, and of the reference's own server.
const BASES: [&str; 5] = ["/zlux/ui/v1", "/zlux/api/v1", "/zlux", "/ZLUX", ""];

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// The page without the slash at its end.
    ToPage,
    Page(String),
    Health,
    Info,
    Session,
    Login,
    Logout,
    Plugins,
    File {
        plugin: String,
        /// Relative to its web directory, as it was sent but decoded.
        path: String,
    },
}

/// Understands a request.
pub(super) fn route(method: &Method, path: &str) -> Result<Call, Unroutable> {
    let below = path::below(&BASES, path)?;
    if below.is_empty() {
        return with_method(method, "GET, HEAD", Call::ToPage);
    }
    let steps = path::steps(below)?;
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let call = match steps.as_slice() {
        ["" | "index.html"] => Call::Page("index.html".to_owned()),
        ["static", name] => Call::Page((*name).to_owned()),
        ["application", "health"] => Call::Health,
        ["application", "info"] => Call::Info,
        ["session"] => Call::Session,
        ["plugins"] => Call::Plugins,
        ["plugins", plugin, "web", path @ ..] if !path.is_empty() => {
            Call::File { plugin: (*plugin).to_owned(), path: path.join("/") }
        }
        ["auth", "login"] => return with_method(method, "POST", Call::Login),
        ["auth", "logout"] => return with_method(method, "POST", Call::Logout),
        _ => return Err(Unroutable::NoEndpoint),
    };
    with_method(method, "GET, HEAD", call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_gateway_and_of_the_reference_lead_to_the_same() {
        let file = Call::File { plugin: "org.a".to_owned(), path: "images/i.png".to_owned() };
        for base in BASES {
            for (path, call) in [
                ("/", Call::Page("index.html".to_owned())),
                ("/plugins", Call::Plugins),
                ("/plugins/org.a/web/images/i.png", file.clone()),
            ] {
                assert_eq!(route(&Method::GET, &format!("{base}{path}")), Ok(call), "{base}{path}");
            }
        }
        assert_eq!(route(&Method::GET, "/zlux"), Ok(Call::ToPage));
        for path in ["/other", "/plugins/org.a/nodeServer/x.js", "/plugins/org.a/web", "/zlux/%ff"] {
            assert_eq!(route(&Method::GET, path), Err(Unroutable::NoEndpoint), "{path}");
        }
        assert_eq!(route(&Method::POST, "/plugins"), Err(Unroutable::NoMethod { allowed: "GET, HEAD" }));
    }
}
