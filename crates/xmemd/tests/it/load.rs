//! What dies under load: nothing is executed twice that was not marked repeatable, and nobody waits for ever.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::Signal;
use tender_xmem::client::{Client, Options, ServiceError};
use tender_xmem::code::CmsCode;
use tender_xmem::service::{Proof, RunAs};

use crate::wire::Raw;
use crate::world::{ANN, RUNAS_NOBODY, USUAL, World, become_user, is_root, pause, signal, wait_until};

/// What a caller knows of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It was answered: it was executed.
    Answered,
    /// 98: it may have been executed.
    Perhaps,
    /// It was refused before anything was done.
    Not,
}

/// Kills the server and starts it again until some calls were under way when it ended; returns what each caller knows.
fn kill_under_load(
    world: &mut World,
    call: impl Fn(&Client, &mut dyn FnMut() -> String) -> Option<(String, Known)> + Sync,
) -> HashMap<String, Known> {
    let stop = AtomicBool::new(false);
    let known = Mutex::new(HashMap::new());
    let answered = AtomicU64::new(0);
    let options = Options { reconnect_ms: 60_000, deadline_ms: 60_000, ..world.options() };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (stop, known, answered, call) = (&stop, &known, &answered, &call);
            let options = Options { ring: thread % 2 == 0, ..options.clone() };
            scope.spawn(move || {
                become_user(ANN);
                let client = Client::connect("ZWESIS_STD".parse().unwrap(), options).unwrap();
                let mut number = 0;
                let mut next = || {
                    number += 1;
                    format!("once-{thread}-{number}.")
                };
                while !stop.load(Ordering::Relaxed) {
                    if let Some((id, how)) = call(&client, &mut next) {
                        answered.fetch_add(u64::from(how == Known::Answered), Ordering::Relaxed);
                        assert!(known.lock().unwrap().insert(id, how).is_none());
                    }
                }
            });
        }
        let perhaps = || known.lock().unwrap().values().filter(|how| **how == Known::Perhaps).count();
        for round in 0..20 {
            let before = answered.load(Ordering::Relaxed);
            wait_until("calls are answered", || answered.load(Ordering::Relaxed) > before + 40);
            if round >= 3 && perhaps() > 0 {
                break;
            }
            world.signal(Signal::KILL);
            world.ended();
            world.run(&[]);
        }
        stop.store(true, Ordering::Relaxed);
    });
    known.into_inner().unwrap()
}

/// Holds what the service has done against what the callers know.
fn compare(known: &HashMap<String, Known>, done: &str, loses_answered: bool) {
    let mut counts: HashMap<&str, u32> = HashMap::new();
    for id in done.split_ascii_whitespace().filter(|word| word.starts_with("once-")) {
        *counts.entry(id).or_default() += 1;
    }
    for (id, how) in known {
        let count = counts.remove(&**id).unwrap_or(0);
        let is_right = match how {
            Known::Answered => count == 1 || loses_answered && count == 0,
            Known::Perhaps => count <= 1,
            Known::Not => count == 0,
        };
        assert!(is_right, "{id} is {how:?} and was executed {count} times");
    }
    assert!(counts.is_empty(), "executed and never called: {counts:?}");
    assert!(known.values().any(|how| *how == Known::Perhaps), "no call was under way at any kill");
}

