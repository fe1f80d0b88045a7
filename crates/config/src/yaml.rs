//! The one reader of YAML: files to located trees.
//!
//! YAML 1.2 with its core types. JSON is YAML, so manifests in JSON come this way too. What a mapping says twice is an
//! error that names both places. Aliases are copied, within a limit on the size of the tree that results.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::node::{Entry, Mapping, Node, Number, Numeric, Value};
use crate::origin::{Layer, Origin};
use crate::problem::Problem;

/// A larger file is refused, in bytes.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

/// A tree with more nodes is refused: aliases could otherwise make a small file huge.
const NODES_MAX: usize = 500_000;
const NESTING_MAX: usize = 100;

/// What a text holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    /// The tree; nothing when the text cannot be read at all.
    pub root: Option<Node>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// Says why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refuses.
    #[error("read `{}`", path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("use `{}`: {reason}", path.display())]
    Content {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Reads a text file: UTF-8, with or without a byte order mark.
///
/// Errors: also when the file has more than [`FILE_BYTES_MAX`] bytes or is in another encoding, which is named.
pub fn read_text(path: &Path) -> Result<String, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    let refused = |reason: String| ReadError::Content { path: path.to_owned(), reason };
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refused(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    decode(bytes).map_err(refused)
}

/// Reads a YAML file.
pub fn load(path: &Path, layer: Layer) -> Result<Parsed, ReadError> {
    Ok(parse(&read_text(path)?, &Arc::from(path), layer))
}

/// Reads YAML text; `file` is what places in it are called.
#[must_use]
pub fn parse(text: &str, file: &Arc<Path>, layer: Layer) -> Parsed {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        file,
        layer,
        problems: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        open: Vec::new(),
        root: None,
        documents: 0,
    };
    let options = granit_parser::options! {
        flow_nesting_limit: NESTING_MAX,
        block_nesting_limit: NESTING_MAX,
        emit_comments: false,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let outcome = match event {
            Ok((event, span)) => builder.take(event, &span),
            Err(fault) => {
                let mark = fault.marker();
                let problem = Problem::error(syntax_message(text, mark.line(), &fault.info()))
                    .at(&builder.origin_of(mark.line(), mark.col()))
                    .id("ZWEL0072E");
                Err(Box::new(problem))
            }
        };
        if let Err(problem) = outcome {
            builder.problems.push(*problem);
            return Parsed { root: None, problems: builder.problems };
        }
    }
    let empty = Node::new(Value::Null, builder.origin_of(1, 0));
    Parsed { root: Some(builder.root.unwrap_or(empty)), problems: builder.problems }
}

