//! API documents: Swagger 2.0 and OpenAPI 3, as JSON or YAML, from services that may say anything.
//!
//! ```text
//! bytes ──► parse ──► Value ──► rewrite: swagger │ openapi ──► Rewritten, for the gateway
//!                                   └── place: each path to the route that leads there
//! ```
//!
//! All of it are pure functions; source: the reference's section 6.3.

mod openapi;
mod place;
mod substitute;
mod swagger;

use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::registered::Service;
use crate::route::Route;

pub(crate) use substitute::substitute;

/// Operations with this tag are not for users.
const HIDDEN: &str = "apimlHidden";
/// Members of a path that are operations.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Where we say which paths of the service no route leads to.
const UNREACHABLE: &str = "x-tender-unreachable";

/// Says why something is no API document.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// Bytes that are no letters.
    #[error("it is no text in UTF-8: byte {at} fits nowhere")]
    NoText {
        /// Which byte.
        at: usize,
    },
    /// A page for people.
    #[error("it is an HTML page, perhaps one to log in at, and no API document")]
    Page,
    /// It looks like JSON.
    #[error("it is no JSON")]
    Json(#[source] serde_json::Error),
    /// It does not look like JSON.
    #[error("it is neither JSON nor YAML")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// It is read, and something else.
    #[error("it is {found}, where an object with `swagger` or `openapi` should be")]
    NoObject {
        /// What it is.
        found: &'static str,
    },
    /// Its version is missing, or one that nobody reads here.
    #[error("it has neither `swagger: \"2.0\"` nor `openapi: \"3.…\"`; {said}")]
    Version {
        /// What it says.
        said: String,
    },
    /// Its paths are none.
    #[error("its `paths` are {found}, and should be an object")]
    Paths {
        /// What they are.
        found: &'static str,
    },
}

/// What the catalog makes of an API document.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The document with addresses on the gateway.
    pub document: Value,
    /// What stands before its paths, such as `https://gateway:7554/service/api/v1`.
    pub base: String,
    /// Operations that users see.
    pub operations: usize,
    /// Paths of the service that no route leads to.
    pub unreachable: Vec<String>,
}

/// Does with a document what the catalog does with those of services.
///
/// `routes` are parts of the gateway's paths, such as `api/v1`, each with the path of the service that it leads to; the
/// first is the API's own. `gateway` is its address.
///
/// Errors: [`Unusable`] says what is wrong with the document.
pub fn made(
    document: &[u8],
    service: &str,
    routes: &[(String, String)],
    gateway: &str,
) -> Result<Made, Unusable> {
    let own = routes.first().map_or("", |(gateway, _)| gateway.as_str());
    let routes = routes.iter().map(|(gateway, service)| Route {
        gateway: gateway.trim().trim_matches('/').to_owned(),
        service: crate::route::path(service),
    });
    let context = Context {
        service: service.to_owned(),
        title: service.to_owned(),
        description: String::new(),
        home_page: None,
        routes: routes.collect(),
        api: Some(Api::of_gateway_url(own)),
        gateway: gateway.trim_end_matches('/').to_owned(),
    };
    let document = rewrite(parse(document)?, &context)?;
    let base = match document["servers"][0]["url"].as_str() {
        Some(url) => url.to_owned(),
        None => format!("{}{}", context.gateway, document["basePath"].as_str().unwrap_or_default()),
    };
    let items = document["paths"].as_object().into_iter().flatten().filter_map(|(_, item)| item.as_object());
    let operations = items.flat_map(Map::keys).filter(|key| METHODS.contains(&key.as_str())).count();
    let unreachable = document[UNREACHABLE].as_array().into_iter().flatten();
    let unreachable = unreachable.filter_map(|path| path.as_str().map(str::to_owned)).collect();
    Ok(Made { document, base, operations, unreachable })
}

/// What a document is rewritten for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) service: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) home_page: Option<String>,
    pub(crate) routes: Vec<Route>,
    pub(crate) api: Option<Api>,
    /// The gateway as users know it, without a slash at its end.
    pub(crate) gateway: String,
}

impl Context {
    pub(crate) fn new(service: &Service, api: Option<&Api>, gateway: &str) -> Self {
        Self {
            service: service.id.clone(),
            title: service.title().to_owned(),
            description: service.description().to_owned(),
            home_page: service.home_page(gateway),
            routes: service.routes.clone(),
            api: api.cloned(),
            gateway: gateway.to_owned(),
        }
    }

