//! Builds and applies a servlink between two directories, and says what that took.
//!
//! ```text
//! cargo run --release -p tender-content --example servlink -- build STORE OLD NEW OUT [MEMORY_MIB]
//! cargo run --release -p tender-content --example servlink -- apply STORE OLD SERVLINK
//! cargo run --release -p tender-content --example servlink -- scan STORE DIR full|stat
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use tender_content::servlink::{ApplyLimits, BuildOptions, apply, build};
use tender_content::{NoProgress, ObjectStore, ScanMode, import_dir, scan};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["build", store, old, new, out] => run_build(store, old, new, out, 800),
        ["build", store, old, new, out, memory_mib] => run_build(store, old, new, out, memory_mib.parse()?),
        ["apply", store, old, servlink] => run_apply(store, old, servlink),
        ["scan", store, dir, mode] => run_scan(store, dir, mode),
        _ => Err("usage: servlink build STORE OLD NEW OUT [MEMORY_MIB] | apply STORE OLD SERVLINK | scan STORE DIR full|stat".into()),
    }
}

fn run_build(store: &str, old: &str, new: &str, out: &str, memory_mib: u64) -> Result<(), Box<dyn Error>> {
    let store = ObjectStore::open(Path::new(store))?;
    let from = import_dir(&store, Path::new(old), &NoProgress)?;
    let to = import_dir(&store, Path::new(new), &NoProgress)?;
    let options = BuildOptions { memory_bytes_max: memory_mib << 20, ..BuildOptions::default() };
    let spent = Spent::start();
    let summary = build(&from, &to, &store, Path::new(out), &options, &NoProgress)?;
    println!("{} bytes, whole {}, {spent}", summary.servlink_bytes, summary.is_whole);
    for section in &summary.header.sections {
        println!("{:>12} -> {:>10}  {}", section.plain_bytes, section.packed_bytes, section.name);
    }
    Ok(())
}

fn run_apply(store: &str, old: &str, servlink: &str) -> Result<(), Box<dyn Error>> {
    let store = ObjectStore::open(Path::new(store))?;
    let from = import_dir(&store, Path::new(old), &NoProgress)?;
    let spent = Spent::start();
    let tree = apply(Path::new(servlink), &from, &store, &ApplyLimits::default(), &NoProgress)?;
    println!("tree {}, {} parts, {spent}", tree.digest(), tree.len());
    Ok(())
}

fn run_scan(store: &str, dir: &str, mode: &str) -> Result<(), Box<dyn Error>> {
    let store = ObjectStore::open(Path::new(store))?;
    let tree = import_dir(&store, Path::new(dir), &NoProgress)?;
    let mode = if mode == "full" { ScanMode::Full } else { ScanMode::StatOnly };
    let spent = Spent::start();
    let differences = scan(Path::new(dir), &tree, None, mode, &NoProgress)?;
    println!("{} parts, {} differences, {spent}", tree.len(), differences.len());
    Ok(())
}

/// Wall and processor time since it was started, and the peak of memory so far.
struct Spent {
    started: Instant,
    cpu_ticks: u64,
}

impl Spent {
    fn start() -> Self {
        Self { started: Instant::now(), cpu_ticks: cpu_ticks() }
    }
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let lines = status.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("RssAnon"));
        let memory: Vec<_> = lines.map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        // The kernel counts in hundredths of a second.
        let (ticks, wall) = (cpu_ticks() - self.cpu_ticks, self.started.elapsed());
        write!(f, "{}.{:02} CPU s, {wall:.2?}, {}", ticks / 100, ticks % 100, memory.join(", "))
    }
}

fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum()
}
