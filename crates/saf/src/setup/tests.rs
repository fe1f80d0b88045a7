use super::*;
use crate::compiled::Compiled;
use crate::decision::Question;
use crate::profile::Conditions;
use crate::script::Script;
use crate::subject::Subject;

fn context() -> Context {
    Context { who: "ROOT".parse().unwrap() }
}

fn expected(esm: Esm, text: &str) {
    let found = setup_text(&SetupNames::default(), esm);
    for (number, (found, expected)) in found.lines().zip(text.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", number + 1);
    }
    assert_eq!(found, text);
    assert!(found.lines().all(|line| line.len() < 72), "a job's input ends at column 72");
}

#[test]
fn racf_text_is_as_expected() {
    expected(Esm::Racf, include_str!("expected/racf.txt"));
}

#[test]
fn acf2_text_is_as_expected() {
    expected(Esm::Acf2, include_str!("expected/acf2.txt"));
}

#[test]
fn top_secret_text_is_as_expected() {
    expected(Esm::TopSecret, include_str!("expected/top_secret.txt"));
}

#[test]
fn tender_text_is_as_expected() {
    expected(Esm::Tender, include_str!("expected/tender.txt"));
}

/// What the texts give, asked of a database that has read them.
fn answers(database: &Database) -> Vec<String> {
    let compiled = Compiled::new(database);
    let mut answers = Vec::new();
    for user in ["ZWESVUSR", "ZWESIUSR", "ROOT"] {
        for (class, resource) in [
            ("FACILITY", "ZWES.IS"),
            ("FACILITY", "ZWES.IS.SRV.AUTH"),
            ("FACILITY", "ZWES.IS.OPER.STOP"),
            ("FACILITY", "ZWES.IS.EXPLAIN"),
            ("SURROGAT", "BOB.ZWES"),
            ("PTKTDATA", "IRRPTAUTH.TSO.BOB"),
            ("FACILITY", "BPX.DAEMON"),
            ("FACILITY", "BPX.JOBNAME"),
            ("UNIXPRIV", "SUPERUSER.FILESYS"),
            ("ZOWE", "APIML.SERVICES"),
            ("DATASET", "ZWE.SZWEAUTH"),
        ] {
            for level in [AccessLevel::Read, AccessLevel::Update, AccessLevel::Control] {
                let question = Question { class, resource, level, conditions: Conditions::default() };
                let decision = compiled.decide(&Subject::user(user.parse().unwrap()), &question);
                answers.push(format!("{user} {class} {resource} {level}: {}", decision.granted));
            }
        }
    }
    for task in ["ZWESVSTC", "ZWESLSTC", "ZWESISTC", "ZWESASTC"] {
        let user = compiled.started_task(task, "JOB").unwrap().user.unwrap();
        answers.push(format!("{task} runs as {user}"));
    }
    answers
}

#[test]
fn texts_of_three_products_give_the_same_access() {
    let read = |esm| {
        let text = setup_text(&SetupNames::default(), esm);
        let script = Script::parse(&text, &BTreeMap::new()).unwrap();
        let mut database = Database::initial();
        let plan = script.plan(&database, &context()).unwrap();
        database.apply(&plan.changes).unwrap();
        let again = script.plan(&database, &context()).unwrap();
        assert!(again.changes.is_empty(), "{esm:?} read again changes {:?}", again.changes[0].key);
        answers(&database)
    };
    let racf = read(Esm::Racf);
    assert_eq!(racf.iter().filter(|answer| answer.ends_with("true")).count(), 23, "{racf:#?}");
    assert_eq!(read(Esm::TopSecret), racf);
    assert_eq!(read(Esm::Acf2), racf);
}

#[test]
fn database_is_set_up_once_and_what_differs_stays() {
    let names = SetupNames::default();
    let mut database = Database::initial();
    let first = setup_database(&database, &names, &context()).unwrap();
    assert_eq!(first.return_code.number(), 0, "{:?}", first.effects);
    database.apply(&first.changes).unwrap();
    let again = setup_database(&database, &names, &context()).unwrap();
    assert_eq!((again.changes.len(), again.return_code.number()), (0, 0));

    for command in
        ["PERMIT ZWES.IS CLASS(FACILITY) ID(ZWESVUSR) ACCESS(NONE)", "RALTER FACILITY BPX.SERVER UACC(READ)"]
    {
        let plan = Command::parse(command).unwrap().plan(&database, &context()).unwrap();
        database.apply(&plan.changes).unwrap();
    }
    let edited = setup_database(&database, &names, &context()).unwrap();
    assert_eq!((edited.changes.len(), edited.return_code.number()), (0, 4));
    let warnings: Vec<_> = edited.effects.iter().filter(|effect| effect.code.number() == 4).collect();
    assert!(
        warnings[0].text.contains("ZWESVUSR NONE") && warnings[1].text.contains("BPX.SERVER"),
        "{warnings:?}"
    );
}

