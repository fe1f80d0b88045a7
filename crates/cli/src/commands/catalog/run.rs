//! `tender catalog run`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tender_catalog::{Catalog, Settings};
use tender_http::hyper::Uri;
use tender_package::{Message, Outcome};

use crate::commands::Shell;
use crate::error::CommandError;
use crate::serving::Named;
use crate::serving::environment::{Environment, Names};
use crate::serving::neighbours;
use crate::serving::options::{Options, PlanError, Serving};
use crate::serving::outward::{client, discovery_line, follow, outward};
use crate::serving::run::{Hooks, Opened, carry_out, check, tell};

const NAMED: Named =
    Named { component: "api-catalog", title: "API catalog", port: 7552, port_names: &["CATALOG_PORT"] };
const OPEN: Names = &["ZWE_configs_open", "ZWE_components_{}_open"];

/// Options of `tender catalog run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender catalog run --keystore keystore.p12 --keystore-password-file password --trust truststore.p12 \\\n    \
                        --discovery https://localhost:7553/eureka --gateway https://localhost:7554\n  \
                        tender catalog run --plain --discovery http://127.0.0.1:8761/eureka --gateway http://127.0.0.1:7554 --open\n\n\
                        What is not said comes from the variables that a launcher gives components: ZWE_configs_port,\n\
                        ZWE_configs_open, ZWE_DISCOVERY_SERVICES_LIST, ZWE_components_gateway_port, ZWE_zowe_externalDomains_0 and\n\
                        ZWE_zowe_externalPort, ZWE_zowe_certificate_*. Users log in at the gateway; pages are at /apicatalog/ui/v1/\n\
                        there. SIGHUP reads certificates again, SIGTERM ends it.\n\n\
                        Ends with 0 when it was stopped, 4 when requests had to be cut off, 12 when the port is taken, 16 when it\n\
                        is not configured well or the certificate has ended, 24 for a wrong word, 28 when a file is missing."
)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// Where discovery is; may be given several times
    #[arg(long, value_name = "URL")]
    discovery: Vec<String>,
    /// Seconds between two looks at what is registered, unless discovery tells of a change
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    discovery_interval: u64,
    /// Where the gateway is that is asked who a user is; may be given several times
    #[arg(long, value_name = "URL")]
    gateway: Vec<String>,
    /// The gateway as users reach it, for addresses in API documents
    #[arg(long, value_name = "URL")]
    public: Option<String>,
    /// Let everybody read, without logging in
    #[arg(long)]
    open: bool,
}

struct Plan {
    serving: Serving,
    discovery: Vec<Uri>,
    interval: Duration,
    gateways: Vec<Uri>,
    public: String,
    is_open: bool,
}

impl Args {
    /// Serves until a signal ends it.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        carry_out(NAMED, shell, |environment| self.plan(environment), Plan::check, serve)
    }

    fn plan(self, environment: &Environment<'_>) -> Result<Plan, PlanError> {
        let serving = self.options.plan(NAMED, environment, false)?;
        let discovery = neighbours::discovery(&self.discovery, &serving, environment)?;
        let gateways = neighbours::gateways(&self.gateway, &serving, environment)?;
        let public = neighbours::public(self.public.as_deref(), &gateways, &serving, environment)?;
        let said = environment.text(OPEN).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let interval = Duration::from_secs(self.discovery_interval.max(1));
        Ok(Plan { serving, discovery, interval, gateways, public, is_open: self.open || said })
    }
}

impl Plan {
    /// Says what would be run.
    fn check(&self) -> Result<Outcome, CommandError> {
        let mut outcome = Outcome::default();
        check(NAMED, &self.serving, &mut outcome)?;
        let mut say = |text: String| outcome.say(Message::with_id("ZWEAM007I", text));
        for address in &self.discovery {
            say(format!("would ask discovery at {address}"));
        }
        for address in self.gateways.iter().filter(|_| !self.is_open) {
            say(format!("would ask the gateway at {address} who a user is"));
        }
        if self.is_open {
            say("would let everybody read".to_owned());
        }
        say(format!("users would find the gateway at {}", self.public));
        Ok(outcome)
    }
}

async fn serve(plan: Plan, begun: Instant) -> Result<Outcome, CommandError> {
    let outward = outward(NAMED, &plan.serving)?;
    let client = client(NAMED, &outward)?;
    let catalog = Catalog::new(Settings {
        outward,
        gateways: plan.gateways,
        public: plan.public,
        discovery: plan.discovery.clone(),
        is_open: plan.is_open,
        events: Arc::new(|event| tell(&discovery_line(event))),
    })
    .map_err(|fault| NAMED.outward(fault))?;
    let opened = Opened::open(NAMED, &plan.serving, tender_http::Limits::default(), 0)?;
    if plan.is_open {
        tell("ZWEAC710W whoever reaches the catalog may read it: nobody logs in");
    }
    follow(catalog.clone(), plan.discovery, client, plan.interval).await;
    opened.run(catalog, begun, Hooks::default()).await
}
