//! A file as it is written, with the place of everything that can be wrong.

use std::collections::BTreeMap;

use tender_config::Problem;
use tender_config::node::{Mapping, Node, Value};
use tender_config::origin::Origin;

/// The message id of a definition that is wrong.
pub(super) const WRONG: &str = "ZWEAD702W";

/// Mappings may lie this deep in each other in `customMetadata`.
const DEPTH_MAX: usize = 16;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Definition {
    pub(super) services: Vec<Service>,
    pub(super) tiles: BTreeMap<String, Tile>,
    /// Services of others with what is to be added to them, and how.
    pub(super) additional: Vec<(Service, Option<Located>)>,
}

/// A text and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Located {
    pub(super) text: String,
    pub(super) origin: Origin,
}

#[derive(Debug)]
pub(super) struct Tile {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
}

#[derive(Debug)]
pub(super) struct Route {
    pub(super) gateway_url: String,
    pub(super) service_relative_url: String,
}

/// One service; what a page has is `None` when nothing is said and empty for the base URL itself.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) origin: Origin,
    pub(super) id: Option<Located>,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) tile: Option<Located>,
    pub(super) base_urls: Vec<Located>,
    pub(super) home_page: Option<String>,
    pub(super) status_page: Option<String>,
    pub(super) health_check: Option<String>,
    pub(super) routes: Vec<Route>,
    /// Keys below `apiml.apiInfo.<slug>`.
    pub(super) api_info: Vec<(String, BTreeMap<String, String>)>,
    /// Keys below `apiml.authentication`.
    pub(super) authentication: BTreeMap<String, String>,
    /// Flattened with dots.
    pub(super) custom: BTreeMap<String, String>,
}

const SERVICE_KEYS: &[&str] = &[
    "serviceId",
    "title",
    "description",
    "catalogUiTileId",
    "instanceBaseUrls",
    "homePageRelativeUrl",
    "statusPageRelativeUrl",
    "healthCheckRelativeUrl",
    "routes",
    "routedServices",
    "apiInfo",
    "authentication",
    "customMetadata",
];
const API_INFO_KEYS: &[&str] = &[
    "apiId",
    "gatewayUrl",
    "version",
    "swaggerUrl",
    "graphqlUrl",
    "documentationUrl",
    "defaultApi",
    "codeSnippet",
];
const SNIPPET_KEYS: &[&str] = &["endpoint", "codeBlock", "language"];
const AUTHENTICATION_KEYS: &[&str] = &["scheme", "applid", "headers"];

/// Reads a file's tree; with problems, nothing of the file may be used.
pub(super) fn read(root: &Node) -> (Definition, Vec<Problem>) {
    let mut reader = Reader::default();
    let definition = reader.definition(root);
    (definition, reader.problems)
}

