use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Member {
    Member::parse("ZWESIP00", text.as_bytes()).unwrap()
}

fn pairs(text: &str) -> Vec<(String, Option<String>)> {
    parse(text).parameters().iter().map(|found| (found.key.clone(), found.value.clone())).collect()
}

fn pair(key: &str, value: &str) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_owned()))
}

fn kinds(text: &str) -> Vec<WarningKind> {
    parse(text).warnings().iter().map(|warning| warning.kind.clone()).collect()
}

#[test]
fn statements_comments_and_blank_lines_are_told_apart() {
    let text = "* comment\n//* another\n   * indented\n\n   \n  KEY=VALUE  \nCOLD\n//NOT A COMMENT\n";
    let wanted = [pair("KEY", "VALUE"), ("COLD".to_owned(), None), ("//NOT A COMMENT".to_owned(), None)];
    assert_eq!(pairs(text), wanted);
    assert_eq!(kinds(text), []);
}

#[test]
fn statement_is_split_at_its_first_equals_sign_and_nothing_around_it_is_trimmed() {
    assert_eq!(pairs("A=B=C\nD = E\nF=\n"), [pair("A", "B=C"), pair("D ", " E"), pair("F", "")]);
}

#[test]
fn case_of_keys_and_values_is_kept() {
    assert_eq!(pairs("zwes.Name=yes\n"), [pair("zwes.Name", "yes")]);
}

#[test]
fn continuation_is_joined_with_nothing_between() {
    assert_eq!(
        pairs("KEY=one \\\n   two\\\n  three\nNEXT=1\n"),
        [pair("KEY", "one twothree"), pair("NEXT", "1")]
    );
    let member = parse("\n\n  KEY=a\\\nb\n");
    let found = &member.parameters()[0];
    assert_eq!((found.lines, found.column), (Lines { first: 3, last: 4 }, 3));
}

#[test]
fn blank_record_ends_a_continuation() {
    assert_eq!(pairs("KEY=a\\\n\nB=1\n"), [pair("KEY", "a"), pair("B", "1")]);
}

#[test]
fn comment_in_a_continuation_is_part_of_the_value_and_told() {
    assert_eq!(pairs("KEY=a\\\n* no comment\nB=1\n"), [pair("KEY", "a* no comment"), pair("B", "1")]);
    let text = "* no comment".to_owned();
    assert_eq!(kinds("KEY=a\\\n* no comment\n"), [WarningKind::CommentInContinuation { text }]);
}

#[test]
fn comment_that_ends_in_a_backslash_is_not_continued() {
    assert_eq!(pairs("* comment \\\nKEY=1\n"), [pair("KEY", "1")]);
}

#[test]
fn continuation_at_the_end_of_the_member_is_dropped_and_told() {
    assert_eq!(pairs("A=1\nKEY=a\\\n"), [pair("A", "1")]);
    let member = parse("A=1\nKEY=a\\\nb\\");
    assert_eq!(
        member.warnings()[0].to_string(),
        "lines 2 to 3: the member ends in a continuation; `KEY=ab` is dropped"
    );
}

#[test]
fn continuation_of_4096_bytes_with_its_terminator_is_the_longest() {
    // "KEY=" and the letters are 4095 bytes; the terminator makes 4096.
    let longest = format!("KEY=\\\n{}\n", "x".repeat(4091));
    assert_eq!(parse(&longest).parameters()[0].value.as_ref().unwrap().len(), 4091);
    let error =
        Member::parse("ZWESIP00", format!("A=1\nKEY=\\\n{}\n", "x".repeat(4092)).as_bytes()).unwrap_err();
    assert_eq!((error.return_code(), error.details()), (19, (2, 3)));
    // Also while it goes on.
    let error = Member::parse("ZWESIP00", format!("{}\\\n", "x".repeat(4096)).as_bytes()).unwrap_err();
    assert_eq!(error.return_code(), 19);
}

#[test]
fn last_of_several_counts_and_the_others_are_told() {
    let member = parse("A=1\nB=2\nA=3\n");
    assert_eq!(member.parameter("A").unwrap().value.as_deref(), Some("3"));
    assert_eq!(member.warnings()[0].to_string(), "line 3: `A` stands in line 1 too; the last one counts");
}

#[test]
fn columns_73_to_80_belong_to_the_value_and_are_told() {
    let numbered = format!("{:<72}00010000\n", "ZWES.NAME=ZWESIS_STD");
    assert!(pairs(&numbered)[0].1.as_ref().unwrap().ends_with(" 00010000"));
    assert!(matches!(kinds(&numbered)[..], [WarningKind::SequenceColumns { .. }]));
    // A long value that only reaches these columns is none, nor are numbered comments.
    let long = format!("ZWES.PUBLIC.TEXT={}\n", "a".repeat(62));
    assert_eq!(kinds(&long), []);
    assert_eq!(kinds(&format!("{:<72}00010000\n", "* comment")), []);
}

