//! The story: vendor, principal, three managed systems.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::QuickstartError;
use super::stage::{Stage, free_ports};
use super::step::Teller;

/// The example release, packed when Tender was built.
const EXAMPLES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/examples.tar"));
const SYSTEMS: [&str; 3] = ["vm01", "vm02", "vm03"];
const PRINCIPAL: &str = "principal";
const VENDOR: &str = "vendor";
/// Control port and data ports of one agent, then the ports of its production and of its test instance.
const PORTS_EACH: u16 = 7;
const PORTS_AGENT: u16 = 3;

/// Plays the whole scenario on `stage`.
pub(crate) fn play(stage: &mut Stage) -> Result<(), QuickstartError> {
    unpack(stage)?;
    let ports = free_ports(PORTS_EACH * 3).ok_or(QuickstartError::Ports)?;
    let port_of = |index: u16| ports + index * PORTS_EACH;
    let mut tell = Teller::new(stage, 0);
    introduce(&mut tell)?;
    vendor(&mut tell)?;
    first_level(&mut tell)?;
    let tokens = invite(&mut tell, port_of)?;
    enrol(&mut tell, &tokens, port_of)?;
    let number = tell.number();
    for system in SYSTEMS {
        stage.start_agent(system)?;
    }
    let mut tell = Teller::new(stage, number);
    register(&mut tell, port_of)?;
    first_production(&mut tell, port_of)?;
    let number = tell.number();
    stage.instances_of(&SYSTEMS);
    let mut tell = Teller::new(stage, number);
    run_it(&mut tell, port_of)?;
    second_level(&mut tell)?;
    second_production(&mut tell)?;
    bad_fix(&mut tell)?;
    good_fix(&mut tell)?;
    drift(&mut tell, stage)?;
    tampering(&mut tell, stage)?;
    fall_back(&mut tell)?;
    overview(&mut tell)
}

/// Says where everything is when it is kept.
pub(crate) fn farewell(stage: &Stage) -> Result<(), QuickstartError> {
    let directory = stage.directory().display();
    let text = format!(
        "\nEverything is in {directory}, agents and instances are running. To go on as the principal:\n\n   \
         export TENDER_HOME={directory}/{PRINCIPAL}\n   tender servmgr system query 720 all\n\n\
         To look at what runs: tender status --instance {directory}/vm01-prod\n\
         To end it: `tender stop --instance` with each of vm01-prod, vm02-prod, vm03-prod; kill {}; then remove the directory (its levels are read-only: chmod -R u+w first).\n",
        stage.agent_ids().iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
    );
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(QuickstartError::Tell)
}

fn unpack(stage: &Stage) -> Result<(), QuickstartError> {
    let fault = |source| QuickstartError::Stage { path: stage.directory().to_owned(), source };
    tar::Archive::new(EXAMPLES).unpack(stage.directory()).map_err(fault)?;
    fs::rename(stage.directory().join("720"), stage.directory().join("media")).map_err(fault)
}

fn introduce(tell: &mut Teller<'_>) -> Result<(), QuickstartError> {
    tell.chapter(
        "A product of four components, release 720, is to be serviced on three machines.\n   \
         Everything below happens on this machine: each host is a directory, each agent a process on loopback.\n   \
         The commands are those you would type; `principal$` or `vm01$` says where.",
    )
}

fn vendor(tell: &mut Teller<'_>) -> Result<(), QuickstartError> {
    tell.chapter("The vendor makes signed envelopes of fixes from what changed in the components.")?;
    tell.run(VENDOR, "envelope key vendor.key", &[0])?;
    for rsu in ["rsu0801", "rsu0802", "rsu0803", "rsu0804"] {
        let line = format!(
            "envelope create {rsu}.envelope --from media/base --to media/{rsu} --overlay \
             --describe media/{rsu}.yaml --key vendor.key"
        );
        tell.run(VENDOR, &line, &[0])?;
    }
    Ok(())
}

