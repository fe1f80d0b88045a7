//! `cargo xtask prove`: real releases, sent to three managed systems in network namespaces of their own.
//!
//! Three products with three successive versions each come from PyPI and npm. The first versions are BASE, the others
//! come as fixes. What the systems then have in production is compared with the original archives, unpacked again by
//! `unzip` and `tar`, through `diff`, `sha256sum` and `find`: programs that know nothing of Tender.

mod compare;
mod host;
mod network;
mod releases;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;

use crate::debian::{self, Needed};
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

use host::Host;
use network::Network;
use releases::{PRODUCTS, Releases, VERSIONS};

const NEEDED: &[Needed] = &[
    Needed { package: "iproute2", probe: &["ip", "-V"], purpose: "network namespaces" },
    Needed { package: "unzip", probe: &["unzip", "-v"], purpose: "unpacking wheels independently" },
    Needed {
        package: "python3-venv",
        probe: &["python3", "-c", "import venv, ensurepip"],
        purpose: "fetching from PyPI",
    },
    Needed { package: "npm", probe: &["npm", "--version"], purpose: "fetching from npm" },
];

const SYSTEMS: [&str; 3] = ["vm01", "vm02", "vm03"];
/// The system that tests a level before the others get it.
const TESTED: &str = "vm01";
/// The system that gets the release from its media only after a package was refused.
const WITHOUT_BASE: &str = "vm03";
const VENDOR: &str = "archives";
/// The system whose network is cut in the middle of a SEND.
const CUT: &str = "vm02";
const DONE: &[i32] = &[0, 4];
/// What a verb says that a rule forbids.
const REFUSED: &[i32] = &[16];
/// Rerun resumes, or an outside failure: what a SEND says whose network went away.
const CUT_OFF: &[i32] = &[8, 12];
/// Slow enough that there is a middle of a SEND.
const SLOW_KBIT: u32 = 256;
/// What must have arrived before the network is cut.
const ARRIVED_BYTES_MIN: u64 = 8 * 1024;
/// How long anything may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(240);

/// Takes real releases from PyPI and npm through a fleet of three and compares the result with the archives.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// Leave the directories of all hosts in `target/prove` to look at.
    #[arg(long)]
    keep: bool,
    /// Use this program instead of building one.
    #[arg(long, value_name = "TENDER")]
    tender: Option<PathBuf>,
}

/// Says why this machine cannot run the proof, if it cannot.
pub(crate) fn obstacle() -> Option<&'static str> {
    if !debian::is_root() {
        return Some("network namespaces need root");
    }
    // In a container root may still lack the right.
    let may = program::works(&["unshare", "--net", "ip", "link", "add", "name", "probe", "type", "bridge"]);
    if may { None } else { Some("this root may not make network namespaces") }
}

impl Prove {
    /// Runs as `cargo xtask ci` does.
    pub(crate) fn in_ci() -> Self {
        Self { keep: false, tender: None }
    }

    /// Sets the fleet up, tells the story, and takes everything down again.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        debian::require(NEEDED)?;
        if let Some(obstacle) = obstacle() {
            return Err(Failure::Missing {
                what: vec![obstacle.to_owned()],
                install: "run it as root of a machine or of a container that may make namespaces".to_owned(),
            });
        }
        let tender = match &self.tender {
            Some(tender) => tender.canonicalize().map_err(Failure::file("find", tender))?,
            None => build(workspace)?,
        };
        let stage = workspace.root().join("target/prove/stage");
        host::clear(&stage)?;
        let releases = Releases::fetch(workspace, &stage)?;
        let network = Network::make(&["principal", SYSTEMS[0], SYSTEMS[1], SYSTEMS[2]])?;
        let mut story = Story::begin(tender, &stage, &network, releases);
        story.tell()?;
        drop(story);
        if self.keep { Ok(()) } else { host::clear(&stage) }
    }
}

fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let mut cargo = Command::new("cargo");
    program::run(cargo.current_dir(workspace.root()).args(["build", "--quiet", "--package", "tender-cli"]))?;
    Ok(workspace.target_dir().join("debug/tender"))
}

/// Waits for a state; gives up when the deadline has passed.
fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    const LOOK_AGAIN: Duration = Duration::from_millis(20);
    let begun = Instant::now();
    while !is_so()? {
        if begun.elapsed() > DEADLINE {
            return Err(Failure::Unexpected {
                what: what.to_owned(),
                found: format!("not so after {} s", DEADLINE.as_secs()),
            });
        }
        std::thread::park_timeout(LOOK_AGAIN);
    }
    Ok(())
}