#[test]
fn longer_record_is_read_whole_and_told() {
    let text = format!("KEY={}\n", "x".repeat(200));
    assert_eq!(pairs(&text), [pair("KEY", &"x".repeat(200))]);
    assert_eq!(kinds(&text), [WarningKind::LongRecord { columns: 204 }]);
}

#[test]
fn nothing_before_the_equals_sign_is_told_and_ignored() {
    assert_eq!(pairs("=VALUE\n"), []);
    assert_eq!(kinds("=VALUE\n"), [WarningKind::NoKey]);
}

#[test]
fn line_ends_of_other_systems_do_not_become_part_of_values() {
    assert_eq!(pairs("A=1\r\nB=2\\\r\n3\r\n"), [pair("A", "1"), pair("B", "23")]);
}

#[test]
fn what_is_not_text_is_refused_with_its_place() {
    let error = Member::parse("ZWESIP00", b"A=1\nB=\xff\n").unwrap_err();
    assert_eq!(error.to_string(), "member ZWESIP00, line 2, column 3: byte 0xff is not UTF-8");
    let error = Member::parse("ZWESIP00", b"A=1\nB\0=\n").unwrap_err();
    assert_eq!((error.return_code(), error.details()), (12, (2, 2)));
}

#[test]
fn too_much_is_refused() {
    let error = Member::parse("ZWESIP00", &vec![b' '; MEMBER_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.return_code(), 11);
    let error = Member::parse("ZWESIP00", "K".repeat(KEY_BYTES_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(error.return_code(), 17);
}

#[test]
fn member_is_read_from_the_first_directory_that_has_it() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let directories = [first.path().to_owned(), second.path().to_owned()];
    let name = MemberName::of_suffix("00").unwrap();
    let error = Member::read(&directories, &name).unwrap_err();
    assert_eq!(error.return_code(), 2);
    std::fs::write(second.path().join("ZWESIP00"), "A=2\n").unwrap();
    assert_eq!(
        Member::read(&directories, &name).unwrap().parameter("A").unwrap().value.as_deref(),
        Some("2")
    );
    std::fs::write(first.path().join("ZWESIP00"), "A=1\n").unwrap();
    assert_eq!(
        Member::read(&directories, &name).unwrap().parameter("A").unwrap().value.as_deref(),
        Some("1")
    );
    // One that is there and cannot be read hides the next.
    std::fs::remove_file(first.path().join("ZWESIP00")).unwrap();
    std::fs::create_dir(first.path().join("ZWESIP00")).unwrap();
    assert_eq!(Member::read(&directories, &name).unwrap_err().return_code(), 12);
}

#[test]
fn pipe_in_the_place_of_a_member_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let name = MemberName::of_suffix("00").unwrap();
    let path = dir.path().join(name.as_str());
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let error = Member::read(&[dir.path().to_owned()], &name).unwrap_err();
    assert!(matches!(error, MemberError::NotAFile { .. }), "{error}");
}

#[test]
fn suffix_has_exactly_two_characters() {
    assert_eq!(MemberName::of_suffix("A$").unwrap().as_str(), "ZWESIPA$");
    for wrong in ["", "0", "000", "a0", "0 ", "ä"] {
        assert!(MemberName::of_suffix(wrong).is_err(), "{wrong}");
    }
    for wrong in ["", "0ABC", "NINECHARS", "A.B", "../A"] {
        assert!(wrong.parse::<MemberName>().is_err(), "{wrong}");
    }
}

/// What the grammar says, written once more and without any cleverness.
fn read_simply(text: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    let mut statement: Option<String> = None;
    for record in text.split('\n') {
        let record = record.trim_matches([' ', '\t']);
        if statement.is_none() && (record.is_empty() || record.starts_with('*') || record.starts_with("//*"))
        {
            continue;
        }
        let joined = statement.take().unwrap_or_default() + record.strip_suffix('\\').unwrap_or(record);
        if record.ends_with('\\') {
            statement = Some(joined);
            continue;
        }
        let (key, value) = match joined.find('=') {
            Some(at) => (joined[..at].to_owned(), Some(joined[at + 1..].to_owned())),
            None => (joined, None),
        };
        if !key.is_empty() {
            found.push((key, value));
        }
    }
    found
}

proptest! {
    #[test]
    fn any_member_reads_as_the_grammar_says(text in "([ *=/\\\\AB\\n\\t]|//\\*|yes){0,120}") {
        // A record that the end of the text makes is none.
        prop_assert_eq!(pairs(&text), read_simply(text.strip_suffix('\n').unwrap_or(&text)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Err(error) = Member::parse("X", &bytes) {
            prop_assert!(error.return_code() > 0);
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn lines_of_parameters_follow_one_another(text in "[ *=\\\\AB\\n]{0,200}") {
        let member = parse(&text);
        let mut last = 0;
        for found in member.parameters() {
            prop_assert!(found.lines.first > last && found.lines.last >= found.lines.first);
            last = found.lines.last;
        }
    }
}
