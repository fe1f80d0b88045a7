//! Which component waits for which: start order, stop order, and cycles.

use std::collections::BTreeMap;

use crate::plan::Component;

/// Says why there is no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Components wait for each other.
    #[error("components wait for each other: {}", names.join(" → "))]
    Cycle {
        /// The way round; the last is the first again.
        names: Vec<String>,
    },
    /// Two components have one name.
    #[error("two components are named {name}")]
    Duplicate {
        /// The name.
        name: String,
    },
}

/// Checks that every component can be started after those it waits for.
///
/// `requires` of names that are not there makes no order impossible: such a component fails by itself.
pub(crate) fn check(components: &[Component]) -> Result<(), OrderError> {
    let mut index = BTreeMap::new();
    for (position, component) in components.iter().enumerate() {
        if index.insert(component.name.as_str(), position).is_some() {
            return Err(OrderError::Duplicate { name: component.name.clone() });
        }
    }
    let edges: Vec<Vec<usize>> = components
        .iter()
        .map(|component| {
            let names = component.requires.iter().chain(&component.after);
            names.filter_map(|name| index.get(name.as_str()).copied()).collect()
        })
        .collect();
    match cycle(&edges) {
        None => Ok(()),
        Some(way) => {
            Err(OrderError::Cycle { names: way.into_iter().map(|at| components[at].name.clone()).collect() })
        }
    }
}

/// Finds a way round, if there is one; without recursion, so that no chain is too long.
fn cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for start in 0..edges.len() {
        if marks[start] != Mark::New {
            continue;
        }
        let mut path = vec![(start, 0)];
        marks[start] = Mark::OnPath;
        while let Some((at, next)) = path.last_mut() {
            let Some(&to) = edges[*at].get(*next) else {
                marks[*at] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match marks[to] {
                Mark::Done => {}
                Mark::New => {
                    marks[to] = Mark::OnPath;
                    path.push((to, 0));
                }
                Mark::OnPath => {
                    let from = path.iter().position(|(at, _)| *at == to).expect("it is on the path");
                    return Some(path[from..].iter().map(|(at, _)| *at).chain([to]).collect());
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn check_of_a_cycle_names_the_way_round() {
        assert_eq!(cycle(&[vec![1], vec![2], vec![0]]), Some(vec![0, 1, 2, 0]));
        assert_eq!(cycle(&[vec![1], vec![2], vec![1]]), Some(vec![1, 2, 1]));
        assert_eq!(cycle(&[vec![0]]), Some(vec![0, 0]));
        assert_eq!(cycle(&[vec![1, 2], vec![2], vec![]]), None);
    }

    proptest! {
        #[test]
        fn cycle_is_found_exactly_when_no_order_exists(
            edges in proptest::collection::vec(proptest::collection::vec(0..8_usize, 0..3), 8)
        ) {
            // Take away what waits for nothing that is left, again and again.
            let mut left: Vec<usize> = (0..edges.len()).collect();
            loop {
                let before = left.len();
                let waits = left.clone();
                left.retain(|at| edges[*at].iter().any(|to| waits.contains(to)));
                if left.len() == before {
                    break;
                }
            }
            let found = cycle(&edges);
            prop_assert_eq!(found.is_some(), !left.is_empty());
            if let Some(way) = found {
                prop_assert_eq!(way.first(), way.last());
                for step in way.windows(2) {
                    prop_assert!(edges[step[0]].contains(&step[1]));
                }
            }
        }
    }
}