/// Returns the ids of the fixes that lead to a version, one for each product.
fn fixes(version: usize) -> impl Iterator<Item = String> {
    (1..=PRODUCTS.len()).map(move |number| format!("UM{version}{number:04}"))
}

/// The fleet, and what happens to it.
struct Story<'n> {
    network: &'n Network,
    releases: Releases,
    principal: Host,
    systems: Vec<Host>,
}

impl<'n> Story<'n> {
    fn begin(tender: PathBuf, stage: &std::path::Path, network: &'n Network, releases: Releases) -> Self {
        let host = |name: &str| Host::new(name, network.node(name), &tender, &stage.join("hosts"));
        Self { network, releases, principal: host("principal"), systems: SYSTEMS.map(host).into() }
    }

    fn tell(&mut self) -> Result<(), Failure> {
        let base = self.releases.release(0)?;
        self.servmgr(&["initialize", "720", "--from", &base])?;
        self.principal.run(&["envelope", "key", "vendor.key"], DONE)?;
        self.servmgr(&["vendor", "set", VENDOR, "--key", "vendor.key.pub"])?;
        self.enrol(&base)?;

        self.servmgr(&[
            "srvlvl",
            "add",
            "720",
            "shipped",
            "basedon",
            "BASE",
            "nonesm",
            "desc",
            "as shipped",
        ])?;
        self.servmgr(&["srvlvl", "package", "720", "shipped"])?;
        self.servmgr(&["srvlvl", "send", "720", "shipped", TESTED, "(test"])?;
        self.send_without_base(&base)?;
        self.servmgr(&["system", "put2prod", "720", "fleet"])?;
        self.compare("current", &SYSTEMS, 0)?;

        self.make_level("rsu1", "BASE", 1)?;
        self.servmgr(&["srvlvl", "send", "720", "rsu1", TESTED, "(test"])?;
        self.compare("test", &[TESTED], 1)?;
        self.servmgr(&["srvlvl", "send", "720", "rsu1", "fleet", "(stable"])?;
        self.servmgr(&["system", "put2prod", "720", "fleet"])?;
        self.compare("current", &SYSTEMS, 1)?;

        self.make_level("rsu2", "rsu1", 2)?;
        self.servmgr(&["srvlvl", "send", "720", "rsu2", TESTED, "(test"])?;
        self.cut_a_send()?;
        self.servmgr(&["srvlvl", "send", "720", "rsu2", "fleet", "(stable"])?;
        self.compare("test", &SYSTEMS, 2)?;
        self.compare("current", &SYSTEMS, 1)?;
        self.servmgr(&["system", "put2prod", "720", "fleet"])?;
        self.compare("current", &SYSTEMS, 2)?;

        self.servmgr(&["system", "fallback", "720", "fleet"])?;
        self.compare("current", &SYSTEMS, 1)?;
        self.servmgr(&["system", "servcheck", "720", "fleet", "--full"])?;
        let archives = PRODUCTS.len() * VERSIONS;
        println!("\nwhat was in production on {} systems is what {archives} archives hold", SYSTEMS.len());
        Ok(())
    }

    /// Sends to all although one system has nothing that the package is based on: it alone refuses, and says the cure.
    fn send_without_base(&self, base: &str) -> Result<(), Failure> {
        let send = ["servmgr", "srvlvl", "send", "720", "shipped", "fleet", "(stable"];
        self.principal.run(&send, REFUSED)?;
        let system =
            self.systems.iter().find(|system| system.name() == WITHOUT_BASE).expect("it is one of them");
        if system.slots().iter().any(Option::is_some) {
            return Err(Failure::Unexpected {
                what: format!("{WITHOUT_BASE} has nothing in its slots"),
                found: format!("{:?}", system.slots()),
            });
        }
        system.run(&["agent", "base", "720", "--from", base], DONE)?;
        self.principal.run(&send, DONE).map(drop)
    }

    fn servmgr(&self, words: &[&str]) -> Result<String, Failure> {
        self.principal.run(&[&["servmgr"], words].concat(), DONE)
    }

