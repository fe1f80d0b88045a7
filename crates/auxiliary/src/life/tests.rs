use proptest::prelude::*;

use super::*;

const DESCRIPTOR: &[u8] =
    br#"{"name":"ECHO","nickname":"ECHO","version":1,"services":[{"name":"ECHO","version":1}]}"#;

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// Brings a host to READY at second 1.
fn ready() -> Life {
    let mut life = Life::new(Timing::default());
    assert_eq!(life.on(Event::Tick, seconds(0)), [Action::Spawn]);
    assert_eq!(life.on(Event::Spawned, seconds(0)), []);
    assert_eq!(life.on(Event::Described(DESCRIPTOR), seconds(1)), [Action::SendStart]);
    let installed = life.on(Event::Ready { code: 0, text: "" }, seconds(1));
    assert!(matches!(&installed[..], [Action::Install(descriptor)] if descriptor.name == "ECHO"));
    assert_eq!(life.state(), HostState::Ready);
    life
}

#[test]
fn host_that_ends_is_withdrawn_and_started_after_its_pause() {
    let mut life = ready();
    let actions = life.on(Event::Exited("signal 11"), seconds(5));
    let failed = Action::Failed("it ended: signal 11".into(), Some(seconds(0)));
    assert_eq!(actions, [Action::Withdraw, failed]);
    assert_eq!(life.on(Event::Tick, seconds(5)), [Action::Spawn]);
    life.on(Event::Spawned, seconds(5));
    let again = life.on(Event::Exited("exit code 1"), seconds(6));
    assert_eq!(again, [Action::Failed("it ended: exit code 1".into(), Some(seconds(1)))]);
    assert_eq!(life.on(Event::Tick, seconds(6)), []);
    assert_eq!(life.next_tick(), Some(seconds(7)));
    assert_eq!(life.on(Event::Tick, seconds(7)), [Action::Spawn]);
}

#[test]
fn host_that_was_stable_begins_with_the_first_pause_again() {
    let mut life = ready();
    life.failures = 7;
    life.on(Event::Exited("exit code 0"), seconds(200));
    assert_eq!(life.failures(), 1);
}

#[test]
fn host_that_answers_no_ping_is_killed_after_three() {
    let mut life = ready();
    for second in 2..5 {
        assert_eq!(life.on(Event::Tick, seconds(second)), [Action::SendPing]);
    }
    assert_eq!(life.on(Event::Tick, seconds(5)), [Action::Withdraw, Action::Kill]);
    assert_eq!(life.next_tick(), None, "nothing more until it has ended");
    let actions = life.on(Event::Exited("signal 9"), seconds(5));
    assert_eq!(actions, [Action::Failed("it did not answer 3 pings".into(), Some(seconds(0)))]);
}

#[test]
fn host_that_answers_pings_late_goes_on() {
    let mut life = ready();
    for second in 2..100 {
        assert_eq!(life.on(Event::Tick, seconds(second)), [Action::SendPing], "second {second}");
        if second % 3 == 0 {
            life.on(Event::Pong, seconds(second));
        }
    }
}

#[test]
fn host_with_bad_descriptor_is_killed_and_not_started_again() {
    let mut life = Life::new(Timing::default());
    life.on(Event::Tick, seconds(0));
    life.on(Event::Spawned, seconds(0));
    assert_eq!(life.on(Event::Described(b"{}"), seconds(0)), [Action::Kill]);
    let actions = life.on(Event::Exited("signal 9"), seconds(0));
    assert!(matches!(&actions[..], [Action::Failed(why, None)] if why.contains("descriptor")), "{actions:?}");
    assert_eq!(life.state(), HostState::Terminated);
}

#[test]
fn host_that_says_it_cannot_serve_is_not_started_again() {
    let mut life = Life::new(Timing::default());
    life.on(Event::Tick, seconds(0));
    life.on(Event::Spawned, seconds(0));
    life.on(Event::Described(DESCRIPTOR), seconds(0));
    let event = Event::Ready { code: 8, text: "no data base" };
    assert_eq!(life.on(event, seconds(1)), [Action::Kill]);
    let actions = life.on(Event::Exited("signal 9"), seconds(1));
    assert_eq!(actions, [Action::Failed("it cannot serve, code 8: no data base".into(), None)]);
}

#[test]
fn host_that_is_not_ready_in_time_is_killed_and_tried_again() {
    let mut life = Life::new(Timing::default());
    life.on(Event::Tick, seconds(0));
    life.on(Event::Spawned, seconds(0));
    assert_eq!(life.on(Event::Tick, seconds(9)), []);
    assert_eq!(life.on(Event::Tick, seconds(10)), [Action::Kill]);
    life.on(Event::Exited("signal 9"), seconds(10));
    assert_eq!(life.state(), HostState::Paused);
}

#[test]
fn stop_of_a_ready_host_terminates_and_kills_only_when_time_is_up() {
    let mut life = ready();
    assert_eq!(life.on(Event::Stop, seconds(2)), [Action::Withdraw, Action::SendTerm]);
    assert_eq!(life.on(Event::Tick, seconds(6)), []);
    assert_eq!(life.on(Event::Tick, seconds(7)), [Action::Kill]);
    assert_eq!(life.on(Event::Exited("signal 9"), seconds(7)), [Action::Ended]);
    assert_eq!(life.state(), HostState::Terminated);
}

#[test]
fn stop_before_the_process_is_there_ends_it_when_it_comes() {
    let mut life = Life::new(Timing::default());
    life.on(Event::Tick, seconds(0));
    assert_eq!(life.on(Event::Stop, seconds(0)), []);
    assert_eq!(life.on(Event::Spawned, seconds(1)), [Action::SendTerm]);
    assert_eq!(life.on(Event::Exited("exit code 0"), seconds(1)), [Action::Ended]);
}

fn event() -> impl Strategy<Value = Event<'static>> {
    prop_oneof![
        Just(Event::Spawned),
        Just(Event::NotSpawned("no")),
        Just(Event::Described(DESCRIPTOR)),
        Just(Event::Described(b"[]")),
        Just(Event::Ready { code: 0, text: "" }),
        Just(Event::Ready { code: 4, text: "no" }),
        Just(Event::Pong),
        Just(Event::Misbehaved("REPLY")),
        Just(Event::Exited("exit code 0")),
        Just(Event::Tick),
        Just(Event::Tick),
        Just(Event::Stop),
    ]
}

proptest! {
    /// Whatever comes in whatever order: what serves is installed once and withdrawn once, and after the end nothing happens.
    #[test]
    fn host_is_installed_and_withdrawn_in_turn(events in proptest::collection::vec(event(), 1..60)) {
        let mut life = Life::new(Timing::default());
        let mut installed = false;
        for (second, event) in events.into_iter().enumerate() {
            let ended = life.state() == HostState::Terminated;
            let actions = life.on(event, seconds(second as u64));
            prop_assert!(!ended || actions.is_empty());
            for action in actions {
                match action {
                    Action::Install(_) => {
                        prop_assert!(!installed);
                        installed = true;
                    }
                    Action::Withdraw => {
                        prop_assert!(installed);
                        installed = false;
                    }
                    _ => {}
                }
            }
            let may_serve = life.state() == HostState::Ready;
            prop_assert!(!installed || may_serve, "serves in state {:?}", life.state());
        }
    }
}
