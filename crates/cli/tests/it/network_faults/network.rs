//! Network namespaces, one for each host, on the switches of two sites.

use std::io::Write as _;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// Hosts of either site; the first has address 1.
const SITES: [(&str, &[&str]); 2] =
    [("a", &["gw1", "ds1", "svc1", "client"]), ("b", &["gw2", "ds2", "svc2", "etcd"])];
/// Addresses of a network that exists nowhere but between these namespaces.
const PREFIX: &str = "10.78.0";

/// Returns the address of a host.
pub(crate) fn address(host: &str) -> String {
    let place = SITES.iter().flat_map(|(_, hosts)| *hosts).position(|name| *name == host);
    format!("{PREFIX}.{}", place.unwrap_or_else(|| panic!("no host is called {host}")) + 1)
}

/// Returns the addresses of all hosts.
pub(crate) fn addresses() -> Vec<String> {
    SITES.iter().flat_map(|(_, hosts)| *hosts).map(|host| address(host)).collect()
}

/// Two switches and the hosts on them; removed when dropped.
pub(crate) struct Network {
    prefix: String,
}

impl Drop for Network {
    fn drop(&mut self) {
        // One that was never made cannot be removed, and need not be.
        for name in SITES.iter().flat_map(|(_, hosts)| *hosts).chain([&"switch"]) {
            drop(Command::new("ip").args(["netns", "del", &self.namespace(name)]).output());
        }
    }
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|fault| panic!("{command:?}: {fault}: Debian's iproute2 is missing"))
}

fn ip(line: &str) {
    let output = run(Command::new("ip").args(line.split_whitespace()));
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Says something that is read also when the test ends well: what macros print is kept back then.
fn say(text: &str) {
    let test = std::thread::current();
    writeln!(std::io::stderr(), "{}: {text}", test.name().unwrap_or_default()).unwrap_or_default();
}

/// Says why this machine has no namespaces for tests, if it has none.
fn obstacle() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root, run this test as root");
    }
    // In a container root may still lack the right.
    let probe = ["--net", "ip", "link", "add", "name", "probe", "type", "bridge"];
    let may = run(Command::new("unshare").args(probe)).status.success();
    if may { None } else { Some("this root may not make network namespaces") }
}

impl Network {
    /// Makes it; says on a machine that cannot, that the test was not run.
    pub(crate) fn make() -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        if let Some(obstacle) = obstacle() {
            say(&format!("NOT RUN: {obstacle}"));
            return None;
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let this = Self { prefix: format!("tender-faults-{}-{number}-", std::process::id()) };
        let switch = this.namespace("switch");
        ip(&format!("netns add {switch}"));
        for (site, hosts) in SITES {
            ip(&format!("-n {switch} link add name site-{site} type bridge"));
            ip(&format!("-n {switch} link set site-{site} up"));
            for host in hosts {
                let own = this.namespace(host);
                ip(&format!("netns add {own}"));
                ip(&format!("-n {switch} link add name {host} type veth peer name eth0 netns {own}"));
                ip(&format!("-n {switch} link set {host} master site-{site} up"));
                ip(&format!("-n {own} address add {}/24 dev eth0", address(host)));
                ip(&format!("-n {own} link set eth0 up"));
                ip(&format!("-n {own} link set lo up"));
            }
        }
        ip(&format!("-n {switch} link add name trunk-a type veth peer name trunk-b"));
        for site in ["a", "b"] {
            ip(&format!("-n {switch} link set trunk-{site} master site-{site} up"));
        }
        Some(this)
    }

    fn namespace(&self, host: &str) -> String {
        format!("{}{host}", self.prefix)
    }

    /// Prepares a program on a host; what runs is the program itself, so that its process id is known.
    pub(crate) fn command(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(host), program]);
        command
    }

    /// Takes the cable of a host out of its switch: nothing arrives any more and nobody is told.
    pub(crate) fn unplug(&self, host: &str) {
        ip(&format!("-n {} link set {host} down", self.namespace("switch")));
    }

    /// Puts it back.
    pub(crate) fn plug(&self, host: &str) {
        ip(&format!("-n {} link set {host} up", self.namespace("switch")));
    }

    /// Parts the sites.
    pub(crate) fn part(&self) {
        self.unplug("trunk-a");
    }

    /// Joins them again.
    pub(crate) fn join(&self) {
        self.plug("trunk-a");
    }

    /// Makes the way from and to a host long and bad: late, with losses and in another order; where the kernel has no
    /// `netem`, narrow with a long queue, which is late and loses, too. Returns what it is.
    pub(crate) fn slow(&self, host: &str) -> &'static str {
        let bad = "netem delay 80ms 20ms loss 2% reorder 5%";
        let narrow = "tbf rate 1mbit burst 4kb latency 300ms";
        if self.shape(host, bad).is_ok() {
            return bad;
        }
        self.shape(host, narrow).unwrap_or_else(|said| panic!("tc: {said}"));
        say(&format!("this kernel has no netem: the network is slowed down by `{narrow}` instead"));
        narrow
    }

    fn shape(&self, host: &str, discipline: &str) -> Result<(), String> {
        for (namespace, device) in [(host, "eth0"), ("switch", host)] {
            let line =
                format!("-n {} qdisc replace dev {device} root {discipline}", self.namespace(namespace));
            let output = run(Command::new("tc").args(line.split_whitespace()));
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned());
            }
        }
        Ok(())
    }
}
