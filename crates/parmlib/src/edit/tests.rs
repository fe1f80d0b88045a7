use proptest::prelude::*;

use super::*;
use crate::member::Member;

const SHIPPED: &str = "\
* The server.
ZWES.NAME=ZWESIS_STD

* Classes.
ZWES.AUTH.CLASS=ZOWE
ZWES.SECMGMT.CLASS=ZOWE
";

fn change(key: &str, value: &str) -> Change {
    Change::Set { key: key.to_owned(), value: value.to_owned() }
}

fn value(text: &str, key: &str) -> Option<String> {
    let member = Member::parse("X", text.as_bytes()).unwrap();
    member.parameter(key).map(|parameter| parameter.value.clone().unwrap_or_default())
}

#[test]
fn keys_with_underscores_and_odd_values_are_set() {
    let changes = [
        change("ZWES.PCSS_STACK_POOL_SIZE", "2048"),
        change("ZWES.PUBLIC.TEXT", "two words"),
        change("ZWES.PLACE.A", "/srv/a:/srv/b"),
        change("ZWES.PUBLIC.EXPRESSION", "a=b&c=.*/\\d"),
        change("COLD", ""),
    ];
    let edited = set(SHIPPED, &changes).unwrap();
    assert!(edited.text.starts_with(SHIPPED), "what was there stays: {}", edited.text);
    for change in &changes {
        let Change::Set { key, value: wanted } = change else { continue };
        assert_eq!(value(&edited.text, key).as_ref(), Some(wanted));
    }
    assert_eq!(edited.changes.len(), 5);
    assert_eq!(set(&edited.text, &changes).unwrap(), Edited { text: edited.text, changes: vec![] });
}

#[test]
fn key_with_dots_does_not_match_another_one() {
    let edited = set("ZWES_NAME=A\nZWESXNAME=B\n", &[change("ZWES.NAME", "C")]).unwrap();
    assert_eq!(edited.text, "ZWES_NAME=A\nZWESXNAME=B\nZWES.NAME=C\n");
}

#[test]
fn key_that_stands_twice_is_changed_where_it_counts() {
    let edited = set("A=1\n  A=2\n* end", &[change("A", "3")]).unwrap();
    assert_eq!(edited.text, "A=1\n  A=3\n* end");
}

#[test]
fn statement_with_continuations_is_replaced_whole() {
    let edited = set("A=1\\\n  2\\\n3\nB=2\n", &[change("A", "x")]).unwrap();
    assert_eq!(edited.text, "A=x\nB=2\n");
}

#[test]
fn key_put_behind_a_cut_off_continuation_does_not_become_part_of_it() {
    let edited = set("A=1\nB=2\\", &[change("C", "3")]).unwrap();
    assert_eq!(edited.text, "A=1\nC=3\nB=2\\");
    assert_eq!(value(&edited.text, "B"), None);
}

#[test]
fn lists_get_only_what_they_have_not() {
    let append = |value: &str| Change::Append { key: "K".to_owned(), value: value.to_owned() };
    assert_eq!(set("", &[append("A")]).unwrap().text, "K=A\n");
    assert_eq!(set("K=A\n", &[append("B,A,C")]).unwrap().text, "K=A,B,C\n");
    assert_eq!(set("K=A, B\n", &[append("B")]).unwrap().text, "K=A, B\n");
}

#[test]
fn what_cannot_be_written_is_refused_with_the_reason() {
    for (key, value, reason) in [
        ("", "1", "empty"),
        ("A=B", "1", "`=`"),
        ("*A", "1", "comment"),
        (" A", "1", "begins with a blank"),
        ("A", "1\n", "control"),
        ("A", "1 ", "blank at its end"),
        ("A", "1\\", "continue"),
    ] {
        let error = set(SHIPPED, &[change(key, value)]).unwrap_err();
        assert!(error.to_string().contains(reason), "{key}={value}: {error}");
    }
    assert!(set("", &[change("A", &"x".repeat(4094))]).is_err());
    assert!(set("", &[change("A", &"x".repeat(4093))]).is_ok());
}

#[test]
fn windows_line_ends_stay() {
    let edited = set("A=1\r\nB=2\r\n", &[change("A", "9"), change("C", "3")]).unwrap();
    assert_eq!(edited.text, "A=9\r\nB=2\r\nC=3\r\n");
}

#[test]
fn member_nobody_edited_becomes_the_shipped_one() {
    let now = SHIPPED.replace("* Classes.", "* Which classes.").replace("CLASS=ZOWE\nZ", "CLASS=IZUD\nZ");
    let merged = merge(Some(SHIPPED), SHIPPED, &now).unwrap();
    assert_eq!(merged.text, now);
    assert_eq!(merged.changes.len(), 1);
}

#[test]
fn edited_member_keeps_its_lines_and_gets_what_is_new() {
    let edited = SHIPPED.replace("ZWESIS_STD", "ZWESIS_TEST").replace("* Classes.\n", "* Ours since May\n");
    let now = format!(
        "{}\n* How long.\nZWES.DRAIN_SECONDS=30\n",
        SHIPPED.replace("SECMGMT.CLASS=ZOWE", "SECMGMT.CLASS=IZUD")
    );
    let merged = merge(Some(SHIPPED), &edited, &now).unwrap();
    let wanted = "* The server.\nZWES.NAME=ZWESIS_TEST\n\n* Ours since May\nZWES.AUTH.CLASS=ZOWE\n\
                  ZWES.SECMGMT.CLASS=IZUD\n\n* How long.\nZWES.DRAIN_SECONDS=30\n";
    assert_eq!(merged.text, wanted);
    let told: Vec<String> = merged.changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["ZWES.SECMGMT.CLASS: `ZOWE` becomes `IZUD`", "ZWES.DRAIN_SECONDS: `30` is added"],
        "nothing about the name: nothing new is shipped for it"
    );
    assert_eq!(merge(Some(&now), &merged.text, &now).unwrap(), Edited { text: merged.text, changes: vec![] });
}

