//! Which files a configuration is made of.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A list of configuration files; the leftmost has the highest precedence.
///
/// Shape: `/a/zowe.yaml`, or elements `FILE(/a/zowe.yaml)` joined by `:`. A path that begins with `/` and holds no
/// `:FILE(` is one file. A directory stands for the `instance.env` or `zowe.yaml` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigPath(Vec<PathBuf>);

/// Says why a text is no list of configuration files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigPathError {
    /// Nothing is in it.
    #[error("read the configuration path: it is empty; give a file, or `FILE(a):FILE(b)`")]
    Empty,
    /// A data set member is asked for.
    #[error(
        "read configuration element `{element}`: members of data sets exist on z/OS only; copy it to a file"
    )]
    Parmlib {
        /// The element.
        element: String,
    },
    /// An element has another form.
    #[error("read configuration element `{element}`: elements are paths, or `FILE(path)`, joined by `:`")]
    Element {
        /// The element.
        element: String,
    },
}

impl ConfigPath {
    /// Names one file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(vec![path.into()])
    }

    /// Names files by precedence, highest first.
    ///
    /// Errors: [`ConfigPathError::Empty`].
    pub fn files(paths: Vec<PathBuf>) -> Result<Self, ConfigPathError> {
        if paths.is_empty() { Err(ConfigPathError::Empty) } else { Ok(Self(paths)) }
    }

    /// Returns the files, highest precedence first.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.0
    }

    /// Returns the same list with every relative path below a directory.
    #[must_use]
    pub fn below(&self, directory: &Path) -> Self {
        Self(self.0.iter().map(|path| directory.join(path)).collect())
    }
}

impl FromStr for ConfigPath {
    type Err = ConfigPathError;

    fn from_str(text: &str) -> Result<Self, ConfigPathError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ConfigPathError::Empty);
        }
        let mut paths = Vec::new();
        let mut rest = text;
        loop {
            let end = if rest.starts_with("FILE(") || rest.starts_with("PARMLIB(") {
                // The parenthesis that ends the element is the one before `:` or the end.
                rest.find("):").map_or(rest.len(), |at| at + 1)
            } else {
                rest.find(':').unwrap_or(rest.len())
            };
            paths.push(element(&rest[..end])?);
            match rest[end..].strip_prefix(':') {
                Some(more) => rest = more,
                None => return Ok(Self(paths)),
            }
        }
    }
}

impl fmt::Display for ConfigPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return write!(f, "{}", one.display());
        }
        for (number, path) in self.0.iter().enumerate() {
            write!(f, "{}FILE({})", if number == 0 { "" } else { ":" }, path.display())?;
        }
        Ok(())
    }
}

fn element(text: &str) -> Result<PathBuf, ConfigPathError> {
    let wrong = || ConfigPathError::Element { element: text.to_owned() };
    if text.starts_with("PARMLIB(") {
        return Err(ConfigPathError::Parmlib { element: text.to_owned() });
    }
    let path = match text.strip_prefix("FILE(") {
        Some(inner) => inner.strip_suffix(')').ok_or_else(wrong)?,
        None => text,
    };
    if path.is_empty() || path.contains(['(', ')']) {
        return Err(wrong());
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let path: ConfigPath = text.parse().unwrap();
        path.paths().iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn path_of_files_keeps_their_order() {
        assert_eq!(paths("/a/zowe.yaml"), ["/a/zowe.yaml"]);
        assert_eq!(paths("FILE(/a/x.yaml):FILE(b.yaml)"), ["/a/x.yaml", "b.yaml"]);
        assert_eq!(paths("FILE(/a.yaml):/b.yaml"), ["/a.yaml", "/b.yaml"]);
        let text = "FILE(/a/x.yaml):FILE(b.yaml)";
        assert_eq!(text.parse::<ConfigPath>().unwrap().to_string(), text);
    }

    #[test]
    fn path_with_a_data_set_is_refused_with_the_reason() {
        let error = "FILE(/a):PARMLIB(ZOWE.PARMLIB(ZWEYAML))".parse::<ConfigPath>().unwrap_err();
        assert!(error.to_string().contains("z/OS"), "{error}");
    }

    #[test]
    fn path_that_is_broken_is_refused() {
        for text in ["", "FILE(", "FILE()", "a(b)", "/a::/b", "FILE(a)b"] {
            assert!(text.parse::<ConfigPath>().is_err(), "{text}");
        }
    }
}
