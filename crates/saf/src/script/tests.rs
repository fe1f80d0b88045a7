use super::*;
use crate::command::ReturnCode;
use crate::compiled::Compiled;

fn symbols() -> BTreeMap<String, String> {
    crate::setup::SetupNames::default().symbols()
}

fn context() -> Context {
    Context { who: "ROOT".parse().unwrap() }
}

fn run(text: &str) -> Database {
    let mut database = Database::initial();
    for before in ["ADDGROUP ZWEADMIN", "ADDUSER ZWESVUSR DFLTGRP(ZWEADMIN)"] {
        let plan = Command::parse(before).unwrap().plan(&database, &context()).unwrap();
        database.apply(&plan.changes).unwrap();
    }
    let plan = Script::parse(text, &symbols()).unwrap().plan(&database, &context()).unwrap();
    database.apply(&plan.changes).unwrap();
    database
}

/// The launcher's started task as each of the three manuals defines it.
#[test]
fn started_task_is_the_same_in_all_three_languages() {
    let racf = "
   RDEFINE STARTED &ZLNCHSTC..*
      STDATA(USER(&ZOWEUSER.) GROUP(&STCGRP.) TRUSTED(NO))
      DATA('ZOWE LAUNCHER')

   SETROPTS RACLIST(STARTED) REFRESH
";
    let acf2 = "
   SET CONTROL(GSO)
   INSERT STC.&ZLNCHSTC. LOGONID(&ZOWEUSER.) +
   GROUP(&STCGRP.) +
   STCID(&ZLNCHSTC.)

   F ACF2,REFRESH(STC)
";
    let top_secret = "
   TSS ADD(STC) PROCNAME(&ZLNCHSTC.) ACID(&ZOWEUSER.)

   TSS ADD(&ZOWEUSER.) FAC(STC)
";
    for text in [racf, acf2, top_secret] {
        let compiled = Compiled::new(&run(text));
        let task = compiled.started_task("ZWESLSTC", "ZWE1SV").unwrap();
        assert_eq!((task.profile, task.user.unwrap().as_str()), ("ZWESLSTC.*", "ZWESVUSR"), "{text}");
    }
}

#[test]
fn lines_go_on_after_hyphen_plus_and_in_indented_lines() {
    let database = run(
        "//RUN EXEC PGM=IKJEFT01\n/* the server\n   itself */\nRDEFINE FACILITY A.B -\n  UACC(READ)\n\
                        RDEFINE FACILITY A.+\n   C\n  UACC(NONE)\n   WARNING\n PERMIT A.B CLASS(FACILITY)\n\tID(ZWESVUSR)\n",
    );
    let class = "FACILITY".parse().unwrap();
    assert_eq!(database.profile(&class, "A.B").unwrap().access.len(), 1);
    assert!(database.profile(&class, "A.C").unwrap().is_warning);
}

#[test]
fn script_with_a_wrong_line_changes_nothing_and_names_it() {
    let text = "ADDUSER ANN\n\nPERMIT NO.SUCH -\n CLASS(FACILITY) ID(ANN)\n";
    let error = Script::parse(text, &symbols()).unwrap().plan(&Database::initial(), &context()).unwrap_err();
    assert_eq!(error.to_string(), "line 3, `PERMIT NO.SUCH  CLASS(…`");
    let error = Script::parse("ADDUSER &NOBODY.", &symbols()).unwrap_err();
    assert_eq!(error.to_string(), "line 1: symbol &NOBODY has no value");
    let error = Script::parse("ADDUSER X\nADDUSER BOB PASWORD(SECRET)", &symbols()).unwrap_err();
    assert_eq!(error.to_string(), "line 2, `ADDUSER BOB PASWORD(…`");
    let error = Script::parse("TSS CREATE(BOB) TYPE(USER) PASS(SECRET,0)", &symbols()).unwrap_err();
    assert_eq!(error.to_string(), "line 1, `TSS CREATE(…`");
}

