use super::*;

#[test]
fn parm_of_the_start_procedure_is_read() {
    let operands = Operands::parse("NAME=ZWESIS_STD,MEM=01,COLD,RESET(LOOKUP)").unwrap();
    assert_eq!(operands.value("NAME"), Some("ZWESIS_STD"));
    assert_eq!(operands.member().unwrap().as_str(), "ZWESIP01");
    assert!(operands.has_flag("COLD") && operands.has_flag("RESET(LOOKUP)") && !operands.has_flag("DEBUG"));
}

#[test]
fn empty_operands_and_blanks_around_them_are_nothing() {
    let operands = Operands::parse(" NAME=A ,, COLD ,").unwrap();
    assert_eq!(operands.operands().len(), 2);
    assert_eq!(operands.value("NAME"), Some("A"));
    assert_eq!(Operands::parse("").unwrap().member().unwrap().as_str(), "ZWESIP00");
}

#[test]
fn words_of_a_shell_are_the_same_as_one_parm() {
    let words = Operands::of_words(["NAME=A", "COLD,DEBUG"]).unwrap();
    assert_eq!(words, Operands::parse("NAME=A,COLD,DEBUG").unwrap());
}

#[test]
fn value_may_hold_equals_signs_and_the_last_one_counts() {
    let operands = Operands::parse("ZWES.PUBLIC.X=a=b,ZWES.PUBLIC.X=c=d").unwrap();
    assert_eq!(operands.value("ZWES.PUBLIC.X"), Some("c=d"));
}

#[test]
fn suffix_that_is_none_is_refused() {
    for wrong in ["MEM=", "MEM=0", "MEM=000", "MEM=../", "MEM=a0"] {
        assert!(Operands::parse(wrong).unwrap().member().is_err(), "{wrong}");
    }
}

#[test]
fn flag_with_a_value_is_not_set() {
    assert!(!Operands::parse("COLD=YES").unwrap().has_flag("COLD"));
}

#[test]
fn what_nobody_can_mean_is_refused() {
    assert!(Operands::parse("A,B\n").is_ok(), "blanks around a word are trimmed, line ends too");
    assert!(matches!(Operands::parse("A,B\x07C"), Err(OperandError::Character { position: 2, .. })));
    assert!(matches!(Operands::parse("=X"), Err(OperandError::NoKey { position: 1, .. })));
    assert!(matches!(Operands::parse(&"K".repeat(1025)), Err(OperandError::KeyTooLong { position: 1 })));
}
