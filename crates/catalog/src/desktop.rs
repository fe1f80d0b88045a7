//! The desktop: applications of components, opened in windows.
//!
//! ```text
//! launcher ──► pointers (`workspace/app-server/plugins/*.json`) ──► Plugin: read, checked ──► /plugins
//!                                                                      └── files of its `web` directory, and none above
//! ```
//!
//! Source: `runtime-lifecycle` 1.6, 2.4 and 7.2 of the reference.

mod files;
mod plugin;
mod route;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use serde_json::{Value, json};
use tender_certificate::tls::TlsError;
use tender_http::{Handler, Message, Peer, RequestBody, ResponseBody, chain};

use crate::outward::Outward;
use crate::page::{self, Asset, assets};
use crate::path::Unroutable;
use crate::service::{PREFIX, answer, is_foreign, no_method};
use crate::session::{self, Sessions};
use files::FileError;
use plugin::{Found, Plugin};
use route::Call;

/// Files of the page.
const FILES: &[Asset] = assets![
    "index.html" from "desktop/index.html",
    "base.css" from "base.css",
    "desktop.css" from "desktop/desktop.css",
    "element.js" from "element.js",
    "server.js" from "server.js",
    "login.js" from "login.js",
    "desktop.js" from "desktop/desktop.js",
    "window.js" from "desktop/window.js",
    "content.js" from "desktop/content.js",
    "kept.js" from "desktop/kept.js",
];

/// How the desktop behaves.
#[derive(Debug, Clone)]
pub struct DesktopSettings {
    /// How the gateway is reached.
    pub outward: Outward,
    /// Gateways, as this machine reaches them; they are asked who somebody is, in this order.
    pub gateways: Vec<Uri>,
    /// The gateway as users reach it: applications may be framed from there.
    pub public: String,
    /// Where pointers to plugins are.
    pub plugins: PathBuf,
    /// What the names in `relativeTo` of pointers stand for, without the dollar sign.
    pub places: BTreeMap<String, PathBuf>,
    /// Everybody may use it, without logging in.
    pub is_open: bool,
}

/// The desktop. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Desktop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: DesktopSettings,
    sessions: Sessions,
    page_policy: String,
    plugin_policy: String,
}

impl Desktop {
    /// Makes the desktop of an instance.
    ///
    /// Errors: [`TlsError`] when the key that is shown to the gateway cannot be used.
    pub fn new(settings: DesktopSettings) -> Result<Self, TlsError> {
        let frames = format!("frame-src 'self'{}", origin(&settings.public));
        let plugin_policy = format!(
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; \
             object-src 'none'; base-uri 'none'; frame-ancestors 'self'; {frames}"
        );
        Ok(Self(Arc::new(Inner {
            sessions: Sessions::new(&settings.outward, settings.gateways.clone())?,
            page_policy: format!("{}; {frames}", page::PAGES),
            plugin_policy,
            settings,
        })))
    }

    async fn call(&self, call: Call, request: Request<RequestBody>) -> Response<ResponseBody> {
        let (head, body) = request.into_parts();
        let headers = &head.headers;
        match call {
            Call::Page(name) => return answer::file(FILES, &name, headers, &self.0.page_policy),
            Call::Health => return answer::json(&json!({ "status": "UP" })),
            Call::Info => {
                let build = json!({ "name": "tender-desktop", "version": env!("CARGO_PKG_VERSION") });
                return answer::json(&json!({ "build": build }));
            }
            Call::Session => return self.session(headers).await,
            Call::Login | Call::Logout if is_foreign(headers) => return answer::foreign(),
            Call::Login => return self.0.sessions.hand_on("login", headers, body).await,
            Call::Logout => return self.0.sessions.hand_on("logout", headers, body).await,
            _ => {}
        }
        let user =
            if self.0.settings.is_open { Ok(String::new()) } else { self.0.sessions.user(headers).await };
        match (call, user) {
            (Call::Plugins, user) => self.list(user.is_ok()).await,
            (Call::File { plugin, path }, Ok(_)) => self.file(&plugin, path, headers).await,
            (_, Err(denied)) => session::answer(&denied),
            (_, Ok(_)) => Message::no_endpoint(head.uri.path()).answer(StatusCode::NOT_FOUND),
        }
    }