    /// Returns the part of the gateway's paths that the API says is its own.
    fn gateway_url(&self) -> &str {
        self.api.as_ref().map_or("", |api| api.gateway_url.as_str())
    }

    /// Returns where the document itself is read through the gateway.
    fn raw(&self) -> String {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        let key = self.api.as_ref().map(Api::key).unwrap_or_default();
        let key = utf8_percent_encode(&key, NON_ALPHANUMERIC);
        format!("{}/apicatalog/api/v1/apidoc/{}/{key}", self.gateway, self.service)
    }
}

/// Reads a document: JSON when it looks like that, else YAML.
///
/// Limits: `serde_json` refuses what is nested deeper than 128, `serde_saphyr` what is large by its aliases.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Unusable> {
    let text = std::str::from_utf8(bytes).map_err(|fault| Unusable::NoText { at: fault.valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value = match text.trim_start().chars().next() {
        None => return Err(Unusable::Empty),
        Some('<') => return Err(Unusable::Page),
        Some('{' | '[' | '"') => serde_json::from_str(text).map_err(Unusable::Json)?,
        Some(_) => serde_saphyr::from_str(text).map_err(|fault| Unusable::Yaml(Box::new(fault)))?,
    };
    match value {
        Value::Object(_) => Ok(value),
        other => Err(Unusable::NoObject { found: kind(&other) }),
    }
}

/// Makes a document one of the gateway: addresses lead there, what is hidden is left out.
pub(crate) fn rewrite(document: Value, context: &Context) -> Result<Value, Unusable> {
    let Value::Object(mut document) = document else {
        return Err(Unusable::NoObject { found: kind(&document) });
    };
    let says = |key: &str| match document.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let (swagger, openapi) = (says("swagger"), says("openapi"));
    let paths = match document.remove("paths") {
        Some(Value::Object(paths)) => paths,
        None | Some(Value::Null) => Map::new(),
        Some(other) => return Err(Unusable::Paths { found: kind(&other) }),
    };
    let unreachable = if openapi.starts_with("3.") || openapi == "3" {
        openapi::rewrite(&mut document, paths, context)
    } else if swagger == "2.0" || swagger == "2" {
        swagger::rewrite(&mut document, paths, context)
    } else {
        let said = match (document.contains_key("swagger"), document.contains_key("openapi")) {
            (_, true) => format!("it says `openapi: {openapi:?}`"),
            (true, _) => format!("it says `swagger: {swagger:?}`"),
            _ => "it says no version".to_owned(),
        };
        return Err(Unusable::Version { said });
    };
    if !unreachable.is_empty() {
        document.insert(UNREACHABLE.to_owned(), json!(unreachable));
    }
    describe(&mut document, context);
    Ok(Value::Object(document))
}

/// Adds where the document itself is, and where people read more.
fn describe(document: &mut Map<String, Value>, context: &Context) {
    let info = document.entry("info").or_insert_with(|| json!({}));
    if !info.is_object() {
        *info = json!({});
    }
    if !info["title"].is_string() {
        info["title"] = json!(context.title);
    }
    if !info["version"].is_string() {
        info["version"] = json!(context.api.as_ref().map_or("", |api| api.version.as_str()));
    }
    let before = info["description"].as_str().unwrap_or_default();
    let gap = if before.is_empty() { "" } else { "\n\n" };
    info["description"] = json!(format!("{before}{gap}[API document as JSON]({})", context.raw()));
    if let Some(address) = context.api.as_ref().and_then(|api| api.documentation.as_ref()) {
        document.insert("externalDocs".to_owned(), json!({ "description": "Documentation", "url": address }));
    }
}

/// Takes operations out of a path that are not for users; says whether anything is left.
fn show(item: &mut Value) -> bool {
    let Some(item) = item.as_object_mut() else { return false };
    let had_any = item.keys().any(|key| METHODS.contains(&key.as_str()));
    item.retain(|key, operation| !METHODS.contains(&key.as_str()) || !is_hidden(operation));
    !had_any || item.keys().any(|key| METHODS.contains(&key.as_str()))
}

fn is_hidden(operation: &Value) -> bool {
    operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == HIDDEN))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
pub(crate) mod tests;
