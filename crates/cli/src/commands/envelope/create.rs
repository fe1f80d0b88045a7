//! `tender envelope create OUT --from OLD --to NEW` and `tender envelope join`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tender_content::{NoProgress, ObjectStore, import_dir};
use tender_package::{ComponentName, FixId, Message, Outcome, ReturnCode, Severity, Vrm};
use tender_service::envelope::{self, FixSource, Options, VendorKey};
use tender_service::shapes::{EnvelopeKind, Fix, Requisite};

use super::{Shell, inspect, refusal};
use crate::error::CommandError;

/// What both forms ask of an envelope.
#[derive(Debug, clap::Args)]
struct Label {
    /// Its name; that of the file when left out
    #[arg(long)]
    name: Option<String>,
    /// RSU for a recommended set, COR for named fixes
    #[arg(long, value_parser = kind)]
    kind: Option<EnvelopeKind>,
    /// Who makes it; must match the name under which receivers keep the key
    #[arg(long)]
    vendor: Option<String>,
    /// The release it is for; any when left out
    #[arg(long, value_name = "VRM")]
    release: Option<Vrm>,
    /// What to read first
    #[arg(long)]
    memo: Option<String>,
    /// The vendor's secret key, to sign with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

fn kind(word: &str) -> Result<EnvelopeKind, String> {
    match word.to_ascii_uppercase().as_str() {
        "RSU" => Ok(EnvelopeKind::Rsu),
        "COR" => Ok(EnvelopeKind::Cor),
        _ => Err("it is RSU or COR".to_owned()),
    }
}

/// Options of `tender envelope create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tender envelope create um20001.envelope --from old/ledger --to new/ledger --fix UM20001 --about 'rounds right'\n  \
    tender envelope create rsu0801.envelope --from old --to new --describe rsu0801.yaml --key vendor.key\n\n\
    OLD and NEW are two states of one component, or of a release with one directory for each component. A description \
    names the fixes: name, kind, vendor, release, memo, and for each fix its id, component, description, requisites, \
    supersedes, holds and memo.")]
pub(crate) struct Args {
    /// The envelope to make
    out: PathBuf,
    /// The tree before
    #[arg(long, value_name = "OLD")]
    from: PathBuf,
    /// The tree afterwards
    #[arg(long, value_name = "NEW")]
    to: PathBuf,
    /// NEW holds only new and changed parts, to be laid over OLD
    #[arg(long)]
    overlay: bool,
    /// A YAML or JSON file that describes the fixes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fix", "about", "prereq", "coreq", "supersedes"])]
    describe: Option<PathBuf>,
    /// Id of the fix; further components get the numbers that follow
    #[arg(long, value_name = "FIX", required_unless_present = "describe")]
    fix: Option<FixId>,
    /// What the fix is about
    #[arg(long, default_value = "", hide_default_value = true)]
    about: String,
    /// A fix that must be on before
    #[arg(long, value_name = "FIX")]
    prereq: Vec<FixId>,
    /// A fix that must go on together with this one
    #[arg(long, value_name = "FIX")]
    coreq: Vec<FixId>,
    /// An older fix that this one contains
    #[arg(long, value_name = "FIX")]
    supersedes: Vec<FixId>,
    #[command(flatten)]
    label: Label,
}

/// Options of `tender envelope join`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tender envelope join rsu0801.envelope um20001.envelope um20002.envelope --kind RSU"
)]
pub(crate) struct JoinArgs {
    /// The envelope to make
    out: PathBuf,
    /// The envelopes to join
    #[arg(required = true)]
    envelopes: Vec<PathBuf>,
    #[command(flatten)]
    label: Label,
}

/// A description of an envelope: everything but the parts.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: Option<String>,
    kind: Option<EnvelopeKind>,
    vendor: Option<String>,
    release: Option<Vrm>,
    memo: Option<String>,
    fixes: Vec<Fix>,
}

