//! `tender saf` and `tender security`: profiles from the first definition to a decision.

use std::fs;

use tender_saf::{AuditEntry, AuditLog, Verdict};

use crate::world::World;

#[test]
fn access_is_given_by_commands_of_racf_and_explained() {
    let world = World::new();
    let saf = |line: &str| world.run("host", &format!("saf {line}"));
    saf("listuser root").ends(28).says("tender saf create");
    saf("create --check").ends(0).says("would make");
    saf("create").ends(0).says("saf.db");
    saf("create").ends(16);
    saf("adduser bob omvs(uid(1001))").ends(0).says("user BOB is defined").says("change 1 is in force");
    saf("adduser bob omvs(uid(1001))").ends(0).says("already defined");
    saf("adduser bob special").ends(16).says("ALTUSER");
    saf("rdefine facility zwes.is uacc(none) --check").ends(0).says("would change: profile FACILITY ZWES.IS");
    saf("rdefine facility zwes.is uacc(none)").ends(0);
    saf("explain --user bob facility zwes.is")
        .ends(16)
        .says("PERMIT ZWES.IS CLASS(FACILITY) ID(BOB) ACCESS(READ)");
    saf("permit zwes.is class(facility) id(bob) access(read)").ends(0);
    saf("explain --user bob facility zwes.is read").ends(0).says("the entry of user BOB in profile ZWES.IS");
    saf("explain --linux-user root facility zwes.is read").ends(16).says("ROOT has no READ access");
    saf("explain --linux-user no-such-user facility zwes.is").ends(28);
    saf("who-can facility zwes.is read").ends(0).says("BOB");
    saf("who-can facility zwes.is alter").ends(0).says("nobody");
    saf("rlist facility zwes.is").ends(0).says("PERMIT ZWES.IS CLASS(FACILITY) ID(BOB) ACCESS(READ)");
    saf("rdefine facility zwes.is2 uaccc(none)").ends(24).says("UACC perhaps");
    saf("history --of zwes.is").ends(0).says("permit zwes.is class(facility)");
    saf("copy --text text").ends(0);
    saf("--database text permit zwes.is class(facility) id(bob) delete").ends(0);
    saf("--database text explain --user bob facility zwes.is read").ends(16);
    saf("explain --user bob facility zwes.is read").ends(0);
    let text = fs::read_to_string(world.path("text/class-FACILITY.saf")).unwrap();
    assert_eq!(text, "RDEFINE FACILITY ZWES.IS OWNER(ROOT) UACC(NONE) AUDIT(FAILURES(READ))\n");
}

#[test]
fn security_is_set_up_in_the_database_and_printed_for_others() {
    let world = World::new();
    let run = |line: &str| world.run("host", line);
    run("saf create").ends(0);
    run("security init --dry-run").ends(0).says("would change").says("profile FACILITY ZWES.IS");
    run("saf who-can facility zwes.is").ends(0).says("nobody");
    run("security init").ends(0).says("change 1 is in force").says("tender saf permit zwes.is ");
    run("security init").ends(0).says("already");
    run("saf explain --user zwesvusr facility zwes.is read").ends(0);
    // Root may ask, and change nothing by it.
    run("saf explain --user root facility zwes.is.srv.status read").ends(0);
    run("saf explain --user root facility zwes.is.srv.auth update").ends(16);
    run("saf permit zwes.is class(facility) id(zwesvusr) access(none)").ends(0);
    run("security init").ends(4).says("ZWESVUSR NONE").says("stays as it is");
    run("security init --esm racf").ends(0).says("ADDGROUP ZWEADMIN OMVS(AUTOGID)");
    run("security init --esm acf2").ends(0).says("RECKEY ZWES ADD(IS USER(ZWESVUSR)");
    run("security init --esm tss --server-user me")
        .ends(0)
        .says("TSS PERMIT(ME) IBMFAC(ZWES.IS) ACCESS(READ)");
    let users = run("security init --sysusers").ends(0).says("u zwesvusr -").says("m zwesfrnt zweguest");
    // Those that the installer makes are not made here a second time, and otherwise.
    assert!(!users.text.contains("u zwesiusr") && !users.text.contains("u zwesfrnt"), "{users:?}");
    run("security init --sysusers --xmem-user other").ends(0).says("u other -");
    run("security init --esm vms").ends(24).says("racf, acf2 or tss");
}

#[test]
fn script_is_carried_out_whole_or_not_at_all() {
    let world = World::new();
    let run = |line: &str| world.run("host", line);
    run("saf create").ends(0);
    let script =
        "ADDUSER &ZOWEUSER. -\n  NOPASSWORD\nRDEFINE FACILITY A.B\nPERMIT A.B CLASS(FACILITY) ID(NOBODY)\n";
    fs::write(world.path("job"), script).unwrap();
    run("saf apply job").ends(28).says("line 4").says("NOBODY");
    run("saf listuser zwesvusr").ends(28);
    fs::write(world.path("job"), script.replace("NOBODY", "&ZOWEUSER.")).unwrap();
    run("saf apply job --symbol ZOWEUSER=ME").ends(0);
    run("saf explain --user me facility a.b").ends(0);
    fs::write(world.path("job"), "ADDUSER &WHO.\n").unwrap();
    run("saf apply job").ends(24).says("symbol &WHO");
}

#[test]
fn log_that_was_changed_or_says_what_cannot_be_ends_with_32() {
    let world = World::new();
    let path = world.path("log");
    let audit = || world.run("host", "saf audit log");
    audit().ends(28).says("there is no log");
    let entry = |count: u64| AuditEntry {
        at: jiff::Timestamp::UNIX_EPOCH,
        since: None,
        verdict: Verdict::Refused,
        user: Some("BOB".to_owned()),
        actor: None,
        origin: None,
        class: "FACILITY".to_owned(),
        resource: "A.B".to_owned(),
        level: None,
        rule: "no profile".to_owned(),
        remedy: None,
        count,
    };
    let mut log = AuditLog::open(&path).unwrap();
    log.append(&[entry(1), entry(1)]).unwrap();
    audit().ends(0).says("2 lines");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("A.B", "A.C", 1)).unwrap();
    audit().ends(32).says("line 2").says("the log was changed");
    fs::write(&path, &text[1..]).unwrap();
    audit().ends(32).says("line 1").says("not a record");
    // Whoever can write the chain anew can still not put two refusals into one line.
    fs::remove_file(&path).unwrap();
    AuditLog::open(&path).unwrap().append(&[entry(7)]).unwrap();
    audit().ends(32).says("line 1");
}
