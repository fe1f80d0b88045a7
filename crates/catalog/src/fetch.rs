//! Having the API document of a service from one of its instances, or saying exactly why not.

use std::sync::Arc;

use http_body_util::Full;
use hyper::header::{ACCEPT, LOCATION};
use hyper::{Request, StatusCode, Uri};
use jiff::Timestamp;
use tender_certificate::CheckStatus;
use tender_certificate::service::{ServiceError, ServiceTarget, verify_service};
use tender_certificate::tls::TlsError;
use tender_gateway::Instance;
use tender_http::Bytes;
use tender_http::{Reach, may_be_asked};

use crate::document::{self, Context, Unusable};
use crate::known::Written;
use crate::outward::{Asker, Outward, Silence};

/// The largest document that is taken, in bytes.
const DOCUMENT_BYTES_MAX: usize = 8 << 20;
/// A document is at no more instances than these; who is silent costs the time of whoever waits.
const TRIES_MAX: usize = 3;
const ACCEPTED: &str = "application/json, application/yaml;q=0.9, */*;q=0.5";

/// Says why a document cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What the service says is no address.
    #[error("its `swaggerUrl` is `{address}`, which is no http or https address")]
    NoAddress { address: String },
    /// It leads elsewhere than to the service.
    #[error(
        "its `swaggerUrl` is `{address}`, and the service is registered at {}: documents are read there alone",
        registered.join(" and ")
    )]
    Elsewhere { address: String, registered: Vec<String> },
    /// The host is one that no requests are sent to.
    #[error("its `swaggerUrl` is `{address}`, to which no requests are sent: it is no address of a service")]
    Forbidden { address: String },
    /// No connection, or none that is trusted.
    #[error("{address} cannot be asked")]
    Silent {
        address: String,
        #[source]
        source: Silence,
    },
    /// The other end is not who it should be.
    #[error("{address} cannot be asked over TLS: {reason}")]
    Tls { address: String, reason: String },
    /// It answers with something else.
    #[error("{address} answers {status}{}", to.as_ref().map_or_else(String::new, |to| format!(" to `{to}`; redirects are not followed")))]
    Refused { address: String, status: StatusCode, to: Option<String> },
    /// What it answers is no document.
    #[error("what {address} answers cannot be used")]
    Unusable {
        address: String,
        #[source]
        source: Unusable,
    },
    /// It was too much for us.
    #[error("the document of {address} could not be worked on")]
    Work { address: String },
}

impl Failure {
    /// Says whether the service has the document, and does not give it.
    pub(crate) fn is_of_the_way(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::Tls { .. })
    }
}

/// Has documents of services.
#[derive(Debug)]
pub(crate) struct Fetcher {
    asker: Asker,
    outward: Outward,
}

impl Fetcher {
    pub(crate) fn new(outward: &Outward) -> Result<Self, TlsError> {
        Ok(Self { asker: Asker::new(outward, Reach::Registered)?, outward: outward.clone() })
    }

    /// Has the document of an API, rewritten for the gateway; one is made when the service says that it has none.
    pub(crate) async fn document(
        &self,
        context: &Context,
        instances: &[Instance],
    ) -> Result<Written, Failure> {
        let said = context.api.as_ref().map(|api| api.documents.as_slice()).unwrap_or_default();
        let addresses = said.iter().flat_map(|address| absolute(address, instances)).take(TRIES_MAX);
        let mut first = None;
        for address in addresses {
            match self.one(&address, context, instances).await {
                Ok(written) => return Ok(written),
                Err(failure) => drop(first.get_or_insert(failure)),
            }
        }
        match first {
            Some(failure) => Err(failure),
            None => Ok(written(&document::substitute(context))),
        }
    }

