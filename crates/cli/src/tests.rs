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
