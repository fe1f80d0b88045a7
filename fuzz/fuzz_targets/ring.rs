//! A reader and a writer of a ring, whose other ends write anything anywhere: they go on or say that the ring is corrupt, and
//! a record that is given out has the length that its header says.

#![no_main]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use libfuzzer_sys::fuzz_target;
use tender_xmem::frame::{Header, Kind};
use tender_xmem::ring::{Consumer, HeapLane, Lane, Producer};

const BYTES: usize = 512;

fuzz_target!(|input: &[u8]| {
    let lane = Arc::new(HeapLane::new(BYTES));
    let (mut producer, mut consumer) = (Producer::new(Arc::clone(&lane)), Consumer::new(Arc::clone(&lane)));
    let mut buffer = Vec::new();
    // Nine bytes a step: what, and a value.
    for step in input.as_chunks::<9>().0 {
        let [what, value @ ..] = *step;
        let value = u64::from_le_bytes(value);
        match what {
            0..=63 => lane.word(usize::from(what) % lane.words()).store(value, Ordering::Relaxed),
            64..=79 => lane.head().store(value, Ordering::Relaxed),
            80..=95 => lane.asleep().store(value as u32, Ordering::Relaxed),
            96..=159 => {
                let payload = vec![what; value as usize % (BYTES + 64)];
                if producer.push(Header::new(Kind::Call, value), &payload, what.into()).is_err() {
                    producer.must_wake();
                }
            }
            160..=223 => match consumer.pop(&mut buffer) {
                Ok(Some(popped)) => assert_eq!(popped.header.length as usize, buffer.len()),
                Ok(None) => {}
                Err(_) => return,
            },
            _ => drop(consumer.arm()),
        }
    }
});
