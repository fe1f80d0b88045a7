//! Which plug-in serves what.

use std::collections::BTreeMap;

use tender_xmem::code::RouterCode;
use tender_xmem::frame::ANY_VERSION;
use tender_xmem::plugin::{Descriptor, ServiceDescriptor};

/// What operators call a plug-in.
pub type Nickname = String;

/// A plug-in that is installed, or waits for its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered<H> {
    /// What it said of itself.
    pub descriptor: Descriptor,
    /// Its host; `None` while none is ready.
    pub host: Option<H>,
}

/// Says why a plug-in is not installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Another plug-in has this name.
    #[error("plug-in {name} is installed already")]
    Name {
        /// Which.
        name: String,
    },
    /// Another plug-in has this nickname.
    #[error("nickname {nickname} of plug-in {name} belongs to plug-in {holder}")]
    Nickname {
        /// Which wanted it.
        name: String,
        /// The nickname.
        nickname: String,
        /// Who has it.
        holder: String,
    },
    /// What is to replace a plug-in calls itself something else.
    #[error("what is to replace plug-in {name} calls itself {found}")]
    Other {
        /// Which was to be replaced.
        name: String,
        /// What came.
        found: String,
    },
}

/// A service and who serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a, H> {
    /// The plug-in.
    pub plugin: &'a Descriptor,
    /// The service.
    pub service: &'a ServiceDescriptor,
    /// Its host.
    pub host: H,
}

/// All plug-ins of one server, by name. `H` is what whoever asks calls a host.
#[derive(Debug, Clone, Default)]
pub struct Registry<H> {
    plugins: BTreeMap<String, Registered<H>>,
}

impl<H: Copy> Registry<H> {
    /// Makes an empty one.
    pub fn new() -> Self {
        Self { plugins: BTreeMap::new() }
    }

    /// Installs a plug-in whose host is ready. Nothing is changed when it fails.
    pub fn install(&mut self, descriptor: Descriptor, host: H) -> Result<(), RegistryError> {
        let name = descriptor.name.clone();
        if self.plugins.contains_key(&name) {
            return Err(RegistryError::Name { name });
        }
        self.check_nickname(&descriptor)?;
        self.plugins.insert(name, Registered { descriptor, host: Some(host) });
        Ok(())
    }

    /// Puts a new host, with what it says of itself, in the place of the old one; returns the host that served until now.
    ///
    /// From here on new calls go to the new host. Nothing is changed when it fails.
    pub fn replace(
        &mut self,
        name: &str,
        descriptor: Descriptor,
        host: H,
    ) -> Result<Option<H>, RegistryError> {
        if descriptor.name != name {
            return Err(RegistryError::Other { name: name.to_owned(), found: descriptor.name });
        }
        self.check_nickname(&descriptor)?;
        let new = Registered { descriptor, host: Some(host) };
        Ok(self.plugins.insert(name.to_owned(), new).and_then(|old| old.host))
    }

    /// Takes the host of a plug-in away, but not the plug-in: its callers hear that it is inactive.
    pub fn deactivate(&mut self, name: &str) -> Option<H> {
        self.plugins.get_mut(name)?.host.take()
    }

    /// Takes a plug-in out.
    pub fn remove(&mut self, name: &str) -> Option<Registered<H>> {
        self.plugins.remove(name)
    }

    /// Looks for a service as the router does: 14 before 15 before 16.
    pub fn find(&self, plugin: &str, service: &str, version: u32) -> Result<Found<'_, H>, RouterCode> {
        let registered = self.plugins.get(plugin).ok_or(RouterCode::NotFound)?;
        let mut services = registered.descriptor.services.iter();
        let service = services.find(|known| known.name == service).ok_or(RouterCode::NotFound)?;
        if version != ANY_VERSION && version > service.version {
            return Err(RouterCode::Version);
        }
        let host = registered.host.ok_or(RouterCode::Inactive)?;
        Ok(Found { plugin: &registered.descriptor, service, host })
    }

    /// Returns the plug-in that operators call so.
    pub fn by_nickname(&self, nickname: &str) -> Option<&Registered<H>> {
        self.plugins.values().find(|plugin| plugin.descriptor.nickname == nickname)
    }

    /// Returns the plug-in of this name.
    pub fn by_name(&self, name: &str) -> Option<&Registered<H>> {
        self.plugins.get(name)
    }

    /// Returns all plug-ins in the order of their names.
    pub fn plugins(&self) -> impl Iterator<Item = &Registered<H>> {
        self.plugins.values()
    }

    fn check_nickname(&self, descriptor: &Descriptor) -> Result<(), RegistryError> {
        match self.by_nickname(&descriptor.nickname) {
            Some(holder) if holder.descriptor.name != descriptor.name => Err(RegistryError::Nickname {
                name: descriptor.name.clone(),
                nickname: descriptor.nickname.clone(),
                holder: holder.descriptor.name.clone(),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(name: &str, nickname: &str, version: u32) -> Descriptor {
        let service = ServiceDescriptor { name: "GET".into(), version, class: None, entity: None };
        Descriptor {
            name: name.into(),
            nickname: nickname.into(),
            version,
            anchor_layout: 0,
            services: vec![service],
        }
    }

    #[test]
    fn find_with_any_equal_lower_and_higher_version_answers_as_the_router() {
        let mut registry = Registry::new();
        registry.install(plugin("P", "P", 3), 7).unwrap();
        for version in [ANY_VERSION, 3, 2, 0] {
            assert_eq!(registry.find("P", "GET", version).unwrap().host, 7);
        }
        assert_eq!(registry.find("P", "GET", 4).unwrap_err(), RouterCode::Version);
        assert_eq!(registry.find("P", "PUT", 1).unwrap_err(), RouterCode::NotFound);
        assert_eq!(registry.find("Q", "GET", 1).unwrap_err(), RouterCode::NotFound);
    }

    #[test]
    fn install_with_known_name_or_nickname_changes_nothing() {
        let mut registry = Registry::new();
        registry.install(plugin("ONE", "NICK", 1), 1).unwrap();
        let same_name = registry.install(plugin("ONE", "ELSE", 2), 2).unwrap_err();
        assert_eq!(same_name, RegistryError::Name { name: "ONE".into() });
        let same_nickname = registry.install(plugin("TWO", "NICK", 1), 2).unwrap_err();
        assert_eq!(same_nickname.to_string(), "nickname NICK of plug-in TWO belongs to plug-in ONE");
        assert_eq!(registry.plugins().count(), 1);
        assert_eq!(registry.find("ONE", "GET", 1).unwrap().host, 1);
    }

    #[test]
    fn deactivated_plugin_is_inactive_until_it_is_replaced() {
        let mut registry = Registry::new();
        registry.install(plugin("P", "P", 1), 1).unwrap();
        assert_eq!(registry.deactivate("P"), Some(1));
        assert_eq!(registry.find("P", "GET", 1).unwrap_err(), RouterCode::Inactive);
        assert_eq!(registry.replace("P", plugin("P", "P", 2), 2).unwrap(), None);
        assert_eq!(registry.find("P", "GET", 2).unwrap().host, 2);
        assert_eq!(registry.replace("P", plugin("P", "P", 3), 3).unwrap(), Some(2));
    }

    #[test]
    fn replacement_that_calls_itself_something_else_is_refused() {
        let mut registry = Registry::new();
        registry.install(plugin("P", "P", 1), 1).unwrap();
        assert!(registry.replace("P", plugin("Q", "Q", 2), 2).is_err());
        assert_eq!(registry.find("P", "GET", 1).unwrap().host, 1);
    }
}
