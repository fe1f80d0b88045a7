//! Becomes a plug-in: `host MODULE UID GID`, with control on standard input and calls on standard output.
//!
//! The server does the same in a process of its own; this one is for trying a sandbox.

#![expect(clippy::print_stderr, reason = "it tells whoever tries a sandbox what it could do")]

use std::error::Error;
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};

use tender_auxiliary::{CgroupPlace, Entrance, StartString, enter};

/// Returns a program as the server hands it over: a copy that nobody can change.
fn sealed(program: &[u8]) -> Result<OwnedFd, Box<dyn Error>> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING;
    let module = rustix::fs::memfd_create("module", flags)?;
    let mut rest = program;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&module, rest)?..];
    }
    let seals = rustix::fs::SealFlags::WRITE | rustix::fs::SealFlags::SHRINK | rustix::fs::SealFlags::GROW;
    rustix::fs::fcntl_add_seals(&module, seals | rustix::fs::SealFlags::SEAL)?;
    Ok(module)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: host MODULE UID GID");
    let (module, uid, gid) = (next()?, next()?.parse()?, next()?.parse()?);
    let is_root = rustix::process::geteuid().is_root();
    let entrance = Entrance {
        module: "MODULE".into(),
        argument: StartString::new("MODULE", "")?.to_string(),
        identity: is_root.then_some((uid, gid)),
        memory_bytes_max: None,
        descriptors_max: 64,
        cgroup: CgroupPlace::None { why: "it is only tried".into() },
    };
    let module = sealed(&fs::read(module)?)?;
    let control = rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), 3)?;
    let calls = rustix::io::fcntl_dupfd_cloexec(std::io::stdout().as_fd(), 3)?;
    let told = |_: &mut OwnedFd, report: &tender_worker::confine::Report| eprintln!("{report}");
    let nobody = rustix::io::fcntl_dupfd_cloexec(fs::File::open("/dev/null")?, 16)?;
    match enter(&entrance, module, control, calls, nobody, told)? {}
}
