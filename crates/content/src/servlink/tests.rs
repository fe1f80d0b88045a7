//! Servlinks that no builder of ours writes: every digest in them is right, what they say is not.

use super::file::assemble;
use super::lzma::{self, Content};
use super::plan::{Change, DeltaObject, Plan, Source, TextGroup, TextObject, check_of};
use super::*;
use crate::progress::NoProgress;
use crate::store::ObjectStore;
use crate::tree::{Node, Tree};

/// A section as it is to stand in the file.
struct PackedSection {
    name: String,
    plain_bytes: u64,
    packed: Vec<u8>,
}

impl PackedSection {
    fn describe(&self) -> Section {
        Section {
            name: self.name.clone(),
            plain_bytes: self.plain_bytes,
            packed_bytes: self.packed.len() as u64,
            digest: Digest::of(&self.packed),
        }
    }
}

struct Forgery {
    plan: Vec<u8>,
    plan_plain_bytes: u64,
    sections: Vec<PackedSection>,
}

impl Forgery {
    fn of(plan: &Plan) -> Self {
        let plan = plan.encode();
        Self { plan_plain_bytes: plan.len() as u64, plan, sections: Vec::new() }
    }

    fn apply(self) -> ApplyError {
        let dir = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(dir.path()).unwrap();
        let digest = store.put_bytes(b"old bytes").unwrap();
        let node = Node::File { mode: 0o644, size: 9, digest };
        let link = Node::Symlink { target: "old".to_owned() };
        let nodes = [("link", link), ("old", node)].map(|(p, n)| (PartPath::new(p).unwrap(), n));
        let from = Tree::from_nodes(nodes.into_iter().collect()).unwrap();
        let packed = lzma::pack(&self.plan, Content::Code).unwrap();
        let plan = PackedSection { name: "plan".into(), plain_bytes: self.plan_plain_bytes, packed };
        let sections: Vec<_> = std::iter::once(plan).chain(self.sections).collect();
        let header = ServlinkHeader {
            base: from.digest(),
            new: Digest::of(b"promised"),
            parts_added: 0,
            parts_changed: 0,
            parts_removed: 0,
            base_bytes: 0,
            new_bytes: 0,
            changed_bytes: 0,
            sections: sections.iter().map(PackedSection::describe).collect(),
        };
        let path = dir.path().join("servlink");
        let mut file = std::fs::File::create(&path).unwrap();
        let written = assemble(&header, &mut file, |into| {
            sections.iter().try_for_each(|section| into.write_all(&section.packed))
        });
        assert_eq!(written.unwrap(), file.metadata().unwrap().len());
        apply(&path, &from, &store, &ApplyLimits::default(), &NoProgress).unwrap_err()
    }
}

fn part(path: &str, change: Change) -> (PartPath, Change) {
    (PartPath::new(path).unwrap(), change)
}

fn old_file(mode: u32) -> Change {
    Change::File { mode, source: Source::Old(1) }
}

fn symlink_to(target: &str) -> Change {
    Change::Symlink { target: target.to_owned() }
}

/// A text group of one object, "hello".
fn hello(size: u64, stretch: u64, check: [u8; 4]) -> Forgery {
    let object = TextObject { size, check, stretch, pieces: Vec::new() };
    let plan = Plan {
        added: vec![part("new", Change::File { mode: 0o644, source: Source::New(0) })],
        text_groups: vec![TextGroup { references: Vec::new(), objects: vec![object] }],
        ..Plan::default()
    };
    let mut forgery = Forgery::of(&plan);
    for (name, packed) in [
        ("content", text::pack(b"", b"hello").unwrap()),
        ("corrections", lzma::pack(b"", Content::Numbers).unwrap()),
    ] {
        forgery.sections.push(PackedSection { name: name.into(), plain_bytes: 0, packed });
    }
    forgery
}

#[test]
fn forged_path_that_leaves_the_tree_is_refused() {
    for evil in ["../old", "/etc/x", "a//bc", "a/./b"] {
        let stand_in = "x".repeat(evil.len());
        let plan = Plan { added: vec![part(&stand_in, old_file(0o644))], ..Plan::default() };
        let mut forgery = Forgery::of(&plan);
        let at = forgery.plan.windows(evil.len()).position(|w| w == stand_in.as_bytes()).unwrap();
        forgery.plan[at..at + evil.len()].copy_from_slice(evil.as_bytes());
        let error = forgery.apply();
        assert!(matches!(error, ApplyError::Plan(PlanError::Path(_))), "{evil}: {error}");
    }
}