    async fn one(
        &self,
        address: &str,
        context: &Context,
        instances: &[Instance],
    ) -> Result<Written, Failure> {
        let uri = check(address, instances)?;
        let address = address.to_owned();
        let request = Request::get(uri.clone()).header(ACCEPT, ACCEPTED).body(Full::new(Bytes::new()));
        let request = request.map_err(|_| Failure::NoAddress { address: address.clone() })?;
        let told = match self.asker.ask(request, DOCUMENT_BYTES_MAX).await {
            Ok(told) => told,
            Err(source) => return Err(self.explained(address, &uri, source).await),
        };
        if told.status != StatusCode::OK {
            let to = told.headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
            return Err(Failure::Refused { address, status: told.status, to });
        }
        let (body, context) = (told.body, context.clone());
        let worked = tokio::task::spawn_blocking(move || {
            let document = document::rewrite(document::parse(&body)?, &context)?;
            Ok(written(&document))
        });
        match worked.await {
            Ok(Ok(written)) => Ok(written),
            Ok(Err(source)) => Err(Failure::Unusable { address, source }),
            Err(_) => Err(Failure::Work { address }),
        }
    }

    /// Finds out what is wrong with the certificate of who cannot be reached, if that is it.
    async fn explained(&self, address: String, uri: &Uri, source: Silence) -> Failure {
        let is_tls = uri.scheme_str() == Some("https") && matches!(source, Silence::Unreachable(_));
        let (Some(host), true) = (uri.host(), is_tls) else { return Failure::Silent { address, source } };
        // Whom requests are not sent to is not looked at either.
        let may_look = match tokio::net::lookup_host((bare(host), port(uri))).await {
            Ok(mut found) => found.all(|address| may_be_asked(address.ip())),
            Err(_) => false,
        };
        if !may_look {
            return Failure::Silent { address, source };
        }
        let timeout_ms = u64::try_from(self.outward.timeout.as_millis()).unwrap_or(u64::MAX);
        let target = ServiceTarget { host: bare(host).to_owned(), port: port(uri), timeout_ms };
        let Outward { mode, roots, identity, .. } = self.outward.clone();
        let look = move || verify_service(&target, mode, &roots, identity.as_ref(), Timestamp::now());
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok(report)) if !report.is_accepted() => {
                let shown = report.chain.first().map(|own| {
                    format!(
                        "it shows the certificate `{}`, issued by `{}`, valid until {}; ",
                        own.subject, own.issuer, own.not_after
                    )
                });
                let failed = report.checks.iter().filter(|check| check.status == CheckStatus::Failed);
                let failed: Vec<_> = failed.map(|check| format!("{}: {}", check.what, check.text)).collect();
                let reason = format!("{}{}", shown.unwrap_or_default(), failed.join("; "));
                Failure::Tls { address, reason }
            }
            Ok(Err(error @ ServiceError::Handshake { .. })) => {
                Failure::Tls { address, reason: tender_http::chain(&error) }
            }
            _ => Failure::Silent { address, source },
        }
    }
}

fn written(document: &serde_json::Value) -> Written {
    Written::new(serde_json::to_vec(document).expect("a document that was read can be written"))
}

/// Returns an address as it is, or at each instance when it is a path alone.
fn absolute(address: &str, instances: &[Instance]) -> Vec<String> {
    if !address.starts_with('/') || address.starts_with("//") {
        return vec![address.to_owned()];
    }
    let origins = instances.iter().map(|one| {
        let scheme = if one.is_secure { "https" } else { "http" };
        format!("{scheme}://{}:{}{address}", one.host, one.port)
    });
    origins.collect()
}

/// Says where a document is read: at the service itself alone, or whoever registers one could read with our rights what
/// he cannot reach.
fn check(address: &str, instances: &[Instance]) -> Result<Uri, Failure> {
    let none = || Failure::NoAddress { address: address.to_owned() };
    let uri: Uri = address.parse().map_err(|_| none())?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(none)?;
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !matches!(uri.scheme_str(), Some("http" | "https")) || has_user {
        return Err(none());
    }
    if bare(host).parse().is_ok_and(|address| !may_be_asked(address)) {
        return Err(Failure::Forbidden { address: address.to_owned() });
    }
    if instances.iter().any(|one| is_at(one, host, port(&uri))) {
        return Ok(uri);
    }
    let mut registered: Vec<_> = instances.iter().map(|one| format!("{}:{}", one.host, one.port)).collect();
    registered.truncate(TRIES_MAX);
    Err(Failure::Elsewhere { address: address.to_owned(), registered })
}

