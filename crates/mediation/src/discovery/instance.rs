//! One instance of a service, as clients announce it.

use std::collections::BTreeMap;

/// What an entry of metadata takes besides its texts, in bytes.
const ENTRY: usize = 64;
/// Numbers that Java clients can read: their `int` and `long`.
const INT_MAX: u64 = i32::MAX as u64;
pub(crate) const LONG_MAX: u64 = i64::MAX as u64;

/// Seconds between heartbeats when an instance does not say.
pub(crate) const RENEWAL_INTERVAL_S: u64 = 30;
/// Seconds without a heartbeat after which a lease ends when an instance does not say.
pub(crate) const DURATION_S: u64 = 90;
/// The class that clients of the protocol expect of a data center nobody runs in a cloud.
pub(crate) const DATA_CENTER_CLASS: &str = "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo";

/// Returns a service's name as it is a key: in upper case, of ASCII alone.
///
/// Names that are not ASCII are refused where they are announced: letters of other alphabets have upper cases that are
/// ASCII (`ı` and `ſ`), so that one service could pass for another.
pub(crate) fn app_key(name: &str) -> String {
    name.to_ascii_uppercase()
}

/// How an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Status {
    /// It must not get requests.
    Down,
    /// An operator took it out.
    OutOfService,
    /// It is not ready yet.
    Starting,
    /// It takes requests.
    Up,
    /// Nobody says.
    #[default]
    Unknown,
}

impl Status {
    /// All of them, in the order of their names, which is that of the hash of a registry.
    pub const ALL: [Self; 5] = [Self::Down, Self::OutOfService, Self::Starting, Self::Unknown, Self::Up];

    /// Returns the word of the protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "DOWN",
            Self::OutOfService => "OUT_OF_SERVICE",
            Self::Starting => "STARTING",
            Self::Up => "UP",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Reads a word in any case; another word is [`Status::Unknown`], as the protocol has it.
    #[must_use]
    pub fn of(word: &str) -> Self {
        let is_it = |status: &Self| status.name().eq_ignore_ascii_case(word.trim());
        Self::ALL.into_iter().find(is_it).unwrap_or_default()
    }
}

/// What happened to an instance last, for those who read changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// It is new.
    #[default]
    Added,
    /// It was announced again or its status changed.
    Modified,
    /// It is gone.
    Deleted,
}

impl Action {
    /// Returns the word of the protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A port and whether it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// It takes requests.
    pub is_enabled: bool,
}

/// Where an instance says it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataCenter {
    /// A class name of the Java client, which others repeat.
    pub class: String,
    /// `MyOwn`, `Netflix` or `Amazon`.
    pub name: String,
}

/// For how long an instance is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Seconds between heartbeats.
    pub renewal_interval_s: u64,
    /// Seconds without one after which it ends.
    pub duration_s: u64,
    /// When it began, in milliseconds since 1970.
    pub registered_ms: u64,
    /// The last heartbeat, in milliseconds since 1970.
    pub renewed_ms: u64,
    /// When it was taken away, in milliseconds since 1970; 0 while it lasts.
    pub evicted_ms: u64,
    /// When it was UP first, in milliseconds since 1970; 0 before.
    pub up_ms: u64,
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            renewal_interval_s: RENEWAL_INTERVAL_S,
            duration_s: DURATION_S,
            registered_ms: 0,
            renewed_ms: 0,
            evicted_ms: 0,
            up_ms: 0,
        }
    }
}