#[test]
fn names_of_the_installation_go_everywhere() {
    let names = SetupNames {
        task_group: "TASKS".to_owned(),
        aux_user: "AUXUSR".to_owned(),
        class: "MYCLASS".to_owned(),
        numbers: BTreeMap::from([("ZOWEUID".to_owned(), 900)]),
        departments: BTreeMap::from([
            ("ADMINDEP".to_owned(), "ADM".to_owned()),
            ("FACACID".to_owned(), "OWN".to_owned()),
        ]),
        ..SetupNames::default()
    };
    let tss = setup_text(&names, Esm::TopSecret);
    for wanted in [
        "DEPT(ADM)",
        "UID(900)",
        "TSS ADD(OWN) IBMFAC(ZWES.IS)",
        "RESCLASS(MYCLASS)",
        "CREATE(AUXUSR)",
        "CREATE(TASKS)",
    ] {
        assert!(tss.contains(wanted), "{wanted} in {tss}");
    }
    assert!(setup_text(&names, Esm::Racf).contains("PERMIT ZWES.IS CLASS(FACILITY) ID(AUXUSR) ACCESS(READ)"));
    let accounts = sysusers_text(&names, &[]);
    assert!(accounts.contains("u zwesvusr 900 \"main server\" - -\nm zwesvusr tasks\n"), "{accounts}");
    assert!("vms".parse::<Esm>().unwrap_err().to_string().contains("vms"));
}

#[test]
fn processes_that_are_not_trusted_are_no_administrators() {
    let names = SetupNames::default();
    let mut database = Database::initial();
    let plan = setup_database(&database, &names, &context()).unwrap();
    database.apply(&plan.changes).unwrap();
    let compiled = Compiled::new(&database);
    let may = |user: &str, resource, level| {
        let question = Question { class: "FACILITY", resource, level, conditions: Conditions::default() };
        compiled.decide(&Subject::user(user.parse().unwrap()), &question).granted
    };
    for user in ["ZWESAUX", "ZWESFRNT", "ZWESVUSR", "ZWESIUSR"] {
        assert!(!may(user, "ZWES.IS.OPER.STOP", AccessLevel::Read), "{user}");
        assert!(!may(user, "ZWES.IS.EXPLAIN", AccessLevel::Read), "{user}");
    }
    assert!(
        may("ROOT", "ZWES.IS.OPER.STOP", AccessLevel::Update)
            && may("ROOT", "ZWES.IS.EXPLAIN", AccessLevel::Read)
    );
    assert!(may("ZWESAUX", "ZWES.IS", AccessLevel::Read) && !may("ZWESFRNT", "ZWES.IS", AccessLevel::Read));
    // Root asks what it likes, and changes only what it is permitted to.
    assert!(
        may("ROOT", "ZWES.IS", AccessLevel::Read) && may("ROOT", "ZWES.IS.SRV.STATUS", AccessLevel::Read)
    );
    assert!(!may("ROOT", "ZWES.IS.SRV.AUTH", AccessLevel::Update));
    let accounts = sysusers_text(&names, &[]);
    for line in ["u zwesiusr - \"cross-memory server\" - -", "m zwesfrnt zweguest", "m zwesaux zweguest"] {
        assert!(accounts.lines().any(|found| found == line), "{line} in {accounts}");
    }
    assert!(!accounts.contains("m zwesfrnt zweadmin") && !accounts.contains("m zwesaux zweadmin"));
    // Whom somebody else makes is only put into its group.
    let accounts = sysusers_text(&names, &["zwesiusr", "zwesfrnt", "zwesaux"]);
    assert!(accounts.contains("m zwesaux zweguest") && accounts.contains("u zwesvusr"), "{accounts}");
    assert!(["u zwesiusr", "u zwesfrnt", "u zwesaux"].iter().all(|made| !accounts.contains(made)));
    let numbered = [("FRONTUID".to_owned(), 977)].into_iter().collect();
    let names = SetupNames { numbers: numbered, ..names };
    assert!(sysusers_text(&names, &["zwesfrnt"]).contains("u zwesfrnt 977 "), "a number is asked for");
}