#[test]
fn value_changed_on_both_sides_stays_the_administrators_and_is_told() {
    let edited = SHIPPED.replace("AUTH.CLASS=ZOWE", "AUTH.CLASS=MINE");
    let now = SHIPPED.replace("AUTH.CLASS=ZOWE", "AUTH.CLASS=IZUD");
    let merged = merge(Some(SHIPPED), &edited, &now).unwrap();
    assert_eq!(merged.text, edited);
    assert_eq!(merged.changes[0].to_string(), "ZWES.AUTH.CLASS: `MINE` stays, `IZUD` is shipped");
}

#[test]
fn line_the_administrator_took_out_does_not_come_back() {
    let edited = SHIPPED.replace("ZWES.AUTH.CLASS=ZOWE\n", "");
    assert_eq!(merge(Some(SHIPPED), &edited, SHIPPED).unwrap(), Edited { text: edited, changes: vec![] });
}

#[test]
fn line_shipped_no_more_goes_unless_it_was_edited() {
    let now = SHIPPED.replace("ZWES.SECMGMT.CLASS=ZOWE\n", "").replace("ZWES.NAME=ZWESIS_STD\n", "");
    let edited = SHIPPED.replace("ZWESIS_STD", "MINE");
    let merged = merge(Some(SHIPPED), &edited, &now).unwrap();
    assert_eq!(value(&merged.text, "ZWES.SECMGMT.CLASS"), None);
    assert_eq!(value(&merged.text, "ZWES.NAME").as_deref(), Some("MINE"));
}

#[test]
fn without_what_was_shipped_before_nothing_that_is_there_changes() {
    let edited = "ZWES.AUTH.CLASS=MINE\n";
    let merged = merge(None, edited, SHIPPED).unwrap();
    assert_eq!(value(&merged.text, "ZWES.AUTH.CLASS").as_deref(), Some("MINE"));
    assert_eq!(value(&merged.text, "ZWES.NAME").as_deref(), Some("ZWESIS_STD"));
    assert!(merged.text.contains("* The server.\n"));
}

#[test]
fn sample_takes_values_from_variables_and_appends_to_lists() {
    let sample = Member::parse("S", b"ZWES.PLUGIN.ECHO=$MODULE\nK_L=A\nPRICE=$5 each\n").unwrap();
    let variable = |name: &str| (name == "MODULE").then(|| "ECHOPL01".to_owned());
    let changes = changes_of_sample(&sample, &["K_L"], variable).unwrap();
    let edited = set("K_L=B\n", &changes).unwrap();
    assert_eq!(edited.text, "K_L=B,A\nZWES.PLUGIN.ECHO=ECHOPL01\nPRICE=$5 each\n");
    let error = changes_of_sample(&sample, &[], |_| None).unwrap_err();
    assert!(error.to_string().contains("MODULE"), "{error}");
}

/// Keys and values as people write them, and worse.
fn written_value() -> impl Strategy<Value = String> {
    proptest::string::string_regex("([ -~ä]{0,300}[!-\\[\\]-~])?").unwrap()
}

proptest! {
    #[test]
    fn whatever_is_set_reads_back_and_the_rest_stays(
        lines in proptest::collection::vec("[ -~]{0,90}", 0..12),
        key in "[A-Z][A-Z._]{0,20}",
        value in written_value(),
    ) {
        let text = lines.join("\n");
        let Ok(before) = Member::parse("X", text.as_bytes()) else { return Ok(()) };
        let Ok(edited) = set(&text, &[change(&key, &value)]) else { return Ok(()) };
        let after = Member::parse("X", edited.text.as_bytes()).unwrap();
        let counted = after.parameter(&key).expect("it was set");
        prop_assert_eq!(counted.value.clone().unwrap_or_default(), value);
        let others = |member: &Member| -> Vec<_> {
            let kept = member.parameters().iter().filter(|parameter| parameter.key != key);
            kept.map(|parameter| (parameter.key.clone(), parameter.value.clone())).collect()
        };
        prop_assert_eq!(others(&before), others(&after));
    }

    #[test]
    fn merging_twice_changes_nothing_more(
        base in proptest::collection::vec("[AB]?[ABC](=[a-c])?", 0..6),
        edited in proptest::collection::vec("(\\* )?[AB]?[ABC](=[a-c])?", 0..6),
        shipped in proptest::collection::vec("[AB]?[ABC](=[a-c])?", 0..6),
    ) {
        let (base, edited, shipped) = (base.join("\n"), edited.join("\n"), shipped.join("\n"));
        let once = merge(Some(&base), &edited, &shipped).unwrap();
        let twice = merge(Some(&shipped), &once.text, &shipped).unwrap();
        prop_assert_eq!(once.text, twice.text);
    }
}
