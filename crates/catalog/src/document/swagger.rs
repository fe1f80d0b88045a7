//! Swagger 2.0: `host`, `schemes` and `basePath` are the gateway's.

use serde_json::{Map, Value, json};

use super::Context;
use super::place::{Placed, place};

/// Rewrites a document without its paths, and puts these in; returns the paths that cannot be reached.
pub(super) fn rewrite(
    document: &mut Map<String, Value>,
    paths: Map<String, Value>,
    context: &Context,
) -> Vec<String> {
    let base = document.get("basePath").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Placed { base, mut paths, unreachable } = place(&base, paths, context);
    let (scheme, host) = context.gateway.split_once("://").unwrap_or(("https", &context.gateway));
    for item in paths.values_mut() {
        // An operation may name schemes of its own: those of the service are not those of the gateway.
        let operations = item.as_object_mut().into_iter().flat_map(Map::values_mut);
        operations.filter_map(Value::as_object_mut).for_each(|operation| {
            operation.remove("schemes");
        });
    }
    document.insert("host".to_owned(), json!(host));
    document.insert("schemes".to_owned(), json!([scheme]));
    document.insert("basePath".to_owned(), json!(base));
    document.insert("paths".to_owned(), Value::Object(paths));
    unreachable
}
