//! Entries a second of the caching service, in each of its stores.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bench::build_tender;
use crate::debian::Needed;
use crate::failure::Failure;
use crate::load::{Served, free_ports, work_dir};
use crate::processes::{cpu_ns, memory_bytes};
use crate::program;
use crate::workspace::Workspace;

/// What measuring takes.
pub(super) const NEEDED: &[Needed] = &[
    Needed { package: "wrk", probe: &["sh", "-c", "command -v wrk"], purpose: "the load" },
    Needed { package: "etcd-server", probe: &["etcd", "--version"], purpose: "a store" },
    Needed { package: "redis-server", probe: &["redis-server", "--version"], purpose: "a store" },
];

/// Connections that ask at once.
const CONNECTIONS: u32 = 16;

/// A call, and how the load makes it: a hundred keys, or a new one each time. The load makes one request more than it
/// sends, so that the first key is not there.
const CALLS: &[(&str, &str)] = &[
    (
        "create",
        r#"local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "/cachingservice/api/v1/cache", headers, '{"key":"new-' .. n .. '","value":"' .. value .. '"}')
end"#,
    ),
    (
        "read",
        r#"local n = 0
request = function()
  n = n % 100 + 2
  return wrk.format("GET", "/cachingservice/api/v1/cache/new-" .. n, headers)
end"#,
    ),
    (
        "update",
        r#"local n = 0
request = function()
  n = n % 100 + 2
  return wrk.format("PUT", "/cachingservice/api/v1/cache", headers, '{"key":"new-' .. n .. '","value":"' .. value .. '"}')
end"#,
    ),
];

/// Measures, and makes a table of it.
pub(super) fn measure(workspace: &Workspace, seconds: u32) -> Result<String, Failure> {
    let tender = build_tender(workspace)?;
    let work = work_dir(workspace, "cache")?;
    let [etcd_port, etcd_peer_port, redis_port] = free_ports()?;
    let mut etcd = Command::new("etcd");
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    etcd.arg("--data-dir").arg(work.join("etcd"));
    etcd.args(["--listen-client-urls", &url(etcd_port), "--advertise-client-urls", &url(etcd_port)]);
    etcd.args(["--listen-peer-urls", &url(etcd_peer_port)]);
    let _etcd = Served::start(etcd, etcd_port, &work.join("etcd.log"))?;
    let mut redis = Command::new("redis-server");
    redis.args(["--port", &redis_port.to_string(), "--appendonly", "yes", "--dir"]).arg(&work);
    let _redis = Served::start(redis, redis_port, &work.join("redis.log"))?;
    let stores = [
        ("memory", "memory".to_owned()),
        ("disk, every answer durable", format!("disk:{}", work.join("cache.redb").display())),
        ("etcd, one member", format!("etcd:{}", url(etcd_port))),
        ("Redis, appended each second", format!("redis://127.0.0.1:{redis_port}")),
    ];
    let mut text = String::from(
        "| store | call | a second | per processor second | p50 ms | p99 ms | memory then, MiB |\n|---|---|---:|---:|---:|---:|---:|\n",
    );
    for (number, (title, store)) in stores.iter().enumerate() {
        let [port] = free_ports()?;
        let mut command = Command::new(&tender);
        command.args(["cache", "run", "--plain", "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--size", "100000000", "--store", store]);
        let served = Served::start(command, port, &work.join(format!("ours-{number}.log")))?;
        for (call, script) in CALLS {
            let row = load(&served, port, call, script, seconds, &work)?;
            writeln!(text, "| {title} | {call} | {row}").expect("writing to a string cannot fail");
            eprintln!("{}", text.lines().last().unwrap_or_default());
        }
    }
    Ok(text)
}

/// Puts a load on the service and returns the figures as the rest of a row.
fn load(
    served: &Served,
    port: u16,
    call: &str,
    script: &str,
    seconds: u32,
    work: &Path,
) -> Result<String, Failure> {
    let path = work.join(format!("{call}.lua"));
    let head = "local headers = { [\"X-CS-Service-ID\"] = \"bench\", [\"Content-Type\"] = \"application/json\" }\n\
                local value = string.rep(\"x\", 100)\n";
    fs::write(&path, format!("{head}{script}\n")).map_err(Failure::file("write", &path))?;
    let mut wrk = Command::new("wrk");
    wrk.args(["-t", "1", "-c", &CONNECTIONS.to_string(), "-d", &format!("{seconds}s"), "--latency", "-s"]);
    wrk.arg(&path).arg(format!("http://127.0.0.1:{port}"));
    let pids = served.pids();
    let before_ns = cpu_ns(&pids)?;
    let output = program::output(&mut wrk)?;
    let cpu_s = (cpu_ns(&pids)? - before_ns) as f64 / 1e9;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures = figures(&said).ok_or_else(|| Failure::Unexpected {
        what: format!("every call of `{}` succeeds", program::line(&wrk)),
        found: said.clone(),
    })?;
    let memory_mib = memory_bytes(&pids)? as f64 / f64::from(1 << 20);
    let per_cpu_s = figures.per_s * f64::from(seconds) / cpu_s;
    Ok(format!(
        "{:.0} | {per_cpu_s:.0} | {:.2} | {:.2} | {memory_mib:.1} |",
        figures.per_s, figures.p50_ms, figures.p99_ms
    ))
}

struct Figures {
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Reads what wrk says; nothing when a call did not succeed.
fn figures(said: &str) -> Option<Figures> {
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return None;
    }
    let after = |word: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(word))?;
        line.split_whitespace().next()
    };
    Some(Figures {
        per_s: after("Requests/sec:")?.parse().ok()?,
        p50_ms: milliseconds(after("50%")?)?,
        p99_ms: milliseconds(after("99%")?)?,
    })
}

fn milliseconds(text: &str) -> Option<f64> {
    let (number, factor) = match text {
        _ if text.ends_with("us") => (text.strip_suffix("us")?, 0.001),
        _ if text.ends_with("ms") => (text.strip_suffix("ms")?, 1.0),
        _ => (text.strip_suffix('s')?, 1000.0),
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_load_are_read_unless_a_call_failed() {
        let said =
            "  Latency Distribution\n     50%  350.00us\n     99%    1.20ms\nRequests/sec:  12345.67\n";
        let found = figures(said).unwrap();
        let is = |found: f64, wanted: f64| (found - wanted).abs() < 1e-9;
        assert!(is(found.per_s, 12345.67) && is(found.p50_ms, 0.35) && is(found.p99_ms, 1.2));
        assert!(figures(&format!("{said}  Non-2xx or 3xx responses: 3\n")).is_none());
    }
}
