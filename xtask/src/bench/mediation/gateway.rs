//! Requests through our gateway, nginx and HAProxy: one backend, one load, in turn.
//!
//! Each leads `/service/api/v1/…` to the backend's `/…`, sets the headers that tell how a request came, drops those that
//! nobody may set from outside, and counts. What a proxy costs is the processor time of its processes. Where there are two
//! processors the proxies have one and everything else the other: a proxy that shares one with what loads it answers as late as
//! the scheduler lets it, and the sooner the less it has to do. A machine that others use, too, is faster and slower by turns: rounds
//! of a few seconds are compared each with the nginx of the same round.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::served::{Served, build_shipped, free_ports, work_dir};
use crate::bench::processes::cpu_ns;
use crate::debian::Needed;
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// What measuring takes.
pub(super) const NEEDED: &[Needed] = &[
    Needed { package: "nginx", probe: &["nginx", "-v"], purpose: "the backend, and to compare with" },
    Needed { package: "haproxy", probe: &["haproxy", "-v"], purpose: "to compare with" },
    Needed { package: "nghttp2-client", probe: &["h2load", "--version"], purpose: "the load" },
    Needed { package: "openssl", probe: &["openssl", "version"], purpose: "a certificate" },
];

const ROUNDS: usize = 3;
/// Rounds of what there is a floor for.
const ROUNDS_OF_FLOORS: usize = 11;
/// Of nginx's requests per processor second, what ours must reach at least. Source: the design's figures.
const OF_NGINX_MIN: f64 = 0.9;
/// Of nginx's time within which 99 of 100 answers come, what ours may take.
const P99_OF_NGINX_MAX: f64 = 1.0;
/// Which loads the floors are of.
const FLOOR: (&str, u32) = ("1k", 64);

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Tls,
    TlsH2,
}

impl Way {
    const ALL: [Self; 3] = [Self::Plain, Self::Tls, Self::TlsH2];

    const fn title(self) -> &'static str {
        match self {
            Self::Plain => "plain, HTTP/1.1",
            Self::Tls => "TLS 1.3, HTTP/1.1",
            Self::TlsH2 => "TLS 1.3, HTTP/2",
        }
    }
}

/// A proxy at work.
struct Proxy {
    name: &'static str,
    plain_port: u16,
    tls_port: u16,
    plain: Served,
    /// The same one, for those that serve both.
    tls: Option<Served>,
}

impl Proxy {
    fn pids(&self, way: Way) -> Vec<i32> {
        match (&self.tls, way) {
            (Some(tls), Way::Tls | Way::TlsH2) => tls.pids(),
            _ => self.plain.pids(),
        }
    }
}

