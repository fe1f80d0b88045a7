//! rsync over a pipe, its receiver measured by itself.

use std::fs;
use std::process::{Command, Stdio};

use super::{Figures, Job, Peer, verify};
use crate::bench::measure::{Cost, measure};
use crate::debian::Needed;
use crate::failure::Failure;
use crate::program;

const NEEDED: Needed = Needed { package: "rsync", probe: &["rsync", "--version"], purpose: "comparison" };

pub(super) const ZLIB: Peer = Peer { name: "rsync -z", needed: NEEDED, run: zlib };
pub(super) const ZSTD: Peer = Peer { name: "rsync, zstd 19, fuzzy", needed: NEEDED, run: zstd };

fn zlib(job: &Job<'_>) -> Result<Figures, Failure> {
    run(job, &[])
}

fn zstd(job: &Job<'_>) -> Result<Figures, Failure> {
    run(job, &["--zc=zstd", "--zl=19", "--fuzzy"])
}

fn run(job: &Job<'_>, more: &[&str]) -> Result<Figures, Failure> {
    let result = job.work.join("result");
    program::run(Command::new("cp").arg("-a").arg(job.old).arg(&result))?;
    let (statistics, receiver) = (job.work.join("statistics"), job.work.join("receiver"));
    let said = fs::File::create(&statistics).map_err(Failure::file("write", &statistics))?;
    let this = std::env::current_exe().map_err(Failure::file("find", "xtask"))?;
    let mut rsync = Command::new("rsync");
    rsync
        .args(["-az", "--no-whole-file", "--checksum", "--delete", "--stats", "--no-human-readable"])
        .args(more);
    // rsync calls its remote shell as `SHELL HOST COMMAND…`; ours drops the host and writes down the cost.
    rsync.arg(format!("--rsh={} measured {}", this.display(), receiver.display()));
    rsync.arg(format!("{}/", job.new.display())).arg(format!("local:{}/", result.display()));
    let both = measure(rsync.env("LC_ALL", "C").stdout(Stdio::from(said)))?;
    verify(job.new, &result)?;
    let text = fs::read_to_string(&receiver).map_err(Failure::file("read", &receiver))?;
    let apply = Cost::from_line(&text).ok_or_else(|| Failure::Unexpected {
        what: "the receiver's cost is written down".to_owned(),
        found: text.clone(),
    })?;
    let build = Cost { cpu_s: both.cpu_s - apply.cpu_s, ..both };
    let statistics = fs::read_to_string(&statistics).map_err(Failure::file("read", &statistics))?;
    let bytes = total(&statistics, "Total bytes sent:") + total(&statistics, "Total bytes received:");
    Ok(Figures { bytes, build, apply })
}

fn total(statistics: &str, heading: &str) -> u64 {
    let line = statistics.lines().find_map(|line| line.strip_prefix(heading)).unwrap_or("0");
    line.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_of_statistics_reads_the_line_with_or_without_commas() {
        let text = "Total bytes sent: 28,296,090\nTotal bytes received: 120\n";
        assert_eq!(total(text, "Total bytes sent:"), 28_296_090);
        assert_eq!(total(text, "Total bytes received:"), 120);
    }
}
