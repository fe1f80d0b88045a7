//! Plugins that the launcher has registered: a pointer each, which leads to a definition.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::is_web;

/// The largest pointer or definition that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// A window that says nothing of its size, in pixels.
const SIZE: (u64, u64) = (900, 600);
/// What of a path stays as it is.
const STEPS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// Says why a plugin is not listed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PluginError {
    /// A file cannot be read.
    #[error("read `{}`", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It is no JSON, or not what it should be.
    #[error("understand `{}`", path.display())]
    Shape {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// A pointer is relative to what nobody knows.
    #[error("`{}` is relative to `{place}`, which stands for nothing here", path.display())]
    Place { path: PathBuf, place: String },
    /// Both should be the same.
    #[error("`{}` is called `{found}`, and the pointer says `{expected}`", path.display())]
    Identifier { path: PathBuf, found: String, expected: String },
}

/// What is registered.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) plugins: BTreeMap<String, Plugin>,
    pub(super) problems: Vec<PluginError>,
}

/// A plugin.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) identifier: String,
    /// Where files for browsers are.
    pub(super) web: PathBuf,
    definition: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pointer {
    identifier: String,
    plugin_location: PathBuf,
    relative_to: Option<String>,
}

/// Reads all pointers of a directory; one that is broken does not take the others along.
pub(super) fn read(directory: &Path, places: &BTreeMap<String, PathBuf>) -> Found {
    let mut found = Found::default();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        // No component has any yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return found,
        Err(source) => {
            found.problems.push(PluginError::Io { path: directory.to_owned(), source });
            return found;
        }
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    for path in paths {
        match plugin(&path, places) {
            Ok(plugin) => drop(found.plugins.insert(plugin.identifier.clone(), plugin)),
            Err(problem) => found.problems.push(problem),
        }
    }
    found
}

/// Reads one plugin: the launcher calls a pointer as its plugin, others may call it as they like.
pub(super) fn named(directory: &Path, id: &str, places: &BTreeMap<String, PathBuf>) -> Option<Plugin> {
    let is_name = !id.is_empty() && !id.starts_with('.') && !id.contains(['/', '\0']);
    let usual =
        || plugin(&directory.join(format!("{id}.json")), places).ok().filter(|one| one.identifier == id);
    let usual = is_name.then(usual).flatten();
    usual.or_else(|| read(directory, places).plugins.remove(id))
}

fn plugin(path: &Path, places: &BTreeMap<String, PathBuf>) -> Result<Plugin, PluginError> {
    let pointer: Pointer = json_of(path)?;
    let location = match &pointer.relative_to {
        None => pointer.plugin_location.clone(),
        Some(place) => {
            let name = place.trim_start_matches('$').trim_matches(['{', '}']);
            let known = places.get(name);
            let none = || PluginError::Place { path: path.to_owned(), place: place.clone() };
            known.ok_or_else(none)?.join(&pointer.plugin_location)
        }
    };
    let path = location.join("pluginDefinition.json");
    let definition: Value = json_of(&path)?;
    let identifier = definition["identifier"].as_str().unwrap_or_default().to_owned();
    if identifier != pointer.identifier || identifier.is_empty() {
        return Err(PluginError::Identifier { path, found: identifier, expected: pointer.identifier });
    }
    Ok(Plugin { identifier, web: location.join("web"), definition })
}

fn json_of<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, PluginError> {
    let io = |source| PluginError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io)?;
    serde_json::from_slice(&bytes).map_err(|source| PluginError::Shape { path: path.to_owned(), source })
}

impl Plugin {
    /// Describes it as the reference does, and how our page opens it.
    pub(super) fn listed(&self) -> Value {
        let content = &self.definition["webContent"];
        let launch = &content["launchDefinition"];
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let title = text(&launch["pluginShortNameDefault"]).unwrap_or_else(|| self.identifier.clone());
        let size = |key: &str| {
            content["defaultWindowStyle"][key].as_u64().filter(|pixels| (100..=10_000).contains(pixels))
        };
        let mut listed = json!({
            "identifier": self.identifier,
            "pluginVersion": self.definition["pluginVersion"],
            "pluginType": self.definition["pluginType"],
            "webContent": content,
            "title": title,
            "icon": text(&launch["imageSrc"]).map(|path| self.address(&path)),
            "isSingle": content["isSingleWindowApp"].as_bool().unwrap_or(false),
            "width": size("width").unwrap_or(SIZE.0),
            "height": size("height").unwrap_or(SIZE.1),
        });
        match content["framework"].as_str().unwrap_or_default() {
            "iframe" => {
                listed["kind"] = json!("frame");
                let start = text(&content["startingPage"]).unwrap_or_else(|| "index.html".to_owned());
                listed["start"] = json!(if is_web(&start) { start } else { self.address(&start) });
            }
            "module" => {
                listed["kind"] = json!("module");
                let entry = text(&content["entry"]).unwrap_or_else(|| "main.js".to_owned());
                listed["start"] = json!(self.address(&entry));
            }
            other => {
                listed["kind"] = json!("other");
                listed["reason"] =
                    json!(format!("it is made for `{other}`; this desktop opens `iframe` and `module`"));
            }
        }
        listed
    }

