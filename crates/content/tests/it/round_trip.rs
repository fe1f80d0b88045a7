//! What goes in comes out.

use proptest::prelude::*;
use tender_content::servlink::{BuildOptions, inspect};
use tender_content::{Node, PartPath, Tree};

use crate::setup::{Setup, gzip, noise, program, text};

fn check(setup: &Setup, from: &Tree, to: &Tree) {
    setup.build(from, to);
    let (made, receiver) = setup.apply(from).unwrap();
    assert_eq!(made, *to);
    for digest in to.iter().filter_map(|(_, node)| node.digest()) {
        receiver.verify(&digest).unwrap();
    }
}

fn release(setup: &Setup, version: u64) -> Tree {
    let zipped = [text(version, 3000), noise(version, 100)].concat();
    let parts = [
        ("lib/core.so", program(version, 300_000)),
        ("share/manual.gz", gzip(&text(version, 4000))),
        ("share/zipped.gz", gzip(&zipped)),
        ("etc/conf", text(version, 200)),
        ("same", text(0, 50)),
        ("empty", Vec::new()),
    ];
    let mut nodes = setup.tree(&parts).into_nodes();
    let renamed = PartPath::new(format!("lib/blas-{version}.so")).unwrap();
    let digest = setup.store.put_bytes(&program(version, 90_000)).unwrap();
    nodes.insert(renamed, Node::File { mode: 0o755, size: 90_000, digest });
    let target = format!("lib/blas-{version}.so");
    nodes.insert(PartPath::new("link").unwrap(), Node::Symlink { target });
    nodes.insert(PartPath::new(format!("spool/{version}")).unwrap(), Node::Directory);
    Tree::from_nodes(nodes).unwrap()
}

#[test]
fn servlink_between_releases_makes_the_new_one() {
    let setup = Setup::new();
    check(&setup, &release(&setup, 1), &release(&setup, 2));
}

#[test]
fn servlink_from_or_to_nothing_makes_it() {
    let setup = Setup::new();
    check(&setup, &Tree::new(), &release(&setup, 1));
    check(&setup, &release(&setup, 1), &Tree::new());
    check(&setup, &Tree::new(), &Tree::new());
}

#[test]
fn servlink_between_equal_trees_carries_nothing() {
    let setup = Setup::new();
    let tree = release(&setup, 1);
    let summary = setup.build(&tree, &tree);
    assert_eq!(summary.header.changed_bytes, 0);
    assert!(summary.servlink_bytes < 600, "{}", summary.servlink_bytes);
    assert_eq!(setup.apply(&tree).unwrap().0, tree);
}

#[test]
fn servlink_for_moves_and_modes_carries_no_content() {
    let setup = Setup::new();
    let from = setup.tree(&[("a", noise(1, 9000)), ("b", noise(2, 9000))]);
    let mut nodes = from.clone().into_nodes();
    let moved = nodes.remove("a").unwrap();
    nodes.insert(PartPath::new("c/d").unwrap(), moved);
    let Some(Node::File { mode, .. }) = nodes.get_mut("b") else { panic!("`b` is a file") };
    *mode = 0o755;
    let to = Tree::from_nodes(nodes).unwrap();
    let summary = setup.build(&from, &to);
    let header = &summary.header;
    assert_eq!((header.parts_added, header.parts_changed, header.parts_removed), (1, 1, 1));
    assert_eq!(header.changed_bytes, 0);
    assert_eq!(setup.apply(&from).unwrap().0, to);
}

#[test]
fn servlink_may_put_a_directory_where_a_file_was_and_back() {
    let setup = Setup::new();
    let file = setup.tree(&[("a", text(1, 10)), ("b/c", text(2, 10))]);
    let directory = setup.tree(&[("a/x", text(3, 10)), ("b", text(2, 10))]);
    check(&setup, &file, &directory);
    check(&setup, &directory, &file);
}

#[test]
fn servlink_empties_and_fills_directories() {
    let setup = Setup::new();
    let filled = setup.tree(&[("spool/a", text(1, 10))]);
    let empty = Tree::from_nodes([(PartPath::new("spool").unwrap(), Node::Directory)].into()).unwrap();
    for (from, to) in [(&filled, &empty), (&empty, &filled), (&Tree::new(), &empty), (&empty, &Tree::new())] {
        check(&setup, from, to);
    }
}

#[test]
fn servlink_built_twice_is_the_same_bytes_whatever_the_threads() {
    let setup = Setup::new();
    let (from, to) = (release(&setup, 1), release(&setup, 2));
    setup.build(&from, &to);
    let first = std::fs::read(setup.at("servlink")).unwrap();
    let options = BuildOptions { threads: 1, ..BuildOptions::default() };
    setup.build_with(&from, &to, &options);
    assert_eq!(std::fs::read(setup.at("servlink")).unwrap(), first);
}

#[test]
fn servlink_built_in_little_memory_makes_the_new_tree() {
    let setup = Setup::new();
    let from = setup.tree(&[("big", program(1, 3_000_000)), ("t", text(1, 60_000))]);
    let to = setup.tree(&[("big", program(2, 3_000_000)), ("t", text(2, 60_000)), ("u", text(3, 60_000))]);
    let options = BuildOptions { memory_bytes_max: 32 << 20, threads: 2 };
    let summary = setup.build_with(&from, &to, &options);
    assert_eq!(setup.apply(&from).unwrap().0, to);
    assert!(summary.servlink_bytes < 400_000, "{}", summary.servlink_bytes);
}

#[test]
fn inspect_says_what_was_built() {
    let setup = Setup::new();
    let (from, to) = (release(&setup, 1), release(&setup, 2));
    let summary = setup.build(&from, &to);
    let header = inspect(&setup.at("servlink")).unwrap();
    assert_eq!(header, summary.header);
    assert_eq!((header.base, header.new), (from.digest(), to.digest()));
}

fn any_tree() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let path = "[abc]/[a-d][12]";
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        (0_u64..5, 0_u64..300).prop_map(|(version, lines)| text(version, lines)),
        (0_u64..5, 300_usize..3000).prop_map(|(version, count)| program(version, count)),
        (0_u64..5, 0_u64..300).prop_map(|(version, lines)| gzip(&text(version, lines))),
    ];
    prop::collection::btree_map(path, bytes, 0..8).prop_map(|parts| parts.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn servlink_between_any_trees_makes_the_new_one(old in any_tree(), new in any_tree()) {
        let setup = Setup::new();
        let tree = |parts: &[(String, Vec<u8>)]| {
            let parts: Vec<_> = parts.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
            setup.tree(&parts)
        };
        check(&setup, &tree(&old), &tree(&new));
    }
}
