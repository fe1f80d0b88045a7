//! Requests through our gateway, nginx and HAProxy: one backend, one load, in turn.
//!
//! Each leads `/service/api/v1/…` to the backend's `/…`, sets the headers that tell how a request came, drops those that
//! nobody may set from outside, adds to answers what browsers are to keep to, and counts. What a proxy costs is the processor
//! time of its processes. A machine that others use, too, is faster and slower by turns: rounds of a few seconds are compared
//! each with the nginx of the same round.

use std::fmt::Write as _;
use std::path::Path;

use crate::debian::Needed;
use crate::dist;
use crate::failure::Failure;
use crate::load::gateway::{
    Figures, Place, Proxy, Way, backend, load, make_certificate, nginx_command, ours, write,
};
use crate::load::{Served, free_ports, work_dir};
use crate::workspace::Workspace;

/// What measuring takes beside the load.
pub(super) const NEEDED: &[Needed] =
    &[Needed { package: "haproxy", probe: &["haproxy", "-v"], purpose: "to compare with" }];

const ROUNDS: usize = 3;
/// Rounds of what there is a floor for.
const ROUNDS_OF_FLOORS: usize = 11;
/// Of nginx's requests per processor second, what ours must reach at least. Source: the design's figures.
const OF_NGINX_MIN: f64 = 0.9;
/// Of nginx's time within which 99 of 100 answers come, what ours may take.
const P99_OF_NGINX_MAX: f64 = 1.0;
/// Which loads the floors are of.
const FLOOR: (&str, u32) = ("1k", 64);

/// Measures, and makes a table of it.
pub(super) fn measure(workspace: &Workspace, seconds: u32) -> Result<String, Failure> {
    let tender = dist::build(workspace)?;
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
                    let (found, ratios) = (medians(own), Ratios::medians(own, &rounds[0]));
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

/// Returns the medians of rounds.
fn medians(rounds: &[Figures]) -> Figures {
    let median = |of: fn(&Figures) -> f64| median(rounds.iter().map(of));
    Figures {
        per_s: median(|one| one.per_s),
        per_cpu_s: median(|one| one.per_cpu_s),
        p50_ms: median(|one| one.p50_ms),
        p99_ms: median(|one| one.p99_ms),
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

fn nginx(work: &Path, backend: u16) -> Result<Proxy, Failure> {
    let [plain_port, tls_port] = free_ports()?;
    let config = format!(
        "daemon off;\nworker_processes 1;\npid {work}/nginx.pid;\nerror_log stderr;\nevents {{ worker_connections 8192; }}\n\
         http {{\n access_log off;\n keepalive_requests 100000000;\n keepalive_timeout 600s;\n \
         client_body_temp_path {work}/nginx-body;\n proxy_temp_path {work}/nginx-proxy;\n proxy_max_temp_file_size 0;\n \
         upstream service {{ server 127.0.0.1:{backend}; keepalive 1024; keepalive_requests 100000000; }}\n \
         map $https $hsts {{ on \"max-age=31536000; includeSubDomains\"; }}\n \
         server {{\n  listen 127.0.0.1:{plain_port} backlog=8192;\n  listen 127.0.0.1:{tls_port} ssl http2 backlog=8192;\n  \
         ssl_certificate {work}/certificate.pem;\n  ssl_certificate_key {work}/key.pem;\n  ssl_protocols TLSv1.3;\n  \
         location = /application/status {{ stub_status; }}\n  \
         location /service/api/v1/ {{\n   proxy_pass http://service/;\n   proxy_http_version 1.1;\n   \
         add_header X-Content-Type-Options nosniff;\n   add_header X-Frame-Options SAMEORIGIN;\n   \
         add_header Referrer-Policy strict-origin-when-cross-origin;\n   add_header Strict-Transport-Security $hsts;\n   \
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
         http-response set-header X-Content-Type-Options nosniff\n http-response set-header X-Frame-Options SAMEORIGIN\n \
         http-response set-header Referrer-Policy strict-origin-when-cross-origin\n \
         http-response set-header Strict-Transport-Security \"max-age=31536000; includeSubDomains\" if {{ ssl_fc }}\n \
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_compared_with_the_same_round_of_the_other() {
        let figures = |per_cpu_s: f64, p99_ms: f64| Figures { per_s: 0.0, per_cpu_s, p50_ms: 0.0, p99_ms };
        let own = [figures(5.0, 2.0), figures(9.0, 1.0), figures(8.0, 3.0)];
        let other = [figures(10.0, 1.0), figures(10.0, 1.0), figures(4.0, 3.0)];
        assert_eq!(Ratios::medians(&own, &other), Ratios { per_cpu_s: 0.9, p99: 1.0 });
        assert_eq!(medians(&own).per_cpu_s, 8.0);
    }
}
