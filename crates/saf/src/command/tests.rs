use super::*;
use crate::level::AccessLevel;
use crate::profile::Who;

fn context() -> Context {
    Context { who: "ROOT".parse().unwrap() }
}

/// Carries commands out one after the other.
fn database(commands: &[&str]) -> Database {
    let mut database = Database::initial();
    for command in commands {
        let plan = Command::parse(command).and_then(|command| command.plan(&database, &context()));
        let plan = plan.unwrap_or_else(|error| panic!("{command}: {error}"));
        database.apply(&plan.changes).unwrap();
    }
    database
}

fn plan(database: &Database, command: &str) -> Result<Plan, CommandError> {
    Command::parse(command)?.plan(database, &context())
}

/// A command that cannot be carried out, its number, and what its message says.
fn check_error(database: &Database, command: &str, number: u8, words: &[&str]) {
    let error = plan(database, command).expect_err(command);
    assert_eq!(error.return_code().number(), number, "{command}: {error}");
    for word in words {
        assert!(error.to_string().contains(word), "{command}: {error} does not say {word}");
    }
}

fn facility(database: &Database, name: &str) -> crate::profile::Profile {
    database.profile(&"FACILITY".parse().unwrap(), name).unwrap().clone()
}

#[test]
fn command_reads_the_same_short_in_any_order_and_case() {
    let long = database(&[
        "ADDUSER BOB NAME('Bob the ''Builder''') DFLTGRP(SYS1) SPECIAL OMVS(UID(7) HOME('/home/bob'))",
        "RDEFINE FACILITY A.B UACC(NONE) AUDIT(SUCCESS(UPDATE) FAILURES(READ)) OWNER(BOB)",
        "PERMIT A.B CLASS(FACILITY) ID(BOB SYS1) ACCESS(UPDATE)",
    ]);
    let short = database(&[
        "au bob omvs(home('/home/bob'), uid(7)) spec df(sys1) na('Bob the ''Builder''')",
        "rdef facility (a.b) ow(bob) au(f(r),s(u)) ua(none)",
        "pe a.b i(bob,sys1) ac(update) c(facility) /* that is all */",
    ]);
    assert_eq!(long, short);
    assert_eq!(long.users["BOB"].name.as_deref(), Some("Bob the 'Builder'"));
}

#[test]
fn wrong_operand_is_named() {
    let database = database(&["RDEFINE FACILITY A.B"]);
    check_error(&database, "RDEFINE FACILITY A.C UAC(NONE) WARNIG", 24, &["WARNIG", "WARNING perhaps"]);
    check_error(&database, "ADDUSER BOB NO", 24, &["`NO`", "NOSPECIAL", "NOOMVS"]);
    check_error(&database, "PERMIT A.B CLASS(FACILITY) ACCESS(READ)", 24, &["ID"]);
    check_error(&database, "PERMIT A.B CLASS(FACILITY) ID(ROOT) ACCESS(LOOK)", 24, &["ACCESS", "LOOK"]);
    check_error(&database, "PERMIT A.B CLASS(FACILITY) ID(ROOT) ACCESS", 24, &["ACCESS", "needs a value"]);
    check_error(
        &database,
        "PERMIT A.B CLASS(FACILITY) ID(ROOT) ACCESS(READ) DELETE",
        24,
        &["ACCESS", "DELETE"],
    );
    check_error(&database, "RALTER FACILITY A.B UACC(READ) UACC(NONE)", 24, &["UACC", "twice"]);
    check_error(&database, "RALTER FACILITY A.B WARNING(YES)", 24, &["WARNING", "no value"]);
    check_error(&database, "RALTER FACILITY A.B STDATA(USER(ROOT))", 16, &["STDATA", "STARTED"]);
    check_error(&database, "RALTER FACILITY A.B AUDIT(NONE ALL)", 24, &["NONE", "ALL"]);
    check_error(&database, "ADDUSRE BOB", 24, &["ADDUSRE", "ADDUSER perhaps"]);
    check_error(&database, "ADDUSER BOB NAME('X", 24, &["quote"]);
    check_error(&database, "ADDUSER (BOB ANN", 24, &["not closed"]);
    check_error(&database, "ADDUSER BOB)", 24, &["closes nothing"]);
    check_error(&database, "ADDUSER", 24, &["name"]);
    check_error(&database, "", 24, &["no command"]);
    check_error(&database, "RDEFINE NOSUCH A.B", 28, &["class NOSUCH"]);
    check_error(&database, "RDEFINE FACILITY A**B", 24, &["A**B"]);
    check_error(&database, &"(".repeat(20), 24, &[]);
}

