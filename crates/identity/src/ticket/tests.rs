use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_700_000_000;

fn at(unix_s: u64) -> Moment {
    Moment { unix_s, steady_ms: unix_s * 1000 }
}

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn appl(name: &str) -> ApplicationName {
    name.parse().unwrap()
}

fn open(dir: &Path, moment: Moment) -> TicketService {
    TicketService::open(&dir.join("keys"), TicketOptions::default(), moment).unwrap()
}

fn fresh() -> (tempfile::TempDir, TicketService) {
    let dir = tempfile::tempdir().unwrap();
    let mut service = open(dir.path(), at(NOW));
    for name in ["TSO", "CICS"] {
        assert!(service.define(at(NOW), &appl(name)).unwrap());
    }
    (dir, service)
}

#[test]
fn ticket_is_good_once_for_its_user_at_its_application() {
    let (_dir, mut service) = fresh();
    let ticket = service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap();
    assert_eq!((ticket.code.len(), ticket.expires_s), (16, NOW + 600));
    for (who, which) in [("EVE", "TSO"), ("BOB", "CICS"), ("BO", "TSO")] {
        let refusal = service.evaluate(at(NOW), &user(who), &appl(which), &ticket.code).unwrap_err();
        assert!(matches!(refusal, TicketRefusal::Wrong), "{refusal}");
    }
    service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), &ticket.code).unwrap();
    let again = service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), &ticket.code).unwrap_err();
    assert!(matches!(again, TicketRefusal::Used), "{again}");
}

#[test]
fn tickets_of_one_second_differ_until_there_are_no_more() {
    let (_dir, mut service) = fresh();
    let mut codes = std::collections::HashSet::new();
    for _ in 0..NUMBERS {
        assert!(codes.insert(service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap().code));
    }
    assert!(matches!(service.generate(at(NOW), &user("BOB"), &appl("TSO")), Err(TicketError::TooMany)));
    assert!(codes.insert(service.generate(at(NOW), &user("EVE"), &appl("TSO")).unwrap().code));
    assert!(codes.insert(service.generate(at(NOW + 1), &user("BOB"), &appl("TSO")).unwrap().code));
    for code in codes.iter().take(200) {
        let accepted = service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), code);
        assert!(accepted.is_ok() || matches!(accepted, Err(TicketRefusal::Wrong)), "{code}");
    }
}

#[test]
fn ticket_is_good_ten_minutes_either_way() {
    for (offset, is_good) in
        [(-601, false), (-600, true), (0, true), (600, true), (601, false), (46_656, false)]
    {
        let (_dir, mut service) = fresh();
        let ticket = service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap();
        let moment = Moment { unix_s: NOW.saturating_add_signed(offset), steady_ms: 1 };
        service.guard = TimeGuard::new(moment, 0);
        let result = service.evaluate(moment, &user("BOB"), &appl("TSO"), &ticket.code);
        assert_eq!(result.is_ok(), is_good, "{offset}: {result:?}");
    }
}

#[test]
fn used_ticket_stays_used_in_every_process_and_after_a_restart() {
    let (dir, mut service) = fresh();
    let mut other = open(dir.path(), at(NOW));
    let ticket = service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap();
    other.evaluate(at(NOW), &user("BOB"), &appl("TSO"), &ticket.code).unwrap();
    for service in [&mut service, &mut open(dir.path(), at(NOW))] {
        let refusal = service.evaluate(at(NOW + 1), &user("BOB"), &appl("TSO"), &ticket.code).unwrap_err();
        assert!(matches!(refusal, TicketRefusal::Used), "{refusal}");
    }
}

#[test]
fn ticket_evaluated_by_many_at_once_is_accepted_once() {
    let (dir, mut service) = fresh();
    let codes: Vec<String> =
        (0..20).map(|_| service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap().code).collect();
    let accepted = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // A service of its own stands for a process of its own: locks belong to what was opened.
                let rate = Rate { burst: 1000, per_minute: 1 };
                let options = TicketOptions { rate, ..TicketOptions::default() };
                let mut service = TicketService::open(&dir.path().join("keys"), options, at(NOW)).unwrap();
                for code in &codes {
                    match service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), code) {
                        Ok(()) => drop(accepted.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
                        Err(refusal) => assert!(matches!(refusal, TicketRefusal::Used), "{refusal}"),
                    }
                }
            });
        }
    });
    assert_eq!(accepted.into_inner(), codes.len());
}

#[test]
fn forgotten_ticket_stays_used_when_the_clock_is_set_back() {
    let dir = tempfile::tempdir().unwrap();
    let options = TicketOptions { used_max: 2, ..TicketOptions::default() };
    let open = |moment| TicketService::open(&dir.path().join("keys"), options, moment).unwrap();
    let mut service = open(at(NOW));
    service.define(at(NOW), &appl("TSO")).unwrap();
    let used: Vec<Ticket> =
        (0..3).map(|_| service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap()).collect();
    for ticket in &used[..2] {
        service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), &ticket.code).unwrap();
    }
    let full = service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), &used[2].code).unwrap_err();
    assert!(matches!(full, TicketRefusal::Full { max: 2 }), "{full}");
    let later = NOW + 1000;
    let next = service.generate(at(later), &user("BOB"), &appl("TSO")).unwrap();
    service.evaluate(at(later), &user("BOB"), &appl("TSO"), &next.code).unwrap();
    drop(service);
    let mut service = open(at(NOW + 5));
    for ticket in &used {
        let refusal = service.evaluate(at(NOW + 5), &user("BOB"), &appl("TSO"), &ticket.code).unwrap_err();
        assert!(matches!(refusal, TicketRefusal::Used | TicketRefusal::OutsideWindow { .. }), "{refusal}");
    }
}

