//! Where a value came from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// What kind of text a value was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// A configuration file.
    File,
    /// A section below `haInstances` of a configuration file.
    HaInstance,
    /// A component manifest.
    Manifest,
    /// The defaults that are part of this program.
    BuiltIn,
}

/// Where a value came from: a place in a text.
///
/// Shape: lines and columns count from 1, columns in characters; both are 0 where a text has no places.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The file, as it was named when it was opened.
    pub file: Arc<Path>,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// What kind of text it is.
    pub layer: Layer,
}

impl Origin {
    /// Names a place in a configuration file.
    #[must_use]
    pub fn new(file: &Arc<Path>, line: u32, column: u32) -> Self {
        Self { file: Arc::clone(file), line, column, layer: Layer::File }
    }

    /// Names a whole file.
    #[must_use]
    pub fn of_file(file: &Path) -> Self {
        Self { file: Arc::from(file), line: 0, column: 0, layer: Layer::File }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layer == Layer::BuiltIn {
            return f.write_str("built-in default");
        }
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut origin = serializer.serialize_struct("Origin", 4)?;
        origin.serialize_field("file", &self.file.to_string_lossy())?;
        origin.serialize_field("line", &self.line)?;
        origin.serialize_field("column", &self.column)?;
        origin.serialize_field("layer", &self.layer)?;
        origin.end()
    }
}
