//! The tools we are measured against, one file each, each used as well as its manual allows.

mod bsdiff;
mod casync;
mod ostree;
mod rsync;
mod whole;
mod xdelta3;
mod zstd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::matching::{Matching, is_equal};
use crate::bench::measure::{Cost, measure};
use crate::debian::Needed;
use crate::failure::Failure;
use crate::program;

/// One pair to be measured.
#[derive(Debug)]
pub(crate) struct Job<'p> {
    /// What the receiver has.
    pub(crate) old: &'p Path,
    /// What it is to get.
    pub(crate) new: &'p Path,
    /// What differs, file by file.
    pub(crate) matching: &'p Matching,
    /// An empty directory to work in.
    pub(crate) work: &'p Path,
}

/// What a tool needs for one pair.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    /// Bytes that the receiver must get.
    pub(crate) bytes: u64,
    /// The sender's cost.
    pub(crate) build: Cost,
    /// The receiver's cost.
    pub(crate) apply: Cost,
}

impl Figures {
    /// Writes the figures on one line.
    pub(crate) fn to_line(self) -> String {
        format!("{};{};{}", self.bytes, self.build.to_line(), self.apply.to_line())
    }

    /// Reads what [`Figures::to_line`] wrote.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut fields = line.split(';');
        let bytes = fields.next()?.parse().ok()?;
        Some(Self { bytes, build: Cost::from_line(fields.next()?)?, apply: Cost::from_line(fields.next()?)? })
    }
}

/// A tool.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its name in tables.
    pub(crate) name: &'static str,
    /// Where it comes from.
    pub(crate) needed: Needed,
    /// Measures it and checks that the receiver ends with the new tree.
    pub(crate) run: fn(&Job<'_>) -> Result<Figures, Failure>,
}

/// All of them. `whole` is no delta: it is what must never be exceeded.
pub(crate) const PEERS: &[Peer] = &[
    whole::PEER,
    rsync::ZLIB,
    rsync::ZSTD,
    casync::PEER,
    xdelta3::PEER,
    zstd::FILE,
    zstd::TAR,
    bsdiff::PEER,
    ostree::PEER,
];

/// Commands that make and apply the patch of one file: old, new or result, patch.
struct Differ {
    make: fn(&Path, &Path, &Path) -> Result<Command, Failure>,
    apply: fn(&Path, &Path, &Path) -> Result<Command, Failure>,
}

/// Sends each changed file as a patch, new files as one archive, and a list of digests.
fn file_by_file(job: &Job<'_>, differ: &Differ) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let (patch, result) = (job.work.join("patch"), job.work.join("result"));
    for (from, to) in &job.matching.changed {
        let (old, new) = (job.old.join(from), job.new.join(to));
        for leftover in [&patch, &result] {
            if leftover.exists() {
                fs::remove_file(leftover).map_err(Failure::file("remove", leftover))?;
            }
        }
        figures.build += measure(&mut (differ.make)(&old, &new, &patch)?)?;
        figures.apply += measure(&mut (differ.apply)(&old, &result, &patch)?)?;
        figures.bytes += size(&patch)?;
        if !is_equal(&new, &result)? {
            return Err(Failure::Unexpected {
                what: format!("patching gives {}", new.display()),
                found: "other bytes".to_owned(),
            });
        }
    }
    let list = job.work.join("added");
    let added: Vec<_> = job.matching.added.iter().map(|path| path.to_string_lossy()).collect();
    fs::write(&list, added.join("\n")).map_err(Failure::file("write", &list))?;
    let archive = tar(job.new, &job.work.join("added.tar"), &["--files-from", &list.to_string_lossy()])?;
    add_compressed(&mut figures, &archive)?;
    let digests = digests(job)?;
    add_compressed(&mut figures, &digests)?;
    Ok(figures)
}

fn add_compressed(figures: &mut Figures, path: &Path) -> Result<(), Failure> {
    let packed = path.with_extension("zst");
    figures.build +=
        measure(Command::new("zstd").args(["-q", "-f", "-19", "-T1", "-o"]).arg(&packed).arg(path))?;
    figures.apply += measure(Command::new("zstd").args(["-q", "-f", "-d", "-o"]).arg(path).arg(&packed))?;
    figures.bytes += size(&packed)?;
    Ok(())
}

/// Lists what is sent with digests, as a receiver of patches needs it.
fn digests(job: &Job<'_>) -> Result<PathBuf, Failure> {
    const ARGUMENTS_MAX: usize = 500;
    let mut text = Vec::new();
    let sent: Vec<_> = job.matching.changed.iter().map(|(_, to)| to).chain(&job.matching.added).collect();
    for paths in sent.chunks(ARGUMENTS_MAX) {
        let output = program::output(Command::new("sha256sum").current_dir(job.new).arg("--").args(paths))?;
        text.extend_from_slice(&output.stdout);
    }
    let path = job.work.join("digests");
    fs::write(&path, text).map_err(Failure::file("write", &path))?;
    Ok(path)
}

/// Makes an archive that depends on nothing but names and contents.
fn tar(dir: &Path, archive: &Path, more: &[&str]) -> Result<PathBuf, Failure> {
    let mut command = Command::new("tar");
    command.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-C"]).arg(dir);
    command.arg("-cf").arg(archive).args(more);
    if more.is_empty() {
        command.arg(".");
    }
    program::run(&mut command)?;
    Ok(archive.to_owned())
}

fn size(path: &Path) -> Result<u64, Failure> {
    Ok(fs::metadata(path).map_err(Failure::file("read", path))?.len())
}

/// Compares two trees with `diff`, which knows nothing of us.
pub(crate) fn verify(expected: &Path, found: &Path) -> Result<(), Failure> {
    let mut command = Command::new("diff");
    command.args(["--recursive", "--no-dereference", "--brief"]).arg(expected).arg(found);
    let output = program::output(&mut command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Err(Failure::Unexpected {
        what: format!("{} is {}", found.display(), expected.display()),
        found: said.lines().take(3).collect::<Vec<_>>().join("; "),
    })
}