fn decode(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`".to_owned());
    }
    if looks_like_ebcdic(&bytes) {
        return Err(
            "it is EBCDIC, probably IBM-1047; convert it with `iconv -f IBM-1047 -t UTF-8`".to_owned()
        );
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8; convert the file with iconv")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Says whether most bytes are letters, digits, blanks and ends of lines of IBM-1047, which hardly any are in UTF-8.
fn looks_like_ebcdic(bytes: &[u8]) -> bool {
    let is_ebcdic = |byte: &&u8| {
        matches!(byte, 0x15 | 0x25 | 0x40 | 0x81..=0x89 | 0x91..=0x99 | 0xa2..=0xa9 | 0xc1..=0xc9 | 0xd1..=0xd9
            | 0xe2..=0xe9 | 0xf0..=0xf9)
    };
    let sample = &bytes[..bytes.len().min(4096)];
    sample.len() >= 4
        && std::str::from_utf8(sample).is_err()
        && sample.iter().filter(is_ebcdic).count() * 10 > sample.len() * 6
}

fn syntax_message(text: &str, line: usize, info: &str) -> String {
    let has_tab = |number: usize| {
        text.lines().nth(number.wrapping_sub(1)).is_some_and(|line| {
            line.chars().take_while(|character| character.is_whitespace()).any(|character| character == '\t')
        })
    };
    if has_tab(line) || has_tab(line.saturating_sub(1)) {
        format!("this is no YAML: {info}; indent with blanks, not with tabs")
    } else {
        format!("this is no YAML: {info}")
    }
}

/// A collection whose end has not come yet.
enum Open {
    Sequence {
        elements: Vec<Node>,
        origin: Origin,
        anchor: usize,
    },
    Mapping {
        mapping: Mapping,
        origin: Origin,
        anchor: usize,
        key: Option<(String, Origin)>,
        seen: HashMap<String, usize>,
    },
}

/// Builds a tree from the events of the parser.
struct Builder<'a> {
    file: &'a Arc<Path>,
    layer: Layer,
    problems: Vec<Problem>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

type Outcome = Result<(), Box<Problem>>;

impl Builder<'_> {
    fn origin_of(&self, line: usize, column: usize) -> Origin {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Origin {
            file: Arc::clone(self.file),
            line: narrow(line.max(1)),
            column: narrow(column + 1),
            layer: self.layer,
        }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Outcome {
        let origin = self.origin_of(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Box::new(
                        Problem::error("a second document begins here; one is read").at(&origin),
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, &origin)?;
                let value = self.scalar(text, style, tag.as_deref(), &origin);
                self.place(Node::new(value, origin), anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.count(1, &origin)?;
                self.open.push(Open::Sequence { elements: Vec::new(), origin, anchor });
            }
            Event::MappingStart(_, anchor, _) => {
                self.count(1, &origin)?;
                self.open.push(Open::Mapping {
                    mapping: Mapping::default(),
                    origin,
                    anchor,
                    key: None,
                    seen: HashMap::new(),
                });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(Box::new(
                        Problem::error("this alias names the collection it stands in").at(&origin),
                    ));
                };
                self.count(size, &origin)?;
                self.place(node, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, more: usize, origin: &Origin) -> Outcome {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > NODES_MAX {
            let message = format!("the file holds more than {NODES_MAX} values here, with its aliases");
            return Err(Box::new(Problem::error(message).at(origin)));
        }
        Ok(())
    }

    fn close(&mut self) -> Outcome {
        match self.open.pop() {
            Some(Open::Sequence { elements, origin, anchor }) => {
                self.place(Node::new(Value::Sequence(elements), origin), anchor)
            }
            Some(Open::Mapping { mut mapping, origin, anchor, .. }) => {
                expand_merge_key(&mut mapping);
                self.place(Node::new(Value::Mapping(mapping), origin), anchor)
            }
            None => Ok(()),
        }
    }

    fn place(&mut self, node: Node, anchor: usize) -> Outcome {
        if anchor > 0 {
            let size = size_of(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence { elements, .. }) => elements.push(node),
            Some(Open::Mapping { mapping, key, seen, .. }) => match key.take() {
                None => {
                    let text = node.scalar().unwrap_or_else(|| {
                        // Placeholders such as `{{name}}` of sources that were never built look like this.
                        let problem =
                            Problem::warning("a collection stands in place of a key; its text is used");
                        self.problems.push(problem.at(&node.origin));
                        node.to_json().to_string()
                    });
                    *key = Some((text, node.origin));
                }
                Some((text, key_origin)) => {
                    if let Some(first) = seen.get(&text).and_then(|at| mapping.entries().get(*at)) {
                        let problem = Problem::error("this key stands here twice; keep one of them")
                            .at(&key_origin)
                            .on(&text)
                            .and_at(&first.key_origin);
                        self.problems.push(problem);
                    } else {
                        seen.insert(text.clone(), mapping.entries().len());
                        mapping.push_new(Entry { key: text, key_origin, node });
                    }
                }
            },
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        origin: &Origin,
    ) -> Value {
        match tag {
            Some(tag) if tag.core_suffix() == Some("str") || tag.suffix().is_empty() => {
                return Value::Text(text.into_owned());
            }
            Some(tag) if matches!(tag.core_suffix(), Some("int" | "float" | "bool" | "null")) => {
                return plain(&text);
            }
            Some(tag) => {
                self.problems
                    .push(Problem::warning(format!("the tag `{}` is not used", tag.original())).at(origin));
            }
            None => {}
        }
        if style == ScalarStyle::Plain { plain(&text) } else { Value::Text(text.into_owned()) }
    }
}

fn size_of(node: &Node) -> usize {
    1 + match &node.value {
        Value::Sequence(elements) => elements.iter().map(size_of).sum(),
        Value::Mapping(mapping) => mapping.entries().iter().map(|entry| size_of(&entry.node)).sum(),
        _ => 0,
    }
}

/// Takes in what `<<` names: keys that the mapping does not have itself.
fn expand_merge_key(mapping: &mut Mapping) {
    let is_merge = mapping.get("<<").is_some_and(|node| match &node.value {
        Value::Mapping(_) => true,
        Value::Sequence(elements) => elements.iter().all(|element| element.mapping().is_some()),
        _ => false,
    });
    if !is_merge {
        return;
    }
    let Some(merged) = mapping.remove("<<") else { return };
    let sources = match merged.node.value {
        Value::Sequence(elements) => elements,
        other => vec![Node::new(other, merged.node.origin)],
    };
    for source in sources {
        let Value::Mapping(source) = source.value else { continue };
        for entry in source {
            if mapping.get(&entry.key).is_none() {
                mapping.push_new(entry);
            }
        }
    }
}

/// Types a plain scalar by the core schema of YAML 1.2.
pub(crate) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match number(text) {
            Some(value) => Value::Number(Number { spelling: text.into(), value }),
            None => Value::Text(text.to_owned()),
        },
    }
}

/// Reads a decimal number. `0x10` and `0o17` stay texts, as in the reference: a port is not meant that way, and says so.
fn number(text: &str) -> Option<Numeric> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if is_all(unsigned, u8::is_ascii_digit) {
        return text.parse().ok().map(Numeric::Integer);
    }
    let has_digit = unsigned.bytes().any(|byte| byte.is_ascii_digit());
    let is_float =
        is_all(unsigned, |byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    let starts_well = unsigned.starts_with(|character: char| character.is_ascii_digit() || character == '.');
    if !(has_digit && is_float && starts_well) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Numeric::Float)
}

fn is_all(text: &str, holds: impl Fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.as_bytes().iter().all(holds)
}

#[cfg(test)]
mod tests;
