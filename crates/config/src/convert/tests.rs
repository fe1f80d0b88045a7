use super::*;
use crate::convert::assignments::parse;

fn values(text: &str) -> (Vec<(String, String)>, Vec<Problem>) {
    let mut problems = Vec::new();
    let found = parse(text, Path::new("instance.env"), &[], &mut problems);
    (found.into_iter().map(|one| (one.name, one.value)).collect(), problems)
}

#[test]
fn assignments_in_all_forms_are_read_as_a_shell_would() {
    let text = "# comment\nexport A=1 B='two words' # more\nC=\"x $A ${B}\"\nD=a\\ b'c'\"d\"\nE=${NONE:-${A}0}\nF=\"line\\\ngoes on\nnext\"\nexport A\ndeclare -x G=\"\\$A \\\\ \\x\"\nH=\nI=a#b;J=\"\"\n";
    let (found, problems) = values(text);
    assert_eq!(problems, []);
    let script =
        format!("{text}printf '%s|' \"$A\" \"$B\" \"$C\" \"$D\" \"$E\" \"$F\" \"$G\" \"$H\" \"$I\" \"$J\"");
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    let joined: String = found.iter().map(|(_, value)| format!("{value}|")).collect();
    assert_eq!(joined, String::from_utf8(output.stdout).unwrap());
}

#[test]
fn commands_and_broken_quotes_are_refused_with_their_lines() {
    for (text, line) in [
        ("A=1\nB=$(id)\n", 2),
        ("A=`id`\n", 1),
        ("A=1\n\nif true; then\n", 3),
        ("A=\"x\n\n", 1),
        ("A=x|y\n", 1),
        (". other\n", 1),
        ("A=${B%x}\n", 1),
    ] {
        let (_, problems) = values(text);
        assert!(!problems.is_empty(), "{text}");
        assert_eq!(problems[0].origin.as_ref().unwrap().line, line, "{text}: {}", problems[0]);
    }
}

#[test]
fn texts_are_written_so_that_they_come_back() {
    for text in [
        "a", "", "yes", "true", "5", "1.5", "a: b", "# x", "'q'", "\"", "- a", "/a/b", "file:/a", "env:X",
        "*", "a b", "\n", "~", "@x", "ä",
    ] {
        let yaml = format!("k: {}\n", write::scalar(text));
        let parsed = yaml::parse(&yaml, &std::sync::Arc::from(Path::new("t")), crate::origin::Layer::File);
        assert_eq!(parsed.root.unwrap().get("k").unwrap().text(), Some(text), "{yaml}");
    }
}
