//! Directories of definitions.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tender_config::origin::{Layer, Origin};
use tender_config::yaml;
use tender_config::{Problem, Report};

use super::definition::{self, Located};
use super::instances;
use super::metadata::Additional;
use crate::discovery::Instance;

/// The ending of files that are read; another spelling of it is not, as ever.
const ENDING: &str = ".yml";

/// What all directories say.
#[derive(Debug, Default)]
pub struct Reading {
    /// Instances in order of files and services.
    pub instances: Vec<Instance>,
    /// Metadata for services that announce themselves, by their ids in lower case.
    pub additional: BTreeMap<String, Additional>,
    /// What is wrong, each with its place.
    pub report: Report,
}

/// Splits a list of directories at `;`.
#[must_use]
pub fn directories(list: &str) -> Vec<PathBuf> {
    let parts = list.split(';').map(str::trim).filter(|part| !part.is_empty());
    let mut directories: Vec<PathBuf> = Vec::new();
    for part in parts.map(PathBuf::from) {
        if !directories.contains(&part) {
            directories.push(part);
        }
    }
    directories
}

/// Reads every definition of the directories.
///
/// Nothing is an error of the whole: what cannot be read or is wrong is a problem of the report.
#[must_use]
pub fn read(directories: &[PathBuf], now_ms: u64) -> Reading {
    let mut reading = Reading::default();
    let mut problems = Vec::new();
    let mut places: BTreeMap<String, Located> = BTreeMap::new();
    for directory in directories {
        match files(directory) {
            Ok(files) => {
                for file in files {
                    read_file(&file, now_ms, &mut reading, &mut places, &mut problems);
                }
            }
            Err(error) => {
                let message = format!("definitions in `{}` cannot be read: {error}", directory.display());
                problems.push(Problem::error(message).id("ZWEAD703E"));
            }
        }
    }
    reading.report = Report::of(problems);
    reading
}

fn read_file(
    file: &Path,
    now_ms: u64,
    reading: &mut Reading,
    places: &mut BTreeMap<String, Located>,
    problems: &mut Vec<Problem>,
) {
    let text = match yaml::read_text(file) {
        Ok(text) => text,
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            problems.push(Problem::error(format!("{error}{cause}")).id("ZWEAD701E"));
            return;
        }
    };
    let parsed = yaml::parse(&text, &Arc::from(file), Layer::File);
    let Some(root) = parsed.root.filter(|_| parsed.problems.is_empty()) else {
        problems.extend(parsed.problems.into_iter().map(|problem| problem.id(definition::WRONG)));
        return;
    };
    let (definition, wrong) = definition::read(&root);
    if !wrong.is_empty() {
        problems.extend(wrong);
        return;
    }
    let (found, wrong) = instances::of(&definition, now_ms);
    problems.extend(wrong);
    for (instance, place) in found {
        match places.get(&instance.id) {
            // Each HA instance may have a copy of one file.
            Some(_) if reading.instances.contains(&instance) => {}
            Some(first) => problems.push(twice(&instance.id, &place.origin, first)),
            None => {
                places.insert(instance.id.clone(), place);
                reading.instances.push(instance);
            }
        }
    }
    let (additional, wrong) = instances::additional(&definition);
    problems.extend(wrong);
    reading.additional.extend(additional);
}

fn twice(id: &str, origin: &Origin, first: &Located) -> Problem {
    let message = format!("instance `{id}` is defined twice, differently; the first counts");
    Problem::error(message).at(origin).and_at(&first.origin).id(definition::WRONG)
}

fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_named =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(ENDING));
        // A pipe would never end, a directory cannot be read.
        if is_named && path.metadata().is_ok_and(|found| found.is_file()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What tells a state of directories from another: each file with its inode, size and time of change.
pub(crate) type Stamps = Vec<(PathBuf, u64, u64, i64, i64)>;

/// Looks at the files of directories without reading them.
pub(crate) fn stamps(directories: &[PathBuf]) -> Stamps {
    let mut stamps = Stamps::new();
    for file in directories.iter().flat_map(|directory| files(directory).unwrap_or_default()) {
        if let Ok(found) = file.metadata() {
            stamps.push((file, found.ino(), found.size(), found.mtime(), found.mtime_nsec()));
        }
    }
    stamps
}

#[cfg(test)]
mod tests;
