//! The key `tender` of a manifest, or of `components.<name>` in a configuration: what Tender does with a component.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::node::Node;
use crate::units::{self, UnitError};

/// What Tender does with a component; every key may be left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Extension {
    /// Restart class used when a level is put in production.
    pub restart: Option<String>,
    /// Components that must be READY before this one starts.
    pub requires: Vec<String>,
    /// Components that start earlier, when they start at all.
    pub after: Vec<String>,
    /// What happens when validate or configure fails.
    pub on_failure: Option<FailurePolicy>,
    /// When a started component is READY.
    pub readiness: Option<Readiness>,
    /// When a READY component is DEGRADED.
    pub health: Option<Health>,
    /// How it is stopped.
    pub stop: Stop,
    /// What it may use.
    pub limits: Limits,
    /// When it is started again.
    pub restart_policy: RestartPolicy,
}

/// What happens when validate or configure of a component fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailurePolicy {
    /// Nothing is started.
    Fail,
    /// The component is left out.
    Skip,
    /// The component is started all the same.
    Warn,
}

/// A question put to a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A program that ends with 0, and its arguments; the first is relative to the component.
    Exec(Vec<String>),
    /// `host:port` that takes a connection.
    Tcp(String),
    /// A URL that answers 2xx or 3xx; `http` or `https`.
    Http(String),
    /// A line of output that matches.
    Log(String),
    /// `READY=1` on the socket named by `NOTIFY_SOCKET`.
    Notify,
}

impl Probe {
    /// Returns the same probe with a function applied to every text in it.
    ///
    /// Errors: those of the function.
    pub fn try_map<E>(&self, mut each: impl FnMut(&str) -> Result<String, E>) -> Result<Self, E> {
        Ok(match self {
            Self::Exec(words) => Self::Exec(words.iter().map(|word| each(word)).collect::<Result<_, _>>()?),
            Self::Tcp(address) => Self::Tcp(each(address)?),
            Self::Http(url) => Self::Http(each(url)?),
            Self::Log(pattern) => Self::Log(pattern.clone()),
            Self::Notify => Self::Notify,
        })
    }
}

/// When a started component is READY; times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// What is asked.
    pub probe: Probe,
    /// Before the first question.
    pub initial_delay_ms: u64,
    /// Between questions.
    pub period_ms: u64,
    /// For one answer.
    pub timeout_ms: u64,
    /// After its start; a component that is not READY by then has failed.
    pub deadline_ms: u64,
    /// Answers in a row that must fail before it counts as not READY.
    pub failures: u32,
}

/// When a READY component is DEGRADED; times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// Before the first question.
    pub initial_delay_ms: u64,
    /// Between questions.
    pub period_ms: u64,
    /// For one answer.
    pub timeout_ms: u64,
    /// Failures in a row that end the component.
    pub failures: u32,
}

/// How a component is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The first signal, without `SIG`.
    pub signal: String,
    /// Time until everything is killed, in milliseconds.
    pub grace_ms: u64,
    /// A program that runs before the signal, relative to the component.
    pub pre_stop: Option<Vec<String>>,
    /// Sockets that it gives to be kept are handed to its next run.
    pub keeps_sockets: bool,
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: "TERM".to_owned(), grace_ms: 20_000, pre_stop: None, keeps_sockets: false }
    }
}

/// What a component may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time in percent of one core.
    pub cpu_percent: Option<u32>,
    /// Open files of each process.
    pub files: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
}

/// Which ends are followed by a new start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    /// Every end that nobody asked for.
    #[default]
    Always,
    /// Ends by a signal or with a code other than 0.
    OnFailure,
    /// None.
    Never,
}

/// When a component is started again; waiting times are those of `launcher.restartIntervals`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Which ends count.
    pub mode: RestartMode,
    /// Exit codes that end retrying.
    pub fatal_exit_codes: Vec<i32>,
    /// Share of a waiting time that may be added by chance, in percent.
    pub jitter_percent: u8,
    /// Waiting time after the last interval, in milliseconds; 0 means that retrying ends there.
    pub slow_retry_ms: u64,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            mode: RestartMode::Always,
            fatal_exit_codes: Vec::new(),
            jitter_percent: 0,
            slow_retry_ms: 600_000,
        }
    }
}

/// Says why the key `tender` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExtensionError {
    /// It has another shape.
    #[error("the key `tender` has another shape: {reason}")]
    Shape {
        /// How.
        reason: String,
    },
    /// A duration, size or share is none.
    #[error("`tender.{key}`: {fault}")]
    Unit {
        /// Where.
        key: &'static str,
        /// What is wrong with it.
        fault: UnitError,
    },
    /// A probe asks nothing, or several things.
    #[error("`tender.{key}` needs exactly one of exec, tcp, http, log and notify")]
    Probe {
        /// Where.
        key: &'static str,
    },
}

