//! How long a frame of 64 bytes takes there and back between two processes: over the ring, over the library's socket, and
//! over a bare socket, pinned to one processor, to two, and not pinned.
//!
//! ```text
//! cargo run --release -p tender-xmem --example ping [-- ROUNDS [BYTES]]
//! ```
//!
//! One line a way: `ring pinned-2 p50_ns=… p99_ns=… p999_ns=… mean_ns=…`. This is the transport alone: no authorisation,
//! no audit.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tender_xmem::frame::{Header, Kind};
use tender_xmem::ring::{ClientRing, ServerRing, Spin};
use tender_xmem::socket::{Connection, SocketError};

type Failure = Box<dyn std::error::Error>;

const WAYS: [&str; 3] = ["ring", "socket", "bare"];
const PLACES: [&str; 3] = ["pinned-1", "pinned-2", "unpinned"];
const SPIN: Duration = Duration::from_micros(20);
const WARM_UP: usize = 2_000;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [child, way, place] = arguments.as_slice()
        && child == "serve"
    {
        pin(place, 1)?;
        return serve(way);
    }
    let number = |index: usize, default: usize| arguments.get(index).map_or(Ok(default), |text| text.parse());
    let (rounds, bytes) = (number(0, 100_000)?, number(1, 64)?);
    for way in WAYS {
        for place in PLACES {
            measure(way, place, rounds, bytes)?;
        }
    }
    Ok(())
}

/// Pins this process: caller and server to the first allowed processor, or each to its own.
fn pin(place: &str, role: usize) -> Result<(), Failure> {
    let allowed = sched_getaffinity(None)?;
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|index| allowed.is_set(*index)).collect();
    let index = match place {
        "pinned-1" => 0,
        "pinned-2" => role % processors.len(),
        _ => return Ok(()),
    };
    let mut set = CpuSet::new();
    set.set(processors[index]);
    Ok(sched_setaffinity(None, &set)?)
}

fn measure(way: &str, place: &str, rounds: usize, bytes: usize) -> Result<(), Failure> {
    let (mine, theirs) = Connection::pair()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve", way, place])
        .stdin(Stdio::from(theirs.into_socket()))
        .stdout(Stdio::piped())
        .spawn()?;
    let before = sched_getaffinity(None)?;
    pin(place, 0)?;
    let outcome = call(way, &mine, rounds, bytes);
    sched_setaffinity(None, &before)?;
    drop(mine);
    if outcome.is_err() {
        child.kill()?;
    }
    let mut complaint = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut complaint)?;
    }
    child.wait()?;
    let mut times = outcome?;
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let mean = times.iter().map(|time| u64::from(*time)).sum::<u64>() / times.len() as u64;
    writeln!(
        std::io::stdout(),
        "{way} {place} bytes={bytes} p50_ns={} p99_ns={} p999_ns={} mean_ns={mean}",
        at(0.5),
        at(0.99),
        at(0.999),
    )?;
    Ok(())
}

/// Calls `rounds` times; how long each took, in ns.
fn call(way: &str, connection: &Connection, rounds: usize, bytes: usize) -> Result<Vec<u32>, Failure> {
    let payload = vec![7; bytes];
    let mut times = Vec::with_capacity(rounds);
    let mut measure = |round: usize, begin: Instant| {
        if round >= WARM_UP {
            times.push(u32::try_from(begin.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
    };
    let header = |round: usize| Header::new(Kind::Call, round as u64);
    let mut buffer = Connection::buffer();
    match way {
        "ring" => {
            let frame = connection.receive_until(&mut buffer, 2, None)?;
            let capacity = frame.header.detail;
            let [memory, doorbell] =
                <[OwnedFd; 2]>::try_from(frame.descriptors).map_err(|_| "two descriptors")?;
            let ClientRing { mut sender, mut receiver } = ClientRing::open(&memory, doorbell, capacity)?;
            let (mut spin, mut reply) = (Spin::new(SPIN), Vec::new());
            for round in 0..rounds + WARM_UP {
                let begin = Instant::now();
                assert!(sender.try_push(&header(round), &payload)?, "no room");
                while receiver.try_pop(&mut reply)?.is_none() {
                    if !spin.until(receiver.server_processor(), || receiver.is_ready()) && !receiver.arm() {
                        receiver.sleep(Duration::from_secs(1));
                        receiver.disarm();
                    }
                }
                measure(round, begin);
                assert_eq!(reply, payload);
            }
        }
        "socket" => {
            connection.set_receive_timeout(Duration::from_secs(10))?;
            for round in 0..rounds + WARM_UP {
                let begin = Instant::now();
                connection.send(&header(round), &payload, &[])?;
                let frame = connection.receive_blocking(&mut buffer, 0)?;
                measure(round, begin);
                assert_eq!(frame.payload, payload);
            }
        }
        _ => {
            for round in 0..rounds + WARM_UP {
                let begin = Instant::now();
                rustix::io::write(connection, &payload)?;
                let (read, _) =
                    rustix::net::recv(connection, &mut buffer[..], rustix::net::RecvFlags::empty())?;
                measure(round, begin);
                assert_eq!(read, payload.len());
            }
        }
    }
    Ok(times)
}

/// The other process: gives back what it gets until its caller is gone.
fn serve(way: &str) -> Result<(), Failure> {
    let connection = Connection::from_socket(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut buffer = Connection::buffer();
    match way {
        "ring" => serve_ring(&connection),
        "socket" => {
            connection.set_receive_timeout(Duration::from_secs(10))?;
            loop {
                match connection.receive_blocking(&mut buffer, 0) {
                    Ok(frame) => connection.send(&frame.header.reply(0, 0), &frame.payload, &[])?,
                    Err(SocketError::Closed) => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        _ => loop {
            let (read, _) = rustix::net::recv(&connection, &mut buffer[..], rustix::net::RecvFlags::empty())?;
            if read == 0 {
                return Ok(());
            }
            rustix::io::write(&connection, &buffer[..read])?;
        },
    }
}

fn serve_ring(connection: &Connection) -> Result<(), Failure> {
    let mut ring = ServerRing::create(64 * 1024)?;
    let mut ready = Header::new(Kind::RingReady, 1);
    ready.detail = ring.capacity();
    connection.send(&ready, &[], &ring.descriptors())?;
    let poller = poller(connection.as_fd(), ring.doorbell())?;
    let (mut spin, mut buffer) = (Spin::new(SPIN), Vec::new());
    loop {
        while let Some(header) = ring.try_pop(&mut buffer)? {
            assert!(ring.try_push(&header.reply(0, 0), &buffer)?, "no room");
        }
        if spin.until(ring.client_processor(), || ring.is_ready()) || ring.arm() {
            continue;
        }
        let mut events = Vec::with_capacity(2);
        epoll::wait(&poller, rustix::buffer::spare_capacity(&mut events), None)?;
        ring.disarm();
        if events.iter().any(|event| event.data.u64() == 0) {
            return Ok(());
        }
    }
}

fn poller(connection: BorrowedFd<'_>, doorbell: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &poller,
        connection,
        epoll::EventData::new_u64(0),
        epoll::EventFlags::IN | epoll::EventFlags::RDHUP,
    )?;
    // Edge-triggered and never read; see `ServerRing`.
    epoll::add(
        &poller,
        doorbell,
        epoll::EventData::new_u64(1),
        epoll::EventFlags::IN | epoll::EventFlags::ET,
    )?;
    Ok(poller)
}
