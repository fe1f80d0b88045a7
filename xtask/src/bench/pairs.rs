//! Pairs of real releases, fetched from PyPI, npm and Debian at pinned versions and kept below `target/`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian;
use crate::failure::Failure;
use crate::program;
use crate::registry;
use crate::workspace::Workspace;

/// Where a part of a tree comes from.
#[derive(Debug, Clone, Copy)]
enum Piece {
    /// A wheel as pip installs it, below a directory of the tree or (`""`) at its top.
    Wheel { requirement: &'static str, below: &'static str },
    /// A package from npm as published.
    NpmPackage { package: &'static str, below: &'static str },
    /// A package from npm with the dependencies it had on a day.
    NpmTree { package: &'static str, before: &'static str },
    /// Debian packages, unpacked into one tree.
    Debian(&'static [(&'static str, &'static str)]),
}

/// An old and a new tree of one product.
#[derive(Debug)]
pub(crate) struct Pair {
    /// Its name; also its directory.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) content: &'static str,
    old: &'static [Piece],
    new: &'static [Piece],
}

/// The pairs of the benchmark, cheapest to measure first.
pub(crate) const PAIRS: &[Pair] = &[
    Pair {
        name: "native-bins",
        content: "uv 0.13.7 to 0.13.8, ruff 0.17.4 to 0.17.5, esbuild 0.28.1 to 0.28.2: patch releases of programs",
        old: &[
            Piece::Wheel { requirement: "uv==0.13.7", below: "uv" },
            Piece::Wheel { requirement: "ruff==0.17.4", below: "ruff" },
            Piece::NpmPackage { package: "@esbuild/linux-x64@0.28.1", below: "esbuild" },
        ],
        new: &[
            Piece::Wheel { requirement: "uv==0.13.8", below: "uv" },
            Piece::Wheel { requirement: "ruff==0.17.5", below: "ruff" },
            Piece::NpmPackage { package: "@esbuild/linux-x64@0.28.2", below: "esbuild" },
        ],
    },
    Pair {
        name: "wheel-scipy",
        content: "scipy 1.16.1 to 1.16.3: 110 native libraries, one with a hash in its name",
        old: &[Piece::Wheel { requirement: "scipy==1.16.1", below: "" }],
        new: &[Piece::Wheel { requirement: "scipy==1.16.3", below: "" }],
    },
    Pair {
        name: "npm-zowe",
        content: "@zowe/cli 8.29.5 to 8.31.2 with dependencies of the day: ten thousand small files",
        old: &[Piece::NpmTree { package: "@zowe/cli@8.29.5", before: "2026-02-10" }],
        new: &[Piece::NpmTree { package: "@zowe/cli@8.31.2", before: "2026-04-02" }],
    },
    Pair {
        name: "deb-stack",
        content: "sixteen Debian 12 server packages, main to security: a whole product taking service",
        old: &[Piece::Debian(&[
            ("apache2-bin", "2.4.68-1~deb12u1"),
            ("bind9", "1:9.18.49-1~deb12u1"),
            ("bind9-libs", "1:9.18.49-1~deb12u1"),
            ("libnode108", "18.20.4+dfsg-1~deb12u2"),
            ("libpython3.11-stdlib", "3.11.2-6+deb12u8"),
            ("libssl3", "3.0.20-1~deb12u2"),
            ("libtomcat10-java", "10.1.55-1~deb12u1"),
            ("mariadb-server-core", "1:10.11.18-0+deb12u1"),
            ("nginx", "1.22.1-9+deb12u9"),
            ("openjdk-17-jre-headless", "17.0.19+10-1~deb12u2"),
            ("openssl", "3.0.20-1~deb12u2"),
            ("perl-base", "5.36.0-7+deb12u3"),
            ("php8.2-cli", "8.2.32-1~deb12u1"),
            ("postgresql-15", "15.18-0+deb12u1"),
            ("python3.11-minimal", "3.11.2-6+deb12u8"),
            ("redis-tools", "5:7.0.15-1~deb12u7"),
        ])],
        new: &[Piece::Debian(&[
            ("apache2-bin", "2.4.71-1~deb12u1"),
            ("bind9", "1:9.18.49-1~deb12u3"),
            ("bind9-libs", "1:9.18.49-1~deb12u3"),
            ("libnode108", "18.20.4+dfsg-1~deb12u3"),
            ("libpython3.11-stdlib", "3.11.2-6+deb12u9"),
            ("libssl3", "3.0.22-1~deb12u2"),
            ("libtomcat10-java", "10.1.60-1~deb12u1"),
            ("mariadb-server-core", "1:10.11.19-0+deb12u1"),
            ("nginx", "1.22.1-9+deb12u10"),
            ("openjdk-17-jre-headless", "17.0.21+9-1~deb12u1"),
            ("openssl", "3.0.22-1~deb12u2"),
            ("perl-base", "5.36.0-7+deb12u4"),
            ("php8.2-cli", "8.2.35-1~deb12u1"),
            ("postgresql-15", "15.20-0+deb12u1"),
            ("python3.11-minimal", "3.11.2-6+deb12u9"),
            ("redis-tools", "5:7.0.15-1~deb12u10"),
        ])],
    },
];

/// The trees of a pair on this machine.
#[derive(Debug)]
pub(crate) struct Trees {
    /// The pair's name.
    pub(crate) name: String,
    /// What the receiver has.
    pub(crate) old: PathBuf,
    /// What the receiver is to get.
    pub(crate) new: PathBuf,
    /// Identifies the contents, for cached results of peers; empty when that is not known.
    pub(crate) versions: String,
}

/// Returns where pairs are kept.
pub(crate) fn directory(workspace: &Workspace) -> PathBuf {
    workspace.root().join("target/bench/pairs")
}

impl Pair {
    /// Fetches both trees unless they are there already.
    pub(crate) fn fetch(&self, pairs: &Path, venv: &Path) -> Result<Trees, Failure> {
        let dir = pairs.join(self.name);
        fs::create_dir_all(&dir).map_err(Failure::file("make", &dir))?;
        let mut versions = String::new();
        for (side, pieces) in [("old", self.old), ("new", self.new)] {
            versions.push_str(&fetch_side(&dir, side, pieces, venv)?);
        }
        Ok(Trees { name: self.name.to_owned(), old: dir.join("old"), new: dir.join("new"), versions })
    }
}

/// Fetches one tree and returns what it was made from. The note beside the tree is written last of all.
fn fetch_side(dir: &Path, side: &str, pieces: &[Piece], venv: &Path) -> Result<String, Failure> {
    let tree = dir.join(side);
    let note = dir.join(format!("{side}.versions"));
    let wanted = format!("{pieces:?}\n");
    if let Ok(found) = fs::read_to_string(&note)
        && found.starts_with(&wanted)
        && tree.is_dir()
    {
        return Ok(found);
    }
    println!("    fetching {}", tree.display());
    let part = dir.join(format!("{side}.part"));
    for leftover in [&part, &tree] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).map_err(Failure::file("remove", leftover))?;
        }
    }
    fs::create_dir_all(&part).map_err(Failure::file("make", &part))?;
    let mut found = wanted;
    for piece in pieces {
        found.push_str(&piece.fetch(&part, venv)?);
    }
    root_absolute_links(&part, &part)?;
    // The tools that take one file after the other carry no directories; for the others they would be a few bytes.
    program::run(Command::new("find").arg(&part).args([
        "-mindepth",
        "1",
        "-type",
        "d",
        "-empty",
        "-delete",
    ]))?;
    fs::rename(&part, &tree).map_err(Failure::file("rename", &part))?;
    let mut file = fs::File::create(&note).map_err(Failure::file("write", &note))?;
    file.write_all(found.as_bytes()).map_err(Failure::file("write", &note))?;
    Ok(found)
}