impl Args {
    /// Makes the envelope.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let description = match &self.describe {
            Some(path) => match read_description(path)? {
                Ok(description) => description,
                Err(outcome) => return Ok(outcome),
            },
            None => Description { fixes: self.fixes_of_flags()?, ..Description::default() },
        };
        let options = options(&self.out, &self.label, &description);
        let sources: Vec<FixSource> = description
            .fixes
            .into_iter()
            .map(|fix| {
                let component = fix.component.clone();
                FixSource {
                    fix,
                    from: component_dir(&self.from, &component),
                    to: component_dir(&self.to, &component)
                        .unwrap_or_else(|| self.to.join(component.as_str())),
                    is_overlay: self.overlay,
                }
            })
            .collect();
        if shell.is_check {
            let mut outcome = Outcome::default();
            for source in &sources {
                let text = format!(
                    "{} of {} would be made from {}",
                    source.fix.id,
                    source.fix.component,
                    source.to.display()
                );
                outcome.say(Message::csm(46, Severity::I, text));
            }
            return Ok(outcome);
        }
        with_key(
            &self.label,
            &options,
            |key| envelope::create(sources, &options, key, &self.out, &shell.bars),
            &self.out,
        )
    }

    /// Makes one fix for every component that differs.
    fn fixes_of_flags(&self) -> Result<Vec<Fix>, CommandError> {
        let Some(first) = &self.fix else { return Ok(Vec::new()) };
        let mut components = changed_components(&self.from, &self.to)?;
        if !self.overlay {
            components.retain(|component| !is_equal(&self.from, &self.to, component));
        }
        let requisites = |fixes: &[FixId], make: fn(FixId) -> Requisite| {
            fixes.iter().cloned().map(make).collect::<Vec<_>>()
        };
        let mut needed = requisites(&self.prereq, |fix| Requisite::Pre { fix });
        needed.extend(requisites(&self.coreq, |fix| Requisite::Co { fix }));
        Ok(components
            .into_iter()
            .enumerate()
            .filter_map(|(index, component)| {
                Some(Fix {
                    id: nth_fix(first, index)?,
                    component,
                    description: self.about.clone(),
                    problems: Vec::new(),
                    requisites: needed.clone(),
                    supersedes: self.supersedes.clone(),
                    holds: Vec::new(),
                    memo: None,
                    categories: Vec::new(),
                    parts: Vec::new(),
                })
            })
            .collect())
    }
}

impl JoinArgs {
    /// Makes one envelope of several.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        if shell.is_check {
            return Err(CommandError::NothingToCheck("envelope join"));
        }
        let options = options(&self.out, &self.label, &Description::default());
        with_key(
            &self.label,
            &options,
            |key| envelope::join(&self.envelopes, &options, key, &self.out, &shell.bars),
            &self.out,
        )
    }
}

fn with_key(
    label: &Label,
    options: &Options,
    make: impl FnOnce(Option<&VendorKey>) -> Result<tender_service::shapes::EnvelopeHeader, envelope::CreateError>,
    out: &Path,
) -> Result<Outcome, CommandError> {
    let key = match label.key.as_deref().map(VendorKey::load).transpose() {
        Ok(key) => key,
        Err(fault) => return Ok(refusal(41, &fault, ReturnCode::Outside, None)),
    };
    let header = match make(key.as_ref()) {
        Ok(header) => header,
        Err(fault) => return Ok(refusal(47, &fault, ReturnCode::Refused, None)),
    };
    let mut outcome = inspect::shown(&header, false);
    let size = fs::metadata(out).map(|metadata| metadata.len()).unwrap_or_default();
    let signed = if key.is_some() { "signed" } else { "not signed" };
    outcome.say(Message::csm(
        48,
        Severity::I,
        format!(
            "{} holds {} fixes in {size} bytes, {signed}: {}",
            options.name,
            header.fixes.len(),
            out.display()
        ),
    ));
    Ok(outcome)
}

