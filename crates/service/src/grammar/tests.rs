use proptest::prelude::*;

use super::*;

fn takes_value(flag: &str) -> bool {
    matches!(flag, "--desc" | "--from" | "--hostname" | "--force")
}

fn check(line: &str, expected: &[&str]) {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    assert_eq!(canonical(&words, &takes_value).unwrap(), expected, "{line}");
}

fn refusal(line: &str) -> GrammarError {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    canonical(&words, &takes_value).unwrap_err()
}

#[test]
fn lines_of_the_sample_scenario_are_understood_as_typed() {
    check("initialize 720", &["initialize", "720"]);
    check(
        "srvlvl add 720 vm010102_BLD1 basedon BASE nonesm desc Initial RSU Install",
        &[
            "srvlvl",
            "add",
            "720",
            "vm010102_BLD1",
            "--basedon=BASE",
            "--variant",
            "NONESM",
            "--desc=Initial RSU Install",
        ],
    );
    check(
        "srvlvl service 720 vm010102_bld1 all rsu0801",
        &["srvlvl", "service", "720", "vm010102_bld1", "all", "rsu0801"],
    );
    check(
        "system add 720 vm01 vm010102_bld1 nonesm hostname vm01.Washington.ibm.com commtype ftp (port 4535 norequire)",
        &[
            "system",
            "add",
            "720",
            "vm01",
            "vm010102_bld1",
            "--variant",
            "NONESM",
            "--hostname=vm01.Washington.ibm.com",
            "--commtype=ftp",
            "--port=4535",
            "--norequire",
        ],
    );
    check("srvlvl package 720 vm010802_BLD2", &["srvlvl", "package", "720", "vm010802_BLD2"]);
    check("srvlvl setlock 720 vm010802_BLD2 on", &["srvlvl", "setlock", "720", "vm010802_BLD2", "on"]);
    check(
        "srvlvl send 720 vm010802_BLD2 vm01 (test",
        &["srvlvl", "send", "720", "vm010802_BLD2", "vm01", "--test"],
    );
    check(
        "srvlvl send vm010802_BLD2 vm01 (stable",
        &["srvlvl", "send", "*", "vm010802_BLD2", "vm01", "--stable"],
    );
    check("system put2prod 720 vm01", &["system", "put2prod", "720", "vm01"]);
}

#[test]
fn words_in_upper_case_and_spaced_parentheses_mean_the_same() {
    check("SRVLVL SEND 720 A VM01 ( TEST )", &["srvlvl", "send", "720", "A", "VM01", "--test"]);
    check("SRVLVL SEND 720 A VM01 (STABLE)", &["srvlvl", "send", "720", "A", "VM01", "--stable"]);
}

#[test]
fn flags_between_keywords_keep_their_values() {
    check(
        "srvlvl add 720 a basedon base --desc query --json",
        &["srvlvl", "add", "720", "a", "--basedon=base", "--desc", "query", "--json"],
    );
}

#[test]
fn verb_may_be_abbreviated_when_only_one_fits() {
    check("srv pack 720 a", &["srvlvl", "package", "720", "a"]);
    check("init 720", &["initialize", "720"]);
    assert!(matches!(refusal("srvlvl se 720 a"), GrammarError::UnknownVerb { .. }));
}

#[test]
fn names_that_look_like_keywords_stay_names() {
    check("srvlvl send 720 test vm01 (test", &["srvlvl", "send", "720", "test", "vm01", "--test"]);
    check("srvlvl delete force", &["srvlvl", "delete", "*", "force"]);
}

#[test]
fn words_of_other_verbs_pass_unchanged() {
    check("group add 720 east vm01 vm02", &["group", "add", "720", "east", "vm01", "vm02"]);
    check("srvlvl --help", &["srvlvl", "--help"]);
}

#[test]
fn wrong_words_are_refused_with_what_is_known() {
    assert!(matches!(refusal("srvlvl"), GrammarError::MissingVerb { .. }));
    assert!(matches!(refusal("srvlvl frobnicate 720 a"), GrammarError::UnknownVerb { .. }));
    assert!(matches!(refusal("srvlvl add 720 a basedon"), GrammarError::MissingOperand { .. }));
    assert!(matches!(refusal("srvlvl add 720 a desc"), GrammarError::MissingOperand { .. }));
    assert!(matches!(refusal("srvlvl package 720 a b"), GrammarError::Unexpected { .. }));
    assert!(matches!(refusal("srvlvl send 720 a vm01 (sable"), GrammarError::Unexpected { .. }));
}

proptest! {
    #[test]
    fn any_words_end_in_an_answer(words in prop::collection::vec("[a-z(),*=0-9-]{0,9}|srvlvl|system|add|send|720", 0..12)) {
        let _answer = canonical(&words, &takes_value);
    }

    #[test]
    fn canonical_form_is_its_own_canonical_form(verb in prop::sample::select(vec!["package", "delete", "query"]), level in "[A-Z][A-Z0-9_]{0,15}") {
        let words = ["srvlvl".to_owned(), verb.to_owned(), "720".to_owned(), level];
        let once = canonical(&words, &takes_value).unwrap();
        prop_assert_eq!(canonical(&once, &takes_value).unwrap(), once);
    }
}

#[test]
fn keyword_in_free_text_is_refused_as_it_could_be_either() {
    for line in [
        "managed off ledger reason outage until 2099-01-01T00:00Z",
        "srvlvl delete 720 one force not needed check",
        "srvlvl add 720 one desc first basedon BASE",
    ] {
        let error = refusal(line);
        assert!(matches!(error, GrammarError::Ambiguous { .. }), "{line}: {error}");
    }
    check(
        "managed off ledger until 2099-01-01T00:00Z reason outage",
        &["managed", "off", "ledger", "--until=2099-01-01T00:00Z", "--reason=outage"],
    );
    let quoted = ["srvlvl", "delete", "720", "one", "force", "did not check it"].map(str::to_owned);
    let words = canonical(&quoted, &takes_value).unwrap();
    assert_eq!(words.last().unwrap(), "--force=did not check it");
}

#[test]
fn exceptions_have_a_verb_of_their_own_behind_the_group() {
    check(
        "system exception add 720 vm01 ledger etc/x.ini reason other printer",
        &["system", "exception", "add", "720", "vm01", "ledger", "etc/x.ini", "--reason=other printer"],
    );
    check(
        "SYSTEM EXCEPTION DELETE vm01 ledger etc/x.ini",
        &["system", "exception", "DELETE", "*", "vm01", "ledger", "etc/x.ini"],
    );
    check("system exception query", &["system", "exception", "query"]);
    check(
        "system absorb 720 vm01 ledger into hot1",
        &["system", "absorb", "720", "vm01", "ledger", "--into=hot1"],
    );
}
