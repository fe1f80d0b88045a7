//! `tender desktop run`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use tender_catalog::{Desktop, DesktopSettings};
use tender_http::hyper::Uri;
use tender_package::{Message, Outcome};

use crate::commands::Shell;
use crate::error::CommandError;
use crate::serving::Named;
use crate::serving::environment::{Environment, Names};
use crate::serving::neighbours;
use crate::serving::options::{Options, PlanError, Serving};
use crate::serving::outward::outward;
use crate::serving::run::{Hooks, Opened, carry_out, check, tell};

const NAMED: Named = Named {
    component: "app-server",
    title: "desktop",
    port: 7556,
    port_names: &["ZOWE_ZLUX_SERVER_HTTPS_PORT"],
};

const OPEN: Names = &["ZWE_configs_open", "ZWE_components_{}_open"];
const PLUGINS: Names = &["PLUGINS_DIR"];
const WORKSPACE: Names = &["ZWE_zowe_workspaceDirectory", "WORKSPACE_DIR"];
/// What pointers of plugins may be relative to.
const PLACES: [Names; 3] = [&["ZWE_zowe_runtimeDirectory"], &["ROOT_DIR"], &["INSTANCE_DIR"]];

/// Options of `tender desktop run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender desktop run --keystore keystore.p12 --keystore-password-file password --trust truststore.p12 \\\n    \
                        --gateway https://localhost:7554 --plugins workspace/app-server/plugins\n  \
                        tender desktop run --plain --open --plugins plugins\n\n\
                        What is not said comes from the variables that a launcher gives components: ZWE_configs_port,\n\
                        ZWE_configs_open, ZWE_zowe_workspaceDirectory (plugins are in app-server/plugins there),\n\
                        ZWE_components_gateway_port, ZWE_zowe_externalDomains_0 and ZWE_zowe_externalPort, ZWE_zowe_certificate_*.\n\
                        Users log in at the gateway; the page is at /zlux/ui/v1/ there. SIGHUP reads certificates again, SIGTERM\n\
                        ends it.\n\n\
                        Ends with 0 when it was stopped, 4 when requests had to be cut off, 12 when the port is taken, 16 when it\n\
                        is not configured well or the certificate has ended, 24 for a wrong word, 28 when a file is missing."
)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// The directory with the pointers to plugins that the launcher writes
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// Where the gateway is that is asked who a user is; may be given several times
    #[arg(long, value_name = "URL")]
    gateway: Vec<String>,
    /// The gateway as users reach it: applications may be framed from there
    #[arg(long, value_name = "URL")]
    public: Option<String>,
    /// Let everybody use it, without logging in
    #[arg(long)]
    open: bool,
}

struct Plan {
    serving: Serving,
    plugins: PathBuf,
    places: BTreeMap<String, PathBuf>,
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
        let gateways = neighbours::gateways(&self.gateway, &serving, environment)?;
        let public = neighbours::public(self.public.as_deref(), &gateways, &serving, environment)?;
        let said = environment.text(OPEN).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let usual = || {
            let of_launcher = environment.text(PLUGINS).map(PathBuf::from);
            let workspace = environment.text(WORKSPACE).map(PathBuf::from);
            of_launcher.or_else(|| workspace.map(|workspace| workspace.join("app-server/plugins")))
        };
        let plugins = self.plugins.or_else(usual).unwrap_or_else(|| PathBuf::from("plugins"));
        let places = PLACES.iter().filter_map(|names| environment.set(names));
        let places = places.map(|set| (set.name, PathBuf::from(set.text))).collect();
        Ok(Plan { serving, plugins, places, gateways, public, is_open: self.open || said })
    }
}

impl Plan {
    /// Says what would be run.
    fn check(&self) -> Result<Outcome, CommandError> {
        let mut outcome = Outcome::default();
        check(NAMED, &self.serving, &mut outcome)?;
        let mut say = |text: String| outcome.say(Message::with_id("ZWEAM007I", text));
        say(format!("would look for plugins in `{}`", self.plugins.display()));
        for address in self.gateways.iter().filter(|_| !self.is_open) {
            say(format!("would ask the gateway at {address} who a user is"));
        }
        if self.is_open {
            say("would let everybody use it".to_owned());
        }
        Ok(outcome)
    }
}

async fn serve(plan: Plan, begun: Instant) -> Result<Outcome, CommandError> {
    let desktop = Desktop::new(DesktopSettings {
        outward: outward(NAMED, &plan.serving)?,
        gateways: plan.gateways,
        public: plan.public,
        plugins: plan.plugins,
        places: plan.places,
        is_open: plan.is_open,
    });
    let desktop = desktop.map_err(|fault| NAMED.outward(fault))?;
    let opened = Opened::open(NAMED, &plan.serving, tender_http::Limits::default(), 0)?;
    if plan.is_open {
        tell("ZWED0032W whoever reaches the desktop may use it: nobody logs in");
    }
    opened.run(desktop, begun, Hooks::default()).await
}