#[test]
fn forged_link_that_leads_out_or_has_parts_below_it_is_refused() {
    let error = Forgery::of(&Plan { added: vec![part("l", symlink_to("../x"))], ..Plan::default() }).apply();
    assert!(matches!(error, ApplyError::Tree(TreeError::LinkEscapes { path, .. }) if path.as_str() == "l"));
    let added = vec![part("l", symlink_to("d")), part("l/x", old_file(0o644))];
    let error = Forgery::of(&Plan { added, ..Plan::default() }).apply();
    assert!(matches!(error, ApplyError::Tree(TreeError::BelowPart { path, .. }) if path.as_str() == "l/x"));
    let added = vec![part("link/x", old_file(0o644))];
    let error = Forgery::of(&Plan { added, ..Plan::default() }).apply();
    assert!(
        matches!(error, ApplyError::Tree(TreeError::BelowPart { path, .. }) if path.as_str() == "link/x")
    );
}

#[test]
fn forged_duplicate_is_refused_by_name() {
    let error = Forgery::of(&Plan { added: vec![part("old", old_file(0o644))], ..Plan::default() }).apply();
    assert!(matches!(error, ApplyError::Duplicate { path } if path.as_str() == "old"));
    let plan = Plan { removed: vec![1], changed: vec![(1, old_file(0o600))], ..Plan::default() };
    assert!(matches!(Forgery::of(&plan).apply(), ApplyError::Duplicate { path } if path.as_str() == "old"));
    let added = vec![part("n", old_file(0o644)), part("n", old_file(0o600))];
    let error = Forgery::of(&Plan { added, ..Plan::default() }).apply();
    assert!(matches!(error, ApplyError::Plan(PlanError::Duplicate { path }) if path.as_str() == "n"));
}

#[test]
fn forged_set_id_mode_is_refused_by_name() {
    let error = Forgery::of(&Plan { added: vec![part("su", old_file(0o4755))], ..Plan::default() }).apply();
    assert!(matches!(error, ApplyError::Tree(TreeError::Mode { path, .. }) if path.as_str() == "su"));
}

#[test]
fn forged_reference_to_what_is_no_old_file_is_refused() {
    for change in [
        Change::File { mode: 0o644, source: Source::Old(9) },
        Change::File { mode: 0o644, source: Source::Old(0) },
        Change::File { mode: 0o644, source: Source::New(0) },
    ] {
        let error = Forgery::of(&Plan { added: vec![part("n", change)], ..Plan::default() }).apply();
        assert!(matches!(error, ApplyError::PlanMismatch { .. }), "{error}");
        assert!(error.to_string().contains("`n`"), "{error}");
    }
    let plan = Plan { removed: vec![7], ..Plan::default() };
    assert!(matches!(Forgery::of(&plan).apply(), ApplyError::PlanMismatch { .. }));
}

#[test]
fn forged_size_bomb_is_refused_before_memory_is_taken() {
    let check = check_of(&Digest::of(b"hello"));
    assert!(matches!(hello(u64::MAX, u64::MAX, check).apply(), ApplyError::TooLarge { .. }));
    assert!(matches!(hello(1 << 30, 1 << 30, check).apply(), ApplyError::TooLarge { .. }));
    assert!(matches!(hello(6, 6, check).apply(), ApplyError::Stream { .. }));
    assert!(matches!(hello(4, 4, check).apply(), ApplyError::Stream { .. }));
    let object = DeltaObject { size: u64::MAX, check, old: None };
    let plan = Plan { delta_groups: vec![vec![object, object]], ..Plan::default() };
    assert!(matches!(Forgery::of(&plan).apply(), ApplyError::TooLarge { .. } | ApplyError::Inspect(_)));
    let bomb = lzma::pack(&vec![0; 40 << 20], Content::Code).unwrap();
    let mut forgery = Forgery::of(&Plan::default());
    forgery.plan = vec![0; 40 << 20];
    assert!(bomb.len() < 10_000);
    assert!(matches!(forgery.apply(), ApplyError::Stream { part, .. } if part == "the plan"));
}

#[test]
fn forged_content_or_promise_is_refused() {
    let error = hello(5, 5, [0; 4]).apply();
    assert!(matches!(error, ApplyError::PartDigest { part } if part == "new"));
    let error = hello(5, 5, check_of(&Digest::of(b"hello"))).apply();
    assert!(matches!(error, ApplyError::TreeDigest { wanted, .. } if wanted == Digest::of(b"promised")));
}

#[test]
fn forged_number_of_sections_is_refused() {
    let mut forgery = hello(5, 5, check_of(&Digest::of(b"hello")));
    forgery.sections.pop();
    assert!(matches!(forgery.apply(), ApplyError::Inspect(InspectError::Damaged { .. })));
}
