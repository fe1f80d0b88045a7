//! What a plug-in says of itself.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// The version with which a caller asks for whatever is installed.
pub const ANY_VERSION: u32 = u32::MAX;

/// The longest name of a plug-in or of one of its services, in bytes.
const NAME_BYTES_MAX: usize = 16;

/// The longest nickname.
const NICKNAME_BYTES_MAX: usize = 4;

/// How many services one plug-in may have.
const SERVICES_MAX: usize = 64;

/// A plug-in as it describes itself when it has been started.
///
/// Shape: the payload of DESCRIPTOR, JSON. Unknown fields are refused: one that is mistyped would silently do nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// Its name, 1 to 16 printable characters.
    pub name: String,
    /// What operators call it, 1 to 4 printable characters.
    pub nickname: String,
    /// Its version.
    pub version: u32,
    /// The layout of its anchors; anchors of another layout are not handed to it.
    #[serde(default)]
    pub anchor_layout: u32,
    /// What it serves.
    pub services: Vec<ServiceDescriptor>,
}

/// One service of a plug-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceDescriptor {
    /// Its name, 1 to 16 characters of those a resource name may have.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The class of a profile that callers need beyond the service's own, at most 8 characters; goes with `entity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The resource of that profile, 1 to 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
}

/// Says what is wrong with a descriptor. A plug-in with any fault is not installed at all.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorError {
    /// It is not JSON of this shape.
    #[error("the descriptor is not what a plug-in describes itself with")]
    Malformed(#[source] serde_json::Error),
    /// The name of the plug-in cannot be used.
    #[error("`{}` is no name of a plug-in: 1 to 16 characters A-Z, 0-9, $, #, @, _ or -", name.escape_debug())]
    Name {
        /// What it said.
        name: String,
    },
    /// The nickname cannot be used.
    #[error("`{}` is no nickname for plug-in {name}: 1 to 4 characters A-Z, 0-9, $, # or @", nickname.escape_debug())]
    Nickname {
        /// Whose.
        name: String,
        /// What it said.
        nickname: String,
    },
    /// SRV is what the server's own services are called.
    #[error("plug-in name {name} belongs to the server")]
    Reserved {
        /// What it said.
        name: String,
    },
    /// The version is the one that means any.
    #[error("version {ANY_VERSION} of {what} is not a version: it means any")]
    Version {
        /// Of what.
        what: String,
    },
    /// It serves nothing, or too much.
    #[error("plug-in {name} has {found} services; 1 to {SERVICES_MAX} are possible")]
    Services {
        /// Whose.
        name: String,
        /// How many.
        found: usize,
    },
    /// The name of a service cannot be used.
    #[error("`{}` is no name for a service of plug-in {name}: 1 to 16 characters A-Z, 0-9, $, #, @, _ or -", service.escape_debug())]
    Service {
        /// Whose.
        name: String,
        /// What it said.
        service: String,
    },
    /// Two services have one name.
    #[error("plug-in {name} has service {service} twice")]
    Twice {
        /// Whose.
        name: String,
        /// Which.
        service: String,
    },
    /// A profile is named in part or cannot exist.
    #[error("service {service} of plug-in {name} names no profile: class (1 to 8) and entity (1 to 255 characters) go together")]
    Profile {
        /// Whose.
        name: String,
        /// Which.
        service: String,
    },
}

impl Descriptor {
    /// Reads and checks the payload of a DESCRIPTOR.
    pub fn read(payload: &[u8]) -> Result<Self, DescriptorError> {
        let descriptor: Self = serde_json::from_slice(payload).map_err(DescriptorError::Malformed)?;
        descriptor.check()?;
        Ok(descriptor)
    }

