//! Where discovery and the gateway are, from options and variables.

use std::net::{Ipv4Addr, SocketAddr};

use tender_http::hyper::Uri;

use super::environment::{Environment, Names};
use super::options::{PlanError, Serving};

/// Of all components: where discovery and the gateway listen on this machine.
const DISCOVERY_PORT: Names = &["ZWE_components_discovery_port"];
const GATEWAY_PORT: Names = &["ZWE_components_gateway_port", "GATEWAY_PORT"];
const DISCOVERY: Names = &["ZWE_DISCOVERY_SERVICES_LIST", "ZWE_discovery_services_list"];
const EXTERNAL_DOMAIN: Names = &["ZWE_zowe_externalDomains_0", "ZOWE_EXPLORER_HOST"];
const EXTERNAL_PORT: Names = &["ZWE_zowe_externalPort"];
const OWN_ADDRESS: Names = &["ZOWE_IP_ADDRESS"];
/// What is wanted of an address that users know.
const PUBLIC: &str = "address of the gateway as users reach it, such as https://gateway.example.com";

/// Returns the addresses of discovery: those given, else the launcher's, else that of this machine.
pub(crate) fn discovery(
    given: &[String],
    serving: &Serving,
    environment: &Environment<'_>,
) -> Result<Vec<Uri>, PlanError> {
    let (texts, from) = match environment.set(DISCOVERY) {
        _ if !given.is_empty() => (given.to_vec(), "--discovery".to_owned()),
        Some(set) => (set.text.split(',').map(|text| text.trim().to_owned()).collect(), set.name),
        None => {
            let port = environment.text(DISCOVERY_PORT).unwrap_or_else(|| "7553".to_owned());
            (
                vec![format!("{}://{}:{port}/eureka", scheme(serving), serving.host)],
                DISCOVERY_PORT[0].to_owned(),
            )
        }
    };
    let wanted = "address of discovery, such as https://localhost:7553/eureka";
    texts.into_iter().map(|text| address(text, &from, wanted)).collect()
}

/// Returns the addresses of gateways as this machine reaches them: those given, else that of this machine.
pub(crate) fn gateways(
    given: &[String],
    serving: &Serving,
    environment: &Environment<'_>,
) -> Result<Vec<Uri>, PlanError> {
    let wanted = "address of a gateway, such as https://localhost:7554";
    if !given.is_empty() {
        return given.iter().map(|text| address(text.clone(), "--gateway", wanted)).collect();
    }
    let set = environment.set(GATEWAY_PORT);
    let port = set.as_ref().map_or("7554", |set| set.text.as_str());
    let from = set.as_ref().map_or("--hostname", |set| set.name.as_str());
    Ok(vec![address(format!("{}://{}:{port}", scheme(serving), serving.host), from, wanted)?])
}

/// Returns the gateway as users reach it: the one given, else the launcher's, else the first of `gateways`.
pub(crate) fn public(
    given: Option<&str>,
    gateways: &[Uri],
    serving: &Serving,
    environment: &Environment<'_>,
) -> Result<String, PlanError> {
    let first = || {
        let text = gateways.first().map(Uri::to_string).unwrap_or_default();
        address(text, "--gateway", PUBLIC).map(|uri| bare(&uri))
    };
    external(given, serving, environment)?.map_or_else(first, Ok)
}

/// The same where somebody says so: the one given, else the launcher's.
pub(crate) fn external(
    given: Option<&str>,
    serving: &Serving,
    environment: &Environment<'_>,
) -> Result<Option<String>, PlanError> {
    let (text, from) = match (given, environment.set(EXTERNAL_DOMAIN), environment.text(EXTERNAL_PORT)) {
        (Some(given), ..) => (given.to_owned(), "--public".to_owned()),
        (None, Some(domain), Some(port)) => {
            (format!("{}://{}:{port}", scheme(serving), domain.text), domain.name)
        }
        _ => return Ok(None),
    };
    address(text, &from, PUBLIC).map(|uri| Some(bare(&uri)))
}

fn bare(uri: &Uri) -> String {
    uri.to_string().trim_end_matches('/').to_owned()
}

/// Returns the address by which others reach this machine: the one given, else the launcher's, else one listened at.
pub(crate) fn own_address(given: Option<&str>, serving: &Serving, environment: &Environment<'_>) -> String {
    let said = given.map(str::to_owned).or_else(|| environment.text(OWN_ADDRESS));
    let own = serving.listen.iter().map(SocketAddr::ip).find(|ip| !ip.is_unspecified());
    said.unwrap_or_else(|| own.unwrap_or(Ipv4Addr::LOCALHOST.into()).to_string())
}

fn scheme(serving: &Serving) -> &'static str {
    if serving.tls.is_some() { "https" } else { "http" }
}

/// Reads an address of a service; `from` is where it was said.
pub(crate) fn address(text: String, from: &str, wanted: &'static str) -> Result<Uri, PlanError> {
    let parsed = text.parse().ok().filter(|uri: &Uri| {
        uri.host().is_some_and(|host| !host.is_empty()) && matches!(uri.scheme_str(), Some("http" | "https"))
    });
    parsed.ok_or_else(|| PlanError::Value { text, from: from.to_owned(), wanted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_certificate::tls::VerifyMode;

    fn serving() -> Serving {
        Serving {
            listen: Vec::new(),
            host: "here".to_owned(),
            tls: None,
            verify: VerifyMode::Strict,
            has_access_log: false,
        }
    }

    fn with<T>(variables: &[(&str, &str)], ask: impl Fn(&Environment<'_>) -> T) -> T {
        let look_up = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        ask(&Environment::new("api-catalog", &look_up))
    }

    #[test]
    fn neighbours_are_on_this_machine_unless_somebody_says_otherwise() {
        let found = with(&[("ZWE_components_gateway_port", "17554")], |environment| {
            let gateways = gateways(&[], &serving(), environment).unwrap();
            let public = public(None, &gateways, &serving(), environment).unwrap();
            (discovery(&[], &serving(), environment).unwrap()[0].to_string(), public)
        });
        assert_eq!(found, ("http://here:7553/eureka".to_owned(), "http://here:17554".to_owned()));
    }

    #[test]
    fn launcher_says_how_users_reach_the_gateway_and_where_discovery_is() {
        let variables = [
            ("ZWE_zowe_externalDomains_0", "front.example.com"),
            ("ZWE_zowe_externalPort", "443"),
            ("ZWE_DISCOVERY_SERVICES_LIST", "https://a:1/eureka/, https://b:1/eureka/"),
        ];
        with(&variables, |environment| {
            let gateways = gateways(&["https://inner:7554".to_owned()], &serving(), environment).unwrap();
            let said = public(None, &gateways, &serving(), environment).unwrap();
            assert_eq!(said, "http://front.example.com:443");
            assert_eq!(public(Some("https://x/"), &gateways, &serving(), environment).unwrap(), "https://x");
            assert_eq!(discovery(&[], &serving(), environment).unwrap().len(), 2);
        });
    }

    #[test]
    fn address_that_is_none_is_named_with_where_it_comes_from() {
        let error =
            with(&[], |environment| gateways(&["gateway".to_owned()], &serving(), environment)).unwrap_err();
        let said = "`gateway` of --gateway is no address of a gateway, such as https://localhost:7554";
        assert_eq!(error.to_string(), said);
    }
}
