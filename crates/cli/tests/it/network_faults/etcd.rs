//! The store that gateways share, lost and found again.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::network::address;
use super::site::{Service, Site, url};
use crate::discovery::client::Client;
use crate::world::wait_until;

const USERS: [&str; 6] = ["ann", "ben", "cem", "dan", "eve", "fay"];
/// Where records of users begin and end, `/tender/gateway/gateway users/`, as etcd reads keys in JSON.
const RECORDS: [&str; 2] =
    ["L3RlbmRlci9nYXRld2F5L2dhdGV3YXkgdXNlcnMv", "L3RlbmRlci9nYXRld2F5L2dhdGV3YXkgdXNlcnMw"];

/// A site whose gateways share an etcd and a file of users.
struct Shared {
    site: Site,
    etcd: Option<Client>,
}

impl Shared {
    fn make() -> Option<Self> {
        let mut this = Self { site: Site::make()?, etcd: None };
        let lines = USERS.map(|user| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
            command.args(["gateway", "password", user]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(b"secret\n").unwrap();
            child.wait_with_output().unwrap().stdout
        });
        std::fs::write(this.site.path("users"), lines.concat()).unwrap();
        this.find();
        Some(this)
    }

    fn address() -> String {
        format!("http://{}:2379", address("etcd"))
    }

    /// Starts etcd with what it had.
    fn find(&mut self) {
        let (own, others) = (Self::address(), "http://127.0.0.1:2380");
        let mut command = self.site.network.command("etcd", "etcd");
        command.arg("--data-dir").arg(self.site.path("etcd-data"));
        command.args(["--listen-client-urls", &own, "--advertise-client-urls", &own]);
        command.args(["--listen-peer-urls", others, "--initial-advertise-peer-urls", others]);
        command.args(["--initial-cluster", &format!("default={others}"), "--log-level", "error"]);
        // It is killed, the machine is not: what it wrote is there.
        command.arg("--unsafe-no-fsync").stderr(Stdio::null());
        self.etcd = Some(Client::start(&mut command));
        let health = format!("{}/health", Self::address());
        wait_until("etcd being there", || self.site.ask("etcd", &health, &[]).0 == 200);
    }

    /// Kills etcd.
    fn lose(&mut self) {
        self.etcd = None;
    }

    fn etcd(&self) -> &Client {
        self.etcd.as_ref().unwrap()
    }

    fn gateway(&self, host: &str) -> Client {
        let users = format!("file:{}", self.site.path("users").display());
        self.site.gateway(host, &["--store", &format!("etcd:{}", Self::address()), "--provider", &users])
    }

    /// Asks a call of logging in.
    fn auth(&self, gateway: &str, call: &str, options: &[&str]) -> (u16, String) {
        self.site.ask("client", &url(gateway, &format!("/gateway/api/v1/auth/{call}")), options)
    }

    /// Logs a user in; returns the header that says so.
    #[track_caller]
    fn login(&self, gateway: &str, user: &str) -> String {
        let (status, answer) = self.auth(gateway, "login", &["-X", "POST", "-u", &format!("{user}:secret")]);
        assert_eq!(status, 204, "{answer}");
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        format!("Cookie: {}", cookie.split(';').next().unwrap())
    }

    /// Says whether a gateway knows who this is.
    fn is_known(&self, gateway: &str, cookie: &str) -> bool {
        match self.auth(gateway, "query", &["-H", cookie]) {
            (200, _) => true,
            (401, _) => false,
            (status, answer) => panic!("{status}: {answer}"),
        }
    }

    /// Logs somebody out, while etcd is there or not, which the answer says.
    #[track_caller]
    fn logout(&self, gateway: &str, cookie: &str, is_there: bool) {
        let (status, answer) = self.auth(gateway, "logout", &["-X", "POST", "-H", cookie]);
        assert_eq!(status, if is_there { 204 } else { 503 }, "{answer}");
        let said = "It is done on this gateway; others will know when the shared store answers again";
        assert!(is_there || answer.contains(said), "{answer}");
    }