#[test]
fn password_is_refused_and_not_repeated() {
    let error = plan(&Database::initial(), "ADDUSER BOB PASSWORD(SECRET7)").unwrap_err();
    assert!(!error.to_string().contains("SECRET7") && error.to_string().contains("PAM"), "{error}");
}

#[test]
fn definition_that_already_holds_changes_nothing_and_one_that_contradicts_is_refused() {
    let commands = [
        "ADDGROUP STAFF DATA('PEOPLE')",
        "ADDUSER BOB DFLTGRP(STAFF) NOPASSWORD",
        "RDEFINE CDT ZOWE CDTINFO(POSIT(607) MAXLENGTH(246) RACLIST(DISALLOWED))",
        "SETROPTS CLASSACT(ZOWE)",
        "RDEFINE ZOWE APIML.SERVICES UACC(NONE)",
        "PERMIT APIML.SERVICES CLASS(ZOWE) ID(BOB) ACCESS(READ)",
        "CONNECT BOB GROUP(SYS1)",
    ];
    let mut database = database(&commands);
    for command in commands {
        let again = plan(&database, command).unwrap();
        assert_eq!((again.changes.len(), again.return_code), (0, ReturnCode::Done), "{command}");
    }
    check_error(&database, "ADDGROUP STAFF DATA('OTHERS')", 16, &["STAFF", "ALTGROUP"]);
    check_error(&database, "ADDUSER BOB SPECIAL", 16, &["BOB", "ALTUSER"]);
    check_error(&database, "RDEFINE ZOWE APIML.SERVICES UACC(READ)", 16, &["RALTER"]);
    check_error(&database, "RDEFINE CDT ZOWE CDTINFO(POSIT(1))", 16, &["ZOWE"]);
    check_error(&database, "ADDGROUP BOB", 16, &["user"]);
    // What a user got besides does not make its definition another one.
    let changes = plan(&database, "ALTUSER BOB NAME('BOB')").unwrap().changes;
    database.apply(&changes).unwrap();
    assert!(plan(&database, "ADDUSER BOB DFLTGRP(STAFF)").unwrap().changes.is_empty());
}

#[test]
fn what_is_not_there_ends_with_28() {
    let database = database(&["RDEFINE FACILITY A.B"]);
    check_error(&database, "ALTUSER NOBODY SPECIAL", 28, &["NOBODY"]);
    check_error(&database, "DELUSER NOBODY", 28, &["NOBODY"]);
    check_error(&database, "DELGROUP NOBODY", 28, &["NOBODY"]);
    check_error(&database, "RDELETE FACILITY A.C", 28, &["A.C"]);
    check_error(&database, "PERMIT A.B CLASS(FACILITY) ID(NOBODY)", 28, &["NOBODY"]);
    check_error(&database, "PERMIT A.C CLASS(FACILITY) ID(ROOT)", 28, &["A.C"]);
    check_error(&database, "CONNECT NOBODY GROUP(SYS1)", 28, &["NOBODY"]);
    check_error(&database, "LISTUSER NOBODY", 28, &["NOBODY"]);
    check_error(&database, "RLIST FACILITY Z", 28, &["Z"]);
}