    async fn session(&self, headers: &HeaderMap) -> Response<ResponseBody> {
        let user = self.0.sessions.user(headers).await.ok();
        answer::json(&json!({
            "user": user,
            "isOpen": self.0.settings.is_open,
            "isThroughGateway": headers.contains_key(PREFIX),
            "gateway": self.0.settings.public,
        }))
    }

    /// Lists applications; what is wrong with others is told to users alone, because it names paths.
    async fn list(&self, is_user: bool) -> Response<ResponseBody> {
        let (directory, places) = (self.0.settings.plugins.clone(), self.0.settings.places.clone());
        let read = tokio::task::spawn_blocking(move || plugin::read(&directory, &places));
        let Found { plugins, problems } = read.await.unwrap_or_default();
        let definitions: Vec<Value> = plugins.values().map(Plugin::listed).collect();
        let mut list = json!({ "pluginDefinitions": definitions });
        if is_user {
            list["problems"] = problems.iter().map(|problem| chain(problem)).collect();
        }
        answer::json(&list)
    }

    async fn file(&self, id: &str, path: String, headers: &HeaderMap) -> Response<ResponseBody> {
        let (directory, places) = (self.0.settings.plugins.clone(), self.0.settings.places.clone());
        let (name, relative) = (id.to_owned(), path.clone());
        let read = tokio::task::spawn_blocking(move || {
            let plugin = plugin::named(&directory, &name, &places)?;
            Some(files::read(&plugin.web, &relative))
        });
        let Some(read) = read.await.unwrap_or_default() else {
            return Message::not_found(format!("No plugin `{id}` is registered"))
                .answer(StatusCode::NOT_FOUND);
        };
        match read {
            Ok((bytes, tag)) => {
                let answer = page::tagged(headers, &tag, page::content_type(&path), bytes.into());
                page::guarded(answer, &self.0.plugin_policy)
            }
            Err(FileError::NotThere) => {
                let text = format!("The plugin `{id}` has no file `{path}` in its web directory");
                Message::not_found(text).answer(StatusCode::NOT_FOUND)
            }
            Err(error) => Message::internal(chain(&error)).answer(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// Returns an origin as policies name it, with a blank before it; nothing when it could end the policy.
fn origin(address: &str) -> String {
    let uri: Option<Uri> = address.parse().ok();
    let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?.as_str())));
    match parts {
        Some((scheme, authority))
            if authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)) =>
        {
            format!(" {scheme}://{authority}")
        }
        _ => String::new(),
    }
}

impl Handler for Desktop {
    async fn handle(&self, request: Request<RequestBody>, _peer: &Arc<Peer>) -> Response<ResponseBody> {
        let (path, method) = (request.uri().path().to_owned(), request.method().clone());
        let answer = match route::route(&method, &path) {
            Ok(Call::ToPage) => {
                let mut answer = answer::empty(StatusCode::FOUND);
                answer.headers_mut().insert("location", HeaderValue::from_static("/zlux/"));
                answer
            }
            Ok(call) => self.call(call, request).await,
            Err(Unroutable::NoEndpoint) => Message::no_endpoint(&path).answer(StatusCode::NOT_FOUND),
            Err(Unroutable::NoMethod { allowed }) => no_method(&method, &path, allowed),
        };
        page::guarded(answer, &self.0.page_policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_of_the_gateway_does_not_end_a_policy() {
        assert_eq!(origin("https://gw.example.com:7554/x"), " https://gw.example.com:7554");
        for address in ["https://a;script-src.*/", "no address", "", "https://a'b"] {
            assert_eq!(origin(address), "", "{address}");
        }
    }
}
