use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Parsed {
    parse(text, &Arc::from(Path::new("zowe.yaml")), Layer::File)
}

fn root(text: &str) -> Node {
    let parsed = read(text);
    assert_eq!(parsed.problems, [], "{text}");
    parsed.root.unwrap()
}

#[test]
fn scalars_get_the_types_of_yaml_1_2() {
    let root = root(
        "a: 7554\nb: -1\nc: 0x10\nd: 1.10\ne: yes\nf: TRUE\ng: ~\nh: '5'\ni: 1.2.3\nj: 1e3\nk: +5\nl: 0o17\nm: .\nn: 12345678901234567890\no: .inf\n",
    );
    let value = |key: &str| root.get(key).unwrap().value.clone();
    assert_eq!(root.get("a").unwrap().integer(), Some(7554));
    assert_eq!(root.get("b").unwrap().integer(), Some(-1));
    assert_eq!(value("c"), Value::text("0x10"));
    assert_eq!(root.get("d").unwrap().scalar().unwrap(), "1.10");
    assert_eq!(value("e"), Value::text("yes"));
    assert_eq!(value("f"), Value::Bool(true));
    assert_eq!(value("g"), Value::Null);
    assert_eq!(value("h"), Value::text("5"));
    assert_eq!(value("i"), Value::text("1.2.3"));
    assert!(matches!(value("j"), Value::Number(Number { value: Numeric::Float(_), .. })));
    assert_eq!(root.get("k").unwrap().integer(), Some(5));
    assert_eq!(value("l"), Value::text("0o17"));
    assert_eq!(value("m"), Value::text("."));
    assert_eq!(value("n"), Value::text("12345678901234567890"));
    assert_eq!(value("o"), Value::text(".inf"));
}

#[test]
fn values_keys_and_elements_know_their_places() {
    let root = root("zowe:\n  list:\n    - one\n    - two\n  port: 1\n");
    let zowe = root.get("zowe").unwrap().mapping().unwrap();
    let port = zowe.entry("port").unwrap();
    assert_eq!((port.key_origin.line, port.key_origin.column), (5, 3));
    assert_eq!((port.node.origin.line, port.node.origin.column), (5, 9));
    let two = &zowe.get("list").unwrap().sequence().unwrap()[1];
    assert_eq!((two.origin.line, two.origin.column), (4, 7));
}

#[test]
fn key_written_twice_is_an_error_at_both_places() {
    let parsed = read("a: 1\nb: 2\na: 3\n");
    let problem = &parsed.problems[0];
    assert_eq!(problem.origin.as_ref().unwrap().line, 3);
    assert_eq!(problem.related[0].line, 1);
    assert_eq!(parsed.root.unwrap().get("a").unwrap().integer(), Some(1));
}

#[test]
fn anchors_aliases_and_merge_keys_are_followed() {
    let root = root("base: &base\n  a: 1\n  b: 2\nuse:\n  <<: *base\n  b: 3\nsame: *base\n");
    assert_eq!(root.below(&["use", "a"]).unwrap().integer(), Some(1));
    assert_eq!(root.below(&["use", "b"]).unwrap().integer(), Some(3));
    assert_eq!(root.below(&["same", "b"]).unwrap().integer(), Some(2));
}

#[test]
fn aliases_that_explode_are_refused() {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..9 {
        let alias = format!("*a{}", level - 1);
        text = format!("{text}a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(","));
    }
    let parsed = read(&text);
    assert!(parsed.root.is_none());
    assert!(parsed.problems[0].message.contains("aliases"));
    assert!(read("a: &a [*a]\n").root.is_none());
}

#[test]
fn text_that_is_no_yaml_says_where() {
    let parsed = read("a: 1\nb:\n\t- x\n");
    let problem = &parsed.problems[0];
    assert!(problem.message.contains("tabs"), "{problem}");
    assert!((2..=3).contains(&problem.origin.as_ref().unwrap().line), "{problem}");
    let parsed = read("a: [1, 2\nb: 3\n");
    assert!(parsed.root.is_none());
    assert!(read("---\na: 1\n---\nb: 2\n").root.is_none());
    assert!(read(&"[".repeat(5000)).root.is_none());
}

#[test]
fn carriage_returns_and_byte_order_marks_do_not_matter() {
    let root = root("\u{feff}a: 1\r\nb: two\r\n");
    assert_eq!(root.get("b").unwrap().text(), Some("two"));
}

#[test]
fn files_in_other_encodings_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("zowe.yaml");
    // `zowe:` and `  port: 1` in IBM-1047.
    let ebcdic =
        [0xa9, 0x96, 0xa6, 0x85, 0x7a, 0x15, 0x40, 0x40, 0x97, 0x96, 0x99, 0xa3, 0x7a, 0x40, 0xf1, 0x15];
    std::fs::write(&path, ebcdic).unwrap();
    assert!(read_text(&path).unwrap_err().to_string().contains("IBM-1047"));
    std::fs::write(&path, b"a: 1\nb: \xff\n").unwrap();
    assert!(read_text(&path).unwrap_err().to_string().contains("line 2"));
    std::fs::write(&path, vec![b' '; usize::try_from(FILE_BYTES_MAX).unwrap() + 1]).unwrap();
    assert!(read_text(&path).unwrap_err().to_string().contains("bytes"));
    std::fs::write(&path, "a: \u{e4}\u{20ac}\n").unwrap();
    assert!(read_text(&path).is_ok());
}

proptest! {
    #[test]
    fn parser_never_panics(text in "[-a-c:{}\\[\\]&*!|>'\"#%@`,? \n\t0-9.~<]{0,60}") {
        let _parsed = read(&text);
    }

    #[test]
    fn scalar_in_quotes_comes_back(text in "[ -~\u{a1}-\u{2ff}]{0,40}") {
        let quoted = serde_json::to_string(&text).unwrap();
        let parsed = read(&format!("k: {quoted}\n"));
        let root = parsed.root.unwrap();
        prop_assert_eq!(root.get("k").unwrap().text(), Some(text.as_str()));
    }
}
