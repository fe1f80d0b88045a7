//! What an operator command is taken for, for who asks from outside: `fuzz` does.

use crate::operator::{self, Outcome};

/// The longest command, in bytes.
pub const BYTES_MAX: usize = operator::COMMAND_BYTES_MAX;

/// A command that is understood. One that has a target is a plug-in's, and only it can say whether it knows the verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Understood {
    /// Its whole name, whatever short form was typed; of a plug-in's command the verb as it was typed.
    pub verb: String,
    /// Nickname of a plug-in.
    pub target: Option<String>,
    /// The words behind the verb.
    pub arguments: Vec<String>,
}

/// A command that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What the operator is told.
    pub lines: Vec<String>,
    /// 4 warning, 8 wrong.
    pub code: u32,
}

/// Takes a command apart and finds its verb.
///
/// # Errors
///
/// [`Refused`]: too long, a control character, too many words, empty, a verb that is unknown, a wrong number of arguments.
pub fn understand(text: &str) -> Result<Understood, Refused> {
    let refused = |outcome| match outcome {
        Outcome::Lines(lines, code) => Refused { lines, code },
        // Nothing else comes of reading.
        Outcome::AskFront(_) | Outcome::Flush | Outcome::AskRoot(_) => Refused { lines: Vec::new(), code: 8 },
    };
    let invocation = operator::parse(text).map_err(refused)?;
    let verb = match &invocation.target {
        Some(_) => invocation.verb,
        None => operator::find(&invocation).map_err(refused)?.names[0].to_owned(),
    };
    Ok(Understood { verb, target: invocation.target, arguments: invocation.arguments })
}

/// Names of the server's own commands, without their short forms.
#[must_use]
pub fn names() -> Vec<&'static str> {
    operator::VERBS.iter().map(|verb| verb.names[0]).collect()
}
