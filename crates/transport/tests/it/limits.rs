//! What a client may use up, and for how long.

use std::{
    fs,
    io::{self, Cursor, Read},
    sync::mpsc::{Receiver, channel},
};

use tender_transport::{
    client::{FtpsLink, Link, LinkError},
    server::{Limits, Notice},
};

use crate::world::{DEADLINE, Running, World, noise};

fn serve_with(world: &World, change: impl FnOnce(&mut Limits)) -> Running {
    let mut config = world.config();
    change(&mut config.limits);
    Running::start(config)
}

fn refused_with(code: u32, result: Result<u64, LinkError>) {
    match result {
        Err(LinkError::Refused { code: found, .. }) if found == code => {}
        other => panic!("{code} expected: {other:?}"),
    }
}

#[test]
fn file_beyond_the_size_allowed_is_refused_and_leaves_nothing() {
    let world = World::new();
    let running = serve_with(&world, |limits| limits.file_bytes_max = 1_000_000);
    let mut link = world.connect(&running);
    refused_with(552, link.store("big", &mut Cursor::new(noise(5_000_000)), 0, &mut |_| {}));
    assert_eq!(fs::read_dir(world.root()).unwrap().count(), 0);
    link.store("fits", &mut Cursor::new(noise(1_000_000)), 0, &mut |_| {}).unwrap();
}

#[test]
fn files_beyond_the_quota_are_refused_and_what_was_there_stays() {
    let world = World::new();
    let running = serve_with(&world, |limits| limits.total_bytes_max = 1_500_000);
    let mut link = world.connect(&running);
    link.store("first", &mut Cursor::new(noise(1_000_000)), 0, &mut |_| {}).unwrap();
    refused_with(552, link.store("second", &mut Cursor::new(noise(1_000_000)), 0, &mut |_| {}));
    assert_eq!(link.size("first").unwrap(), Some(1_000_000));
    assert_eq!(link.size("second").unwrap(), None);
    link.store("first", &mut Cursor::new(noise(1_200_000)), 0, &mut |_| {})
        .expect("what is replaced does not count");
    link.delete("first").unwrap();
    link.store("second", &mut Cursor::new(noise(1_500_000)), 0, &mut |_| {}).expect("there is room again");
}

#[test]
fn resumed_file_beyond_the_quota_goes_back_to_where_it_was() {
    let world = World::new();
    fs::write(world.root().join("a"), noise(400_000)).unwrap();
    let running = serve_with(&world, |limits| limits.total_bytes_max = 500_000);
    let mut link = world.connect(&running);
    refused_with(552, link.store("a", &mut Cursor::new(noise(400_000)), 400_000, &mut |_| {}));
    assert_eq!(link.size("a").unwrap(), Some(400_000));
    link.store("a", &mut Cursor::new(b"anew"), 0, &mut |_| {})
        .expect("the offset of the failed transfer is forgotten");
    assert_eq!(link.retrieve("a", 100).unwrap(), b"anew");
}

#[test]
fn entries_beyond_the_number_allowed_are_refused() {
    let world = World::new();
    let running = serve_with(&world, |limits| limits.entries_max = 2);
    let mut link = world.connect(&running);
    link.make_dir("d").unwrap();
    link.store("d/a", &mut Cursor::new(b"x"), 0, &mut |_| {}).unwrap();
    refused_with(552, link.store("b", &mut Cursor::new(b"x"), 0, &mut |_| {}));
    assert!(matches!(link.make_dir("e"), Err(LinkError::Refused { code: 552, .. })));
    assert_eq!(link.list("").unwrap().len(), 1);
}

#[test]
fn file_for_which_the_file_system_has_no_room_is_refused() {
    let world = World::new();
    let running = serve_with(&world, |limits| limits.free_bytes_min = u64::MAX);
    let mut link = world.connect(&running);
    let result = link.store("a", &mut Cursor::new(b"x"), 0, &mut |_| {});
    assert!(result.as_ref().is_err_and(LinkError::is_transient), "{result:?}");
    refused_with(452, result);
    assert_eq!(fs::read_dir(world.root()).unwrap().count(), 0);
}

