//! What is delivered is what runs: levels put in production and sent for tests on a system with instances.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::installation::{component_of, signal};
use crate::world::{Answer, DEADLINE, World, answer, free_ports, wait_until};

/// A world with a managed system whose production instance runs level ONE.
struct Site {
    world: World,
    ledger: u16,
    portal: u16,
}

impl Drop for Site {
    fn drop(&mut self) {
        for instance in ["prod", "proof"] {
            if self.world.path(instance).exists() {
                self.world.run("vm01", &format!("stop --instance {instance}"));
            }
        }
    }
}

impl Site {
    fn in_production() -> Self {
        let mut world = World::with_level_one();
        world.add_system("vm01");
        let ledger = free_ports();
        let site = Self { world, ledger, portal: ledger + 1 };
        site.deliver("one");
        site.instance("prod", "current", ledger);
        site.run("vm01", "agent instance --production prod --ready-limit 20s").ends(0);
        site.run("vm01", "start --instance prod").ends(0);
        site
    }

    fn run(&self, host: &str, line: &str) -> Answer {
        self.world.run(host, line)
    }

    /// Sends a level for a test and as stable, and puts it in production.
    fn deliver(&self, level: &str) {
        self.send(level);
        self.run("principal", "servmgr system put2prod 720 vm01").ends(0);
    }

    fn send(&self, level: &str) {
        for mode in ["test", "stable"] {
            self.run("principal", &format!("servmgr srvlvl send 720 {level} vm01 '({mode}'")).ends(0);
        }
    }

    /// Makes a level on top of another in which one part of the ledger is replaced.
    fn level(&self, name: &str, on: &str, part: &str, text: &str) {
        fs::write(self.world.path("replacement"), text).unwrap();
        // The same part keeps the number of its modification from level to level.
        let id = if part.starts_with("etc") { "L0001" } else { "L0002" };
        for line in [
            format!("servmgr srvlvl add 720 {name} basedon {on}"),
            format!(
                "servmgr srvlvl localmod 720 {name} ledger --id {id} --replace {part} --from replacement --reason test"
            ),
            format!("servmgr srvlvl package 720 {name}"),
        ] {
            self.run("principal", &line).ends(0);
        }
    }

    /// Makes an instance of a slot whose components listen at `port` and the next one.
    fn instance(&self, name: &str, slot: &str, port: u16) {
        let runtime = self.world.path("vm01/system").join(slot);
        self.run("vm01", &format!("instance init {name} --runtime {}", runtime.display())).ends(0);
        let at = self.world.path(name).display().to_string();
        let text = format!(
            "zowe:\n  runtimeDirectory: {}\n  logDirectory: {at}/logs\n  workspaceDirectory: {at}/workspace\n  \
             extensionDirectory: {at}/extensions\ncomponents:\n  beacon:\n    enabled: true\n  ledger:\n    \
             enabled: true\n    port: {port}\n  portal:\n    enabled: true\n    port: {}\n",
            runtime.display(),
            port + 1
        );
        fs::write(self.world.path(name).join("zowe.yaml"), text).unwrap();
    }

    fn status(&self, instance: &str) -> Value {
        self.world.json("vm01", &format!("status --instance {instance}"))
    }

    #[track_caller]
    fn pid(&self, component: &str) -> i64 {
        let status = component_of(&self.status("prod"), component);
        status["pid"].as_i64().unwrap_or_else(|| panic!("{component} does not run: {status}"))
    }