#[test]
fn server_that_is_killed_runs_no_program_twice() {
    if !is_root() {
        return;
    }
    let mut world = World::start(&[USUAL, RUNAS_NOBODY].concat(), "ZWES.RUNAS.UIDS=2000-70000\n");
    let marks = world.path("marks");
    std::fs::write(&marks, "").unwrap();
    std::fs::set_permissions(&marks, std::fs::Permissions::from_mode(0o666)).unwrap();
    let path = marks.display().to_string();
    let known = kill_under_load(&mut world, |client, next| {
        // An actor does not outlive its connection: each call has its own.
        let proof = Proof::Surrogate { user: "NOBODY".to_owned() };
        let actor = client.services().issue_actor(proof).ok()?;
        let id = next();
        let mut program = RunAs::new("/bin/sh");
        program.arguments = vec!["-c".to_owned(), format!("echo {id} >> {path}")];
        let how = match client.services().as_actor(&actor).run_as(&program, b"") {
            Ok((result, ..)) => {
                assert_eq!(result.exit, Some(0));
                Known::Answered
            }
            // 36: the worker ended with it. It may have begun.
            Err(ServiceError::Call { source, .. })
                if [Some(CmsCode::OutcomeUnknown), Some(CmsCode::ServiceEnded)].contains(&source.code()) =>
            {
                Known::Perhaps
            }
            // The actor's connection is gone, or the server was not ready: nothing was sent.
            Err(ServiceError::Call { source, .. })
                if [Some(CmsCode::PermissionDenied), Some(CmsCode::ServerNotReady)]
                    .contains(&source.code()) =>
            {
                Known::Not
            }
            Err(error) => panic!("{error:?}"),
        };
        Some((id, how))
    });
    // A program that ran when its server was killed is killed with it, or has ended by now.
    world.stop();
    compare(&known, &std::fs::read_to_string(&marks).unwrap(), false);
}

#[test]
fn server_that_is_killed_prints_no_line_twice() {
    if !is_root() {
        return;
    }
    let mut world = World::start(USUAL, "ZWES.LOG_LINES_PER_SECOND=100000\n");
    let known = kill_under_load(&mut world, |client, next| {
        let id = next();
        // What is behind the server's own stamp.
        let how = match client.services().log(&format!(" {id} ")) {
            Ok(()) => Known::Answered,
            Err(ServiceError::Call { source, .. }) if source.code() == Some(CmsCode::OutcomeUnknown) => {
                Known::Perhaps
            }
            Err(error) => panic!("{error:?}"),
        };
        pause(1);
        Some((id, how))
    });
    world.stop();
    // A line that was taken and not printed yet dies with the server; none comes twice.
    compare(&known, &world.log(), true);
}

#[test]
fn worker_that_dies_among_a_thousand_calls_answers_each_of_them_once() {
    if !is_root() {
        return;
    }
    // A user has at most what an eighth of the places leaves, so there are some more than a thousand.
    let places = "ZWES.PCSS_STACK_POOL_SIZE=2048\nZWES.CALLS_PER_CONNECTION=300\nZWES.CALLS_PER_UID=2000\n";
    let world = World::start(USUAL, places);
    let request = br#"{"protocols":["tcp"],"listening":true,"capacity":8192}"#;
    let mut callers: Vec<Raw> = (0..4).map(|_| Raw::enter(&world, ANN)).collect();
    assert_eq!(callers[0].call(13, request).0.code, 0);
    let worker = world.boxes("worker")[0];
    // It stands still, so that all of them are under way when it dies.
    signal(worker, Signal::STOP);
    let mut waiting: Vec<Vec<u64>> = Vec::new();
    for caller in &mut callers {
        waiting.push((0..250).map(|_| caller.cast(13, request)).collect());
    }
    wait_until("all thousand are under way", || {
        let (lines, _) = world.modify("D STATS");
        lines.concat().contains("1000 under way")
    });
    signal(worker, Signal::KILL);
    let mut ended = 0;
    for (caller, waiting) in callers.iter().zip(&mut waiting) {
        while !waiting.is_empty() {
            let (reply, _) = caller.hear().frame();
            let at = waiting.iter().position(|sequence| *sequence == reply.sequence);
            waiting.remove(at.expect("an answer that nobody waits for, or a second one"));
            assert!(reply.code == 36 || (reply.code, reply.detail) == (0, 0), "{reply:?}");
            ended += u32::from(reply.code == 36);
        }
    }
    assert_eq!(ended, 1000, "each was the worker's that died");
    // The next one takes the next thousand.
    for caller in &mut callers {
        let sequences: Vec<u64> = (0..250).map(|_| caller.cast(13, request)).collect();
        for _ in 0..250 {
            let (reply, _) = caller.hear().frame();
            assert!(sequences.contains(&reply.sequence) && reply.code == 0, "{reply:?}");
        }
    }
    assert!(!world.boxes("worker").contains(&worker));
}
