//! What etcd holds of an instance.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use serde_json::{Value, json};

use super::Key;
use crate::discovery::instance::Instance;
use crate::discovery::json as documents;

/// What would end a part of a key.
const PART: &AsciiSet = &CONTROLS.add(b'/').add(b'%');

/// An instance as one server wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) instance: Instance,
    /// The server at which its heartbeats arrive.
    pub(crate) heard_by: String,
    /// The server that wrote this.
    pub(crate) writer: String,
    /// The how manieth this is of what that server wrote.
    pub(crate) number: u64,
}

/// Says why a record is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("the key names no service and instance")]
    Key,
    #[error("the value is no record: {reason}")]
    Value { reason: String },
    #[error("the value is of instance `{id}` of {app}")]
    Other { app: String, id: String },
}

/// Returns what the keys of all instances begin with.
pub(crate) fn key_prefix(prefix: &str) -> String {
    format!("{}/instances/", prefix.trim_end_matches('/'))
}

/// Returns the key of an instance.
pub(crate) fn key_of(prefix: &str, (app, id): &Key) -> Vec<u8> {
    let part = |text| utf8_percent_encode(text, PART);
    format!("{prefix}{}/{}", part(app), part(id)).into_bytes()
}

/// Returns which instance a key is of.
pub(crate) fn read_key(prefix: &str, key: &[u8]) -> Result<Key, RecordError> {
    let rest = key.strip_prefix(prefix.as_bytes()).ok_or(RecordError::Key)?;
    let text = std::str::from_utf8(rest).map_err(|_| RecordError::Key)?;
    let (app, id) = text.split_once('/').filter(|(_, id)| !id.contains('/')).ok_or(RecordError::Key)?;
    let part = |text: &str| {
        let decoded = percent_decode(text.as_bytes()).decode_utf8().map_err(|_| RecordError::Key)?;
        Some(decoded.into_owned()).filter(|part| !part.is_empty()).ok_or(RecordError::Key)
    };
    Ok((part(app)?, part(id)?))
}

impl Record {
    /// Writes it.
    pub(super) fn write(&self) -> Vec<u8> {
        let Self { instance, heard_by, writer, number } = self;
        let mut document = documents::value(instance);
        // Which server is asked differs from server to server.
        document["isCoordinatingDiscoveryServer"] = json!("false");
        let document =
            json!({ "instance": document, "heardBy": heard_by, "writer": writer, "number": number });
        document.to_string().into_bytes()
    }

    /// Reads what a key stands for; what it does not say is as if it had been said `now_ms`.
    pub(super) fn read(key: &Key, value: &[u8], now_ms: u64) -> Result<Self, RecordError> {
        let wrong = |reason: String| RecordError::Value { reason };
        let document: Value = serde_json::from_slice(value).map_err(|error| wrong(error.to_string()))?;
        let said = &document["instance"];
        let mut instance = documents::read_value(said, now_ms).map_err(|error| wrong(error.to_string()))?;
        if (&instance.app, &instance.id) != (&key.0, &key.1) {
            return Err(RecordError::Other { app: instance.app, id: instance.id });
        }
        let time = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let lease = &said["leaseInfo"];
        instance.lease.registered_ms = time(&lease["registrationTimestamp"]).unwrap_or(now_ms);
        instance.lease.renewed_ms = time(&lease["lastRenewalTimestamp"]).unwrap_or(now_ms);
        instance.lease.up_ms = time(&lease["serviceUpTimestamp"]).unwrap_or(0);
        instance.updated_ms = time(&said["lastUpdatedTimestamp"]).unwrap_or(now_ms);
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            instance,
            heard_by: text("heardBy"),
            writer: text("writer"),
            number: document["number"].as_u64().unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::discovery::{Registry, Status};

    proptest! {
        #[test]
        fn key_of_any_names_is_read_again(app in "[!-~ ]{1,20}", id in "[!-~ ]{1,40}") {
            let key = (app, id);
            let written = key_of("/p/instances/", &key);
            prop_assert_eq!(read_key("/p/instances/", &written), Ok(key));
        }

        #[test]
        fn whatever_is_read_breaks_nothing(key in proptest::collection::vec(any::<u8>(), 0..40), value in any::<String>()) {
            read_key("/p/instances/", &key).ok();
            Record::read(&("A".to_owned(), "a".to_owned()), value.as_bytes(), 1).ok();
        }
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        for wrong in
            ["/q/instances/A/b", "/p/instances/A", "/p/instances/A/b/c", "/p/instances//b", "/p/instances/A/"]
        {
            assert_eq!(read_key("/p/instances/", wrong.as_bytes()), Err(RecordError::Key), "{wrong}");
        }
        assert_eq!(key_prefix("/p/"), "/p/instances/");
    }

    #[test]
    fn record_is_read_as_it_was_written_and_one_of_another_instance_is_refused() {
        let body = r#"{"instance":{"instanceId":"h:svc:1","app":"svc","hostName":"h","ipAddr":"1",
            "dataCenterInfo":{"name":"MyOwn"},"metadata":{"a/b":"\u0001\"<"},"lastDirtyTimestamp":7,"status":"UP"}}"#;
        let mut registry = Registry::default();
        registry.register(documents::read_instance(body.as_bytes(), 1).unwrap(), 5);
        registry.set_status("svc", "h:svc:1", Status::OutOfService, 6).unwrap();
        let instance = (*registry.get("svc", "h:svc:1").unwrap().instance).clone();
        let record = Record { instance, heard_by: "a".to_owned(), writer: "b".to_owned(), number: 3 };
        let key = ("SVC".to_owned(), "h:svc:1".to_owned());
        let mut read = Record::read(&key, &record.write(), 99).unwrap();
        read.instance.action = record.instance.action;
        assert_eq!(read, record);
        let other = ("SVC".to_owned(), "h:svc:2".to_owned());
        assert_eq!(
            Record::read(&other, &record.write(), 99).unwrap_err().to_string(),
            "the value is of instance `h:svc:1` of SVC"
        );
    }
}
