//! OpenAPI 3: one server, which is the gateway.

use serde_json::{Map, Value, json};

use super::Context;
use super::place::{Placed, place};

/// Rewrites a document without its paths, and puts these in; returns the paths that cannot be reached.
pub(super) fn rewrite(
    document: &mut Map<String, Value>,
    paths: Map<String, Value>,
    context: &Context,
) -> Vec<String> {
    let base = document.get("servers").map(base).unwrap_or_default();
    let Placed { base, mut paths, unreachable } = place(&base, paths, context);
    for item in paths.values_mut().filter_map(Value::as_object_mut) {
        // Servers of a path or an operation would lead past the gateway.
        item.remove("servers");
        item.values_mut().filter_map(Value::as_object_mut).for_each(|operation| {
            operation.remove("servers");
        });
    }
    let base = if base == "/" { "" } else { &base };
    document.insert("servers".to_owned(), json!([{ "url": format!("{}{base}", context.gateway) }]));
    document.insert("paths".to_owned(), Value::Object(paths));
    unreachable
}

/// Returns the path of the first server, with the usual values of what is left open in it.
fn base(servers: &Value) -> String {
    let server = &servers[0];
    let mut url = server["url"].as_str().unwrap_or_default().to_owned();
    for (name, variable) in server["variables"].as_object().into_iter().flatten() {
        url = url.replace(&format!("{{{name}}}"), variable["default"].as_str().unwrap_or_default());
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/').unwrap_or(rest.len())..],
        None => url.trim_start_matches('.'),
    };
    path.split(['?', '#']).next().unwrap_or_default().to_owned()
}
