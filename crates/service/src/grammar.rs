//! The SERVMGR command grammar: the seed's keywords turned into ordinary flags.
//!
//! SERVMGR lines are positional words with keywords between them, in any case, and options after a `(` that needs
//! no closing. The same verbs also take ordinary `--flags`. Rather than parse both twice, [`canonical`] rewrites
//! the keyword form into the flag form and leaves checking values to the one parser of the command line:
//!
//! ```text
//! SRVLVL ADD 720 vm01_bld1 BASEDON base NONESM DESC Initial RSU
//! srvlvl add 720 vm01_bld1 --basedon base --variant NONESM --desc "Initial RSU"
//! ```
//!
//! Source: specification 2.1; the release may be left out when it is clear (0.3 T3, 11.4 A1).

mod table;

pub use table::{Keyword, Phrase, Takes, phrases};

/// Stands for a release that was left out: the only one in which the named level or system exists.
pub const RELEASE_OMITTED: &str = "*";

/// Says why words are not a SERVMGR command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// A verb that does not exist.
    #[error("`{word}` is not a verb here; the verbs are {}", verbs.join(", "))]
    UnknownVerb {
        /// What was typed.
        word: String,
        /// What could have been.
        verbs: Vec<String>,
    },
    /// A verb is missing.
    #[error("a verb must follow `{after}`: {}", verbs.join(", "))]
    MissingVerb {
        /// The words before.
        after: String,
        /// What could follow.
        verbs: Vec<String>,
    },
    /// A keyword without what it needs.
    #[error("{keyword} must be followed by {needs}")]
    MissingOperand {
        /// The keyword.
        keyword: String,
        /// What it needs.
        needs: &'static str,
    },
    /// A keyword where free text stands.
    #[error(
        "`{word}` after {keyword} could be a keyword or a word of the text: put keywords before {keyword}, or the \
         text in quotes"
    )]
    Ambiguous {
        /// The word.
        word: String,
        /// The keyword whose text it stands in.
        keyword: String,
    },
    /// An operand too many, or a misspelt keyword.
    #[error("`{word}` is not understood after `{verb}`; {verb} knows {}", knows.join(", "))]
    Unexpected {
        /// What was typed.
        word: String,
        /// The verb.
        verb: String,
        /// The keywords of the verb.
        knows: Vec<String>,
    },
}

/// Rewrites a SERVMGR line into the flag form.
///
/// Shape: `words` are what follows `servmgr`; `takes_value` tells which `--flags` are followed by a value. Words
///        that belong to no verb of the seed are passed on unchanged, so that newer verbs need no grammar.
pub fn canonical(words: &[String], takes_value: &dyn Fn(&str) -> bool) -> Result<Vec<String>, GrammarError> {
    let Some(first) = words.first() else { return Ok(Vec::new()) };
    let Some(group) = find_verb(first, table::groups()) else { return Ok(words.to_vec()) };
    let (phrase, rest) = if let Some(phrase) = phrases().iter().find(|p| p.verb.is_none() && p.group == group)
    {
        (phrase, &words[1..])
    } else {
        match words.get(1) {
            None => return Err(missing_verb(group)),
            Some(word) if word.starts_with('-') || word == "help" => {
                return Ok(std::iter::once(group.to_owned()).chain(words[1..].iter().cloned()).collect());
            }
            Some(word) => (find_phrase(group, word)?, &words[2..]),
        }
    };
    let mut reader = Reader { phrase, takes_value, rest, in_options: false, seen: 0, out: Vec::new() };
    reader.out.push(phrase.group.to_owned());
    reader.out.extend(phrase.verb.map(str::to_owned));
    reader.read()?;
    Ok(reader.out)
}

fn verbs_of(group: &str) -> Vec<String> {
    phrases()
        .iter()
        .filter(|phrase| phrase.group == group)
        .filter_map(|phrase| phrase.verb)
        .map(str::to_ascii_uppercase)
        .collect()
}

fn missing_verb(group: &str) -> GrammarError {
    GrammarError::MissingVerb { after: group.to_ascii_uppercase(), verbs: verbs_of(group) }
}