#[test]
fn permit_sets_changes_and_deletes_entries() {
    let base = ["ADDGROUP STAFF", "ADDUSER BOB DFLTGRP(STAFF)", "RDEFINE FACILITY A.B"];
    let mut database = database(&base);
    let mut run = |command: &str| {
        let plan = plan(&database, command).unwrap();
        database.apply(&plan.changes).unwrap();
        (facility(&database, "A.B"), plan.return_code.number())
    };
    let (profile, _) = run("PERMIT A.B CLASS(FACILITY) ID(BOB *)");
    assert_eq!(profile.access.values().collect::<Vec<_>>(), [&AccessLevel::Read; 2]);
    assert!(profile.access.contains_key(&Who::All));
    let (profile, _) =
        run("PERMIT A.B CLASS(FACILITY) ID(STAFF) ACCESS(UPDATE) WHEN(TERMINAL(t1 t2) PROGRAM(x))");
    assert_eq!(profile.conditional.len(), 3);
    assert_eq!(profile.conditional[0].when.to_string(), "WHEN(TERMINAL(T1))");
    let (profile, _) = run("PERMIT A.B CLASS(FACILITY) ID(STAFF) DELETE WHEN(TERMINAL(T1))");
    assert_eq!(profile.conditional.len(), 2);
    let (profile, code) = run("PERMIT A.B CLASS(FACILITY) ID(BOB) DELETE");
    assert_eq!((profile.access.len(), code), (1, 0));
    assert_eq!(run("PERMIT A.B CLASS(FACILITY) ID(BOB) DELETE").1, 4);
    let (profile, _) = run("PERMIT A.B CLASS(FACILITY) RESET(WHEN)");
    assert_eq!((profile.access.len(), profile.conditional.len()), (1, 0));
    assert!(run("PERMIT A.B CLASS(FACILITY) RESET").0.access.is_empty());
}

#[test]
fn deleted_user_leaves_no_entry_that_a_later_one_would_inherit() {
    let database = database(&[
        "ADDUSER BOB",
        "RDEFINE FACILITY A.B",
        "PERMIT A.B CLASS(FACILITY) ID(BOB)",
        "PERMIT A.B CLASS(FACILITY) ID(BOB) WHEN(CONSOLE(C))",
        "DELUSER BOB",
        "ADDUSER BOB",
    ]);
    assert!(
        facility(&database, "A.B").access.is_empty() && facility(&database, "A.B").conditional.is_empty()
    );
    assert_eq!(database.dangling(), Vec::<String>::new());
}

#[test]
fn groups_are_a_tree_that_cannot_be_cut_or_closed() {
    let database = database(&[
        "ADDGROUP A",
        "ADDGROUP B SUPGROUP(A)",
        "ADDGROUP C SUPGROUP(B)",
        "ADDUSER BOB DFLTGRP(C)",
    ]);
    check_error(&database, "ALTGROUP A SUPGROUP(C)", 16, &["below"]);
    check_error(&database, "ALTGROUP A SUPGROUP(A)", 16, &["itself"]);
    check_error(&database, "DELGROUP B", 16, &["group C"]);
    check_error(&database, "DELGROUP C", 16, &["BOB"]);
    check_error(&database, "DELGROUP SYS1", 16, &[]);
    check_error(&database, "REMOVE BOB GROUP(C)", 16, &["default"]);
    check_error(&database, "ALTUSER BOB DFLTGRP(A)", 16, &["not connected"]);
    assert_eq!(plan(&database, "REMOVE BOB GROUP(A)").unwrap().return_code.number(), 4);
}

#[test]
fn number_of_linux_belongs_to_one() {
    let database = database(&["ADDUSER BOB OMVS(UID(7))", "ADDGROUP STAFF OMVS(GID(7))"]);
    check_error(&database, "ADDUSER ANN OMVS(UID(7))", 16, &["BOB", "SHARED"]);
    check_error(&database, "ADDGROUP CREW OMVS(GID(7))", 16, &["STAFF"]);
    check_error(&database, "ADDUSER ANN OMVS(UID(7) AUTOUID)", 24, &["AUTOUID"]);
    check_error(&database, "ADDUSER ANN OMVS(UID(MANY))", 24, &["UID", "MANY"]);
    assert_eq!(plan(&database, "ADDUSER ANN OMVS(UID(7) SHARED)").unwrap().return_code.number(), 4);
}

