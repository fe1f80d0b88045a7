use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tender_content::{Digest, Node};

use super::*;
use crate::shapes::{Hold, HoldClass, PartChange, Requisite};

fn id(text: &str) -> FixId {
    FixId::new(text).unwrap()
}

fn ids(texts: &[&str]) -> Vec<FixId> {
    texts.iter().map(|text| id(text)).collect()
}

fn fix(name: &str) -> Fix {
    Fix {
        id: id(name),
        component: ComponentName::new("c").unwrap(),
        description: String::new(),
        problems: Vec::new(),
        requisites: Vec::new(),
        supersedes: Vec::new(),
        holds: Vec::new(),
        memo: None,
        categories: Vec::new(),
        parts: Vec::new(),
    }
}

impl Fix {
    fn pre(mut self, fix: &str) -> Self {
        self.requisites.push(Requisite::Pre { fix: id(fix) });
        self
    }
    fn co(mut self, fix: &str) -> Self {
        self.requisites.push(Requisite::Co { fix: id(fix) });
        self
    }
    fn npre(mut self, fix: &str) -> Self {
        self.requisites.push(Requisite::Npre { fix: id(fix) });
        self
    }
    fn when(mut self, on: &str, fix: &str) -> Self {
        self.requisites.push(Requisite::If { component: None, when: Some(id(on)), fix: id(fix) });
        self
    }
    fn sup(mut self, fix: &str) -> Self {
        self.supersedes.push(id(fix));
        self
    }
    fn part(mut self, path: &str) -> Self {
        let node = Node::File { mode: 0o644, size: 1, digest: Digest::of(self.id.as_str().as_bytes()) };
        self.parts.push(PartChange { path: PartPath::new(path).unwrap(), was: None, becomes: Some(node) });
        self
    }
}

fn on(names: &[&str]) -> Vec<LevelFix> {
    let component = ComponentName::new("c").unwrap();
    names
        .iter()
        .map(|name| LevelFix {
            id: id(name),
            component: component.clone(),
            envelope: "E".into(),
            superseded_by: None,
        })
        .collect()
}

#[derive(Default)]
struct Ask {
    received: Vec<Fix>,
    on: Vec<LevelFix>,
    want: Vec<FixId>,
    is_selected: bool,
    excluded: Vec<FixId>,
    holds: Vec<ActiveHold>,
}

impl Ask {
    fn plan(&self) -> Result<Plan, Refused> {
        plan(&Question {
            received: &self.received,
            on: &self.on,
            want: &self.want,
            is_selected: self.is_selected,
            excluded: &self.excluded,
            holds: &self.holds,
            scopes: &[LevelName::new("L").unwrap()],
            components: &[ComponentName::new("c").unwrap()],
        })
    }

    fn added(&self) -> Vec<String> {
        self.plan().unwrap().add.iter().map(|added| added.id.to_string()).collect()
    }

    fn causes(&self) -> Vec<String> {
        self.plan().unwrap_err().causes.iter().map(Cause::line).collect()
    }
}

fn error_hold(fix: &str, cure: Option<&str>) -> ActiveHold {
    ActiveHold {
        number: 7,
        fix: id(fix),
        hold: Hold {
            class: HoldClass::Error,
            reason: "VM1".into(),
            resolved_by: cure.map(id),
            text: String::new(),
        },
        accepted: Vec::new(),
    }
}

#[test]
fn held_fix_that_another_replaces_is_told() {
    let ask = Ask {
        received: vec![fix("A"), fix("B").sup("A"), fix("C").pre("A")],
        want: ids(&["C"]),
        holds: vec![error_hold("A", None)],
        ..Ask::default()
    };
    let words: Vec<_> = ask.plan().unwrap().replaced.iter().map(Replaced::words).collect();
    assert_eq!(words, ["B instead of A, which is held by error hold VM1"]);
}

#[test]
fn cure_never_excludes_a_fix_that_is_on() {
    let ask = Ask {
        received: vec![fix("A"), fix("B").npre("A")],
        on: on(&["A"]),
        want: ids(&["B"]),
        ..Ask::default()
    };
    let cures: Vec<_> = ask.plan().unwrap_err().causes.iter().map(|cause| cause.cure("720 L")).collect();
    assert_eq!(cures, ["--exclude B, or service a level that is without A"]);
}

#[test]
fn closure_of_the_worked_example_is_that_of_the_specification() {
    let ask = Ask {
        received: vec![fix("1").co("3"), fix("2"), fix("3").co("1"), fix("4").pre("1"), fix("5").sup("2")],
        on: on(&["2"]),
        want: ids(&["4", "5"]),
        ..Ask::default()
    };
    let plan = ask.plan().unwrap();
    assert_eq!(ask.added(), ["1", "3", "4", "5"]);
    assert_eq!(plan.superseded, [(id("2"), id("5"))]);
    assert_eq!(plan.add[1].why, Why::NeededBy(id("1")));
}