fn options(out: &Path, label: &Label, description: &Description) -> Options {
    let stem = out.file_stem().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
    Options {
        name: label.name.clone().or_else(|| description.name.clone()).unwrap_or(stem),
        kind: label.kind.or(description.kind).unwrap_or(EnvelopeKind::Cor),
        vendor: label
            .vendor
            .clone()
            .or_else(|| description.vendor.clone())
            .unwrap_or_else(|| "local".to_owned()),
        vrm: label.release.clone().or_else(|| description.release.clone()),
        memo: label.memo.clone().or_else(|| description.memo.clone()),
        holds: Vec::new(),
    }
}

fn read_description(path: &Path) -> Result<Result<Description, Outcome>, CommandError> {
    let text = fs::read_to_string(path).map_err(|source| CommandError::File {
        doing: "read the description",
        path: path.to_owned(),
        source,
    })?;
    Ok(serde_saphyr::from_str(&text).map_err(|fault| {
        let mut outcome = refusal(49, &fault, ReturnCode::Syntax, None);
        for message in &mut outcome.messages {
            message.text = format!("{}: {}", path.display(), message.text);
        }
        outcome
    }))
}

/// Finds a component below a release, or the component itself; `None` when there is no such directory.
fn component_dir(root: &Path, component: &ComponentName) -> Option<PathBuf> {
    let below = root.join(component.as_str());
    if below.is_dir() { Some(below) } else { is_component(root).then(|| root.to_owned()) }
}

fn is_component(directory: &Path) -> bool {
    directory.join("manifest.yaml").is_file()
}

/// Lists the components of NEW: the one it is, or those below it that exist in either tree.
fn changed_components(from: &Path, to: &Path) -> Result<Vec<ComponentName>, CommandError> {
    if is_component(to) || is_component(from) {
        let name = to.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let named_by_directory = from.file_name() == to.file_name();
        let name =
            if named_by_directory { Some(name) } else { manifest_name(to).or_else(|| manifest_name(from)) };
        return Ok(name.and_then(|name| ComponentName::new(&name).ok()).into_iter().collect());
    }
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(to).map_err(|source| CommandError::File {
        doing: "list",
        path: to.to_owned(),
        source,
    })? {
        let entry =
            entry.map_err(|source| CommandError::File { doing: "list", path: to.to_owned(), source })?;
        if let Ok(name) = ComponentName::new(&entry.file_name().to_string_lossy()) {
            names.insert(name);
        }
    }
    Ok(names.into_iter().collect())
}

/// Tells whether a component is the same in both trees; what cannot be read is left to the envelope to complain of.
fn is_equal(from: &Path, to: &Path, component: &ComponentName) -> bool {
    let digest = |root: &Path| {
        let work = tempfile::tempdir().ok()?;
        let store = ObjectStore::open(work.path()).ok()?;
        let tree = import_dir(&store, &component_dir(root, component)?, &NoProgress).ok()?;
        Some(tree.digest())
    };
    digest(from).is_some_and(|before| digest(to) == Some(before))
}

fn manifest_name(component: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let text = fs::read_to_string(component.join("manifest.yaml")).ok()?;
    serde_saphyr::from_str::<Named>(&text).ok().map(|named| named.name)
}

/// Counts fix ids up: UM20001, UM20002, …; an id without a number at its end can stand for one fix only.
fn nth_fix(first: &FixId, index: usize) -> Option<FixId> {
    let text = first.as_str();
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (word, number) = text.split_at(text.len() - digits);
    if index == 0 {
        return Some(first.clone());
    }
    let next = number.parse::<u64>().ok()?.checked_add(index as u64)?;
    FixId::new(&format!("{word}{next:0digits$}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fix_ids_count_up_with_their_zeros() {
        let first = FixId::new("UM0099").unwrap();
        assert_eq!(nth_fix(&first, 0).unwrap().as_str(), "UM0099");
        assert_eq!(nth_fix(&first, 1).unwrap().as_str(), "UM0100");
        assert_eq!(nth_fix(&FixId::new("FIX").unwrap(), 1), None);
    }
}
