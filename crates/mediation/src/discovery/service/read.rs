//! Calls that read.

use std::collections::BTreeMap;
use std::sync::Arc;

use tender_http::hyper::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::Discovery;
use super::answer::{self, Answer, COMPRESSED_FROM};
use super::counters::Kind;
use super::negotiate;
use crate::discovery::instance::app_key;
use crate::discovery::registry::View;
use crate::discovery::snapshot::{Form, Part, compressed};
use crate::discovery::{Instance, json, xml};

impl Discovery {
    /// Hands out the registry or its changes; who has the newest may wait for the next.
    pub(super) async fn document(&self, part: Part, headers: &HeaderMap) -> Answer {
        let (state, form) = (&self.0.state, negotiate::form(headers));
        state.counters.count(Kind::Fetches);
        let mut document = state.document(part, form).await;
        let mut tag = state.tag(part, form, &document);
        if let Some(time) = negotiate::wait(headers) {
            let deadline = Instant::now() + time;
            while negotiate::has_tag(headers, &tag) && state.await_change(part, &document, deadline).await {
                // The document of before may be worth its work a little longer: it is no news.
                tokio::time::sleep_until(deadline.min(document.worth_until().into())).await;
                document = state.document(part, form).await;
                tag = state.tag(part, form, &document);
                if Instant::now() >= deadline {
                    break;
                }
            }
        }
        if negotiate::has_tag(headers, &tag) {
            state.counters.count(Kind::Unchanged);
            return answer::tagged(answer::bare(StatusCode::NOT_MODIFIED), &tag);
        }
        let is_gzip = document.plain.len() >= COMPRESSED_FROM && negotiate::takes_gzip(headers);
        let bytes = if is_gzip { document.packed().await } else { document.plain.clone() };
        answer::tagged(answer::negotiated(form.content_type(), bytes, is_gzip), &tag)
    }

    /// Hands out the instances of a service.
    pub(super) async fn application(&self, app: &str, headers: &HeaderMap) -> Answer {
        let instances: Vec<Arc<Instance>> = self.0.state.registry().of(app).cloned().collect();
        if instances.is_empty() {
            return answer::bare(StatusCode::NOT_FOUND);
        }
        let (name, bytes) = (app_key(app), instances.iter().map(|one| one.weight()).sum());
        let write = move |form| match form {
            Form::Json => json::application(&name, &instances),
            Form::Xml => xml::application(&name, &instances),
        };
        self.written(headers, bytes, write).await
    }

    /// Hands out one instance, of a service or of any.
    pub(super) async fn instance(&self, app: Option<&str>, id: &str, headers: &HeaderMap) -> Answer {
        let found = {
            let registry = self.0.state.registry();
            match app {
                Some(app) => registry.get(app, id).map(|entry| Arc::clone(&entry.instance)),
                None => registry.all().find(|one| one.id == id).cloned(),
            }
        };
        let Some(instance) = found else { return answer::bare(StatusCode::NOT_FOUND) };
        let (bytes, write) = (instance.weight(), move |form| match form {
            Form::Json => json::instance(&instance),
            Form::Xml => xml::instance(&instance),
        });
        self.written(headers, bytes, write).await
    }

    /// Hands out the instances that are looked up by a name.
    pub(super) async fn vip(&self, name: &str, is_secure: bool, headers: &HeaderMap) -> Answer {
        let has_name = |instance: &&Arc<Instance>| {
            let names = if is_secure { &instance.secure_vip } else { &instance.vip };
            names
                .as_ref()
                .is_some_and(|names| names.split(',').any(|one| one.trim().eq_ignore_ascii_case(name)))
        };
        let view = {
            let registry = self.0.state.registry();
            let mut applications: BTreeMap<String, Vec<Arc<Instance>>> = BTreeMap::new();
            for instance in registry.all().filter(has_name) {
                applications.entry(instance.app.clone()).or_default().push(Arc::clone(instance));
            }
            View::of(registry.version(), applications)
        };
        let bytes = view.applications.iter().flat_map(|(_, all)| all).map(|one| one.weight()).sum();
        let write = move |form| match form {
            Form::Json => json::applications(&view),
            Form::Xml => xml::applications(&view),
        };
        self.written(headers, bytes, write).await
    }