/// What one measurement gave.
#[derive(Debug, Clone, Copy)]
struct Figures {
    per_s: f64,
    per_cpu_s: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Measures, and makes a table of it.
pub(super) fn measure(workspace: &Workspace, seconds: u32) -> Result<String, Failure> {
    let tender = build_shipped(workspace)?;
    let work = work_dir(workspace, "gateway")?;
    let [backend_port, registry_port] = free_ports()?;
    let _backend = backend(&work, backend_port, registry_port)?;
    make_certificate(&work)?;
    let proxies =
        [nginx(&work, backend_port)?, haproxy(&work, backend_port)?, ours(&tender, &work, registry_port)?];
    let mut text = String::from(
        "| requests | connections | proxy | requests a second | per processor second | of nginx | p50 ms | p99 ms | p99 of nginx |\n\
         |---|---:|---|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut floors = String::new();
    for way in Way::ALL {
        for (file, size) in [("1k", "1 KiB"), ("1m", "1 MiB")] {
            for connections in [64, 1000] {
                let has_floor = (file, connections) == FLOOR;
                let count = if has_floor { ROUNDS_OF_FLOORS } else { ROUNDS };
                let mut rounds: Vec<Vec<Figures>> = proxies.iter().map(|_| Vec::new()).collect();
                for _ in 0..count {
                    for (proxy, rounds) in proxies.iter().zip(&mut rounds) {
                        rounds.push(load(proxy, way, file, connections, seconds, &work)?);
                    }
                }
                let what = format!("{}, {size}", way.title());
                for (proxy, own) in proxies.iter().zip(&rounds) {
                    let (found, ratios) = (Figures::medians(own), Ratios::medians(own, &rounds[0]));
                    writeln!(
                        text,
                        "| {what} | {connections} | {} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} |",
                        proxy.name,
                        found.per_s,
                        found.per_cpu_s,
                        ratios.per_cpu_s,
                        found.p50_ms,
                        found.p99_ms,
                        ratios.p99,
                    )
                    .expect("writing to a string cannot fail");
                }
                let Ratios { per_cpu_s, p99 } = Ratios::medians(&rounds[2], &rounds[0]);
                let verdict = |is_reached| if is_reached { "reached" } else { "MISSED" };
                let line = if has_floor {
                    format!(
                        "- {what}, {connections} connections: {per_cpu_s:.2} times nginx's requests per processor second, floor \
                         {OF_NGINX_MIN}: {}; p99 {p99:.2} times, floor {P99_OF_NGINX_MAX}: {}",
                        verdict(per_cpu_s >= OF_NGINX_MIN),
                        // Measured to a hundredth.
                        verdict(p99 < P99_OF_NGINX_MAX + 0.005)
                    )
                } else {
                    format!("- {what}, {connections} connections: {per_cpu_s:.2} times; p99 {p99:.2} times")
                };
                writeln!(floors, "{line}").expect("writing to a string cannot fail");
                eprintln!("{}", floors.lines().last().unwrap_or_default());
            }
        }
    }
    Ok(format!("{text}\n{floors}"))
}

impl Figures {
    /// Returns the medians of rounds.
    fn medians(rounds: &[Self]) -> Self {
        let median = |of: fn(&Self) -> f64| median(rounds.iter().map(of));
        Self {
            per_s: median(|one| one.per_s),
            per_cpu_s: median(|one| one.per_cpu_s),
            p50_ms: median(|one| one.p50_ms),
            p99_ms: median(|one| one.p99_ms),
        }
    }
}

/// What a proxy takes in terms of another.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ratios {
    per_cpu_s: f64,
    p99: f64,
}

impl Ratios {
    /// Returns the medians of what rounds give, each beside the same round of the other.
    fn medians(own: &[Figures], other: &[Figures]) -> Self {
        let pairs = || own.iter().zip(other);
        Self {
            per_cpu_s: median(pairs().map(|(own, other)| own.per_cpu_s / other.per_cpu_s)),
            p99: median(pairs().map(|(own, other)| own.p99_ms / other.p99_ms)),
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Which processor somebody gets, where there are two at least.
#[derive(Debug, Clone, Copy)]
enum Place {
    Proxy,
    Other,
}

impl Place {
    /// Makes a command that runs there.
    fn command(self, program: impl AsRef<OsStr>) -> Command {
        let allowed = rustix::thread::sched_getaffinity(None).unwrap_or_default();
        let mut processors = (0..rustix::thread::CpuSet::MAX_CPU).filter(|one| allowed.is_set(*one));
        let (Some(first), Some(second)) = (processors.next(), processors.next()) else {
            return Command::new(program);
        };
        let processor = match self {
            Self::Proxy => first,
            Self::Other => second,
        };
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &processor.to_string()]).arg(program);
        command
    }
}

/// Puts a load on a proxy.
fn load(
    proxy: &Proxy,
    way: Way,
    file: &str,
    connections: u32,
    seconds: u32,
    work: &Path,
) -> Result<Figures, Failure> {
    let log = work.join("requests.log");
    let (scheme, port) = match way {
        Way::Plain => ("http", proxy.plain_port),
        Way::Tls | Way::TlsH2 => ("https", proxy.tls_port),
    };
    let mut h2load = Place::Other.command("h2load");
    if way != Way::TlsH2 {
        h2load.arg("--h1");
    }
    h2load.args(["-t", "1", "-m", "1", "-c", &connections.to_string(), "-D", &seconds.to_string()]);
    h2load.arg(format!("--log-file={}", log.display()));
    h2load.arg(format!("{scheme}://127.0.0.1:{port}/service/api/v1/{file}"));
    // Files of earlier rounds would be added to.
    fs::remove_file(&log).unwrap_or_default();
    let pids = proxy.pids(way);
    let before_ns = cpu_ns(&pids)?;
    let output = program::output(&mut h2load)?;
    let cpu_s = (cpu_ns(&pids)? - before_ns) as f64 / 1e9;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let unexpected = || Failure::Unexpected {
        what: format!("`{}` through {} succeeds", program::line(&h2load), proxy.name),
        found: said.clone(),
    };
    let text = fs::read_to_string(&log).map_err(Failure::file("read", &log))?;
    let times = times(&text).ok_or_else(unexpected)?;
    let counted = |word: &str| said.contains(&format!(" 0 {word}"));
    if times.is_empty() || !counted("failed") || !counted("errored") {
        return Err(unexpected());
    }
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize] as f64 / 1000.0;
    let count = times.len() as f64;
    Ok(Figures {
        per_s: count / f64::from(seconds),
        per_cpu_s: count / cpu_s,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    })
}

/// Reads how long requests took, in microseconds and in order; nothing when one did not succeed.
fn times(log: &str) -> Option<Vec<u64>> {
    let mut times = Vec::new();
    for line in log.lines() {
        let mut fields = line.split('\t').skip(1);
        if fields.next()? != "200" {
            return None;
        }
        times.push(fields.next()?.parse().ok()?);
    }
    times.sort_unstable();
    Some(times)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(Failure::file("write", path))
}

/// Serves two files and, to our gateway, a registry that names itself: at another port, for no gateway leads to discovery.
fn backend(work: &Path, port: u16, registry_port: u16) -> Result<Served, Failure> {
    let www = work.join("www");
    fs::create_dir_all(&www).map_err(Failure::file("make", &www))?;
    write(&www.join("1k"), &"x".repeat(1024))?;
    write(&www.join("1m"), &"x".repeat(1 << 20))?;
    let registry = serde_json::json!({ "applications": { "application": [{ "name": "SERVICE", "instance": [{
        "instanceId": format!("127.0.0.1:service:{port}"), "app": "SERVICE", "hostName": "127.0.0.1", "status": "UP",
        "port": { "$": port, "@enabled": "true" }, "securePort": { "$": 0, "@enabled": "false" },
        "metadata": { "apiml.routes.api-v1.gatewayUrl": "api/v1", "apiml.routes.api-v1.serviceUrl": "/" },
    }] }] } });
    write(&www.join("apps"), &registry.to_string())?;
    let config = format!(
        "daemon off;\nworker_processes 1;\npid {work}/backend.pid;\nerror_log stderr;\nevents {{ worker_connections 8192; }}\n\
         http {{\n access_log off;\n keepalive_requests 100000000;\n keepalive_timeout 600s;\n client_body_temp_path {work}/backend-body;\n \
         server {{\n  listen 127.0.0.1:{port} backlog=8192;\n  listen 127.0.0.1:{registry_port};\n  root {www};\n  \
         location = /eureka/apps {{ default_type application/json; alias {www}/apps; }}\n }}\n}}\n",
        work = work.display(),
        www = www.display(),
    );
    let path = work.join("backend.conf");
    write(&path, &config)?;
    Served::start(nginx_command(Place::Other, &path), port, &work.join("backend.log"))
}

fn nginx_command(place: Place, config: &Path) -> Command {
    let mut command = place.command("nginx");
    command.arg("-e").arg("stderr").arg("-c").arg(config);
    command
}

/// Makes a certificate of its own authority, with the key, apart and in one file.
fn make_certificate(work: &Path) -> Result<(), Failure> {
    let (key, certificate) = (work.join("key.pem"), work.join("certificate.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "30",
    ]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let output = program::output(&mut openssl)?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Failure::Ended { command: program::line(&openssl), status: output.status });
    }
    let read = |path: &PathBuf| fs::read_to_string(path).map_err(Failure::file("read", path));
    write(&work.join("both.pem"), &format!("{}{}", read(&certificate)?, read(&key)?))
}

