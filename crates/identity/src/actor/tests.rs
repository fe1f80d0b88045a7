use proptest::prelude::*;

use super::*;

fn at(steady_ms: u64) -> Moment {
    Moment { unix_s: 1_000_000 + steady_ms / 1000, steady_ms }
}

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

/// Numbers that are the same in every run.
fn numbers() -> impl FnMut() -> Result<u64, RandomError> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Ok(state)
    }
}

const ONE: ConnectionId = ConnectionId(1);
const TWO: ConnectionId = ConnectionId(2);

#[test]
fn handle_is_good_on_its_connection_and_until_its_life_is_over() {
    let mut actors = Actors::new(ActorOptions::default());
    let handle = actors.issue(at(0), ONE, user("BOB"), Proof::Password, 7, numbers()).unwrap();
    let found = actors.find(at(299_999), ONE, handle).unwrap();
    assert_eq!((found.user.as_str(), found.policy_epoch), ("BOB", 7));
    assert_eq!(actors.find(at(0), TWO, handle), Err(ActorError::None));
    assert_eq!(actors.find(at(300_000), ONE, handle), Err(ActorError::None));
    assert_eq!(actors.release(TWO, handle), Err(ActorError::None));
    actors.release(ONE, handle).unwrap();
    assert_eq!(actors.release(ONE, handle), Err(ActorError::None));
    assert!(actors.is_empty() && actors.connections.is_empty());
}

#[test]
fn actor_ends_with_its_token_whatever_the_clock_is_set_to() {
    let mut actors = Actors::new(ActorOptions::default());
    let jti = TokenId::try_from("AAAAAAAAAAAAAAAAAAAAAA".to_owned()).unwrap();
    let proof = |expires_s| Proof::Token { jti: jti.clone(), expires_s };
    let mut random = numbers();
    let handle = actors.issue(at(0), ONE, user("BOB"), proof(1_000_010), 0, &mut random).unwrap();
    assert!(actors.find(at(9_999), ONE, handle).is_ok());
    let set_back = Moment { unix_s: 5, steady_ms: 10_000 };
    assert_eq!(actors.find(set_back, ONE, handle), Err(ActorError::None));
    assert_eq!(
        actors.issue(at(0), ONE, user("BOB"), proof(1_000_000), 0, &mut random),
        Err(ActorError::Expired)
    );
    actors.issue(at(0), TWO, user("BOB"), proof(2_000_000), 0, &mut random).unwrap();
    assert_eq!(actors.revoke_token(&jti), 2);
}

#[test]
fn numbers_are_bounded_and_the_dead_do_not_count() {
    let options = ActorOptions { life_ms: 1000, per_connection_max: 2, total_max: 3 };
    let mut actors = Actors::new(options);
    let mut random = numbers();
    let mut issue = |actors: &mut Actors, now_ms, connection| {
        actors.issue(at(now_ms), connection, user("BOB"), Proof::Password, 0, &mut random)
    };
    issue(&mut actors, 0, ONE).unwrap();
    issue(&mut actors, 0, ONE).unwrap();
    assert_eq!(issue(&mut actors, 0, ONE), Err(ActorError::ConnectionFull { max: 2 }));
    issue(&mut actors, 0, TWO).unwrap();
    assert_eq!(issue(&mut actors, 0, TWO), Err(ActorError::ServerFull { max: 3 }));
    issue(&mut actors, 1000, ConnectionId(3)).unwrap();
    assert_eq!(actors.len(), 1);
}

#[test]
fn source_without_randomness_gives_no_handle() {
    let mut actors = Actors::new(ActorOptions::default());
    let zero = actors.issue(at(0), ONE, user("BOB"), Proof::Password, 0, || Ok(0));
    assert_eq!(zero, Err(ActorError::Random { source: RandomError }));
    actors.issue(at(0), ONE, user("BOB"), Proof::Password, 0, || Ok(5)).unwrap();
    let same = actors.issue(at(0), ONE, user("EVE"), Proof::Password, 0, || Ok(5));
    assert_eq!(same, Err(ActorError::Random { source: RandomError }));
}

