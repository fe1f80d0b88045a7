use super::*;

fn spec(text: &str) -> ScriptSpec {
    ScriptSpec {
        command: ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
        directory: PathBuf::from("/tmp"),
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        limit_ms: 20_000,
        output_bytes_max: 64 << 10,
        takes_third: false,
    }
}

fn is_alive(pid: &str) -> bool {
    Stat::of(pid.trim().parse().unwrap()).is_some_and(|stat| !stat.is_zombie)
}

#[test]
fn script_returns_both_streams_in_order_and_its_code() {
    let result = run(&spec("echo one; echo two >&2; printf three; exit 4")).unwrap();
    assert_eq!(result.output, ["one", "two", "three"]);
    assert_eq!(result.end, ScriptEnd::Code(4));
    assert_eq!(result.left_behind, 0);
}

#[test]
fn script_has_its_own_environment_directory_and_no_other_descriptor() {
    let listed = run(&spec("pwd; env | sort; ls /proc/self/fd; umask")).unwrap().output;
    assert_eq!(listed[0], "/tmp");
    let names: Vec<_> = listed.iter().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert_eq!(names, ["PATH", "PWD", "TENDER_SCRIPT"]);
    // 3 is the directory that `ls` itself reads.
    assert_eq!(listed[4..], ["0", "1", "2", "3", "0027"]);
}

#[test]
fn script_that_writes_on_the_third_descriptor_hands_it_over() {
    let wanted = ScriptSpec { takes_third: true, ..spec("printf 'A=1\\0B=x\\ny\\0' >&3; echo seen") };
    let result = run(&wanted).unwrap();
    assert_eq!(result.third, b"A=1\0B=x\ny\0");
    assert_eq!(result.output, ["seen"]);
}

#[test]
fn script_over_its_time_is_killed_with_all_it_started() {
    let text = "setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & echo $$; wait";
    let result = run(&ScriptSpec { limit_ms: 500, ..spec(text) }).unwrap();
    assert_eq!(result.end, ScriptEnd::TimeOver);
    assert!(result.left_behind >= 1, "{result:?}");
    assert_eq!(result.output.len(), 2);
    for pid in result.output {
        assert!(!is_alive(&pid), "{pid}");
    }
}

#[test]
fn script_that_leaves_a_process_behind_ends_without_waiting_for_it() {
    let result = run(&spec("sleep 1000 & echo $!")).unwrap();
    assert_eq!((result.end, result.left_behind), (ScriptEnd::Code(0), 1));
    assert!(!is_alive(&result.output[0]));
    assert!(result.took_ms < 15_000);
}

#[test]
fn script_that_does_not_exist_says_so() {
    let missing = ScriptSpec { command: vec!["/no/such".to_owned()], ..spec("") };
    let ScriptEnd::NotExecuted(why) = run(&missing).unwrap().end else { panic!("it ran") };
    assert!(why.contains("/no/such") && why.contains("No such file"), "{why}");
    let nowhere = ScriptSpec { directory: PathBuf::from("/no/where"), ..spec("true") };
    let ScriptEnd::NotExecuted(why) = run(&nowhere).unwrap().end else { panic!("it ran") };
    assert!(why.contains("/no/where"), "{why}");
    let unknown = ScriptSpec { command: vec!["no-such-program".to_owned()], ..spec("") };
    assert!(matches!(run(&unknown).unwrap().end, ScriptEnd::NotExecuted(_)));
}

#[test]
fn script_that_writes_much_keeps_the_first_and_the_last_lines() {
    let result = run(&spec("seq 1 200000")).unwrap();
    assert!(result.is_cut);
    assert_eq!((result.output[0].as_str(), result.output.last().unwrap().as_str()), ("1", "200000"));
    assert!(result.output.iter().map(String::len).sum::<usize>() < 64 << 10);
}

#[test]
fn scripts_on_many_threads_get_their_own_results() {
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..16)
            .map(|number| scope.spawn(move || run(&spec(&format!("echo {number}; exit {number}"))).unwrap()))
            .collect();
        for (number, handle) in (0..).zip(handles) {
            let result = handle.join().unwrap();
            assert_eq!((result.end, result.output), (ScriptEnd::Code(number), vec![number.to_string()]));
        }
    });
}
