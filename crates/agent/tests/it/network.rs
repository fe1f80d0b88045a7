//! The receiver: words, packages and enrolment, in this process and over FTPS.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Cursor;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan};
use tender_agent::home::AgentConfig;
use tender_agent::receiver::{AnswerKind, EnrolError, Listening, Receiver, RunError, enrol, serve};
use tender_agent::{Home, queue};
use tender_package::report::SystemInfo;
use tender_package::request::{Request, RequestResult, RequestState, Verb};
use tender_package::{Mode, ReturnCode};
use tender_transport::authority::{Authority, CertificateUse};
use tender_transport::client::{ConnectConfig, ConnectSecurity, FtpsLink, Link, LinkError};
use tender_transport::enrolment::{self, JoinToken};
use tender_transport::identity::Identity;
use tokio::sync::watch;

use crate::faults::executor;
use crate::world::{Principal, System, level, load, request, vrm};

/// Passed only when something is wrong.
const DEADLINE: Duration = Duration::from_secs(60);

/// Returns the command that carries out requests of a home in another process, as words.
fn executor_words(home: &Path, fault: Option<&str>) -> Vec<OsString> {
    let command = executor(home);
    let mut words = vec![OsString::from("env")];
    let mut variable = |name: &str, value: &std::ffi::OsStr| {
        let mut word = OsString::from(format!("{name}="));
        word.push(value);
        words.push(word);
    };
    variable("TENDER_TEST_HOME", home.as_os_str());
    fault.into_iter().for_each(|fault| variable("TENDER_FAULT", fault.as_ref()));
    words.push(command.get_program().to_owned());
    words.extend(command.get_args().map(OsString::from));
    words
}

/// Waits until `look` finds what it looks for.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "{what} did not happen in time");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// An agent that serves.
struct Agent {
    stop: watch::Sender<bool>,
    listening: mpsc::Receiver<Listening>,
    thread: JoinHandle<Result<(), RunError>>,
}

impl Agent {
    fn start(home: &Home, executor: Vec<OsString>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (ready, listening) = mpsc::channel();
        let home = home.clone();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let mut on_ready = |now| ready.send(now).unwrap();
            runtime.block_on(serve(&home, executor, &mut on_ready, stopped))
        });
        Self { stop, listening, thread }
    }

    fn next(&self) -> Listening {
        self.listening.recv_timeout(DEADLINE).unwrap()
    }

    fn stop(self) -> Result<(), RunError> {
        self.stop.send_replace(true);
        self.thread.join().unwrap()
    }
}

/// A principal's side: authority and CSMWORK's identity.
struct Work {
    dir: tempfile::TempDir,
    authority: Authority,
}

impl Work {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&dir.path().join("ca"), "test").unwrap();
        let identity = Identity::create(&dir.path().join("work")).unwrap();
        let csr = identity.csr_pem("CSMWORK").unwrap();
        let certificate = authority.issue(&csr, &CertificateUse::Work).unwrap();
        identity.install(&certificate, authority.ca_pem()).unwrap();
        Self { dir, authority }
    }

    fn token(&self, system: &str) -> JoinToken {
        JoinToken::create(system, self.authority.fingerprint(), Timestamp::now() + 1.hour()).unwrap()
    }

    fn connect(at: SocketAddr, security: ConnectSecurity) -> Result<FtpsLink, LinkError> {
        let mut config = ConnectConfig::new("127.0.0.1", security);
        config.port = at.port();
        FtpsLink::connect(&config)
    }

    fn link(&self, at: SocketAddr) -> FtpsLink {
        Self::connect(at, ConnectSecurity::Certificate { identity: self.dir.path().join("work") }).unwrap()
    }
}

fn loopback(root: &Path) -> Home {
    let mut config = AgentConfig::named("VM01");
    config.listen = std::net::Ipv4Addr::LOCALHOST.into();
    config.port = 0;
    config.passive_ports = (0, 0);
    config.free_bytes_min = 0;
    Home::create(root, &config).unwrap()
}

fn send(principal: &Principal, name: &str, link: &mut dyn Link) {
    let staging = tempfile::tempdir().unwrap();
    principal.send(name, staging.path());
    let mut pending = vec![(staging.path().to_owned(), vrm().to_string())];
    while let Some((dir, name)) = pending.pop() {
        link.make_dir(&name).unwrap();
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let below = format!("{name}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                pending.push((entry.path(), below));
            } else {
                link.resume(&below, &entry.path(), &mut |_| {}).unwrap();
            }
        }
    }
}

fn begin(link: &mut dyn Link, request: &Request) -> RequestState {
    let bytes = serde_json::to_vec(request).unwrap();
    link.store(&format!("requests/{}.json", request.id), &mut Cursor::new(bytes), 0, &mut |_| {}).unwrap();
    serde_json::from_str(&link.site("CSMAGENT", &request.id).unwrap()).unwrap()
}