#[test]
fn revoked_user_loses_what_it_is_and_what_it_may_be() {
    let mut actors = Actors::new(ActorOptions::default());
    let mut random = numbers();
    actors.issue(at(0), ONE, user("BOB"), Proof::Password, 0, &mut random).unwrap();
    let surrogate = Proof::Surrogate { by: user("BOB") };
    actors.issue(at(0), TWO, user("EVE"), surrogate, 0, &mut random).unwrap();
    let stays = actors.issue(at(0), TWO, user("EVE"), Proof::Password, 0, &mut random).unwrap();
    assert_eq!(actors.revoke_user(&user("BOB")), 2);
    assert!(actors.find(at(0), TWO, stays).is_ok());
    assert_eq!(actors.retain(|actor| actor.user.as_str() != "EVE"), 1);
}

/// What a test does to actors.
#[derive(Debug, Clone)]
enum Step {
    Issue(u64, usize),
    Release(u64, usize),
    Close(u64),
    Revoke(usize),
    Wait(u64),
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u64, 0..3_usize).prop_map(|(connection, user)| Step::Issue(connection, user)),
        2 => (0..4_u64, 0..40_usize).prop_map(|(connection, place)| Step::Release(connection, place)),
        1 => (0..4_u64).prop_map(Step::Close),
        1 => (0..3_usize).prop_map(Step::Revoke),
        2 => (0..700_u64).prop_map(Step::Wait),
        1 => Just(Step::Expire),
    ]
}

proptest! {
    /// The simplest model: a list of everything ever issued, and whether it has ended.
    #[test]
    fn actors_are_what_the_simplest_model_says(steps in proptest::collection::vec(step(), 1..120)) {
        const USERS: [&str; 3] = ["BOB", "EVE", "ANN"];
        let options = ActorOptions { life_ms: 1000, per_connection_max: 3, total_max: 7 };
        let mut actors = Actors::new(options);
        let mut model: Vec<(u64, usize, ActorHandle, u64, bool)> = Vec::new();
        let (mut random, mut now_ms) = (numbers(), 0);
        for step in steps {
            let is_live = |entry: &&(u64, usize, ActorHandle, u64, bool)| entry.4 && now_ms < entry.3;
            match step {
                Step::Issue(connection, who) => {
                    let of_connection = model.iter().filter(is_live).filter(|entry| entry.0 == connection).count();
                    let all = model.iter().filter(is_live).count();
                    let issued = actors.issue(
                        at(now_ms), ConnectionId(connection), user(USERS[who]), Proof::Password, 0, &mut random,
                    );
                    prop_assert_eq!(issued.is_ok(), of_connection < 3 && all < 7);
                    if let Ok(handle) = issued {
                        model.push((connection, who, handle, now_ms + 1000, true));
                    }
                }
                Step::Release(connection, place) => {
                    if let Some(entry) = model.get_mut(place) {
                        let released = actors.release(ConnectionId(connection), entry.2);
                        if released.is_ok() {
                            prop_assert!(entry.4 && entry.0 == connection);
                            entry.4 = false;
                        }
                    }
                }
                Step::Close(connection) => {
                    actors.close(ConnectionId(connection));
                    model.iter_mut().filter(|entry| entry.0 == connection).for_each(|entry| entry.4 = false);
                }
                Step::Revoke(who) => {
                    actors.revoke_user(&user(USERS[who]));
                    model.iter_mut().filter(|entry| entry.1 == who).for_each(|entry| entry.4 = false);
                }
                Step::Wait(ms) => now_ms += ms,
                Step::Expire => drop(actors.expire(at(now_ms))),
            }
            let mut live = 0;
            for entry in &model {
                let is_live = entry.4 && now_ms < entry.3;
                live += usize::from(is_live);
                for connection in 0..4 {
                    let found = actors.find(at(now_ms), ConnectionId(connection), entry.2);
                    prop_assert_eq!(found.is_ok(), is_live && connection == entry.0);
                }
            }
            prop_assert!(actors.len() >= live);
        }
    }
}
