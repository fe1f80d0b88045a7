use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{Consumer, HeapLane, Lane, Producer, Pushed, RingError};
use crate::frame::{Header, Kind};

fn ends(bytes: usize) -> (Arc<HeapLane>, Producer<Arc<HeapLane>>, Consumer<Arc<HeapLane>>) {
    let lane = Arc::new(HeapLane::new(bytes));
    (Arc::clone(&lane), Producer::new(Arc::clone(&lane)), Consumer::new(lane))
}

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<u8>),
    Pop,
    Arm,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let payload = proptest::collection::vec(any::<u8>(), 0..300);
    proptest::collection::vec(
        prop_oneof![payload.prop_map(Step::Push), Just(Step::Pop), Just(Step::Arm)],
        0..200,
    )
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: if cfg!(miri) { 4 } else { 256 }, ..Default::default() })]

    #[test]
    fn ring_with_any_interleaving_behaves_like_a_queue(steps in steps(), size in 8u32..12) {
        let (_, mut producer, mut consumer) = ends(1 << size);
        let mut model = VecDeque::new();
        let (mut armed, mut sequence, mut buffer) = (false, 0, Vec::new());
        for step in steps {
            match step {
                Step::Push(payload) => {
                    sequence += 1;
                    let pushed = producer.push(Header::new(Kind::Call, sequence), &payload, 3);
                    if payload.len() > producer.payload_bytes_max() {
                        let too_large = matches!(pushed, Err(RingError::TooLarge { .. }));
                        prop_assert!(too_large);
                        continue;
                    }
                    match pushed.expect("nobody corrupts") {
                        Pushed::Full => prop_assert!(!model.is_empty(), "an empty ring has no room"),
                        pushed => {
                            prop_assert_eq!(pushed == Pushed::Asleep, armed, "woken although awake, or not woken");
                            armed = false;
                            model.push_back((sequence, payload));
                        }
                    }
                }
                Step::Pop => {
                    let popped = consumer.pop(&mut buffer).expect("nobody corrupts");
                    let expected = model.pop_front();
                    prop_assert_eq!(popped.map(|popped| popped.header.sequence), expected.as_ref().map(|front| front.0));
                    if let Some((_, payload)) = expected {
                        prop_assert_eq!(&buffer, &payload);
                    }
                }
                Step::Arm => {
                    let ready = consumer.arm();
                    prop_assert_eq!(ready, !model.is_empty());
                    armed = !ready;
                }
            }
        }
    }

    #[test]
    fn ring_read_after_any_corruption_never_panics_and_gives_no_more_than_fits(
        writes in proptest::collection::vec((0usize..32, any::<u64>(), 0u8..4), 1..40),
    ) {
        let (lane, mut producer, mut consumer) = ends(256);
        let mut buffer = Vec::new();
        for (index, value, shape) in writes {
            let value = match shape {
                0 => value,
                1 => value & 3,
                2 => value & 0xFFFF_FFFF,
                _ => u64::from_le_bytes([0x54, 0x4E, 0x58, 0x4D, 2, 0, 3, 0]),
            };
            lane.word(index).store(value, Ordering::Relaxed);
            match shape {
                0 => lane.head().store(value, Ordering::Relaxed),
                1 => lane.head().store(value * 64, Ordering::Relaxed),
                _ => {}
            }
            lane.asleep().store(u32::from(shape), Ordering::Relaxed);
            let _: Result<_, _> = producer.push(Header::new(Kind::Reply, 1), &[1; 50], 0);
            if consumer.pop(&mut buffer).is_ok() {
                prop_assert!(buffer.len() <= 256);
            }
        }
    }
}

#[test]
fn ring_with_an_impossible_value_in_each_place_is_corrupt() {
    // (word of the record, value): size 0 with a processor, size of the whole lane, size beyond it, magic, length.
    let cases = [
        (0, 1u64 << 32),
        (0, 16),
        (0, u64::from(u32::MAX)),
        (2, 0),
        (4, 8 << 16),
        (5, u64::MAX),
        (5, 65 << 32),
    ];
    for (word, value) in cases {
        let (lane, mut producer, mut consumer) = ends(1024);
        producer.push(Header::new(Kind::Call, 1), b"payload", 0).expect("room");
        lane.word(word).store(value, Ordering::Relaxed);
        let popped = consumer.pop(&mut Vec::new());
        assert!(matches!(popped, Err(RingError::Corrupt { .. })), "word {word} = {value:#x}: {popped:?}");
    }
    for head in [1, 63, 64 * 1000, u64::MAX, u64::MAX - 63] {
        let (lane, mut producer, _) = ends(256);
        producer.push(Header::new(Kind::Call, 1), &[0; 64], 0).expect("room");
        lane.head().store(head, Ordering::Relaxed);
        let pushed = producer.push(Header::new(Kind::Call, 2), &[0; 64], 0);
        assert!(matches!(pushed, Err(RingError::Corrupt { .. })), "head {head:#x}: {pushed:?}");
    }
}

#[test]
fn ring_head_that_goes_back_is_corrupt() {
    let (lane, mut producer, mut consumer) = ends(256);
    let mut buffer = Vec::new();
    // Far enough for the writer to have asked where the reader is.
    for sequence in 0..4 {
        assert_ne!(producer.push(Header::new(Kind::Call, sequence), b"", 0), Ok(Pushed::Full));
        consumer.pop(&mut buffer).expect("a record");
    }
    lane.head().store(0, Ordering::Relaxed);
    let refused =
        (4..8).map(|sequence| producer.push(Header::new(Kind::Call, sequence), b"", 0)).find(Result::is_err);
    assert!(refused.is_some(), "the reader's position went back and nobody minded");
}

#[test]
fn ring_payload_with_old_records_in_it_is_not_taken_for_records() {
    let (_, mut producer, mut consumer) = ends(512);
    let mut buffer = Vec::new();
    // A payload made of what looks like stamps, round and round, so that every line has one once.
    let stamps: Vec<u8> = 1u64.to_le_bytes().repeat(16);
    for sequence in 0..50 {
        producer.push(Header::new(Kind::Call, sequence), &stamps, 0).expect("room");
        assert_eq!(
            consumer.pop(&mut buffer).expect("whole").map(|popped| popped.header.sequence),
            Some(sequence)
        );
        assert_eq!(consumer.pop(&mut buffer), Ok(None));
        assert!(!consumer.is_ready());
    }
}

#[test]
fn ring_between_two_threads_loses_nothing_and_keeps_order() {
    let count = if cfg!(miri) { 50 } else { 20_000 };
    let (_, mut producer, mut consumer) = ends(1024);
    let writer = std::thread::spawn(move || {
        for sequence in 0..count {
            let payload = vec![sequence as u8; (sequence % 200) as usize];
            while producer.push(Header::new(Kind::Call, sequence), &payload, 0).expect("intact")
                == Pushed::Full
            {
                std::thread::yield_now();
            }
        }
    });
    let mut buffer = Vec::new();
    for sequence in 0..count {
        let header = loop {
            match consumer.pop(&mut buffer).expect("intact") {
                Some(popped) => break popped.header,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(header.sequence, sequence);
        assert!(
            buffer.len() == (sequence % 200) as usize && buffer.iter().all(|byte| *byte == sequence as u8)
        );
    }
    writer.join().expect("the writer wrote");
}
