//! What is asked for about entries, done.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tender_http::hyper::{Response, StatusCode};
use tender_http::{RequestBody, ResponseBody};

use super::answer::{self, Refusal};
use super::route::EntryCall;
use crate::entry::{Entry, Owner};
use crate::limits::Limits;
use crate::store::{Created, Store};

/// Room for what JSON makes longer.
const BODY_PER_VALUE: u64 = 6;

/// What is sent.
#[derive(Debug, Deserialize)]
struct Payload {
    key: Option<String>,
    value: Option<String>,
}

/// Does what is asked for.
pub(super) async fn call(
    call: EntryCall,
    store: &dyn Store,
    limits: &Limits,
    owner: &Owner,
    body: RequestBody,
) -> Result<Response<ResponseBody>, Refusal> {
    match call {
        EntryCall::List => {
            let entries = store.list(owner).await?;
            let map: Map<_, _> =
                entries.into_iter().map(|entry| (entry.key.clone(), document(entry))).collect();
            Ok(answer::json(&Value::Object(map)))
        }
        EntryCall::Get(key) => match store.get(owner, &key).await? {
            Some(entry) => Ok(answer::json(&document(entry))),
            None => Err(Refusal::NotThere(key)),
        },
        EntryCall::Create => {
            let entry = received(body, None, limits).await?;
            let key = entry.key.clone();
            match store.create(owner, entry, limits).await? {
                Created::Done => Ok(answer::empty(StatusCode::CREATED)),
                Created::Exists => Err(Refusal::Exists(key)),
                Created::Full => Err(Refusal::Full),
            }
        }
        EntryCall::Update(key) => {
            let entry = received(body, key, limits).await?;
            let key = entry.key.clone();
            if store.update(owner, entry).await? {
                Ok(answer::empty(StatusCode::NO_CONTENT))
            } else {
                Err(Refusal::NotThere(key))
            }
        }
        EntryCall::Delete(key) => match store.delete(owner, &key).await? {
            Some(_) => Ok(answer::empty(StatusCode::NO_CONTENT)),
            None => Err(Refusal::NotThere(key)),
        },
        EntryCall::DeleteAll => {
            store.delete_all(owner).await?;
            Ok(answer::empty(StatusCode::OK))
        }
    }
}

/// Reads an entry; the key of the path counts, and the body may leave it out then.
async fn received(body: RequestBody, of_path: Option<String>, limits: &Limits) -> Result<Entry, Refusal> {
    let longest = (limits.key_bytes_max + limits.value_bytes_max) as u64 * BODY_PER_VALUE + 1024;
    let bytes = body.with_limit(longest).read().await?;
    let payload: Payload = serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::Payload(format!("it is no entry in JSON: {error}")))?;
    let key = match (of_path, payload.key) {
        (Some(path), Some(key)) if path != key => {
            return Err(Refusal::Payload(format!("the path has the key `{path}`, the body `{key}`")));
        }
        (Some(key), _) | (None, Some(key)) => key,
        (None, None) => return Err(Refusal::Payload("`key` is missing".to_owned())),
    };
    let value = payload.value.ok_or_else(|| Refusal::Payload("`value` is missing".to_owned()))?;
    Ok(Entry::new(key, value, limits)?)
}

fn document(entry: Entry) -> Value {
    json!({ "key": entry.key, "value": entry.value, "created": entry.created_ms.to_string() })
}
