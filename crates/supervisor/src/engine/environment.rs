//! What the environments of many components have in common, kept once.
//!
//! Every component is told of the whole configuration, so an environment grows with the number of components, and kept
//! as they are all environments together would grow with its square.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::plan::Component;

/// Variables that all components of one plan have alike.
pub(super) type Shared = Rc<BTreeMap<String, String>>;

/// Moves what all components have alike out of their environments.
///
/// The environment of each is then its own variables together with the shared ones; no name is in both.
pub(super) fn share(components: &mut [Component]) -> Shared {
    let Some((first, others)) = components.split_first() else { return Shared::default() };
    let mut shared = first.environment.0.clone();
    shared.retain(|name, value| others.iter().all(|other| other.environment.0.get(name) == Some(value)));
    for component in components {
        component.environment.0.retain(|name, _| !shared.contains_key(name));
    }
    Rc::new(shared)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Environment, Limits, Restart, Stop};

    fn component(environment: BTreeMap<String, String>) -> Component {
        Component {
            name: String::new(),
            job_name: String::new(),
            command: Vec::new(),
            working_directory: std::path::PathBuf::new(),
            environment: Environment(environment),
            restart: Restart::default(),
            readiness: None,
            health: None,
            requires: Vec::new(),
            after: Vec::new(),
            stop: Stop::default(),
            limits: Limits::default(),
            fingerprint: String::new(),
        }
    }

    proptest! {
        #[test]
        fn share_changes_no_environment(
            environments in proptest::collection::vec(
                proptest::collection::btree_map("[a-d]", "[xy]", 0..4), 0..5)
        ) {
            let mut components: Vec<Component> = environments.iter().cloned().map(component).collect();
            let shared = share(&mut components);
            for (component, environment) in components.iter().zip(&environments) {
                let own = &component.environment.0;
                prop_assert!(own.keys().all(|name| !shared.contains_key(name)));
                let whole: BTreeMap<_, _> =
                    shared.iter().chain(own).map(|(name, value)| (name.clone(), value.clone())).collect();
                prop_assert_eq!(&whole, environment);
            }
        }
    }
}