fn nginx(work: &Path, backend: u16) -> Result<Proxy, Failure> {
    let [plain_port, tls_port] = free_ports()?;
    let config = format!(
        "daemon off;\nworker_processes 1;\npid {work}/nginx.pid;\nerror_log stderr;\nevents {{ worker_connections 8192; }}\n\
         http {{\n access_log off;\n keepalive_requests 100000000;\n keepalive_timeout 600s;\n \
         client_body_temp_path {work}/nginx-body;\n proxy_temp_path {work}/nginx-proxy;\n proxy_max_temp_file_size 0;\n \
         upstream service {{ server 127.0.0.1:{backend}; keepalive 1024; keepalive_requests 100000000; }}\n \
         server {{\n  listen 127.0.0.1:{plain_port} backlog=8192;\n  listen 127.0.0.1:{tls_port} ssl http2 backlog=8192;\n  \
         ssl_certificate {work}/certificate.pem;\n  ssl_certificate_key {work}/key.pem;\n  ssl_protocols TLSv1.3;\n  \
         location = /application/status {{ stub_status; }}\n  \
         location /service/api/v1/ {{\n   proxy_pass http://service/;\n   proxy_http_version 1.1;\n   \
         proxy_set_header Connection \"\";\n   proxy_set_header Host $http_host;\n   \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n   proxy_set_header X-Forwarded-Host $http_host;\n   \
         proxy_set_header X-Forwarded-Port $server_port;\n   proxy_set_header X-Forwarded-Proto $scheme;\n   \
         proxy_set_header X-Forwarded-Prefix /service/api/v1;\n   proxy_set_header Origin \"\";\n   \
         proxy_set_header Client-Cert \"\";\n   proxy_set_header X-Certificate-Public \"\";\n   \
         proxy_set_header X-Certificate-DistinguishedName \"\";\n   proxy_set_header X-Certificate-CommonName \"\";\n  }}\n }}\n}}\n",
        work = work.display(),
    );
    let path = work.join("nginx.conf");
    write(&path, &config)?;
    let plain = Served::start(nginx_command(Place::Proxy, &path), plain_port, &work.join("nginx.log"))?;
    Ok(Proxy { name: "nginx", plain_port, tls_port, plain, tls: None })
}

