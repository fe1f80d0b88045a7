//! Measures discovery: what it answers a second, what it needs for 10 000 instances, and what 500 pollers cost it.
//!
//! One process serves, another asks it over loopback without TLS; figures are one line of JSON. `cargo xtask bench mediation`
//! runs it and makes a table.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tender_http::{Limits, Server, Settings as HttpSettings, Transport};
use tender_mediation::discovery::{Access, Discovery, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const INSTANCES: usize = 10_000;
const SERVICES: usize = 200;
const CONNECTIONS: usize = 16;
const POLLERS: usize = 500;
const PHASE: Duration = Duration::from_secs(5);
const JSON: &str = "Accept: application/json\r\nAccept-Encoding: gzip\r\n";

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return runtime.block_on(serve());
    }
    let mut server = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let figures = runtime.block_on(measure(&mut server));
    server.kill()?;
    server.wait()?;
    println!("{}", figures?);
    Ok(())
}

async fn serve() -> Outcome<()> {
    let limits = Limits { connections_per_address: 10_000, ..Limits::default() };
    let settings = HttpSettings { limits, ..HttpSettings::new(Transport::Plain) };
    let server = Server::bind(&["127.0.0.1:0".parse()?], settings)?;
    println!("{}", server.addresses().first().ok_or("it does not listen")?);
    let discovery = Discovery::new(Settings { access: Access::Open, ..Settings::default() });
    discovery.begin().await;
    tokio::spawn(discovery.clone().tasks());
    server.run(discovery, std::future::pending()).await;
    Ok(())
}

/// A connection that is kept, with room for what it reads.
struct Connection(TcpStream, Vec<u8>);

impl Connection {
    async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream, vec![0; 64 << 10]))
    }

    /// Sends a request and reads its answer; returns status and bytes of the body.
    async fn ask(&mut self, request: &[u8]) -> Outcome<(u16, usize)> {
        let Self(stream, buffer) = self;
        stream.write_all(request).await?;
        let mut filled = 0;
        let end = loop {
            let count = stream.read(&mut buffer[filled..]).await?;
            if count == 0 {
                return Err("the server hung up".into());
            }
            filled += count;
            if let Some(at) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
        let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(Ok(0), str::parse)?;
        let mut left = length.saturating_sub(filled - end);
        while left > 0 {
            let count = stream.read(buffer).await?;
            if count == 0 {
                return Err("the server hung up in a body".into());
            }
            left = left.saturating_sub(count);
        }
        Ok((status, length))
    }
}

