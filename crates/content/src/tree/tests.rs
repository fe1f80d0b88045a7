use proptest::prelude::*;

use super::*;

fn file(content: &str) -> Node {
    Node::File { mode: 0o644, size: content.len() as u64, digest: Digest::of(content.as_bytes()) }
}

fn path(text: &str) -> PartPath {
    PartPath::new(text).unwrap()
}

#[test]
fn tree_of_same_parts_has_same_digest_in_any_order() {
    let one = Tree::from_nodes(BTreeMap::from([(path("b"), file("2")), (path("a"), file("1"))])).unwrap();
    let two = Tree::from_nodes(BTreeMap::from([(path("a"), file("1")), (path("b"), file("2"))])).unwrap();
    assert_eq!(one.digest(), two.digest());
}

#[test]
fn tree_with_part_below_part_is_refused() {
    let nodes = BTreeMap::from([(path("a"), file("1")), (path("a/b"), file("2"))]);
    assert!(matches!(Tree::from_nodes(nodes), Err(TreeError::BelowPart { .. })));
}

#[test]
fn tree_with_link_out_of_it_is_refused() {
    for (at, target, inside) in [
        ("a", "b", true),
        ("a/b", "../c", true),
        ("a/b", "../../c", false),
        ("a", "/etc/passwd", false),
        ("a", "x/../../y", false),
        ("a", "", false),
    ] {
        let nodes = BTreeMap::from([(path(at), Node::Symlink { target: target.to_owned() })]);
        assert_eq!(Tree::from_nodes(nodes).is_ok(), inside, "{at} -> {target}");
    }
}

#[test]
fn tree_with_setuid_part_is_refused() {
    let node = Node::File { mode: 0o4755, size: 0, digest: Digest::of(b"") };
    assert!(matches!(Tree::from_nodes(BTreeMap::from([(path("a"), node)])), Err(TreeError::Mode { .. })));
}

#[test]
fn encoding_that_is_not_canonical_is_refused() {
    let tree = Tree::from_nodes(BTreeMap::from([(path("a"), file("1")), (path("b"), file("2"))])).unwrap();
    let text = tree.encode();
    let swapped = {
        let mut lines: Vec<_> = text.lines().collect();
        lines.swap(1, 2);
        lines.join("\n") + "\n"
    };
    for wrong in [
        "".to_owned(),
        text.replace("0644", "00644"),
        text.replace(" 1 ", " 01 "),
        swapped,
        text.clone() + "\n",
    ] {
        assert!(Tree::decode(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn directory_is_a_part_only_while_nothing_lies_in_it() {
    // `a-b` stands between `a` and what lies in it.
    let parts = [("a", Node::Directory), ("a-b", file("1")), ("a/c", file("2")), ("e/f", Node::Directory)];
    let nodes = parts.map(|(name, node)| (path(name), node)).into();
    let tree = Tree::from_nodes(nodes).unwrap();
    assert_eq!((tree.get("a"), tree.get("e/f")), (None, Some(&Node::Directory)));
    assert!(tree.encode().ends_with("\nD e/f\n"));
    let filled = tree.encode().replace("\nF ", "\nD a\nF ").replacen("D a\n", "", 1);
    for wrong in ["tender-tree 1\nD a\nL b a/c\n", &filled] {
        assert!(Tree::decode(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn tree_with_part_below_an_empty_directory_named_twice_is_one_directory() {
    let nodes = BTreeMap::from([(path("a"), Node::Directory), (path("a/b"), Node::Directory)]);
    let tree = Tree::from_nodes(nodes).unwrap();
    assert_eq!(tree.encode(), "tender-tree 1\nD a/b\n");
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let name = "[a-z%ü ]{1,6}";
    let node = prop_oneof![
        (0u32..=0o777, any::<u64>(), any::<[u8; 32]>()).prop_map(|(mode, size, bytes)| Node::File {
            mode,
            size,
            digest: Digest::from_bytes(bytes)
        }),
        "[a-z %\n]{1,8}".prop_map(|target| Node::Symlink { target }),
        Just(Node::Directory),
    ];
    let entry = (prop::collection::vec(name, 1..4).prop_map(|names| names.join("/")), node);
    prop::collection::vec(entry, 0..30).prop_map(|entries| {
        let mut nodes = BTreeMap::new();
        for (text, node) in entries {
            nodes.insert(path(&text), node);
            if Tree::from_nodes(nodes.clone()).is_err() {
                nodes.remove(text.as_str());
            }
        }
        Tree::from_nodes(nodes).unwrap()
    })
}

proptest! {
    #[test]
    fn tree_through_encoding_is_unchanged(tree in any_tree()) {
        prop_assert_eq!(Tree::decode(&tree.encode()).unwrap(), tree);
    }
}
