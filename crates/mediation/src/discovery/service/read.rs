//! Calls that read.

use std::collections::BTreeMap;
use std::sync::Arc;

use tender_http::hyper::{HeaderMap, StatusCode};

use super::Discovery;
use super::answer::{self, Answer, COMPRESSED_FROM};
use super::counters::Kind;
use super::negotiate;
use crate::discovery::registry::View;
use crate::discovery::snapshot::{Form, Part, compressed};
use crate::discovery::{Instance, json, xml};

impl Discovery {
    /// Hands out the registry or its changes; who has the newest may wait for the next.
    pub(super) async fn document(&self, part: Part, headers: &HeaderMap) -> Answer {
        /// A larger document is compressed beside the threads that answer.
        const LARGE: usize = 256 << 10;
        let (state, form) = (&self.0.state, negotiate::form(headers));
        state.counters.count(Kind::Fetches);
        let mut document = state.document(part, form).await;
        let mut tag = state.tag(part, form, &document);
        if let Some(time) = negotiate::wait(headers)
            && negotiate::has_tag(headers, &tag)
        {
            state.await_change(part, &document, time).await;
            document = state.document(part, form).await;
            tag = state.tag(part, form, &document);
        }
        if negotiate::has_tag(headers, &tag) {
            state.counters.count(Kind::Unchanged);
            return answer::tagged(answer::bare(StatusCode::NOT_MODIFIED), &tag);
        }
        let is_gzip = document.plain.len() >= COMPRESSED_FROM && negotiate::takes_gzip(headers);
        let bytes = if !is_gzip {
            document.plain.clone()
        } else if document.plain.len() < LARGE || document.is_compressed() {
            document.gzip().clone()
        } else {
            let document = Arc::clone(&document);
            let packed = tokio::task::spawn_blocking(move || document.gzip().clone()).await;
            packed.expect("compressing a document does not fail")
        };
        answer::tagged(answer::negotiated(form.content_type(), bytes, is_gzip), &tag)
    }

    /// Hands out the instances of a service.
    pub(super) fn application(&self, app: &str, headers: &HeaderMap) -> Answer {
        let instances: Vec<Arc<Instance>> = self.0.state.registry().of(app).cloned().collect();
        if instances.is_empty() {
            return answer::bare(StatusCode::NOT_FOUND);
        }
        let name = app.to_uppercase();
        self.written(headers, |form| match form {
            Form::Json => json::application(&name, &instances),
            Form::Xml => xml::application(&name, &instances),
        })
    }

    /// Hands out one instance, of a service or of any.
    pub(super) fn instance(&self, app: Option<&str>, id: &str, headers: &HeaderMap) -> Answer {
        let found = {
            let registry = self.0.state.registry();
            match app {
                Some(app) => registry.get(app, id).map(|entry| Arc::clone(&entry.instance)),
                None => registry.all().find(|one| one.id == id).cloned(),
            }
        };
        let Some(instance) = found else { return answer::bare(StatusCode::NOT_FOUND) };
        self.written(headers, |form| match form {
            Form::Json => json::instance(&instance),
            Form::Xml => xml::instance(&instance),
        })
    }

    /// Hands out the instances that are looked up by a name.
    pub(super) fn vip(&self, name: &str, is_secure: bool, headers: &HeaderMap) -> Answer {
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
        self.written(headers, |form| match form {
            Form::Json => json::applications(&view),
            Form::Xml => xml::applications(&view),
        })
    }

    /// Hands out the counts.
    pub(super) fn metrics(&self) -> Answer {
        let state = &self.0.state;
        let (count, version, is_preserving) = {
            let mut registry = state.registry();
            let is_preserving = registry.is_preserving(state.clock.now_ms());
            (registry.count(), registry.version(), is_preserving)
        };
        let gauges = [
            ("instances", "Instances registered", count as u64),
            ("version", "State of the registry", version),
            (
                "preserving",
                "Nobody is taken away because too few heartbeats arrive",
                u64::from(is_preserving),
            ),
        ];
        let text = state.counters.text(&gauges);
        answer::body("text/plain; version=0.0.4; charset=utf-8", text.into_bytes())
    }

    fn written(&self, headers: &HeaderMap, write: impl FnOnce(Form) -> Vec<u8>) -> Answer {
        let form = negotiate::form(headers);
        let plain = write(form);
        let is_gzip = plain.len() >= COMPRESSED_FROM && negotiate::takes_gzip(headers);
        let bytes = if is_gzip { compressed(&plain) } else { plain.into() };
        answer::negotiated(form.content_type(), bytes, is_gzip)
    }
}