    /// Hands out the counts.
    pub(super) fn metrics(&self) -> Answer {
        let state = &self.0.state;
        let (count, version, is_preserving) = {
            let mut registry = state.registry();
            let is_preserving = registry.is_preserving(state.clock.now_ms());
            (registry.count(), registry.version(), is_preserving)
        };
        let mut gauges = vec![
            ("instances", "Instances registered", count as u64),
            ("version", "State of the registry", version),
            (
                "preserving",
                "Nobody is taken away because too few heartbeats arrive",
                u64::from(is_preserving),
            ),
        ];
        if let Some(shared) = self.shared() {
            gauges.extend([
                (
                    "shared_reached",
                    "etcd, through which the registry is shared, answers",
                    u64::from(shared.is_reached()),
                ),
                (
                    "shared_age_seconds",
                    "So old is what others registered, as far as it is known",
                    shared.age_s(),
                ),
                ("shared_waiting", "Instances of which etcd is still to be told", shared.waiting as u64),
            ]);
        }
        let text = state.counters.text(&gauges);
        answer::body("text/plain; version=0.0.4; charset=utf-8", text.into_bytes())
    }

    /// Writes what is for one reader alone, of about so many bytes.
    async fn written(
        &self,
        headers: &HeaderMap,
        bytes: usize,
        write: impl FnOnce(Form) -> Vec<u8> + Send + 'static,
    ) -> Answer {
        let (form, takes_gzip) = (negotiate::form(headers), negotiate::takes_gzip(headers));
        let make = move || {
            let plain = write(form);
            let is_gzip = plain.len() >= COMPRESSED_FROM && takes_gzip;
            (if is_gzip { compressed(&plain) } else { plain.into() }, is_gzip)
        };
        let (bytes, is_gzip) = self.0.state.made(bytes, make).await;
        answer::negotiated(form.content_type(), bytes, is_gzip)
    }
}

#[cfg(test)]
mod tests {
    use tender_http::hyper::HeaderMap;
    use tender_http::hyper::header::{ACCEPT, ETAG, IF_NONE_MATCH};

    use super::*;
    use crate::discovery::service::{Discovery, Settings};
    use crate::discovery::snapshot::LARGE;

    fn register(discovery: &Discovery, number: usize) {
        let body = format!(
            r#"{{"instance":{{"instanceId":"{number}","app":"svc","hostName":"h","ipAddr":"1","dataCenterInfo":{{"name":"MyOwn"}}}}}}"#
        );
        let instance = json::read_instance(body.as_bytes(), 1).unwrap();
        discovery.0.state.registry().register(instance, 1);
    }

    #[tokio::test]
    async fn who_waits_gets_what_is_newer_also_when_a_document_is_worth_its_work() {
        let discovery = Discovery::new(Settings::default());
        (0..5000).for_each(|number| register(&discovery, number));
        let mut headers = HeaderMap::from_iter([(ACCEPT, "application/json".parse().unwrap())]);
        let first = discovery.document(Part::Whole, &headers).await;
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        // At once there is no more than the document of before, which took its time.
        register(&discovery, 5000);
        headers.insert("prefer", "wait=60".parse().unwrap());
        let second = discovery.document(Part::Whole, &headers).await;
        assert_eq!(second.status(), StatusCode::OK);
        assert_ne!(second.headers()[ETAG], first.headers()[ETAG]);
        // Nothing is newer: nobody is answered before it is over.
        headers.insert(IF_NONE_MATCH, second.headers()[ETAG].clone());
        discovery.end_waiting();
        let third = discovery.document(Part::Whole, &headers).await;
        assert_eq!(third.status(), StatusCode::NOT_MODIFIED);
    }

    #[tokio::test]
    async fn large_answer_for_one_reader_holds_nobody_up() {
        let discovery = Discovery::new(Settings::default());
        let (ready, wait) = std::sync::mpsc::channel();
        let made =
            discovery.0.state.made(LARGE, move || wait.recv_timeout(std::time::Duration::from_secs(30)));
        let other = async move { ready.send(7).unwrap() };
        assert_eq!(tokio::join!(made, other).0, Ok(7), "it was made by the thread that answers");
    }
}
