//! What components print.

use std::fs;

use tender_supervisor::console::{Reply, Request, State};

use crate::world::{Holding, SmallDisk, World, wait_until};

#[test]
fn last_words_before_a_crash_are_kept_also_without_an_end_of_line() {
    let mut world = World::new(Holding::SubReaper);
    let restart = &mut world.component("a", "seq 1 30000; printf 'last words' >&2; kill -SEGV $$").restart;
    restart.intervals_ms = Vec::new();
    world.start();
    world.wait_state("a", State::Failed);
    let lines = world.lines("a");
    assert_eq!(
        (lines.len(), lines[29_999].as_str(), lines[30_000].as_str()),
        (30_001, "30000", "last words")
    );
    let status = world.component_status("a");
    assert_eq!(status.last_exit.as_deref(), Some("signal SEGV"));
    assert_eq!(status.last_output.len(), 20);
    assert_eq!(status.last_output[19], "last words");
}

#[test]
fn process_outside_the_tree_that_holds_the_pipe_blocks_nothing() {
    let mut world = World::new(Holding::Cgroups);
    // It moves itself to the root of the cgroups: what happens to the component does not touch it.
    let text = "sh -c 'echo $$ > cgroup/cgroup.procs; echo $$ > holder; exec sleep 1000' & \
                while [ ! -s holder ]; do sleep 0.01; done; echo bye; exit 3";
    world.component("a", text).restart.intervals_ms = Vec::new();
    world.start();
    world.wait_state("a", State::Failed);
    assert_eq!(world.lines("a"), ["bye"]);
    let holder: i32 = fs::read_to_string(world.path("holder")).unwrap().trim().parse().unwrap();
    assert!(crate::world::is_alive(holder));
    crate::world::signal(holder, "KILL");
}

#[test]
fn binary_output_is_escaped_and_long_lines_are_cut() {
    let mut world = World::new(Holding::SubReaper);
    world.plan.log.line_bytes = 1000;
    let text = "printf 'a\\000b\\033[2J\\377\\n'; head -c 2500 /dev/zero | tr '\\0' x; echo; exec sleep 1000";
    world.component("a", text);
    world.start();
    wait_until("all is written", || world.lines("a").len() == 4);
    let lines = world.lines("a");
    assert_eq!(lines[0], "a\\x00b\\x1b[2J\\xff");
    assert_eq!(lines[1..].iter().map(String::len).collect::<Vec<_>>(), [1000, 1000, 500]);
}