impl Extension {
    /// Understands the key `tender`.
    ///
    /// Errors: [`ExtensionError`], which names the key.
    pub fn of(node: &Node) -> Result<Self, ExtensionError> {
        if node.is_null() {
            return Ok(Self::default());
        }
        let shape: Shape = serde_json::from_value(node.to_json())
            .map_err(|fault| ExtensionError::Shape { reason: fault.to_string() })?;
        Ok(Self {
            restart: shape.restart,
            requires: shape.requires,
            after: shape.after,
            on_failure: shape.on_failure,
            readiness: shape.readiness.map(|probe| probe.readiness()).transpose()?,
            health: shape.health.map(|probe| probe.health()).transpose()?,
            stop: shape.stop.stop()?,
            limits: shape.limits.limits()?,
            restart_policy: shape.restart_policy.policy()?,
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Shape {
    restart: Option<String>,
    requires: Vec<String>,
    after: Vec<String>,
    on_failure: Option<FailurePolicy>,
    readiness: Option<ProbeShape>,
    health: Option<ProbeShape>,
    stop: StopShape,
    limits: LimitsShape,
    restart_policy: PolicyShape,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ProbeShape {
    exec: Option<Command>,
    tcp: Option<String>,
    http: Option<String>,
    log: Option<String>,
    notify: bool,
    initial_delay: Option<Json>,
    period: Option<Json>,
    timeout: Option<Json>,
    deadline: Option<Json>,
    failures: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Command {
    Program(String),
    Words(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StopShape {
    signal: Option<String>,
    grace: Option<Json>,
    pre_stop: Option<Command>,
    keep_sockets: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LimitsShape {
    memory: Option<Json>,
    cpu: Option<Json>,
    files: Option<u64>,
    tasks: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PolicyShape {
    mode: RestartMode,
    fatal_exit_codes: Vec<i32>,
    jitter: Option<Json>,
    slow_retry: Option<Json>,
}

impl Command {
    fn into_words(self) -> Vec<String> {
        match self {
            Self::Program(program) => vec![program],
            Self::Words(words) => words,
        }
    }
}

impl ProbeShape {
    fn probe(&mut self, key: &'static str) -> Result<Probe, ExtensionError> {
        let mut probes: Vec<Probe> = Vec::new();
        probes.extend(self.exec.take().map(|command| Probe::Exec(command.into_words())));
        probes.extend(self.tcp.take().map(Probe::Tcp));
        probes.extend(self.http.take().map(Probe::Http));
        probes.extend(self.log.take().map(Probe::Log));
        probes.extend(self.notify.then_some(Probe::Notify));
        match (probes.pop(), probes.is_empty()) {
            (Some(probe), true) => Ok(probe),
            _ => Err(ExtensionError::Probe { key }),
        }
    }

    fn readiness(mut self) -> Result<Readiness, ExtensionError> {
        Ok(Readiness {
            probe: self.probe("readiness")?,
            initial_delay_ms: time(self.initial_delay.as_ref(), "readiness.initialDelay", 0)?,
            period_ms: time(self.period.as_ref(), "readiness.period", 1000)?,
            timeout_ms: time(self.timeout.as_ref(), "readiness.timeout", 5000)?,
            deadline_ms: time(self.deadline.as_ref(), "readiness.deadline", 300_000)?,
            failures: self.failures.unwrap_or(3),
        })
    }

    fn health(mut self) -> Result<Health, ExtensionError> {
        Ok(Health {
            probe: self.probe("health")?,
            initial_delay_ms: time(self.initial_delay.as_ref(), "health.initialDelay", 0)?,
            period_ms: time(self.period.as_ref(), "health.period", 10_000)?,
            timeout_ms: time(self.timeout.as_ref(), "health.timeout", 5000)?,
            failures: self.failures.unwrap_or(3),
        })
    }
}

impl StopShape {
    fn stop(self) -> Result<Stop, ExtensionError> {
        let default = Stop::default();
        Ok(Stop {
            signal: self.signal.unwrap_or(default.signal),
            grace_ms: time(self.grace.as_ref(), "stop.grace", default.grace_ms)?,
            pre_stop: self.pre_stop.map(Command::into_words),
            keeps_sockets: self.keep_sockets,
        })
    }
}

impl LimitsShape {
    fn limits(self) -> Result<Limits, ExtensionError> {
        Ok(Limits {
            memory_bytes: quantity(self.memory.as_ref(), "limits.memory", units::size_bytes)?,
            cpu_percent: quantity(self.cpu.as_ref(), "limits.cpu", units::percent)?,
            files: self.files,
            tasks: self.tasks,
        })
    }
}

impl PolicyShape {
    fn policy(self) -> Result<RestartPolicy, ExtensionError> {
        let default = RestartPolicy::default();
        let jitter = quantity(self.jitter.as_ref(), "restartPolicy.jitter", units::percent)?;
        Ok(RestartPolicy {
            mode: self.mode,
            fatal_exit_codes: self.fatal_exit_codes,
            jitter_percent: jitter.map_or(0, |percent| u8::try_from(percent.min(100)).unwrap_or(100)),
            slow_retry_ms: time(self.slow_retry.as_ref(), "restartPolicy.slowRetry", default.slow_retry_ms)?,
        })
    }
}

fn time(value: Option<&Json>, key: &'static str, default_ms: u64) -> Result<u64, ExtensionError> {
    Ok(quantity(value, key, units::duration_ms)?.unwrap_or(default_ms))
}

fn quantity<T>(
    value: Option<&Json>,
    key: &'static str,
    read: fn(&str) -> Result<T, UnitError>,
) -> Result<Option<T>, ExtensionError> {
    let text = match value {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    read(&text).map(Some).map_err(|fault| ExtensionError::Unit { key, fault })
}
