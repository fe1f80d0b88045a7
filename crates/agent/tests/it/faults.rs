//! The executor is killed at every point; the next one must make it good, and no slot may ever be half done.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc;

use tender_agent::hooks::{HookError, LifecycleHooks, NoHooks};
use tender_agent::{Home, audit, execute, fault};
use tender_content::progress::NoProgress;
use tender_package::request::Verb;
use tender_package::{ComponentName, FixId, Mode, ReturnCode};

use crate::cycle::vandalise;
use crate::world::{Principal, System, level, load, put2prod, vrm};

const CHILD: &str = "faults::executor_in_a_process_of_its_own";

struct NeverReady;

impl LifecycleHooks for NeverReady {
    fn validate_and_configure(&self, _level_dir: &Path) -> Result<(), HookError> {
        Ok(())
    }

    fn restart_and_ready(&self, current: &Path) -> Result<(), HookError> {
        // The level to go back to does get ready: its mark is where the test says.
        let config = std::fs::read_to_string(current.join("http/etc/http.conf")).unwrap_or_default();
        match std::env::var("TENDER_TEST_READY") {
            Ok(ready) if config.contains(&ready) => Ok(()),
            _ => Err(HookError::new("not ready", None)),
        }
    }
}

#[test]
#[ignore = "started by the other tests of this module"]
fn executor_in_a_process_of_its_own() {
    let home = Home::open(Path::new(&std::env::var_os("TENDER_TEST_HOME").unwrap())).unwrap();
    let is_failing = std::env::var_os("TENDER_TEST_READY").is_some();
    let hooks: &dyn LifecycleHooks = if is_failing { &NeverReady } else { &NoHooks };
    execute(&home, hooks, &NoProgress).unwrap();
}

/// Returns the command that carries out the requests of a home in another process.
pub(crate) fn executor(home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", CHILD])
        .env("TENDER_TEST_HOME", home)
        .stdout(std::process::Stdio::null());
    command
}

/// A request in a situation that makes the executor pass certain points.
struct Scenario {
    /// The template the request is made on.
    template: &'static str,
    verb: Verb,
    /// The mark of the level that gets ready, when hooks fail for all others.
    ready: Option<&'static str>,
    /// The slots afterwards, and the return code.
    slots: [&'static str; 3],
    code: ReturnCode,
    points: Vec<String>,
}

fn points(prefix: &str, skip: impl Fn(&str) -> bool) -> Vec<String> {
    fault::points().into_iter().filter(|point| point.starts_with(prefix) && !skip(point)).collect()
}

fn scenario(template: &'static str, verb: Verb, slots: [&'static str; 3], points: Vec<String>) -> Scenario {
    Scenario { template, verb, ready: None, slots, code: ReturnCode::Done, points }
}

/// The same with hooks that fail for every level but `ready`.
fn failed(scenario: Scenario, ready: &'static str) -> Scenario {
    Scenario { ready: Some(ready), code: ReturnCode::Outside, ..scenario }
}

fn is_undo(point: &str) -> bool {
    point.contains(".undo.")
}

fn fallback_scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "produced",
            Verb::Fallback,
            ["-", "BLD1", "BLD2"],
            points("fallback.", |point| {
                let others = ["materialise", "clear", "record", "state"];
                is_undo(point) || others.iter().any(|other| point.contains(other))
            }),
        ),
        scenario("retested", Verb::Fallback, ["-", "BLD1", "BLD2"], points("fallback.clear", |_| false)),
        failed(
            scenario(
                "retested",
                Verb::Fallback,
                ["BLD1", "BLD2", "BLD1"],
                points("fallback.undo.clear", |_| false),
            ),
            "build 2",
        ),
        Scenario {
            code: ReturnCode::Warning,
            ..scenario(
                "changed",
                Verb::Fallback,
                ["-", "BLD1", "BLD2"],
                points("fallback.materialise", |_| false),
            )
        },
        failed(
            scenario(
                "produced",
                Verb::Fallback,
                ["-", "BLD2", "BLD1"],
                points("fallback.undo.", |point| point.contains("clear")),
            ),
            "build 2",
        ),
    ]
}

