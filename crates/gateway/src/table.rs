//! Which path leads to which instances: a value made of the registry, replaced as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::header::HeaderValue;
use tender_http::bracketed;

use crate::registry::Instance;
use crate::said::Said;

/// Services that nobody is led to: they have ways in of their own, or are called as the gateway's own paths and the first
/// step of the old form are, and would take the requests of others.
const WITHOUT_ROUTES: [&str; 8] = ["discovery", "zaas", "gateway", "application", "api", "ui", "ws", "sse"];
/// Steps of a path that may stand before the id of a service in the old form, as in `/api/v1/service`.
const STEPS_BEFORE_MAX: usize = 4;

/// All services that are registered, with the ways to them.
#[derive(Debug, Default)]
pub struct Table {
    services: BTreeMap<String, Service>,
}

/// A service.
#[derive(Debug, Default)]
pub(crate) struct Service {
    pub(crate) instances: Vec<Arc<Instance>>,
    /// The longest first: it is the more exact one.
    pub(crate) routes: Vec<Route>,
    pub(crate) said: Said,
    /// Whose turn it is among its instances.
    turn: AtomicUsize,
}

/// A part of the gateway's paths, and where it leads on each instance that has it.
#[derive(Debug)]
pub(crate) struct Route {
    /// Without slashes at its ends, such as `api/v1`.
    pub(crate) gateway: String,
    /// How the paths that it stands for begin in the new form, such as `/service/api/v1`; nothing when that is no header.
    pub(crate) prefix: Option<HeaderValue>,
    pub(crate) ends: Vec<End>,
}

/// Where a route leads.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) instance: Arc<Instance>,
    /// Begins with a slash unless it is empty, and does not end with one.
    pub(crate) path: Arc<str>,
    /// Scheme, host and port, such as `https://host:1234`; no address when the host is none.
    pub(crate) origin: Arc<str>,
    /// The same for the header `Host`; nothing when it is none.
    pub(crate) host: Option<HeaderValue>,
}

impl End {
    /// Leads to a path of an instance.
    pub(crate) fn new(instance: Arc<Instance>, path: &str) -> Self {
        let (host, port) = (&instance.host, instance.port);
        let host = bracketed(host);
        let (scheme, usual) = if instance.is_secure { ("https", 443) } else { ("http", 80) };
        let origin = format!("{scheme}://{host}:{port}").into();
        let host = if port == usual { host.into_owned() } else { format!("{host}:{port}") };
        Self { instance, path: path.into(), origin, host: host.try_into().ok() }
    }
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) struct Found<'t, 'p> {
    pub(crate) service: &'t Service,
    pub(crate) id: &'t str,
    pub(crate) route: &'t Route,
    /// What of the path stands for the route, such as `/service/api/v1`.
    pub(crate) prefix: &'p str,
    /// The rest: empty, or it begins with a slash.
    pub(crate) rest: &'p str,
}

impl Found<'_, '_> {
    /// Returns the prefix as a header has it.
    pub(crate) fn prefix_value(&self) -> HeaderValue {
        let known = self.route.prefix.as_ref().filter(|known| known.as_bytes() == self.prefix.as_bytes());
        // A path has no control characters: it was checked.
        let made = || HeaderValue::from_bytes(self.prefix.as_bytes());
        known.cloned().unwrap_or_else(|| made().unwrap_or(HeaderValue::from_static("/")))
    }
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// It names no service, or no route of one.
    Nothing,
    /// The service has this route, and no instance that is up.
    NoInstance { service: String },
}

impl Table {
    /// Makes a table of what is registered.
    #[must_use]
    pub fn new(instances: impl IntoIterator<Item = Instance>) -> Self {
        let mut services = BTreeMap::<String, Service>::new();
        for instance in instances {
            let service = services.entry(instance.service.clone()).or_default();
            service.instances.push(Arc::new(instance));
        }
        for (id, service) in &mut services {
            if !WITHOUT_ROUTES.contains(&id.as_str()) {
                service.make_routes(id);
                service.said = Said::of(|key| service.says(key), |key, value| service.has_any(key, value));
            }
        }
        Self { services }
    }

