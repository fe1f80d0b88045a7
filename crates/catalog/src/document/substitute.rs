//! A document for services that have none.

use serde_json::{Value, json};

use super::Context;
use crate::api::Api;

/// Makes a document that says who the service is and where more is to be read.
pub(crate) fn substitute(context: &Context) -> Value {
    let version = context.api.as_ref().map(|api| api.version.clone()).filter(|version| !version.is_empty());
    let documentation = context.api.as_ref().and_then(|api| api.documentation.as_ref());
    let mut text = vec![context.description.clone()];
    text.push("This service has no API document.".to_owned());
    text.extend(context.home_page.as_ref().map(|page| format!("[Home page]({page})")));
    text.extend(documentation.map(|page| format!("[Documentation]({page})")));
    text.retain(|line| !line.is_empty());
    let base = match context.gateway_url() {
        "" => format!("/{}", context.service),
        gateway => format!("/{}/{gateway}", context.service),
    };
    let mut document = json!({
        "openapi": "3.0.3",
        "info": {
            "title": context.title,
            "description": text.join("\n\n"),
            "version": version.unwrap_or_else(|| "1.0.0".to_owned()),
        },
        "servers": [{ "url": format!("{}{base}", context.gateway) }],
        "paths": {},
        "x-tender-substitute": true,
    });
    if let Some(id) = context.api.as_ref().map(|api: &Api| &api.id) {
        document["info"]["x-api-id"] = json!(id);
    }
    if let Some(page) = documentation {
        document["externalDocs"] = json!({ "description": "Documentation", "url": page });
    }
    document
}
