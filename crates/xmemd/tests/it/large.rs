//! Payloads that do not fit into a packet: in a memory file there, in a memory file back.

use serde_json::json;

use crate::wire::Raw;
use crate::world::{ANN, RUNAS_NOBODY, USUAL, World, is_root, pause, size_of, wait_until};

/// Bytes that repeat nowhere within a page.
fn content(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        })
        .collect()
}

fn server(member: &str) -> World {
    let world = World::prepare(
        &[
            USUAL,
            RUNAS_NOBODY,
            &[
                "RDEFINE FACILITY ZWES.IS.PLACE.STAGE UACC(NONE)",
                "PERMIT ZWES.IS.PLACE.STAGE CLASS(FACILITY) ID(ANN) ACCESS(UPDATE)",
            ],
        ]
        .concat(),
        "",
    );
    let slot = world.path("slot");
    std::fs::create_dir(&slot).unwrap();
    world.write_member(&format!("ZWES.RUNAS.UIDS=2000-70000\nZWES.PLACE.STAGE={}\n{member}", slot.display()));
    let mut world = world;
    world.run(&[]);
    world
}

#[test]
fn file_larger_than_a_packet_is_placed_as_it_was_sent() {
    if !is_root() {
        return;
    }
    let world = server("");
    let mut ann = Raw::enter(&world, ANN);
    for (name, bytes) in [("small", 70_000), ("large", 15 * 1024 * 1024)] {
        let sent = content(bytes);
        let digest = blake3::hash(&sent).to_hex().to_string();
        let head = json!({"slot": "STAGE", "name": name, "mode": 0o644, "digest": digest}).to_string();
        let payload = [&(head.len() as u32).to_le_bytes()[..], head.as_bytes(), &sent].concat();
        let (reply, _) = ann.call_large(0, 24, &payload);
        assert_eq!((reply.code, reply.detail), (0, 0), "{name}\n{}", world.log());
        assert!(std::fs::read(world.path("slot").join(name)).unwrap() == sent, "{name}");
    }
}

#[test]
fn payload_beyond_the_limit_or_for_a_service_that_takes_none_is_refused() {
    if !is_root() {
        return;
    }
    let world = server("");
    let mut ann = Raw::enter(&world, ANN);
    // The front's own services take what fits into a packet.
    assert_eq!(ann.call_large(0, 4, &content(100_000)).0.code, 41);
    assert_eq!(ann.call_large(0, 1, &content(100_000)).0.code, 41);
    // A length beyond what the file has, and beyond what any payload may have, ends the connection.
    for length in [100_001_u32, 16 * 1024 * 1024 + 1, u32::MAX] {
        let mut raw = Raw::enter(&world, ANN);
        let file = crate::wire::sealed(&content(100_000));
        let mut header = raw.next_call(23, 0);
        header.flags = tender_xmem::frame::Flags::MEMFD;
        header.length = length;
        raw.send(&header.encode(), &[std::os::fd::AsFd::as_fd(&file)]).unwrap();
        let (code, text) = raw.hear_goodbye();
        assert!([9, 62].contains(&code), "{length}: {code} {text}");
    }
    assert_eq!(ann.call(4, b"x").0.code, 0);
}

#[test]
fn payload_of_megabytes_goes_to_a_program_and_comes_back() {
    if !is_root() {
        return;
    }
    let world = server("");
    let mut ann = Raw::enter(&world, ANN);
    let actor = ann.act_as("NOBODY");
    let processes = world.boxes("front").into_iter().chain(world.boxes("monitor")).collect::<Vec<_>>();
    let mut before: Vec<usize> = Vec::new();
    for bytes in [65_536, 65_537, 1_000_000, 3 * 1024 * 1024] {
        let sent = content(bytes);
        let head = json!({"program": "/bin/cat", "output_bytes_max": 4 * 1024 * 1024}).to_string();
        let payload = [&(head.len() as u32).to_le_bytes()[..], head.as_bytes(), &sent].concat();
        let (reply, answer) = ann.call_large(actor, 23, &payload);
        assert_eq!((reply.code, reply.detail), (0, 0), "{bytes}\n{}", world.log());
        let (length, rest) = answer.split_first_chunk::<4>().unwrap();
        let (head, came) = rest.split_at(u32::from_le_bytes(*length) as usize);
        let head: serde_json::Value = serde_json::from_slice(head).unwrap();
        assert_eq!((&head["exit"], &head["truncated"]), (&json!(0), &json!(false)), "{bytes}: {head}");
        assert!(came == sent, "{bytes} bytes came back as {} others", came.len());
        if before.is_empty() {
            // With the first call came the worker.
            pause(500);
            before = processes.iter().map(|pid| size_of(*pid).0).collect();
        }
    }
    wait_until("the files are closed", || {
        processes.iter().zip(&before).all(|(pid, before)| size_of(*pid).0 <= *before)
    });
}
