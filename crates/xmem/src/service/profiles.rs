//! PROFILES (15): resource profiles, page by page.

use serde::{Deserialize, Serialize};

use super::limits::{CLASS_BYTES_MAX, ENTITY_BYTES_MAX, Invalid, count, text};
use super::{Request, ServiceId};
use crate::code::ProfileCode;

/// The next page. An empty class means the one of `ZWES.SECMGMT.CLASS`; any other is refused (18) and not, as in the
/// original, silently replaced by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles {
    /// Class.
    #[serde(default)]
    pub class: String,
    /// Last profile of the page before; empty for the first page.
    #[serde(default)]
    pub start: String,
    /// Profiles of a page, 1 to 1000.
    pub count: u32,
}

/// One profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileEntry {
    /// Its name.
    pub profile: String,
    /// Who owns it.
    pub owner: String,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfilesAnswer {
    /// The profiles.
    pub profiles: Vec<ProfileEntry>,
}

impl Request for Profiles {
    const SERVICE: ServiceId = ServiceId::Profiles;
    const EXAMPLES: &'static [&'static str] = &[r#"{"class": "", "start": "", "count": 100}"#];
    type Answer = ProfilesAnswer;

    fn validate(&self) -> Result<(), Invalid> {
        text(&self.class, CLASS_BYTES_MAX, "class", ProfileCode::ClassTooLong)?;
        text(&self.start, ENTITY_BYTES_MAX, "start", ProfileCode::ProfileTooLong)?;
        count(self.count, ProfileCode::Count)
    }
}