#[test]
fn offset_beyond_the_end_is_refused() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    link.store("a", &mut Cursor::new(b"12345"), 0, &mut |_| {}).unwrap();
    refused_with(550, link.store("a", &mut Cursor::new(b"x"), 6, &mut |_| {}));
    assert_eq!(link.retrieve("a", 100).unwrap(), b"12345");
}

#[test]
fn connection_beyond_the_number_allowed_is_turned_away() {
    let world = World::new();
    let running = serve_with(&world, |limits| limits.connections_max = 1);
    let mut first = world.connect(&running);
    let second = FtpsLink::connect(&world.connect_config(&running));
    assert!(matches!(second, Err(LinkError::Refused { code: 421, .. })), "{second:?}");
    first.list("").unwrap();
}

#[test]
fn client_that_does_nothing_is_cut_off() {
    let world = World::new();
    let running = serve_with(&world, |limits| limits.idle_timeout_ms = 300);
    let mut link = world.connect(&running);
    running.wait_for(|notice| matches!(notice, Notice::Cut { why: "idle for too long", .. }));
    assert!(link.list("").is_err());
    world.connect(&running);
}

#[test]
fn client_that_does_not_log_in_is_cut_off() {
    let world = World::new();
    let running = serve_with(&world, |limits| limits.login_timeout_ms = 300);
    let mut silent = std::net::TcpStream::connect(running.control).unwrap();
    silent.set_read_timeout(Some(DEADLINE)).unwrap();
    running.wait_for(|notice| matches!(notice, Notice::Cut { why: "not logged in in time", .. }));
    let mut greeting = String::new();
    silent.read_to_string(&mut greeting).expect("ends, and not by a timeout");
    assert!(greeting.starts_with("220 "), "{greeting}");
}

/// Gives a first block and then nothing until it is told to.
struct Stalling {
    has_begun: bool,
    go_on: Receiver<()>,
}

impl Read for Stalling {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        if self.has_begun {
            self.go_on.recv_timeout(DEADLINE).map_err(io::Error::other)?;
            return Ok(0);
        }
        self.has_begun = true;
        block.fill(1);
        Ok(block.len())
    }
}

#[test]
fn client_that_stalls_in_a_transfer_does_not_keep_another_waiting() {
    let world = World::new();
    // One passive port, as by default, has to do for both.
    let mut config = world.config();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    config.passive_ports = free..=free;
    let running = Running::start(config);
    let mut slow = world.connect(&running);
    let (go_on_tx, go_on) = channel();
    let (begun_tx, begun) = channel();
    let stalled = std::thread::spawn(move || {
        let mut source = Stalling { has_begun: false, go_on };
        slow.store("slow", &mut source, 0, &mut |_| begun_tx.send(()).unwrap())
    });
    begun.recv_timeout(DEADLINE).unwrap();
    let mut quick = world.connect(&running);
    let bytes = noise(1_000_000);
    quick.store("quick", &mut Cursor::new(&bytes), 0, &mut |_| {}).unwrap();
    assert_eq!(quick.retrieve("quick", 2_000_000).unwrap(), bytes);
    assert!(!stalled.is_finished());
    go_on_tx.send(()).unwrap();
    stalled.join().unwrap().unwrap();
}

#[test]
fn transfer_that_stalls_for_too_long_is_ended_and_what_arrived_stays() {
    let world = World::new();
    let running = serve_with(&world, |limits| limits.stall_timeout_ms = 300);
    let mut link = world.connect(&running);
    let (go_on_tx, go_on) = channel();
    let stored = std::thread::spawn(move || {
        link.store("slow", &mut Stalling { has_begun: false, go_on }, 0, &mut |_| {})
    });
    // The server flushes what has arrived when it gives up waiting.
    let path = world.root().join("slow");
    crate::world::wait_until("what arrived is written", || {
        fs::metadata(&path).is_ok_and(|found| found.len() > 0)
    });
    go_on_tx.send(()).unwrap();
    let result = stored.join().unwrap();
    assert!(
        matches!(result, Err(LinkError::Refused { code: 426, .. } | LinkError::Lost { .. })),
        "{result:?}"
    );
}
