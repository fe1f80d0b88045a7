//! Operator commands: `VERB [arguments]` for the server, `VERB(TARGET) [arguments]` for a plug-in.
//!
//! One file a command, and one line in [`VERBS`].

mod cold;
mod display;
mod explain;
mod flush;
mod log;
mod root;

use std::ops::RangeInclusive;

use crate::link::{Report, RootCommand};
use crate::messages;
use crate::monitor::Monitor;

/// The longest command, in bytes.
pub(crate) const COMMAND_BYTES_MAX: usize = 64;
/// The most words of one.
const WORDS_MAX: usize = 32;
/// The longest name of a target.
const TARGET_BYTES_MAX: usize = 4;

/// A command that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    pub(crate) verb: String,
    pub(crate) target: Option<String>,
    pub(crate) arguments: Vec<String>,
    /// Everything behind the verb, as it was typed.
    pub(crate) rest: String,
}

/// What a command answers.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// These lines, and 0, 4 or 8.
    Lines(Vec<String>, u32),
    /// What the front reports, made into lines by this.
    AskFront(fn(&Monitor, &Report) -> Vec<String>),
    /// When everything is printed.
    Flush,
    /// What the root process says.
    AskRoot(RootCommand),
}

impl Outcome {
    pub(crate) fn line(text: messages::Text, values: &[&dyn std::fmt::Display]) -> Self {
        let code = match text.id.as_bytes().last() {
            Some(b'E') => 8,
            Some(b'W') => 4,
            _ => 0,
        };
        Self::Lines(vec![text.with(values)], code)
    }
}

/// One command.
#[derive(Debug)]
pub(crate) struct Verb {
    /// Its name and its short forms; the first is that of its profile `ZWES.IS.OPER.<name>`.
    pub(crate) names: &'static [&'static str],
    /// How many arguments it takes.
    pub(crate) arguments: RangeInclusive<usize>,
    /// The same, for people.
    pub(crate) usage: &'static str,
    pub(crate) run: fn(&mut Monitor, &Invocation) -> Outcome,
}

/// All of them.
pub(crate) const VERBS: &[Verb] = &[
    display::VERB,
    display::LIST,
    display::STATISTICS,
    flush::VERB,
    log::VERB,
    explain::VERB,
    root::RELOAD,
    root::REPLACE,
    root::STOP,
    cold::VERB,
    cold::RESET,
];

/// Says what is wrong with a command.
pub(crate) type Wrong = Outcome;

/// Takes a command apart.
pub(crate) fn parse(text: &str) -> Result<Invocation, Wrong> {
    if text.len() > COMMAND_BYTES_MAX {
        return Err(Outcome::line(messages::COMMAND_TOO_LONG, &[&text.len()]));
    }
    if text.chars().any(|found| found.is_control()) {
        return Err(Outcome::line(messages::NOT_TOKENISED, &[&"it has a control character"]));
    }
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    if words.len() > WORDS_MAX {
        return Err(Outcome::line(messages::TOO_MANY_TOKENS, &[]));
    }
    let Some((first, arguments)) = words.split_first() else {
        return Err(Outcome::line(messages::EMPTY_COMMAND, &[]));
    };
    let unknown = || Outcome::line(messages::UNKNOWN_COMMAND, &[&text.trim(), &""]);
    // `RESET(LOOKUP)` is one word.
    let is_whole = VERBS.iter().any(|verb| verb.names.contains(first));
    let (verb, target) = match first.split_once('(').filter(|_| !is_whole) {
        None => (*first, None),
        Some((verb, rest)) => {
            let target = rest.strip_suffix(')').ok_or_else(unknown)?;
            if verb.is_empty() || target.is_empty() || target.len() > TARGET_BYTES_MAX {
                return Err(unknown());
            }
            (verb, Some(target.to_owned()))
        }
    };
    Ok(Invocation {
        verb: verb.to_owned(),
        target,
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        rest: arguments.join(" "),
    })
}

/// Finds the command of a verb; says what may have been meant when there is none.
pub(crate) fn find(invocation: &Invocation) -> Result<&'static Verb, Wrong> {
    let found = VERBS.iter().find(|verb| verb.names.contains(&&*invocation.verb));
    let Some(verb) = found else {
        let near = VERBS.iter().find(|verb| verb.names.iter().any(|name| near(name, &invocation.verb)));
        let hint = near.map_or_else(String::new, |verb| format!("; did you mean {}?", verb.names[0]));
        return Err(Outcome::line(messages::UNKNOWN_COMMAND, &[&invocation.verb, &hint]));
    };
    if !verb.arguments.contains(&invocation.arguments.len()) {
        return Err(Outcome::line(messages::ARGUMENT_COUNT, &[&verb.names[0], &verb.usage]));
    }
    Ok(verb)
}

/// Says whether one may have been typed for the other: the beginning of it, or in small letters.
fn near(name: &str, typed: &str) -> bool {
    let typed = typed.to_ascii_uppercase();
    typed == name || (typed.len() >= 2 && name.starts_with(&typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match parse(text).and_then(|invocation| find(&invocation)) {
            Ok(verb) => verb.names[0].to_owned(),
            Err(Outcome::Lines(lines, _)) => lines.concat(),
            Err(_) => String::new(),
        }
    }

    #[test]
    fn commands_are_taken_apart_as_the_console_does() {
        for name in ["D", "DIS", "DISPLAY", "  DISPLAY   CONFIG "] {
            assert_eq!(said(name), "DISPLAY");
        }
        let invocation = parse("D(ZDYN) STATUS ALL").unwrap();
        assert_eq!((&*invocation.verb, invocation.target.as_deref()), ("D", Some("ZDYN")));
        assert_eq!((&*invocation.rest, invocation.arguments.len()), ("STATUS ALL", 2));
        assert_eq!(said("RESET(LOOKUP)"), "RESET(LOOKUP)");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_command_or_is_refused_with_a_message(text in ".{0,80}") {
            match parse(&text).and_then(|invocation| find(&invocation)) {
                Ok(verb) => assert!(VERBS.iter().any(|known| known.names == verb.names)),
                Err(Outcome::Lines(lines, code)) => {
                    assert!(lines.iter().all(|line| line.starts_with("ZWES0")) && code > 0);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn limits_are_those_of_the_console() {
        assert!(said(&"X".repeat(65)).starts_with("ZWES0218E"));
        assert!(said(&"X".repeat(64)).starts_with("ZWES0227W"));
        assert!(said(&"X ".repeat(32)).starts_with("ZWES0227W"));
        let words = ["X"; 33].join(" ");
        assert!(words.len() > COMMAND_BYTES_MAX, "33 words do not even fit");
        assert!(said("  ").starts_with("ZWES0228W"));
        assert!(said("LOG\u{7}").starts_with("ZWES0219E"));
        assert!(said("D(FIVEX) X").starts_with("ZWES0227W"));
        assert!(said("D(ABC").starts_with("ZWES0227W"));
        assert!(said("LOG STC").starts_with("ZWES0224W"));
        assert!(said("display").contains("did you mean DISPLAY"));
    }
}