#[test]
fn missing_requisite_is_refused_with_its_chain() {
    let ask =
        Ask { received: vec![fix("A").pre("B"), fix("B").pre("Z")], want: ids(&["A"]), ..Ask::default() };
    assert_eq!(ask.causes(), ["A needs B needs Z : Z was not received"]);
    assert_eq!(
        ask.plan().unwrap_err().causes[0].cure("720 L"),
        "add the envelope that holds Z to the command, or --exclude A"
    );
}

#[test]
fn excluded_fix_leaves_out_all_that_need_it() {
    let mut ask = Ask {
        received: vec![fix("A").pre("B"), fix("B").pre("C"), fix("C"), fix("D")],
        want: ids(&["A", "B", "C", "D"]),
        excluded: ids(&["C"]),
        ..Ask::default()
    };
    assert_eq!(ask.added(), ["D"]);
    let left = ask.plan().unwrap().left_out;
    assert!(left.contains(&LeftOut { id: id("C"), why: LeftOutWhy::Excluded }));
    let chain = LeftOutWhy::NeedsExcluded(ids(&["A", "B", "C"]));
    assert!(left.contains(&LeftOut { id: id("A"), why: chain }));
    ask.is_selected = true;
    ask.want = ids(&["A"]);
    assert_eq!(ask.causes(), ["A needs B needs C : C is excluded"]);
}

#[test]
fn held_fix_is_refused_until_its_cure_goes_on_too() {
    let mut ask = Ask {
        received: vec![fix("A"), fix("B"), fix("N").pre("A")],
        want: ids(&["N"]),
        holds: vec![error_hold("A", Some("B"))],
        ..Ask::default()
    };
    assert_eq!(ask.causes(), ["N needs A : A is kept off by error hold VM1, cured by B"]);
    ask.want = ids(&["N", "B"]);
    assert_eq!(ask.added(), ["A", "B", "N"]);
    ask.want = ids(&["N"]);
    ask.holds[0].accepted.push(crate::hold::Acceptance::read("L", None));
    assert_eq!(ask.added(), ["A", "N"]);
}

#[test]
fn held_requisite_is_replaced_by_a_received_fix_that_contains_it() {
    let ask = Ask {
        received: vec![fix("A"), fix("G").sup("A"), fix("N").pre("A")],
        want: ids(&["N"]),
        holds: vec![error_hold("A", None)],
        ..Ask::default()
    };
    assert_eq!(ask.added(), ["G", "N"]);
}

#[test]
fn ring_of_prerequisites_is_refused_and_named() {
    let ask = Ask {
        received: vec![fix("A").pre("B"), fix("B").pre("C"), fix("C").pre("A")],
        want: ids(&["A"]),
        ..Ask::default()
    };
    let causes = ask.causes();
    assert_eq!(causes.len(), 1);
    assert!(causes[0].contains("form a ring"), "{causes:?}");
}

#[test]
fn ring_of_supersedes_is_refused() {
    let ask = Ask {
        received: vec![fix("A").sup("B"), fix("B").sup("A")],
        want: ids(&["A", "B"]),
        ..Ask::default()
    };
    assert!(ask.causes()[0].contains("supersedes itself"));
}

#[test]
fn conditional_requisite_goes_on_when_the_condition_comes_true_later() {
    let ask = Ask {
        received: vec![fix("A").when("X", "N"), fix("N"), fix("X")],
        on: on(&["A"]),
        want: ids(&["X"]),
        ..Ask::default()
    };
    assert_eq!(ask.added(), ["N", "X"]);
    assert_eq!(ask.plan().unwrap().add[0].why, Why::ConditionOf(id("A")));
}

#[test]
fn conditional_requisite_open_since_before_is_reported_only() {
    let ask = Ask {
        received: vec![fix("A").when("X", "N"), fix("X"), fix("Q")],
        on: on(&["A", "X"]),
        want: ids(&["Q"]),
        ..Ask::default()
    };
    assert_eq!(ask.plan().unwrap().open, [OpenCondition { fix: id("A"), needs: id("N") }]);
}

#[test]
fn fix_that_must_not_be_with_another_is_refused_both_ways() {
    let received = vec![fix("A").npre("B"), fix("B")];
    let forward = Ask { received: received.clone(), on: on(&["B"]), want: ids(&["A"]), ..Ask::default() };
    assert_eq!(forward.causes(), ["A must not be on together with B"]);
    let backward = Ask { received, on: on(&["A"]), want: ids(&["B"]), ..Ask::default() };
    assert_eq!(backward.causes(), ["B must not be on together with A"]);
}

#[test]
fn fix_that_does_not_contain_the_part_it_replaces_is_a_regression() {
    let mut ask = Ask {
        received: vec![fix("NEW").part("p"), fix("OLD").part("p")],
        on: on(&["OLD"]),
        want: ids(&["NEW"]),
        ..Ask::default()
    };
    assert!(ask.causes()[0].starts_with("regression: NEW would put back part `p`"));
    ask.received[0] = fix("NEW").part("p").pre("OLD");
    assert_eq!(ask.added(), ["NEW"]);
    ask.received[0] = fix("NEW").part("p").sup("OLD");
    assert_eq!(ask.added(), ["NEW"]);
}

