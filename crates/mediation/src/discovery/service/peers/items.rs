//! News of an instance to the items of a batch, and the answers to what comes next: decided without sending anything.

use serde_json::{Value, json};

use super::outbox::{Key, News};
use crate::discovery::{Registry, Status, json as documents};

/// Makes the items that tell a peer how an instance is.
pub(super) fn of(registry: &Registry, (app, id): &Key, news: News) -> Vec<Value> {
    let Some(entry) = registry.get(app, id) else {
        return vec![json!({ "action": "Cancel", "appName": app, "id": id })];
    };
    let instance = &entry.instance;
    let item = |action: &str, status: Status| {
        json!({
            "action": action, "appName": app, "id": id, "lastDirtyTimestamp": instance.dirty_ms,
            "status": status.name(), "overriddenStatus": instance.overridden.name(),
        })
    };
    if !news.is_changed {
        return vec![item("Heartbeat", instance.status)];
    }
    let mut register = item("Register", instance.status);
    register["instanceInfo"] = documents::value(instance);
    let mut items = vec![register];
    if instance.overridden != Status::Unknown {
        items.push(item("StatusUpdate", instance.overridden));
    } else if news.is_override_removed {
        items.push(item("DeleteStatusOverride", instance.status));
    }
    items
}

/// What follows from the answer to an item.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Nothing,
    /// The peer does not know the instance as it is: it is told whole.
    Tell,
    /// The peer knows a newer state of it, which is this.
    Adopt(Value),
    /// The peer does not take it.
    Refused(u64),
}

/// Decides what follows from the answer to an item.
pub(super) fn next(item: &Value, answer: &Value) -> Next {
    let action = item["action"].as_str().unwrap_or_default();
    match (action, answer["statusCode"].as_u64().unwrap_or(200)) {
        ("Heartbeat", 404) => Next::Tell,
        ("Heartbeat", 409) if answer["responseEntity"].is_object() => {
            Next::Adopt(answer["responseEntity"].clone())
        }
        // It is not there any more, or its status is not overridden: that is what was to be told.
        ("Cancel" | "StatusUpdate" | "DeleteStatusOverride", 404) | (_, 200..300) => Next::Nothing,
        (_, code) => Next::Refused(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_is_told_as_it_is_and_one_that_is_gone_is_cancelled() {
        let mut registry = Registry::default();
        let body = r#"{"instance":{"instanceId":"a","app":"svc","hostName":"h","ipAddr":"1","dataCenterInfo":{"name":"MyOwn"},"lastDirtyTimestamp":7}}"#;
        registry.register(documents::read_instance(body.as_bytes(), 1).unwrap(), 1);
        let key = ("SVC".to_owned(), "a".to_owned());
        let actions = |registry: &Registry, news: News| {
            let items = of(registry, &key, news);
            items.iter().map(|item| item["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(actions(&registry, News::RENEWED), ["Heartbeat"]);
        assert_eq!(actions(&registry, News::CHANGED), ["Register"]);
        let register = of(&registry, &key, News::CHANGED).remove(0);
        assert_eq!(
            (&register["lastDirtyTimestamp"], &register["instanceInfo"]["app"]),
            (&json!(7), &json!("SVC"))
        );
        registry.set_status("svc", "a", Status::OutOfService, 2).unwrap();
        assert_eq!(actions(&registry, News::CHANGED), ["Register", "StatusUpdate"]);
        registry.remove_status("svc", "a", Status::Up, 3).unwrap();
        assert_eq!(actions(&registry, News::OVERRIDE_REMOVED), ["Register", "DeleteStatusOverride"]);
        registry.cancel("svc", "a", 4).unwrap();
        assert_eq!(actions(&registry, News::RENEWED), ["Cancel"]);
    }

    #[test]
    fn answer_of_a_peer_decides_what_comes_next() {
        let next = |action: &str, code: u64| {
            super::next(&json!({ "action": action }), &json!({ "statusCode": code, "responseEntity": {} }))
        };
        assert_eq!(next("Heartbeat", 404), Next::Tell);
        assert_eq!(next("Heartbeat", 409), Next::Adopt(json!({})));
        assert_eq!((next("Cancel", 404), next("Register", 204)), (Next::Nothing, Next::Nothing));
        assert_eq!(next("Register", 507), Next::Refused(507));
    }
}