    /// Takes the systems into service: token, enrolment, agent, registration.
    ///
    /// All but one have the release from its media.
    fn enrol(&mut self, base: &str) -> Result<(), Failure> {
        for system in &mut self.systems {
            let (name, address) = (system.name().to_owned(), system.address().to_owned());
            let add = ["servmgr", "system", "add", "720", &name, "BASE", "nonesm", "hostname", &address];
            let said = self.principal.run(&add, DONE)?;
            let token = said.split_whitespace().find(|word| word.starts_with("tender-join-"));
            let token = token.ok_or_else(|| Failure::Unexpected {
                what: "SYSTEM ADD gives a join token".to_owned(),
                found: said.clone(),
            })?;
            system.run(&["agent", "init", &name], DONE)?;
            if name != WITHOUT_BASE {
                system.run(&["agent", "base", "720", "--from", base], DONE)?;
            }
            let token = token.trim_matches(|sign: char| !sign.is_ascii_alphanumeric());
            system.run(&["agent", "enrol", token], DONE)?;
            system.start_agent()?;
            self.principal.run(&add, DONE)?;
        }
        self.servmgr(&[&["group", "set", "720", "fleet"], &SYSTEMS[..]].concat()).map(drop)
    }

    /// Makes fixes of what changed from one version of each product to the next, and a level with all of them.
    fn make_level(&self, level: &str, based_on: &str, version: usize) -> Result<(), Failure> {
        let (from, to) = (self.releases.release(version - 1)?, self.releases.release(version)?);
        let envelope = format!("{level}.envelope");
        let fix = fixes(version).next().expect("there are products");
        let create =
            ["envelope", "create", &envelope, "--from", &from, "--to", &to, "--fix", &fix, "--kind", "RSU"];
        let signed = ["--vendor", VENDOR, "--key", "vendor.key"];
        // Fixes of the second round change parts that those of the first changed, and must say so.
        let before: Vec<_> = if version > 1 { fixes(version - 1).collect() } else { Vec::new() };
        let needed = before.iter().flat_map(|fix| ["--prereq", fix]);
        let words: Vec<_> = create.into_iter().chain(signed).chain(needed).collect();
        self.principal.run(&words, DONE)?;
        self.servmgr(&[
            "srvlvl",
            "add",
            "720",
            level,
            "basedon",
            based_on,
            "nonesm",
            "desc",
            "real releases",
        ])?;
        self.servmgr(&["srvlvl", "service", "720", level, "all", &envelope])?;
        self.servmgr(&["srvlvl", "package", "720", level]).map(drop)
    }

    /// Cuts the network in the middle of a SEND: it fails, and nothing of it is in a slot.
    fn cut_a_send(&mut self) -> Result<(), Failure> {
        let system =
            self.systems.iter().find(|system| system.name() == CUT).expect("it is one of the systems");
        let slots = system.slots();
        let arrived = system.arrived_bytes()?;
        self.network.slow("principal", SLOW_KBIT)?;
        let mut send = self.principal.start(&["servmgr", "srvlvl", "send", "720", "rsu2", CUT, "(stable"])?;
        let mut is_over_early = false;
        wait_until("the SEND is in its middle", || {
            is_over_early = send.has_ended()?;
            Ok(is_over_early || system.arrived_bytes()? >= arrived + ARRIVED_BYTES_MIN)
        })?;
        if is_over_early {
            let (code, said) = send.wait()?;
            return Err(Failure::Unexpected {
                what: "the SEND lasts long enough to be cut".to_owned(),
                found: format!("it ended with {code} before: {said}"),
            });
        }
        self.network.cut(CUT)?;
        println!("    the network of {CUT} is cut");
        wait_until("the SEND gives up", || send.has_ended())?;
        let (code, said) = send.wait()?;
        if !CUT_OFF.contains(&code) {
            return Err(Failure::Unexpected {
                what: format!("a SEND without network ends with one of {CUT_OFF:?}"),
                found: format!("{code}: {said}"),
            });
        }
        if system.slots() != slots {
            return Err(Failure::Unexpected {
                what: format!("the slots of {CUT} are as before"),
                found: format!("{:?} instead of {slots:?}", system.slots()),
            });
        }
        self.network.mend(CUT)?;
        self.network.hasten("principal")?;
        println!("    the network of {CUT} is back; nothing half-done was visible");
        self.compare("current", &[CUT], 1)
    }

    /// Compares a slot of systems with the archives of one version.
    fn compare(&self, slot: &str, systems: &[&str], version: usize) -> Result<(), Failure> {
        for product in PRODUCTS {
            let expected = self.releases.unpacked_again(product, version)?;
            for system in self.systems.iter().filter(|system| systems.contains(&system.name())) {
                system.holds_only(slot, PRODUCTS.iter().map(|product| product.component))?;
                compare::same(&expected, &system.slot(slot).join(product.component))?;
            }
        }
        println!("    {slot} of {} is {}", systems.join(", "), self.releases.names(version));
        Ok(())
    }
}
