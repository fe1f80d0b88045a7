//! Desktop plugins: pointer files for the app-server, and plugins generated for a page in a frame.
//!
//! Which pointers a component has is kept in `.env/<component>/plugins.json`, so that they go when the component does.
//! Pointers of others, such as plugins a user registered by hand, are never touched.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api_definition::entries;
use crate::layout::{Layout, LayoutError, create_dir, remove_dir, remove_file, write_generated};

const RECORD: &str = "plugins.json";

/// Says what is wrong with a plugin.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// Its definition is missing or cannot be understood.
    #[error("plugin definition `{}`: {reason}", path.display())]
    Definition {
        /// The definition.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The identifier cannot be a file name.
    #[error("plugin identifier `{identifier}` cannot be a file name")]
    Identifier {
        /// As the definition says.
        identifier: String,
    },
    /// A file could not be put in place.
    #[error("register plugin")]
    Layout(#[from] LayoutError),
}

/// A page in a frame (`desktopIframePlugins` of v1), with all defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FramePlugin {
    /// Plugin identifier.
    pub id: String,
    /// Short name.
    pub title: String,
    /// Absolute URL of the page.
    pub url: String,
    /// The image, absolute.
    pub icon: PathBuf,
    /// Version of the plugin.
    pub version: String,
}

/// Registers the plugins of a component and returns their identifiers.
///
/// `directories` are relative to `root`; each holds a `pluginDefinition.json`.
pub fn place(
    layout: &Layout,
    (component, root, runtime): (&str, &Path, &Path),
    directories: &[String],
    frames: &[FramePlugin],
) -> Result<Vec<String>, PluginError> {
    let mut identifiers = Vec::new();
    for directory in directories {
        let location = root.join(directory);
        let identifier = identifier_of(&location)?;
        point(layout, &identifier, &location, runtime)?;
        identifiers.push(identifier);
    }
    for frame in frames {
        let location = generate(layout, frame)?;
        point(layout, &frame.id, &location, runtime)?;
        identifiers.push(frame.id.clone());
    }
    for old in recorded(layout, component) {
        if !identifiers.contains(&old) {
            forget(layout, &old)?;
        }
    }
    let record = layout.component_env(component).join(RECORD);
    if identifiers.is_empty() {
        remove_file(&record)?;
    } else {
        write_generated(&record, json!(identifiers).to_string().as_bytes(), 0o600)?;
    }
    Ok(identifiers)
}

/// Removes the plugins of components that are not in `components`.
pub fn remove_stale(layout: &Layout, components: &[&str]) -> Result<Vec<String>, LayoutError> {
    let mut removed = Vec::new();
    for directory in entries(&layout.env())? {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if components.contains(&name.as_str()) || !directory.join(RECORD).exists() {
            continue;
        }
        for identifier in recorded(layout, &name) {
            forget(layout, &identifier)?;
            removed.push(identifier);
        }
        remove_file(&directory.join(RECORD))?;
    }
    Ok(removed)
}