#[test]
fn part_that_the_containing_fix_does_not_bring_is_reported() {
    let ask = Ask {
        received: vec![fix("NEW").part("q").sup("OLD"), fix("OLD").part("p")],
        on: on(&["OLD"]),
        want: ids(&["NEW"]),
        ..Ask::default()
    };
    let goes_back = ask.plan().unwrap().goes_back;
    assert_eq!(goes_back.len(), 1);
    assert_eq!(goes_back[0].path.as_str(), "p");
}

#[test]
fn fix_for_a_component_the_level_lacks_is_refused() {
    let mut stray = fix("A");
    stray.component = ComponentName::new("other").unwrap();
    let ask = Ask { received: vec![stray], want: ids(&["A"]), ..Ask::default() };
    assert_eq!(ask.causes(), ["A is for component other, which the level does not have"]);
}

/// A random release: requisites lead to lower numbers, so most questions can be answered.
fn release() -> impl Strategy<Value = Vec<Fix>> {
    let one = (prop::collection::vec(0_usize..30, 0..4), prop::option::of(0_usize..30), any::<bool>());
    prop::collection::vec(one, 1..30).prop_map(|rows| {
        rows.into_iter()
            .enumerate()
            .map(|(index, (pre, sup, is_co))| {
                let mut fix = fix(&format!("F{index:02}"));
                for needs in pre.into_iter().filter(|needs| *needs < index) {
                    fix = if is_co {
                        fix.co(&format!("F{needs:02}"))
                    } else {
                        fix.pre(&format!("F{needs:02}"))
                    };
                }
                match sup {
                    Some(older) if older < index => fix.sup(&format!("F{older:02}")),
                    _ => fix,
                }
            })
            .collect()
    })
}

/// Everything met by a set of fixes: themselves and what they contain, by the plainest algorithm there is.
fn met(received: &[Fix], on: &BTreeSet<FixId>) -> BTreeSet<FixId> {
    let by_id: BTreeMap<_, _> = received.iter().map(|fix| (&fix.id, fix)).collect();
    let mut met = on.clone();
    loop {
        let more: BTreeSet<_> =
            met.iter().filter_map(|id| by_id.get(id)).flat_map(|fix| fix.supersedes.clone()).collect();
        let before = met.len();
        met.extend(more);
        if met.len() == before {
            return met;
        }
    }
}

proptest! {
    #[test]
    fn plan_is_closed_ordered_and_without_excluded(
        received in release(),
        want in prop::collection::btree_set(0_usize..30, 1..10),
        excluded in prop::collection::btree_set(0_usize..30, 0..3),
    ) {
        let name = |index: &usize| id(&format!("F{index:02}"));
        let want: Vec<_> = want.iter().map(name).filter(|id| received.iter().any(|fix| fix.id == *id)).collect();
        let excluded: Vec<_> = excluded.iter().map(name).collect();
        let ask = Ask { received: received.clone(), want, excluded: excluded.clone(), ..Ask::default() };
        if let Ok(plan) = ask.plan() {
            let added: Vec<_> = plan.add.iter().map(|added| added.id.clone()).collect();
            let met = met(&received, &added.iter().cloned().collect());
            for (place, id) in added.iter().enumerate() {
                prop_assert!(!excluded.contains(id));
                let fix = received.iter().find(|fix| fix.id == *id).unwrap();
                for requisite in &fix.requisites {
                    prop_assert!(met.contains(requisite.fix()), "{id} lacks {}", requisite.fix());
                    let later = added.iter().position(|other| other == requisite.fix());
                    if let (Requisite::Pre { .. }, Some(other)) = (requisite, later) {
                        prop_assert!(other < place, "{id} before its prerequisite");
                    }
                }
            }
            for wanted in &ask.want {
                let is_left_out = plan.left_out.iter().any(|left| left.id == *wanted);
                prop_assert!(is_left_out || met.contains(wanted), "{wanted} got lost");
            }
        }
    }

    #[test]
    fn plan_asked_again_on_its_own_result_adds_nothing(received in release(), first in 0_usize..30) {
        let want: Vec<_> = received.iter().map(|fix| fix.id.clone()).skip(first).collect();
        let ask = Ask { received, want, ..Ask::default() };
        if let Ok(plan) = ask.plan() {
            let component = ComponentName::new("c").unwrap();
            let on = apply(&plan, &[], &|_| (component.clone(), "E".to_owned()));
            let again = Ask { on, ..ask }.plan().unwrap();
            prop_assert!(again.add.is_empty(), "{:?}", again.add);
            prop_assert!(again.superseded.is_empty(), "{:?}", again.superseded);
        }
    }
}
