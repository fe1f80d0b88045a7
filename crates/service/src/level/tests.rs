use super::*;

fn level(state: Mode, is_locked: bool, work: Work) -> Level {
    Level {
        vrm: Vrm::new("720").unwrap(),
        name: LevelName::new("X1").unwrap(),
        parent: Some(LevelName::base()),
        variant: Variant::default(),
        description: String::new(),
        state,
        is_locked,
        work,
        package: PackageState::Current,
        generation: 1,
        is_signed: false,
        content: Digest::of(b"x"),
        made: Timestamp::UNIX_EPOCH,
        changed: Timestamp::UNIX_EPOCH,
        changed_by: "op".to_owned(),
    }
}

#[test]
fn permission_matrix_is_that_of_the_specification() {
    use Operation::{
        Abandon, Change, Delete, LockOff, LockOn, Package, Parent, Restart, SendStable, SendTest,
    };
    // Columns: TEST/OFF, TEST/ON, INCOMPLETE, STABLE.
    let columns = [
        level(Mode::Test, false, Work::Idle),
        level(Mode::Test, true, Work::Idle),
        level(Mode::Test, false, Work::Incomplete),
        level(Mode::Stable, true, Work::Idle),
    ];
    let rows = [
        (Change, [true, false, false, false]),
        (Restart, [false, false, true, false]),
        (Abandon, [false, false, true, false]),
        (Package, [true, true, false, false]),
        (LockOn, [true, true, false, true]),
        (LockOff, [true, true, false, false]),
        (SendTest, [true, true, false, true]),
        (SendStable, [true, true, false, true]),
        (Parent, [true, true, false, true]),
        (Delete { is_forced: false }, [true, false, true, false]),
        (Delete { is_forced: true }, [true, true, true, true]),
    ];
    for (operation, expected) in rows {
        for (level, expected) in columns.iter().zip(expected) {
            let found = level.permits(operation).is_ok();
            assert_eq!(found, expected, "{operation:?} on {:?} {:?}", level.state, level.work);
        }
    }
}

#[test]
fn base_permits_children_and_being_sent_only() {
    let mut base = level(Mode::Stable, true, Work::Idle);
    base.name = LevelName::base();
    assert!(base.permits(Operation::Parent).is_ok());
    base.package = PackageState::Current;
    for operation in [Operation::Package, Operation::SendTest, Operation::SendStable] {
        assert!(base.permits(operation).is_ok());
    }
    for operation in [Operation::Change, Operation::LockOff, Operation::Delete { is_forced: true }] {
        assert_eq!(base.permits(operation).unwrap_err().number, 102);
    }
}

#[test]
fn send_without_current_package_names_the_cure() {
    let mut stale = level(Mode::Test, false, Work::Idle);
    stale.package = PackageState::Stale;
    let refusal = stale.permits(Operation::SendTest).unwrap_err();
    assert_eq!(refusal.hint.as_deref(), Some("tender servmgr srvlvl package 720 X1"));
}
