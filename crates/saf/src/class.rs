//! Classes: what kinds of resources there are and what holds for all of a kind.

use serde::{Deserialize, Serialize};

use crate::id::{ClassName, RESOURCE_BYTES_MAX};
use crate::level::AccessLevel;

/// How generic names of a class read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Naming {
    /// General resources: a `*` at the end matches on past periods.
    General,
    /// Data sets with enhanced generic naming: a `*` at the end stays in its qualifier.
    DataSet,
}

/// Whether a class may be kept in memory, by its definition.
///
/// Everything is kept in memory here; the word is kept so that definitions survive a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RaclistPolicy {
    /// May be.
    Allowed,
    /// May not be.
    Disallowed,
    /// Must be.
    Required,
}

/// One class of resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Its name.
    pub name: ClassName,
    /// Whether it came with the product.
    pub is_builtin: bool,
    /// Whether questions about it are answered; no access is given in an inactive class.
    pub is_active: bool,
    /// Whether SETROPTS RACLIST was said of it.
    pub is_raclisted: bool,
    /// Whether SETROPTS GENERIC was said of it; generic profiles work without.
    pub is_generic: bool,
    /// Number of the option set.
    pub posit: u16,
    /// Longest profile name, in characters.
    pub length_max: u16,
    /// What a question without a profile returns: 0, 4 or 8. Only 0 gives access.
    pub default_return_code: u8,
    /// UACC of a profile defined without one.
    pub default_uacc: AccessLevel,
    /// How generic names read.
    pub naming: Naming,
    /// Whether small letters differ from capitals.
    pub is_case_sensitive: bool,
    /// Whether it may be kept in memory.
    pub raclist: RaclistPolicy,
}

impl Class {
    /// Makes a class with the values that RDEFINE CDT starts from.
    pub fn new(name: ClassName) -> Self {
        Self {
            name,
            is_builtin: false,
            is_active: false,
            is_raclisted: false,
            is_generic: false,
            posit: 0,
            length_max: 246,
            default_return_code: 4,
            default_uacc: AccessLevel::None,
            naming: Naming::General,
            is_case_sensitive: false,
            raclist: RaclistPolicy::Disallowed,
        }
    }

    /// Returns a name in the form in which the class keeps it.
    pub fn fold(&self, name: &str) -> String {
        if self.is_case_sensitive { name.to_owned() } else { name.to_ascii_uppercase() }
    }

    /// Returns the longest profile name in bytes.
    pub fn bytes_max(&self) -> usize {
        usize::from(self.length_max).min(RESOURCE_BYTES_MAX)
    }
}

/// Name, POSIT, longest name, default return code, and whether it is active from the start.
const BUILTIN: &[(&str, u16, u16, u8, bool)] = &[
    ("APPL", 3, 8, 4, false),
    ("DATASET", 0, 44, 4, true),
    ("FACILITY", 8, 246, 4, true),
    // Longer than a mainframe's names: users of Linux have up to 32 characters.
    ("PTKTDATA", 76, 64, 4, false),
    ("SERVER", 546, 246, 8, false),
    ("STARTED", 126, 17, 4, true),
    ("SURROGAT", 7, 17, 4, false),
    ("UNIXPRIV", 555, 246, 4, true),
];

/// Returns the classes that come with the product.
///
/// FACILITY, STARTED, UNIXPRIV and DATASET are active from the start: an inactive class gives no access, so this only
/// makes permits work that an administrator has written.
pub fn builtin_classes() -> Vec<Class> {
    let class = |&(name, posit, length_max, default_return_code, is_active): &(&str, _, _, _, _)| {
        let name: ClassName = name.parse().expect("the table holds class names");
        let naming = if name.as_str() == "DATASET" { Naming::DataSet } else { Naming::General };
        let made = Class::new(name);
        let raclist = RaclistPolicy::Allowed;
        Class { is_builtin: true, is_active, posit, length_max, default_return_code, naming, raclist, ..made }
    };
    BUILTIN.iter().map(class).collect()
}
