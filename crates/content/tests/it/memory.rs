//! A limit of memory is kept: the builder runs in a process that the system gives no more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tender_content::servlink::{ApplyLimits, BuildError, BuildOptions, apply, build};
use tender_content::{NoProgress, Node, ObjectStore, Tree};

use crate::child;
use crate::setup::{Setup, gzip, program, text};

const CHILD: &str = "memory::child_builds_in_the_memory_it_is_given";
const LIMIT_MIB: u64 = 40;
/// What the test program has besides the builder: code, stacks of its threads, the harness.
const HARNESS_MIB: u64 = 12;

/// Two releases that take several times the limit when they are compared in one go.
fn releases(setup: &Setup) -> [Tree; 2] {
    [1, 2].map(|version| {
        let parts = [
            ("lib/core.so", program(version, 18_000_000)),
            ("lib/other.so", program(version + 9, 2_000_000)),
            ("share/manual.gz", gzip(&text(version, 70_000))),
            ("share/one", text(version, 20_000)),
            ("share/two", text(version + 3, 25_000)),
            ("share/three", text(version + 5, 25_000)),
            ("share/four", text(version + 7, 25_000)),
        ];
        setup.tree(&parts)
    })
}

#[test]
fn child_builds_in_the_memory_it_is_given() {
    let Some(directory) = child::directory() else { return };
    let memory_mib: u64 = std::env::var("MEMORY_MIB").unwrap().parse().unwrap();
    let tree = |name: &str| Tree::decode(&std::fs::read_to_string(directory.join(name)).unwrap()).unwrap();
    let store = ObjectStore::open(&directory.join("store")).unwrap();
    let (from, to) = (tree("from"), tree("to"));
    let maximum = getrlimit(Resource::Data).maximum;
    let limit = Rlimit { current: Some((LIMIT_MIB + HARNESS_MIB) << 20), maximum };
    setrlimit(Resource::Data, limit).unwrap();
    let options = BuildOptions { memory_bytes_max: memory_mib << 20, threads: 2 };
    build(&from, &to, &store, &directory.join("servlink"), &options, &NoProgress).unwrap();
}

#[test]
fn build_keeps_the_memory_it_is_given() {
    let setup = Setup::new();
    let [from, to] = releases(&setup);
    for (name, tree) in [("from", &from), ("to", &to)] {
        std::fs::write(setup.at(name), tree.encode()).unwrap();
    }
    let build =
        |memory_mib: u64| child::run(CHILD, setup.dir.path(), &[("MEMORY_MIB", memory_mib.to_string())]);
    let built = build(LIMIT_MIB);
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{}: {said}", built.status);
    let path = setup.at("servlink");
    assert_eq!(apply(&path, &from, &setup.store, &ApplyLimits::default(), &NoProgress).unwrap(), to);
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes < to.total_bytes() / 10, "{bytes}");
    assert_eq!(std::fs::read_dir(setup.dir.path()).unwrap().count(), 4, "a temporary file was left");
    // The same work with more memory allowed does not fit: the limit of the system bites.
    assert!(!build(640).status.success());
}

#[test]
fn build_in_too_little_memory_names_the_least_that_suffices() {
    let setup = Setup::new();
    let from = setup.tree(&[("a", text(1, 100))]);
    let to = setup.tree(&[("a", text(2, 100))]);
    let build_in = |memory_bytes_max| {
        let options = BuildOptions { memory_bytes_max, threads: 2 };
        build(&from, &to, &setup.store, &setup.at("servlink"), &options, &NoProgress)
    };
    let error = build_in(16 << 20).unwrap_err();
    let BuildError::TooLittleMemory { smallest_bytes, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains(&format!("{} MiB", smallest_bytes >> 20)), "{error}");
    assert!(!setup.at("servlink").exists());
    build_in(smallest_bytes).unwrap();
    assert!(matches!(build_in(smallest_bytes - (2 << 20)), Err(BuildError::TooLittleMemory { .. })));
    assert!(to.iter().all(|(_, node)| matches!(node, Node::File { .. })));
}