/// Says whether an instance has a port: that of its requests, or that of its own pages on the same host.
fn is_at(instance: &Instance, host: &str, port: u16) -> bool {
    let is_host = |other: &str| other.eq_ignore_ascii_case(host);
    let pages = [&instance.home_page, &instance.health_check, &instance.status_page];
    let is_of_page = |page: &String| {
        let page: Option<Uri> = page.parse().ok();
        page.is_some_and(|page| page.host().is_some_and(is_host) && self::port(&page) == port)
    };
    is_host(&instance.host) && (instance.port == port || pages.into_iter().flatten().any(is_of_page))
}

/// Returns a host without the brackets of an address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 })
}

/// A document, and since when it is as it is.
pub(crate) type Outcome = Result<Written, Arc<Failure>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registered::tests::{instance, read};

    fn instances() -> Vec<Instance> {
        let mut one = instance("sample", 10, true, &[]);
        one["healthCheckUrl"] = "http://h:11/health".into();
        read(&[one, instance("sample", 20, false, &[])])["sample"].instances.clone()
    }

    #[test]
    fn document_is_read_at_the_service_and_nowhere_else() {
        for address in ["https://h:10/doc", "http://H:10/doc?x", "https://h:20/", "http://h:11/doc"] {
            assert!(check(address, &instances()).is_ok(), "{address}");
        }
        for address in
            ["https://h:12/", "https://h/", "https://other:10/doc", "http://127.0.0.1:10/", "http://h.:10/"]
        {
            let fault = check(address, &instances()).unwrap_err();
            assert!(matches!(&fault, Failure::Elsewhere { .. }), "{address}: {fault}");
            assert!(fault.to_string().contains("registered at h:10 and h:20"), "{fault}");
        }
        for address in ["http://169.254.169.254/latest", "http://[fe80::1]:10/", "http://0.0.0.0:10/"] {
            assert!(matches!(check(address, &instances()), Err(Failure::Forbidden { .. })), "{address}");
        }
        for address in
            ["file:///etc/passwd", "ftp://h:10/", "h:10/doc", "//h:10/doc", "https://u@h:10/", "", "https://"]
        {
            assert!(matches!(check(address, &instances()), Err(Failure::NoAddress { .. })), "{address}");
        }
    }

    #[tokio::test]
    async fn service_that_never_answers_and_one_that_never_ends_are_told_apart() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let outward = Outward {
            mode: tender_certificate::tls::VerifyMode::Strict,
            roots: tender_certificate::tls::Roots::of(Vec::new()),
            identity: None,
            timeout: std::time::Duration::from_millis(500),
        };
        for head in ["", "HTTP/1.1 200 OK\r\n\r\n{"] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
                stream.write_all(head.as_bytes()).await.unwrap();
                // Nothing more, until the other end has had enough of it.
                while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
            });
            let mut one = instance(
                "sample",
                port,
                true,
                &[("apiml.apiInfo.0.swaggerUrl", &format!("http://127.0.0.1:{port}/docs"))],
            );
            one["hostName"] = "127.0.0.1".into();
            let services = read(&[one]);
            let service = &services["sample"];
            let context = Context::new(service, service.apis.first(), "https://gw");
            let failure =
                Fetcher::new(&outward).unwrap().document(&context, &service.instances).await.unwrap_err();
            let said = tender_http::chain(&failure);
            assert!(said.contains("no whole answer after 0.5 seconds"), "{said}");
        }
    }

    #[test]
    fn path_alone_is_one_of_each_instance() {
        assert_eq!(absolute("/doc", &instances()), ["https://h:10/doc", "https://h:20/doc"]);
        assert_eq!(absolute("//evil/doc", &instances()), ["//evil/doc"]);
    }
}