    /// Asks the ledger.
    fn ledger_says(&self) -> String {
        get(&connect(self.ledger))
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Asks over a connection that is open already.
fn get(mut stream: &TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn settings(currency: &str) -> String {
    format!(
        "[ledger]\ncurrency = {currency}\njournal = journal.txt\n[http]\naddress = 127.0.0.1\nbacklog = 5\n\
         [limits]\nentry_max = 1000000\n"
    )
}

#[test]
fn put2prod_restarts_only_what_changed_and_goes_back_when_it_does_not_become_ready() {
    let site = Site::in_production();
    assert!(site.ledger_says().contains("EUR"));
    let (ledger, portal, beacon) = (site.pid("ledger"), site.pid("portal"), site.pid("beacon"));
    let client = connect(site.portal);

    site.level("two", "one", "etc/ledger.ini", &settings("CHF"));
    site.deliver("two");
    assert!(site.ledger_says().contains("CHF"));
    let second = site.pid("ledger");
    assert_ne!(second, ledger);
    assert_eq!((site.pid("portal"), site.pid("beacon")), (portal, beacon), "they had not changed");

    let broken = "import sys\nsys.exit('the books of the bad fix are missing')\n";
    site.level("bad", "two", "lib/server.py", broken);
    site.send("bad");
    let answer = site.run("principal", "servmgr system put2prod 720 vm01");
    assert_ne!(answer.code, Some(0));
    answer.says("ledger").says("the books of the bad fix are missing");
    assert_eq!(site.world.slot("vm01", "current").as_deref(), Some("TWO.1"));
    assert_eq!(site.world.slot("vm01", "test").as_deref(), Some("BAD.1"));
    wait_until("the ledger of before", || component_of(&site.status("prod"), "ledger")["state"] == "READY");
    assert!(site.ledger_says().contains("CHF"));
    assert_eq!((site.pid("portal"), site.pid("beacon")), (portal, beacon), "they never changed");

    site.level("good", "two", "etc/ledger.ini", &settings("SEK"));
    site.deliver("good");
    assert!(site.ledger_says().contains("SEK"));
    assert_eq!(site.pid("portal"), portal);
    assert!(get(&client).contains("200"), "a connection from before all of this still works");
}

#[test]
fn level_that_never_becomes_ready_is_taken_back_with_what_it_printed() {
    let site = Site::in_production();
    site.run("vm01", "agent instance --production prod --ready-limit 3s").ends(0);
    let silent = "#!/bin/sh\necho waiting for a book that never comes\nexec sleep 100000\n";
    site.level("slow", "one", "bin/start.sh", silent);
    site.send("slow");
    let answer = site.run("principal", "servmgr system put2prod 720 vm01").ends(12);
    answer.says("ledger is STARTING: not READY within 3 s").says("waiting for a book that never comes");
    assert_eq!(site.world.slot("vm01", "current").as_deref(), Some("ONE.1"));
    assert!(site.ledger_says().contains("EUR"));
}

#[test]
fn launcher_killed_while_a_level_comes_up_is_started_again_on_the_level_of_before() {
    let site = Site::in_production();
    let begun = site.world.path("begun");
    let slow = format!("#!/bin/sh\n: > {}\nexec sleep 100000\n", begun.display());
    site.level("slow", "one", "bin/start.sh", &slow);
    site.send("slow");
    let launcher = |site: &Site| site.status("prod")["data"]["pid"].as_i64();
    let before = launcher(&site).unwrap();
    let mut command = site.world.command("principal", "servmgr system put2prod 720 vm01");
    let put2prod = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the new ledger", || begun.exists());
    signal(before, "KILL");
    let answer = answer("put2prod", &put2prod.wait_with_output().unwrap());
    assert_eq!(answer.code, Some(12), "{}", answer.text);
    answer.says("has lost its launcher").says("the slots are as they were");
    assert_eq!(site.world.slot("vm01", "current").as_deref(), Some("ONE.1"));
    let after = launcher(&site).expect("a launcher runs again");
    assert_ne!(after, before);
    assert!(site.ledger_says().contains("EUR"), "the ledger of before, and nothing of the other level");
}

#[test]
fn component_that_an_operator_stopped_is_not_in_the_way_and_stays_stopped() {
    let site = Site::in_production();
    site.run("vm01", "stop beacon --instance prod").ends(0);
    site.level("two", "one", "etc/ledger.ini", &settings("CHF"));
    site.deliver("two");
    assert!(site.ledger_says().contains("CHF"));
    assert_eq!(component_of(&site.status("prod"), "beacon")["state"], "STOPPED");
}

#[test]
fn level_that_cannot_be_validated_is_refused_before_anything_stops() {
    let site = Site::in_production();
    let pids = ["ledger", "portal", "beacon"].map(|name| site.pid(name));
    site.level("two", "one", "bin/validate.sh", "#!/bin/sh\necho 'no room for the books' >&2\nexit 8\n");
    site.send("two");
    let answer = site.run("principal", "servmgr system put2prod 720 vm01");
    assert_ne!(answer.code, Some(0));
    answer.says("ledger").says("no room for the books");
    assert_eq!(site.world.slot("vm01", "current").as_deref(), Some("ONE.1"));
    assert_eq!(["ledger", "portal", "beacon"].map(|name| site.pid(name)), pids);
}

#[test]
fn level_sent_for_a_test_is_run_and_what_it_showed_comes_back() {
    let site = Site::in_production();
    site.level("two", "one", "etc/ledger.ini", &settings("CHF"));
    // The slot must name a level before an instance can be made of it.
    site.run("principal", "servmgr srvlvl send 720 two vm01 '(test'").ends(0);
    site.instance("proof", "test", free_ports());
    site.run("vm01", "agent instance --test proof").ends(0).says("prod");
    let sent = site.run("principal", "servmgr srvlvl send 720 two vm01 '(test'").ends(0);
    sent.says("Test run").says("ledger").says("READY");
    site.run("vm01", "status --instance proof").ends(28);
    let broken = "import sys\nsys.exit('the books of the bad fix are missing')\n";
    site.level("bad", "one", "lib/server.py", broken);
    let sent = site.run("principal", "servmgr srvlvl send 720 bad vm01 '(test'").ends(4);
    sent.says("ledger").says("the books of the bad fix are missing");
    assert_eq!(
        site.world.slot("vm01", "test").as_deref(),
        Some("BAD.1"),
        "a test that fails is still a test"
    );
    assert!(site.ledger_says().contains("EUR"), "production is not touched");
}

#[test]
fn production_that_does_not_run_is_switched_and_not_started() {
    let site = Site::in_production();
    site.run("vm01", "stop --instance prod").ends(0);
    site.level("two", "one", "etc/ledger.ini", &settings("CHF"));
    site.deliver("two");
    site.run("vm01", "status --instance prod").ends(28);
    site.run("vm01", "start --instance prod").ends(0);
    assert!(site.ledger_says().contains("CHF"));
}

#[test]
fn instances_that_follow_slots_are_set_shown_and_removed() {
    let world = World::new();
    world.run("vm01", "agent init vm01").ends(0);
    let slots = world.path("vm01/system");
    for (name, slot) in [("prod", "current"), ("proof", "test")] {
        let level = slots.join("levels").join(name);
        fs::create_dir_all(&level).unwrap();
        std::os::unix::fs::symlink(&level, slots.join(slot)).unwrap();
        let runtime = slots.join(slot).display().to_string();
        world.run("vm01", &format!("instance init {name} --runtime {runtime}")).ends(0);
    }
    world.run("vm01", "agent instance").ends(0).says("no instance");
    world.run("vm01", "agent instance --production nosuch").ends(28).says("nosuch");
    world.run("vm01", "agent instance --production prod --test prod").ends(16);
    world.run("vm01", "agent instance --production prod --check").ends(0).says("prod");
    world.run("vm01", "agent instance").ends(0).says("no instance");
    world.run("vm01", "agent instance --production prod --test proof --ready-limit 5min").ends(0);
    world.run("vm01", "agent instance").ends(0).says("proof").says("5 min");
    world.run("vm01", "agent instance --test prod").ends(16);
    let product: PathBuf = world.path("media/base");
    world.run("vm01", &format!("instance init stray --runtime {}", product.display())).ends(0);
    world
        .run("vm01", "agent instance --production stray")
        .ends(4)
        .says("not slot current")
        .says("media/base");
    world.run("vm01", "agent instance --production prod --production-ha lpar9").ends(0);
    let text = fs::read_to_string(world.path("prod/zowe.yaml")).unwrap();
    fs::write(world.path("prod/zowe.yaml"), text + "haInstances:\n  lpar1:\n    hostname: localhost\n")
        .unwrap();
    world.run("vm01", "agent instance --production prod --production-ha lpar9").ends(28).says("lpar1");
    world.run("vm01", "agent instance --remove").ends(0).says("no instance");
    world.run("vm01", "agent instance").ends(0).says("no instance");
}
