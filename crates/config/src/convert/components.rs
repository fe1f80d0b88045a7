//! Which components version 1 starts.

/// Components of the group GATEWAY, in the order they are listed.
const GATEWAY: [&str; 11] = [
    "discovery",
    "gateway",
    "api-catalog",
    "caching-service",
    "metrics-service",
    "files-api",
    "jobs-api",
    "explorer-jes",
    "explorer-mvs",
    "explorer-uss",
    "apiml-sample-extension",
];

/// A component that is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Started {
    pub(super) name: String,
    /// The directory that holds it, when a path was given.
    pub(super) parent: Option<String>,
}

/// Lists what is started, by the explicit list or by groups, and extensions after them.
pub(super) fn started(groups: &str, explicit: &str, external: &str) -> Vec<Started> {
    let core = |name: &str| Started { name: name.to_owned(), parent: None };
    let mut all: Vec<Started> = Vec::new();
    if words(explicit).next().is_some() {
        all.extend(words(explicit).map(core));
    } else {
        let has = |group: &str| words(groups).any(|word| word.eq_ignore_ascii_case(group));
        if has("DESKTOP") {
            all.extend(["zss", "app-server"].map(core));
        } else if has("ZSS") {
            all.push(core("zss"));
        }
        if has("GATEWAY") {
            all.extend(GATEWAY.map(core));
        }
    }
    all.extend(words(external).map(extension));
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|one| seen.insert(one.name.clone()));
    all
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(|character: char| character == ',' || character.is_whitespace())
        .filter(|word| !word.is_empty())
}

/// An extension is a name, its directory, or the `bin` below it.
fn extension(word: &str) -> Started {
    let path = word.trim_end_matches('/');
    let path = path.strip_suffix("/bin").unwrap_or(path);
    match path.rsplit_once('/') {
        Some((parent, name)) => Started { name: name.to_owned(), parent: Some(parent.to_owned()) },
        None => Started { name: path.to_owned(), parent: None },
    }
}
