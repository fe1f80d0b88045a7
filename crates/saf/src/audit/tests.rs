use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::*;

const SOON: Duration = Duration::from_secs(30);

fn entry(verdict: Verdict, resource: &str) -> AuditEntry {
    AuditEntry {
        at: Timestamp::UNIX_EPOCH,
        since: None,
        verdict,
        user: Some("BOB".to_owned()),
        actor: None,
        origin: None,
        class: "FACILITY".to_owned(),
        resource: resource.to_owned(),
        level: Some(AccessLevel::Read),
        rule: "no profile matches".to_owned(),
        remedy: None,
        count: 1,
    }
}

fn log_of(dir: &Path, resources: &[&str]) -> PathBuf {
    let path = dir.join("audit.log");
    let mut log = AuditLog::open(&path).unwrap();
    for resource in resources {
        log.append(&[entry(Verdict::Refused, resource)]).unwrap();
    }
    path
}

#[test]
fn log_is_a_chain_that_a_change_breaks() {
    let dir = tempfile::tempdir().unwrap();
    let path = log_of(dir.path(), &["ONE", "TWO", "THREE"]);
    assert_eq!(AuditLog::verify(&path).unwrap().count, 3);
    assert_eq!(AuditLog::open(&path).unwrap().head(), &AuditLog::verify(&path).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777 & !0o640, 0);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("TWO", "TVO")).unwrap();
    assert!(matches!(AuditLog::verify(&path), Err(AuditError::Broken { line: 3, .. })));
    let without: Vec<&str> = text.lines().filter(|line| !line.contains("TWO")).collect();
    std::fs::write(&path, without.join("\n")).unwrap();
    assert!(matches!(AuditLog::verify(&path), Err(AuditError::Broken { line: 2, .. })));
}

#[test]
fn line_cut_short_by_a_crash_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = log_of(dir.path(), &["ONE"]);
    let mut text = std::fs::read(&path).unwrap();
    text.extend_from_slice(b"{\"seq\":2,\"prev\":");
    std::fs::write(&path, text).unwrap();
    AuditLog::open(&path).unwrap().append(&[entry(Verdict::Refused, "TWO")]).unwrap();
    assert_eq!(AuditLog::verify(&path).unwrap().count, 2);
}

#[test]
fn two_handles_make_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let (mut one, mut two) = (AuditLog::open(&path).unwrap(), AuditLog::open(&path).unwrap());
    for resource in ["A", "B", "C"] {
        one.append(&[entry(Verdict::Granted, resource)]).unwrap();
        two.append(&[entry(Verdict::Refused, resource), entry(Verdict::Granted, resource)]).unwrap();
    }
    assert_eq!(AuditLog::verify(&path).unwrap().count, 9);
}

#[test]
fn writer_writes_what_many_threads_hand_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let writer = AuditWriter::start(&path, AuditOptions::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let writer = &writer;
            scope.spawn(move || {
                for number in 0..500 {
                    writer.record(&entry(Verdict::Refused, &format!("T{thread}.N{number}"))).unwrap();
                }
            });
        }
    });
    writer.stop(SOON).unwrap();
    assert_eq!(AuditLog::verify(&path).unwrap().count, 2000);
    let entries = AuditLog::read(&path).unwrap();
    let of_one: Vec<_> = entries.iter().filter(|entry| entry.resource.starts_with("T1.")).collect();
    assert!(of_one.windows(2).all(|pair| pair[0].resource.len() <= pair[1].resource.len()), "in order");
}

#[test]
fn grants_are_left_out_before_refusals_and_the_gap_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    // The writer collects until it is stopped, so that the queue fills.
    let options = AuditOptions { queue_entries_max: 8, linger_ms: 600_000, wait_ms: 0, retry_ms: 1 };
    let writer = AuditWriter::start(&path, options).unwrap();
    for number in 0..10 {
        writer.record(&entry(Verdict::Granted, &format!("G{number}"))).unwrap();
    }
    for number in 0..4 {
        writer.record(&entry(Verdict::Refused, &format!("R{number}"))).unwrap();
    }
    let full = writer.record(&entry(Verdict::Refused, "R4")).unwrap_err();
    assert!(matches!(full, AuditError::Full { is_failing: false, .. }), "{full}");
    drop(writer);
    let entries = AuditLog::read(&path).unwrap();
    let count = |verdict| {
        entries.iter().filter(|entry| entry.verdict == verdict).map(|entry| entry.count).sum::<u64>()
    };
    assert_eq!([Verdict::Granted, Verdict::Refused, Verdict::Dropped].map(count), [4, 4, 6]);
    AuditLog::verify(&path).unwrap();
}