fn haproxy(work: &Path, backend: u16) -> Result<Proxy, Failure> {
    let [plain_port, tls_port, status_port] = free_ports()?;
    let config = format!(
        "global\n maxconn 8192\ndefaults\n mode http\n timeout connect 5s\n timeout client 600s\n timeout server 600s\n \
         http-reuse always\nfrontend way_in\n bind 127.0.0.1:{plain_port} backlog 8192\n \
         bind 127.0.0.1:{tls_port} backlog 8192 ssl crt {work}/both.pem alpn h2,http/1.1 ssl-min-ver TLSv1.3\n \
         http-request set-var(txn.service) bool(true) if {{ path_beg /service/api/v1/ }}\n \
         acl is_service var(txn.service) -m bool\n option forwardfor\n \
         http-request set-header X-Forwarded-Host %[req.hdr(host)]\n http-request set-header X-Forwarded-Port %[dst_port]\n \
         http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}\n \
         http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}\n \
         http-request set-header X-Forwarded-Prefix /service/api/v1\n http-request del-header Origin\n \
         http-request del-header Client-Cert\n http-request del-header X-Certificate- -m beg\n \
         http-request replace-path /service/api/v1/(.*) /\\1 if is_service\n \
         use_backend service if is_service\nbackend service\n server one 127.0.0.1:{backend}\n\
         frontend status\n bind 127.0.0.1:{status_port}\n stats enable\n stats uri /status\n",
        work = work.display(),
    );
    let path = work.join("haproxy.cfg");
    write(&path, &config)?;
    let mut command = Place::Proxy.command("haproxy");
    command.arg("-db").arg("-f").arg(&path);
    let plain = Served::start(command, plain_port, &work.join("haproxy.log"))?;
    Ok(Proxy { name: "HAProxy", plain_port, tls_port, plain, tls: None })
}

fn ours(tender: &Path, work: &Path, registry: u16) -> Result<Proxy, Failure> {
    let [plain_port, tls_port] = free_ports()?;
    let command = |port: u16| {
        let mut command = Place::Proxy.command(tender);
        command.args(["gateway", "run", "--listen", &format!("127.0.0.1:{port}")]);
        command
            .arg("--discovery")
            .arg(format!("http://127.0.0.1:{registry}/eureka"))
            .arg("--no-registration");
        command
    };
    let mut plain = command(plain_port);
    plain.arg("--plain");
    let plain = Served::start(plain, plain_port, &work.join("ours-plain.log"))?;
    let mut tls = command(tls_port);
    tls.arg("--key").arg(work.join("key.pem")).arg("--certificate").arg(work.join("certificate.pem"));
    tls.args(["--verify", "DISABLED"]);
    let tls = Some(Served::start(tls, tls_port, &work.join("ours-tls.log"))?);
    Ok(Proxy { name: "Tender", plain_port, tls_port, plain, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_compared_with_the_same_round_of_the_other() {
        let figures = |per_cpu_s: f64, p99_ms: f64| Figures { per_s: 0.0, per_cpu_s, p50_ms: 0.0, p99_ms };
        let own = [figures(5.0, 2.0), figures(9.0, 1.0), figures(8.0, 3.0)];
        let other = [figures(10.0, 1.0), figures(10.0, 1.0), figures(4.0, 3.0)];
        assert_eq!(Ratios::medians(&own, &other), Ratios { per_cpu_s: 0.9, p99: 1.0 });
        assert_eq!(Figures::medians(&own).per_cpu_s, 8.0);
    }

    #[test]
    fn times_of_requests_that_did_not_succeed_count_for_nothing() {
        assert_eq!(times("1\t200\t30\n2\t200\t10\n"), Some(vec![10, 30]));
        assert_eq!(times("1\t200\t30\n2\t503\t10\n"), None);
    }
}