    fn check(&self) -> Result<(), DescriptorError> {
        let name = || self.name.clone();
        if !is_name(&self.name, NAME_BYTES_MAX) {
            return Err(DescriptorError::Name { name: name() });
        }
        // ZWES.IS.SRV.*, .OPER.* and .EXPLAIN are profiles of the server itself.
        if ["SRV", "OPER", "EXPLAIN"].contains(&self.name.as_str()) {
            return Err(DescriptorError::Reserved { name: name() });
        }
        if !is_name(&self.nickname, NICKNAME_BYTES_MAX) {
            return Err(DescriptorError::Nickname { name: name(), nickname: self.nickname.clone() });
        }
        if self.version == ANY_VERSION {
            return Err(DescriptorError::Version { what: format!("plug-in {}", self.name) });
        }
        if self.services.is_empty() || self.services.len() > SERVICES_MAX {
            return Err(DescriptorError::Services { name: name(), found: self.services.len() });
        }
        let mut seen = HashSet::new();
        for service in &self.services {
            service.check(&self.name)?;
            if !seen.insert(&service.name) {
                return Err(DescriptorError::Twice { name: name(), service: service.name.clone() });
            }
        }
        Ok(())
    }
}

impl ServiceDescriptor {
    fn check(&self, plugin: &str) -> Result<(), DescriptorError> {
        let (name, service) = (plugin.to_owned(), self.name.clone());
        if !is_name(&self.name, NAME_BYTES_MAX) {
            return Err(DescriptorError::Service { name, service });
        }
        if self.version == ANY_VERSION {
            return Err(DescriptorError::Version { what: format!("service {service} of plug-in {name}") });
        }
        let is_text = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match (&self.class, &self.entity) {
            (None, None) => Ok(()),
            (Some(class), Some(entity)) if is_text(class, 8) && is_text(entity, 255) => Ok(()),
            _ => Err(DescriptorError::Profile { name, service }),
        }
    }
}

/// Names become qualifiers of a resource name, so a dot or a generic character cannot be in one.
fn is_name(name: &str, most: usize) -> bool {
    let is_known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"$#@_-".contains(&byte);
    (1..=most).contains(&name.len()) && name.bytes().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Descriptor)) -> String {
        let mut descriptor = sample();
        change(&mut descriptor);
        Descriptor::read(&serde_json::to_vec(&descriptor).unwrap()).unwrap_err().to_string()
    }

    fn sample() -> Descriptor {
        let service = ServiceDescriptor { name: "ECHO".into(), version: 1, class: None, entity: None };
        Descriptor {
            name: "ECHO".into(),
            nickname: "ECHO".into(),
            version: 3,
            anchor_layout: 0,
            services: vec![service],
        }
    }

    #[test]
    fn descriptor_with_all_in_order_is_read() {
        let text = br#"{"name":"ECHO","nickname":"ECHO","version":3,"services":[{"name":"ECHO","version":1}]}"#;
        assert_eq!(Descriptor::read(text).unwrap(), sample());
    }

    #[test]
    fn descriptor_with_one_fault_is_refused_whole_and_the_fault_named() {
        assert!(refused(|it| it.name = "A.B".into()).contains("no name of a plug-in"));
        assert!(refused(|it| it.name = "SRV".into()).contains("belongs to the server"));
        assert!(refused(|it| it.nickname = "FIVES".into()).contains("no nickname for plug-in ECHO"));
        assert!(refused(|it| it.nickname = " AB".into()).contains("no nickname"));
        assert!(refused(|it| it.version = ANY_VERSION).contains("it means any"));
        assert!(refused(|it| it.services.clear()).contains("has 0 services"));
        assert!(refused(|it| it.services[0].name = "**".into()).contains("no name for a service"));
        assert!(refused(|it| it.services.push(it.services[0].clone())).contains("has service ECHO twice"));
        assert!(refused(|it| it.services[0].class = Some("FACILITY".into())).contains("go together"));
    }

    #[test]
    fn descriptor_with_unknown_field_is_refused() {
        let text = br#"{"name":"E","nickname":"E","version":1,"services":[],"servces":[]}"#;
        assert!(matches!(Descriptor::read(text), Err(DescriptorError::Malformed(_))));
    }
}
