//! API documents, alone and in tiles.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{AGE, CACHE_CONTROL, HeaderMap, HeaderValue, WARNING};
use hyper::{Response, StatusCode};
use tender_http::{Message, ResponseBody, chain};
use tokio::task::JoinSet;

use super::{Catalog, answer};
use crate::api::{self, Api};
use crate::fetch::Failure;
use crate::known::Known;
use crate::registered::Service;

/// How long a tile waits for documents of its services, all together.
const TILE_WAITS: Duration = Duration::from_secs(15);

impl Catalog {
    /// Answers with the document of an API, or why there is none.
    pub(super) async fn document(
        &self,
        known: &Known,
        id: &str,
        wanted: Option<&str>,
        headers: &HeaderMap,
    ) -> Response<ResponseBody> {
        let Some(service) = known.service(id) else { return answer::no_service(id) };
        let api = match wanted {
            None => api::default_of(&service.apis),
            Some(name) => match api::named(&service.apis, name) {
                Some(api) => Some(api),
                None if service.apis.is_empty() => None,
                None => return no_such_api(service, name),
            },
        };
        let is_new = headers.get(CACHE_CONTROL).is_some_and(|value| value == "no-cache");
        match self.0.documents.document(service, api, &known.gateway, is_new).await {
            Ok(document) => {
                let mut found = answer::written(headers, &document.written);
                found.headers_mut().insert(AGE, HeaderValue::from(document.age.as_secs()));
                if let Some(failure) = document.stale {
                    let text = said(service, api, &failure);
                    let value = format!("111 apicatalog \"{}\"", quoted(&text));
                    if let Ok(value) = HeaderValue::from_str(&value) {
                        found.headers_mut().insert(WARNING, value);
                    }
                }
                found
            }
            Err(failure) => failed(service, api, &failure),
        }
    }

    /// Answers with a tile and the documents of its services.
    pub(super) async fn container(&self, known: &Arc<Known>, id: &str) -> Response<ResponseBody> {
        let Some(tile) = known.tiles.get(id) else { return answer::json(&serde_json::json!([])) };
        let mut tile = tile.clone();
        let mut fetching = JoinSet::new();
        for (at, service) in tile.services.iter().enumerate() {
            let (catalog, known, id) = (self.clone(), Arc::clone(known), service.service_id.clone());
            fetching.spawn(async move {
                let service = known.service(&id)?;
                let api = api::default_of(&service.apis);
                let had = catalog.0.documents.document(service, api, &known.gateway, false).await;
                Some((at, had.map_err(|failure| said(service, api, &failure))))
            });
        }
        let all = async {
            while let Some(done) = fetching.join_next().await {
                let Ok(Some((at, had))) = done else { continue };
                match had {
                    Ok(document) => {
                        let text = String::from_utf8_lossy(&document.written.plain).into_owned();
                        tile.services[at].api_doc = Some(text);
                    }
                    Err(text) => tile.services[at].api_doc_error_message = Some(text),
                }
            }
        };
        let is_late = tokio::time::timeout(TILE_WAITS, all).await.is_err();
        if is_late {
            for service in tile.services.iter_mut().filter(|one| one.api_doc.is_none()) {
                let text = || "The API document was not there in time; ask for it alone".to_owned();
                service.api_doc_error_message.get_or_insert_with(text);
            }
        }
        answer::json(&serde_json::json!([tile]))
    }
}

/// Makes a text one that may stand between quotation marks in a header.
fn quoted(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '"' | '\\' => '\'',
            letter if letter.is_ascii_graphic() || letter == ' ' => letter,
            _ => '?',
        })
        .collect()
}

fn said(service: &Service, api: Option<&Api>, failure: &Failure) -> String {
    let which = api.map(|api| format!(" `{}`", api.key())).unwrap_or_default();
    format!("The API document{which} of `{}` cannot be had: {}", service.id, chain(failure))
}

fn failed(service: &Service, api: Option<&Api>, failure: &Failure) -> Response<ResponseBody> {
    let (number, key, status) = match failure {
        _ if failure.is_of_the_way() => {
            ("ZWEAC105W", "org.zowe.apiml.apicatalog.apiDocHostCommunication", StatusCode::BAD_GATEWAY)
        }
        Failure::Unusable { .. } | Failure::Work { .. } => {
            ("ZWEAC704E", "org.zowe.apiml.apicatalog.apidocRetrievalProblem", StatusCode::BAD_GATEWAY)
        }
        _ => ("ZWEAC103E", "org.zowe.apiml.apicatalog.apiDocNotFound", StatusCode::NOT_FOUND),
    };
    Message::error(number, key, said(service, api, failure)).answer(status)
}

fn no_such_api(service: &Service, name: &str) -> Response<ResponseBody> {
    let there: Vec<_> = service.apis.iter().map(|api| format!("`{}`", api.key())).collect();
    let text = format!("`{}` has no API `{name}`; it has {}", service.id, there.join(", "));
    Message::error("ZWEAC103E", "org.zowe.apiml.apicatalog.apiDocNotFound", text)
        .answer(StatusCode::NOT_FOUND)
}
