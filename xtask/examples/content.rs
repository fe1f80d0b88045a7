//! The content crate as a program, one verb a process, so that `cargo xtask bench` measures it like any other tool.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "xtask reads what it prints")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tender_content::servlink::{self, ApplyLimits, BuildOptions};
use tender_content::{NoProgress, ObjectStore, ScanMode, Tree, import_dir, materialise, scan, slot};

type Done = Result<(), Box<dyn Error>>;

/// Slot switches for one measurement.
const SWITCHES: usize = 101;
/// Looks at a tree for one measurement; the best is reported, since other programs disturb the rest.
const LOOKS: usize = 25;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(verb), paths) =
        (arguments.first(), arguments.iter().skip(1).map(PathBuf::from).collect::<Vec<_>>())
    else {
        return usage();
    };
    let done = match (verb.as_str(), paths.as_slice()) {
        ("import", [store, dir, tree]) => import(store, dir, tree),
        ("build", [store, from, to, out]) => build(store, from, to, out, &BuildOptions::default()),
        ("build", [store, from, to, out, memory_mib]) => build_in(store, from, to, out, memory_mib),
        ("apply", [store, from, servlink, tree]) => apply(store, from, servlink, tree),
        ("materialise", [store, tree, dest]) => make(store, tree, dest),
        ("scan", [dir, tree]) => compare(dir, tree),
        ("stat", [dir, tree]) => look(dir, tree),
        ("switch", [link, one, other]) => switch(link, [one, other]),
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("because {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!(
        "usage: content import STORE DIR TREE | build STORE FROM TO OUT [MEMORY_MIB] | apply STORE FROM SERVLINK TREE
               materialise STORE TREE DEST | scan DIR TREE | stat DIR TREE | switch LINK ONE OTHER"
    );
    ExitCode::FAILURE
}

fn read_tree(path: &Path) -> Result<Tree, Box<dyn Error>> {
    Ok(Tree::decode(&fs::read_to_string(path)?)?)
}

fn import(store: &Path, dir: &Path, tree: &Path) -> Done {
    let store = ObjectStore::open(store)?;
    let imported = import_dir(&store, dir, &NoProgress)?;
    store.sync()?;
    Ok(fs::write(tree, imported.encode())?)
}

fn build(store: &Path, from: &Path, to: &Path, out: &Path, options: &BuildOptions) -> Done {
    let store = ObjectStore::open(store)?;
    servlink::build(&read_tree(from)?, &read_tree(to)?, &store, out, options, &NoProgress)?;
    Ok(())
}

fn build_in(store: &Path, from: &Path, to: &Path, out: &Path, memory_mib: &Path) -> Done {
    let memory_mib: u64 = memory_mib.to_string_lossy().parse()?;
    build(
        store,
        from,
        to,
        out,
        &BuildOptions { memory_bytes_max: memory_mib << 20, ..BuildOptions::default() },
    )
}

fn apply(store: &Path, from: &Path, path: &Path, tree: &Path) -> Done {
    let store = ObjectStore::open(store)?;
    let applied = servlink::apply(path, &read_tree(from)?, &store, &ApplyLimits::default(), &NoProgress)?;
    Ok(fs::write(tree, applied.encode())?)
}

fn make(store: &Path, tree: &Path, dest: &Path) -> Done {
    materialise(&ObjectStore::open(store)?, &read_tree(tree)?, dest)?;
    Ok(())
}

fn compare(dir: &Path, tree: &Path) -> Done {
    nothing_differs(dir, &read_tree(tree)?, ScanMode::Full)
}

/// Prints the milliseconds that looking at every file takes.
fn look(dir: &Path, tree: &Path) -> Done {
    let tree = read_tree(tree)?;
    let mut best = Duration::MAX;
    for _ in 0..LOOKS {
        let begun = Instant::now();
        nothing_differs(dir, &tree, ScanMode::StatOnly)?;
        best = best.min(begun.elapsed());
    }
    println!("{}", best.as_secs_f64() * 1e3);
    Ok(())
}

fn nothing_differs(dir: &Path, tree: &Tree, mode: ScanMode) -> Done {
    let differences = scan(dir, tree, None, mode, &NoProgress)?;
    if differences.is_empty() { Ok(()) } else { Err(format!("{} parts differ", differences.len()).into()) }
}

/// Prints the median and the longest time of a slot switch in milliseconds.
fn switch(link: &Path, targets: [&Path; 2]) -> Done {
    let mut times = Vec::new();
    for target in targets.into_iter().cycle().take(SWITCHES) {
        let begun = Instant::now();
        slot::switch(link, target)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("{} {}", times[SWITCHES / 2], times[SWITCHES - 1]);
    Ok(())
}