fn first_level(tell: &mut Teller<'_>) -> Result<(), QuickstartError> {
    tell.chapter("The principal takes the release in as BASE, and learns the vendor's key.")?;
    tell.run(PRINCIPAL, "servmgr initialize 720 --from media/base", &[0])?;
    tell.run(PRINCIPAL, "servmgr vendor set example --key vendor.key.pub", &[0])?;
    tell.chapter(
        "A level is BASE plus service. The first one gets the first recommended service update (RSU).",
    )?;
    tell.run(
        PRINCIPAL,
        "servmgr srvlvl add 720 vm010102_BLD1 basedon BASE nonesm desc Initial RSU Install",
        &[0],
    )?;
    tell.run(PRINCIPAL, "servmgr srvlvl service 720 vm010102_bld1 all rsu0801.envelope --check", &[0])?;
    tell.run(PRINCIPAL, "servmgr srvlvl service 720 vm010102_bld1 all rsu0801.envelope", &[0])?;
    tell.chapter("The package holds what differs from BASE, one servlink a component, signed.")?;
    tell.run(PRINCIPAL, "servmgr srvlvl package 720 vm010102_BLD1", &[0]).map(drop)
}

fn add_line(system: &str, port: u16) -> String {
    format!(
        "servmgr system add 720 {system} BASE nonesm hostname 127.0.0.1 commtype ftp '(port' {port} 'require)'"
    )
}

fn invite(tell: &mut Teller<'_>, port_of: impl Fn(u16) -> u16) -> Result<Vec<String>, QuickstartError> {
    tell.chapter(
        "Each managed system is announced; the principal answers with a join token, good for one use.",
    )?;
    let mut tokens = Vec::new();
    for (index, system) in (0..).zip(SYSTEMS) {
        let text = tell.run(PRINCIPAL, &add_line(system, port_of(index)), &[4])?;
        let token = text.split_whitespace().find(|word| word.starts_with("tender-join-"));
        let token =
            token.ok_or(QuickstartError::Missing { command: "servmgr system add", what: "a join token" })?;
        tokens.push(token.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned());
    }
    Ok(tokens)
}

fn enrol(
    tell: &mut Teller<'_>,
    tokens: &[String],
    port_of: impl Fn(u16) -> u16,
) -> Result<(), QuickstartError> {
    tell.chapter(
        "On each system: set up the agent, install the release as shipped, use the token, run.\n   \
         The system's key is made there and never leaves it.",
    )?;
    for ((index, system), token) in (0..).zip(SYSTEMS).zip(tokens) {
        let port = port_of(index);
        let (first, last) = (port + 1, port + PORTS_AGENT - 1);
        tell.run(
            system,
            &format!("agent init {system} --listen 127.0.0.1:{port} --passive {first}-{last}"),
            &[0],
        )?;
        tell.run(system, "agent base 720 --from media/base", &[0])?;
        tell.run(system, &format!("agent enrol {token}"), &[0])?;
        tell.aside(system, "tender agent run &")?;
    }
    Ok(())
}

fn register(tell: &mut Teller<'_>, port_of: impl Fn(u16) -> u16) -> Result<(), QuickstartError> {
    tell.chapter("The same command again completes it: certificates are exchanged, the level is verified.")?;
    for (index, system) in (0..).zip(SYSTEMS) {
        tell.run(PRINCIPAL, &add_line(system, port_of(index)), &[0, 4])?;
    }
    tell.run(PRINCIPAL, "servmgr group set 720 fleet vm01 vm02 vm03", &[0]).map(drop)
}

