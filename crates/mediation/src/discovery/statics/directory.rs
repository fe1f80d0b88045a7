//! Directories of definitions.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tender_config::origin::{Layer, Origin};
use tender_config::yaml;
use tender_config::{Problem, Report};

use super::definition::{self, Located};
use super::instances::{self, Placed};
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
    /// What each file said that could be used.
    pub(crate) known: Known,
    /// The system let something not be read that is there: it may let it later.
    pub(crate) is_incomplete: bool,
}

/// What files said when they could be used last, by their paths.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(BTreeMap<PathBuf, Arc<Content>>);

/// What a file says.
#[derive(Debug, Default)]
struct Content {
    instances: Vec<Placed>,
    additional: Vec<(String, Additional)>,
    /// What is wrong with services of it, each with its place; the others can be used.
    problems: Vec<Problem>,
}

/// Why nothing of a file can be used.
enum Unusable {
    /// It has gone since it was listed.
    Gone,
    /// The system does not let it be read.
    Unreadable(Box<Problem>),
    /// It is not what it should be.
    Wrong(Vec<Problem>),
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
    read_again(directories, now_ms, &Known::default())
}

/// Reads as [`read`] does; what a file said before stays when the file is there and cannot be used, and so does a directory
/// that cannot be read.
#[must_use]
pub(crate) fn read_again(directories: &[PathBuf], now_ms: u64, known: &Known) -> Reading {
    let mut reader = Reader::default();
    for directory in directories {
        match files(directory) {
            Ok(files) => files.into_iter().for_each(|file| reader.file(file, now_ms, known)),
            Err(error) => {
                let message = format!("definitions in `{}` cannot be read: {error}", directory.display());
                reader.problems.push(Problem::error(message).id("ZWEAD703E"));
                if error.kind() != ErrorKind::NotFound {
                    reader.reading.is_incomplete = true;
                    let of_it = known.0.keys().filter(|file| file.parent() == Some(directory.as_path()));
                    of_it.for_each(|file| reader.keep(file, known));
                }
            }
        }
    }
    let Reader { mut reading, problems, .. } = reader;
    reading.report = Report::of(problems);
    reading
}

#[derive(Default)]
struct Reader {
    reading: Reading,
    problems: Vec<Problem>,
    places: BTreeMap<String, Located>,
}

impl Reader {
    fn file(&mut self, file: PathBuf, now_ms: u64, known: &Known) {
        match content(&file, now_ms) {
            Ok(content) => {
                self.problems.extend(content.problems.iter().cloned());
                self.take(file, Arc::new(content));
            }
            Err(Unusable::Gone) => {}
            Err(Unusable::Unreadable(problem)) => {
                self.problems.push(*problem);
                self.reading.is_incomplete = true;
                self.keep(&file, known);
            }
            Err(Unusable::Wrong(problems)) => {
                self.problems.extend(problems);
                self.keep(&file, known);
            }
        }
    }

    /// Leaves in use what a file said before.
    fn keep(&mut self, file: &Path, known: &Known) {
        let Some(content) = known.0.get(file) else { return };
        let count = content.instances.len();
        let message = format!("what `{}` said before stays in use: {count} instances", file.display());
        self.problems.push(Problem::warning(message).id(definition::WRONG));
        self.take(file.to_owned(), Arc::clone(content));
    }

    fn take(&mut self, file: PathBuf, content: Arc<Content>) {
        for (instance, place) in &content.instances {
            match self.places.get(&instance.id) {
                // Each HA instance may have a copy of one file.
                Some(_) if self.reading.instances.contains(instance) => {}
                Some(first) => self.problems.push(twice(&instance.id, &place.origin, first)),
                None => {
                    self.places.insert(instance.id.clone(), place.clone());
                    self.reading.instances.push(instance.clone());
                }
            }
        }
        self.reading.additional.extend(content.additional.iter().cloned());
        self.reading.known.0.insert(file, content);
    }
}

fn content(file: &Path, now_ms: u64) -> Result<Content, Unusable> {
    let text = yaml::read_text(file).map_err(|error| {
        if fs::symlink_metadata(file).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Unusable::Gone;
        }
        let problem = Problem::error(tender_http::chain(&error)).id("ZWEAD701E");
        match error {
            yaml::ReadError::Io { .. } => Unusable::Unreadable(Box::new(problem)),
            yaml::ReadError::Content { .. } => Unusable::Wrong(vec![problem]),
        }
    })?;
    let parsed = yaml::parse(&text, &Arc::from(file), Layer::File);
    let Some(root) = parsed.root.filter(|_| parsed.problems.is_empty()) else {
        let problems = parsed.problems.into_iter().map(|problem| problem.id(definition::WRONG));
        return Err(Unusable::Wrong(problems.collect()));
    };
    let (definition, wrong) = definition::read(&root);
    if !wrong.is_empty() {
        return Err(Unusable::Wrong(wrong));
    }
    let (instances, mut problems) = instances::of(&definition, now_ms);
    let (additional, wrong) = instances::additional(&definition);
    problems.extend(wrong);
    Ok(Content { instances, additional, problems })
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
        // A pipe would never end, a directory cannot be read. What nobody can say anything about is told when it is read.
        if is_named && path.metadata().map_or(true, |found| found.is_file()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What tells a state of directories from another: each file with its inode, size, and times of change of what is in it and
/// of what is said about it, such as who may read it.
pub(crate) type Stamps = Vec<(PathBuf, u64, u64, [i64; 4])>;

/// Looks at the files of directories without reading them.
pub(crate) fn stamps(directories: &[PathBuf]) -> Stamps {
    let mut stamps = Stamps::new();
    for file in directories.iter().flat_map(|directory| files(directory).unwrap_or_default()) {
        if let Ok(found) = file.metadata() {
            let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
            stamps.push((file, found.ino(), found.size(), times));
        }
    }
    stamps
}

#[cfg(test)]
mod tests;
