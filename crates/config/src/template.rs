//! Variables in templates of static API definitions, and placeholders of probes: expanded without a shell.
//!
//! Understood are `$NAME`, `${NAME}`, `${NAME:-text}` and its kin with `-`, `+`, `=` and `?`, with or without `:`, and
//! `${#NAME}`; the text may hold further ones. `\$`, `` \` `` and `\\` stand for the second character, as in a
//! here-document. Commands are not run: `$(…)` and backquotes stay as they are, with a notice.

use std::collections::BTreeMap;

use crate::environment::{EnvText, Environment};

const DEPTH_MAX: usize = 32;

/// A text with its variables expanded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// The text.
    pub text: String,
    /// What is worth knowing about it.
    pub notices: Vec<Notice>,
}

/// Something worth knowing about an expanded text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The line of the template, counted from 1.
    pub line: u32,
    /// What.
    pub message: String,
}

/// Says why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${` has no end, or something that is not understood in it.
    #[error("line {line}: `{text}` is not understood: {reason}")]
    Syntax {
        /// The line, counted from 1.
        line: u32,
        /// Where it begins.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A variable that must be there, by `${NAME:?message}`, is not.
    #[error("line {line}: {name}: {message}")]
    Required {
        /// The line, counted from 1.
        line: u32,
        /// The variable.
        name: String,
        /// What the template says about it.
        message: String,
    },
    /// A variable is a secret, and the text is not.
    #[error("line {line}: variable {name} is a secret, which does not belong into this file")]
    Secret {
        /// The line, counted from 1.
        line: u32,
        /// The variable.
        name: String,
    },
}

/// What a variable is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    Text(String),
    Secret,
    Unset,
}

/// Expands the variables of a text from an environment.
///
/// Errors: [`TemplateError`], with the line.
pub fn expand(text: &str, environment: &Environment) -> Result<Expanded, TemplateError> {
    expand_with(text, &|name| match environment.get(name).map(|value| &value.text) {
        Some(EnvText::Plain(text)) => Variable::Text(text.clone()),
        Some(EnvText::Secret(_)) => Variable::Secret,
        None => Variable::Unset,
    })
}

/// Expands the variables of a text from what a function knows.
pub(crate) fn expand_with(text: &str, lookup: &dyn Fn(&str) -> Variable) -> Result<Expanded, TemplateError> {
    let mut reader = Reader { lookup, line: 1, assigned: BTreeMap::new(), notices: Vec::new() };
    let text = reader.text(text, 0)?;
    Ok(Expanded { text, notices: reader.notices })
}

/// Replaces `${name}` in a text by what a function says; names hold anything but braces.
///
/// Errors: those of the function; `${` without an end stays as it is.
pub fn placeholders<E>(text: &str, mut value: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start + 2..].find('}') else { break };
        expanded.push_str(&rest[..start]);
        expanded.push_str(&value(&rest[start + 2..start + 2 + length])?);
        rest = &rest[start + 3 + length..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A reference to a variable.
pub(crate) struct Reference<'a> {
    name: &'a str,
    operator: Operator,
    /// Whether an empty value counts as none.
    counts_empty: bool,
    word: &'a str,
    /// Bytes of the reference, with its `$`.
    pub(crate) length: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    None,
    Length,
    Default,
    Alternative,
    Assign,
    Require,
}