fn scenarios() -> Vec<Scenario> {
    let only_undo = |prefix: &str| points(prefix, |point| !is_undo(point));
    let managed = Verb::Managed {
        on: false,
        components: vec![ComponentName::new("http").unwrap()],
        reason: "outage".to_owned(),
        until: None,
    };
    vec![
        scenario(
            "received",
            load("BLD1", Mode::Test),
            ["BLD1", "-", "-"],
            points("load.", |point| {
                is_undo(point) || point.starts_with("load.base") || point.starts_with("load.state")
            }),
        ),
        scenario("bare", load("BASE", Mode::Test), ["BASE", "-", "-"], points("load.base", is_undo)),
        scenario("waiting", Verb::Unload, ["-", "BLD1", "-"], points("unload.", is_undo)),
        scenario(
            "waiting",
            put2prod(),
            ["-", "BLD2", "BLD1"],
            points("put2prod.", |point| is_undo(point) || point.starts_with("put2prod.state")),
        ),
        failed(scenario("waiting", put2prod(), ["BLD2", "BLD1", "-"], only_undo("put2prod.")), "build 1"),
        Scenario {
            // Not managed, which the check says.
            code: ReturnCode::Warning,
            ..scenario(
                "produced",
                Verb::Servcheck { full: false },
                ["-", "BLD2", "BLD1"],
                points("servcheck.", |point| point.contains("state")),
            )
        },
        scenario(
            "produced",
            managed,
            ["-", "BLD2", "BLD1"],
            points("managed.", |point| point.contains("seal")),
        ),
        scenario("produced", Verb::Enter, ["-", "BLD2", "BLD1"], points("enter.", |_| false)),
        scenario("entered", Verb::Leave, ["-", "BLD2", "BLD1"], points("leave.", |_| false)),
    ]
}

/// Work on systems where people changed parts by hand.
fn changed_scenarios() -> Vec<Scenario> {
    let force = Some("the change is obsolete".to_owned());
    let http = || ComponentName::new("http").unwrap();
    let keep =
        Verb::Exception { keep: true, component: http(), paths: Vec::new(), reason: "slow disk".to_owned() };
    let on = Verb::Managed { on: true, components: Vec::new(), reason: String::new(), until: None };
    let mut again = load("BLD2", Mode::Stable);
    if let Verb::Load { force: forced, .. } = &mut again {
        forced.clone_from(&force);
    }
    let put2prod = Verb::Put2prod { expect: None, acknowledged: Vec::new(), force };
    let produced = ["-", "BLD2", "BLD1"];
    let warned = |scenario| Scenario { code: ReturnCode::Warning, ..scenario };
    let state = |verb: &str| points(&format!("{verb}.state"), |_| false);
    vec![
        warned(scenario("touched", Verb::Servcheck { full: false }, produced, state("servcheck"))),
        scenario("noted", keep, produced, points("exception.", |_| false)),
        warned(scenario("noted", again, produced, state("load"))),
        warned(scenario("noted", Verb::Fallback, ["-", "BLD1", "BLD2"], state("fallback"))),
        scenario("kept", Verb::Fallback, ["-", "BLD1", "BLD2"], points("fallback.record", |_| false)),
        warned(scenario("noted-waiting", put2prod, produced, state("put2prod"))),
        scenario("off", on, produced, points("managed.seal", |_| false)),
    ]
}

/// Systems in the states the scenarios begin with.
struct Templates {
    dir: tempfile::TempDir,
    principal: Principal,
}

impl Templates {
    fn new() -> Self {
        let principal = Principal::new();
        for name in ["BASE", "BLD1", "BLD2"] {
            principal.mark(name, Mode::Stable);
        }
        let templates = Self { dir: tempfile::tempdir().unwrap(), principal };
        let principal = &templates.principal;
        let bare = templates.make("bare");
        bare.receive(principal, "BASE");
        let received = templates.make("received");
        let media = principal.media("BASE");
        tender_agent::import(&received.home, &crate::world::vrm(), &media, "op", &NoProgress).unwrap();
        received.receive(principal, "BLD1");
        received.receive(principal, "BLD2");
        let waiting = templates.copy("received", "waiting");
        waiting.done(load("BLD1", Mode::Stable));
        waiting.done(put2prod());
        waiting.done(load("BLD2", Mode::Stable));
        let produced = templates.copy("waiting", "produced");
        produced.done(put2prod());
        templates.copy("produced", "entered").done(Verb::Enter);
        let lose = vec![FixId::new("UM00002").unwrap()];
        templates.copy("produced", "retested").done(Verb::Load {
            level: level("BLD1"),
            mode: Mode::Stable,
            lose,
            force: None,
            brings: Vec::new(),
        });
        let changed = templates.copy("produced", "changed");
        vandalise(&changed, "previous/http/etc/http.conf", b"build X\n");
        // The object was written through; what the fallback needs must come from elsewhere, and it does not.
        let good = std::fs::read(principal.media("BLD1").join("http/etc/http.conf")).unwrap();
        vandalise(&changed, "previous/http/etc/http.conf", &good);
        let etc = changed.home.root().join("previous/http/etc");
        let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&etc, mode(0o755)).unwrap();
        std::fs::write(etc.join("extra"), b"x").unwrap();
        templates.add_changed();
        templates
    }

    /// Adds systems where only the permissions of a part differ: its bytes are what the level says all the time.
    fn add_changed(&self) {
        let touch = |system: &System| {
            let part = system.home.root().join("current/http/share/data");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
            // A part of its own, as the object is shared with other levels.
            let bytes = std::fs::read(&part).unwrap();
            let directory = part.parent().unwrap();
            std::fs::write(directory.join("new"), bytes).unwrap();
            std::fs::rename(directory.join("new"), &part).unwrap();
            std::fs::set_permissions(&part, mode).unwrap();
        };
        let touched = self.copy("entered", "touched");
        touch(&touched);
        self.copy("touched", "noted").done(Verb::Servcheck { full: false });
        self.copy("noted", "kept").done(Verb::Exception {
            keep: true,
            component: ComponentName::new("http").unwrap(),
            paths: Vec::new(),
            reason: "slow disk".to_owned(),
        });
        let waiting = self.copy("waiting", "noted-waiting");
        waiting.done(Verb::Enter);
        touch(&waiting);
        waiting.done(Verb::Servcheck { full: false });
        let off = self.copy("entered", "off");
        off.done(Verb::Managed {
            on: false,
            components: vec![ComponentName::new("http").unwrap()],
            reason: "outage".to_owned(),
            until: None,
        });
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn make(&self, name: &str) -> System {
        System::make(&self.path(name), &self.principal);
        System::open(&self.path(name))
    }

    fn copy(&self, from: &str, to: &str) -> System {
        let status = Command::new("cp").arg("-a").args([self.path(from), self.path(to)]).status().unwrap();
        assert!(status.success());
        System::open(&self.path(to))
    }
}

