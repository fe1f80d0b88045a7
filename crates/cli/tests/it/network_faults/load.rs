//! Clients that ask again and again while something happens.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::network::address;
use super::site::{Keys, Site, script};
use crate::discovery::client::Client;

/// How clients are.
pub(super) struct Clients<'a> {
    /// The gateways that they know; each begins with another.
    pub(super) gateways: &'a [&'a str],
    pub(super) path: &'a str,
    pub(super) count: usize,
    /// They change something, and do not only read.
    pub(super) changes: bool,
    /// They keep their connections for the next request.
    pub(super) keep: bool,
    /// They try on when no gateway takes their connection.
    pub(super) are_patient: bool,
    /// How long they wait for an answer, in seconds.
    pub(super) answer_timeout_s: u64,
}

impl Default for Clients<'_> {
    fn default() -> Self {
        Self {
            gateways: &["gw1", "gw2"],
            path: "/files/api/v1/who",
            count: 6,
            changes: false,
            keep: true,
            are_patient: false,
            answer_timeout_s: 60,
        }
    }
}

/// What became of their requests.
#[derive(Debug, Deserialize)]
pub(super) struct Became {
    /// How many were answered by which instance.
    pub(super) by: BTreeMap<String, u64>,
    pub(super) connections: u64,
    /// Connections that could not be made because nobody listened or answered.
    pub(super) unreachable: u64,
    /// Connections that broke while they were made.
    pub(super) dropped: u64,
    /// Reads that were asked again because their connection, which had been used before, broke without a byte.
    pub(super) broken_reused: u64,
    /// The same on connections that were new.
    pub(super) broken_new: u64,
    /// Requests that came to nothing, by what was said.
    pub(super) failed: BTreeMap<String, u64>,
    /// Changes that were answered, and those that may have been done or not.
    pub(super) done: Vec<String>,
    pub(super) unsure: Vec<String>,
}

/// Clients under way.
pub(super) struct Load {
    client: Client,
    input: std::process::ChildStdin,
}

impl Load {
    /// Starts clients on the host for clients.
    pub(super) fn start(site: &Site, clients: &Clients<'_>) -> Self {
        let addresses: Vec<_> =
            clients.gateways.iter().map(|host| format!("{}:7554", address(host))).collect();
        let settings = json!({
            "addresses": addresses, "path": clients.path, "clients": clients.count, "changes": clients.changes,
            "keeps": clients.keep, "is_patient": clients.are_patient, "answer_timeout_s": clients.answer_timeout_s,
            "trust": Keys::get().authority(),
        });
        let mut command = site.network.command("client", "python3");
        command.arg(script("client.py")).arg(settings.to_string());
        let (client, input) = Client::start_with_input(&mut command);
        let this = Self { client, input };
        this.await_more(1);
        this
    }

    /// Returns how many requests were answered, about.
    pub(super) fn answered(&self) -> u64 {
        self.last("answered ")
    }

    /// Returns how many have failed so far.
    pub(super) fn failed(&self) -> u64 {
        self.last("failed ")
    }

    fn last(&self, what: &str) -> u64 {
        let lines = self.client.lines();
        let last = lines.iter().rev().find_map(|line| line.strip_prefix(what));
        last.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// Waits until so many more were answered.
    #[track_caller]
    pub(super) fn await_more(&self, count: u64) {
        let before = self.answered();
        crate::world::wait_until("requests being answered", || self.answered() >= before + count);
    }

    /// Has the clients end after what they are doing, and returns what became of it.
    pub(super) fn end(self) -> Became {
        drop(self.input);
        let over = || {
            let lines = self.client.lines();
            lines.iter().find_map(|line| Some(serde_json::from_str(line.strip_prefix("over ")?).unwrap()))
        };
        crate::world::wait_until("the end of all clients", || over().is_some_and(|_: Became| true));
        over().unwrap()
    }
}