#[test]
fn acf2_rules_become_profiles_and_entries() {
    let database = run(
        "ACF\nSET LID\nINSERT ANN NAME(ANN) STC GROUP(ZWEADMIN)\nSET PROFILE(USER) DIV(OMVS)\n\
                        INSERT ANN UID(77) HOME(/home/Ann) OMVSPGM(/bin/sh)\n\
                        SET XREF(ROL)\nINSERT OPS INCLUDE(ANN,ZWESVUSR) ROLE\n\
                        SET RESOURCE(FAC)\nCOMPILE *\n.$KEY(ZWES) TYPE(FAC)\n IS ROLE(OPS) SERVICE(READ) ALLOW\n\
                        IS.- UID(ANN) SERVICE(READ,UPDATE) ALLOW\n - UID(*) PREVENT\nSTORE\n\
                        SET CONTROL(GSO)\nINSERT CLASMAP.MINE RESOURCE(MINE) RSRCTYPE(MIN)\n\
                        SET RESOURCE(MIN)\nRECKEY A ADD(B* USER(ANN) ALLOW)\nF ACF2,REBUILD(MIN)\nEND\n",
    );
    let listed = |class: &str, name: &str| {
        let profile = database.profile(&class.parse().unwrap(), name).unwrap_or_else(|| panic!("{name}"));
        profile.access.iter().map(|(who, level)| format!("{who} {level}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(listed("FACILITY", "ZWES.IS"), "OPS READ");
    assert_eq!(listed("FACILITY", "ZWES.IS.**"), "ANN UPDATE");
    assert_eq!(listed("FACILITY", "ZWES.**"), "* NONE");
    assert_eq!(listed("MINE", "A.B%"), "ANN ALTER");
    assert_eq!(database.users["ANN"].unix.as_ref().unwrap().home.as_deref(), Some("/home/Ann"));
    assert!(database.users["ANN"].groups.contains_key("OPS") && database.users["ANN"].flags.is_protected);
}

#[test]
fn top_secret_permits_become_profiles_and_entries() {
    let database = run("TSS CREATE(OPS) TYPE(GROUP) NAME('OPERATORS') DEPT(D)\nTSS ADD(OPS) GID(?)\n\
                        TSS CREATE(ANN) TYPE(USER) NAME('ANN') PASS(NOPW,0) DEPT(D)\n\
                        TSS ADD(ANN) GROUP(OPS) DFLTGRP(OPS) UID(77) HOME(/home/Ann)\n\
                        TSS ADD(D) IBMFAC(ZWES.)\nTSS PERMIT(ANN) IBMFAC(ZWES.IS) ACCESS(READ)\n\
                        TSS PERMIT(OPS) UNIXPRIV(SUPERUSER.FILESYS) ACCESS(CONTROL)\n\
                        TSS PERMIT(ALL) DSN(ZWE.**) ACCESS(READ)\nTSS PERMIT(OPS) IBMFAC(X) ACCESS(ALL)\n\
                        TSS REVOKE(OPS) IBMFAC(X)\nTSS ADD(RDT) RESCLASS(MINE) MAXLEN(100)\nTSS MODIFY(OMVSTABS)\n");
    let profile = |class: &str, name: &str| database.profile(&class.parse().unwrap(), name).unwrap().clone();
    assert_eq!(profile("FACILITY", "ZWES.IS").access.len(), 1);
    assert!(profile("FACILITY", "ZWES.**").access.is_empty() && profile("FACILITY", "X").access.is_empty());
    assert_eq!(profile("DATASET", "ZWE.**").access.len(), 1);
    assert_eq!(database.classes["MINE"].length_max, 100);
    assert_eq!(database.users["ANN"].default_group.as_str(), "OPS");
    let wrong = |text| Script::parse(text, &symbols()).unwrap_err();
    let source = |error: ScriptError| match error {
        ScriptError::Statement { source, .. } => source.to_string(),
        ScriptError::Symbol { .. } => panic!("{error}"),
    };
    assert!(source(wrong("TSS PERMIT(ANN) IBMFAC(X) ACCESS(SOME)")).contains("SOME"));
    assert!(source(wrong("TSS FROB(ANN)")).contains("FROB"));
    // What is quoted stays one word and becomes no operand of its own.
    assert!(source(wrong("TSS ADD(ANN) GROUP('G) SPECIAL(X')")).contains("GROUP"));
    assert!(source(wrong("TSS PERMIT(ANN) IBMFAC('X'' UACC(ALTER)')")).contains("IBMFAC"));
    assert!(source(wrong("TSS DELETE('ANN BOB')")).contains("ANN BOB"));
    assert!(source(wrong("TSS CREATE(ANN) TYPE(USER) FOO")).contains("FOO"));
}

#[test]
fn quoted_text_in_acf2_becomes_no_operand_of_its_own() {
    for text in [
        "SET LID\nINSERT 'ANN SPECIAL'",
        "SET LID\nINSERT ANN GROUP('G) SPECIAL DATA(X')",
        "SET RESOURCE(FAC)\nRECKEY A ADD('B'' UACC(ALTER)' UID(ANN) ALLOW)",
        "SET RESOURCE(FAC)\nRECKEY A ADD(B UID('ANN) ACCESS(ALTER') ALLOW)",
    ] {
        let error = Script::parse(text, &symbols()).unwrap_err();
        assert!(matches!(error, ScriptError::Statement { line: 2, .. }), "{text}: {error}");
    }
}

#[test]
fn section_of_each_language_may_be_read_again() {
    let text = "TSS CREATE(OPS) TYPE(GROUP) NAME('OPERATORS')\nTSS PERMIT(ZWESVUSR) IBMFAC(Y) ACCESS(READ)\n\
                SET RESOURCE(FAC)\nRECKEY Z ADD(A USER(ZWESVUSR) ALLOW)\n";
    let once = run(text);
    let plan = Script::parse(text, &symbols()).unwrap().plan(&once, &context()).unwrap();
    assert_eq!((plan.changes.len(), plan.return_code), (0, ReturnCode::Done));
}