fn first_production(tell: &mut Teller<'_>, port_of: impl Fn(u16) -> u16) -> Result<(), QuickstartError> {
    tell.chapter("Send the package to vm01 to test it there; it lands in slot `test`, beside what runs.")?;
    tell.run(PRINCIPAL, "servmgr srvlvl send 720 vm010102_BLD1 vm01 '(test'", &[0])?;
    tell.chapter(
        "vm01 gets a test instance of that slot, with ports and a workspace of its own. From now on every level\n   \
         sent for a test is started there, and what it showed comes back as the proof.",
    )?;
    instance(tell, "vm01", "test", port_of(0) + PORTS_AGENT + 2)?;
    tell.run("vm01", "agent instance --test vm01-test --ready-limit 30s", &[0])?;
    tell.run(PRINCIPAL, "servmgr srvlvl send 720 vm010102_BLD1 vm01 '(test'", &[0])?;
    tell.chapter("Tested: send it to all as stable. That locks the level, and the signed metadata says so.")?;
    tell.run(PRINCIPAL, "servmgr srvlvl send 720 vm010102_BLD1 fleet '(stable'", &[0])?;
    tell.chapter("Put it in production everywhere: one atomic switch a system.")?;
    tell.run(PRINCIPAL, "servmgr system put2prod 720 fleet", &[0]).map(drop)
}

/// Makes an instance of a slot of `system`, with the ledger at `port` and the portal at the next one.
fn instance(tell: &Teller<'_>, system: &str, slot: &str, port: u16) -> Result<(), QuickstartError> {
    let (name, follows) = match slot {
        "test" => (format!("{system}-test"), "test"),
        _ => (format!("{system}-prod"), "current"),
    };
    tell.run(
        system,
        &format!(
            "instance init {name} --runtime {system}/system/{follows} --host localhost --job-name {system}"
        ),
        &[0],
    )?;
    let portal = port + 1;
    tell.run(
        system,
        &format!(
            "config set --instance {name} components.beacon.enabled=true components.ledger.enabled=true \
             components.ledger.port={port} components.portal.enabled=true components.portal.port={portal}"
        ),
        &[0],
    )
    .map(drop)
}

fn run_it(tell: &mut Teller<'_>, port_of: impl Fn(u16) -> u16) -> Result<(), QuickstartError> {
    tell.chapter(
        "What is delivered is what runs: on each system an instance of slot `current`, and a launcher that takes\n   \
         its components through validate, configure and start, and keeps them running.",
    )?;
    for (index, system) in (0..).zip(SYSTEMS) {
        instance(tell, system, "current", port_of(index) + PORTS_AGENT)?;
        tell.run(system, &format!("agent instance --production {system}-prod --ready-limit 30s"), &[0])?;
        tell.run(system, &format!("start --instance {system}-prod"), &[0])?;
    }
    tell.chapter("Somebody uses it: an entry in the ledger of vm01. The journal is in the workspace, not in the level.")?;
    let port = port_of(0) + PORTS_AGENT;
    tell.aside("vm01", &format!("curl -X POST http://127.0.0.1:{port}/rent/950.00"))?;
    tell.answer(&post(port, "/rent/950.00")?)
}

/// Sends a POST without a body and returns the answer's body.
fn post(port: u16, path: &str) -> Result<String, QuickstartError> {
    let ask = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "POST {path} HTTP/1.0\r\nContent-Length: 0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
    };
    ask().map_err(|source| QuickstartError::Service { port, source })
}

fn second_level(tell: &mut Teller<'_>) -> Result<(), QuickstartError> {
    tell.chapter(
        "August: a new level, based on the one in production, with a local modification of our own.",
    )?;
    tell.run(
        PRINCIPAL,
        "servmgr srvlvl add 720 vm010802_BLD2 basedon vm010102_bld1 nonesm desc August RSU Install",
        &[0],
    )?;
    tell.run(
        PRINCIPAL,
        "servmgr srvlvl localmod 720 vm010802_BLD2 ledger --id L0001 --replace etc/ledger.ini \
         --from media/localmod/ledger.ini --reason 'our books are in CHF'",
        &[0],
    )?;
    tell.chapter(
        "The second RSU changes the same part. Our change and the vendor's are merged, and we are told to look.",
    )?;
    tell.run(PRINCIPAL, "servmgr srvlvl service 720 vm010802_BLD2 all rsu0802.envelope", &[0, 4])?;
    tell.run(PRINCIPAL, "servmgr srvlvl compare 720 vm010102_BLD1 vm010802_BLD2", &[0])?;
    tell.run(PRINCIPAL, "servmgr srvlvl package 720 vm010802_BLD2", &[0, 4])?;
    tell.run(PRINCIPAL, "servmgr srvlvl setlock 720 vm010802_BLD2 on", &[0]).map(drop)
}

