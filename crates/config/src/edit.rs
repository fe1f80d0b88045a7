//! Changes one scalar of a YAML file and leaves everything else as it is, comments included.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granit_parser::{Event, Parser};

use crate::convert::write;
use crate::key_path::{KeyPath, KeyPathError, Step};
use crate::node::{Node, Value};
use crate::origin::{Layer, Origin};
use crate::yaml::{self, ReadError};

/// A scalar to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text, quoted where YAML needs it.
    Text(String),
}

/// Says why a file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The text names no key.
    #[error(transparent)]
    Key(#[from] KeyPathError),
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is no YAML.
    #[error("change `{}`: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The place cannot be changed this way.
    #[error("change `{key}` in `{}`: {reason}", path.display())]
    Place {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Why.
        reason: &'static str,
    },
    /// The new file cannot be written; the old one is as it was.
    #[error("write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Sets a key of a file; mappings on the way are made when they are not there.
///
/// The file is replaced in one step and keeps its mode and owner; a link stays a link. When the key has the value
/// already, nothing is written.
///
/// Errors: [`EditError`]; the file is then as it was.
pub fn set(file: &Path, key: &str, value: &Scalar) -> Result<(), EditError> {
    set_all(file, &[(key.to_owned(), value.clone())])
}

/// Sets several keys of a file in one step: all of them or, with an error, none.
///
/// Errors: [`EditError`]; the file is then as it was.
pub fn set_all(file: &Path, changes: &[(String, Scalar)]) -> Result<(), EditError> {
    let text = yaml::read_text(file)?;
    let mut changed = text.clone();
    for (key, value) in changes {
        changed = set_text(&changed, file, key, value)?;
    }
    if changed == text {
        return Ok(());
    }
    replace(file, changed.as_bytes()).map_err(|source| EditError::Write { path: file.to_owned(), source })
}

/// Sets a key in a text; see [`set`].
///
/// Errors: [`EditError`].
pub fn set_text(text: &str, file: &Path, key: &str, value: &Scalar) -> Result<String, EditError> {
    let path: KeyPath = key.parse()?;
    let refused = |reason| EditError::Place { path: file.to_owned(), key: key.to_owned(), reason };
    let before = tree(text, file)?;
    let expected = value.node(&before.origin);
    if before.at(&path).is_some_and(|node| node.value == expected.value) {
        return Ok(text.to_owned());
    }
    if before.at(&path).is_some_and(|node| matches!(node.value, Value::Sequence(_) | Value::Mapping(_))) {
        return Err(refused("a mapping or sequence stands there; only scalars are changed"));
    }
    let keys: Vec<&str> = path
        .steps
        .iter()
        .map(|step| match step {
            Step::Key(key) => Ok(key.as_str()),
            Step::Index(_) => Err(refused("elements of sequences are not changed")),
        })
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(refused("the whole file is not changed"));
    }
    let outline = Outline::of(text);
    let changed = outline
        .apply(text, &keys, value)
        .ok_or_else(|| refused("it is written in a way that is not changed"))?;
    // The proof: the new text holds what the old one did, and the new value.
    let mut wanted = before;
    wanted.set(&keys, expected);
    let after = tree(&changed, file)?;
    if after.to_json() != wanted.to_json() {
        return Err(refused("the change would alter other values, as anchors or merge keys do"));
    }
    Ok(changed)
}

impl Scalar {
    fn node(&self, origin: &Origin) -> Node {
        let value = match self {
            Self::Null => Value::Null,
            Self::Bool(is_true) => Value::Bool(*is_true),
            Self::Integer(number) => Value::integer(*number),
            Self::Text(text) => Value::text(text.clone()),
        };
        Node::new(value, origin.clone())
    }

    fn written(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(is_true) => is_true.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => write::scalar(text),
        }
    }
}

fn tree(text: &str, file: &Path) -> Result<Node, EditError> {
    let parsed = yaml::parse(text, &Arc::from(file), Layer::File);
    let problem = parsed.problems.iter().find(|problem| problem.severity == crate::problem::Severity::Error);
    match (parsed.root, problem) {
        (Some(root), None) => Ok(root),
        (_, problem) => Err(EditError::Syntax {
            path: file.to_owned(),
            problem: problem.map(ToString::to_string).unwrap_or_default(),
        }),
    }
}

