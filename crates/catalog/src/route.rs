//! Parts of the gateway's paths that a service says are its own.

use std::collections::BTreeMap;

/// A part of the gateway's paths, and where it leads on the service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    /// Without slashes at its ends, such as `api/v1`.
    pub(crate) gateway: String,
    /// Begins with a slash unless it is empty, and does not end with one.
    pub(crate) service: String,
}

impl Route {
    /// Returns the routes that metadata tells of.
    pub(crate) fn of_metadata(metadata: &BTreeMap<String, String>) -> impl Iterator<Item = Self> + '_ {
        metadata.iter().filter_map(|(key, gateway)| {
            let name = key.strip_prefix("apiml.routes.")?.strip_suffix(".gatewayUrl")?;
            // A name with a dot is none: the reference reads exactly four steps.
            if name.is_empty() || name.contains('.') {
                return None;
            }
            let service = metadata.get(&format!("apiml.routes.{name}.serviceUrl"))?;
            Some(Self { gateway: gateway.trim().trim_matches('/').to_owned(), service: path(service) })
        })
    }

    /// Says whether requests for an API go this way, rather than those for pages or sockets.
    pub(crate) fn is_api(&self) -> bool {
        !matches!(self.gateway.split('/').next(), Some("ui" | "ws" | "sse"))
    }

    /// Returns what is left of a path of the service behind this route; whole steps count alone.
    pub(crate) fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.service.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Brings a path into the form of [`Route::service`].
pub(crate) fn path(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    if text.is_empty() || text.starts_with('/') { text.to_owned() } else { format!("/{text}") }
}

/// Finds the route that leads to a path of the service: the longest, and among equals the one of `preferred`.
pub(crate) fn leading_to<'r, 'p>(
    routes: impl Iterator<Item = &'r Route>,
    path: &'p str,
    preferred: &str,
) -> Option<(&'r Route, &'p str)> {
    let fitting = routes.filter_map(|route| Some((route, route.rest(path)?)));
    fitting.max_by_key(|(route, _)| {
        (route.service.len(), route.gateway == preferred, std::cmp::Reverse(&route.gateway))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(gateway: &str, service: &str) -> Route {
        Route { gateway: gateway.to_owned(), service: path(service) }
    }

    #[test]
    fn longest_route_counts_and_among_equals_the_preferred() {
        let routes =
            [route("api/v1", "/a"), route("api/v2", "/a/b/"), route("ui/v1", "a"), route("all", "/")];
        let found = |path: &'static str, preferred: &str| {
            let (route, rest) = leading_to(routes.iter(), path, preferred).unwrap();
            (route.gateway.clone(), rest)
        };
        assert_eq!(found("/a/b/c", ""), ("api/v2".to_owned(), "/c"));
        assert_eq!(found("/a/x", ""), ("api/v1".to_owned(), "/x"));
        assert_eq!(found("/a", "ui/v1"), ("ui/v1".to_owned(), ""));
        assert_eq!(found("/ab", ""), ("all".to_owned(), "/ab"), "whole steps count alone");
    }

    #[test]
    fn routes_are_read_of_metadata_as_the_gateway_reads_them() {
        let metadata = [
            ("apiml.routes.api_v1.gatewayUrl", "/api/v1/"),
            ("apiml.routes.api_v1.serviceUrl", "sample/"),
            ("apiml.routes.a.b.gatewayUrl", "x"),
            ("apiml.routes.a.b.serviceUrl", "/x"),
            ("apiml.routes.half.gatewayUrl", "y"),
        ];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(Route::of_metadata(&metadata).collect::<Vec<_>>(), [route("api/v1", "/sample")]);
    }
}