    /// Returns how many users etcd has an instance of.
    fn records(&self) -> u64 {
        let range = json!({ "key": RECORDS[0], "range_end": RECORDS[1], "count_only": true }).to_string();
        let (_, answer) = self.site.ask("etcd", &format!("{}/v3/kv/range", Self::address()), &["-d", &range]);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let document: Value = serde_json::from_str(body).unwrap_or_default();
        document["count"].as_str().and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Waits until instances that are added answer.
    #[track_caller]
    fn await_new(&self, gateway: &str, port: u16) {
        for host in ["svc1", "svc2"] {
            let chosen = format!("X-InstanceId: {}:files:{port}", address(host));
            let who = url(gateway, "/files/api/v1/who");
            wait_until("an instance that was added", || {
                self.site.ask("client", &who, &["-H", &chosen]).0 == 200
            });
        }
    }

    /// Asks as a user; returns the name of the instance that answered.
    #[track_caller]
    fn met(&self, gateway: &str, cookie: &str) -> String {
        let who = url(gateway, "/files/api/v1/who");
        let (status, answer) = self.site.ask("client", &who, &["-H", cookie]);
        assert_eq!(status, 200, "{answer}");
        answer.rsplit("\r\n\r\n").next().unwrap().to_owned()
    }
}

#[test]
fn etcd_lost_and_found_stops_no_login_and_forgets_no_logout() {
    let Some(mut shared) = Shared::make() else { return };
    let (first, second) = (shared.gateway("gw1"), shared.gateway("gw2"));
    let [before, during, frozen, stays] = [0, 1, 2, 3].map(|user| shared.login("gw1", USERS[user]));
    shared.logout("gw1", &before, true);
    wait_until("the other gateway knowing", || !shared.is_known("gw2", &before));

    shared.lose();
    first.await_line("ZWEAG104E");
    for gateway in ["gw1", "gw2"] {
        assert!(shared.is_known(gateway, &during) && !shared.is_known(gateway, &before));
        let meanwhile = shared.login(gateway, USERS[4]);
        assert!(shared.is_known("gw1", &meanwhile) && shared.is_known("gw2", &meanwhile));
    }
    shared.logout("gw1", &during, false);
    assert!(!shared.is_known("gw1", &during), "where it was said it counts at once");
    shared.find();
    wait_until("the other gateway learning", || !shared.is_known("gw2", &during));

    // There, and silent.
    shared.etcd().freeze();
    shared.logout("gw2", &frozen, false);
    assert!(!shared.is_known("gw2", &frozen) && shared.is_known("gw1", &stays));
    shared.etcd().thaw();
    wait_until("the first gateway learning", || !shared.is_known("gw1", &frozen));

    // Cut off.
    shared.site.network.unplug("etcd");
    assert!(shared.is_known("gw1", &stays) && shared.is_known("gw2", &stays));
    shared.site.network.plug("etcd");

    // A new one knows all of it from its first answer on.
    drop(second);
    let _second = shared.gateway("gw2");
    for (cookie, is_known) in [(&before, false), (&during, false), (&frozen, false), (&stays, true)] {
        assert_eq!(shared.is_known("gw2", cookie), is_known);
    }
}

#[test]
fn gateway_does_not_start_without_the_store_that_knows_who_logged_out() {
    let Some(mut shared) = Shared::make() else { return };
    shared.lose();
    let users = format!("file:{}", shared.site.path("users").display());
    let own = super::site::Keys::get().own();
    // One that goes on all the same is ended, with another code.
    let mut command = shared.site.network.command("gw1", "timeout");
    command.args([
        "60",
        env!("CARGO_BIN_EXE_tender"),
        "gateway",
        "run",
        "--listen",
        &format!("{}:7554", address("gw1")),
        "--provider",
        &users,
    ]);
    command.arg("--key").arg(own.key).arg("--certificate").arg(own.certificate);
    command.args(["--trust", &super::site::Keys::get().authority(), "--store"]);
    let output = command.arg(format!("etcd:{}", Shared::address())).output().unwrap();
    crate::world::answer("gateway run", &output).ends(12).says("ZWEAG104E").says(&address("etcd"));
}

/// Ports of instances that are added.
const NEW: [u16; 3] = [8444, 8445, 8446];

fn sticky(port: u16) -> Service<'static> {
    Service { metadata: json!({ "apiml.lb.type": "authentication" }), port, ..Service::default() }
}

#[test]
fn users_of_the_only_instance_stay_with_it_when_others_are_added() {
    let Some(shared) = Shared::make() else { return };
    let _discovery = [shared.site.discovery("ds1"), shared.site.discovery("ds2")];
    let _gateway = shared.gateway("gw1");
    let _one = shared.site.service("svc1", &sticky(8443));
    shared.site.await_instances(&["gw1"], &["svc1"]);
    let cookies = USERS.map(|user| shared.login("gw1", user));
    for cookie in &cookies {
        assert_eq!(shared.met("gw1", cookie), "svc1");
    }
    let _new = NEW.map(|port| ["svc1", "svc2"].map(|host| shared.site.service(host, &sticky(port))));
    NEW.iter().for_each(|port| shared.await_new("gw1", *port));
    for cookie in &cookies {
        assert_eq!(shared.met("gw1", cookie), "svc1");
    }
}

#[test]
fn users_stay_with_their_instance_over_gateways_while_etcd_comes_and_goes() {
    let Some(mut shared) = Shared::make() else { return };
    let _discovery = [shared.site.discovery("ds1"), shared.site.discovery("ds2")];
    let _gateways = [shared.gateway("gw1"), shared.gateway("gw2")];
    let _old = ["svc1", "svc2"].map(|host| shared.site.service(host, &sticky(8443)));
    shared.site.await_instances(&["gw1", "gw2"], &["svc1", "svc2"]);
    let cookies = USERS.map(|user| shared.login("gw1", user));
    let (early, late) = cookies.split_at(4);
    let met: Vec<_> = early.iter().map(|cookie| shared.met("gw1", cookie)).collect();
    wait_until("etcd having a record for each user", || shared.records() == 4);
    shared.lose();
    shared.find();
    assert_eq!(shared.records(), 4);

    // Without the records most of them would be led to an instance that is new.
    let _new = NEW.map(|port| ["svc1", "svc2"].map(|host| shared.site.service(host, &sticky(port))));
    for gateway in ["gw1", "gw2"] {
        NEW.iter().for_each(|port| shared.await_new(gateway, *port));
    }
    for (cookie, met) in early.iter().zip(&met) {
        assert_eq!(shared.met("gw2", cookie), *met, "who came before stays");
    }

    // Without an answer of etcd every gateway chooses alike.
    shared.etcd().freeze();
    for cookie in late {
        assert_eq!(shared.met("gw1", cookie), shared.met("gw2", cookie));
    }
    for (cookie, met) in early.iter().zip(&met) {
        assert_eq!(shared.met("gw1", cookie), *met);
    }
    shared.lose();
    for cookie in &cookies {
        assert_eq!(shared.met("gw1", cookie), shared.met("gw2", cookie));
    }
}