fn recorded(layout: &Layout, component: &str) -> Vec<String> {
    let text = fs::read(layout.component_env(component).join(RECORD)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn forget(layout: &Layout, identifier: &str) -> Result<(), LayoutError> {
    if is_file_name(identifier) {
        remove_file(&layout.plugins().join(format!("{identifier}.json")))?;
        remove_dir(&generated(layout, identifier))?;
    }
    Ok(())
}

fn generated(layout: &Layout, identifier: &str) -> PathBuf {
    layout.workspace.join("app-server/pluginDirs").join(identifier)
}

fn is_file_name(identifier: &str) -> bool {
    !identifier.is_empty()
        && !identifier.starts_with('.')
        && identifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn identifier_of(location: &Path) -> Result<String, PluginError> {
    #[derive(Deserialize)]
    struct Definition {
        identifier: String,
    }
    let path = location.join("pluginDefinition.json");
    let wrong = |reason: String| PluginError::Definition { path: path.clone(), reason };
    let text = fs::read(&path).map_err(|error| wrong(error.to_string()))?;
    let definition: Definition = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(definition.identifier)
}

/// Writes the pointer: relative to the runtime directory when the plugin lies in it, so that a switch of levels moves
/// the pointer along.
fn point(layout: &Layout, identifier: &str, location: &Path, runtime: &Path) -> Result<(), PluginError> {
    if !is_file_name(identifier) {
        return Err(PluginError::Identifier { identifier: identifier.to_owned() });
    }
    let pointer = match location.strip_prefix(runtime) {
        Ok(relative) => json!({
            "identifier": identifier,
            "pluginLocation": relative,
            "relativeTo": "$ZWE_zowe_runtimeDirectory",
        }),
        Err(_) => json!({ "identifier": identifier, "pluginLocation": location }),
    };
    let path = layout.plugins().join(format!("{identifier}.json"));
    write_generated(&path, format!("{pointer:#}\n").as_bytes(), 0o660)?;
    Ok(())
}

/// Writes a plugin that shows a page in a frame.
fn generate(layout: &Layout, frame: &FramePlugin) -> Result<PathBuf, PluginError> {
    if !is_file_name(&frame.id) {
        return Err(PluginError::Identifier { identifier: frame.id.clone() });
    }
    let location = generated(layout, &frame.id);
    let images = location.join("web/images");
    create_dir(&images, 0o770)?;
    let icon = frame.icon.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = |source| LayoutError::File { step: "read", path: frame.icon.clone(), source };
    write_generated(&images.join(&icon), &fs::read(&frame.icon).map_err(read)?, 0o660)?;
    let definition = json!({
        "identifier": frame.id,
        "apiVersion": "2.0.0",
        "pluginVersion": frame.version,
        "pluginType": "application",
        "webContent": {
            "framework": "iframe",
            "launchDefinition": {
                "pluginShortNameKey": frame.title,
                "pluginShortNameDefault": frame.title,
                "imageSrc": format!("images/{icon}"),
            },
            "startingPage": "index.html",
            "isSingleWindowApp": true,
            "defaultWindowStyle": { "width": 1300, "height": 800 },
        },
    });
    let definition = format!("{definition:#}\n");
    write_generated(&location.join("pluginDefinition.json"), definition.as_bytes(), 0o660)?;
    let page = format!(
        "<!doctype html>\n<html>\n<head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"margin:0\"><iframe src=\"{}\" style=\"border:0;width:100vw;height:100vh\"></iframe></body>\n</html>\n",
        html_quoted(&frame.title),
        html_quoted(&frame.url)
    );
    write_generated(&location.join("web/index.html"), page.as_bytes(), 0o660)?;
    Ok(location)
}

fn html_quoted(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        dir: tempfile::TempDir,
        layout: Layout,
    }

    fn world() -> World {
        let dir = tempfile::tempdir().unwrap();
        let layout =
            Layout { workspace: dir.path().join("w"), logs: dir.path().join("l"), ha_id: "one".to_owned() };
        layout.create().unwrap();
        create_dir(&layout.component_env("c"), 0o700).unwrap();
        fs::create_dir_all(dir.path().join("runtime/components/c/plugin")).unwrap();
        World { dir, layout }
    }

    #[test]
    fn pointer_in_the_runtime_is_relative_and_goes_with_its_component() {
        let World { dir, layout } = world();
        let (runtime, root) = (dir.path().join("runtime"), dir.path().join("runtime/components/c"));
        fs::write(root.join("plugin/pluginDefinition.json"), r#"{"identifier":"org.example.p"}"#).unwrap();
        place(&layout, ("c", &root, &runtime), &["plugin".to_owned()], &[]).unwrap();
        let by_hand = layout.plugins().join("org.other.json");
        fs::write(&by_hand, "{}").unwrap();
        let pointer: serde_json::Value =
            serde_json::from_slice(&fs::read(layout.plugins().join("org.example.p.json")).unwrap()).unwrap();
        assert_eq!(pointer["pluginLocation"], "components/c/plugin");
        assert_eq!(pointer["relativeTo"], "$ZWE_zowe_runtimeDirectory");
        assert_eq!(remove_stale(&layout, &["d"]).unwrap(), ["org.example.p"]);
        assert!(!layout.plugins().join("org.example.p.json").exists() && by_hand.exists());
    }

    #[test]
    fn framed_page_is_generated_with_quoted_text() {
        let World { dir, layout } = world();
        let icon = dir.path().join("i.png");
        fs::write(&icon, "png").unwrap();
        let frame = FramePlugin {
            id: "org.example.f".to_owned(),
            title: "A & B".to_owned(),
            url: "https://h:1/\"x".to_owned(),
            icon,
            version: "1.0.0".to_owned(),
        };
        place(&layout, ("c", dir.path(), &dir.path().join("r")), &[], &[frame]).unwrap();
        let page =
            fs::read_to_string(layout.workspace.join("app-server/pluginDirs/org.example.f/web/index.html"));
        let page = page.unwrap();
        assert!(page.contains("A &amp; B") && page.contains("1/&quot;x"), "{page}");
        place(&layout, ("c", dir.path(), &dir.path().join("r")), &[], &[]).unwrap();
        assert!(!layout.plugins().join("org.example.f.json").exists());
    }

    #[test]
    fn definition_that_is_missing_or_hostile_is_refused() {
        let World { dir, layout } = world();
        let (runtime, root) = (dir.path().join("runtime"), dir.path().join("runtime/components/c"));
        let placed = || place(&layout, ("c", &root, &runtime), &["plugin".to_owned()], &[]);
        assert!(matches!(placed(), Err(PluginError::Definition { .. })));
        fs::write(root.join("plugin/pluginDefinition.json"), r#"{"identifier":"../../x"}"#).unwrap();
        assert!(matches!(placed(), Err(PluginError::Identifier { .. })));
    }
}
