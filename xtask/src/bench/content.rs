//! `cargo xtask bench content`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::matching::Matching;
use super::ours::Ours;
use super::pairs::{self, PAIRS, Pair, Trees};
use super::peers::{Figures, Job, PEERS, Peer};
use super::report::{self, Measured};
use super::{REGISTRY_CLIENTS, limits, local, venv};
use crate::debian;
use crate::failure::Failure;
use crate::workspace::Workspace;

/// Measures servlinks against other delta tools, and drift scans and slot switches.
#[derive(Debug, Args)]
pub(crate) struct Content {
    /// Only this pair; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = PAIRS.iter().map(|pair| pair.name).collect::<Vec<_>>())]
    pair: Vec<String>,
    /// Another pair: two directories.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    dirs: Vec<PathBuf>,
    /// Only these peers, by a part of their name; `none` measures ours alone.
    #[arg(long, value_name = "NAME")]
    peers: Vec<String>,
    /// Take what was measured earlier for the same trees; ours is always measured anew.
    #[arg(long)]
    reuse_peers: bool,
    /// Leave out our own figures.
    #[arg(long)]
    without_ours: bool,
    /// Measure building within limits of memory instead.
    #[arg(long)]
    memory: bool,
    /// Measure drift scans and slot switches alone.
    #[arg(long, conflicts_with_all = ["memory", "without_ours", "peers"])]
    local: bool,
    /// Write the results into docs/benchmarks.md, each pair in its place.
    #[arg(long)]
    write: bool,
}

impl Content {
    /// Fetches, measures and reports.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        if self.memory {
            return self.run_limits(workspace);
        }
        if self.local {
            return self.run_local(workspace, &Ours::build(workspace)?);
        }
        let peers: Vec<_> = PEERS
            .iter()
            .filter(|peer| {
                self.peers.is_empty() || self.peers.iter().any(|name| peer.name.contains(name.as_str()))
            })
            .collect();
        debian::require(REGISTRY_CLIENTS)?;
        debian::require(&peers.iter().map(|peer| peer.needed).collect::<Vec<_>>())?;
        let ours = if self.without_ours { None } else { Some(Ours::build(workspace)?) };
        for trees in self.trees(workspace)? {
            let section = self.measure_pair(workspace, &trees, &peers, ours.as_ref())?;
            print!("\n{section}");
            if self.write && !trees.versions.is_empty() {
                report::write(workspace, &trees.name, &section)?;
            }
        }
        ours.map_or(Ok(()), |ours| self.run_local(workspace, &ours))
    }

    fn run_local(&self, workspace: &Workspace, ours: &Ours) -> Result<(), Failure> {
        // The page shows all pairs side by side, whichever were measured against peers this time.
        let trees = if self.write { fetched(workspace, |_| true)? } else { self.trees(workspace)? };
        let section = local::section(workspace, ours, &trees)?;
        print!("\n{section}");
        if self.write { report::write(workspace, "local", &section) } else { Ok(()) }
    }

    fn run_limits(&self, workspace: &Workspace) -> Result<(), Failure> {
        debian::require(REGISTRY_CLIENTS)?;
        let ours = Ours::build(workspace)?;
        let section = limits::section(workspace, &ours, &self.trees(workspace)?)?;
        print!("\n{section}");
        if self.write { report::write(workspace, "memory", &section) } else { Ok(()) }
    }

    /// Returns the pairs asked for; given directories alone, only those.
    fn trees(&self, workspace: &Workspace) -> Result<Vec<Trees>, Failure> {
        let mut trees = Vec::new();
        let has_choice = !self.pair.is_empty() || !self.dirs.is_empty();
        for pair in PAIRS.iter().filter(|pair| !has_choice || self.pair.iter().any(|name| name == pair.name))
        {
            trees.push(pair.fetch(&pairs::directory(workspace), &venv(workspace))?);
        }
        for dirs in self.dirs.chunks_exact(2) {
            let name = format!("{} to {}", dirs[0].display(), dirs[1].display());
            let path = |dir: &Path| dir.canonicalize().map_err(Failure::file("find", dir));
            trees.push(Trees { name, old: path(&dirs[0])?, new: path(&dirs[1])?, versions: String::new() });
        }
        Ok(trees)
    }

    fn measure_pair(
        &self,
        workspace: &Workspace,
        trees: &Trees,
        peers: &[&Peer],
        ours: Option<&Ours>,
    ) -> Result<String, Failure> {
        println!("\n{}", trees.name);
        let matching = Matching::of(&trees.old, &trees.new)?;
        let work = work_dir(workspace);
        let mut measured = Vec::new();
        for peer in peers {
            let cached =
                workspace.root().join("target/bench/peers").join(format!("{}.{}", trees.name, peer.name));
            let known = if self.reuse_peers { recall(&cached, trees) } else { None };
            let is_reused = known.is_some();
            let figures = if let Some(figures) = known {
                figures
            } else {
                let job = Job { old: &trees.old, new: &trees.new, matching: &matching, work: &work };
                let figures = measured_in(&work, || (peer.run)(&job))?;
                keep(&cached, trees, &figures)?;
                figures
            };
            println!("    {:<32} {:>12} bytes", peer.name, figures.bytes);
            measured.push(Measured { tool: peer.name, is_ours: false, is_reused, figures });
        }
        if let Some(ours) = ours {
            let job = Job { old: &trees.old, new: &trees.new, matching: &matching, work: &work };
            let figures = measured_in(&work, || ours.run(&job))?;
            measured.push(Measured { tool: "tender servlink", is_ours: true, is_reused: false, figures });
        }
        Ok(report::section(trees, &matching, &measured))
    }
}