/// Reads the reference at the start of a text that begins with `$`; nothing when the `$` stands for itself.
pub(crate) fn reference(text: &str) -> Result<Option<Reference<'_>>, &'static str> {
    let after = text.strip_prefix('$').unwrap_or(text);
    let plain = |name| Reference {
        name,
        operator: Operator::None,
        counts_empty: false,
        word: "",
        length: 1 + str::len(name),
    };
    let Some(inner) = after.strip_prefix('{') else {
        let name = leading_name(after);
        return Ok((!name.is_empty()).then(|| plain(name)));
    };
    let end = closing_brace(inner).ok_or("its `}` is missing")?;
    let (inner, length) = (&inner[..end], end + 3);
    if let Some(name) = inner.strip_prefix('#') {
        if name.is_empty() || leading_name(name) != name {
            return Err("`#` needs a name");
        }
        return Ok(Some(Reference {
            name,
            operator: Operator::Length,
            counts_empty: false,
            word: "",
            length,
        }));
    }
    let name = leading_name(inner);
    if name.is_empty() {
        return Err("a name is needed");
    }
    let rest = &inner[name.len()..];
    let (counts_empty, rest) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
    let operator = match rest.chars().next() {
        None if !counts_empty => Operator::None,
        Some('-') => Operator::Default,
        Some('+') => Operator::Alternative,
        Some('=') => Operator::Assign,
        Some('?') => Operator::Require,
        _ => return Err("after the name, `:-`, `:+`, `:=` or `:?` are understood"),
    };
    Ok(Some(Reference { name, operator, counts_empty, word: rest.get(1..).unwrap_or(""), length }))
}

fn leading_name(text: &str) -> &str {
    let is_name =
        |at: usize, byte: u8| byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit());
    let end =
        text.bytes().enumerate().find(|(at, byte)| !is_name(*at, *byte)).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// Returns where the `}` is that ends a reference whose inside begins here.
fn closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                depth += 1;
                at += 1;
            }
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Variable,
    line: u32,
    /// What `:=` gave.
    assigned: BTreeMap<String, String>,
    notices: Vec<Notice>,
}