/// Makes the name by which routes and documents of a gateway URL are told apart.
pub(super) fn slug(gateway_url: &str) -> String {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    gateway_url.chars().map(|character| if is_word(character) { character } else { '-' }).collect()
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn wrong(&mut self, origin: &Origin, path: &str, message: impl Into<String>) {
        self.problems.push(Problem::error(message).at(origin).on(path).id(WRONG));
    }

    /// Returns a mapping whose keys are all known; `None` for nothing.
    fn mapping<'n>(&mut self, node: &'n Node, path: &str, known: &[&str]) -> Option<&'n Mapping> {
        let mapping = self.any_mapping(node, path)?;
        for entry in mapping.entries() {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("`{}` is not known here; there are {}", entry.key, known.join(", "));
                self.wrong(&entry.key_origin, path, message);
            }
        }
        Some(mapping)
    }

    fn any_mapping<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n Mapping> {
        match &node.value {
            Value::Mapping(mapping) => Some(mapping),
            Value::Null => None,
            _ => {
                self.wrong(&node.origin, path, "a mapping is wanted here");
                None
            }
        }
    }

    fn list<'n>(&mut self, mapping: &'n Mapping, key: &str) -> &'n [Node] {
        match mapping.get(key).map(|node| (&node.value, &node.origin)) {
            None | Some((Value::Null, _)) => &[],
            Some((Value::Sequence(nodes), _)) => nodes,
            Some((_, origin)) => {
                self.wrong(origin, key, "a list is wanted here");
                &[]
            }
        }
    }

    fn text(&mut self, mapping: &Mapping, key: &str) -> Option<String> {
        self.located(mapping, key).map(|located| located.text)
    }

    fn located(&mut self, mapping: &Mapping, key: &str) -> Option<Located> {
        let node = mapping.get(key).filter(|node| !node.is_null())?;
        let text = node.scalar();
        if text.is_none() {
            self.wrong(&node.origin, key, "a text is wanted here");
        }
        Some(Located { text: text?, origin: node.origin.clone() })
    }

    fn definition(&mut self, root: &Node) -> Definition {
        const KEYS: &[&str] = &["services", "catalogUiTiles", "additionalServiceMetadata"];
        let mut definition = Definition::default();
        let Some(mapping) = self.mapping(root, "", KEYS) else { return definition };
        for node in self.list(mapping, "services") {
            definition.services.extend(self.service(node, SERVICE_KEYS));
        }
        if let Some(tiles) =
            mapping.get("catalogUiTiles").and_then(|node| self.any_mapping(node, "catalogUiTiles"))
        {
            for entry in tiles.entries() {
                let path = format!("catalogUiTiles.{}", entry.key);
                let fields = self.mapping(&entry.node, &path, &["title", "description"]);
                let mut text = |key| fields.and_then(|fields| self.text(fields, key));
                let tile = Tile { title: text("title"), description: text("description") };
                definition.tiles.insert(entry.key.clone(), tile);
            }
        }
        let keys = [SERVICE_KEYS, &["mode"]].concat();
        for node in self.list(mapping, "additionalServiceMetadata") {
            let mode =
                node.get("mode").and_then(|_| node.mapping()).and_then(|fields| self.located(fields, "mode"));
            definition.additional.extend(self.service(node, &keys).map(|service| (service, mode)));
        }
        definition
    }

    fn service(&mut self, node: &Node, keys: &[&str]) -> Option<Service> {
        let fields = self.mapping(node, "services", keys)?;
        let mut base_urls = Vec::new();
        for url in self.list(fields, "instanceBaseUrls") {
            match url.scalar() {
                Some(text) => base_urls.push(Located { text, origin: url.origin.clone() }),
                None => self.wrong(&url.origin, "instanceBaseUrls", "a URL is wanted here"),
            }
        }
        let mut routes = Vec::new();
        for key in ["routes", "routedServices"] {
            for route in self.list(fields, key) {
                routes.extend(self.route(route));
            }
        }
        let mut api_info = Vec::new();
        for (number, info) in self.list(fields, "apiInfo").iter().enumerate() {
            api_info.extend(self.api_info(info, number));
        }
        let mut custom = BTreeMap::new();
        if let Some(node) = fields.get("customMetadata") {
            self.flatten(node, "", 0, &mut custom);
        }
        Some(Service {
            origin: node.origin.clone(),
            id: self.located(fields, "serviceId"),
            title: self.text(fields, "title"),
            description: self.text(fields, "description"),
            tile: self.located(fields, "catalogUiTileId"),
            base_urls,
            home_page: self.text(fields, "homePageRelativeUrl"),
            status_page: self.text(fields, "statusPageRelativeUrl"),
            health_check: self.text(fields, "healthCheckRelativeUrl"),
            routes,
            api_info,
            authentication: self.authentication(fields),
            custom,
        })
    }

    fn route(&mut self, node: &Node) -> Option<Route> {
        let fields = self.mapping(node, "routes", &["gatewayUrl", "serviceRelativeUrl"])?;
        let Some(gateway_url) = self.text(fields, "gatewayUrl") else {
            self.wrong(&node.origin, "routes", "a route has a `gatewayUrl`");
            return None;
        };
        let service_relative_url = self.text(fields, "serviceRelativeUrl").unwrap_or_default();
        Some(Route { gateway_url, service_relative_url })
    }

    fn api_info(&mut self, node: &Node, number: usize) -> Option<(String, BTreeMap<String, String>)> {
        let fields = self.mapping(node, "apiInfo", API_INFO_KEYS)?;
        let mut texts = BTreeMap::new();
        for key in API_INFO_KEYS.iter().filter(|key| **key != "codeSnippet") {
            if let Some(text) = self.text(fields, key) {
                texts.insert((*key).to_owned(), text);
            }
        }
        for (number, snippet) in self.list(fields, "codeSnippet").iter().enumerate() {
            let Some(fields) = self.mapping(snippet, "codeSnippet", SNIPPET_KEYS) else { continue };
            for key in SNIPPET_KEYS {
                if let Some(text) = self.text(fields, key) {
                    texts.insert(format!("codeSnippet.{number}.{key}"), text);
                }
            }
        }
        let name = texts.get("gatewayUrl").map_or_else(|| number.to_string(), |url| slug(url));
        Some((name, texts))
    }

    fn authentication(&mut self, fields: &Mapping) -> BTreeMap<String, String> {
        const SCHEMES: &[&str] = &["bypass", "zoweJwt", "httpBasicPassTicket", "zosmf", "safIdt", "x509"];
        let mut texts = BTreeMap::new();
        let Some(node) = fields.get("authentication") else { return texts };
        let Some(fields) = self.mapping(node, "authentication", AUTHENTICATION_KEYS) else { return texts };
        for key in AUTHENTICATION_KEYS {
            if let Some(Located { text, origin }) = self.located(fields, key) {
                if *key == "scheme" && !SCHEMES.contains(&text.as_str()) {
                    let message = format!("`{text}` is no scheme; there are {}", SCHEMES.join(", "));
                    self.wrong(&origin, "authentication.scheme", message);
                }
                texts.insert((*key).to_owned(), text);
            }
        }
        texts
    }

    fn flatten(&mut self, node: &Node, path: &str, depth: usize, into: &mut BTreeMap<String, String>) {
        match &node.value {
            Value::Mapping(mapping) if depth < DEPTH_MAX => {
                for entry in mapping.entries() {
                    let below =
                        if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                    self.flatten(&entry.node, &below, depth + 1, into);
                }
            }
            Value::Mapping(_) => self.wrong(&node.origin, path, "mappings lie too deep in each other"),
            Value::Sequence(_) => self.wrong(&node.origin, path, "customMetadata takes no lists"),
            _ if path.is_empty() => {
                if !node.is_null() {
                    self.wrong(&node.origin, "customMetadata", "a mapping is wanted here");
                }
            }
            _ => {
                into.insert(path.to_owned(), node.scalar().unwrap_or_default());
            }
        }
    }
}