    /// Returns the address of one of its files, relative to the page.
    fn address(&self, path: &str) -> String {
        let encoded = |text| utf8_percent_encode(text, STEPS).to_string();
        format!("plugins/{}/web/{}", encoded(&self.identifier), encoded(path.trim_start_matches('/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, value: &Value) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value.to_string()).unwrap();
    }

    #[test]
    fn plugins_are_found_by_their_pointers_and_broken_ones_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        let frame = json!({ "identifier": "org.frame", "pluginType": "application", "webContent": {
            "framework": "iframe", "startingPage": "a b.html", "launchDefinition": { "pluginShortNameDefault": "Frame", "imageSrc": "i.png" },
            "defaultWindowStyle": { "width": 7, "height": 500 } } });
        write(&at("runtime/components/f/pluginDefinition.json"), &frame);
        write(
            &at("pointers/org.frame.json"),
            &json!({ "identifier": "org.frame", "pluginLocation": "components/f",
            "relativeTo": "$ZWE_zowe_runtimeDirectory" }),
        );
        write(
            &at("m/pluginDefinition.json"),
            &json!({ "identifier": "org.module", "webContent": { "framework": "module" } }),
        );
        write(
            &at("pointers/org.module.json"),
            &json!({ "identifier": "org.module", "pluginLocation": at("m") }),
        );
        write(
            &at("o/pluginDefinition.json"),
            &json!({ "identifier": "org.other", "webContent": { "framework": "angular2" } }),
        );
        write(
            &at("pointers/org.other.json"),
            &json!({ "identifier": "org.other", "pluginLocation": at("o") }),
        );
        write(
            &at("pointers/1.json"),
            &json!({ "identifier": "x", "pluginLocation": "a", "relativeTo": "$NOBODY" }),
        );
        write(&at("pointers/2.json"), &json!({ "identifier": "other", "pluginLocation": at("m") }));
        write(&at("pointers/3.json"), &json!([]));
        write(&at("pointers/4.json"), &json!({ "identifier": "x", "pluginLocation": at("none") }));
        let places = BTreeMap::from([("ZWE_zowe_runtimeDirectory".to_owned(), at("runtime"))]);
        let found = read(&at("pointers"), &places);
        let listed: Vec<_> = found.plugins.values().map(Plugin::listed).collect();
        let kinds: Vec<_> =
            listed.iter().map(|one| (one["kind"].as_str().unwrap(), one["start"].as_str())).collect();
        assert_eq!(
            kinds,
            [
                ("frame", Some("plugins/org.frame/web/a%20b.html")),
                ("module", Some("plugins/org.module/web/main.js")),
                ("other", None),
            ]
        );
        assert_eq!((&listed[0]["width"], &listed[0]["height"]), (&json!(900), &json!(500)));
        assert_eq!(listed[0]["icon"], "plugins/org.frame/web/i.png");
        let said: Vec<_> = found.problems.iter().map(|problem| tender_http::chain(problem)).collect();
        assert_eq!(said.len(), 4, "{said:?}");
        for (text, words) in said.iter().zip(["`$NOBODY`", "`org.module`", "understand", "No such file"]) {
            assert!(text.contains(words), "{text}");
        }
        assert!(read(&at("nothing"), &places).problems.is_empty());
        assert_eq!(named(&at("pointers"), "org.frame", &places).unwrap().web, at("runtime/components/f/web"));
        for id in ["../m/pluginDefinition", "1", "2", "", "org.nobody", "a\0"] {
            assert!(named(&at("pointers"), id, &places).is_none(), "{id}");
        }
        write(&at("pointers/by-hand.json"), &json!({ "identifier": "org.hand", "pluginLocation": at("h") }));
        write(&at("h/pluginDefinition.json"), &json!({ "identifier": "org.hand" }));
        assert!(named(&at("pointers"), "org.hand", &places).is_some());
    }
}
