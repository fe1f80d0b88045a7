//! Splits one command into items: words, quoted text, and lists in parentheses behind them.

use super::CommandError;

/// How deep parentheses may be nested; no command needs four.
const DEPTH_MAX: usize = 8;
/// The longest command, in bytes.
const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// A word or quoted text, with what stands in parentheses right behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// As it was written, without quotes; empty for parentheses without a word.
    pub(crate) text: String,
    /// Whether it was quoted, so that it is no keyword and keeps its small letters.
    pub(crate) is_quoted: bool,
    /// What stands in parentheses.
    pub(crate) items: Option<Vec<Item>>,
}

/// Splits a command whose continuation lines have been joined.
///
/// Blanks and commas separate; `''` in quotes is one quote; `/*` at the beginning of a word begins a comment.
pub(crate) fn split(command: &str) -> Result<Vec<Item>, CommandError> {
    if command.len() > COMMAND_BYTES_MAX {
        return Err(CommandError::Unreadable {
            what: "the command is longer than 65536 bytes",
            near: String::new(),
        });
    }
    let mut lexer = Lexer { text: command, at: 0 };
    let items = lexer.items(0)?;
    if lexer.at < command.len() {
        return Err(lexer.unreadable("a `)` closes nothing"));
    }
    Ok(items)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn unreadable(&self, what: &'static str) -> CommandError {
        CommandError::Unreadable { what, near: self.text[self.at..].chars().take(24).collect() }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// Reads items up to the end or an unopened `)`.
    fn items(&mut self, depth: usize) -> Result<Vec<Item>, CommandError> {
        if depth > DEPTH_MAX {
            return Err(self.unreadable("parentheses are nested too deep"));
        }
        let mut items = Vec::new();
        loop {
            match self.peek() {
                None | Some(')') => return Ok(items),
                Some(blank) if blank.is_whitespace() || blank == ',' => self.at += blank.len_utf8(),
                Some(_) if self.text[self.at..].starts_with("/*") => {
                    let body = &self.text[self.at + 2..];
                    self.at = body.find("*/").map_or(self.text.len(), |end| self.at + 2 + end + 2);
                }
                Some(_) => items.push(self.item(depth)?),
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item, CommandError> {
        let (text, is_quoted) = match self.peek() {
            Some('\'') => (self.quoted()?, true),
            _ => (self.word()?, false),
        };
        let mut items = None;
        if self.peek() == Some('(') {
            self.at += 1;
            items = Some(self.items(depth + 1)?);
            if self.peek() != Some(')') {
                return Err(self.unreadable("a `(` is not closed"));
            }
            self.at += 1;
        }
        Ok(Item { text, is_quoted, items })
    }

    fn quoted(&mut self) -> Result<String, CommandError> {
        let mut text = String::new();
        let mut rest = &self.text[self.at + 1..];
        loop {
            let Some(end) = rest.find('\'') else { return Err(self.unreadable("a quote is not closed")) };
            text.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('\'') {
                Some(after) => {
                    text.push('\'');
                    rest = after;
                }
                None => break,
            }
        }
        self.at = self.text.len() - rest.len();
        if let Some(found) = text.chars().find(|found| found.is_control()) {
            return Err(CommandError::Unreadable {
                what: "quoted text contains a control character",
                near: found.escape_default().to_string(),
            });
        }
        Ok(text)
    }

    fn word(&mut self) -> Result<String, CommandError> {
        let rest = &self.text[self.at..];
        let end = rest.find(|found: char| found.is_whitespace() || "(),'".contains(found));
        let word = &rest[..end.unwrap_or(rest.len())];
        if word.chars().any(char::is_control) {
            return Err(self.unreadable("a word contains a control character"));
        }
        self.at += word.len();
        Ok(word.to_owned())
    }
}