#[test]
fn clock_set_back_makes_no_ticket_good_again() {
    let (_dir, mut service) = fresh();
    let ticket = service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap();
    // 700 s have passed by the clock that nobody sets.
    let back = Moment { unix_s: NOW, steady_ms: (NOW + 700) * 1000 };
    let refusal = service.evaluate(back, &user("BOB"), &appl("TSO"), &ticket.code).unwrap_err();
    assert!(matches!(refusal, TicketRefusal::OutsideWindow { .. }), "{refusal}");
    let error = service.generate(back, &user("BOB"), &appl("TSO")).unwrap_err();
    assert!(matches!(error, TicketError::ClockBehind { behind_s: 700 }), "{error}");
}

#[test]
fn guesses_run_out_for_their_user_at_their_application_only() {
    let (_dir, mut service) = fresh();
    let ticket = service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap();
    for _ in 0..10 {
        let refusal = service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), "AAAAAAAAAAAAAAAA").unwrap_err();
        assert!(!matches!(refusal, TicketRefusal::Throttled { .. }), "{refusal}");
    }
    let refusal = service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), &ticket.code).unwrap_err();
    assert!(matches!(refusal, TicketRefusal::Throttled { .. }), "{refusal}");
    let other = service.generate(at(NOW), &user("EVE"), &appl("TSO")).unwrap();
    service.evaluate(at(NOW), &user("EVE"), &appl("TSO"), &other.code).unwrap();
    service.evaluate(at(NOW + 6), &user("BOB"), &appl("TSO"), &ticket.code).unwrap();
    // Right ones are not counted.
    for _ in 0..50 {
        let ticket = service.generate(at(NOW), &user("ANN"), &appl("TSO")).unwrap();
        service.evaluate(at(NOW), &user("ANN"), &appl("TSO"), &ticket.code).unwrap();
    }
}

#[test]
fn text_that_is_no_ticket_is_refused() {
    let (_dir, mut service) = fresh();
    let code = service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap().code;
    let long = "A".repeat(1 << 20);
    for wrong in [
        "",
        &code[..15],
        &format!("{code}A"),
        &code.to_lowercase(),
        &format!("{}\u{ff21}", &code[..13]),
        &format!("{} ", &code[..15]),
        &format!("{}\0", &code[..15]),
        &long,
    ] {
        let mut service = open(_dir.path(), at(NOW));
        let refusal = service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), wrong).unwrap_err();
        assert!(matches!(refusal, TicketRefusal::Malformed) || wrong == code.to_lowercase(), "{wrong:?}");
    }
}

#[test]
fn application_without_a_secret_takes_no_tickets() {
    let (dir, mut service) = fresh();
    let error = service.generate(at(NOW), &user("BOB"), &appl("IMS")).unwrap_err();
    assert!(matches!(error, TicketError::UnknownApplication { .. }), "{error}");
    let refusal = service.evaluate(at(NOW), &user("BOB"), &appl("IMS"), "AAAAAAAAAAAAAAAA").unwrap_err();
    assert!(matches!(refusal, TicketRefusal::UnknownApplication { .. }), "{refusal}");
    let ticket = service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap();
    let mut other = open(dir.path(), at(NOW));
    assert!(!other.define(at(NOW), &appl("TSO")).unwrap(), "a secret that is there stays");
    other.renew(at(NOW), &appl("TSO")).unwrap();
    let refusal = service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), &ticket.code).unwrap_err();
    assert!(matches!(refusal, TicketRefusal::Wrong), "{refusal}");
    assert!(other.remove(&appl("TSO")).unwrap() && !other.remove(&appl("TSO")).unwrap());
    assert!(service.generate(at(NOW), &user("BOB"), &appl("TSO")).is_err());
    assert_eq!(service.applications().unwrap(), [appl("CICS")]);
    assert!(other.renew(at(NOW), &appl("TSO")).is_err());
}

#[test]
fn used_ticket_that_cannot_be_written_down_is_not_accepted() {
    let (dir, mut service) = fresh();
    let ticket = service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap();
    let journal = dir.path().join("keys/tickets.journal");
    std::os::unix::fs::symlink("/nowhere", &journal).unwrap();
    let refusal = service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), &ticket.code).unwrap_err();
    assert!(matches!(refusal, TicketRefusal::Files { .. }), "{refusal}");
    std::fs::remove_file(&journal).unwrap();
    service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), &ticket.code).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn changed_ticket_is_refused(place in 0_usize..16, with in "[A-Z0-9]") {
        let (_dir, mut service) = fresh();
        let code = service.generate(at(NOW), &user("BOB"), &appl("TSO")).unwrap().code;
        let mut changed = code.clone();
        changed.replace_range(place..=place, &with);
        prop_assume!(changed != code);
        prop_assert!(service.evaluate(at(NOW), &user("BOB"), &appl("TSO"), &changed).is_err());
    }

    #[test]
    fn time_in_a_ticket_is_read_back(issued in 100_000_u64..10_000_000_000, offset in -3600_i64..3600) {
        let (_dir, service) = fresh();
        let key = service.secrets.key(&appl("TSO")).unwrap();
        let code = Code::make(key, &appl("TSO"), &user("BOB"), issued, 5);
        prop_assert_eq!(code.issued_s(issued.saturating_add_signed(offset)), Some(issued));
        prop_assert!(Code::parse(code.as_str()).is_some());
    }
}