#[test]
fn output_as_json_names_component_and_process() {
    let mut world = World::new(Holding::SubReaper);
    world.plan.log.is_json = true;
    world.component("a", "echo 'say \"hi\"'; exec sleep 1000");
    world.start();
    wait_until("it is written", || world.log("a").ends_with('\n'));
    let line: serde_json::Value = serde_json::from_str(world.log("a").trim()).unwrap();
    assert_eq!((line["component"].as_str(), line["text"].as_str()), (Some("a"), Some("say \"hi\"")));
    assert_eq!(line["pid"].as_i64(), Some(i64::from(world.pid("a"))));
    assert!(line["at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn logs_are_rotated_by_size() {
    let mut world = World::new(Holding::SubReaper);
    (world.plan.log.rotate_bytes, world.plan.log.keep) = (200_000, 2);
    world.component("a", "seq 1 100000; exec sleep 1000");
    world.start();
    wait_until("all is written", || world.log("a").contains("> 100000\n"));
    let names: Vec<String> = fs::read_dir(world.path("logs/ha1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let size = fs::metadata(world.path("logs/ha1/a.log.1")).unwrap().len();
    assert!((200_000..3_000_000).contains(&size), "{size}");
}

#[test]
fn full_disk_drops_output_tells_once_and_works_again() {
    let mut world = World::new(Holding::SubReaper);
    let logs = world.path("logs");
    let _disk = SmallDisk::mount(&logs);
    let flag = world.path("flag");
    let text = format!(
        "seq 1 100000; touch {0}.full; while [ ! -e {0} ]; do sleep 0.05; done; echo after; exec sleep 1000",
        flag.display()
    );
    world.component("a", &text);
    world.component("b", "exec sleep 1000");
    world.start();
    wait_until("all is printed", || world.path("flag.full").exists());
    world.wait_said("ZWEL0085W output of component a is dropped");
    world.wait_state("a", State::Ready);
    let status = world.component_status("a");
    assert_eq!(status.conditions.len(), 1, "{status:?}");
    assert_eq!(status.conditions[0].id, "ZWEL0085W");
    let told = status.reason.unwrap();
    assert!(told.contains("not written since 2") && told.contains("No space left"), "{told}");
    // What is lost and what was written is all that was printed.
    let lost: usize = told.split_once("; ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(lost + world.log("a").matches('\n').count(), 100_000, "{told}");
    let replies =
        world.ask_well(&Request::Logs { components: vec!["a".to_owned()], lines: 5, follow: false });
    assert!(replies.iter().any(|reply| matches!(reply, Reply::Line { text, .. } if text == "100000")));
    fs::remove_file(world.path("logs/ha1/a.log")).unwrap();
    fs::write(&flag, "").unwrap();
    world.wait_said("ZWEL0086I output of component a is written again");
    assert_eq!(world.component_status("a").conditions, []);
    assert_eq!(world.said().matches("ZWEL0085W").count(), 1);
    wait_until("it is written", || world.lines("a").contains(&"after".to_owned()));
    assert_eq!(world.shut_down(), 0);
}

#[test]
fn reload_with_other_limits_of_logs_rotates_by_them() {
    let mut world = World::new(Holding::SubReaper);
    let flag = world.path("flag");
    let text = format!(
        "seq 1 20000; while [ ! -e {} ]; do sleep 0.02; done; seq 1 20000; echo end; exec sleep 1000",
        flag.display()
    );
    world.component("a", &text);
    let mut next = world.plan.clone();
    (next.log.rotate_bytes, next.log.keep) = (100_000, 1);
    fs::write(world.path("next-plan"), serde_json::to_vec(&next).unwrap()).unwrap();
    world.start();
    wait_until("the first half is written", || world.log("a").contains("> 20000\n"));
    assert!(!world.path("logs/ha1/a.log.1").exists());
    world.ask_well(&Request::Reload { check: false, wait: true });
    fs::write(&flag, "").unwrap();
    wait_until("all is written", || world.log("a").contains("> end\n"));
    assert!(world.path("logs/ha1/a.log.1").exists() && !world.path("logs/ha1/a.log.2").exists());
}

#[test]
fn component_that_floods_keeps_nobody_from_being_heard() {
    let mut world = World::new(Holding::SubReaper);
    (world.plan.log.rotate_bytes, world.plan.log.keep) = (4 << 20, 1);
    world.component(
        "flood",
        "exec yes 0123456789012345678901234567890123456789012345678901234567890123456789",
    );
    world.component("quiet", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done");
    world.start();
    world.wait_ready();
    wait_until("the quiet one is heard", || world.lines("quiet").len() > 20);
    let pid = world.pid("quiet");
    crate::world::signal(pid, "KILL");
    wait_until("its end is noticed", || world.component_status("quiet").restarts == 1);
    assert_eq!(world.component_status("flood").restarts, 0);
    let replies =
        world.ask_well(&Request::Logs { components: vec!["flood".to_owned()], lines: 3, follow: false });
    assert_eq!(replies.len(), 4);
    assert_eq!(world.shut_down(), 0);
}

#[test]
fn logs_are_followed_and_notable_lines_are_handed_over() {
    let mut world = World::new(Holding::SubReaper);
    world.plan.notable = vec!["ZWEAM000I".to_owned()];
    let flag = world.path("flag");
    let text = format!(
        "echo one; echo two; while [ ! -e {} ]; do sleep 0.02; done; echo ZWEAM000I up; exec sleep 1000",
        flag.display()
    );
    world.component("a", &text);
    world.start();
    wait_until("it has begun", || world.lines("a").len() == 2);
    let mut client = world.connect();
    let request = Request::Logs { components: vec!["a".to_owned()], lines: 1, follow: true };
    let mut replies = client.request(&request).unwrap();
    let mut next = || match replies.next().unwrap().unwrap() {
        Reply::Line { component, text, at_ms } => (component, text, at_ms > 1_600_000_000_000),
        other => panic!("{other:?}"),
    };
    assert_eq!(next(), ("a".to_owned(), "two".to_owned(), true));
    fs::write(&flag, "").unwrap();
    assert_eq!(next(), ("a".to_owned(), "ZWEAM000I up".to_owned(), true));
    world.wait_said("notable a: ZWEAM000I up");
}

#[test]
fn hang_up_opens_log_files_anew() {
    let mut world = World::new(Holding::SubReaper);
    let flag = world.path("flag");
    let text = format!(
        "echo one; while [ ! -e {} ]; do sleep 0.02; done; echo two; exec sleep 1000",
        flag.display()
    );
    world.component("a", &text);
    fs::write(world.path("next-plan"), serde_json::to_vec(&world.plan).unwrap()).unwrap();
    world.start();
    wait_until("it has begun", || world.lines("a") == ["one"]);
    fs::rename(world.path("logs/ha1/a.log"), world.path("moved")).unwrap();
    crate::world::signal(world.supervisor_pid(), "HUP");
    world.wait_said("ZWEL0088I reload");
    fs::write(&flag, "").unwrap();
    wait_until("it goes on in a new file", || world.lines("a") == ["two"]);
}
