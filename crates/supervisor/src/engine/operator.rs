//! An operator's line as typed, taken apart.

/// What an operator may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Start(String),
    Stop(String),
    Restart { component: String, reconfigure: bool },
    Reload,
    Display,
}

/// Why a line is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Unknown,
    BadValue,
}

/// Takes a line apart: `VERB` or `VERB(value)`, in any case, with blanks anywhere but inside a word.
pub(super) fn parse(line: &str) -> Result<Command, Refusal> {
    let line = line.trim();
    let (verb, value) = match line.split_once('(') {
        None => (line, None),
        Some((verb, rest)) => {
            let value = rest.strip_suffix(')').ok_or(Refusal::BadValue)?;
            (verb.trim_end(), Some(value.trim()))
        }
    };
    let value = match value {
        Some(value) if value.contains(['(', ')']) => return Err(Refusal::BadValue),
        other => other,
    };
    let component = || {
        let name = value.filter(|name| !name.is_empty() && !name.contains([',', ' ', '\t']));
        name.map(str::to_owned).ok_or(Refusal::BadValue)
    };
    let nothing = |command| if value.is_none() { Ok(command) } else { Err(Refusal::BadValue) };
    match verb.to_ascii_uppercase().as_str() {
        "START" => Ok(Command::Start(component()?)),
        "STOP" => Ok(Command::Stop(component()?)),
        "RESTART" => {
            let (name, option) = match value.and_then(|value| value.split_once(',')) {
                Some((name, option)) => (name.trim().to_owned(), Some(option.trim())),
                None => (component()?, None),
            };
            let reconfigure = option.is_some_and(|option| option.eq_ignore_ascii_case("RECONFIGURE"));
            if name.is_empty() || (option.is_some() && !reconfigure) {
                return Err(Refusal::BadValue);
            }
            Ok(Command::Restart { component: name, reconfigure })
        }
        "RELOAD" => nothing(Command::Reload),
        "DISP" => nothing(Command::Display),
        _ => Err(Refusal::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_an_operator_is_taken_exactly() {
        let start = |name: &str| Ok(Command::Start(name.to_owned()));
        assert_eq!(parse("START(redis)"), start("redis"));
        assert_eq!(parse("  start ( Redis ) "), start("Redis"));
        assert_eq!(parse("DISP"), Ok(Command::Display));
        assert_eq!(parse("reload"), Ok(Command::Reload));
        assert_eq!(parse("STOP(a)"), Ok(Command::Stop("a".to_owned())));
        let restart = |reconfigure| Ok(Command::Restart { component: "a".to_owned(), reconfigure });
        assert_eq!(parse("RESTART(a)"), restart(false));
        assert_eq!(parse("RESTART(a, reconfigure)"), restart(true));
        for line in ["", "STARTx(a)", "DISPLAY", "ST ART(a)", "\0", "(a)"] {
            assert_eq!(parse(line), Err(Refusal::Unknown), "{line}");
        }
        let bad = [
            "START",
            "START()",
            "START( )",
            "START(a",
            "START(a)b",
            "START(a,b)",
            "DISP(a)",
            "START((a))",
            "RESTART(a,b)",
            "RESTART(,RECONFIGURE)",
        ];
        for line in bad {
            assert_eq!(parse(line), Err(Refusal::BadValue), "{line}");
        }
    }
}
