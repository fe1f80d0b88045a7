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
    let compiler = Compiler::of_this_machine()?;
    let (dir, profdata) = (workspace.target_dir().join("profiles"), compiler.profdata()?);
    let counts = dir.join("counts");
    println!("==== a program that counts what it does");
    let generate = format!("-Cprofile-generate={}", counts.display());
    let counting = programs(workspace, &compiler, &dir, &generate)?;
    // Of another program its numbers would be others.
    let profile = dir.join(format!("{:016x}.profdata", hash(&counting.tender)?));
    if !profile.exists() {
        train(workspace, &counting, &counts)?;
        merge(&profdata, &counts, &profile)?;
    }
    println!("==== the program");
    let target = workspace.target_dir();
    let shipped = programs(workspace, &compiler, &target, &format!("-Cprofile-use={}", profile.display()))?;
    let tender = target.join("dist/tender");
    fs::create_dir_all(target.join("dist")).map_err(Failure::file("make", &tender))?;
    fs::copy(&shipped.tender, &tender).map_err(Failure::file("write", &tender))?;
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

fn hash(program: &Path) -> Result<u64, Failure> {
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(program).map_err(Failure::file("read", program))?);
    Ok(hasher.finish())
}

fn train(workspace: &Workspace, programs: &Programs, counts: &Path) -> Result<(), Failure> {
    debian::require(load::gateway::NEEDED)?;
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
