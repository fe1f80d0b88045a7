//! What is asked for, by options and variables, to how the service is run: decided before anything is opened.

use std::path::PathBuf;
use std::time::Duration;

use tender_certificate::Password;
use tender_http::hyper::Uri;
use tender_mediation::discovery::{Policy, statics};

use super::NAMED;
use super::environment as names;
use super::registry::{self, Shared};
use crate::serving::environment::Environment;
use crate::serving::neighbours::{address, own_address};
use crate::serving::options::{self, PlanError, Serving};

/// Bytes that an instance may say of itself where etcd has to take it: that takes 1.5 MiB at once, as it is set up by itself.
const SHARED_INSTANCE_BYTES_MAX: usize = 1 << 20;

/// Options of `tender discovery run` that say how it is run.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    serving: options::Options,
    /// The address by which clients reach this machine
    #[arg(long, value_name = "ADDRESS")]
    ip_address: Option<String>,
    /// The user that clients log in as when there is no TLS
    #[arg(long, value_name = "USER", requires = "password_file", requires = "plain")]
    user: Option<String>,
    /// A file whose first line is the user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Directories of static definitions, with `;` between them
    #[arg(long, value_name = "DIRS")]
    definitions: Option<String>,
    /// A file that says which certificate may register which service
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    registry: registry::Options,
    /// Addresses of other discovery services, with `,` between them, such as https://host:7553/eureka; with --registry etcd
    /// only of those that do not share it
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    peers: Vec<String>,
    /// Tell gateways that are registered of every change: those that look only every half minute, as the Java ones of
    /// versions 1 and 2 do
    #[arg(long)]
    notify_gateways: bool,
    /// End a lease that was renewed only after twice its time, as the Java server does
    #[arg(long)]
    double_lease: bool,
    /// Take silent instances away also while many are silent at once
    #[arg(long)]
    no_self_preservation: bool,
    /// Seconds between two looks at leases
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    eviction_interval: u64,
}

/// How the service is run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) serving: Serving,
    pub(super) address: String,
    pub(super) login: Option<(String, Password)>,
    pub(super) directories: Vec<PathBuf>,
    pub(super) rules: Option<PathBuf>,
    pub(super) registry: Option<Shared>,
    pub(super) peers: Vec<Uri>,
    pub(super) notifies_gateways: bool,
    pub(super) policy: Policy,
    pub(super) eviction_interval: Duration,
}

impl Options {
    /// Makes the plan.
    pub(super) fn plan(&self, environment: &Environment<'_>) -> Result<Plan, PlanError> {
        let login = self.user.clone().zip(self.password_file.clone().map(Password::File));
        let serving = self.serving.plan(NAMED, environment, login.is_some())?;
        let address = own_address(self.ip_address.as_deref(), &serving, environment);
        let usual = Policy::default();
        let preserving_part = if self.no_self_preservation { 0.0 } else { usual.preserving_part };
        let registry = self.registry.plan(environment)?;
        let instance_bytes_max =
            if registry.is_some() { SHARED_INSTANCE_BYTES_MAX } else { usual.instance_bytes_max };
        let policy =
            Policy { is_double_lease: self.double_lease, preserving_part, instance_bytes_max, ..usual };
        Ok(Plan {
            serving,
            address,
            login,
            directories: self.directories(environment),
            rules: self.rules.clone().or_else(|| environment.text(names::RULES).map(PathBuf::from)),
            peers: self.peers(environment, registry.is_some())?,
            notifies_gateways: self.notify_gateways
                || options::read(environment, names::NOTIFY_GATEWAYS, "choice: true or false")?
                    .unwrap_or(false),
            registry,
            policy,
            eviction_interval: Duration::from_secs(self.eviction_interval.max(1)),
        })
    }

