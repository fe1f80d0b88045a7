//! Passwords through the real PAM, with users that exist in the mount namespace of the worker only.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tender_worker::order::{Outcome, Refusal, Secret, Work};
use tender_worker::password::{PasswordOrder, PasswordOutcome};
use tender_worker::{Kind, Settings};

use crate::world::{self, Worker};

/// Of the password `correct horse`.
const HASH: &str =
    "$6$tendersalt$4wqs/nt9HojcDHqw8uCHwrXMLXi6koqT4CuoouCDb6GCTyd1CnARlO8YHZZm3Wb.g3ocLeZ3aZ8ffgt/2kikO.";
const MODULES: [&str; 3] =
    ["/lib/x86_64-linux-gnu/security", "/usr/lib/x86_64-linux-gnu/security", "/usr/lib64/security"];

fn can_run(test: &str) -> bool {
    let modules = MODULES.iter().any(|path| Path::new(path).join("pam_unix.so").exists())
        || fs::read_dir("/usr/lib").is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.path().join("security/pam_unix.so").exists()))
        });
    if !modules {
        println!("{test}: skipped, there is no pam_unix");
    }
    modules && world::root(test)
}

/// A world in which `/etc/passwd`, `/etc/shadow` and `/etc/pam.d` are the test's own.
struct Users {
    directory: tempfile::TempDir,
}

impl Users {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let mut passwd = fs::read_to_string("/etc/passwd").unwrap();
        let mut shadow = String::from("root:*:19000:0:99999:7:::\n");
        for (index, (user, rest)) in [
            ("tenderfine", "19000:0:99999:7:::"),
            ("tenderold", "1:0:2:1:::"),
            ("tenderforced", "0:0:99999:7:::"),
            ("tendergone", "19000:0:99999:7::2:"),
        ]
        .iter()
        .enumerate()
        {
            writeln!(passwd, "{user}:x:{}:61050::/:/bin/false", 61_050 + index).unwrap();
            writeln!(shadow, "{user}:{HASH}:{rest}").unwrap();
        }
        passwd.push_str("tenderlocked:x:61060:61050::/:/bin/false\n");
        writeln!(shadow, "tenderlocked:!{HASH}:19000:0:99999:7:::").unwrap();
        fs::write(at("passwd"), passwd).unwrap();
        fs::write(at("shadow"), shadow).unwrap();
        fs::set_permissions(at("shadow"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(at("pam.d")).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let users = Self { directory };
        users.service("tender", "auth required pam_unix.so\naccount required pam_unix.so\n");
        users.service("other", "auth required pam_deny.so\naccount required pam_deny.so\n");
        users
    }

    fn service(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join("pam.d").join(name), text).unwrap();
    }