    /// Goes on with the turns of the table before.
    pub(crate) fn take_turns_of(&self, before: &Self) {
        for (id, service) in &self.services {
            if let Some(known) = before.services.get(id) {
                service.turn.store(known.turn.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// Returns the services by their ids.
    pub(crate) fn services(&self) -> &BTreeMap<String, Service> {
        &self.services
    }

    /// Finds what a path leads to, in the new form `/service/api/v1/…` or the old one `/api/v1/service/…`.
    pub(crate) fn find<'t, 'p>(&'t self, path: &'p str) -> Result<Found<'t, 'p>, NotFound> {
        let found = self.new_form(path).or_else(|| self.old_form(path)).ok_or(NotFound::Nothing)?;
        if found.route.ends.iter().any(|end| end.instance.is_up) {
            Ok(found)
        } else {
            Err(NotFound::NoInstance { service: found.id.to_owned() })
        }
    }

    fn service(&self, id: &str) -> Option<(&str, &Service)> {
        let (id, service) = match self.services.get_key_value(id) {
            Some(found) => found,
            None => self.services.get_key_value(&id.to_ascii_lowercase())?,
        };
        Some((id, service))
    }

    fn new_form<'t, 'p>(&'t self, path: &'p str) -> Option<Found<'t, 'p>> {
        let inner = path.strip_prefix('/')?;
        let (first, rest) = inner.split_at(inner.find('/')?);
        let (id, service) = self.service(first)?;
        service.routes.iter().find_map(|route| {
            let rest = if route.gateway.is_empty() {
                rest
            } else {
                rest[1..].strip_prefix(route.gateway.as_str())?
            };
            let is_whole_step = rest.is_empty() || rest.starts_with('/');
            let prefix = &path[..path.len() - rest.len()];
            is_whole_step.then_some(Found { service, id, route, prefix, rest })
        })
    }

    fn old_form<'t, 'p>(&'t self, path: &'p str) -> Option<Found<'t, 'p>> {
        let inner = path.strip_prefix('/')?;
        let mut slashes = inner.match_indices('/').map(|(at, _)| at).take(STEPS_BEFORE_MAX);
        slashes.find_map(|at| {
            let (before, after) = (&inner[..at], &inner[at + 1..]);
            let (name, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
            let (id, service) = self.service(name)?;
            let route = service.routes.iter().find(|route| route.gateway == before)?;
            let prefix = &path[..path.len() - rest.len()];
            Some(Found { service, id, route, prefix, rest })
        })
    }
}

impl Service {
    fn make_routes(&mut self, id: &str) {
        for instance in &self.instances {
            for (gateway, path) in routes_of(instance) {
                let end = End::new(Arc::clone(instance), &path);
                match self.routes.iter_mut().find(|route| route.gateway == gateway) {
                    Some(route) => route.ends.push(end),
                    None => {
                        let steps = if gateway.is_empty() { "" } else { "/" };
                        let prefix = format!("/{id}{steps}{gateway}").try_into().ok();
                        self.routes.push(Route { gateway, prefix, ends: vec![end] });
                    }
                }
            }
        }
        self.routes.sort_by(|one, other| {
            other.gateway.len().cmp(&one.gateway.len()).then_with(|| one.gateway.cmp(&other.gateway))
        });
    }

    /// Counts a request, and says which number it has.
    pub(crate) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns a value that instances say; the first that says it counts.
    pub(crate) fn says(&self, key: &str) -> Option<&str> {
        self.instances.iter().find_map(|instance| instance.metadata.get(key)).map(String::as_str)
    }

    /// Says whether any instance says so.
    pub(crate) fn has_any(&self, key: &str, value: &str) -> bool {
        self.instances
            .iter()
            .any(|instance| instance.metadata.get(key).is_some_and(|said| said.eq_ignore_ascii_case(value)))
    }
}

/// Returns the routes that an instance says it has: part of the gateway's paths, path of its own.
fn routes_of(instance: &Instance) -> impl Iterator<Item = (String, String)> + '_ {
    instance.metadata.iter().filter_map(|(key, gateway)| {
        let name = key.strip_prefix("apiml.routes.")?.strip_suffix(".gatewayUrl")?;
        // A name with a dot is none: the reference reads exactly four steps.
        if name.is_empty() || name.contains('.') {
            return None;
        }
        let own = instance.metadata.get(&format!("apiml.routes.{name}.serviceUrl"))?;
        let own = own.trim().trim_end_matches('/');
        let own = if own.is_empty() || own.starts_with('/') { own.to_owned() } else { format!("/{own}") };
        crate::target::check(&format!("{own}/")).ok()?;
        Some((gateway.trim().trim_matches('/').to_owned(), own))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(service: &str, port: u16, is_up: bool, routes: &[(&str, &str)]) -> Instance {
        let metadata = routes.iter().enumerate().flat_map(|(number, (gateway, own))| {
            [
                (format!("apiml.routes.r{number}.gatewayUrl"), (*gateway).to_owned()),
                (format!("apiml.routes.r{number}.serviceUrl"), (*own).to_owned()),
            ]
        });
        Instance {
            id: format!("h:{service}:{port}"),
            service: service.to_owned(),
            host: "h".to_owned(),
            port,
            is_secure: false,
            is_up,
            metadata: metadata.collect(),
            home_page: None,
            health_check: None,
            status_page: None,
        }
    }

    fn table() -> Table {
        Table::new([
            instance(
                "sample",
                1,
                true,
                &[("api/v1", "/sample/api/v1"), ("/api/", "sample/other/"), ("ui/v1", "/")],
            ),
            instance("sample", 2, true, &[("api/v1", "/second")]),
            instance("down", 3, false, &[("api/v1", "/")]),
            instance("discovery", 4, true, &[("api/v1", "/")]),
            instance("api", 5, true, &[("v1", "/strange")]),
        ])
    }

    fn found(path: &str) -> Option<(String, String, Vec<String>)> {
        let table = table();
        let found = table.find(path).ok()?;
        let ends = found.route.ends.iter().map(|end| format!("{}{}", end.instance.port, end.path));
        Some((found.prefix.to_owned(), found.rest.to_owned(), ends.collect()))
    }

    #[test]
    fn both_forms_lead_to_every_instance_that_has_the_route() {
        let expected = |prefix: &str, rest: &str| {
            Some((
                prefix.to_owned(),
                rest.to_owned(),
                vec!["1/sample/api/v1".to_owned(), "2/second".to_owned()],
            ))
        };
        assert_eq!(found("/sample/api/v1/x/y"), expected("/sample/api/v1", "/x/y"));
        assert_eq!(found("/sample/api/v1"), expected("/sample/api/v1", ""));
        assert_eq!(found("/SAMPLE/api/v1/"), expected("/SAMPLE/api/v1", "/"));
        assert_eq!(found("/api/v1/sample/x"), expected("/api/v1/sample", "/x"));
    }

    #[test]
    fn longest_route_counts_and_only_whole_steps_do() {
        assert_eq!(found("/sample/api/v2/x").unwrap().2, ["1/sample/other"]);
        assert_eq!(found("/sample/api/v1x").unwrap().2, ["1/sample/other"]);
        assert_eq!(found("/sample/ui/v1/index.html").unwrap().2, ["1"]);
        assert_eq!(found("/sample/apis/v1"), None);
        assert_eq!(found("/api/v1/unknown/x").map(|found| found.2), None);
        assert_eq!(found("/api/v1/x"), None, "no service takes the old form from all others");
    }

    #[test]
    fn service_without_an_instance_that_is_up_is_told_apart() {
        let table = table();
        let why = table.find("/down/api/v1/x").unwrap_err();
        assert_eq!(why, NotFound::NoInstance { service: "down".to_owned() });
        for path in ["/", "/sample", "/discovery/api/v1/x", "/nobody/api/v1/x", "//api/v1", ""] {
            assert_eq!(table.find(path).unwrap_err(), NotFound::Nothing, "{path}");
        }
    }

    #[test]
    fn route_that_leads_out_of_its_service_is_left_out() {
        let table =
            Table::new([instance("a", 1, true, &[("api/v1", "/x/../../admin"), ("api/v2", "/%2e%2e")])]);
        assert_eq!(table.services()["a"].routes.len(), 0);
    }

    proptest::proptest! {
        #[test]
        fn path_that_is_found_is_its_prefix_and_its_rest(path in "(/(sample|SAMPLE|api|v1|v2|ui|down|%2e|\\.\\.|x|))*[a-z/%.;]{0,6}") {
            let table = table();
            if let Ok(found) = table.find(&path) {
                proptest::prop_assert_eq!(format!("{}{}", found.prefix, found.rest), path.clone());
                proptest::prop_assert!(found.rest.is_empty() || found.rest.starts_with('/'));
                proptest::prop_assert!(found.prefix.to_ascii_lowercase().contains(found.id));
            }
        }

        #[test]
        fn path_that_passes_has_no_step_out_when_it_is_decoded(path in "/[a-zA-Z0-9/%.;_'()$-]{0,40}") {
            if crate::target::check(&path).is_ok() {
                let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().into_owned();
                proptest::prop_assert!(!decoded.split(['/', '\\', ';']).any(|step| step == ".."), "{path}");
            }
        }
    }
}