/// Returns the trees of pairs, fetching those that are not there.
fn fetched(workspace: &Workspace, is_chosen: impl Fn(&Pair) -> bool) -> Result<Vec<Trees>, Failure> {
    let chosen = PAIRS.iter().filter(|pair| is_chosen(pair));
    chosen.map(|pair| pair.fetch(&pairs::directory(workspace), &venv(workspace))).collect()
}

/// Returns a directory of this process, so that two runs do not meet.
pub(super) fn work_dir(workspace: &Workspace) -> PathBuf {
    workspace.root().join(format!("target/bench/work-{}", std::process::id()))
}

/// Measures in an empty directory, and removes it afterwards.
pub(super) fn measured_in<T>(work: &Path, run: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    clear(work)?;
    fs::create_dir_all(work).map_err(Failure::file("make", work))?;
    let result = run()?;
    clear(work)?;
    Ok(result)
}

/// Removes a directory, read-only ones below it included.
fn clear(work: &Path) -> Result<(), Failure> {
    if work.exists() {
        crate::program::run(std::process::Command::new("chmod").args(["-R", "u+rwX"]).arg(work))?;
        fs::remove_dir_all(work).map_err(Failure::file("remove", work))?;
    }
    Ok(())
}

/// Returns what was measured for the same trees; never for directories whose contents are not known.
fn recall(path: &Path, trees: &Trees) -> Option<Figures> {
    let text = fs::read_to_string(path).ok()?;
    let (figures, versions) = text.split_once('\n')?;
    if versions.is_empty() || versions != trees.versions { None } else { Figures::from_line(figures) }
}

fn keep(path: &Path, trees: &Trees, figures: &Figures) -> Result<(), Failure> {
    if trees.versions.is_empty() {
        return Ok(());
    }
    let dir = path.parent().expect("it was joined to a directory");
    fs::create_dir_all(dir).map_err(Failure::file("make", dir))?;
    fs::write(path, format!("{}\n{}", figures.to_line(), trees.versions))
        .map_err(Failure::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Cost;

    #[test]
    fn recall_of_other_versions_finds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let trees = |versions: &str| Trees {
            name: "pair".to_owned(),
            old: PathBuf::new(),
            new: PathBuf::new(),
            versions: versions.to_owned(),
        };
        let cost = Cost { cpu_s: 1.5, wall_s: 2.0, peak_bytes: 3, private_bytes: 4 };
        let figures = Figures { bytes: 7, build: cost, apply: cost };
        let path = dir.path().join("peer");
        keep(&path, &trees("a 1\n"), &figures).unwrap();
        assert_eq!(recall(&path, &trees("a 1\n")), Some(figures));
        assert_eq!(recall(&path, &trees("a 2\n")), None);
        assert_eq!(recall(&path, &trees("")), None);
    }
}
