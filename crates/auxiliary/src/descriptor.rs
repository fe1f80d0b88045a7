//! Checks what a plug-in says of itself.

use std::collections::HashSet;

use tender_xmem::frame::ANY_VERSION;
use tender_xmem::plugin::{Descriptor, ServiceDescriptor};

/// The longest name of a plug-in or of one of its services, in bytes.
const NAME_BYTES_MAX: usize = 16;

/// The longest nickname.
const NICKNAME_BYTES_MAX: usize = 4;

/// How many services one plug-in may have.
const SERVICES_MAX: usize = 64;

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
    #[error(
        "service {service} of plug-in {name} names no profile: class (1 to 8) and entity (1 to 255 characters) go together"
    )]
    Profile {
        /// Whose.
        name: String,
        /// Which.
        service: String,
    },
}

/// Reads and checks the payload of a DESCRIPTOR. Names become part of profiles, so the rules are those of resource names.
pub fn read_descriptor(payload: &[u8]) -> Result<Descriptor, DescriptorError> {
    let descriptor: Descriptor = serde_json::from_slice(payload).map_err(DescriptorError::Malformed)?;
    check(&descriptor)?;
    Ok(descriptor)
}

fn check(descriptor: &Descriptor) -> Result<(), DescriptorError> {
    let Descriptor { name, nickname, version, services, .. } = descriptor;
    if !is_name(name, NAME_BYTES_MAX) {
        return Err(DescriptorError::Name { name: name.clone() });
    }
    // ZWES.IS.SRV.*, .OPER.* and .EXPLAIN are profiles of the server itself.
    if ["SRV", "OPER", "EXPLAIN"].contains(&name.as_str()) {
        return Err(DescriptorError::Reserved { name: name.clone() });
    }
    if !is_name(nickname, NICKNAME_BYTES_MAX) {
        return Err(DescriptorError::Nickname { name: name.clone(), nickname: nickname.clone() });
    }
    if *version == ANY_VERSION {
        return Err(DescriptorError::Version { what: format!("plug-in {name}") });
    }
    if services.is_empty() || services.len() > SERVICES_MAX {
        return Err(DescriptorError::Services { name: name.clone(), found: services.len() });
    }
    let mut seen = HashSet::new();
    for service in services {
        check_service(name, service)?;
        if !seen.insert(&service.name) {
            return Err(DescriptorError::Twice { name: name.clone(), service: service.name.clone() });
        }
    }
    Ok(())
}

fn check_service(plugin: &str, descriptor: &ServiceDescriptor) -> Result<(), DescriptorError> {
    let (name, service) = (plugin.to_owned(), descriptor.name.clone());
    if !is_name(&descriptor.name, NAME_BYTES_MAX) {
        return Err(DescriptorError::Service { name, service });
    }
    if descriptor.version == ANY_VERSION {
        return Err(DescriptorError::Version { what: format!("service {service} of plug-in {name}") });
    }
    let is_text = |text: &str, most| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match (&descriptor.class, &descriptor.entity) {
        (None, None) => Ok(()),
        (Some(class), Some(entity)) if is_text(class, 8) && is_text(entity, 255) => Ok(()),
        _ => Err(DescriptorError::Profile { name, service }),
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
        read_descriptor(&serde_json::to_vec(&descriptor).unwrap()).unwrap_err().to_string()
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
        let text =
            br#"{"name":"ECHO","nickname":"ECHO","version":3,"services":[{"name":"ECHO","version":1}]}"#;
        assert_eq!(read_descriptor(text).unwrap(), sample());
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
        assert!(matches!(read_descriptor(text), Err(DescriptorError::Malformed(_))));
    }
}