fn run(home: &Path, fault: Option<&str>, ready: Option<&str>) -> ExitStatus {
    let mut command = executor(home);
    command.envs(fault.map(|fault| ("TENDER_FAULT", fault)));
    command.envs(ready.map(|ready| ("TENDER_TEST_READY", ready)));
    command.status().unwrap()
}

#[test]
fn executor_killed_at_any_point_is_made_good_by_the_next() {
    let templates = Templates::new();
    let mut driven = BTreeSet::new();
    for scenario in scenarios().into_iter().chain(fallback_scenarios()).chain(changed_scenarios()) {
        for point in &scenario.points {
            let system = templates.copy(scenario.template, "now");
            let home = system.home.root().to_owned();
            let id = system.queue(scenario.verb.clone());

            let killed = run(&home, Some(point), scenario.ready);
            assert_eq!(killed.signal(), Some(9), "{point} was not passed");
            system.check_slots_are_whole_unless_changed(&templates.principal, scenario.template);

            let status = run(&home, None, scenario.ready);
            assert!(status.success(), "{point}");
            let result = system.result(&id);
            assert_eq!(result.outcome.code, scenario.code, "{point}: {:?}", result.outcome);
            assert_eq!(system.slots(), scenario.slots.map(str::to_owned), "{point}");
            system.check_slots_are_whole(&templates.principal);
            assert!(system.info().open_requests.is_empty(), "{point}");
            audit::verify(&system.home.audit_log()).unwrap();
            tender_content::materialise::remove_tree(&home).unwrap();
            driven.insert(point.clone());
        }
    }
    // `load.undo.*` is driven below, as its package is a broken one.
    let missing: Vec<_> = fault::points()
        .into_iter()
        .filter(|point| !driven.contains(point) && !point.starts_with("load.undo."))
        .collect();
    assert!(missing.is_empty(), "no scenario passes {missing:?}");
}

#[test]
fn executor_killed_while_undoing_a_load_leaves_nothing_behind() {
    let principal = Principal::new();
    let (mut manifest, targets) = principal.manifest("BLD2");
    let http = manifest.components.iter_mut().find(|one| one.name.as_str() == "http").unwrap();
    http.tree = Some(tender_content::Digest::of(b"promised"));
    let trees = manifest.components.iter().filter_map(|one| Some((&one.name, one.tree.as_ref()?)));
    manifest.content = tender_package::manifest::content_digest(trees);
    principal.publish(&manifest, targets, jiff::Timestamp::now());
    for point in ["load.undo.collect.done", "load.undo.collect"] {
        let system = System::new(&principal);
        system.produce(&principal, "BLD1");
        system.receive(&principal, "BLD2");
        let id = system.queue(load("BLD2", Mode::Test));
        assert_eq!(run(system.home.root(), Some(point), None).signal(), Some(9), "{point}");
        assert!(run(system.home.root(), None, None).success());
        assert_eq!(system.result(&id).outcome.code, ReturnCode::Integrity);
        assert_eq!(system.slots(), ["-", "BLD1", "-"]);
        system.check_slots_are_whole(&principal);
    }
}