fn find_phrase(group: &'static str, word: &str) -> Result<&'static Phrase, GrammarError> {
    let verbs = phrases().iter().filter(|phrase| phrase.group == group).filter_map(|phrase| phrase.verb);
    let verb = find_verb(word, verbs)
        .ok_or_else(|| GrammarError::UnknownVerb { word: word.to_owned(), verbs: verbs_of(group) })?;
    phrases()
        .iter()
        .find(|phrase| phrase.group == group && phrase.verb == Some(verb))
        .ok_or_else(|| missing_verb(group))
}

/// Finds the verb that `word` spells out, or abbreviates with at least three letters in one way only.
fn find_verb(word: &str, verbs: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let candidates: Vec<_> = verbs.into_iter().filter(|verb| verb.starts_with(&word)).collect();
    match candidates.as_slice() {
        [only] if word.len() >= 3 => Some(only),
        many => many.iter().copied().find(|verb| *verb == word),
    }
}

/// Walks the operands of one command and writes the flag form.
struct Reader<'a> {
    phrase: &'static Phrase,
    takes_value: &'a dyn Fn(&str) -> bool,
    rest: &'a [String],
    in_options: bool,
    /// Positional operands seen, the release included.
    seen: usize,
    out: Vec<String>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<String> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first.clone())
    }

    fn read(&mut self) -> Result<(), GrammarError> {
        while let Some(word) = self.next() {
            if word.starts_with("--") || (word.starts_with('-') && word.len() > 1) {
                self.pass_flag(word);
                continue;
            }
            if let Some(option) = word.strip_prefix('(') {
                self.in_options = true;
                if !option.is_empty() && option != ")" {
                    self.operand(option)?;
                }
            } else if word != ")" {
                self.operand(&word)?;
            }
        }
        Ok(())
    }

    fn pass_flag(&mut self, flag: String) {
        let needs_value = !flag.contains('=') && (self.takes_value)(&flag);
        self.out.push(flag);
        if needs_value && let Some(value) = self.next() {
            self.out.push(value);
        }
    }

    fn operand(&mut self, word: &str) -> Result<(), GrammarError> {
        let word = if self.in_options { word.strip_suffix(')').unwrap_or(word) } else { word };
        let keyword = self.phrase.keyword(word).filter(|_| self.seen >= self.phrase.names_min);
        match keyword {
            Some(keyword) => self.keyword(keyword, word),
            None if self.in_options => Err(self.unexpected(word)),
            None => self.positional(word),
        }
    }

    fn positional(&mut self, word: &str) -> Result<(), GrammarError> {
        if self.phrase.release_after == Some(self.seen) && !is_release(word) {
            self.out.push(RELEASE_OMITTED.to_owned());
            self.seen += 1;
        }
        if self.seen >= self.phrase.names_max {
            return Err(self.unexpected(word));
        }
        self.seen += 1;
        self.out.push(word.to_owned());
        Ok(())
    }

    fn keyword(&mut self, keyword: &Keyword, word: &str) -> Result<(), GrammarError> {
        let missing =
            |needs| GrammarError::MissingOperand { keyword: keyword.word.to_ascii_uppercase(), needs };
        match keyword.takes {
            Takes::Nothing => self.out.push(keyword.flag.to_owned()),
            Takes::Itself => {
                self.out.extend([keyword.flag.to_owned(), word.to_ascii_uppercase()]);
            }
            Takes::Word(needs) => {
                let value = self.next().ok_or_else(|| missing(needs))?;
                let value = if self.in_options {
                    value.strip_suffix(')').unwrap_or(&value).to_owned()
                } else {
                    value
                };
                self.out.push(format!("{}={value}", keyword.flag));
            }
            Takes::Rest(needs) => {
                let end = self.rest.iter().position(|word| word.starts_with('(') || word.starts_with("--"));
                let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                if text.is_empty() {
                    return Err(missing(needs));
                }
                if let Some(word) = text.iter().find(|word| self.phrase.keyword(word).is_some()) {
                    let keyword = keyword.word.to_ascii_uppercase();
                    return Err(GrammarError::Ambiguous { word: word.clone(), keyword });
                }
                self.out.push(format!("{}={}", keyword.flag, text.join(" ")));
                self.rest = rest;
            }
        }
        Ok(())
    }

    fn unexpected(&self, word: &str) -> GrammarError {
        GrammarError::Unexpected {
            word: word.to_owned(),
            verb: std::iter::once(self.phrase.group)
                .chain(self.phrase.verb)
                .collect::<Vec<_>>()
                .join(" ")
                .to_ascii_uppercase(),
            knows: self.phrase.keywords.iter().map(|keyword| keyword.word.to_ascii_uppercase()).collect(),
        }
    }
}

fn is_release(word: &str) -> bool {
    word == RELEASE_OMITTED || word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
