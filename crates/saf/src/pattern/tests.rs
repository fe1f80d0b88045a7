use proptest::prelude::*;

use super::*;

fn general(name: &str) -> Pattern {
    Pattern::parse(name, Naming::General, RESOURCE_BYTES_MAX).unwrap()
}

/// A pattern, what it matches and what not.
fn check(naming: Naming, name: &str, yes: &[&str], no: &[&str]) {
    let pattern = Pattern::parse(name, naming, RESOURCE_BYTES_MAX).unwrap();
    for resource in yes {
        assert!(pattern.matches(resource), "{name} matches {resource}");
    }
    for resource in no {
        assert!(!pattern.matches(resource), "{name} does not match {resource}");
    }
}

#[test]
fn percent_matches_one_character_of_a_qualifier() {
    check(Naming::General, "A%.B", &["AB.B", "A1.B"], &["A.B", "ABC.B", "A..B"]);
}

#[test]
fn asterisk_in_the_middle_stays_in_its_qualifier() {
    check(Naming::General, "A.*.C", &["A.B.C", "A.XYZ.C"], &["A.C", "A.B.B.C"]);
    check(Naming::General, "A.B*.C", &["A.B.C", "A.BX.C"], &["A.B.X.C", "A.C.C"]);
    check(Naming::General, "*.B", &["A.B"], &["B", "A.A.B"]);
}

#[test]
fn asterisk_at_the_end_of_a_general_name_goes_on() {
    check(Naming::General, "A.B*", &["A.B", "A.BC", "A.B.C", "A.BC.D.E"], &["A.C", "A"]);
    check(Naming::General, "A.*", &["A.B", "A.B.C"], &["A", "AB.C"]);
    check(Naming::General, "*", &["A", "A.B"], &[]);
}

#[test]
fn asterisk_at_the_end_of_a_data_set_name_stays() {
    check(Naming::DataSet, "A.B*", &["A.B", "A.BC"], &["A.B.C", "A.C"]);
    check(Naming::DataSet, "A.*", &["A.B"], &["A", "A.B.C"]);
    check(Naming::DataSet, "A.*.**", &["A.B", "A.B.C"], &["A"]);
}

#[test]
fn double_asterisk_matches_any_number_of_qualifiers() {
    check(Naming::General, "A.**", &["A", "A.B", "A.B.C"], &["AB", "B.A"]);
    check(Naming::General, "A.**.C", &["A.C", "A.B.C", "A.B.B.C"], &["A", "A.C.B"]);
    check(Naming::General, "**.C", &["C", "A.C", "A.B.C"], &["C.A", "AC"]);
    check(Naming::General, "**.C*", &["C", "A.CX", "A.C.B"], &["A.B"]);
    check(Naming::General, "**", &["A", "A.B"], &[]);
}

#[test]
fn name_that_no_resource_could_have_is_refused() {
    let parse = |name: &str| Pattern::parse(name, Naming::General, RESOURCE_BYTES_MAX);
    assert!(matches!(parse(""), Err(PatternError::Length { .. })));
    assert!(matches!(parse(&"A".repeat(247)), Err(PatternError::Length { .. })));
    assert!(matches!(parse("A B"), Err(PatternError::Character { found: ' ', .. })));
    assert!(matches!(parse("A*B"), Err(PatternError::Asterisk { .. })));
    assert!(matches!(parse("AB**"), Err(PatternError::Asterisk { .. })));
    assert!(matches!(parse("A.**.B.**"), Err(PatternError::TwoSpreads { .. })));
    let data_set = Pattern::parse("A%.B", Naming::DataSet, 44);
    assert!(matches!(data_set, Err(PatternError::GenericFirst { .. })));
}

#[test]
fn patterns_sort_most_specific_first() {
    let sorted = [
        "A.B.C",
        "A.B.C*",
        "A.B.%",
        "A.B.*",
        "A.B.**.D.E",
        "A.B.**.D",
        "A.B.**",
        "A.B%",
        "A.B*.C",
        "A.B*",
        "A.*.C",
        "A.*",
        "A.**",
        "A*",
        "%.B",
        "*.B",
        "*",
        "**.A.B",
        "**.B",
        "**",
    ];
    for pair in sorted.windows(2) {
        assert!(general(pair[0]) < general(pair[1]), "{} before {}", pair[0], pair[1]);
    }
}

/// Makes names over so small an alphabet that they often meet.
pub(crate) fn pattern_text() -> impl Strategy<Value = String> {
    let qualifier = prop_oneof![
        6 => "[AB]{1,2}",
        2 => "[AB%]{1,2}",
        2 => "[AB%]{0,2}\\*",
        1 => Just("**".to_owned()),
    ];
    prop::collection::vec(qualifier, 1..5)
        .prop_map(|qualifiers| qualifiers.join("."))
        .prop_filter("one `**` at most", |name| name.split('.').filter(|part| *part == "**").count() < 2)
}

pub(crate) fn resource_text() -> impl Strategy<Value = String> {
    prop::collection::vec("[AB]{1,2}", 1..6).prop_map(|qualifiers| qualifiers.join("."))
}

proptest! {
    #[test]
    fn order_of_patterns_is_total(one in pattern_text(), two in pattern_text(), three in pattern_text()) {
        let (a, b, c) = (general(&one), general(&two), general(&three));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, one == two);
        if a <= b && b <= c {
            prop_assert!(a <= c, "{} {} {}", one, two, three);
        }
    }

    /// A place made more general makes the name match no less and come no earlier.
    #[test]
    fn pattern_made_more_general_comes_later(name in pattern_text(), at in any::<prop::sample::Index>(),
                                             resource in resource_text()) {
        let qualifiers: Vec<&str> = name.split('.').collect();
        let index = at.index(qualifiers.len());
        let mut wider = Vec::new();
        let has_spread = qualifiers.contains(&"**");
        let replace = |with: &str| {
            let mut changed = qualifiers.clone();
            changed[index] = with;
            changed.join(".")
        };
        let qualifier = qualifiers[index];
        if qualifier != "**" {
            wider.push(replace("*"));
            if !has_spread {
                wider.push(replace("**"));
            }
            if let Some(place) = qualifier.find(['A', 'B']) {
                let mut text = qualifier.to_owned();
                text.replace_range(place..=place, "%");
                wider.push(replace(&text));
                wider.push(replace(&format!("{}*", &qualifier[..place])));
            }
        }
        let narrow = general(&name);
        for text in wider {
            let wide = general(&text);
            prop_assert!(narrow <= wide, "{} before {}", name, text);
            prop_assert!(!narrow.matches(&resource) || wide.matches(&resource), "{} {} {}", name, text, resource);
        }
    }
}
