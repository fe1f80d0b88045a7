//! Servlinks between two levels of something, made and applied.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Programs;
use crate::failure::Failure;
use crate::load::work_dir;
use crate::program;
use crate::workspace::Workspace;

/// Bytes of a program that a level has.
const PROGRAM_BYTES: usize = 8 << 20;
/// In the later level something is put in after so many bytes each.
const PIECE_BYTES: usize = 48 << 10;

/// Makes a servlink between two levels of a program and its sources, and applies it.
pub(super) fn train(workspace: &Workspace, programs: &Programs) -> Result<(), Failure> {
    let work = work_dir(workspace, "train-servlink")?;
    let at = |name: &str| work.join(name);
    levels(workspace, programs, &at("old"), &at("new"))?;
    let call = |verb: &str, paths: &[PathBuf]| {
        let mut command = Command::new(&programs.content);
        program::run(command.arg(verb).args(paths).stdout(Stdio::null()))
    };
    for (store, dir, tree) in [("sender", "old", "from"), ("sender", "new", "to"), ("receiver", "old", "had")]
    {
        call("import", &[at(store), at(dir), at(tree)])?;
    }
    call("build", &[at("sender"), at("from"), at("to"), at("servlink")])?;
    call("apply", &[at("receiver"), at("had"), at("servlink"), at("got")])?;
    call("materialise", &[at("receiver"), at("got"), at("made")])?;
    call("scan", &[at("made"), at("got")])
}

/// Makes two levels: a piece of a program and all sources of a crate.
fn levels(workspace: &Workspace, programs: &Programs, old: &Path, new: &Path) -> Result<(), Failure> {
    let program = fs::read(&programs.content).map_err(Failure::file("read", &programs.content))?;
    keep(old, new, Path::new("bin/program"), &program[..program.len().min(PROGRAM_BYTES)])?;
    let sources = workspace.root().join("crates/content/src");
    let entries = fs::read_dir(&sources).map_err(Failure::file("read", &sources))?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
        let name = Path::new("src").join(path.file_name().unwrap_or_default());
        keep(old, new, &name, &fs::read(&path).map_err(Failure::file("read", &path))?)?;
    }
    Ok(())
}

/// Keeps a file in one level as it is and in the other with something put in.
fn keep(old: &Path, new: &Path, name: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let later: Vec<u8> = bytes.chunks(PIECE_BYTES).flat_map(|piece| [piece, b"later"].concat()).collect();
    for (level, bytes) in [(old, bytes), (new, &later)] {
        let path = level.join(name);
        let dir = path.parent().unwrap_or(level);
        fs::create_dir_all(dir).map_err(Failure::file("make", dir))?;
        fs::write(&path, bytes).map_err(Failure::file("write", &path))?;
    }
    Ok(())
}
