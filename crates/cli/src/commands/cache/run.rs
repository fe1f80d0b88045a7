//! `tender cache run`.

use std::sync::Arc;
use std::time::Instant;

use tender_cache::{Caching, Eviction, Limits, OwnerRules, StoreEvent, StoreEventSink};
use tender_package::{Message, Outcome, ReturnCode};

use crate::commands::Shell;
use crate::error::CommandError;
use crate::serving::Named;
use crate::serving::access::{Access, Variables};
use crate::serving::environment::{Environment, Names};
use crate::serving::options::{Options, PlanError, Serving, read};
use crate::serving::run::{Hooks, Opened, carry_out, check, tell};
use crate::serving::store::{self, Place};

const NAMED: Named = Named {
    component: "caching-service",
    title: "caching service",
    port: 7555,
    port_names: &["ZWE_CACHING_SERVICE_PORT"],
};

const STORE: Names = &["ZWE_configs_storage_mode", "ZWE_components_{}_storage_mode", "CACHING_STORAGE_MODE"];
const SIZE: Names = &["ZWE_configs_storage_size", "ZWE_components_{}_storage_size"];
const EVICTION: Names =
    &["ZWE_configs_storage_evictionStrategy", "ZWE_components_{}_storage_evictionStrategy"];

const STORE_ACCESS: Variables = Variables {
    option: "--store",
    trust: &["ZWE_configs_storage_trust", "ZWE_components_{}_storage_trust"],
    key: &["ZWE_configs_storage_key", "ZWE_components_{}_storage_key"],
    certificate: &["ZWE_configs_storage_certificate", "ZWE_components_{}_storage_certificate"],
    user: &["ZWE_configs_storage_user", "ZWE_components_{}_storage_user"],
    password: &["ZWE_configs_storage_password"],
};

/// Options of `tender cache run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender cache run --keystore keystore.p12 --keystore-password-file password --trust truststore.p12 \\\n    \
                        --store disk:cache.redb --gateway 'CN=gateway.example.com'\n  \
                        tender cache run --plain --store redis://127.0.0.1:6379\n\n\
                        What is not said comes from the variables that a launcher gives components: ZWE_configs_port,\n\
                        ZWE_configs_storage_mode, _size and _evictionStrategy, ZWE_zowe_certificate_*; how the store is\n\
                        reached from _storage_trust, _key, _certificate, _user and _password. SIGHUP reads\n\
                        certificates again, SIGTERM ends it.\n\n\
                        Ends with 0 when it was stopped, 4 when requests had to be cut off, 12 when the port is taken or the\n\
                        store does not answer, 16 when it is not configured well or the certificate has ended, 24 for a wrong\n\
                        word, 28 when a file is missing."
)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// Where entries are kept: memory, disk:FILE, etcd:URL,URL… or rediss://HOST:PORT
    #[arg(long, value_name = "STORE")]
    store: Option<Place>,
    #[command(flatten)]
    access: store::Options,
    /// Entries there may be, of all owners together
    #[arg(long, value_name = "NUMBER")]
    size: Option<u64>,
    /// What happens when there are as many: reject or removeOldest
    #[arg(long, value_name = "STRATEGY")]
    eviction: Option<Eviction>,
    /// Whom the certificate of a gateway names, or its SHA-256: it may speak for other services; may be given several times
    #[arg(long, value_name = "SUBJECT")]
    gateway: Vec<String>,
}

struct Plan {
    serving: Serving,
    store: Place,
    access: Access,
    limits: Limits,
    owners: OwnerRules,
}

impl Args {
    /// Serves until a signal ends it.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        carry_out(NAMED, shell, |environment| self.plan(environment), Plan::check, serve)
    }

    fn plan(self, environment: &Environment<'_>) -> Result<Plan, PlanError> {
        let serving = self.options.plan(NAMED, environment, false)?;
        let store = read(environment, STORE, "store: memory, disk:FILE, etcd:URL or rediss://HOST:PORT")?;
        let size = read(environment, SIZE, "number of entries")?;
        let eviction = read(environment, EVICTION, "eviction strategy; there are reject and removeOldest")?;
        let usual = Limits::default();
        let limits = Limits {
            entries_max: self.size.or(size).unwrap_or(usual.entries_max),
            eviction: self.eviction.or(eviction).unwrap_or(usual.eviction),
            ..usual
        };
        let owners = OwnerRules {
            gateways: self.gateway,
            // Nobody can show a certificate then, and somebody must say whose an entry is.
            believes_everybody: serving.tls.is_none() || !serving.verify.checks_chain(),
        };
        let store = self.store.or(store).unwrap_or(Place::Memory);
        let access = self.access.plan(&store, STORE_ACCESS, environment)?;
        Ok(Plan { serving, store, access, limits, owners })
    }
}

impl Plan {
    /// Says what would be run.
    fn check(&self) -> Result<Outcome, CommandError> {
        let mut outcome = Outcome::default();
        check(NAMED, &self.serving, &mut outcome)?;
        let (most, then) = (self.limits.entries_max, self.limits.eviction);
        let text = format!("would keep up to {most} entries, and then {then}");
        outcome.say(Message::with_id("ZWEAM007I", text));
        Ok(outcome)
    }
}

async fn serve(plan: Plan, begun: Instant) -> Result<Outcome, CommandError> {
    let keys = plan.store.keys(NAMED, &plan.access, &plan.serving)?;
    let store = plan.store.open("cache", keys).await.map_err(|fault| {
        NAMED.told("ZWECS151E", ReturnCode::Outside, "failed to open the store of", None, fault)
    })?;
    let opened = Opened::open(NAMED, &plan.serving, tender_http::Limits::default(), 0)?;
    if plan.store == Place::Memory {
        tell("ZWECS701W entries are kept in memory alone: they end with this service and are not shared");
    }
    if plan.owners.believes_everybody {
        tell("ZWECS702W certificates are not asked for: whoever reaches this service is who he says he is");
    }
    let events: StoreEventSink = Arc::new(|event| match event {
        StoreEvent::Lost(fault) => {
            tell(&format!("ZWECS152E the store does not answer: {}", tender_http::chain(*fault)));
        }
        StoreEvent::Found => tell("ZWECS703I the store answers again"),
    });
    opened.run(Caching::new(store, plan.limits, plan.owners, events), begun, Hooks::default()).await
}
