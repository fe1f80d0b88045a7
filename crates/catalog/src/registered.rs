//! Services as they are registered: what their instances say, brought together.

use std::collections::BTreeMap;

use tender_gateway::Instance;

use crate::api::{self, Api};
use crate::route::{self, Route};

/// Schemes for which the gateway logs users in to a service.
const SINGLE_SIGN_ON: [&str; 5] = ["zoweJwt", "zosmf", "httpBasicPassTicket", "x509", "safIdt"];

/// A service with at least one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) id: String,
    /// Those that are up come first.
    pub(crate) instances: Vec<Instance>,
    pub(crate) routes: Vec<Route>,
    pub(crate) apis: Vec<Api>,
}

impl Service {
    fn new(id: String, mut instances: Vec<Instance>) -> Self {
        instances.sort_by(|one, other| other.is_up.cmp(&one.is_up).then_with(|| one.id.cmp(&other.id)));
        let mut routes: Vec<_> = instances.iter().flat_map(|one| Route::of_metadata(&one.metadata)).collect();
        routes.sort();
        routes.dedup();
        let apis = api::of_instances(instances.iter());
        Self { id, instances, routes, apis }
    }

    /// Returns a value that instances say; the first that says it counts.
    pub(crate) fn says(&self, key: &str) -> Option<&str> {
        let said = self.instances.iter().filter_map(|instance| instance.metadata.get(key));
        said.map(|text| text.trim()).find(|text| !text.is_empty())
    }

    pub(crate) fn title(&self) -> &str {
        self.says("apiml.service.title").unwrap_or(&self.id)
    }

    pub(crate) fn description(&self) -> &str {
        self.says("apiml.service.description").unwrap_or_default()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.instances.iter().any(|instance| instance.is_up)
    }

    /// Says whether users need not log in once more: at any instance, at all of them.
    pub(crate) fn single_sign_on(&self) -> (bool, bool) {
        let mut each = self.instances.iter().map(has_single_sign_on);
        (each.clone().any(|has| has), each.all(|has| has))
    }

    /// Returns the tile it is shown in.
    pub(crate) fn tile(&self) -> Option<&str> {
        self.says("apiml.catalog.tile.id")
    }

    /// Returns its page, through the gateway if a route leads there; what is no address of the web is left out.
    pub(crate) fn home_page(&self, gateway: &str) -> Option<String> {
        let pages =
            self.instances.iter().filter_map(|instance| Some((instance, instance.home_page.as_deref()?)));
        let (instance, page) = pages.into_iter().find(|(_, page)| api::is_web(page))?;
        Some(self.through_gateway(instance, page, gateway).unwrap_or_else(|| page.to_owned()))
    }

    /// Returns the part of the gateway's paths below which the service is: that of its default API, else of its first.
    pub(crate) fn base_path(&self) -> String {
        let of_api = api::default_of(&self.apis).map(|api| api.gateway_url.as_str());
        let of_route = || self.routes.iter().find(|route| route.is_api()).or(self.routes.first());
        let gateway = of_api.filter(|gateway| !gateway.is_empty());
        match gateway.or_else(|| of_route().map(|route| route.gateway.as_str())) {
            Some(gateway) if !gateway.is_empty() => format!("/{}/{gateway}", self.id),
            _ => format!("/{}", self.id),
        }
    }

    fn through_gateway(&self, instance: &Instance, page: &str, gateway: &str) -> Option<String> {
        let (host, path) = split(page)?;
        if !host.eq_ignore_ascii_case(&format!("{}:{}", instance.host, instance.port)) {
            return None;
        }
        // A page, so the route of pages among equals.
        let preferred = self.routes.iter().find(|route| route.gateway.starts_with("ui"));
        let preferred = preferred.map_or("", |route| route.gateway.as_str());
        let (route, rest) = route::leading_to(self.routes.iter(), path, preferred)?;
        let slash = if route.gateway.is_empty() { "" } else { "/" };
        Some(format!("{gateway}/{}{slash}{}{rest}", self.id, route.gateway))
    }
}