fn registration(number: usize) -> Vec<u8> {
    let (service, host) = (format!("service{}", number % SERVICES), format!("host{number}.example.com"));
    let metadata: Vec<String> = (0..12)
        .map(|key| format!("\"apiml.apiInfo.{key}.swaggerUrl\":\"https://{host}:8443/v3/api-docs/{key}\""))
        .collect();
    let body = format!(
        "{{\"instance\":{{\"instanceId\":\"{host}:{service}:8443\",\"app\":\"{service}\",\"hostName\":\"{host}\",\"ipAddr\":\
         \"10.0.0.1\",\"status\":\"UP\",\"port\":{{\"$\":8080,\"@enabled\":\"false\"}},\"securePort\":{{\"$\":8443,\"@enabled\":\
         \"true\"}},\"vipAddress\":\"{service}\",\"homePageUrl\":\"https://{host}:8443/\",\"dataCenterInfo\":{{\"name\":\
         \"MyOwn\"}},\"metadata\":{{{}}}}}}}",
        metadata.join(",")
    );
    let head = format!(
        "POST /eureka/apps/{service} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

fn heartbeat(number: usize) -> Vec<u8> {
    let (service, host) = (format!("service{}", number % SERVICES), format!("host{number}.example.com"));
    format!("PUT /eureka/apps/{service}/{host}:{service}:8443?status=UP HTTP/1.1\r\nHost: a\r\n\r\n")
        .into_bytes()
}

fn fetch(path: &str, more: &str) -> Vec<u8> {
    format!("GET /eureka/apps{path} HTTP/1.1\r\nHost: a\r\n{more}\r\n").into_bytes()
}

/// Processor seconds and resident bytes of a process.
fn cost(pid: u32) -> Outcome<(f64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().ok_or("no fields")?.split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok((ticks / 100.0, resident.trim().trim_end_matches(" kB").parse::<u64>()? * 1024))
}

/// When a phase ends.
#[derive(Clone)]
enum Until {
    /// After [`PHASE`].
    Time,
    /// When so many numbers are used.
    Count(usize),
    /// When somebody says so.
    Told(Arc<AtomicBool>),
}

impl Until {
    fn is_over(&self, begun: Instant, number: usize) -> bool {
        match self {
            Self::Time => begun.elapsed() >= PHASE,
            Self::Count(count) => number >= *count,
            Self::Told(is_over) => is_over.load(Ordering::Relaxed),
        }
    }
}

/// Asks over several connections until it is over; returns how many a second.
async fn phase(
    address: SocketAddr,
    until: Until,
    make: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Outcome<f64> {
    let (next, make, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(make), Instant::now());
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (next, make, until) = (Arc::clone(&next), Arc::clone(&make), until.clone());
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut done = 0_u32;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if until.is_over(begun, number) {
                    return Outcome::Ok(done);
                }
                let (status, _) = connection.ask(&make(number)).await?;
                if !(200..300).contains(&status) {
                    return Err(format!("status {status}").into());
                }
                done += 1;
            }
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

/// Fetches by many clients, each a few milliseconds after its last answer, as a client does that takes seconds for
/// milliseconds; returns answers a second.
async fn poll(address: SocketAddr, request: Vec<u8>) -> Outcome<f64> {
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..POLLERS {
        let request = request.clone();
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut done = 0_u32;
            while begun.elapsed() < PHASE {
                connection.ask(&request).await?;
                done += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Outcome::Ok(done)
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

async fn measure(server: &mut Child) -> Outcome<serde_json::Value> {
    let pid = server.id();
    let mut line = String::new();
    let output = server.stdout.take().ok_or("no output")?;
    std::io::BufReader::new(output).read_line(&mut line)?;
    let address: SocketAddr = line.trim().parse()?;
    // It has answered once: what is only there from the first request on is there.
    Connection::open(address).await?.ask(&fetch("/", "")).await?;
    let (_, idle_bytes) = cost(pid)?;
    // A small registry first, as most installations have.
    phase(address, Until::Count(20), registration).await?;
    let (cpu_before, _) = cost(pid)?;
    let polls_per_s = poll(address, fetch("/", "Accept: application/json\r\n")).await?;
    let poll_cpu = (cost(pid)?.0 - cpu_before) / PHASE.as_secs_f64();
    let registrations_per_s = phase(address, Until::Count(INSTANCES), registration).await?;
    let (_, registered_bytes) = cost(pid)?;
    let heartbeats_per_s = phase(address, Until::Time, |number| heartbeat(number % INSTANCES)).await?;
    let mut one = Connection::open(address).await?;
    let first = Instant::now();
    let (_, gzip_bytes) = one.ask(&fetch("/", JSON)).await?;
    let first_ms = first.elapsed().as_secs_f64() * 1000.0;
    let (_, json_bytes) = one.ask(&fetch("/", "Accept: application/json\r\n")).await?;
    let (_, xml_bytes) = one.ask(&fetch("/", "")).await?;
    let fetches_per_s = phase(address, Until::Time, |_| fetch("/", JSON)).await?;
    // All instances are changes of the last three minutes: the largest delta there can be.
    let deltas_per_s = phase(address, Until::Time, |_| fetch("/delta", JSON)).await?;
    // No fetch counts that comes after the last change.
    let are_changed = Arc::new(AtomicBool::new(false));
    let fetching = tokio::spawn(phase(address, Until::Told(Arc::clone(&are_changed)), |_| fetch("/", JSON)));
    let changes_per_s = phase(address, Until::Count(INSTANCES), registration).await?;
    are_changed.store(true, Ordering::Relaxed);
    let fetches_while_changing_per_s = fetching.await??;
    let (_, last_bytes) = cost(pid)?;
    Ok(serde_json::json!({
        "idle_bytes": idle_bytes, "registered_bytes": registered_bytes, "last_bytes": last_bytes,
        "registrations_per_s": registrations_per_s, "heartbeats_per_s": heartbeats_per_s,
        "fetches_per_s": fetches_per_s, "deltas_per_s": deltas_per_s, "changes_per_s": changes_per_s,
        "fetches_while_changing_per_s": fetches_while_changing_per_s, "first_fetch_ms": first_ms,
        "gzip_bytes": gzip_bytes, "json_bytes": json_bytes, "xml_bytes": xml_bytes, "pollers": POLLERS,
        "polls_per_s": polls_per_s, "poll_cpu": poll_cpu, "instances": INSTANCES,
    }))
}
