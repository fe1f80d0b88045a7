use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use tender_content::PartPath;
use tender_package::ComponentName;

use super::*;

#[derive(Default)]
struct Memory(RefCell<BTreeMap<Digest, Vec<u8>>>);

impl Contents for Memory {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ServiceError> {
        Ok(self.0.borrow()[digest].clone())
    }
    fn keep(&self, bytes: &[u8]) -> Result<Digest, ServiceError> {
        let digest = Digest::of(bytes);
        self.0.borrow_mut().insert(digest, bytes.to_vec());
        Ok(digest)
    }
}

impl Memory {
    fn node(&self, text: &str) -> Node {
        Node::File { mode: 0o644, size: text.len() as u64, digest: self.keep(text.as_bytes()).unwrap() }
    }
}

fn local_mod(kind: LocalModKind, base: Option<Node>, body: Option<Node>) -> LocalMod {
    LocalMod {
        id: FixId::new("L0001").unwrap(),
        component: ComponentName::new("c").unwrap(),
        path: PartPath::new("p").unwrap(),
        kind,
        base,
        body,
        fixed_in: vec![FixId::new("UM9").unwrap()],
        reason: "why".into(),
        owner: "who".into(),
        state: LocalModState::Carried,
        rework_count: 0,
    }
}

fn none(_: &FixId) -> bool {
    false
}

#[test]
fn modification_over_untouched_part_is_carried() {
    let memory = Memory::default();
    let base = memory.node("1\n");
    let ours = local_mod(LocalModKind::Patch, Some(base.clone()), Some(memory.node("2\n")));
    let found = reconcile(&ours, Some(&base), &none, &memory).unwrap();
    assert_eq!(found, Reconciled::Carried(ours));
}

#[test]
fn modification_that_a_fix_brings_is_dropped() {
    let memory = Memory::default();
    let ours = local_mod(LocalModKind::Patch, Some(memory.node("1\n")), Some(memory.node("2\n")));
    let vendor = memory.node("3\n");
    let found = reconcile(&ours, Some(&vendor), &|fix| fix.as_str() == "UM9", &memory).unwrap();
    assert_eq!(found, Reconciled::Dropped { by: Some(FixId::new("UM9").unwrap()) });
    let same = memory.node("2\n");
    assert_eq!(reconcile(&ours, Some(&same), &none, &memory).unwrap(), Reconciled::Dropped { by: None });
}

#[test]
fn changes_in_different_places_merge_and_ask_for_review() {
    let memory = Memory::default();
    let base = "a\nb\nc\nd\ne\nf\ng\n";
    let ours = local_mod(
        LocalModKind::Patch,
        Some(memory.node(base)),
        Some(memory.node(&base.replace("a\n", "ours\n"))),
    );
    let vendor = memory.node(&base.replace("g\n", "vendor\n"));
    let Reconciled::Merged(merged) = reconcile(&ours, Some(&vendor), &none, &memory).unwrap() else {
        panic!("it merges");
    };
    let text = memory.read(&merged.body.unwrap().digest().unwrap()).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "ours\nb\nc\nd\ne\nf\nvendor\n");
    assert_eq!((merged.state, merged.rework_count), (LocalModState::Review, 1));
    assert_eq!(merged.base, Some(vendor));
}

#[test]
fn changes_in_the_same_place_are_a_conflict() {
    let memory = Memory::default();
    let ours = local_mod(LocalModKind::Patch, Some(memory.node("a\n")), Some(memory.node("ours\n")));
    let vendor = memory.node("vendor\n");
    let found = reconcile(&ours, Some(&vendor), &none, &memory).unwrap();
    assert_eq!(found, Reconciled::Conflict { reason: "the vendor changed the same lines" });
}

#[test]
fn changed_binary_is_a_conflict() {
    let memory = Memory::default();
    let ours = local_mod(LocalModKind::Replace, Some(memory.node("a\0")), Some(memory.node("b\0")));
    let found = reconcile(&ours, Some(&memory.node("c\0")), &none, &memory).unwrap();
    assert_eq!(found, Reconciled::Conflict { reason: "the part is not text" });
}

#[test]
fn added_part_that_the_vendor_now_has_is_a_conflict() {
    let memory = Memory::default();
    let ours = local_mod(LocalModKind::Add, None, Some(memory.node("ours\n")));
    let found = reconcile(&ours, Some(&memory.node("vendor\n")), &none, &memory).unwrap();
    assert!(matches!(found, Reconciled::Conflict { .. }));
    assert!(matches!(reconcile(&ours, None, &none, &memory).unwrap(), Reconciled::Carried(_)));
}

#[test]
fn deleted_part_that_the_vendor_changed_stays_deleted_for_review() {
    let memory = Memory::default();
    let ours = local_mod(LocalModKind::Delete, Some(memory.node("a\n")), None);
    let Reconciled::Carried(found) = reconcile(&ours, Some(&memory.node("b\n")), &none, &memory).unwrap()
    else {
        panic!("it stays");
    };
    assert_eq!(found.state, LocalModState::Review);
}

fn lines() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]{0,2}", 0..12)
        .prop_map(|lines| lines.iter().map(|l| format!("{l}\n")).collect())
}

proptest! {
    #[test]
    fn merge_with_one_side_unchanged_is_the_other_side(base in lines(), other in lines()) {
        let (base, other) = (base.as_bytes(), other.as_bytes());
        let text = Merge::Clean(String::from_utf8(other.to_vec()).unwrap());
        prop_assert_eq!(merge_text(base, base, other), text.clone());
        prop_assert_eq!(merge_text(base, other, base), text.clone());
        prop_assert_eq!(merge_text(base, other, other), text);
    }

    #[test]
    fn merge_that_is_clean_is_so_from_both_sides(base in lines(), ours in lines(), theirs in lines()) {
        let forward = merge_text(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
        let backward = merge_text(base.as_bytes(), theirs.as_bytes(), ours.as_bytes());
        prop_assert_eq!(matches!(forward, Merge::Clean(_)), matches!(backward, Merge::Clean(_)));
    }
}
