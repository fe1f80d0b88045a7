//! What a member of any kind comes to, from its bytes to settings.

use tender_parmlib::{Member, Operands, Settings};

/// One member, what its keys come to, and how much is said about it.
struct Case {
    what: &'static str,
    text: String,
    keys: &'static [(&'static str, Option<&'static str>)],
    warnings: usize,
    problems: usize,
}

fn case(
    what: &'static str,
    text: impl Into<String>,
    keys: &'static [(&'static str, Option<&'static str>)],
    (warnings, problems): (usize, usize),
) -> Case {
    Case { what, text: text.into(), keys, warnings, problems }
}

fn corpus() -> Vec<Case> {
    vec![
        case("nothing", "", &[], (0, 0)),
        case("comments and blank lines", "* a\n\n//* b\n   \n", &[], (0, 0)),
        case(
            "comment in a continuation",
            "ZWES.PUBLIC.A=x\\\n* y\nZWES.PUBLIC.B=z\n",
            &[("ZWES.PUBLIC.A", Some("x* y")), ("ZWES.PUBLIC.B", Some("z"))],
            (1, 0),
        ),
        case("trailing backslash", "COLD\nZWES.PUBLIC.A=x\\\n", &[("COLD", None)], (1, 0)),
        case(
            "repeated key",
            "ZWES.DRAIN_SECONDS=1\nZWES.DRAIN_SECONDS=2\n",
            &[("ZWES.DRAIN_SECONDS", Some("2"))],
            (1, 0),
        ),
        case("`=` in a value", "ZWES.PUBLIC.A=b=c\n", &[("ZWES.PUBLIC.A", Some("b=c"))], (0, 0)),
        case("numbered record", format!("{:<72}00000100\n", "ZWES.STRICT=NO"), &[], (1, 1)),
        case("lower-case yes", "ZWES.CHECKAUTH=yes\n", &[("ZWES.CHECKAUTH", Some("yes"))], (0, 1)),
        case("blanks around `=`", "ZWES.CHECKAUTH = YES\n", &[("ZWES.CHECKAUTH ", Some(" YES"))], (0, 1)),
    ]
}

#[test]
fn members_of_the_corpus_come_to_what_the_specification_says() {
    for case in corpus() {
        let member = Member::parse("ZWESIP00", case.text.as_bytes()).unwrap();
        for (key, value) in case.keys {
            let found = member.parameter(key).unwrap_or_else(|| panic!("{}: {key}", case.what));
            assert_eq!(found.value.as_deref(), *value, "{}", case.what);
        }
        assert_eq!(member.warnings().len(), case.warnings, "{}: {:?}", case.what, member.warnings());
        let settled = Settings::from_parameters(Some(&member), &Operands::default()).unwrap();
        assert_eq!(settled.problems.len(), case.problems, "{}: {:?}", case.what, settled.problems);
    }
}
