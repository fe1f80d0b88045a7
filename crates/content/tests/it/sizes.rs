//! A difference is never larger than sending the changed files whole.

use tender_content::servlink::ServlinkSummary;
use tender_content::{Node, Tree};

use crate::setup::{Setup, gzip, noise, program, text};

/// The base's digest and the numbers of its parts: what a difference names that a whole does not.
const NAMING_BYTES: u64 = 160;

/// Returns the difference and the whole of just the parts that changed.
fn both(setup: &Setup, from: &Tree, to: &Tree) -> (ServlinkSummary, ServlinkSummary) {
    let changed = to.iter().filter(|(path, node)| from.get(path.as_str()) != Some(*node));
    let changed = changed.map(|(path, node)| (path.clone(), node.clone()));
    let changed = Tree::from_nodes(changed.collect()).unwrap();
    let whole = setup.build(&Tree::new(), &changed);
    (setup.build(from, to), whole)
}

fn check(old: &[(&str, Vec<u8>)], new: &[(&str, Vec<u8>)]) -> (ServlinkSummary, ServlinkSummary) {
    let setup = Setup::new();
    let (from, to) = (setup.tree(old), setup.tree(new));
    let (difference, whole) = both(&setup, &from, &to);
    assert!(
        difference.servlink_bytes <= whole.servlink_bytes + NAMING_BYTES,
        "{} against {} whole",
        difference.servlink_bytes,
        whole.servlink_bytes
    );
    (difference, whole)
}

#[test]
fn difference_of_each_kind_of_part_is_no_larger_than_the_part_whole() {
    let pairs = [
        (program(1, 200_000), program(2, 200_000)),
        (program(1, 200_000), [b"\x7fELF".to_vec(), noise(9, 200_000)].concat()),
        (noise(1, 1_200_000), noise(2, 1_200_000)),
        (text(1, 5000), text(2, 5000)),
        (text(1, 5000), noise(3, 5000)),
        (gzip(&text(1, 5000)), gzip(&text(2, 5000))),
        (gzip(&noise(1, 5000)), gzip(&noise(2, 5000))),
        (vec![0; 1_500_000], vec![1; 1_500_000]),
        (noise(4, 100), Vec::new()),
    ];
    for (old, new) in pairs {
        check(&[("part", old)], &[("part", new)]);
    }
}

#[test]
fn difference_of_close_parts_is_a_fraction_of_the_whole() {
    let old = [("a.so", program(1, 400_000)), ("b", text(1, 5000)), ("c.gz", gzip(&text(1, 5000)))];
    let new = [("a.so", program(2, 400_000)), ("b", text(2, 5000)), ("c.gz", gzip(&text(2, 5000)))];
    let (difference, whole) = check(&old, &new);
    assert!(!difference.is_whole);
    assert!(difference.servlink_bytes * 20 < whole.servlink_bytes);
}

#[test]
fn difference_follows_a_renamed_part() {
    let old = [("lib/blas-1f2e3d4c.so", program(1, 400_000))];
    let new = [("lib/blas-9a8b7c6d.so", program(2, 400_000))];
    let (difference, whole) = check(&old, &new);
    assert!(difference.servlink_bytes * 20 < whole.servlink_bytes);
}

#[test]
fn servlink_of_whole_parts_is_no_larger_than_the_parts() {
    let setup = Setup::new();
    let to = setup.tree(&[("a", noise(1, 50_000)), ("b.so", program(1, 1_500_000))]);
    let summary = setup.build(&Tree::new(), &to);
    assert!(summary.servlink_bytes < to.total_bytes() + to.total_bytes() / 50);
    assert!(to.iter().all(|(_, node)| matches!(node, Node::File { .. })));
}
