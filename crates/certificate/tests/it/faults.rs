//! Kills, full disks and missing permissions.

use std::{
    env,
    fs::{self, Permissions},
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use tender_certificate::{CheckStatus, RuntimeCertificate, setup::SetupRequest};

use crate::world::{World, checks, child, failed, in_days, output, set_up};

const KILLS: u32 = 24;

fn directory_of_child() -> PathBuf {
    env::var_os("KEYSTORE_DIRECTORY").expect("run by another test").into()
}

/// Replaces the certificate over and over until it is killed.
#[test]
#[ignore = "run by killed_replacement_leaves_the_old_or_the_new_certificate"]
fn child_replaces_for_ever() {
    let mut request = SetupRequest::new(&directory_of_child());
    request.overwrite = true;
    println!("ready");
    loop {
        set_up(&request).unwrap();
        print!(".");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn killed_replacement_leaves_the_old_or_the_new_certificate() {
    let world = World::new();
    let certificate = world.set_up().certificate;
    let program = env::current_exe().unwrap();
    for kill in 0..KILLS {
        let mut running =
            child("faults::child_replaces_for_ever", program.as_os_str(), &world.keystore_dir())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
        let output = running.stdout.as_mut().unwrap();
        wait_for(output, "ready\n.");
        let begin = Instant::now();
        wait_for(output, ".");
        let period = begin.elapsed();
        // Each kill at another moment of the third replacement, as far as the second one tells.
        let moment = Instant::now() + period * kill / KILLS;
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        running.kill().unwrap();
        running.wait().unwrap();
        assert_whole(&certificate);
    }
    // The next run cleans up.
    let mut request = world.request();
    request.overwrite = true;
    set_up(&request).unwrap();
    let leftovers: Vec<_> = World::names(&world.keystore_dir())
        .into_iter()
        .filter(|name| name.ends_with(".tender-tmp"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

/// Reads until the text has come.
fn wait_for(output: &mut impl std::io::Read, text: &str) {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(text.as_bytes()) {
        assert_eq!(output.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
}

fn assert_whole(certificate: &RuntimeCertificate) {
    let lines = checks(certificate, &[], in_days(0));
    assert!(lines.iter().all(|check| check.status == CheckStatus::Passed), "{lines:#?}");
}

/// Sets up as whoever it runs as, and says how that went.
#[test]
#[ignore = "run by other tests"]
fn child_sets_up() {
    let mut request = SetupRequest::new(&directory_of_child());
    request.overwrite = true;
    match set_up(&request) {
        Ok(outcome) => println!("done {}", outcome.backups.len()),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            println!("refused {error}: {cause}");
        }
    }
}

/// Runs [`child_sets_up`] as nobody, from a copy of the program that nobody may run.
fn as_nobody(world: &World, directory: &Path) -> String {
    let program = world.path("program");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(world.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let mut command = child("faults::child_sets_up", program.as_os_str(), directory);
    command.uid(65_534).gid(65_534).current_dir(world.dir.path());
    output(&mut command).1
}

#[test]
fn directory_without_permission_is_an_error_that_names_it_and_leaves_nothing() {
    let world = World::new();
    let directory = world.keystore_dir();
    fs::create_dir(&directory).unwrap();
    let text = as_nobody(&world, &directory);
    assert!(text.contains("refused") && text.contains("Permission denied"), "{text}");
    assert!(text.contains(&directory.display().to_string()), "{text}");
    assert!(World::names(&directory).is_empty());
}

#[test]
fn unprivileged_user_replaces_what_is_locked() {
    let world = World::new();
    let directory = world.path("of-nobody");
    fs::create_dir(&directory).unwrap();
    std::os::unix::fs::chown(&directory, Some(65_534), Some(65_534)).unwrap();
    assert!(as_nobody(&world, &directory).contains("done 0"));
    let text = as_nobody(&world, &directory);
    assert!(text.contains("done 1"), "{text}");
    assert_eq!(World::names(&directory).len(), 3, "certificate, authority and one backup");
}

#[test]
fn unprivileged_user_cannot_read_the_files_of_another() {
    let world = World::new();
    world.set_up();
    let text = as_nobody(&world, &world.keystore_dir());
    assert!(text.contains("refused"), "{text}");
}

/// A small file system of its own, gone with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, bytes: u32) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let (is_mounted, text) = output(
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(&at),
        );
        if !is_mounted {
            println!("skipped: no file system can be mounted here: {text}");
            return None;
        }
        Some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        output(Command::new("umount").arg(&self.0));
    }
}

#[test]
fn full_disk_leaves_the_old_certificate_whole() {
    let world = World::new();
    let Some(disk) = SmallDisk::mount(world.path("disk"), 200 * 1024) else { return };
    let mut request = SetupRequest::new(&disk.0.join("keystore"));
    let certificate = set_up(&request).unwrap().certificate;
    request.overwrite = true;
    let mut ballast = fs::File::create(disk.0.join("ballast")).unwrap();
    while ballast.write_all(&[0; 1024]).is_ok() {}
    for freed in 0..12_u64 {
        // A little more room each time, so that each run fails at another file.
        let length = ballast.metadata().unwrap().len();
        ballast.set_len(length.saturating_sub(if freed == 0 { 0 } else { 4096 })).unwrap();
        let outcome = set_up(&request);
        if let Err(error) = &outcome {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            assert!(cause.contains("No space left"), "{error}: {cause}");
        }
        let lines = checks(&certificate, &[], in_days(0));
        assert!(failed(&lines).is_empty(), "{freed}: {lines:#?}");
        if outcome.is_ok() {
            assert!(freed > 1, "the disk was not full");
            return;
        }
    }
    panic!("48 KiB are enough for a certificate");
}
