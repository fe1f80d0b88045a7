//! One load, put on any transport.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Failure;
use crate::transport::Transport;

/// Calls before anything is measured.
const WARM_UP: usize = 2_000;

/// What is asked of a transport.
#[derive(Debug, clap::Args)]
pub struct Load {
    /// Callers at once, each a thread with a connection of its own
    #[arg(long, default_value_t = 1)]
    callers: usize,
    /// Bytes of a request
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    /// How long
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Processes whose processor time counts with the caller's own
    #[arg(long = "server", value_name = "PID")]
    servers: Vec<u32>,
}

/// What came out. Units are in the names.
#[derive(Debug, Serialize)]
pub struct Figures {
    calls: usize,
    calls_per_s: f64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    /// Processor time of callers and servers together, for each call.
    cpu_ns_per_call: f64,
}

/// Puts the load on a transport.
pub fn run(transport: &dyn Transport, place: &Path, load: &Load) -> Result<Figures, Failure> {
    let stop = AtomicBool::new(false);
    let ready = Barrier::new(load.callers + 1);
    let (times, wall, cpu) = thread::scope(|scope| -> Result<_, Failure> {
        let callers: Vec<_> = (0..load.callers)
            .map(|_| scope.spawn(|| call(transport, place, load.bytes, &ready, &stop)))
            .collect();
        ready.wait();
        let (cpu_before, begun) = (cpu_ns(&load.servers)?, Instant::now());
        thread::sleep(Duration::from_secs_f64(load.seconds));
        stop.store(true, Ordering::Relaxed);
        let (wall, cpu) = (begun.elapsed(), cpu_ns(&load.servers)? - cpu_before);
        let mut times = Vec::new();
        for caller in callers {
            times.extend(caller.join().map_err(|_| "a caller panicked")??);
        }
        Ok((times, wall, cpu))
    })?;
    Ok(figures(times, wall, cpu))
}

fn call(
    transport: &dyn Transport,
    place: &Path,
    bytes: usize,
    ready: &Barrier,
    stop: &AtomicBool,
) -> Result<Vec<u32>, Failure> {
    let payload = vec![0x5A; bytes];
    // Whoever fails must not keep the others waiting.
    let prepared = (|| {
        let mut caller = transport.connect(place)?;
        for _ in 0..WARM_UP {
            if caller.call(&payload)? != bytes {
                return Err(Failure::from("the answer is not what was sent"));
            }
        }
        Ok(caller)
    })();
    ready.wait();
    let mut caller = prepared?;
    let mut times = Vec::with_capacity(8_000_000);
    while !stop.load(Ordering::Relaxed) && times.len() < times.capacity() {
        let begun = Instant::now();
        caller.call(&payload)?;
        times.push(u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    Ok(times)
}

fn figures(mut times: Vec<u32>, wall: Duration, cpu_ns: u64) -> Figures {
    times.sort_unstable();
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or(0).into();
    Figures {
        calls: times.len(),
        calls_per_s: times.len() as f64 / wall.as_secs_f64(),
        p50_ns: at(0.5),
        p99_ns: at(0.99),
        p999_ns: at(0.999),
        cpu_ns_per_call: cpu_ns as f64 / times.len().max(1) as f64,
    }
}

/// Returns the processor time that this process and the servers have used, all their threads together.
fn cpu_ns(servers: &[u32]) -> Result<u64, Failure> {
    let mut sum = 0;
    for process in servers.iter().copied().chain([std::process::id()]) {
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            // A thread may end while it is looked at.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            sum += text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}