/// Where the mappings of a text begin and end, in bytes.
struct Outline {
    root: Option<Part>,
}

/// A value of the text.
struct Part {
    /// Bytes of a scalar, or of a collection from its first to its last character.
    start: usize,
    end: usize,
    kind: PartKind,
}

enum PartKind {
    Scalar { is_empty: bool },
    Other,
    Mapping { is_flow: bool, entries: Vec<PartEntry> },
}

struct PartEntry {
    key: String,
    key_start: usize,
    key_end: usize,
    value: Part,
}

impl Outline {
    fn of(text: &str) -> Self {
        let options = granit_parser::options! { emit_comments: false };
        let mut events =
            Parser::new_from_str_with_options(text, options).filter_map(Result::ok).map(|(event, span)| {
                let range = span.byte_range().unwrap_or(0..0);
                (event, range)
            });
        let mut root = None;
        while let Some((event, range)) = events.next() {
            if matches!(
                event,
                Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_)
            ) {
                root = part(event, range, &mut events);
                break;
            }
        }
        Self { root }
    }

    fn apply(&self, text: &str, keys: &[&str], value: &Scalar) -> Option<String> {
        let written = value.written();
        let Some(root) = &self.root else { return Some(joined(text, &block(keys, &written, 0))) };
        let mut part = root;
        let mut indent_of_parent = None;
        for (depth, key) in keys.iter().enumerate() {
            let PartKind::Mapping { entries, is_flow } = &part.kind else {
                return fill(text, part, indent_of_parent, &keys[depth..], &written);
            };
            match entries.iter().find(|entry| entry.key == *key) {
                Some(entry) => {
                    indent_of_parent = Some(Below {
                        key_end: entry.key_end,
                        column: column(text, entry.key_start),
                        is_flow: *is_flow,
                    });
                    part = &entry.value;
                }
                None if *is_flow => return add_to_flow(text, part, entries, &keys[depth..], &written),
                None => return add_to_block(text, part, entries, &keys[depth..], &written),
            }
        }
        match &part.kind {
            PartKind::Scalar { is_empty: true } => {
                let at = indent_of_parent?.key_end;
                let colon = at + text[at..].find(':')? + 1;
                Some(format!("{} {written}{}", &text[..colon], &text[colon..]))
            }
            PartKind::Scalar { .. } => {
                let is_block = text[part.start..].starts_with(['|', '>']);
                (!is_block).then(|| format!("{}{written}{}", &text[..part.start], &text[part.end..]))
            }
            _ => None,
        }
    }
}

/// What stands before a value.
struct Below {
    key_end: usize,
    column: usize,
    is_flow: bool,
}

/// Puts a mapping in place of an empty value.
fn fill(text: &str, part: &Part, below: Option<Below>, keys: &[&str], written: &str) -> Option<String> {
    let PartKind::Scalar { is_empty: true } = part.kind else { return None };
    let Some(below) = below else { return Some(joined(text, &block(keys, written, 0))) };
    let colon = below.key_end + text[below.key_end..].find(':')? + 1;
    if below.is_flow {
        return Some(format!("{} {}{}", &text[..colon], flow(keys, written), &text[colon..]));
    }
    let end = text[colon..].find('\n').map_or(text.len(), |at| colon + at + 1);
    let lines = block(keys, written, below.column + 2);
    let head =
        if text[..end].ends_with('\n') { text[..end].to_owned() } else { format!("{}\n", &text[..end]) };
    Some(format!("{head}{lines}{}", &text[end..]))
}

fn add_to_flow(
    text: &str,
    part: &Part,
    entries: &[PartEntry],
    keys: &[&str],
    written: &str,
) -> Option<String> {
    let close = part.start + text[part.start..part.end].rfind('}')?;
    let pair = format!("{}: {}", write::scalar(keys[0]), flow(&keys[1..], written));
    let head = text[..close].trim_end();
    let comma = if entries.is_empty() || head.ends_with(',') { "" } else { "," };
    Some(format!("{head}{comma} {pair} {}", &text[close..]))
}

