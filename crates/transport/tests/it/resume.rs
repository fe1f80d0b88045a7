//! Going on after the connection was cut.

use std::{
    fs,
    io::{self, Read},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use tender_transport::client::{FtpsLink, Link, LinkError, Resumed};

use crate::world::{Running, World, connect_config, noise, wait_until};

const SIZE: usize = 8_000_000;

/// Hands out bytes and stops the server half way through them, when some have arrived for certain.
struct Cutting<'a> {
    arriving: PathBuf,
    bytes: &'a [u8],
    at: usize,
    running: &'a mut Running,
}

impl Read for Cutting<'_> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        if self.at >= SIZE / 2 {
            wait_until("something arrives", || {
                fs::metadata(&self.arriving).is_ok_and(|found| found.len() > 1_000_000)
            });
            self.running.stop();
        }
        let length = block.len().min(self.bytes.len() - self.at);
        block[..length].copy_from_slice(&self.bytes[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

#[test]
fn upload_cut_half_way_says_how_far_it_got_and_goes_on_from_there() {
    let world = World::new();
    let bytes = noise(SIZE);
    let path = world.file("servlink", &bytes);
    let mut running = world.serve();
    let mut link = world.connect(&running);
    let arriving = world.root().join("servlink");
    let mut source = Cutting { arriving, bytes: &bytes, at: 0, running: &mut running };
    let cut = link.store("servlink", &mut source, 0, &mut |_| {});
    match cut {
        Err(error @ LinkError::Lost { offset, .. }) => {
            assert!(offset >= SIZE as u64 / 2, "{offset}");
            assert!(error.is_transient());
        }
        other => panic!("{other:?}"),
    }
    let present = fs::metadata(world.root().join("servlink")).unwrap().len();
    assert!(present > 1_000_000 && present < SIZE as u64, "{present}");

    let running = world.serve();
    let mut link = world.connect(&running);
    let mut heard = Vec::new();
    let resumed = link.resume("servlink", &path, &mut |at| heard.push(at)).unwrap();
    assert_eq!(resumed, Resumed { from: present, sent: SIZE as u64 - present });
    assert!(heard[0] > present && heard.last() == Some(&(SIZE as u64)));
    assert!(fs::read(world.root().join("servlink")).unwrap() == bytes);
    assert_eq!(link.resume("servlink", &path, &mut |_| {}).unwrap(), Resumed { from: SIZE as u64, sent: 0 });
}

#[test]
fn upload_over_something_longer_begins_anew() {
    let world = World::new();
    fs::write(world.root().join("a"), noise(100)).unwrap();
    let path = world.file("a", b"short");
    let running = world.serve();
    let mut link = world.connect(&running);
    assert_eq!(link.resume("a", &path, &mut |_| {}).unwrap(), Resumed { from: 0, sent: 5 });
    assert_eq!(fs::read(world.root().join("a")).unwrap(), b"short");
}

#[test]
fn upload_of_a_file_that_is_not_there_names_it() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    let result = link.resume("a", &world.path("none"), &mut |_| {});
    assert!(matches!(&result, Err(LinkError::Source { path, .. }) if path.ends_with("none")), "{result:?}");
}

#[test]
fn host_that_does_not_listen_is_named_as_unreachable() {
    let world = World::new();
    let mut running = world.serve();
    let config = world.connect_config(&running);
    running.stop();
    match FtpsLink::connect(&config) {
        Err(error @ LinkError::Unreachable { .. }) => {
            assert!(error.is_transient());
            assert_eq!(error.to_string(), format!("reach 127.0.0.1:{}", running.control.port()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn host_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let control: SocketAddr = silent.local_addr().unwrap();
    let world = World::new();
    let running = world.serve();
    let mut config = connect_config(control, world.connect_config(&running).security);
    config.io_timeout_ms = 200;
    let result = FtpsLink::connect(&config);
    assert!(matches!(result, Err(LinkError::Timeout { timeout_ms: 200, .. })), "{result:?}");
}
