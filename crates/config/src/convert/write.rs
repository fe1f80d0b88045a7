//! Writes a configuration as YAML, with where each value came from.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::node::{Mapping, Node, Value};
use crate::schema::is_secret_name;
use crate::secret::Secret;
use crate::yaml;

/// Writes a tree; secrets become references to files in a directory, when there is one.
pub(super) fn write(root: &Node, source: &Path, secrets: Option<&Path>) -> (String, Vec<(PathBuf, Secret)>) {
    let mut writer = Writer { text: String::new(), secrets_directory: secrets, secrets: Vec::new(), source };
    writer.put(format_args!("# Made from {}; numbers of lines refer to it.\n", source.display()));
    if let Some(mapping) = root.mapping() {
        writer.mapping(mapping, 0, "");
    }
    (writer.text, writer.secrets)
}

struct Writer<'a> {
    text: String,
    secrets_directory: Option<&'a Path>,
    secrets: Vec<(PathBuf, Secret)>,
    source: &'a Path,
}

impl Writer<'_> {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a string cannot fail");
    }

    fn mapping(&mut self, mapping: &Mapping, depth: usize, path: &str) {
        for entry in mapping.entries() {
            let key = scalar(&entry.key);
            let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            self.put(format_args!("{:1$}{key}:", "", depth * 2));
            match &entry.node.value {
                Value::Mapping(mapping) if mapping.is_empty() => self.text.push_str(" {}\n"),
                Value::Mapping(mapping) => {
                    self.text.push('\n');
                    self.mapping(mapping, depth + 1, &path);
                }
                Value::Sequence(elements) => {
                    let elements: Vec<_> = elements.iter().map(|element| written(&element.value)).collect();
                    self.put(format_args!(" [{}]", elements.join(", ")));
                    self.came_from(&entry.node);
                }
                value => {
                    let text = self.kept(value, &entry.key, &path);
                    self.put(format_args!(" {text}"));
                    self.came_from(&entry.node);
                }
            }
        }
    }

    /// Writes a value, or where it is kept.
    fn kept(&mut self, value: &Value, key: &str, path: &str) -> String {
        let is_secret = is_secret_name(key) && matches!(value, Value::Text(text) if !text.is_empty());
        let (Some(directory), true, Value::Text(text)) = (self.secrets_directory, is_secret, value) else {
            return written(value);
        };
        let file = directory.join(path.replace(|character: char| !character.is_ascii_alphanumeric(), "-"));
        let reference = scalar(&format!("file:{}", file.display()));
        self.secrets.push((file, Secret::new(text.clone())));
        reference
    }

    fn came_from(&mut self, node: &Node) {
        let origin = &node.origin;
        if *origin.file == *self.source {
            self.put(format_args!("  # line {}\n", origin.line));
        } else {
            let name = origin.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.put(format_args!("  # {name}, line {}\n", origin.line));
        }
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(is_true) => is_true.to_string(),
        Value::Number(number) => number.spelling.to_string(),
        Value::Text(text) => scalar(text),
        Value::Secret(source) => source.to_string(),
        Value::Sequence(_) | Value::Mapping(_) => String::new(),
    }
}

/// Writes a text so that it is read back as that text.
pub(crate) fn scalar(text: &str) -> String {
    let is_plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '/' | '_' | '.' | '-' | '+')
    };
    let starts_well =
        text.starts_with(|first: char| first.is_ascii_alphanumeric() || matches!(first, '/' | '_'));
    let stays_text = matches!(yaml::plain(text), Value::Text(_));
    let is_word = matches!(text.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off" | "y" | "n");
    // A reference reads well without quotes; nothing in it ends a plain scalar.
    let reference =
        text.strip_prefix("file:").is_some_and(|path| !path.is_empty() && path.chars().all(is_plain));
    if reference || (starts_well && stays_text && !is_word && text.chars().all(is_plain)) {
        return text.to_owned();
    }
    serde_json::Value::String(text.to_owned()).to_string()
}