fn add_to_block(
    text: &str,
    part: &Part,
    entries: &[PartEntry],
    keys: &[&str],
    written: &str,
) -> Option<String> {
    let first = entries.first()?;
    let indent = column(text, first.key_start);
    let last = end_of(part);
    let end = if last > 0 && text[..last].ends_with('\n') {
        last
    } else {
        text[last..].find('\n').map_or(text.len(), |at| last + at + 1)
    };
    let lines = block(keys, written, indent);
    let head =
        if text[..end].ends_with('\n') { text[..end].to_owned() } else { format!("{}\n", &text[..end]) };
    Some(format!("{head}{lines}{}", &text[end..]))
}

/// Returns where the last thing written in a value ends.
fn end_of(part: &Part) -> usize {
    match &part.kind {
        PartKind::Mapping { is_flow: false, entries } => {
            entries.last().map_or(part.end, |entry| match entry.value.kind {
                PartKind::Scalar { is_empty: true } => entry.key_end,
                _ => end_of(&entry.value),
            })
        }
        _ => part.end,
    }
}

fn block(keys: &[&str], written: &str, indent: usize) -> String {
    let mut lines = String::new();
    for (depth, key) in keys.iter().enumerate() {
        let value = if depth + 1 == keys.len() { format!(" {written}") } else { String::new() };
        lines.extend([" ".repeat(indent + depth * 2), write::scalar(key), format!(":{value}\n")]);
    }
    lines
}

fn flow(keys: &[&str], written: &str) -> String {
    match keys.split_first() {
        Some((key, rest)) => format!("{{ {}: {} }}", write::scalar(key), flow(rest, written)),
        None => written.to_owned(),
    }
}

fn joined(text: &str, lines: &str) -> String {
    if text.is_empty() || text.ends_with('\n') {
        format!("{text}{lines}")
    } else {
        format!("{text}\n{lines}")
    }
}

/// Counts characters between the start of a line and a place in it.
fn column(text: &str, at: usize) -> usize {
    text[..at].rsplit('\n').next().map_or(0, |line| line.chars().count())
}

type Range = std::ops::Range<usize>;

fn part<'a>(
    event: Event<'a>,
    range: Range,
    events: &mut dyn Iterator<Item = (Event<'a>, Range)>,
) -> Option<Part> {
    match event {
        Event::Scalar(..) => {
            let is_empty = range.is_empty();
            Some(Part { start: range.start, end: range.end, kind: PartKind::Scalar { is_empty } })
        }
        Event::SequenceStart(..) => {
            let mut end = range.end;
            loop {
                match events.next()? {
                    (Event::SequenceEnd, last) => {
                        return Some(Part {
                            start: range.start,
                            end: end.max(last.end),
                            kind: PartKind::Other,
                        });
                    }
                    (event, range) => end = end.max(part(event, range, events)?.end),
                }
            }
        }
        Event::MappingStart(style, ..) => {
            let is_flow = style == granit_parser::StructureStyle::Flow;
            let mut entries = Vec::new();
            let mut end = range.end;
            loop {
                let (event, key_range) = events.next()?;
                if matches!(event, Event::MappingEnd) {
                    let end = if is_flow { key_range.end } else { end };
                    return Some(Part {
                        start: range.start,
                        end,
                        kind: PartKind::Mapping { is_flow, entries },
                    });
                }
                let key = match &event {
                    Event::Scalar(text, ..) => text.clone().into_owned(),
                    _ => return None,
                };
                let (event, value_range) = events.next()?;
                let value = part(event, value_range, events)?;
                end = end.max(value.end);
                entries.push(PartEntry { key, key_start: key_range.start, key_end: key_range.end, value });
            }
        }
        _ => Some(Part { start: range.start, end: range.end, kind: PartKind::Other }),
    }
}