    fn script(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn worker(&self, settings: &Settings) -> Worker {
        let mut command = Command::new("unshare");
        let script = "cd \"$0\" && for one in passwd shadow pam.d; do mount --bind $one /etc/$one || exit 1; done\n\
                      cd / && exec \"$@\"";
        command.args(["--mount", "sh", "-c", script]).arg(self.directory.path()).arg(world::role());
        Worker::start_by(command, Kind::Password, settings)
    }
}

fn settings(service: &str) -> Settings {
    let mut settings = Settings::default();
    service.clone_into(&mut settings.password.service);
    settings.password.refusal_ms = 1;
    settings
}

fn order(user: &str, password: &str) -> Work {
    let password = Secret::new(password.as_bytes().to_vec().into()).unwrap();
    Work::Password(PasswordOrder { user: user.to_owned(), password })
}

fn outcome(worker: &mut Worker, user: &str, password: &str) -> PasswordOutcome {
    match worker.ask(order(user, password), Vec::new()) {
        Outcome::Password(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn password_of_a_real_user_is_checked() {
    if !can_run("password_of_a_real_user_is_checked") {
        return;
    }
    let users = Users::new();
    let mut worker = users.worker(&settings("tender"));
    for (user, password, expected) in [
        ("tenderfine", "correct horse", PasswordOutcome::Accepted),
        ("tenderfine", "wrong horse", PasswordOutcome::Refused),
        ("tenderfine", "", PasswordOutcome::Refused),
        ("tendernobody", "correct horse", PasswordOutcome::Refused),
        ("root", "correct horse", PasswordOutcome::Refused),
        ("tenderlocked", "correct horse", PasswordOutcome::Refused),
        ("tenderold", "correct horse", PasswordOutcome::PasswordExpired),
        ("tenderold", "wrong horse", PasswordOutcome::Refused),
        ("tenderforced", "correct horse", PasswordOutcome::PasswordExpired),
        ("tendergone", "correct horse", PasswordOutcome::AccountExpired),
        ("tendergone", "wrong horse", PasswordOutcome::Refused),
    ] {
        assert_eq!(outcome(&mut worker, user, password), expected, "{user} {password}");
    }
    worker.finish();
}

#[test]
fn password_for_a_service_without_a_file_goes_by_other() {
    if !can_run("password_for_a_service_without_a_file_goes_by_other") {
        return;
    }
    let users = Users::new();
    let mut worker = users.worker(&settings("nosuchservice"));
    assert_eq!(outcome(&mut worker, "tenderfine", "correct horse"), PasswordOutcome::Refused);
    users.service("other", "auth required pam_permit.so\naccount required pam_deny.so\n");
    let mut worker = users.worker(&settings("nosuchservice"));
    assert_eq!(outcome(&mut worker, "tenderfine", "correct horse"), PasswordOutcome::AccountDenied);
}

#[test]
fn password_module_that_runs_a_program_gets_the_password_only() {
    if !can_run("password_module_that_runs_a_program_gets_the_password_only") {
        return;
    }
    let users = Users::new();
    let script = users.script(
        "ask",
        "read -r password; env | grep -q horse && exit 1\ntest \"$password\" = \"correct horse\"",
    );
    let text =
        format!("auth required pam_exec.so expose_authtok quiet {script}\naccount required pam_permit.so\n");
    users.service("tender", &text);
    let mut worker = users.worker(&settings("tender"));
    assert_eq!(outcome(&mut worker, "tenderfine", "correct horse"), PasswordOutcome::Accepted);
    // This module's own word for a program that said no.
    let said = outcome(&mut worker, "tenderfine", "wrong horse");
    assert!(matches!(said, PasswordOutcome::Unavailable { code: 4, .. }), "{said:?}");
}

#[test]
fn password_module_that_hangs_costs_only_its_order() {
    if !can_run("password_module_that_hangs_costs_only_its_order") {
        return;
    }
    let users = Users::new();
    let script = users.script("hang", "test \"$PAM_USER\" = tenderold && exec sleep 1000\nexit 0");
    users.service(
        "tender",
        &format!("auth required pam_exec.so quiet {script}\naccount required pam_permit.so\n"),
    );
    let mut worker = users.worker(&settings("tender"));
    let deadline = Duration::from_millis(1500);
    let hangs: Vec<u64> = (0..4)
        .map(|_| worker.orders().send(order("tenderold", "x"), Vec::new(), deadline).unwrap())
        .collect();
    let fine: Vec<u64> = (0..4).map(|_| worker.send(order("tenderfine", "x"), Vec::new())).collect();
    let mut answered = Vec::new();
    for _ in 0..8 {
        let answer = worker.answer();
        let expected = if hangs.contains(&answer.id) {
            Outcome::Refused(Refusal::TimedOut)
        } else {
            Outcome::Password(PasswordOutcome::Accepted)
        };
        assert_eq!(answer.outcome, expected);
        answered.push(answer.id);
    }
    // Those that came later were answered first.
    assert!(answered[..4].iter().all(|id| fine.contains(id)), "{answered:?}");
    // Nothing of it is left but helpers that are ready.
    let pid = worker.pid();
    world::eventually("only the helpers are left", || {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let names: Vec<String> = children
            .split_whitespace()
            .filter_map(|child| fs::read_to_string(format!("/proc/{child}/comm")).ok())
            .collect();
        names.len() == 2 && names.iter().all(|name| name.trim() == "role")
    });
    assert_eq!(outcome(&mut worker, "tenderfine", "x"), PasswordOutcome::Accepted);
    worker.finish();
}

#[test]
fn password_order_that_is_cancelled_ends() {
    if !can_run("password_order_that_is_cancelled_ends") {
        return;
    }
    let users = Users::new();
    let script = users.script("hang", "exec sleep 1000");
    users.service(
        "tender",
        &format!("auth required pam_exec.so quiet {script}\naccount required pam_permit.so\n"),
    );
    let mut worker = users.worker(&settings("tender"));
    let id = worker.send(order("tenderfine", "x"), Vec::new());
    worker.orders().cancel(id).unwrap();
    let answer = worker.answer();
    assert_eq!((answer.id, answer.outcome), (id, Outcome::Refused(Refusal::Cancelled)));
}

#[test]
fn password_module_that_kills_its_process_costs_only_its_order() {
    if !can_run("password_module_that_kills_its_process_costs_only_its_order") {
        return;
    }
    let users = Users::new();
    let script = users.script("kill", "test \"$PAM_USER\" = tenderold && kill -9 $PPID\nexit 0");
    users.service(
        "tender",
        &format!("auth required pam_exec.so quiet {script}\naccount required pam_permit.so\n"),
    );
    let mut worker = users.worker(&settings("tender"));
    assert!(matches!(outcome(&mut worker, "tenderold", "x"), PasswordOutcome::Unavailable { code: 0, .. }));
    assert_eq!(outcome(&mut worker, "tenderfine", "x"), PasswordOutcome::Accepted);
}

#[test]
fn password_refusals_take_the_same_time_for_users_that_do_not_exist() {
    if !can_run("password_refusals_take_the_same_time_for_users_that_do_not_exist") {
        return;
    }
    let users = Users::new();
    let mut settings = settings("tender");
    settings.password.refusal_ms = 700;
    let mut worker = users.worker(&settings);
    for user in ["tenderfine", "tendernobody", "tenderlocked"] {
        let began = Instant::now();
        assert_eq!(outcome(&mut worker, user, "wrong horse"), PasswordOutcome::Refused);
        // Never before: how much later a busy machine makes it is not the worker's to say.
        assert!(began.elapsed() >= Duration::from_millis(700), "{user}: {:?}", began.elapsed());
    }
}

#[test]
fn password_orders_beyond_the_limit_are_refused() {
    if !can_run("password_orders_beyond_the_limit_are_refused") {
        return;
    }
    let users = Users::new();
    let script = users.script("hang", "exec sleep 1000");
    users.service(
        "tender",
        &format!("auth required pam_exec.so quiet {script}\naccount required pam_permit.so\n"),
    );
    let mut settings = settings("tender");
    settings.password.orders_max = 2;
    let mut worker = users.worker(&settings);
    worker.send(order("a", "x"), Vec::new());
    worker.send(order("b", "x"), Vec::new());
    assert_eq!(worker.refusal(order("c", "x"), Vec::new()), Refusal::Busy { orders_max: 2 });
    worker.finish();
}

#[test]
fn password_order_with_a_name_that_is_none_is_refused() {
    if !can_run("password_order_with_a_name_that_is_none_is_refused") {
        return;
    }
    let users = Users::new();
    let mut worker = users.worker(&settings("tender"));
    let long = "x".repeat(257);
    for user in ["", "../x", "a:b", "a\nb", "a\0b", "-x", &long] {
        assert!(matches!(worker.refusal(order(user, "x"), Vec::new()), Refusal::Invalid { .. }), "{user:?}");
    }
}
