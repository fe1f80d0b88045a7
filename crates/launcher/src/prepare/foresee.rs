//! What would become of the components at a start, as far as that can be told without starting anything.
//!
//! Pure functions: the plan of a start and the report of a validation must not differ.

use std::collections::BTreeSet;

/// What a component waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanting<'c> {
    /// Its name.
    pub(crate) name: &'c str,
    /// What must be READY before it starts.
    pub(crate) requires: &'c [String],
    /// What starts before it when it is there.
    pub(crate) after: &'c [String],
}

/// Returns the components that cannot start because something they require does not, each with the reason.
pub(crate) fn unmet(components: &[Wanting<'_>], left_out: &[&str]) -> Vec<(String, String)> {
    let mut there: BTreeSet<&str> = components.iter().map(|one| one.name).collect();
    let mut dropped: Vec<(String, String)> = Vec::new();
    loop {
        let found = components.iter().filter(|one| there.contains(one.name)).find_map(|one| {
            let wanted = one.requires.iter().find(|wanted| !there.contains(wanted.as_str()))?;
            Some((one.name, wanted))
        });
        let Some((name, wanted)) = found else { return dropped };
        let is_left_out =
            left_out.contains(&wanted.as_str()) || dropped.iter().any(|(dropped, _)| dropped == wanted);
        let why = if is_left_out { "is left out" } else { "is not started here" };
        there.remove(name);
        dropped.push((name.to_owned(), format!("it requires {wanted}, which {why}")));
    }
}

/// Returns a way round in what components wait for, the first again at its end; nothing when there is none.
pub(crate) fn cycle(components: &[Wanting<'_>]) -> Option<Vec<String>> {
    // What waits for nothing that is left can start; what never can is in a circle or waits for one.
    let mut left: Vec<&Wanting<'_>> = components.iter().collect();
    loop {
        let names: BTreeSet<&str> = left.iter().map(|one| one.name).collect();
        let before = left.len();
        left.retain(|one| waits_for(one).any(|name| names.contains(name)));
        if left.len() == before {
            break;
        }
    }
    let mut way: Vec<&str> = vec![left.first()?.name];
    loop {
        let one = left.iter().find(|one| Some(&one.name) == way.last())?;
        let next = waits_for(one).find(|name| left.iter().any(|other| other.name == *name))?;
        if let Some(start) = way.iter().position(|name| *name == next) {
            return Some(way[start..].iter().chain([&next]).map(|name| (*name).to_owned()).collect());
        }
        way.push(next);
    }
}

fn waits_for<'c>(one: &Wanting<'c>) -> impl Iterator<Item = &'c str> + use<'c> {
    one.requires.iter().chain(one.after).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn component_that_requires_what_is_left_out_is_left_out_with_all_that_require_it() {
        let (a, b) = (names(&["gone"]), names(&["a"]));
        let wanting = [
            Wanting { name: "b", requires: &b, after: &[] },
            Wanting { name: "a", requires: &a, after: &[] },
            Wanting { name: "c", requires: &[], after: &a },
        ];
        let expected =
            [("a", "it requires gone, which is left out"), ("b", "it requires a, which is left out")];
        assert_eq!(unmet(&wanting, &["gone"]), expected.map(|(name, why)| (name.to_owned(), why.to_owned())));
        assert_eq!(unmet(&wanting, &[])[0].1, "it requires gone, which is not started here");
        assert_eq!(cycle(&wanting), None);
    }

    #[test]
    fn way_round_is_found_behind_what_only_waits_for_it() {
        let (first, a, b) = (names(&["a"]), names(&["b"]), names(&["x", "a"]));
        let wanting = [
            Wanting { name: "first", requires: &first, after: &[] },
            Wanting { name: "a", requires: &a, after: &[] },
            Wanting { name: "b", requires: &[], after: &b },
        ];
        assert_eq!(cycle(&wanting), Some(names(&["a", "b", "a"])));
        let own = names(&["self"]);
        assert_eq!(
            cycle(&[Wanting { name: "self", requires: &own, after: &[] }]),
            Some(names(&["self", "self"]))
        );
        assert_eq!(cycle(&[]), None);
    }
}
