//! What is made of metadata when a service announces itself.

use super::instance::Instance;

/// Keys of the first format of metadata, and those they are now; `*` is an id that is kept.
const RENAMED: &[(&str, &str, &str, &str)] = &[
    ("routed-services.", ".gateway-url", "apiml.routes.", ".gatewayUrl"),
    ("routed-services.", ".service-url", "apiml.routes.", ".serviceUrl"),
    ("mfaas.discovery.catalogUiTile.", "", "apiml.catalog.tile.", ""),
    ("mfaas.discovery.service.", "", "apiml.service.", ""),
];
const DROPPED: &[&str] = &["mfaas.discovery.enableApiDoc", "mfaas.api-info."];
const SCHEME: &str = "apiml.authentication.scheme";

/// Brings an announcement up to what readers expect today.
///
/// Metadata without `version` is of the first format and is translated. A service of z/OSMF that names no scheme has
/// that of z/OSMF.
pub(crate) fn modernise(instance: &mut Instance) {
    if !instance.metadata.contains_key("version") {
        let old = std::mem::take(&mut instance.metadata);
        instance.metadata = old
            .into_iter()
            .filter(|(key, _)| !DROPPED.iter().any(|dropped| key.starts_with(dropped)))
            .map(|(key, value)| (renamed(&key).unwrap_or(key), value))
            .collect();
    }
    let is_zosmf = service_of(&instance.id).unwrap_or(&instance.app).to_ascii_lowercase().contains("zosmf");
    if is_zosmf && !instance.metadata.contains_key(SCHEME) {
        instance.metadata.insert(SCHEME.to_owned(), "zosmf".to_owned());
    }
}

fn renamed(key: &str) -> Option<String> {
    RENAMED.iter().find_map(|(head, tail, new_head, new_tail)| {
        let id = key.strip_prefix(head)?.strip_suffix(tail)?;
        Some(format!("{new_head}{id}{new_tail}"))
    })
}

/// Returns the service in an instance id of the form `host:serviceId:port`.
pub(crate) fn service_of(id: &str) -> Option<&str> {
    let mut parts = id.split(':');
    let (_, service, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: &str, metadata: &[(&str, &str)]) -> Instance {
        let body = serde_json::json!({ "instance": {
            "instanceId": id, "app": "svc", "hostName": "h", "ipAddr": "1", "dataCenterInfo": { "name": "MyOwn" },
            "metadata": metadata.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
        }});
        crate::discovery::json::read_instance(body.to_string().as_bytes(), 1).unwrap()
    }

    #[test]
    fn first_format_of_metadata_is_translated_and_the_second_is_left() {
        let old = [
            ("routed-services.api_v1.gateway-url", "api/v1"),
            ("routed-services.api_v1.service-url", "/x"),
            ("mfaas.discovery.catalogUiTile.id", "tile"),
            ("mfaas.discovery.service.title", "Title"),
            ("mfaas.discovery.enableApiDoc", "true"),
            ("mfaas.api-info.apiId", "a"),
            ("own", "kept"),
        ];
        let mut one = instance("h:svc:1", &old);
        modernise(&mut one);
        let keys: Vec<_> = one.metadata.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "apiml.catalog.tile.id",
                "apiml.routes.api_v1.gatewayUrl",
                "apiml.routes.api_v1.serviceUrl",
                "apiml.service.title",
                "own",
            ]
        );
        let mut two =
            instance("h:svc:1", &[("version", "2.0.0"), ("routed-services.a.gateway-url", "api/v1")]);
        let before = two.clone();
        modernise(&mut two);
        assert_eq!(two, before);
    }

    #[test]
    fn zosmf_without_a_scheme_has_its_own() {
        let mut one = instance("h:ibmzosmf:1", &[]);
        modernise(&mut one);
        assert_eq!(one.metadata[SCHEME], "zosmf");
        let mut two = instance("h:ibmzosmf:1", &[(SCHEME, "bypass")]);
        modernise(&mut two);
        assert_eq!(two.metadata[SCHEME], "bypass");
        assert_eq!(service_of("h:a:1"), Some("a"));
        assert_eq!(service_of("localhost"), None);
    }
}
