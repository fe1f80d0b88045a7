//! An instance from outside: start, look, disturb, stop.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use crate::installation::{Installation, is_alive, script, signal};
use crate::world::wait_until;

#[test]
fn instance_starts_restarts_what_was_killed_and_stops() {
    let here = Installation::new();
    here.tender("status").ends(28).says("ZWEL0802E");
    here.tender("start").ends(0).says("validate").says("configure").says("echo");
    let status = here.json("status");
    assert_eq!(status["code"], 0, "{status}");
    assert_eq!(status["data"]["is_ready"], true, "{status}");
    let pid = here.pid("echo");
    assert_eq!(here.greeting().unwrap(), format!("hello {pid}"), "the server itself is the child");
    assert_eq!(here.component("echo")["ports"], serde_json::json!([here.port]));
    signal(pid, "KILL");
    wait_until("the restart of echo", || {
        let echo = here.component("echo");
        echo["state"] == "READY" && echo["pid"].as_i64().is_some_and(|new| new != pid)
    });
    assert_eq!(here.component("echo")["restarts"], 1);
    assert!(here.component("echo")["last_exit"].as_str().unwrap().contains("KILL"));
    here.tender("status").says("READY").says("echo").says("pulse");
    let (pid, pulse) = (here.pid("echo"), here.pid("pulse"));
    let launcher = here.json("status")["data"]["pid"].as_i64().unwrap();
    here.tender("stop").ends(0);
    for pid in [pid, pulse] {
        assert!(!is_alive(pid), "{pid} outlived the stop");
    }
    wait_until("the end of the launcher", || !is_alive(launcher));
    here.tender("stop").ends(4).says("nothing to stop");
    here.tender("restart echo").ends(28);
}

