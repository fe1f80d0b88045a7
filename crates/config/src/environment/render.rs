//! Ways to write an environment down. Secrets show as `(secret)`.

use serde_json::{Map, Value as Json};

use crate::environment::Environment;

/// A way to write an environment down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line `NAME='value'` each, which `sh` reads back.
    Shell,
    /// `NAME=value` each, ended by a NUL.
    Nul,
    /// An object of names and texts.
    Json,
}

impl Environment {
    /// Writes the environment down, with `(secret)` in place of secrets.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        let shown = self.iter().map(|(name, value)| (name, value.text.to_string()));
        match format {
            Format::Shell => shown.map(|(name, text)| format!("{name}={}\n", quote(&text))).collect(),
            Format::Nul => shown.map(|(name, text)| format!("{name}={text}\0")).collect(),
            Format::Json => {
                let object: Map<String, Json> =
                    shown.map(|(name, text)| (name.to_owned(), Json::String(text))).collect();
                Json::Object(object).to_string()
            }
        }
    }
}

/// Puts a text in quotes so that a shell takes it as it is.
#[must_use]
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Undoes [`quote`]; nothing when the text is not quoted that way.
#[must_use]
pub fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let plain = inner.replace("'\\''", "\u{0}");
    (!plain.contains('\'')).then(|| plain.replace('\u{0}', "'"))
}
