//! The names of the one who is certified and of the one who certifies.

use serde::{Deserialize, Serialize};

use rcgen::DnType;

/// The parts of a subject, as `zowe.setup.certificate.dname` has them.
///
/// Missing parts have defaults; an empty text leaves a part out of the name. The country must be two letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DistinguishedName {
    /// Common name of the authority.
    pub ca_common_name: Option<String>,
    /// Common name of the certificate.
    pub common_name: Option<String>,
    /// Organisational unit.
    pub org_unit: Option<String>,
    /// Organisation.
    pub org: Option<String>,
    /// Town.
    pub locality: Option<String>,
    /// State or province.
    pub state: Option<String>,
    /// Country, two letters.
    pub country: Option<String>,
}

impl Default for DistinguishedName {
    fn default() -> Self {
        let text = |text: &str| Some(text.to_owned());
        Self {
            ca_common_name: text("Tender Instance CA"),
            common_name: text("Tender Instance Certificate"),
            org_unit: text("API Mediation Layer"),
            org: text("Tender"),
            locality: None,
            state: None,
            country: None,
        }
    }
}

impl DistinguishedName {
    /// The first part that cannot stand in a certificate, with the reason.
    pub(crate) fn refused_part(&self) -> Option<(&'static str, &'static str)> {
        let country = self.country.as_deref().unwrap_or_default();
        if !country.is_empty()
            && (country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_alphabetic()))
        {
            return Some(("country", "a country is two letters"));
        }
        let parts = [
            ("caCommonName", &self.ca_common_name),
            ("commonName", &self.common_name),
            ("orgUnit", &self.org_unit),
            ("org", &self.org),
            ("locality", &self.locality),
            ("state", &self.state),
        ];
        // The upper bounds of X.520; locality and state may have 128, the others 64.
        parts.into_iter().find_map(|(part, text)| {
            let text = text.as_deref().unwrap_or_default();
            let characters_max = if matches!(part, "locality" | "state") { 128 } else { 64 };
            if text.chars().any(char::is_control) {
                Some((part, "it has a control character"))
            } else {
                (text.chars().count() > characters_max).then_some((part, "it is too long"))
            }
        })
    }

    /// The subject of the authority.
    pub(crate) fn authority(&self) -> rcgen::DistinguishedName {
        self.with_common_name(self.ca_common_name.as_deref(), Self::default().ca_common_name)
    }

    /// The subject of the certificate: its own common name, not that of the authority.
    pub(crate) fn leaf(&self) -> rcgen::DistinguishedName {
        self.with_common_name(self.common_name.as_deref(), Self::default().common_name)
    }

    /// `CN=…, OU=…` as shown to people.
    pub(crate) fn display(name: &rcgen::DistinguishedName) -> String {
        let parts = name.iter().map(|(kind, value)| {
            let text = match value {
                rcgen::DnValue::Utf8String(text) => text.clone(),
                rcgen::DnValue::PrintableString(text) => text.as_str().to_owned(),
                other => format!("{other:?}"),
            };
            format!("{}={text}", short_name(kind))
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    fn with_common_name(&self, common: Option<&str>, fallback: Option<String>) -> rcgen::DistinguishedName {
        let common = common.map(str::to_owned).filter(|text| !text.is_empty()).or(fallback);
        let parts = [
            (DnType::CountryName, &self.country),
            (DnType::StateOrProvinceName, &self.state),
            (DnType::LocalityName, &self.locality),
            (DnType::OrganizationName, &self.org),
            (DnType::OrganizationalUnitName, &self.org_unit),
            (DnType::CommonName, &common),
        ];
        let mut name = rcgen::DistinguishedName::new();
        for (kind, text) in parts {
            let Some(text) = text.as_deref().filter(|text| !text.is_empty()) else { continue };
            let printable = kind == DnType::CountryName;
            match text.to_ascii_uppercase().try_into() {
                // X.520 wants the country as PrintableString.
                Ok(text) if printable => name.push(kind, rcgen::DnValue::PrintableString(text)),
                _ => name.push(kind, text),
            }
        }
        name
    }
}

fn short_name(kind: &DnType) -> &'static str {
    match kind {
        DnType::CountryName => "C",
        DnType::StateOrProvinceName => "ST",
        DnType::LocalityName => "L",
        DnType::OrganizationName => "O",
        DnType::OrganizationalUnitName => "OU",
        DnType::CommonName => "CN",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaf_and_authority_have_different_common_names() {
        let names = DistinguishedName::default();
        assert_ne!(names.leaf(), names.authority());
    }

    #[test]
    fn country_of_three_letters_is_refused() {
        let names = DistinguishedName { country: Some("CZE".into()), ..DistinguishedName::default() };
        assert_eq!(names.refused_part().unwrap().0, "country");
    }

    #[test]
    fn empty_part_is_left_out() {
        let names = DistinguishedName { org: Some(String::new()), ..DistinguishedName::default() };
        assert!(!DistinguishedName::display(&names.leaf()).contains("O="), "{names:?}");
    }
}
