//! Requests through a gateway from one backend, over as many connections as wanted.
//!
//! Where there are two processors the proxies have one and everything else the other: a proxy that shares one with what loads
//! it answers as late as the scheduler lets it, and the sooner the less it has to do.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Served, free_ports};
use crate::debian::Needed;
use crate::failure::Failure;
use crate::processes::cpu_ns;
use crate::program;

/// What it takes.
pub(crate) const NEEDED: &[Needed] = &[
    Needed { package: "nginx", probe: &["nginx", "-v"], purpose: "the backend, and to compare with" },
    Needed { package: "nghttp2-client", probe: &["h2load", "--version"], purpose: "the load" },
    Needed { package: "openssl", probe: &["openssl", "version"], purpose: "a certificate" },
];

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Plain,
    Tls,
    TlsH2,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Tls, Self::TlsH2];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Plain => "plain, HTTP/1.1",
            Self::Tls => "TLS 1.3, HTTP/1.1",
            Self::TlsH2 => "TLS 1.3, HTTP/2",
        }
    }
}

/// A proxy at work.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    pub(crate) plain_port: u16,
    pub(crate) tls_port: u16,
    pub(crate) plain: Served,
    /// The same one, for those that serve both.
    pub(crate) tls: Option<Served>,
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
pub(crate) struct Figures {
    pub(crate) per_s: f64,
    pub(crate) per_cpu_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Which processor somebody gets, where there are two at least.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Proxy,
    Other,
}

impl Place {
    /// Makes a command that runs there.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
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
pub(crate) fn load(
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

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(Failure::file("write", path))
}

/// Serves two files and, to our gateway, a registry that names itself: at another port, for no gateway leads to discovery.
pub(crate) fn backend(work: &Path, port: u16, registry_port: u16) -> Result<Served, Failure> {
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

/// Makes the command of an nginx.
pub(crate) fn nginx_command(place: Place, config: &Path) -> Command {
    let mut command = place.command("nginx");
    command.arg("-e").arg("stderr").arg("-c").arg(config);
    command
}

/// Makes a certificate of its own authority, with the key, apart and in one file.
pub(crate) fn make_certificate(work: &Path) -> Result<(), Failure> {
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

/// Starts our gateway twice: without TLS, and with it.
pub(crate) fn ours(tender: &Path, work: &Path, registry: u16) -> Result<Proxy, Failure> {
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
    fn times_of_requests_that_did_not_succeed_count_for_nothing() {
        assert_eq!(times("1\t200\t30\n2\t200\t10\n"), Some(vec![10, 30]));
        assert_eq!(times("1\t200\t30\n2\t503\t10\n"), None);
    }
}