/// An instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its name among the instances; `host:serviceId:port` by custom, else the host name.
    pub id: String,
    /// The service, in upper case.
    pub app: String,
    /// A group of services.
    pub group: Option<String>,
    /// Where it runs.
    pub host: String,
    /// Its address, as it says.
    pub address: String,
    /// Kept as it was said, and left out when it is `na`.
    pub sid: Option<String>,
    /// How it is.
    pub status: Status,
    /// What an operator made of it; [`Status::Unknown`] for nothing.
    pub overridden: Status,
    /// The port for clear text.
    pub port: Port,
    /// The port for TLS.
    pub secure_port: Port,
    /// Of no use, and part of the documents.
    pub country: u64,
    /// Where it says it runs.
    pub data_center: DataCenter,
    /// For how long it is believed.
    pub lease: Lease,
    /// What else it says of itself, such as its routes.
    pub metadata: BTreeMap<String, String>,
    /// Its home page.
    pub home_page_url: Option<String>,
    /// Its status page.
    pub status_page_url: Option<String>,
    /// Where its health is asked for.
    pub health_check_url: Option<String>,
    /// The same over TLS.
    pub secure_health_check_url: Option<String>,
    /// The name it is looked up by.
    pub vip: Option<String>,
    /// The same for TLS.
    pub secure_vip: Option<String>,
    /// A group of machines of a cloud.
    pub asg: Option<String>,
    /// It is the discovery service that is asked.
    pub is_coordinating: bool,
    /// The last change, in milliseconds since 1970.
    pub updated_ms: u64,
    /// The client's own last change, in milliseconds since 1970.
    pub dirty_ms: u64,
    /// What happened to it last.
    pub action: Action,
}

impl Instance {
    /// Returns about how many bytes it says of itself.
    pub(crate) fn weight(&self) -> usize {
        /// What it takes besides its texts.
        const OWN: usize = 512;
        let metadata: usize = self.metadata.iter().map(|(key, value)| key.len() + value.len() + ENTRY).sum();
        let texts: usize = self.texts().map(|(_, text)| text.len()).sum();
        OWN + metadata + texts + self.id.len() + self.app.len() + self.host.len() + self.address.len()
    }

    /// Returns what [`Instance::weight`] would be with more metadata.
    pub(crate) fn weight_with(&self, more: &BTreeMap<String, String>) -> usize {
        let added = |(key, value): (&String, &String)| match self.metadata.get(key) {
            Some(before) => value.len().cast_signed() - before.len().cast_signed(),
            None if key.is_empty() => 0,
            None => (key.len() + value.len() + ENTRY).cast_signed(),
        };
        self.weight().saturating_add_signed(more.iter().map(added).sum())
    }

    /// Returns the fields that are written only when they were said, with their names in documents.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("sid", &self.sid),
            ("appGroupName", &self.group),
            ("homePageUrl", &self.home_page_url),
            ("statusPageUrl", &self.status_page_url),
            ("healthCheckUrl", &self.health_check_url),
            ("secureHealthCheckUrl", &self.secure_health_check_url),
            ("vipAddress", &self.vip),
            ("secureVipAddress", &self.secure_vip),
            ("asgName", &self.asg),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, text.as_deref()?)))
    }
}

/// Says why an announcement is not understood or not complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is no document of the expected form.
    #[error("the body is no {form}: {reason}")]
    Form {
        /// JSON or XML.
        form: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// It holds no instance.
    #[error("the body has no `instance`")]
    NoInstance,
    /// Something must be there and is not.
    #[error("`{field}` of the instance is missing")]
    Missing {
        /// Its name in the document.
        field: &'static str,
    },
    /// A value is not what it must be.
    #[error("`{field}` of the instance is `{found}`, {wanted} is wanted")]
    Value {
        /// Its name in the document.
        field: &'static str,
        /// What was found.
        found: String,
        /// What belongs there.
        wanted: &'static str,
    },
}

