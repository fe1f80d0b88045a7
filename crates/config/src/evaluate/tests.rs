use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::origin::Layer;
use crate::yaml;

fn evaluated(text: &str) -> (Node, Evaluated) {
    let parsed = yaml::parse(text, &Arc::from(Path::new("zowe.yaml")), Layer::File);
    let mut root = parsed.root.unwrap();
    let outcome = evaluate(&mut root, Which::All, &TemplateLimits::default());
    (root, outcome)
}

fn value(text: &str, key: &str) -> serde_json::Value {
    let (root, outcome) = evaluated(text);
    assert_eq!(outcome.problems, [], "{text}");
    root.at(&key.parse().unwrap()).unwrap().to_json()
}

#[test]
fn template_alone_keeps_its_type() {
    let text = "a: { port: 7554 }\nn: ${{ a.port + 10 }}\nb: \"${{ a.port > 1 }}\"\nz: '${{ null }}'\no: '${{ ({x: [1, \"two\"]}) }}'\nf: ${{ 1.5 }}\n";
    assert_eq!(value(text, "n"), 7564);
    assert_eq!(value(text, "b"), true);
    assert_eq!(value(text, "z"), serde_json::Value::Null);
    assert_eq!(value(text, "o"), serde_json::json!({"x": [1, "two"]}));
    assert_eq!(value(text, "f"), 1.5);
}

#[test]
fn template_with_text_around_is_a_text() {
    let text =
        "zowe: { dir: /opt }\na: ${{ zowe.dir }}/x\nb: ${{ 1 }}${{ 2 }}\nc: p${{ zowe.dir }}-${{ 3 }}s\n";
    assert_eq!(value(text, "a"), "/opt/x");
    assert_eq!(value(text, "b"), "12");
    assert_eq!(value(text, "c"), "p/opt-3s");
}

#[test]
fn templates_see_each_other_in_any_order() {
    let text = "a: ${{ b.c + 1 }}\nb:\n  c: ${{ d * 2 }}\n  l: [ '${{ a }}', 5 ]\nd: 20\ne: ${{ b.l[0] }}\nall: ${{ b }}\n";
    assert_eq!(value(text, "a"), 41);
    assert_eq!(value(text, "e"), 41);
    assert_eq!(value(text, "all.l[0]"), 41);
}

#[test]
fn templates_in_a_circle_are_reported_with_their_places() {
    let (root, outcome) = evaluated("a: ${{ b }}\nb: ${{ c + 1 }}\nc: x${{ a }}\nd: ${{ a }}\n");
    assert_eq!(outcome.problems.len(), 1, "{:?}", outcome.problems);
    let problem = &outcome.problems[0];
    assert!(problem.message.contains("a → b → c → a"), "{problem}");
    assert_eq!(problem.related.len(), 2);
    assert_eq!(outcome.failed.len(), 4);
    assert!(root.get("d").unwrap().is_null());
}

#[test]
fn template_that_is_wrong_is_reported_where_it_stands() {
    for (text, part) in [
        ("x: ${{ a b }}", "cannot be evaluated"),
        ("x: ${{ nowhere.to.go }}", "nowhere"),
        ("x: ${{ function () {} }}", "function"),
        ("x: ${{ 0 / 0 }}", "NaN"),
        ("x: '${{ ({f: () => 1}) }}'", "function"),
        ("x: ${{ [1, [Infinity]] }}", "Infinity"),
        ("x: ${{ throw_me() }}", "throw_me"),
        ("x: a${{ ({}) }}", "mapping"),
        ("x: ${{ new Map() }}", "plain"),
        ("x: ${{ a", "missing"),
    ] {
        let (_, outcome) = evaluated(&format!("first: 1\n{text}\n"));
        assert_eq!(outcome.problems.len(), 1, "{text}: {:?}", outcome.problems);
        let problem = &outcome.problems[0];
        assert!(problem.message.contains(part), "{text}: {problem}");
        assert_eq!(problem.origin.as_ref().unwrap().line, 2, "{problem}");
        assert_eq!(problem.path, "x");
    }
}

#[test]
fn template_that_asks_for_nothing_is_a_warning() {
    let (root, outcome) = evaluated("zowe: {}\nx: ${{ zowe.setup }}\ny: a/${{ zowe.setup }}\n");
    assert_eq!(outcome.problems.len(), 2);
    assert!(outcome.problems.iter().all(|problem| problem.severity == crate::problem::Severity::Warning));
    assert!(root.get("x").unwrap().is_null());
    assert_eq!(root.get("y").unwrap().text(), Some("a/undefined"));
}

#[test]
fn template_that_never_ends_or_grows_without_bound_is_stopped() {
    for text in
        ["x: ${{ (() => { for (;;) {} })() }}", "x: ${{ (() => { let a = 'x'; for (;;) a += a; })() }}"]
    {
        let parsed = yaml::parse(text, &Arc::from(Path::new("z")), Layer::File);
        let mut root = parsed.root.unwrap();
        let limits = TemplateLimits { time_ms: 300, ..TemplateLimits::default() };
        let outcome = evaluate(&mut root, Which::All, &limits);
        assert_eq!(outcome.problems.len(), 1, "{:?}", outcome.problems);
        assert!(root.get("x").unwrap().is_null());
    }
    let (_, outcome) = evaluated("x: ${{ (function f(n) { return f(n + 1) + 1 })(0) }}\n");
    assert_eq!(outcome.problems.len(), 1);
}

#[test]
fn template_finds_no_way_out_of_the_engine() {
    for name in [
        "std",
        "os",
        "require",
        "process",
        "console",
        "Date",
        "fetch",
        "print",
        "performance",
        "eval",
        "WebAssembly",
        "Promise",
    ] {
        assert_eq!(value(&format!("x: ${{{{ typeof {name} }}}}\n"), "x"), "undefined", "{name}");
    }
    assert_eq!(value("x: ${{ typeof Math.random }}\n", "x"), "undefined");
}

#[test]
fn template_cannot_change_what_others_see() {
    let (root, outcome) = evaluated("a: { b: 1 }\nx: ${{ a.b = 2 }}\ny: ${{ a.b }}\n");
    assert_eq!(outcome.problems.len(), 1, "{:?}", outcome.problems);
    assert_eq!(root.get("y").unwrap().integer(), Some(1));
}

#[test]
fn template_that_calls_an_arrow_function_without_brackets_works() {
    let text = "c: { 'caching-service': { n: X } }\nx: \"${{ ()=> { if (c['caching-service']?.n) { return c['caching-service'].n } else { return '' } }() }}\"\ny: \"${{ [ 'RACF', 'TSS' ].includes(zos.getEsm()) ? zos.getEsm() : 'RACF' }}\"\n";
    assert_eq!(value(text, "x"), "X");
    assert_eq!(value(text, "y"), "RACF");
}

#[test]
fn template_at_one_place_leaves_the_others_alone() {
    let parsed = yaml::parse(
        "a: ${{ b }}\nb: ${{ 5 }}\nc: ${{ syntax error }}\nd: ${{ for }}\n",
        &Arc::from(Path::new("z")),
        Layer::File,
    );
    let mut root = parsed.root.unwrap();
    let outcome = evaluate(&mut root, Which::At(&[KeyPath::of(&["a"])]), &TemplateLimits::default());
    assert_eq!(root.get("a").unwrap().integer(), Some(5));
    assert!(root.get("b").unwrap().text().is_some());
    assert!(outcome.failed.len() <= 2);
}