impl Piece {
    /// Unpacks the piece below `tree` and returns a line for each version that is not the one asked for.
    fn fetch(self, tree: &Path, venv: &Path) -> Result<String, Failure> {
        match self {
            Self::Wheel { requirement, below } => {
                registry::install_wheel(requirement, &tree.join(below), venv)?;
            }
            Self::NpmPackage { package, below } => registry::unpack_npm_package(package, &tree.join(below))?,
            Self::NpmTree { package, before } => registry::install_npm_tree(package, before, tree)?,
            Self::Debian(packages) => return fetch_debian(packages, tree),
        }
        Ok(String::new())
    }
}

fn fetch_debian(packages: &[(&str, &str)], tree: &Path) -> Result<String, Failure> {
    let archives = tree.with_extension("archives");
    fs::create_dir_all(&archives).map_err(Failure::file("make", &archives))?;
    let mut requests = Vec::new();
    let mut notes = String::new();
    for &(package, version) in packages {
        let offered = debian::offered(package)?;
        let taken = debian::nearest(version, &offered).ok_or_else(|| Failure::Unexpected {
            what: format!("{package} in the Debian archive"),
            found: "no version is offered by the configured sources".to_owned(),
        })?;
        if taken != version {
            notes.extend([package, " ", taken, " instead of ", version, ", which is no longer offered\n"]);
        }
        requests.push(format!("{package}={taken}"));
    }
    registry::ask("the Debian archive", || {
        let mut apt = Command::new("apt-get");
        apt.current_dir(&archives).args(["download", "-qq", "-o", "Acquire::Retries=3"]).args(&requests);
        apt
    })?;
    let mut unpack = Vec::new();
    for entry in fs::read_dir(&archives).map_err(Failure::file("read", &archives))? {
        unpack.push(entry.map_err(Failure::file("read", &archives))?.path());
    }
    unpack.sort();
    for archive in unpack {
        program::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(tree))?;
    }
    fs::remove_dir_all(&archives).map_err(Failure::file("remove", &archives))?;
    Ok(notes)
}

/// Makes links to `/x` lead to `x` of the tree, as they would in a root of its own.
fn root_absolute_links(root: &Path, dir: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(dir).map_err(Failure::file("read", dir))? {
        let path = entry.map_err(Failure::file("read", dir))?.path();
        let kind = path.symlink_metadata().map_err(Failure::file("read", &path))?.file_type();
        if kind.is_dir() {
            root_absolute_links(root, &path)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(Failure::file("read", &path))?;
            let Ok(below) = target.strip_prefix("/") else { continue };
            let depth = path.strip_prefix(root).map_or(1, |path| path.components().count()) - 1;
            let rooted = std::iter::repeat_n(Path::new(".."), depth).chain([below]).collect::<PathBuf>();
            fs::remove_file(&path).map_err(Failure::file("remove", &path))?;
            symlink(rooted, &path).map_err(Failure::file("write", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_link_below_a_tree_leads_to_the_same_file_of_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/x"), "x").unwrap();
        symlink("/etc/x", root.join("usr/lib/x")).unwrap();
        symlink("../lib", root.join("usr/own")).unwrap();
        root_absolute_links(root, root).unwrap();
        assert_eq!(fs::read_link(root.join("usr/lib/x")).unwrap(), Path::new("../../etc/x"));
        assert_eq!(fs::read_to_string(root.join("usr/lib/x")).unwrap(), "x");
        assert_eq!(fs::read_link(root.join("usr/own")).unwrap(), Path::new("../lib"));
    }
}