#[test]
fn disk_that_takes_nothing_keeps_refusals_until_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let mut log = AuditLog::open(&path).unwrap();
    log.append(&[entry(Verdict::Refused, "ONE")]).unwrap();
    // A file that is gone stands for a file system that fails: it cannot be locked.
    let aside = dir.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    assert!(matches!(log.append(&[entry(Verdict::Refused, "TWO")]), Err(AuditError::Io { .. })));

    std::fs::rename(&aside, &path).unwrap();
    let options = AuditOptions { queue_entries_max: 4, linger_ms: 0, wait_ms: 0, retry_ms: 1 };
    let writer = AuditWriter::start(&path, options).unwrap();
    std::fs::rename(&path, &aside).unwrap();
    writer.record(&entry(Verdict::Refused, "TWO")).unwrap();
    let deadline = std::time::Instant::now() + SOON;
    while !writer.backlog().1 {
        assert!(std::time::Instant::now() < deadline, "the failure shows");
        std::thread::yield_now();
    }
    let mut taken = 1;
    let refused = loop {
        match writer.record(&entry(Verdict::Refused, "MORE")) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken <= 4);
    };
    assert!(matches!(refused, AuditError::Full { .. }), "{refused}");
    std::fs::rename(&aside, &path).unwrap();
    writer.stop(SOON).unwrap();
    assert_eq!(AuditLog::verify(&path).unwrap().count, 1 + taken);
}

#[test]
fn text_of_any_length_leaves_a_log_that_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    for _ in 0..2 {
        let mut log = AuditLog::open(&path).unwrap();
        let mut long = entry(Verdict::Refused, &"\u{1}ä\n".repeat(100_000));
        long.origin = Some("x".repeat(1 << 20));
        log.append(&[long, entry(Verdict::Refused, "SHORT")]).unwrap();
    }
    assert_eq!(AuditLog::verify(&path).unwrap().count, 4);
    assert!(std::fs::metadata(&path).unwrap().len() < 40_000);
}

#[test]
fn file_that_is_no_log_is_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    assert!(matches!(AuditLog::open(&path), Err(AuditError::Io { .. })));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 20);
}

#[test]
fn entry_of_a_decision_says_who_what_and_the_way_on() {
    let compiled = crate::compiled::Compiled::new(&crate::database::Database::initial());
    let subject = Subject::user("ROOT".parse().unwrap());
    let conditions = crate::profile::Conditions::default();
    let resource = "A".repeat(5000);
    for (resource, rule) in [("A.B", "no profile matches"), (&*resource, "no resource can have this name")] {
        let question = Question { class: "FACILITY", resource, level: AccessLevel::Read, conditions };
        let entry =
            AuditEntry::of(Timestamp::UNIX_EPOCH, &subject, &question, &compiled.decide(&subject, &question));
        assert_eq!(
            (entry.verdict, &*entry.rule, entry.user.as_deref()),
            (Verdict::Refused, rule, Some("ROOT"))
        );
        assert!(entry.resource.len() <= 1024 && entry.remedy.is_some());
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn many_grants_become_one_entry_that_the_chain_covers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let mut tally = AuditTally::new(entry(Verdict::Granted, "A.B")).unwrap();
    assert_eq!(tally.take(), None);
    for second in [30, 10, 20] {
        tally.hit(at(second));
    }
    tally.add(1_000_000, at(5), at(25));
    let many = tally.take().unwrap();
    assert_eq!((many.since, many.at, many.count), (Some(at(5)), at(30), 1_000_003));
    tally.hit(at(40));
    let one = tally.take().unwrap();
    assert_eq!((one.since, one.at, one.count, tally.count()), (None, at(40), 1, 0));
    for verdict in [Verdict::Refused, Verdict::Warning, Verdict::Dropped] {
        assert_eq!(AuditTally::new(entry(verdict, "A.B")), None, "{verdict:?} stands alone");
    }
    let writer = AuditWriter::start(&path, AuditOptions::default()).unwrap();
    writer.record(&many).unwrap();
    writer.record(&one).unwrap();
    writer.stop(SOON).unwrap();
    assert_eq!(AuditLog::read(&path).unwrap(), [many, one]);
    assert_eq!(AuditLog::verify(&path).unwrap().count, 2);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("\"since\":\"1970-01-01T00:00:05Z\"") && text.contains("\"count\":1000003"),
        "{text}"
    );
    std::fs::write(&path, text.replace("1000003", "1000002")).unwrap();
    assert!(matches!(AuditLog::verify(&path), Err(AuditError::Broken { line: 2, .. })));
}