#[test]
fn states_fit_a_terminal_of_eighty_columns_with_reasons_that_can_be_read() {
    let here = Installation::new();
    let wait = "echo before; sleep 0.1; exec python3 bin/echo.py \"$ZWE_configs_port\"";
    script(&here.path("product/components/echo/bin/start.sh"), wait);
    script(&here.path("product/components/pulse/bin/start.sh"), "echo no pulse; exit 3");
    here.tender("start --no-wait").ends(0);
    let answer = |line: &str| {
        let output = here.command(line).env("COLUMNS", "80").output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    wait_until("the first end of pulse", || here.component("pulse")["last_exit"] == "exit 3");
    let text = answer("status");
    assert!(text.contains("\n            ") && text.contains("exit 3"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn instance_of_another_user_started_by_root_is_warned_of() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: only root can start what is another user's");
        return;
    }
    let here = Installation::new();
    std::os::unix::fs::chown(here.path("instance"), Some(65_534), Some(65_534)).unwrap();
    here.tender("start").ends(4).says("ZWEL0832W").says("user 65534");
    // The file keeps its owner.
    here.tender("component disable pulse").ends(0);
}

#[test]
fn second_launcher_is_refused_with_the_holder() {
    let here = Installation::new();
    here.tender("start").ends(0);
    let launcher = here.json("status")["data"]["pid"].to_string();
    here.tender("launcher run").ends(20).says(&launcher);
    here.tender("start").ends(20).says(&launcher);
    assert_eq!(here.json("status")["data"]["pid"].to_string(), launcher);
}

#[test]
fn launcher_killed_leaves_nothing_that_the_next_one_does_not_clear() {
    let here = Installation::new();
    here.tender("start").ends(0);
    let (echo, pulse) = (here.pid("echo"), here.pid("pulse"));
    let launcher = here.json("status")["data"]["pid"].as_i64().unwrap();
    signal(launcher, "KILL");
    wait_until("the end of the launcher", || !is_alive(launcher));
    here.tender("start").ends(0);
    assert!(!is_alive(echo) && !is_alive(pulse), "orphans were left");
    assert_eq!(here.greeting().unwrap(), format!("hello {}", here.pid("echo")));
}

#[test]
fn component_stops_and_starts_while_the_others_stay() {
    let here = Installation::new();
    here.tender("start").ends(0);
    let (echo, pulse) = (here.pid("echo"), here.pid("pulse"));
    here.tender("stop echo --check").ends(0).says("echo");
    assert!(is_alive(echo));
    here.tender("stop echo").ends(0);
    here.await_state("echo", "STOPPED");
    assert_eq!(here.greeting(), None);
    here.tender("start echo").ends(0);
    assert_eq!(here.component("echo")["state"], "READY");
    here.tender("restart echo").ends(0);
    assert_ne!(here.pid("echo"), echo);
    assert_eq!(here.pid("pulse"), pulse);
    here.tender("stop nosuch").ends(28).says("nosuch");
    here.tender("start nosuch").ends(28).says("nosuch");
}

#[test]
fn reload_restarts_only_what_the_change_touches() {
    let here = Installation::new();
    here.tender("start").ends(0);
    let (echo, pulse) = (here.pid("echo"), here.pid("pulse"));
    here.tender("reload").ends(0);
    assert_eq!((here.pid("echo"), here.pid("pulse")), (echo, pulse), "nothing had changed");
    here.configure(&[("greeting", "servus")]);
    here.tender("reload --check").ends(0).says("echo").says("restarts");
    assert_eq!(here.pid("echo"), echo);
    here.tender("reload").ends(0);
    assert_eq!(here.greeting().unwrap(), format!("servus {}", here.pid("echo")));
    assert_ne!(here.pid("echo"), echo);
    assert_eq!(here.pid("pulse"), pulse);
    // A configuration that does not hold changes nothing.
    let echo = here.pid("echo");
    here.configure(&[("enabled", "[")]);
    assert_ne!(here.tender("reload").code, Some(0));
    assert_eq!(here.pid("echo"), echo);
}

#[test]
fn restart_with_reconfigure_takes_the_new_configuration() {
    let here = Installation::new();
    here.tender("start").ends(0);
    here.configure(&[("greeting", "moin")]);
    here.tender("restart echo").ends(0);
    assert!(here.greeting().unwrap().starts_with("hello "));
    here.tender("restart echo --reconfigure").ends(0);
    assert!(here.greeting().unwrap().starts_with("moin "));
}

#[test]
fn start_of_a_component_that_cannot_be_configured_says_why_and_what_it_printed() {
    let here = Installation::new();
    script(&here.path("product/components/pulse/bin/validate.sh"), "echo 'the moon is missing' >&2\nexit 8");
    let manifest = here.path("product/components/pulse/manifest.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("commands:\n", "commands:\n  validate: bin/validate.sh\n")).unwrap();
    let answer = here.tender("start");
    assert!([Some(4), Some(12)].contains(&answer.code), "{}", answer.text);
    answer.says("pulse").says("the moon is missing");
    here.tender("validate").says("the moon is missing");
}

#[test]
fn component_that_never_becomes_ready_makes_start_fail_with_its_last_words() {
    let here = Installation::new();
    script(
        &here.path("product/components/echo/bin/start.sh"),
        "echo 'no such table: customers' >&2\nexit 78",
    );
    let text = fs::read_to_string(here.path("instance/zowe.yaml")).unwrap();
    let fatal = "    tender:\n      restartPolicy:\n        fatalExitCodes: [78]\n";
    fs::write(here.path("instance/zowe.yaml"), format!("{text}{fatal}")).unwrap();
    here.tender("start").ends(12).says("echo").says("no such table: customers");
    assert_eq!(here.component("echo")["state"], "FAILED");
    here.tender("status").ends(4).says("no such table: customers");
    here.tender("start echo").ends(12).says("no such table: customers");
}

#[test]
fn console_takes_operator_lines_as_words_and_from_a_pipe() {
    let here = Installation::new();
    here.tender("start").ends(0);
    let echo = here.pid("echo");
    here.tender("console DISP").ends(0).says("ZWEL0010I").says("ZWEL0011I").says(&echo.to_string());
    here.tender("console 'STOP(echo)'").ends(0).says("ZWEL0013I");
    here.await_state("echo", "STOPPED");
    here.tender("console START(nosuch)").ends(28).says("ZWEL0054W");
    here.tender("console STARTX(echo)").ends(24).says("ZWEL0042E");
    let mut console = here.command("console").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    console.stdin.take().unwrap().write_all(b"start( echo )\nDISP\nquit\nDISP\n").unwrap();
    let output = console.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("ZWEL0010I").count(), 1, "what follows QUIT is not read: {text}");
    assert!(!text.contains("> "), "no prompt in a pipe: {text}");
    here.await_state("echo", "READY");
}

#[test]
fn logs_show_what_was_printed_and_follow_what_comes() {
    let here = Installation::new();
    here.tender("start").ends(0);
    here.tender("logs pulse").ends(0).says("pulse begins");
    here.tender("logs -n 1 echo").ends(0).says(&format!("echo listens at {}", here.port));
    let mut follow = here.command("logs --follow --lines 0 echo").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    here.tender("restart echo").ends(0);
    assert!(lines.next().unwrap().unwrap().contains("echo listens"));
    here.tender("stop").ends(0);
    assert!(follow.wait().unwrap().success(), "the end of the launcher ends the following");
    here.tender("logs pulse --json").ends(0).says("\"component\":\"pulse\"").says("\"code\": 0");
}

#[test]
fn every_command_about_an_instance_says_when_there_is_none() {
    let here = Installation::new();
    fs::create_dir_all(here.path("empty")).unwrap();
    for line in ["start", "stop", "status", "logs", "reload", "validate", "verify", "config get --path zowe"]
    {
        let answer = here.command(&format!("{line} --instance {}", here.at("empty"))).output().unwrap();
        assert_eq!(answer.status.code(), Some(28), "{line}: {answer:?}");
        assert!(String::from_utf8_lossy(&answer.stderr).contains("zowe.yaml"), "{line}: {answer:?}");
    }
}

#[test]
fn unknown_ha_instance_is_refused_with_those_there_are() {
    let here = Installation::new();
    let path = here.path("instance/zowe.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let instances = format!(
        "haInstances:\n  lpar1:\n    hostname: localhost\n  lpar2:\n    hostname: localhost\n    \
         components:\n      echo:\n        port: {}\n",
        here.port + 1
    );
    fs::write(&path, text + &instances).unwrap();
    here.tender("start --ha-instance lpar9").ends(28).says("lpar1").says("lpar2");
    here.tender("start --ha-instance lpar1").ends(0);
    here.tender("start --ha-instance LPAR2").ends(0);
    here.tender("status").ends(24).says("lpar1 lpar2");
    here.tender("status -i lpar2").ends(0).says(&(here.port + 1).to_string());
    let pid = here.json("status -i lpar1")["data"]["pid"].as_i64().unwrap();
    here.tender("stop -i lpar2").ends(0);
    assert!(is_alive(pid), "the other HA instance goes on");
    here.tender("stop -i lpar1").ends(0);
}

#[test]
fn reload_that_leaves_a_component_out_ends_with_a_warning_and_says_why() {
    let here = Installation::new();
    script(&here.path("product/components/echo/bin/validate.sh"), "echo no room; exit 7");
    here.tender("start").ends(4).says("no room");
    here.tender("reload").ends(4).says("echo was left out").says("no room");
    here.tender("reload --check").ends(4);
    script(&here.path("product/components/echo/bin/validate.sh"), "exit 0");
    here.tender("reload").ends(0);
    // One that runs stays as it was.
    script(&here.path("product/components/echo/bin/validate.sh"), "echo no room; exit 7");
    here.tender("reload").ends(4).says("runs on as it was");
    here.await_state("echo", "READY");
}

#[test]
fn logs_are_read_from_files_when_no_launcher_runs() {
    let here = Installation::new();
    here.tender("logs").ends(0).says("nothing was logged");
    here.tender("start").ends(0);
    here.tender("stop").ends(0);
    here.tender("logs").ends(0).says("echo listens at").says("pulse begins").says("no launcher runs");
    let answer = here.tender("logs pulse").ends(0).says("pulse begins");
    assert!(!answer.text.contains("echo listens"), "{}", answer.text);
    here.tender("logs nosuch").ends(28).says("pulse");
}

#[test]
fn start_in_a_directory_that_cannot_be_written_says_so() {
    let here = Installation::new();
    let instance = here.path("instance");
    let mount = |arguments: &[&str]| {
        let done = std::process::Command::new("mount").args(arguments).arg(&instance).status();
        done.is_ok_and(|status| status.success())
    };
    // Root may write everywhere but on a file system that is read-only.
    let is_mounted = mount(&["--bind", &here.at("instance")]);
    if is_mounted {
        assert!(mount(&["-o", "remount,bind,ro"]));
    } else {
        fs::set_permissions(&instance, std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    }
    let answers = [here.tender("start"), here.tender("validate"), here.tender("launcher run")];
    if is_mounted {
        assert!(std::process::Command::new("umount").arg(&instance).status().unwrap().success());
    } else {
        fs::set_permissions(&instance, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let [start, validate, run] = answers;
    start.ends(12).says(&here.at("instance")).says("ZWEL0110E");
    validate.ends(16).says("cannot be").says("would not start");
    let run = run.says(&here.at("instance"));
    assert!(run.code.is_some_and(|code| code >= 12), "{}", run.text);
}

#[test]
fn tables_fit_a_screen_of_eighty_columns() {
    let here = Installation::new();
    here.tender("start").ends(0);
    for line in ["status", "component list", "validate", "verify", "config explain components.echo.port"] {
        let mut command = here.command(line);
        let answer = crate::world::answer(line, &command.env_remove("COLUMNS").output().unwrap());
        let table = answer.text.lines().filter(|line| !line.starts_with("ZWEL") && !line.starts_with("   "));
        for wide in table.filter(|line| line.chars().count() > 80) {
            // The title of a table may hold a path.
            assert!(wide.contains(&here.at("")), "`{line}`: {wide}");
        }
    }
}
