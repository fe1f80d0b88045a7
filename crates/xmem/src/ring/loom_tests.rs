//! The algorithm under loom, which tries the orders of the two threads' steps and the values that the memory model
//! allows a read to have. Run with
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p tender-xmem --lib --release --target-dir target/loom loom_tests
//! ```

use std::sync::Arc;

use loom::sync::Notify;
use loom::thread;

use super::{Consumer, HeapLane, Producer, Pushed};
use crate::frame::{Header, Kind};

fn model(preemptions: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(check);
}

fn call(sequence: u64) -> Header {
    Header::new(Kind::Call, sequence)
}

/// A writer that never sleeps and a reader that does: loom reports a deadlock when a wake-up is lost.
#[test]
fn ring_whose_reader_sleeps_loses_no_wake_up() {
    model(3, || {
        let lane = Arc::new(HeapLane::new(256));
        let bell = Arc::new(Notify::new());
        let (mut producer, ring) = (Producer::new(Arc::clone(&lane)), Arc::clone(&bell));
        let writer = thread::spawn(move || {
            for sequence in 1..=2 {
                if producer.push(call(sequence), b"", 0).expect("intact") == Pushed::Asleep {
                    ring.notify();
                }
            }
        });
        let (mut consumer, mut buffer) = (Consumer::new(lane), Vec::new());
        let mut expected = 1;
        while expected <= 2 {
            match consumer.pop(&mut buffer).expect("intact") {
                Some(popped) => {
                    assert_eq!(popped.header.sequence, expected);
                    expected += 1;
                }
                None if consumer.arm() => {}
                None => {
                    bell.wait();
                    consumer.disarm();
                }
            }
        }
        writer.join().expect("the writer wrote");
    });
}

/// A lane with room for one record at a time: every push writes over what was just read.
#[test]
fn ring_with_room_for_one_record_never_writes_over_what_is_being_read() {
    model(2, || {
        let lane = Arc::new(HeapLane::new(128));
        let mut producer = Producer::new(Arc::clone(&lane));
        let writer = thread::spawn(move || {
            for sequence in 1..=3 {
                while producer.push(call(sequence), b"", 0).expect("intact") == Pushed::Full {
                    thread::yield_now();
                }
            }
        });
        let (mut consumer, mut buffer) = (Consumer::new(lane), Vec::new());
        for sequence in 1..=3 {
            let popped = loop {
                match consumer.pop(&mut buffer).expect("intact") {
                    Some(popped) => break popped,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(popped.header.sequence, sequence, "torn or out of order");
        }
        writer.join().expect("the writer wrote");
    });
}

/// Payload and header are one: a reader that finds a record finds all of it.
#[test]
fn ring_record_with_a_payload_is_found_whole() {
    model(2, || {
        let lane = Arc::new(HeapLane::new(256));
        let mut producer = Producer::new(Arc::clone(&lane));
        let writer = thread::spawn(move || {
            for sequence in 1..=2 {
                let payload = [u8::try_from(sequence).expect("small"); 11];
                while producer.push(call(sequence), &payload, 0).expect("intact") == Pushed::Full {
                    thread::yield_now();
                }
            }
        });
        let (mut consumer, mut buffer) = (Consumer::new(lane), Vec::new());
        for sequence in 1..=2u8 {
            while consumer.pop(&mut buffer).expect("intact").is_none() {
                thread::yield_now();
            }
            assert_eq!(buffer, [sequence; 11]);
        }
        writer.join().expect("the writer wrote");
    });
}