#[test]
fn entry_that_says_of_itself_what_cannot_be_is_found() {
    let refused = |count| AuditEntry { count, ..entry(Verdict::Refused, "A.B") };
    let granted = |count, since| AuditEntry { count, since, ..entry(Verdict::Granted, "A.B") };
    let dropped = |since| AuditEntry { count: 9, since, ..entry(Verdict::Dropped, "") };
    for (wrong, is_wrong) in [
        (refused(1), false),
        (refused(2), true),
        (refused(0), true),
        (granted(5, Some(Timestamp::UNIX_EPOCH)), false),
        (granted(5, None), false),
        (granted(5, Some(at(1))), true),
        (granted(1, Some(Timestamp::UNIX_EPOCH)), true),
        (dropped(None), false),
        (dropped(Some(Timestamp::UNIX_EPOCH)), true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        AuditLog::open(&path).unwrap().append(std::slice::from_ref(&wrong)).unwrap();
        let found = AuditLog::verify(&path);
        assert_eq!(matches!(found, Err(AuditError::Contradiction { line: 1, .. })), is_wrong, "{wrong:?}");
        assert_eq!(found.is_ok(), !is_wrong);
    }
}

#[test]
fn receipt_becomes_the_number_of_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = log_of(dir.path(), &["BEFORE"]);
    // The writer would collect for ten minutes; whoever asks for a number does not wait for that.
    let options = AuditOptions { linger_ms: 600_000, ..AuditOptions::default() };
    let writer = AuditWriter::start(&path, options).unwrap();
    let mut receipts = Vec::new();
    for number in 0..20 {
        let receipt = writer.record(&entry(Verdict::Refused, &format!("R{number}"))).unwrap();
        if number % 7 == 0 {
            writer.number(receipt, SOON).unwrap();
            // Another process writes in between.
            AuditLog::open(&path).unwrap().append(&[entry(Verdict::Refused, "OTHER")]).unwrap();
        }
        receipts.push((number, receipt));
    }
    writer.number(receipts[19].1, SOON).unwrap();
    let entries = AuditLog::read(&path).unwrap();
    for (number, receipt) in receipts {
        let line = writer.number(receipt, SOON).unwrap();
        let entry = &entries[usize::try_from(line).unwrap() - 1];
        assert_eq!(entry.resource, format!("R{number}"));
    }
    drop(writer);
    AuditLog::verify(&path).unwrap();
}

#[test]
fn grant_that_was_left_out_has_no_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let options = AuditOptions { queue_entries_max: 2, linger_ms: 600_000, wait_ms: 0, retry_ms: 1 };
    let writer = AuditWriter::start(&path, options).unwrap();
    let many = AuditEntry { count: 500, since: Some(at(-9)), ..entry(Verdict::Granted, "A") };
    writer.record(&many).unwrap();
    let left_out = writer.record(&many).unwrap();
    assert!(matches!(writer.number(left_out, SOON), Err(AuditError::Unnumbered { .. })));
    drop(writer);
    let entries = AuditLog::read(&path).unwrap();
    assert_eq!((entries[0].count, entries[1].verdict, entries[1].count), (500, Verdict::Dropped, 500));
}

#[test]
fn decision_handed_over_directly_is_written_like_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    let compiled = crate::compiled::Compiled::new(&crate::database::Database::initial());
    let subject = Subject::user("ROOT".parse().unwrap());
    let conditions = crate::profile::Conditions::default();
    let writer = AuditWriter::start(&dir.path().join("audit.log"), AuditOptions::default()).unwrap();
    let mut wanted = Vec::new();
    for resource in ["A.B", "\u{1}\"ä", &"X".repeat(100_000)] {
        let question = Question { class: "FACILITY", resource, level: AccessLevel::Read, conditions };
        let decision = compiled.decide(&subject, &question);
        writer.record_decision(at(7), &subject, &question, &decision, (Some("BOB"), None)).unwrap();
        let entry = AuditEntry::of(at(7), &subject, &question, &decision);
        wanted.push(AuditEntry { actor: Some("BOB".to_owned()), ..entry });
    }
    writer.stop(SOON).unwrap();
    assert_eq!(AuditLog::read(&dir.path().join("audit.log")).unwrap(), wanted);
}