/// Replaces a file in one step; mode and owner stay.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let file = fs::canonicalize(file)?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    let metadata = fs::metadata(&file)?;
    let mut new = tempfile::Builder::new().prefix(".tender-edit-").tempfile_in(directory)?;
    new.write_all(bytes)?;
    new.as_file().set_permissions(fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    let own = new.as_file().metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        chown(new.path(), Some(metadata.uid()), Some(metadata.gid()))?;
    }
    new.as_file().sync_all()?;
    new.persist(&file).map_err(|fault| fault.error)?;
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, key: &str, value: &Scalar) -> String {
        set_text(text, Path::new("zowe.yaml"), key, value).unwrap()
    }

    const TEXT: &str = "# head\nzowe:\n  port: 7554   # the port\n  name: 'x'\n\ncomponents:\n  # gateway first\n  gateway:\n    enabled: true  # on\n\n    port: 1\n  # zss next\n  zss:\n  flow: { a: 1 }\nlast: end\n";

    #[test]
    fn edit_of_a_scalar_leaves_the_rest_alone() {
        let after = changed(TEXT, "components.gateway.enabled", &Scalar::Bool(false));
        assert_eq!(after, TEXT.replace("enabled: true  # on", "enabled: false  # on"));
        let after = changed(TEXT, "zowe.name", &Scalar::Text("a: b".to_owned()));
        assert_eq!(after, TEXT.replace("'x'", "\"a: b\""));
        let after = changed(TEXT, "last", &Scalar::Integer(5));
        assert_eq!(after, TEXT.replace("last: end", "last: 5"));
        assert_eq!(changed(TEXT, "zowe.port", &Scalar::Integer(7554)), TEXT);
    }

    #[test]
    fn edit_of_a_missing_key_adds_it_where_it_belongs() {
        let after = changed(TEXT, "components.zss.enabled", &Scalar::Bool(true));
        assert_eq!(after, TEXT.replace("  zss:\n", "  zss:\n    enabled: true\n"));
        let after = changed(TEXT, "components.new.enabled", &Scalar::Bool(true));
        assert_eq!(
            after,
            TEXT.replace("  flow: { a: 1 }\n", "  flow: { a: 1 }\n  new:\n    enabled: true\n")
        );
        let after = changed(TEXT, "components.flow.b.c", &Scalar::Integer(2));
        assert_eq!(after, TEXT.replace("{ a: 1 }", "{ a: 1, b: { c: 2 } }"));
        let after = changed(TEXT, "haInstances.lpar1.components.zss.enabled", &Scalar::Bool(true));
        assert!(after.starts_with(TEXT), "{after}");
        let after = changed(TEXT, "components.gateway.debug", &Scalar::Bool(true));
        assert_eq!(after, TEXT.replace("    port: 1\n", "    port: 1\n    debug: true\n"));
    }

    #[test]
    fn edit_of_unusual_texts_works_or_is_refused() {
        assert_eq!(changed("", "a.b", &Scalar::Bool(true)), "a:\n  b: true\n");
        assert_eq!(changed("# only\n", "a", &Scalar::Null), "# only\na: null\n");
        assert_eq!(changed("a:", "a.b", &Scalar::Bool(true)), "a:\n  b: true\n");
        assert_eq!(changed("a: 1", "b", &Scalar::Bool(true)), "a: 1\nb: true\n");
        assert_eq!(changed("a: # why\n", "a", &Scalar::Integer(1)), "a: 1 # why\n");
        assert_eq!(
            changed("a: |\n  text\n  more\n", "b", &Scalar::Integer(1)),
            "a: |\n  text\n  more\nb: 1\n"
        );
        assert_eq!(changed("{}", "a.b", &Scalar::Integer(1)), "{ a: { b: 1 } }");
        let refused = |text, key| set_text(text, Path::new("z"), key, &Scalar::Bool(true)).unwrap_err();
        assert!(matches!(refused("a: [1]\n", "a"), EditError::Place { .. }));
        assert!(matches!(refused("a: [1]\n", "a[0]"), EditError::Place { .. }));
        assert!(matches!(refused("a: &x\n  b: 1\nc: *x\n", "a.b"), EditError::Place { .. }));
        assert!(matches!(refused("a: [\n", "a"), EditError::Syntax { .. }));
        assert!(matches!(refused("a: 1\n", "a.b"), EditError::Place { .. }));
    }

    #[test]
    fn edit_of_a_file_keeps_its_mode_and_link() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real.yaml"), dir.path().join("zowe.yaml"));
        fs::write(&real, TEXT).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.yaml", &link).unwrap();
        set(&link, "zowe.port", &Scalar::Integer(1)).unwrap();
        assert!(fs::read_to_string(&real).unwrap().contains("port: 1   # the port"));
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
