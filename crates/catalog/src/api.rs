//! APIs that services say they have: `apiml.apiInfo.*`. Source: the reference's section 1.10.

use std::collections::BTreeMap;

use serde::Serialize;
use tender_gateway::Instance;

/// An API of a service, as all of its instances say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Api {
    pub(crate) id: String,
    /// Empty when it says none.
    pub(crate) version: String,
    /// The part of the gateway's paths that leads to it, without slashes at its ends.
    pub(crate) gateway_url: String,
    /// Where its document is, at each instance that has it; those that are up come first.
    pub(crate) documents: Vec<String>,
    pub(crate) graphql: Option<String>,
    /// A page for people.
    pub(crate) documentation: Option<String>,
    pub(crate) is_default: bool,
    pub(crate) snippets: Vec<Snippet>,
}

/// A piece of code that shows how an operation is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snippet {
    endpoint: String,
    code_block: String,
    language: String,
}

impl Api {
    /// Makes one that says nothing but where it is.
    pub(crate) fn of_gateway_url(gateway_url: &str) -> Self {
        api(&BTreeMap::from([("gatewayUrl", gateway_url)]))
    }

    /// Returns its name among the APIs of its service: `{apiId} v{version}`.
    pub(crate) fn key(&self) -> String {
        format!("{} {}", self.id, self.label())
    }

    /// Returns the version with the letter before it.
    fn label(&self) -> String {
        let version = if self.version.is_empty() { "1" } else { &self.version };
        if version.starts_with('v') { version.to_owned() } else { format!("v{version}") }
    }

    /// Returns the first number of the version with the letter before it, as version 1 of the reference names APIs.
    pub(crate) fn major(&self) -> String {
        self.label().split('.').next().unwrap_or_default().to_owned()
    }

    fn numbers(&self) -> Vec<u64> {
        let version = self.version.trim_start_matches('v');
        version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
    }
}

/// Returns the APIs that instances say they have, each once, by their keys.
pub(crate) fn of_instances<'i>(instances: impl Iterator<Item = &'i Instance>) -> Vec<Api> {
    let mut found = Vec::<Api>::new();
    for instance in instances {
        for api in of_instance(instance) {
            match found.iter_mut().find(|known| known.key() == api.key()) {
                Some(known) => {
                    let news = api.documents.into_iter().filter(|one| !known.documents.contains(one));
                    let news: Vec<_> = news.collect();
                    known.documents.extend(news);
                    known.is_default |= api.is_default;
                }
                None => found.push(api),
            }
        }
    }
    found.sort_by_key(|api| (api.id.clone(), api.numbers()));
    found
}

/// Returns the API that is meant when none is named: the one that says so, else that of the highest version.
pub(crate) fn default_of(apis: &[Api]) -> Option<&Api> {
    apis.iter().find(|api| api.is_default).or_else(|| apis.iter().max_by_key(|api| api.numbers()))
}

/// Finds the API of a name: its key, its version, or the first number of that.
pub(crate) fn named<'a>(apis: &'a [Api], name: &str) -> Option<&'a Api> {
    let exact = apis.iter().find(|api| api.key() == name);
    let versions = || apis.iter().find(|api| api.label() == name || api.version == name);
    exact.or_else(versions).or_else(|| {
        let fitting: Vec<_> = apis.iter().filter(|api| api.major() == name).cloned().collect();
        let key = default_of(&fitting)?.key();
        apis.iter().find(|api| api.key() == key)
    })
}

fn of_instance(instance: &Instance) -> Vec<Api> {
    let mut entries = BTreeMap::<&str, BTreeMap<&str, &str>>::new();
    for (key, value) in &instance.metadata {
        let named = key.strip_prefix("apiml.apiInfo.").and_then(|rest| rest.split_once('.'));
        if let Some((name, field)) = named {
            entries.entry(name).or_default().insert(field, value);
        }
    }
    entries.values().map(api).collect()
}