#[test]
fn class_of_the_installation_has_its_own_rules() {
    let database = database(&[
        "RDEFINE CDT $MINE UACC(NONE) CDTINFO(DEFAULTUACC(READ) CASE(ASIS) MAXLENGTH(8) DEFAULTRC(8) POSIT(20) \
         FIRST(ALPHA) OTHER(ALPHA NUMERIC) GENERIC(ALLOWED))",
        "SETROPTS CLASSACT($MINE) RACLIST(FACILITY) GENERIC(*) NOGRPLIST",
        "RDEFINE $MINE aBc",
    ]);
    let profile = database.profile(&"$MINE".parse().unwrap(), "aBc").unwrap();
    assert_eq!(profile.uacc, AccessLevel::Read);
    assert!(database.classes["FACILITY"].is_raclisted && database.classes["SERVER"].is_generic);
    assert!(!database.options.is_grouplist);
    check_error(&database, "RDEFINE $MINE TOOLONGNAME", 24, &["TOOLONGNAME", "8"]);
    check_error(&database, "SETROPTS RACLIST($MINE)", 16, &["DISALLOWED"]);
    check_error(&database, "RDELETE CDT $MINE", 16, &["aBc"]);
    check_error(&database, "RDELETE CDT FACILITY", 16, &["product"]);
    check_error(&database, "RALTER CDT $MINE CDTINFO(MAXLENGTH(2))", 16, &["longer"]);
    check_error(&database, "RALTER CDT $MINE CDTINFO(DEFAULTRC(5))", 24, &["DEFAULTRC"]);
    check_error(&database, "RALTER CDT $MINE CDTINFO(GENERIC(DISALLOWED))", 24, &["GENERIC"]);
}

#[test]
fn listings_show_the_commands_that_would_define() {
    let database = database(&[
        "ADDGROUP STAFF",
        "ADDUSER BOB DFLTGRP(STAFF)",
        "RDEFINE FACILITY A.* UACC(READ) WARNING",
        "RDEFINE FACILITY A.B",
        "PERMIT A.B CLASS(FACILITY) ID(STAFF) ACCESS(ALTER)",
    ]);
    let texts = |command: &str| {
        let plan = plan(&database, command).unwrap();
        assert!(plan.changes.is_empty());
        plan.effects.into_iter().map(|effect| effect.text).collect::<Vec<_>>()
    };
    let permit = "PERMIT A.B CLASS(FACILITY) ID(STAFF) ACCESS(ALTER)";
    assert_eq!(texts("RLIST FACILITY A.B")[1], permit);
    assert!(texts("RLIST FACILITY A.X")[0].starts_with("RDEFINE FACILITY A.* OWNER(ROOT) UACC(READ)"));
    assert_eq!(texts("RLIST FACILITY *").len(), 3);
    assert_eq!(texts("SEARCH CLASS(FACILITY)"), ["A.*", "A.B"]);
    assert_eq!(texts("SEARCH CLASS(FACILITY) NOGENERIC"), ["A.B"]);
    assert_eq!(texts("SEARCH CLASS(FACILITY) USER(BOB)"), ["A.B"]);
    assert_eq!(texts("SEARCH CLASS(FACILITY) WARNING"), ["A.*"]);
    assert_eq!(texts("SEARCH CLASS(USER) MASK(B)"), ["BOB"]);
    assert_eq!(texts("SEARCH CLASS(GROUP) FILTER(S%*)"), ["STAFF", "SYS1"]);
    assert_eq!(texts("LISTGRP STAFF")[1], "/* MEMBERS: BOB */");
    assert!(texts("LISTUSER").concat().contains("ADDUSER ROOT"));
    assert!(texts("SETROPTS LIST")[2].contains("FACILITY"));
    assert_eq!(plan(&database, "SEARCH CLASS(FACILITY) MASK(Z)").unwrap().return_code.number(), 4);
}
