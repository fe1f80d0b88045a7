//! A role process, as the cross-memory server starts them: confines itself, then does its work. The tests drive it.
//!
//! ```text
//! role serve KIND SETTINGS UID            settings as JSON; the channel is standard input
//! role probe ROLE UID ACTION [OPTION…]    enters the sandbox, tells its report, then tries something
//! ```
//!
//! The report is one line of JSON on standard output, before anything else.

use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;

use tender_worker::confine::{
    CapabilitySet, Confinement, Identity, Namespaces, Report, ResourceLimits, Role,
};
use tender_worker::{Kind, Settings, serve};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve", kind, settings, uid] => work(kind, settings, uid),
        ["probe", role, uid, action, options @ ..] => probe(role, uid, action, options),
        _ => Err("usage: role serve KIND SETTINGS UID | role probe ROLE UID ACTION [OPTION…]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _closed = writeln!(std::io::stderr(), "{error}: {:?}", error.source());
            ExitCode::FAILURE
        }
    }
}

fn work(kind: &str, settings: &str, uid: &str) -> Result<(), Failure> {
    let kind = Kind::named(kind).ok_or("no such kind")?;
    let settings: Settings = serde_json::from_str(settings)?;
    let channel = std::io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(OwnedFd::from(std::fs::File::open("/dev/null")?))?;
    let confinement = Confinement::worker(kind, &settings).keep(&channel);
    let report = identified(confinement, uid)?.apply()?;
    tell(&report)?;
    Ok(serve(kind, channel, settings)?)
}

fn identified(confinement: Confinement, uid: &str) -> Result<Confinement, Failure> {
    let id: u32 = uid.parse()?;
    let current = rustix::process::geteuid().as_raw();
    Ok(if current == 0 {
        confinement.identity(Identity { uid: id, gid: id, groups: Vec::new() })
    } else {
        confinement
    })
}

fn tell(report: &Report) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::to_string(report)?)?;
    Ok(out.flush()?)
}

fn probe(role: &str, uid: &str, action: &str, options: &[&str]) -> Result<(), Failure> {
    let role = match role {
        "front" => Role::Front,
        "monitor" => Role::Monitor,
        "keeper" => Role::Keeper,
        "auxiliary" => Role::Auxiliary,
        kind => Role::Worker(Kind::named(kind).ok_or("no such role")?),
    };
    let mut confinement = identified(Confinement::new(role), uid)?;
    for option in options {
        confinement = match option.split_once('=').unwrap_or((option, "")) {
            ("read", path) => confinement.read(path),
            ("write", path) => confinement.write(path),
            ("execute", path) => confinement.execute(path),
            ("capability", name) => {
                confinement.capabilities(CapabilitySet::from_name(name).ok_or("no such capability")?)
            }
            ("descriptors", limit) => confinement
                .limits(ResourceLimits { descriptors: Some(limit.parse()?), ..ResourceLimits::default() }),
            ("namespaces", _) => confinement.namespaces(Namespaces {
                user: true,
                mount: true,
                network: true,
                ipc: true,
                host: true,
            }),
            _ => return Err(format!("unknown option {option}").into()),
        };
    }
    let threads = (action == "threads").then(|| {
        std::thread::spawn(|| {
            std::thread::park();
        })
    });
    let report = confinement.apply()?;
    drop(threads);
    tell(&report)?;
    attempt(action)
}

/// Tries something, and tells how it went if it can still tell.
fn attempt(action: &str) -> Result<(), Failure> {
    let (verb, object) = action.split_once(':').unwrap_or((action, ""));
    let outcome = match verb {
        "nothing" => Ok(()),
        "wait" => std::io::stdin().read_line(&mut String::new()).map(drop),
        "open" => std::fs::File::open(object).map(drop),
        "create" => std::fs::write(object, "x"),
        "run" => std::process::Command::new(object).status().map(drop),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(|thread| drop(thread.join())),
        "socket" => std::net::UdpSocket::bind("127.0.0.1:0").map(drop),
        "hostname" => rustix::system::sethostname(b"x").map_err(Into::into),
        "root" => rustix::thread::set_thread_uid(rustix::fs::Uid::ROOT).map_err(Into::into),
        "panic" => std::panic::catch_unwind(|| std::fs::metadata("/").map(drop)).unwrap_or(Ok(())),
        "abort" => std::process::abort(),
        _ => return Err(format!("unknown action {action}").into()),
    };
    let told = match outcome {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("failed {}", error.raw_os_error().unwrap_or(0)),
    };
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}
