//! The server's own instance in its registry.

use std::collections::BTreeMap;

use crate::discovery::Action;
use crate::discovery::instance::{DATA_CENTER_CLASS, DataCenter, Instance, Lease, Port, Status, app_key};

/// Where the server itself can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Its host name.
    pub host: String,
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// It is reached over TLS.
    pub is_secure: bool,
}

impl Own {
    /// Makes its instance.
    pub(super) fn instance(&self, now_ms: u64) -> Instance {
        const NAME: &str = "discovery";
        let Self { host, address, port, is_secure } = self;
        let scheme = if *is_secure { "https" } else { "http" };
        let at = |path: &str| Some(format!("{scheme}://{host}:{port}{path}"));
        let health = at("/application/health");
        let (plain, secure) = if *is_secure { (None, health) } else { (health, None) };
        Instance {
            id: format!("{host}:{NAME}:{port}"),
            app: app_key(NAME),
            group: None,
            host: host.clone(),
            address: address.clone(),
            sid: None,
            status: Status::Up,
            overridden: Status::Unknown,
            port: Port { number: *port, is_enabled: !is_secure },
            secure_port: Port { number: *port, is_enabled: *is_secure },
            country: 1,
            data_center: DataCenter { class: DATA_CENTER_CLASS.to_owned(), name: "MyOwn".to_owned() },
            lease: Lease::default(),
            metadata: BTreeMap::from([
                ("apiml.service.title".to_owned(), "Discovery Service".to_owned()),
                ("apiml.service.description".to_owned(), "Knows which services run where".to_owned()),
                ("version".to_owned(), "2.2.0".to_owned()),
            ]),
            home_page_url: at("/"),
            status_page_url: at("/application/info"),
            health_check_url: plain,
            secure_health_check_url: secure,
            vip: Some(NAME.to_owned()),
            secure_vip: Some(NAME.to_owned()),
            asg: None,
            is_coordinating: true,
            updated_ms: now_ms,
            dirty_ms: now_ms,
            action: Action::Added,
        }
    }
}
