//! The variables of one component: what all components have alike, kept once, and its own.
//!
//! Every component is told of the whole configuration, so all environments together would grow with the square of the
//! number of components.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The variables of one component, secrets fetched.
#[derive(Clone, Default)]
pub(crate) struct Variables {
    shared: Arc<BTreeMap<String, String>>,
    /// These win.
    own: BTreeMap<String, String>,
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        f.debug_list().entries(self.own.keys()).finish()
    }
}

impl Variables {
    /// Makes variables of what is shared and what is not.
    pub(crate) fn new(shared: Arc<BTreeMap<String, String>>, own: BTreeMap<String, String>) -> Self {
        Self { shared, own }
    }

    /// Returns a value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.own.get(name).or_else(|| self.shared.get(name)).map(String::as_str)
    }

    /// Sets a variable of its own.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.own.insert(name.to_owned(), value);
    }

    /// Returns what is shared.
    pub(crate) fn shared(&self) -> &Arc<BTreeMap<String, String>> {
        &self.shared
    }

    /// Returns what is its own.
    pub(crate) fn own(&self) -> &BTreeMap<String, String> {
        &self.own
    }

    /// Returns all of them, as a process gets them.
    pub(crate) fn to_map(&self) -> BTreeMap<String, String> {
        let mut all = (*self.shared).clone();
        all.extend(self.own.iter().map(|(name, value)| (name.clone(), value.clone())));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_variables_win_over_shared_ones() {
        let shared = [("A", "1"), ("B", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut variables = Variables::new(Arc::new(BTreeMap::from(shared)), BTreeMap::new());
        variables.set("B", "2".to_owned());
        assert_eq!(
            (variables.get("A"), variables.get("B"), variables.get("C")),
            (Some("1"), Some("2"), None)
        );
        assert_eq!(variables.to_map().into_values().collect::<Vec<_>>(), ["1", "2"]);
    }
}