fn result(link: &mut dyn Link, id: &str) -> RequestResult {
    wait("the end of the request", || {
        let state: RequestState = serde_json::from_str(&link.site("CSMSTAT", id).unwrap()).unwrap();
        matches!(state, RequestState::Ended { .. }).then_some(())
    });
    serde_json::from_slice(&link.retrieve(&format!("results/{id}.json"), 1 << 24).unwrap()).unwrap()
}

#[test]
fn system_is_enrolled_and_takes_a_level_over_ftps() {
    let (principal, work) = (Principal::new(), Work::new());
    let dir = tempfile::tempdir().unwrap();
    let home = loopback(&dir.path().join("system"));
    let token = work.token("VM01");
    enrol(&home, &token.encode(), false).unwrap();
    let agent = Agent::start(&home, executor_words(home.root(), None));

    let Listening::Enrolment(at) = agent.next() else { panic!("enrolment comes first") };
    let password = token.login_password();
    let mut link = Work::connect(at, ConnectSecurity::Enrolment { password }).unwrap();
    let further = BTreeMap::from([("root.json".to_owned(), principal.keys.trusted_root().to_vec())]);
    let addresses = ["127.0.0.1".to_owned()];
    enrolment::enrol(&mut link, &token, &work.authority, &addresses, &further, Timestamp::now()).unwrap();
    assert_eq!(std::fs::read(home.trusted_root()).unwrap(), principal.keys.trusted_root());
    assert!(!home.identity().join("join-token").exists(), "a token is used once");

    let Listening::Requests(at) = agent.next() else { panic!("then requests") };
    let mut link = work.link(at);
    let info: SystemInfo = serde_json::from_str(&link.site("CSMINFO", "").unwrap()).unwrap();
    assert_eq!((info.system.as_str(), info.current), ("VM01", None));

    send(&principal, "BASE", &mut link);
    let asked = request("load-1", load("BASE", Mode::Test));
    begin(&mut link, &asked);
    let result = result(&mut link, "load-1");
    assert_eq!(result.outcome.code, ReturnCode::Done, "{:?}", result.outcome);
    assert_eq!(result.request, asked);
    assert_eq!(result.info.test.unwrap().level, level("BASE"));
    assert!(
        String::from_utf8(link.retrieve("results/load-1.log", 1 << 20).unwrap()).unwrap().contains("stage")
    );

    // The same request again, whatever its words are now, is the same request.
    let state = begin(&mut link, &request("load-1", Verb::Unload));
    assert_eq!(state, RequestState::Ended { code: ReturnCode::Done });
    link.site("CSMACK", "load-1").unwrap();
    assert!(matches!(link.site("CSMSTAT", "../x"), Err(LinkError::Refused { .. })));
    assert!(matches!(link.site("CSMAGENT", "unknown"), Err(LinkError::Refused { .. })));
    System::open(home.root()).check_slots_are_whole(&principal);
    agent.stop().unwrap();
}

#[test]
fn token_for_another_system_or_a_second_enrolment_is_refused() {
    let work = Work::new();
    let dir = tempfile::tempdir().unwrap();
    let home = loopback(&dir.path().join("system"));
    assert!(matches!(enrol(&home, &work.token("VM02").encode(), false), Err(EnrolError::OtherSystem { .. })));
    assert!(matches!(enrol(&home, "tender-join-1-00", false), Err(EnrolError::Token(_))));
    let identity = Identity::open_or_create(&home.identity()).unwrap();
    let usage = CertificateUse::System { name: "VM01".to_owned(), addresses: Vec::new() };
    let certificate = work.authority.issue(&identity.csr_pem("VM01").unwrap(), &usage).unwrap();
    identity.install(&certificate, work.authority.ca_pem()).unwrap();
    assert!(matches!(enrol(&home, &work.token("VM01").encode(), false), Err(EnrolError::Enrolled)));
    enrol(&home, &work.token("VM01").encode(), true).unwrap();
}

#[test]
fn agent_without_certificate_and_token_says_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let home = loopback(&dir.path().join("system"));
    let error = Agent::start(&home, Vec::new()).stop().unwrap_err();
    assert!(matches!(error, RunError::NotEnrolled), "{error}");
    assert!(error.to_string().contains("tender agent enrol"));
}

/// Puts a request where FTP would and says the word.
fn ask(system: &System, receiver: &Receiver, asked: &Request) -> tender_agent::receiver::Answer {
    let path = system.home.incoming().join(format!("requests/{}.json", asked.id));
    std::fs::write(path, serde_json::to_vec(asked).unwrap()).unwrap();
    receiver.answer("CSMAGENT", &asked.id)
}

