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
/// The system whose network is cut in the middle of a SEND.
const CUT: &str = "vm02";
const DONE: &[i32] = &[0, 4];
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
                what: format!("that {what}"),
                found: format!("not so after {} s", DEADLINE.as_secs()),
            });
        }
        std::thread::park_timeout(LOOK_AGAIN);
    }
    Ok(())
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
        self.principal.run(&["servmgr", "initialize", "720", "--from", &self.releases.base()?], DONE)?;
        self.enrol()?;

        self.make_level("rsu1", "BASE", 1)?;
        self.principal.run(&["servmgr", "srvlvl", "send", "720", "rsu1", SYSTEMS[0], "(test"], DONE)?;
        self.compare("test", &SYSTEMS[..1], 1)?;
        self.principal.run(&["servmgr", "srvlvl", "send", "720", "rsu1", "all", "(stable"], DONE)?;
        self.principal.run(&["servmgr", "system", "put2prod", "720", "all"], DONE)?;
        self.compare("current", &SYSTEMS, 1)?;

        self.make_level("rsu2", "rsu1", 2)?;
        self.principal.run(&["servmgr", "srvlvl", "send", "720", "rsu2", SYSTEMS[0], "(test"], DONE)?;
        self.principal.run(&["servmgr", "srvlvl", "promote", "720", "rsu2"], DONE)?;
        self.cut_a_send()?;
        self.principal.run(&["servmgr", "srvlvl", "send", "720", "rsu2", "all", "(stable"], DONE)?;
        self.compare("test", &SYSTEMS, 2)?;
        self.compare("current", &SYSTEMS, 1)?;
        self.principal.run(&["servmgr", "system", "put2prod", "720", "all"], DONE)?;
        self.compare("current", &SYSTEMS, 2)?;

        self.principal.run(&["servmgr", "system", "fallback", "720", "all"], DONE)?;
        self.compare("current", &SYSTEMS, 1)?;
        self.principal.run(&["servmgr", "system", "servcheck", "720", "all", "--full"], DONE)?;
        println!(
            "\nwhat is in production on {} systems is what {} archives hold",
            SYSTEMS.len(),
            PRODUCTS.len() * VERSIONS
        );
        Ok(())
    }

    /// Takes the systems into service: token, enrolment, agent, registration.
    fn enrol(&mut self) -> Result<(), Failure> {
        for system in &mut self.systems {
            let address = system.address().to_owned();
            let name = system.name().to_owned();
            let add = [
                "servmgr", "system", "add", "720", &name, "BASE", "nonesm", "hostname", &address, "commtype",
                "ftp",
            ];
            let said = self.principal.run(&add, DONE)?;
            let token =
                said.split_whitespace().find(|word| word.starts_with("tender-join-")).ok_or_else(|| {
                    Failure::Unexpected {
                        what: "that SYSTEM ADD gives a join token".to_owned(),
                        found: said.clone(),
                    }
                })?;
            system.run(&["agent", "init", &name], DONE)?;
            system.run(&["agent", "enrol", token], DONE)?;
            system.start_agent()?;
            self.principal.run(&add, DONE)?;
        }
        Ok(())
    }

    /// Makes fixes of what changed from one version of each product to the next, and a level with all of them.
    fn make_level(&self, level: &str, based_on: &str, version: usize) -> Result<(), Failure> {
        let principal = &self.principal;
        let add = [
            "servmgr", "srvlvl", "add", "720", level, "basedon", based_on, "nonesm", "desc", "real",
            "releases",
        ];
        principal.run(&add, DONE)?;
        let mut service: Vec<String> =
            ["servmgr", "srvlvl", "service", "720", level, "all"].map(String::from).into();
        for (index, product) in PRODUCTS.iter().enumerate() {
            let (from, to) =
                (self.releases.component(product, version - 1)?, self.releases.component(product, version)?);
            let envelope = principal.dir().join(format!("{level}-{}.envelope", product.component));
            let id = format!("UM{}", 10_000 * version + 10 * index);
            let envelope = envelope.to_string_lossy().into_owned();
            let create = [
                "envelope",
                "create",
                &envelope,
                "--from",
                &from,
                "--to",
                &to,
                "--component",
                product.component,
            ];
            principal.run(&[&create[..], &["--fix", &id]].concat(), DONE)?;
            service.push(envelope);
        }
        let mut service: Vec<&str> = service.iter().map(String::as_str).collect();
        service.push("--allow-unsigned");
        principal.run(&service, DONE)?;
        principal.run(&["servmgr", "srvlvl", "package", "720", level], DONE)?;
        Ok(())
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
                what: "that the SEND lasts long enough to be cut".to_owned(),
                found: format!("it ended with {code} before: {said}"),
            });
        }
        self.network.cut(CUT)?;
        println!("    the network of {CUT} is cut");
        wait_until("the SEND gives up", || send.has_ended())?;
        let (code, said) = send.wait()?;
        if !CUT_OFF.contains(&code) {
            return Err(Failure::Unexpected {
                what: format!("that a SEND without network ends with one of {CUT_OFF:?}"),
                found: format!("{code}: {said}"),
            });
        }
        if system.slots() != slots {
            return Err(Failure::Unexpected {
                what: format!("that the slots of {CUT} are as before"),
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
                compare::same(&expected, &system.slot(slot).join(product.component))?;
            }
        }
        println!("    {slot} of {} is {}", systems.join(", "), self.releases.names(version));
        Ok(())
    }
}