fn api(fields: &BTreeMap<&str, &str>) -> Api {
    let text = |key: &str| fields.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
    let owned = |key| text(key).map(str::to_owned);
    Api {
        id: owned("apiId").unwrap_or_else(|| "default".to_owned()),
        version: owned("version").unwrap_or_default(),
        gateway_url: text("gatewayUrl").unwrap_or_default().trim_matches('/').to_owned(),
        documents: owned("swaggerUrl").into_iter().collect(),
        graphql: owned("graphqlUrl"),
        documentation: owned("documentationUrl").filter(|text| is_web(text)),
        is_default: text("defaultApi").is_some_and(|text| text.eq_ignore_ascii_case("true")),
        snippets: snippets(fields),
    }
}

fn snippets(fields: &BTreeMap<&str, &str>) -> Vec<Snippet> {
    let mut found = BTreeMap::<&str, Snippet>::new();
    for (key, value) in fields {
        let Some((number, field)) = key.strip_prefix("codeSnippet.").and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let snippet = found.entry(number).or_default();
        match field {
            "endpoint" => snippet.endpoint = (*value).to_owned(),
            "codeBlock" => snippet.code_block = (*value).to_owned(),
            "language" => snippet.language = (*value).to_owned(),
            _ => {}
        }
    }
    found.into_values().collect()
}

/// Says whether an address is one that a browser may be sent to: what else there is may run in the page.
pub(crate) fn is_web(address: &str) -> bool {
    let begins =
        |scheme: &str| address.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    (begins("https://") || begins("http://")) && !address.chars().any(|letter| letter.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apis(metadata: &[(&str, &str)]) -> Vec<Api> {
        let fields: serde_json::Map<_, _> =
            metadata.iter().map(|(key, value)| (format!("apiml.apiInfo.{key}"), (*value).into())).collect();
        let document = serde_json::json!({ "applications": { "application": [{ "instance": [{
            "app": "A", "hostName": "h", "status": "UP", "port": { "$": 1, "@enabled": "true" }, "metadata": fields
        }] }] } });
        let instances = tender_gateway::read(document.to_string().as_bytes()).unwrap();
        of_instances(instances.iter())
    }

    #[test]
    fn apis_have_the_names_that_both_versions_of_the_reference_give_them() {
        let found = apis(&[
            ("0.apiId", "org.a"),
            ("0.version", "2.10.0"),
            ("0.gatewayUrl", "/api/v2/"),
            ("1.apiId", "org.a"),
            ("1.version", "2.9.0"),
            ("2.version", "1.0.0"),
            ("2.defaultApi", "TRUE"),
            ("2.documentationUrl", "javascript:alert(1)"),
            ("2.codeSnippet.0.endpoint", "/x"),
        ]);
        let keys: Vec<_> = found.iter().map(Api::key).collect();
        assert_eq!(keys, ["default v1.0.0", "org.a v2.9.0", "org.a v2.10.0"]);
        assert_eq!(default_of(&found).unwrap().key(), "default v1.0.0");
        assert_eq!(default_of(&found[1..]).unwrap().version, "2.10.0", "numbers are compared, not texts");
        for (name, version) in
            [("org.a v2.9.0", "2.9.0"), ("v2.9.0", "2.9.0"), ("v2", "2.10.0"), ("v1", "1.0.0")]
        {
            assert_eq!(named(&found, name).unwrap().version, version, "{name}");
        }
        assert!(named(&found, "v3").is_none() && found[0].documentation.is_none());
        assert_eq!((found[0].snippets[0].endpoint.as_str(), found[2].gateway_url.as_str()), ("/x", "api/v2"));
    }

    #[test]
    fn address_that_is_none_of_the_web_is_told_apart() {
        for address in ["https://h/", "HTTP://h"] {
            assert!(is_web(address), "{address}");
        }
        for address in
            ["javascript:alert(1)", "data:text/html,x", " https://h", "https://h\n", "//h", "", "é"]
        {
            assert!(!is_web(address), "{address}");
        }
    }
}
