//! The command line: words of a start procedure and flags mean the same.

use std::path::PathBuf;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Run a server.
    Run(RunOptions),
    /// Say whether a state that an earlier version left can be gone on with.
    CheckHandover(i32),
    /// Go on with it.
    Resume(i32),
    /// Print the version.
    Version,
    /// Print how this is used.
    Help,
    /// Be one of the processes of a server.
    Role(String),
}

/// How a server is started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RunOptions {
    /// Words as a start procedure has them: `NAME=…`, `MEM=…`, `COLD`, `DEBUG`, `RESET(LOOKUP)`.
    pub(crate) words: Vec<String>,
    /// Where lines go instead of standard output.
    pub(crate) log: Option<PathBuf>,
    /// The profile database.
    pub(crate) database: Option<PathBuf>,
    /// The directory of members.
    pub(crate) parmlib: Option<PathBuf>,
}

/// Says what is wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; `tender-xmemd --help` says how it is used")]
pub(crate) struct UsageError(String);

pub(crate) const HELP: &str = "\
tender-xmemd: the cross-memory server

  tender-xmemd run [NAME=ZWESIS_STD] [MEM=00] [COLD] [DEBUG] [RESET(LOOKUP)] [KEY=VALUE…]
  tender-xmemd run [--name NAME] [--mem XX] [--cold] [--debug]
                   [--parmlib DIR] [--database PATH] [--log FILE]
  tender-xmemd --version

--parmlib is the directory of the member ZWESIPxx and of the list of authorised modules. --database is where the profiles
are, whatever ZWES.SAF.DATABASE says in the member, now or when it is read again. --log is appended to.

It stays in the foreground and prints to standard output. SIGTERM stops it when calls under way have ended, SIGHUP reads
the parameters again, SIGUSR2 replaces it by the module ZWESIS01 of the list of authorised modules.

Example:  tender-xmemd run NAME=ZWESIS_TEST --parmlib /etc/tender/xmem
";

impl Request {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut arguments = arguments.into_iter();
        let Some(first) = arguments.next() else { return Ok(Self::Help) };
        let number = |text: Option<String>| {
            let number = text.and_then(|text| text.parse().ok());
            number.ok_or_else(|| UsageError("a descriptor is missing".to_owned()))
        };
        match first.as_str() {
            "run" => Ok(Self::Run(run_options(arguments)?)),
            "check-handover" => Ok(Self::CheckHandover(number(arguments.next())?)),
            "resume" => Ok(Self::Resume(number(arguments.next())?)),
            "--version" | "-V" => Ok(Self::Version),
            "--help" | "-h" | "help" => Ok(Self::Help),
            role if role.starts_with('@') => Ok(Self::Role(role[1..].to_owned())),
            other => Err(UsageError(format!("`{other}` is not known"))),
        }
    }
}

fn run_options(arguments: impl Iterator<Item = String>) -> Result<RunOptions, UsageError> {
    let mut options = RunOptions::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let (flag, mut inline) = match argument.strip_prefix("--").map(|flag| flag.split_once('=')) {
            None => {
                // `NAME=A,COLD` in one word, as PARM has it.
                options.words.extend(argument.split(',').map(str::to_owned));
                continue;
            }
            Some(None) => (argument.clone(), None),
            Some(Some((flag, value))) => (format!("--{flag}"), Some(value.to_owned())),
        };
        let mut value = || {
            let value = inline.take().or_else(|| arguments.next());
            value.ok_or_else(|| UsageError(format!("{flag} needs a value")))
        };
        match flag.as_str() {
            "--name" => options.words.push(format!("NAME={}", value()?)),
            "--mem" => options.words.push(format!("MEM={}", value()?)),
            "--cold" => options.words.push("COLD".to_owned()),
            "--debug" => options.words.push("DEBUG".to_owned()),
            "--reset-lookup" => options.words.push("RESET(LOOKUP)".to_owned()),
            "--log" => options.log = Some(value()?.into()),
            "--database" => options.database = Some(value()?.into()),
            "--parmlib" => options.parmlib = Some(value()?.into()),
            _ => return Err(UsageError(format!("`{flag}` is not known"))),
        }
        if inline.is_some() {
            return Err(UsageError(format!("{flag} takes no value")));
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, UsageError> {
        Request::parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn words_and_flags_mean_the_same() {
        let Ok(Request::Run(words)) = parse("run NAME=A,COLD MEM=01") else { panic!("run") };
        let Ok(Request::Run(flags)) = parse("run --name A --cold --mem=01") else { panic!("run") };
        assert_eq!(words, flags);
    }

    #[test]
    fn wrong_lines_are_refused_with_what_is_wrong() {
        for (line, said) in [
            ("walk", "walk"),
            ("run --nam x", "--nam"),
            ("run --name", "value"),
            ("run --cold=1", "no value"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
        assert_eq!(parse("@front"), Ok(Request::Role("front".to_owned())));
    }
}