#[test]
fn package_that_was_tampered_with_ends_its_request_at_reception() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.receive(&principal, "BLD1");
    let name = principal.manifest("BLD1").1.remove(0).name;
    let file = principal.repository().files_for(&[name]).unwrap().remove(0);
    let path = system.home.received(&vrm()).join(file.path);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    // Nothing may be started: there is no such program.
    let receiver = Receiver::new(system.home.clone(), vec!["/nonexistent/executor".into()]);
    let answer = ask(&system, &receiver, &request("t1", load("BLD1", Mode::Test)));
    assert_eq!((answer.kind, answer.text.as_str()), (AnswerKind::Done, r#"{"state":"ended","code":32}"#));
    let result = system.result("t1");
    assert!(result.outcome.messages[0].text.contains("SHA-256"), "{:?}", result.outcome);
    assert_eq!(system.slots(), ["-", "-", "-"]);
}

#[test]
fn request_without_a_working_executor_stays_queued() {
    let principal = Principal::new();
    let system = System::new(&principal);
    let receiver = Receiver::new(system.home.clone(), vec!["/nonexistent/executor".into()]);
    let answer = ask(&system, &receiver, &request("q1", Verb::Unload));
    assert_eq!(answer.kind, AnswerKind::Failed, "{}", answer.text);
    assert!(answer.text.contains("/nonexistent/executor"), "{}", answer.text);
    assert_eq!(queue::state(&system.home, "q1").unwrap(), RequestState::Queued);
    let answer = Receiver::new(system.home.clone(), Vec::new()).answer("CSMFORMAT", "");
    assert_eq!(answer.kind, AnswerKind::Syntax);
}

#[test]
fn request_of_a_killed_executor_is_gone_on_with_when_asked_again_or_at_the_next_start() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    system.produce(&principal, "BLD2");
    for (id, slots) in [("k1", ["-", "BLD1", "BLD2"]), ("k2", ["-", "BLD2", "BLD1"])] {
        // This one carries nothing out; what would start the killed one again must not be there.
        let idle = Receiver::new(system.home.clone(), vec!["true".into()]);
        ask(&system, &idle, &request(id, Verb::Fallback));
        let dying = executor_words(system.home.root(), Some("fallback.switch"));
        let status = Command::new(&dying[0]).args(&dying[1..]).stdout(Stdio::null()).status().unwrap();
        assert!(status.signal().is_some(), "{status}");
        assert_eq!(system.slots()[1], slots[1], "it died after the switch");
        let state = queue::state(&system.home, id).unwrap();
        assert!(matches!(&state, RequestState::Running { step } if step.contains("previous")), "{state:?}");
        let receiver = Receiver::new(system.home.clone(), executor_words(system.home.root(), None));
        if id == "k1" {
            assert_eq!(receiver.answer("CSMAGENT", id).kind, AnswerKind::Done);
        } else {
            receiver.resume().unwrap();
        }
        // Asking is enough: it starts another executor when the last one found the dying one's lock.
        wait("the end", || receiver.answer("CSMSTAT", id).text.contains("ended").then_some(()));
        assert_eq!(system.slots(), slots);
    }
}

#[test]
fn executor_that_was_killed_is_started_again_by_itself_and_leaves_no_zombie() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    system.produce(&principal, "BLD2");
    let dying = executor_words(system.home.root(), Some("fallback.switch"));
    let receiver = Receiver::new(system.home.clone(), dying);
    ask(&system, &receiver, &request("a1", Verb::Fallback));
    // Nobody asks again.
    wait("the end", || {
        matches!(queue::state(&system.home, "a1").unwrap(), RequestState::Ended { .. }).then_some(())
    });
    assert_eq!(system.slots(), ["-", "BLD1", "BLD2"]);
    wait("the last executor to be waited for", || zombies().is_empty().then_some(()));
}

/// Returns the children of this process that have ended and that nobody has waited for.
fn zombies() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let pids = lists.collect::<Vec<_>>().join(" ");
    let has_ended = |pid: &&str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| stat.contains(") Z "))
    };
    pids.split_whitespace().filter(has_ended).map(str::to_owned).collect()
}

#[test]
fn files_of_packages_no_longer_listed_are_removed_at_reception() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.receive(&principal, "BLD1");
    let leftover = system.home.received(&vrm()).join("targets/720/servlinks/0000.old.servlink");
    std::fs::write(&leftover, b"old").unwrap();
    let old = system.home.received(&vrm()).join("metadata/1.targets.json");
    std::fs::write(&old, b"{}").unwrap();
    let receiver = Receiver::new(system.home.clone(), executor_words(system.home.root(), None));
    ask(&system, &receiver, &request("l1", load("BLD1", Mode::Test)));
    assert!(!leftover.exists() && !old.exists());
    wait("the end", || {
        matches!(queue::state(&system.home, "l1").unwrap(), RequestState::Ended { .. }).then_some(())
    });
    assert_eq!(system.slots(), ["BLD1", "-", "-"]);
}