impl Reader<'_> {
    fn text(&mut self, text: &str, depth: usize) -> Result<String, TemplateError> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['$', '\\', '`', '\n']) {
            expanded.push_str(&rest[..at]);
            rest = &rest[at..];
            let used = match rest.as_bytes()[0] {
                b'\n' => {
                    self.line += u32::from(depth == 0);
                    expanded.push('\n');
                    1
                }
                b'\\' => match rest[1..].chars().next() {
                    Some(escaped @ ('$' | '`' | '\\')) => {
                        expanded.push(escaped);
                        2
                    }
                    // Inside of braces, a brace can be escaped too.
                    Some(escaped @ ('{' | '}')) if depth > 0 => {
                        expanded.push(escaped);
                        2
                    }
                    _ => {
                        expanded.push('\\');
                        1
                    }
                },
                b'`' => {
                    self.notice("commands in backquotes are not run");
                    expanded.push('`');
                    1
                }
                _ if rest.starts_with("$(") => {
                    self.notice("commands in `$(…)` are not run");
                    expanded.push('$');
                    1
                }
                _ => self.dollar(rest, &mut expanded, depth)?,
            };
            rest = &rest[used..];
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn dollar(&mut self, rest: &str, expanded: &mut String, depth: usize) -> Result<usize, TemplateError> {
        let syntax = |line, reason| TemplateError::Syntax {
            line,
            text: rest.chars().take(40).take_while(|c| *c != '\n').collect(),
            reason,
        };
        if depth > DEPTH_MAX {
            return Err(syntax(self.line, "it is nested too deeply"));
        }
        let Some(reference) = reference(rest).map_err(|reason| syntax(self.line, reason))? else {
            expanded.push('$');
            return Ok(1);
        };
        let begun = self.line;
        expanded.push_str(&self.value(&reference, depth)?);
        if depth == 0 {
            let breaks = rest[..reference.length].matches('\n').count();
            self.line = begun + u32::try_from(breaks).unwrap_or(0);
        }
        Ok(reference.length)
    }

    fn value(&mut self, reference: &Reference<'_>, depth: usize) -> Result<String, TemplateError> {
        let name = reference.name;
        let variable = match self.assigned.get(name) {
            Some(text) => Variable::Text(text.clone()),
            None => (self.lookup)(name),
        };
        let has_value = match &variable {
            Variable::Text(text) => !(reference.counts_empty && text.is_empty()),
            Variable::Secret => true,
            Variable::Unset => false,
        };
        if reference.operator == Operator::Alternative {
            return if has_value { self.text(reference.word, depth + 1) } else { Ok(String::new()) };
        }
        if !has_value {
            return match reference.operator {
                Operator::Default => self.text(reference.word, depth + 1),
                Operator::Assign => {
                    let text = self.text(reference.word, depth + 1)?;
                    self.assigned.insert(name.to_owned(), text.clone());
                    Ok(text)
                }
                Operator::Require => {
                    let word = self.text(reference.word, depth + 1)?;
                    let message = if word.is_empty() { "it is not set".to_owned() } else { word };
                    Err(TemplateError::Required { line: self.line, name: name.to_owned(), message })
                }
                Operator::Length => Ok("0".to_owned()),
                Operator::None | Operator::Alternative => {
                    self.notice(&format!("variable {name} is not set; its place stays empty"));
                    Ok(String::new())
                }
            };
        }
        match variable {
            Variable::Text(text) if reference.operator == Operator::Length => {
                Ok(text.chars().count().to_string())
            }
            Variable::Text(text) => Ok(text),
            Variable::Secret | Variable::Unset => {
                Err(TemplateError::Secret { line: self.line, name: name.to_owned() })
            }
        }
    }

    fn notice(&mut self, message: &str) {
        self.notices.push(Notice { line: self.line, message: message.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Variable {
        match name {
            "HOST" => Variable::Text("h.example".to_owned()),
            "PORT" => Variable::Text("7554".to_owned()),
            "EMPTY" => Variable::Text(String::new()),
            "PASSWORD" => Variable::Secret,
            _ => Variable::Unset,
        }
    }

    fn expanded(text: &str) -> String {
        expand_with(text, &lookup).unwrap().text
    }

    #[test]
    fn variables_in_all_forms_are_expanded() {
        for (text, expected) in [
            ("https://$HOST:$PORT/x", "https://h.example:7554/x"),
            ("${HOST}8", "h.example8"),
            ("${NONE:-a-b=c?d}", "a-b=c?d"),
            ("${EMPTY:-x}${EMPTY-y}", "x"),
            ("${NONE:-${HOST:-z}:${PORT}}", "h.example:7554"),
            ("${HOST:+set}${NONE:+never}${EMPTY+yes}${EMPTY:+no}", "setyes"),
            ("${NEW:=v}$NEW", "vv"),
            ("${#PORT}", "4"),
            ("cost \\$5 \\\\ 100$ $5 $$", "cost $5 \\ 100$ $5 $$"),
            ("$(rm -rf /) `id`", "$(rm -rf /) `id`"),
            ("[$NONE]", "[]"),
        ] {
            assert_eq!(expanded(text), expected, "{text}");
        }
    }

    #[test]
    fn variable_that_is_required_or_secret_stops_with_its_line() {
        assert_eq!(
            expand_with("a\nb ${NONE:?set $HOST first}", &lookup),
            Err(TemplateError::Required {
                line: 2,
                name: "NONE".to_owned(),
                message: "set h.example first".to_owned()
            })
        );
        assert!(matches!(expand_with("\n\n$PASSWORD", &lookup), Err(TemplateError::Secret { line: 3, .. })));
        assert!(matches!(expand_with("${HOST", &lookup), Err(TemplateError::Syntax { line: 1, .. })));
        assert!(expand_with("${HOST%x}", &lookup).is_err());
        assert!(expand_with("${}", &lookup).is_err());
    }

    #[test]
    fn variable_that_is_not_set_and_commands_are_noticed() {
        let notices = expand_with("x\n$NONE\n$(id)", &lookup).unwrap().notices;
        assert_eq!(notices.iter().map(|notice| notice.line).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn placeholders_are_replaced_by_name() {
        let value = |name: &str| Ok::<_, ()>(format!("<{name}>"));
        assert_eq!(placeholders("a${configs.port}b${x}", value), Ok("a<configs.port>b<x>".to_owned()));
        assert_eq!(placeholders("a${open", value), Ok("a${open".to_owned()));
    }

    proptest! {
        #[test]
        fn expansion_of_any_text_never_panics(text in "[$A-C{}:\\-+=?#%\\\\`()\n\u{e4} ]{0,60}") {
            let _outcome = expand_with(&text, &lookup);
        }

        #[test]
        fn expansion_of_text_without_marks_changes_nothing(text in "[^$\\\\`]{0,60}") {
            prop_assert_eq!(expanded(&text), text);
        }
    }
}