fn second_production(tell: &mut Teller<'_>) -> Result<(), QuickstartError> {
    tell.chapter(
        "Test on vm01, then stable for all; the last line leaves the release out, as the seed does.",
    )?;
    tell.run(PRINCIPAL, "servmgr srvlvl send 720 vm010802_BLD2 vm01 '(test'", &[0])?;
    tell.run(PRINCIPAL, "servmgr srvlvl send vm010802_BLD2 fleet '(stable'", &[0])?;
    tell.chapter("A fix in it asks for an action. Production is refused until somebody has read it.")?;
    tell.run(PRINCIPAL, "servmgr system put2prod 720 fleet", &[16])?;
    tell.run(PRINCIPAL, "servmgr system put2prod 720 fleet --acknowledge UM10010", &[0]).map(drop)
}

/// A fix whose fault only shows where there is data from before: the readiness gate finds it.
fn bad_fix(tell: &mut Teller<'_>) -> Result<(), QuickstartError> {
    tell.chapter("A single fix for the ledger arrives. Its test instance is well: it has no journal yet.")?;
    deliver(tell, "vm010902_BLD3", "rsu0803.envelope", "September fix")?;
    tell.chapter(
        "On vm01 the new ledger cannot read the journal that is there. It does not become ready, so PUT2PROD goes\n   \
         back by itself, starts what ran before, and says what the ledger said last.",
    )?;
    tell.run(PRINCIPAL, "servmgr system put2prod 720 vm01", &[12])?;
    tell.run("vm01", "status --instance vm01-prod", &[0]).map(drop)
}

fn good_fix(tell: &mut Teller<'_>) -> Result<(), QuickstartError> {
    tell.chapter("The fix is held, so that no level takes it in; the vendor's next one supersedes it and goes through.")?;
    tell.run(
        PRINCIPAL,
        "servmgr hold add 720 UM10020 error PM004 --resolved-by UM10021 --text 'journals from before are not read'",
        &[0, 4],
    )?;
    deliver(tell, "vm010903_BLD4", "rsu0804.envelope", "the fix of the fix")?;
    tell.run(PRINCIPAL, "servmgr system put2prod 720 vm01", &[0])?;
    tell.chapter("Only the ledger was restarted; portal and beacon are the processes they were.")?;
    tell.run("vm01", "status --instance vm01-prod", &[0]).map(drop)
}

/// Makes a level of an envelope on top of the second one, tests it on vm01 and makes it stable there.
fn deliver(tell: &Teller<'_>, level: &str, envelope: &str, what: &str) -> Result<(), QuickstartError> {
    for line in [
        format!("servmgr srvlvl add 720 {level} basedon vm010802_BLD2 nonesm desc {what}"),
        format!("servmgr srvlvl service 720 {level} all {envelope}"),
        format!("servmgr srvlvl package 720 {level}"),
        format!("servmgr srvlvl send 720 {level} vm01 '(test'"),
        format!("servmgr srvlvl send 720 {level} vm01 '(stable'"),
    ] {
        tell.run(PRINCIPAL, &line, &[0, 4])?;
    }
    Ok(())
}

