//! Every package in the tree has a licence that `deny.toml` allows.
//!
//! `cargo deny check` does the same and more, but is not on every machine; this test is.

use std::collections::BTreeSet;
use std::fs;

use crate::architecture::packages_built;
use crate::workspace::Workspace;

/// Returns the strings of `allow = [ … ]` in the `[licenses]` table.
fn allowed(deny: &str) -> BTreeSet<&str> {
    let licences = deny.split("[licenses]").nth(1).expect("deny.toml has a table of licences");
    let list = licences.split("allow = [").nth(1).and_then(|rest| rest.split(']').next());
    list.expect("the table has a list of allowed licences").split('"').skip(1).step_by(2).collect()
}

/// Returns the crates and licences of `exceptions = [ … ]`, one a line.
fn exceptions(deny: &str) -> Vec<(&str, &str)> {
    let list = deny.split("exceptions = [").nth(1).and_then(|rest| rest.split("\n]").next()).unwrap_or("");
    let quoted: Vec<_> = list.split('"').skip(1).step_by(2).collect();
    quoted.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Says whether an SPDX expression can be met with allowed licences alone.
fn is_met(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let (is_met, rest) = any(&words, allowed);
    is_met && rest.is_empty()
}

fn any<'w, 't>(words: &'w [&'t str], allowed: &BTreeSet<&str>) -> (bool, &'w [&'t str]) {
    let (mut is_met, mut rest) = all(words, allowed);
    while let Some((&"OR", after)) = rest.split_first() {
        let (other, left) = all(after, allowed);
        is_met |= other;
        rest = left;
    }
    (is_met, rest)
}

fn all<'w, 't>(words: &'w [&'t str], allowed: &BTreeSet<&str>) -> (bool, &'w [&'t str]) {
    let (mut is_met, mut rest) = one(words, allowed);
    while let Some((&"AND", after)) = rest.split_first() {
        let (other, left) = one(after, allowed);
        is_met &= other;
        rest = left;
    }
    (is_met, rest)
}

fn one<'w, 't>(words: &'w [&'t str], allowed: &BTreeSet<&str>) -> (bool, &'w [&'t str]) {
    match words.split_first() {
        Some((&"(", inner)) => {
            let (is_met, rest) = any(inner, allowed);
            (is_met, rest.strip_prefix(&[")"]).unwrap_or(&[]))
        }
        Some((id, rest)) => match rest {
            ["WITH", exception, rest @ ..] => {
                (allowed.contains(format!("{id} WITH {exception}").as_str()), rest)
            }
            _ => (allowed.contains(id), rest),
        },
        None => (false, words),
    }
}

#[test]
fn licences_of_all_packages_are_allowed() {
    let deny = fs::read_to_string(Workspace::of_this_source().root().join("deny.toml")).unwrap();
    let (allowed, exceptions) = (allowed(&deny), exceptions(&deny));
    let mut offenders = Vec::new();
    for (package, licence) in packages_built() {
        let name = package.split(' ').next().unwrap();
        let is_exception =
            exceptions.iter().any(|(except, id)| name == *except && is_met(&licence, &BTreeSet::from([*id])));
        if !is_exception && !is_met(&licence, &allowed) {
            offenders.push(format!("{package}: {licence}"));
        }
    }
    assert!(offenders.is_empty(), "not allowed by deny.toml:\n  {}", offenders.join("\n  "));
}

#[test]
fn expression_with_choice_and_parentheses_is_read_as_spdx_means_it() {
    let allowed = BTreeSet::from(["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]);
    for met in [
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-3.0/MIT",
        "(MIT OR GPL-2.0) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in
        ["GPL-3.0", "MIT AND GPL-3.0", "(MIT AND ISC) OR Zlib", "MIT WITH LLVM-exception", "none given"]
    {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}