/// The fields of a document before they are an instance: texts, whatever the form wrote them as.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) texts: BTreeMap<String, String>,
    /// Number and flag of `port` and `securePort`.
    pub(crate) ports: BTreeMap<String, (Option<String>, Option<String>)>,
    pub(crate) lease: BTreeMap<String, String>,
    /// Class and name.
    pub(crate) data_center: Option<(Option<String>, Option<String>)>,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Draft {
    /// Makes an instance of what was said, with defaults for the rest; `now_ms` is the client's change when it says none.
    pub(crate) fn into_instance(mut self, now_ms: u64) -> Result<Instance, ReadError> {
        let host = self.required("hostName")?;
        let address = self.required("ipAddr")?;
        let app = app_key(&self.required("app")?);
        let (class, name) = self.data_center.take().ok_or(ReadError::Missing { field: "dataCenterInfo" })?;
        let name = present(name).ok_or(ReadError::Missing { field: "dataCenterInfo.name" })?;
        // No document could name it.
        self.metadata.remove("");
        let id = self.optional("instanceId").unwrap_or_else(|| host.clone());
        let overridden = self.optional("overriddenStatus").or_else(|| self.optional("overriddenstatus"));
        Ok(Instance {
            id,
            app,
            group: self.optional("appGroupName"),
            host,
            address,
            sid: self.optional("sid").filter(|sid| sid != "na"),
            status: self.optional("status").map_or(Status::Up, |word| Status::of(&word)),
            overridden: overridden.map_or(Status::Unknown, |word| Status::of(&word)),
            port: self.port("port", Port { number: 7001, is_enabled: true })?,
            secure_port: self.port("securePort", Port { number: 7002, is_enabled: false })?,
            country: self.number("countryId", INT_MAX)?.unwrap_or(1),
            data_center: DataCenter {
                class: present(class).unwrap_or_else(|| DATA_CENTER_CLASS.to_owned()),
                name,
            },
            lease: self.lease()?,
            metadata: std::mem::take(&mut self.metadata),
            home_page_url: self.optional("homePageUrl"),
            status_page_url: self.optional("statusPageUrl"),
            health_check_url: self.optional("healthCheckUrl"),
            secure_health_check_url: self.optional("secureHealthCheckUrl"),
            vip: self.optional("vipAddress"),
            secure_vip: self.optional("secureVipAddress"),
            asg: self.optional("asgName"),
            is_coordinating: self
                .optional("isCoordinatingDiscoveryServer")
                .is_some_and(|word| is_true(&word)),
            updated_ms: now_ms,
            dirty_ms: self.number("lastDirtyTimestamp", LONG_MAX)?.filter(|time| *time > 0).unwrap_or(now_ms),
            action: Action::Added,
        })
    }

    fn optional(&mut self, field: &str) -> Option<String> {
        present(self.texts.remove(field))
    }

    fn required(&mut self, field: &'static str) -> Result<String, ReadError> {
        self.optional(field).ok_or(ReadError::Missing { field })
    }

    fn number(&mut self, field: &'static str, max: u64) -> Result<Option<u64>, ReadError> {
        self.optional(field).map(|text| number(field, &text, max)).transpose()
    }

    fn port(&mut self, field: &'static str, usual: Port) -> Result<Port, ReadError> {
        let (port, flag) = self.ports.remove(field).unwrap_or_default();
        let wrong =
            |found: &str| ReadError::Value { field, found: found.to_owned(), wanted: "a port number" };
        let port = present(port).map(|text| text.trim().parse().map_err(|_| wrong(&text))).transpose()?;
        let is_enabled = present(flag).map_or(usual.is_enabled, |word| is_true(&word));
        Ok(Port { number: port.unwrap_or(usual.number), is_enabled })
    }

    fn lease(&mut self) -> Result<Lease, ReadError> {
        let mut seconds = |field: &'static str, usual: u64| {
            let said =
                present(self.lease.remove(field)).map(|text| number(field, &text, INT_MAX)).transpose()?;
            Ok(said.filter(|seconds| *seconds > 0).unwrap_or(usual))
        };
        Ok(Lease {
            renewal_interval_s: seconds("renewalIntervalInSecs", RENEWAL_INTERVAL_S)?,
            duration_s: seconds("durationInSecs", DURATION_S)?,
            ..Lease::default()
        })
    }
}

fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn number(field: &'static str, text: &str, max: u64) -> Result<u64, ReadError> {
    let wanted = if max == INT_MAX {
        "a whole number up to 2147483647"
    } else {
        "a whole number up to 9223372036854775807"
    };
    let read = text.trim().parse().ok().filter(|number| *number <= max);
    read.ok_or_else(|| ReadError::Value { field, found: text.to_owned(), wanted })
}

fn is_true(word: &str) -> bool {
    word.trim().eq_ignore_ascii_case("true")
}
