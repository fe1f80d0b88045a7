//! `cargo xtask dist`: the program as it is shipped.
//!
//! ```text
//!   sources ──► a program that counts ──► it does what it does most ──► profile
//!      │                                                                   │
//!      └────────────────────────────► linked as one ◄──────────────────────┘
//! ```
//!
//! A request through the gateway runs through the code of twenty crates, more than the processor's caches hold. With a profile the
//! compiler puts together what is used together.

mod gateway;
mod servlink;
mod spine;

use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compiler::Compiler;
use crate::debian;
use crate::failure::Failure;
use crate::load;
use crate::program;
use crate::workspace::Workspace;

/// Has a program do something often.
type Training = fn(&Workspace, &Programs) -> Result<(), Failure>;

/// What programs do while they count. What is in none of these the compiler takes for seldom used.
const TRAININGS: &[(&str, Training)] = &[
    ("requests through the gateway", gateway::train),
    ("servlinks, made and applied", servlink::train),
    ("from vendor fix to running components", spine::train),
];

/// Programs of one build.
#[derive(Debug)]
struct Programs {
    tender: PathBuf,
    /// Makes and applies servlinks; of the workspace's examples.
    content: PathBuf,
}

/// Builds the program as it is shipped and returns it; what is there already stays.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    // Whatever is missing is said now and not after the first build.
    debian::require(load::gateway::NEEDED)?;
    let compiler = Compiler::of_this_machine()?;
    let (dir, profdata) = (workspace.target_dir().join("profiles"), compiler.profdata()?);
    let counts = dir.join("counts");
    println!("==== a program that counts what it does");
    let generate = format!("-Cprofile-generate={}", counts.display());
    let counting = programs(workspace, &compiler, &dir, &generate)?;
    // Of another program, or another training, the counts would be others.
    let profile = dir.join(format!("{:016x}.profdata", hash(workspace, &counting)?));
    if !profile.exists() {
        train(workspace, &counting, &counts)?;
        merge(&profdata, &counts, &profile)?;
    }
    println!("==== the program");
    let target = workspace.target_dir();
    let shipped = programs(workspace, &compiler, &target, &format!("-Cprofile-use={}", profile.display()))?;
    let tender = target.join("dist/tender");
    fs::create_dir_all(target.join("dist")).map_err(Failure::file("make", &tender))?;
    // What is there may run, or be the same file as one of cargo's.
    let part = tender.with_extension("part");
    fs::copy(&shipped.tender, &part).map_err(Failure::file("write", &part))?;
    fs::rename(&part, &tender).map_err(Failure::file("write", &tender))?;
    println!("{}", tender.display());
    Ok(tender)
}

/// Builds with a flag of the compiler, below a directory.
///
/// Both builds have the same profile and the same packages: of either cargo makes the names of functions, by which the compiler
/// finds their counts.
fn programs(
    workspace: &Workspace,
    compiler: &Compiler,
    target: &Path,
    flag: &str,
) -> Result<Programs, Failure> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace.root()).env("RUSTFLAGS", flag);
    // With a target named, build scripts and macros are left without the flag.
    cargo.args(["build", "--profile", "dist", "--target", &compiler.host, "--target-dir"]).arg(target);
    cargo.args(["--package", "tender-cli", "--bin", "tender", "--package", "xtask", "--example", "content"]);
    program::run(&mut cargo)?;
    let built = target.join(&compiler.host).join("dist");
    Ok(Programs { tender: built.join("tender"), content: built.join("examples/content") })
}

/// Tells programs and what they are trained in from others.
fn hash(workspace: &Workspace, programs: &Programs) -> Result<u64, Failure> {
    let source = workspace.root().join("xtask/src");
    let trainings = fs::read_dir(source.join("dist")).map_err(Failure::file("read", &source))?;
    let mut files: Vec<_> = trainings.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.extend([source.join("dist.rs"), source.join("load/gateway.rs")]);
    files.extend([programs.tender.clone(), programs.content.clone()]);
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(&fs::read(&file).map_err(Failure::file("read", &file))?);
    }
    Ok(hasher.finish())
}

fn train(workspace: &Workspace, programs: &Programs, counts: &Path) -> Result<(), Failure> {
    if counts.exists() {
        fs::remove_dir_all(counts).map_err(Failure::file("remove", counts))?;
    }
    for (what, training) in TRAININGS {
        println!("==== {what}");
        training(workspace, programs)?;
    }
    Ok(())
}

/// Merges what programs counted.
fn merge(profdata: &Path, counts: &Path, profile: &Path) -> Result<(), Failure> {
    // Whole or not at all.
    let part = profile.with_extension("part");
    let mut merge = Command::new(profdata);
    merge.args(["merge", "--output"]).arg(&part).arg(counts);
    program::run(&mut merge)?;
    fs::rename(&part, profile).map_err(Failure::file("write", profile))
}