fn drift(tell: &mut Teller<'_>, stage: &Stage) -> Result<(), QuickstartError> {
    tell.chapter("Somebody edits a part of vm02 by hand. SERVCHECK names the part.")?;
    tell.aside(
        "vm02",
        "chmod u+w current/ledger/etc/ledger.ini && echo 'currency = XAU' >> current/ledger/etc/ledger.ini",
    )?;
    let part = stage.home("vm02").join("system/current/ledger/etc/ledger.ini");
    edit(&part, |text| text.push_str("currency = XAU\n"))?;
    tell.run(PRINCIPAL, "servmgr system servcheck 720 vm02", &[4, 8]).map(drop)
}

fn tampering(tell: &mut Teller<'_>, stage: &Stage) -> Result<(), QuickstartError> {
    tell.chapter(
        "Somebody changes the package on its way. The managed system refuses it and nothing changes.",
    )?;
    tell.run(
        PRINCIPAL,
        "servmgr srvlvl add 720 tampered basedon vm010802_BLD2 nonesm desc Not to be trusted",
        &[0],
    )?;
    tell.run(
        PRINCIPAL,
        "servmgr srvlvl localmod 720 tampered beacon --id L0002 --add etc/note.txt --from media/README.md",
        &[0],
    )?;
    tell.run(PRINCIPAL, "servmgr srvlvl package 720 tampered", &[0, 4])?;
    let servlink = newest_servlink(&stage.home(PRINCIPAL).join("principal"))
        .ok_or(QuickstartError::Missing { command: "srvlvl package", what: "a servlink" })?;
    let shown = servlink.strip_prefix(stage.directory()).unwrap_or(&servlink).display().to_string();
    tell.aside(PRINCIPAL, &format!("printf X | dd conv=notrunc bs=1 seek=40 of={shown}"))?;
    damage(&servlink)?;
    tell.run(PRINCIPAL, "servmgr srvlvl send 720 tampered vm03 '(test'", &[8, 12, 16, 32])?;
    tell.run(PRINCIPAL, "servmgr system query 720 vm03", &[0]).map(drop)
}

fn fall_back(tell: &mut Teller<'_>) -> Result<(), QuickstartError> {
    tell.chapter("vm01 has trouble with the new level: one switch back to the one before.")?;
    tell.run(PRINCIPAL, "servmgr system fallback 720 vm01", &[0]).map(drop)
}

fn overview(tell: &mut Teller<'_>) -> Result<(), QuickstartError> {
    tell.chapter("Where everything stands.")?;
    tell.run(PRINCIPAL, "servmgr system query 720 all", &[0, 4])?;
    tell.run(PRINCIPAL, "servmgr srvlvl query 720 all", &[0])?;
    tell.run(PRINCIPAL, "servmgr fix query 720 UM10010", &[0]).map(drop)
}

fn edit(path: &Path, change: impl FnOnce(&mut String)) -> Result<(), QuickstartError> {
    use std::os::unix::fs::PermissionsExt as _;
    let fault = |source| QuickstartError::Stage { path: path.to_owned(), source };
    let mut text = fs::read_to_string(path).map_err(fault)?;
    change(&mut text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(fault)?;
    fs::write(path, text).map_err(fault)
}

fn damage(path: &Path) -> Result<(), QuickstartError> {
    let fault = |source| QuickstartError::Stage { path: path.to_owned(), source };
    let mut bytes = fs::read(path).map_err(fault)?;
    if let Some(byte) = bytes.get_mut(40) {
        *byte ^= 0xff;
    }
    fs::write(path, bytes).map_err(fault)
}

/// Finds the servlink written last below a directory.
fn newest_servlink(directory: &Path) -> Option<std::path::PathBuf> {
    let mut newest = None;
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "servlink") {
                let made = entry.metadata().and_then(|metadata| metadata.modified()).ok()?;
                if newest.as_ref().is_none_or(|(time, _)| *time < made) {
                    newest = Some((made, path));
                }
            }
        }
    }
    newest.map(|(_, path)| path)
}