/// Splits an address into host with port, and the path with what follows.
fn split(address: &str) -> Option<(&str, &str)> {
    let (_, rest) = address.split_once("://")?;
    Some(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

fn has_single_sign_on(instance: &Instance) -> bool {
    let says = |key: &str| instance.metadata.get(&format!("apiml.authentication.{key}"));
    says("sso").is_some_and(|text| text.eq_ignore_ascii_case("true"))
        || says("scheme").is_some_and(|scheme| SINGLE_SIGN_ON.contains(&scheme.as_str()))
}

/// Brings instances together to services, by their ids.
pub(crate) fn services(instances: Vec<Instance>) -> BTreeMap<String, Service> {
    let mut grouped = BTreeMap::<String, Vec<Instance>>::new();
    for instance in instances {
        grouped.entry(instance.service.clone()).or_default().push(instance);
    }
    grouped.into_iter().map(|(id, instances)| (id.clone(), Service::new(id, instances))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Reads services from descriptions of their instances, as discovery would write them.
    pub(crate) fn read(instances: &[Value]) -> BTreeMap<String, Service> {
        let applications: Vec<_> = instances.iter().map(|one| json!({ "instance": [one] })).collect();
        let document = json!({ "applications": { "application": applications } });
        services(tender_gateway::read(document.to_string().as_bytes()).unwrap())
    }

    /// Describes an instance.
    pub(crate) fn instance(service: &str, port: u16, is_up: bool, metadata: &[(&str, &str)]) -> Value {
        let metadata: serde_json::Map<_, _> =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        json!({
            "instanceId": format!("h:{service}:{port}"), "app": service.to_uppercase(), "hostName": "h",
            "status": if is_up { "UP" } else { "DOWN" },
            "port": { "$": port, "@enabled": "false" }, "securePort": { "$": port, "@enabled": "true" },
            "homePageUrl": format!("https://h:{port}/sample/ui/index.html"), "metadata": metadata,
        })
    }

    const ROUTES: [(&str, &str); 4] = [
        ("apiml.routes.api_v1.gatewayUrl", "api/v1"),
        ("apiml.routes.api_v1.serviceUrl", "/sample"),
        ("apiml.routes.ui_v1.gatewayUrl", "ui/v1"),
        ("apiml.routes.ui_v1.serviceUrl", "/sample/ui"),
    ];

    #[test]
    fn page_of_a_service_leads_over_the_gateway_and_no_other_scheme_does() {
        let services = read(&[instance("sample", 1, true, &ROUTES)]);
        let service = &services["sample"];
        assert_eq!(service.home_page("https://gw").unwrap(), "https://gw/sample/ui/v1/index.html");
        assert_eq!(service.base_path(), "/sample/api/v1");
        let mut hostile = instance("sample", 1, true, &ROUTES);
        hostile["homePageUrl"] = json!("javascript:alert(1)");
        assert_eq!(read(&[hostile])["sample"].home_page("https://gw"), None);
        let mut elsewhere = instance("sample", 1, true, &ROUTES);
        elsewhere["homePageUrl"] = json!("https://docs.example.com/sample/ui");
        assert_eq!(
            read(&[elsewhere])["sample"].home_page("gw").unwrap(),
            "https://docs.example.com/sample/ui"
        );
    }

    #[test]
    fn instances_are_brought_together_and_those_that_are_up_speak_first() {
        let scheme = ("apiml.authentication.scheme", "zoweJwt");
        let services = read(&[
            instance("sample", 1, false, &[("apiml.service.title", "old")]),
            instance("sample", 2, true, &[("apiml.service.title", "new"), scheme]),
        ]);
        let service = &services["sample"];
        assert_eq!(
            (service.title(), service.is_up(), service.single_sign_on()),
            ("new", true, (true, false))
        );
        assert_eq!((service.description(), service.tile()), ("", None));
    }
}
