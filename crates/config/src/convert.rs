//! `instance.env` of version 1: understood without a shell, loaded as it is, or turned into a `zowe.yaml`.

mod assignments;
mod components;
mod tree;
pub(crate) mod write;

use std::path::{Path, PathBuf};

use crate::node::Node;
use crate::problem::{Problem, Report};
use crate::yaml;

/// What to convert.
#[derive(Debug, Clone)]
pub struct Convert {
    /// The instance directory, with its `instance.env`.
    pub directory: PathBuf,
    /// Passwords become references to files in this directory instead of clear text; the files are for the caller to
    /// write, see [`Converted::secrets`].
    pub secrets_directory: Option<PathBuf>,
}

/// A configuration that was converted.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The text of a `zowe.yaml`.
    pub yaml: String,
    /// Files to write, readable by their owner alone, for the references in it.
    pub secrets: Vec<(PathBuf, crate::secret::Secret)>,
    /// What is to be said about it.
    pub report: Report,
}

/// Says why an instance directory cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// Its `instance.env` cannot be understood.
    #[error("`{}` cannot be converted: {} problems", file.display(), report.problems.len())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        report: Box<Report>,
    },
}

/// Turns the `instance.env` of a directory into a `zowe.yaml`.
///
/// Errors: [`ConvertError::Unusable`], with every line that cannot be understood.
pub fn instance_env(convert: &Convert) -> Result<Converted, ConvertError> {
    let file = convert.directory.join("instance.env");
    let (root, problems) = read_instance_env(&file).map_err(|problems| ConvertError::Unusable {
        file: file.clone(),
        report: Box::new(Report::of(problems)),
    })?;
    let (yaml, secrets) = write::write(&root, &file, convert.secrets_directory.as_deref());
    Ok(Converted { yaml, secrets, report: Report::of(problems) })
}

/// Says whether a file is an `instance.env` by its name.
pub(crate) fn is_instance_env(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "env")
}

/// Reads an `instance.env`, and the certificates file it refers to, as a configuration.
pub(crate) fn read_instance_env(file: &Path) -> Result<(Node, Vec<Problem>), Vec<Problem>> {
    let mut problems = Vec::new();
    let text = yaml::read_text(file).map_err(|fault| vec![unreadable(file, &fault)])?;
    let mut known = assignments::parse(&text, file, &[], &mut problems);
    let keystore =
        known.iter().rev().find(|one| one.name == "KEYSTORE_DIRECTORY").map(|one| one.value.clone());
    if let Some(directory) = keystore.filter(|directory| !directory.is_empty()) {
        let certificates = Path::new(&directory).join("zowe-certificates.env");
        match yaml::read_text(&certificates) {
            Ok(text) => {
                let more = assignments::parse(&text, &certificates, &known, &mut problems);
                known.extend(more);
            }
            Err(_) if !certificates.exists() => {}
            Err(fault) => problems.push(unreadable(&certificates, &fault)),
        }
    }
    if problems.iter().any(|problem| problem.severity == crate::problem::Severity::Error) {
        return Err(problems);
    }
    let root = tree::build(&known, file, &mut problems);
    Ok((root, problems))
}

fn unreadable(file: &Path, fault: &yaml::ReadError) -> Problem {
    let cause = std::error::Error::source(fault).map(|cause| format!(": {cause}")).unwrap_or_default();
    Problem::error(format!("the file cannot be used: {fault}{cause}"))
        .at(&crate::origin::Origin::of_file(file))
        .id("ZWEL0109E")
}

#[cfg(test)]
mod tests;
