//! Which path of the gateway leads to which path of a document.

use serde_json::{Map, Value};

use super::{Context, show};
use crate::route::{self, Route};

/// Paths as the gateway has them.
#[derive(Debug)]
pub(super) struct Placed {
    /// Stands before all of them; begins with a slash.
    pub(super) base: String,
    pub(super) paths: Map<String, Value>,
    /// Paths of the service that no route leads to.
    pub(super) unreachable: Vec<String>,
}

/// Places the paths of a document whose own base is `base`.
///
/// When one route leads to all of them, its part of the gateway's paths is the base, and paths are as short as they can
/// be; else they are long. A document whose paths fit no route was written without its base: then the route of its
/// API is what they are below.
pub(super) fn place(base: &str, mut paths: Map<String, Value>, context: &Context) -> Placed {
    let extensions: Vec<_> = paths.keys().filter(|key| key.starts_with("x-")).cloned().collect();
    let extensions: Vec<_> = extensions.iter().filter_map(|key| paths.remove_entry(key)).collect();
    paths.retain(|_, item| show(item));
    let base = route::path(base);
    let mut found = find(&base, &paths, context);
    if found.iter().all(Option::is_none) {
        found = find("", &paths, context);
    }
    if found.iter().all(Option::is_none) {
        found = assume(&paths, context);
    }
    let mut gateways: Vec<_> = found.iter().flatten().map(|(gateway, _)| gateway.clone()).collect();
    gateways.sort_unstable();
    gateways.dedup();
    let is_short = gateways.len() <= 1;
    let service_base = |gateway: &str| match gateway {
        "" => format!("/{}", context.service),
        gateway => format!("/{}/{gateway}", context.service),
    };
    let mut placed = Placed { base: "/".to_owned(), paths: Map::new(), unreachable: Vec::new() };
    if is_short {
        let usual = context.gateway_url();
        placed.base = service_base(gateways.first().map_or(usual, String::as_str));
    }
    for ((path, item), found) in paths.into_iter().zip(found) {
        let Some((gateway, rest)) = found else {
            placed.unreachable.push(path);
            continue;
        };
        let path = if is_short { rest } else { format!("{}{rest}", service_base(&gateway)) };
        let path = if path.is_empty() { "/".to_owned() } else { path };
        placed.paths.entry(path).or_insert(item);
    }
    placed.paths.extend(extensions);
    placed
}

/// Finds for each path the gateway's part of its route, and what is left behind it.
fn find(base: &str, paths: &Map<String, Value>, context: &Context) -> Vec<Option<(String, String)>> {
    let has_api = context.routes.iter().any(Route::is_api);
    let routes = || context.routes.iter().filter(|route| !has_api || route.is_api());
    let place = |path: &String| {
        let slash = if path.starts_with('/') { "" } else { "/" };
        let whole = format!("{base}{slash}{path}");
        let (route, rest) = route::leading_to(routes(), &whole, context.gateway_url())?;
        Some((route.gateway.clone(), rest.to_owned()))
    };
    paths.keys().map(place).collect()
}

/// Takes every path for one below the route that the API names.
fn assume(paths: &Map<String, Value>, context: &Context) -> Vec<Option<(String, String)>> {
    let wanted = context.gateway_url();
    let route = context.routes.iter().find(|route| route.gateway == wanted);
    let place = |path: &String| {
        let slash = if path.starts_with('/') { "" } else { "/" };
        route.map(|route| (route.gateway.clone(), format!("{slash}{path}")))
    };
    paths.keys().map(place).collect()
}