    /// Returns the peers; those of the list of the whole installation share the registry, where it is shared.
    fn peers(&self, environment: &Environment<'_>, is_shared: bool) -> Result<Vec<Uri>, PlanError> {
        let all = if is_shared { None } else { environment.set(names::ALL_PEERS) };
        let (texts, from) = match environment.set(names::CHOSEN_PEERS).or(all) {
            _ if !self.peers.is_empty() => (self.peers.clone(), "--peers".to_owned()),
            Some(set) => (set.text.split(',').map(|text| text.trim().to_owned()).collect(), set.name),
            None => return Ok(Vec::new()),
        };
        let wanted = "address of a discovery service, such as https://host:7553/eureka";
        let texts = texts.into_iter().filter(|text| !text.is_empty());
        texts.map(|text| address(text, &from, wanted)).collect()
    }

    fn directories(&self, environment: &Environment<'_>) -> Vec<PathBuf> {
        if let Some(list) = &self.definitions {
            return statics::directories(list);
        }
        let lists = [names::DEFINITIONS, names::MORE_DEFINITIONS].map(|names| environment.text(names));
        statics::directories(&lists.into_iter().flatten().collect::<Vec<_>>().join(";"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn plan(line: &str, variables: &[(&str, &str)]) -> Result<Plan, PlanError> {
        let line = Line::try_parse_from(["run"].into_iter().chain(line.split_whitespace())).unwrap();
        let lookup =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, text)| (*text).to_owned());
        line.options.plan(&Environment::new(NAMED.component, &lookup))
    }

    #[test]
    fn variables_of_a_component_make_the_plan_and_options_win() {
        let today = [
            ("ZWE_configs_port", "7000"),
            ("DISCOVERY_PORT", "1"),
            ("ZWE_zowe_certificate_keystore_file", "/k/keystore.p12"),
            ("ZWE_zowe_certificate_truststore_file", "/k/truststore.p12"),
            ("ZWE_STATIC_DEFINITIONS_DIR", "/w/api-defs"),
            ("ZWE_components_discovery_alternativeStaticApiDefinitionsDirectories", "/more;/w/api-defs"),
        ];
        let made = plan("", &today).unwrap();
        assert_eq!(made.serving.listen, ["0.0.0.0:7000".parse().unwrap()]);
        assert_eq!(made.directories, [PathBuf::from("/w/api-defs"), "/more".into()]);
        let made = plan("--definitions /a;/b", &today).unwrap();
        assert_eq!(made.directories, [PathBuf::from("/a"), "/b".into()]);
        assert_eq!(made.peers, Vec::<Uri>::new());
        let list =
            [today.as_slice(), &[("ZWE_DISCOVERY_SERVICES_LIST", "https://a:1/eureka/,https://b:2/eureka")]];
        assert_eq!(plan("", &list.concat()).unwrap().peers.len(), 2);
        let made = plan("--peers https://c:3/eureka", &list.concat()).unwrap();
        assert_eq!(made.peers, [Uri::from_static("https://c:3/eureka")]);
        // Services that share a registry do not tell each other of it, and who does not share it is told.
        let shared = plan("--registry etcd:http://e:2379", &list.concat()).unwrap();
        assert!(shared.registry.is_some() && shared.peers.is_empty());
        let mixed = plan("--registry etcd:http://e:2379 --peers https://c:3/eureka", &list.concat()).unwrap();
        assert_eq!(mixed.peers, [Uri::from_static("https://c:3/eureka")]);
        let wrong = plan("--peers somewhere", &today).unwrap_err().to_string();
        assert!(wrong.contains("`somewhere` of --peers is no address of a discovery service"), "{wrong}");
        assert_eq!(plan("", &today[1..]).unwrap().serving.listen[0].port(), 1, "as version 1 has it");
    }

    #[test]
    fn clear_text_is_for_this_machine_alone_unless_clients_log_in() {
        assert!(plan("--plain", &[]).unwrap().serving.listen[0].ip().is_loopback());
        assert!(matches!(plan("--plain --listen 0.0.0.0", &[]), Err(PlanError::OpenToAll { .. })));
        let guarded = plan("--plain --listen 0.0.0.0 --user eureka --password-file /f", &[]).unwrap();
        assert!(guarded.login.is_some());
    }
}