#[test]
#[ignore = "started by the other tests of this module"]
fn local_work_in_a_process_of_its_own() {
    let home = Home::open(Path::new(&std::env::var_os("TENDER_TEST_HOME").unwrap())).unwrap();
    let media = PathBuf::from(std::env::var_os("TENDER_TEST_MEDIA").unwrap());
    if std::env::var("TENDER_TEST_WORK").unwrap() == "import" {
        tender_agent::import(&home, &vrm(), &media, "op", &NoProgress).unwrap();
    } else {
        tender_agent::adopt(&home, &vrm(), &media, "op", &NoProgress).unwrap();
    }
}

fn local_work(home: &Path, media: &Path, work: &str, fault: Option<&str>) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "faults::local_work_in_a_process_of_its_own"])
        .env("TENDER_TEST_HOME", home)
        .env("TENDER_TEST_MEDIA", media)
        .env("TENDER_TEST_WORK", work)
        .envs(fault.map(|fault| ("TENDER_FAULT", fault)))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap()
}

#[test]
fn import_and_adopt_killed_at_any_point_are_made_good_by_doing_them_again() {
    let principal = Principal::new();
    let media = principal.media("BASE");
    // Each component passes these points; the second time is in the middle.
    let middle = ["parts:2", "tree:2"].map(|label| ["import", "adopt"].map(|work| format!("{work}.{label}")));
    for point in fault::local_points().into_iter().chain(middle.into_iter().flatten()) {
        let system = System::bare(&principal);
        let home = system.home.root();
        let work = point.split('.').next().unwrap();
        let is_ready = || match work {
            "import" => !system.info().bases.is_empty(),
            _ => system.slots()[1] == "ADOPTED",
        };

        assert_eq!(local_work(home, &media, work, Some(&point)).signal(), Some(9), "{point} was not passed");
        // Whatever counts as done is whole: all or nothing.
        let is_late = ["record", "switch", "audit"].iter().any(|label| point.ends_with(label));
        assert_eq!(is_ready(), is_late && point != "adopt.record", "{point}");
        audit::verify(&system.home.audit_log()).unwrap();

        assert!(local_work(home, &media, work, None).success(), "{point}");
        assert!(is_ready(), "{point}");
        let log = std::fs::read_to_string(system.home.audit_log()).unwrap();
        assert!(log.contains(if work == "import" { "BASE" } else { "ADOPT" }), "{point}: {log}");
        audit::verify(&system.home.audit_log()).unwrap();
        if work == "import" {
            system.receive(&principal, "BLD1");
            system.done(load("BLD1", Mode::Test));
            system.check_slots_are_whole(&principal);
        } else {
            assert!(
                system.done(Verb::Servcheck { full: true }).servcheck.unwrap().drift.is_empty(),
                "{point}"
            );
        }
    }
}

#[test]
fn adopt_of_another_directory_after_one_was_adopted_is_refused() {
    let principal = Principal::new();
    let system = System::bare(&principal);
    let adopt = |name| tender_agent::adopt(&system.home, &vrm(), &principal.media(name), "op", &NoProgress);
    adopt("BASE").unwrap();
    let before = system.info().current;
    adopt("BLD1").unwrap_err();
    assert_eq!(system.info().current, before);
    adopt("BASE").unwrap();
    assert_eq!(system.info().current, before, "the same directory again changes nothing");
}

impl System {
    /// Checks slots after a kill; the template `changed` begins with a slot that is not whole.
    fn check_slots_are_whole_unless_changed(&self, principal: &Principal, template: &str) {
        if template != "changed" {
            self.check_slots_are_whole(principal);
        }
    }
}

/// Tells when it is at work and waits until it may go on.
struct Waiting {
    began: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

impl LifecycleHooks for Waiting {
    fn validate_and_configure(&self, _level_dir: &Path) -> Result<(), HookError> {
        self.began.send(()).unwrap();
        self.go_on.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        Ok(())
    }

    fn restart_and_ready(&self, _current: &Path) -> Result<(), HookError> {
        Ok(())
    }
}

#[test]
fn second_executor_names_the_first_and_its_request_is_not_forgotten() {
    let principal = Principal::new();
    let system = System::new(&principal);
    principal.mark("BLD1", Mode::Stable);
    system.receive(&principal, "BLD1");
    system.done(load("BLD1", Mode::Stable));
    let first = system.queue(put2prod());
    let (began_tx, began) = mpsc::channel();
    let (go_on_tx, go_on) = mpsc::channel();
    let home = system.home.clone();
    let thread = std::thread::spawn(move || execute(&home, &Waiting { began: began_tx, go_on }, &NoProgress));
    began.recv_timeout(std::time::Duration::from_secs(60)).unwrap();

    let second = system.queue(Verb::Servcheck { full: false });
    let error = execute(&system.home, &NoHooks, &NoProgress).unwrap_err();
    assert_eq!(error.code(), ReturnCode::Busy);
    let text = std::error::Error::source(&error).unwrap().to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");

    go_on_tx.send(()).unwrap();
    let ended: Vec<String> = thread.join().unwrap().unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ended, [first, second]);
}
