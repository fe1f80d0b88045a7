use super::*;

#[test]
fn command_line_definition_is_consistent() {
    Tender::command().debug_assert();
}

#[test]
fn servmgr_is_found_past_global_options() {
    let words = |line: &str| line.split_whitespace().map(OsString::from).collect::<Vec<_>>();
    assert_eq!(position_of_servmgr(&words("tender --home /x --json servmgr system")), Some(4));
    assert_eq!(position_of_servmgr(&words("tender SERVMGR query")), Some(1));
    assert_eq!(position_of_servmgr(&words("tender envelope servmgr")), None);
}

#[test]
fn program_called_servmgr_needs_no_second_word() {
    let words = ["/usr/bin/SERVMGR", "INIT", "720"].map(OsString::from);
    let canonical = words_of(words.into_iter()).unwrap();
    assert_eq!(canonical[1..], ["servmgr", "initialize", "720"].map(OsString::from));
}

#[test]
fn options_between_servmgr_and_its_verb_change_nothing() {
    let words = |line: &str| words_of(line.split_whitespace().map(OsString::from)).unwrap();
    let plain = words("tender --json --home /x servmgr srvlvl send 720 a vm01 (test");
    assert_eq!(words("tender servmgr --json --home /x srvlvl send 720 a vm01 (test"), plain);
    assert!(plain.contains(&OsString::from("--test")));
}
