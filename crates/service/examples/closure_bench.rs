//! Measures the closure of requisites.
//!
//! ```text
//! cargo run --release -p tender-service --example closure_bench
//! ```
//!
//! Prints one line of JSON: milliseconds for each release, the best of five.

use std::time::Instant;

use tender_content::{Digest, Node};
use tender_package::{ComponentName, FixId, LevelName};
use tender_service::closure::{Question, plan};
use tender_service::shapes::{Fix, PartChange, Requisite};

/// A release of `count` fixes over `components`, each with about `requisites` requisites.
///
/// Fixes of one component change its parts in turn, each having the fix before it as a prerequisite, as service streams
/// do; the other requisites lead to other components.
fn release(count: usize, components: usize, requisites: usize) -> Vec<Fix> {
    let id = |index: usize| FixId::new(&format!("UM{index:06}")).expect("letters and digits");
    (0..count)
        .map(|index| {
            let component = index % components;
            let mut needs = Vec::new();
            if index >= components {
                needs.push(Requisite::Pre { fix: id(index - components) });
            }
            for step in 1..requisites {
                let other = index.saturating_sub(step * 37 + 1);
                needs.push(match step % 3 {
                    _ if other == index => continue,
                    0 => Requisite::Co { fix: id(other) },
                    1 => Requisite::If { component: None, when: Some(id(other)), fix: id(other) },
                    _ => Requisite::Pre { fix: id(other) },
                });
            }
            let node = Node::File { mode: 0o644, size: 1, digest: Digest::of(&index.to_le_bytes()) };
            let path = format!("lib/part{:03}", index % 997).parse().expect("a plain path");
            Fix {
                id: id(index),
                component: ComponentName::new(&format!("c{component:03}")).expect("letters and digits"),
                description: String::new(),
                problems: Vec::new(),
                requisites: needs,
                supersedes: if index % 10 == 9 { vec![id(index - 9)] } else { Vec::new() },
                holds: Vec::new(),
                memo: None,
                categories: Vec::new(),
                parts: vec![PartChange { path, was: None, becomes: Some(node) }],
            }
        })
        .collect()
}

fn best_ms(mut work: impl FnMut()) -> f64 {
    (0..5)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64() * 1000.0
        })
        .fold(f64::MAX, f64::min)
}

fn closure_ms(count: usize, components: usize, requisites: usize) -> (f64, usize) {
    let fixes = release(count, components, requisites);
    let want: Vec<FixId> = fixes.iter().map(|fix| fix.id.clone()).collect();
    let names: Vec<ComponentName> = (0..components)
        .map(|index| ComponentName::new(&format!("c{index:03}")).expect("letters and digits"))
        .collect();
    let scopes = [LevelName::base()];
    let question = Question {
        received: &fixes,
        on: &[],
        want: &want,
        is_selected: false,
        excluded: &[],
        holds: &[],
        scopes: &scopes,
        components: &names,
    };
    let mut added = 0;
    let ms = best_ms(|| match plan(&question) {
        Ok(plan) => added = plan.add.len(),
        Err(refused) => panic!("the bench's release has a fault: {}", refused.causes[0].line()),
    });
    (ms, added)
}

#[expect(clippy::print_stdout, reason = "printing is what it is for")]
fn main() {
    let (small, small_added) = closure_ms(10_000, 100, 2);
    let (large, large_added) = closure_ms(50_000, 100, 4);
    println!(
        "{}",
        serde_json::json!({
            "closure_10000_fixes_100_components_ms": small,
            "closure_50000_fixes_200000_requisites_ms": large,
            "added": [small_added, large_added],
        })
    );
}
