//! The words of `zwe`, for scripts that call the command by that name.
//!
//! A verb that exists here is turned into ours; one that is done in another way names our command and ends with 24;
//! one that only makes sense on z/OS ends with 120, as `zwe` itself does elsewhere.

use tender_package::ReturnCode;

/// What `zwe` ends with when a verb needs z/OS.
const NEEDS_ZOS: u8 = 120;

/// A verb of `zwe` and what it is here.
struct Verb {
    words: &'static [&'static str],
    ours: &'static [&'static str],
    /// Options whose value is an operand of ours.
    operand: &'static [&'static str],
    /// Flags, and what they are here; an empty word drops them.
    flags: &'static [(&'static str, &'static str)],
    /// Options with a value, and what they are here; an empty word drops both.
    options: &'static [(&'static str, &'static str)],
    /// Two options whose values are one operand here.
    joined: Option<Joined>,
}

/// Two options whose values are one operand of ours, such as `--host h --port 1`, which is `h:1`.
struct Joined {
    first: &'static [&'static str],
    second: &'static [&'static str],
    between: char,
}

const COMMON_FLAGS: &[(&str, &str)] = &[
    ("--silent", "--quiet"),
    ("-s", "--quiet"),
    ("--debug", ""),
    ("--verbose", ""),
    ("-v", ""),
    ("--trace", ""),
    ("-vv", ""),
    ("--configmgr", ""),
    ("--help", "--help"),
    ("-h", "--help"),
];
const COMMON_OPTIONS: &[(&str, &str)] = &[
    ("--config", "--config"),
    ("-c", "--config"),
    ("--ha-instance", "--ha-instance"),
    ("-i", "--ha-instance"),
    ("--log-dir", ""),
    ("--log", ""),
    ("-l", ""),
];
const COMPONENT_FILE: &[&str] = &["--component-file", "--component", "-o"];
const COMPONENT: &[&str] = &["--component", "--component-name", "-o", "-n"];
const DRY_RUN: &[(&str, &str)] = &[("--dry-run", "--check"), ("-d", "--check")];

const fn verb(words: &'static [&'static str], ours: &'static [&'static str]) -> Verb {
    Verb { words, ours, operand: &[], flags: &[], options: &[], joined: None }
}

const VERBS: &[Verb] = &[
    verb(&["start"], &["start"]),
    verb(&["stop"], &["stop"]),
    verb(&["version"], &["--version"]),
    verb(&["validate"], &["validate"]),
    Verb {
        flags: &[("--components", ""), ("--all", "")],
        ..verb(&["config", "validate"], &["config", "validate"])
    },
    Verb { operand: &["--path", "-p"], ..verb(&["config", "get"], &["config", "get"]) },
    Verb { operand: &["--path", "-p"], ..verb(&["internal", "config", "get"], &["config", "get"]) },
    Verb {
        flags: &[("--string", "--string"), ("--update-config", "")],
        joined: Some(Joined { first: &["--path", "-p"], second: &["--value", "-e"], between: '=' }),
        ..verb(&["internal", "config", "set"], &["config", "set"])
    },
    verb(&["internal", "start"], &["start"]),
    verb(&["internal", "start", "prepare"], &["launcher", "prepare", "--output", "text"]),
    Verb {
        operand: COMPONENT,
        flags: &[("--run-in-background", "--no-wait")],
        ..verb(&["internal", "start", "component"], &["start"])
    },
    verb(&["internal", "get-launch-components"], &["component", "list", "--launched"]),
    Verb {
        operand: COMPONENT_FILE,
        flags: &[("--skip-enable", "--no-enable"), ("--dry-run", "--check"), ("-d", "--check")],
        options: &[("--auto-encoding", ""), ("-e", "")],
        ..verb(&["components", "install"], &["component", "install"])
    },
    Verb {
        operand: COMPONENT_FILE,
        flags: DRY_RUN,
        ..verb(&["components", "upgrade"], &["component", "upgrade"])
    },
    Verb {
        operand: COMPONENT,
        flags: DRY_RUN,
        ..verb(&["components", "uninstall"], &["component", "uninstall"])
    },
    Verb { operand: COMPONENT, ..verb(&["components", "enable"], &["component", "enable"]) },
    Verb { operand: COMPONENT, ..verb(&["components", "disable"], &["component", "disable"]) },
    Verb {
        flags: &[
            ("--allow-overwrite", "--overwrite"),
            ("--update-config", "--update-config"),
            ("--ignore-security-failures", ""),
        ],
        ..verb(&["init", "certificate"], &["certificate", "init"])
    },
    Verb {
        joined: Some(Joined { first: &["--host"], second: &["--port"], between: ':' }),
        ..verb(&["certificate", "verify-service"], &["certificate", "verify", "--service"])
    },
    Verb { operand: &["--error-code", "-e"], ..verb(&["diagnose"], &["diagnose"]) },
    Verb { options: &[("--target-dir", "--target-dir")], ..verb(&["support"], &["support"]) },
];

/// Verbs that are done in another way here, and by which command of ours.
///
/// Those of `certificate pkcs12` take passwords as arguments, which anybody on the host can read: ours do not.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["install"], "`tender agent base` and SERVMGR bring the product as levels"),
    (&["init"], "`tender instance init DIR --runtime DIR`, then `tender certificate init --update-config`"),
    (&["init", "security"], "`tender security init`"),
    (
        &["certificate", "pkcs12", "create", "ca"],
        "`tender certificate init --directory DIR --ca-alias ALIAS`",
    ),
    (
        &["certificate", "pkcs12", "create", "cert"],
        "`tender certificate init --directory DIR --name ALIAS --host NAME`, which makes its password itself",
    ),
    (&["certificate", "pkcs12", "export"], "`tender certificate export FILE --password-file FILE --pem DIR`"),
    (
        &["certificate", "pkcs12", "import"],
        "`tender certificate init --import FILE --password-file FILE`; `tender certificate import FILE` for authorities",
    ),
    (
        &["certificate", "pkcs12", "lock"],
        "`tender certificate init`, which locks what it makes; --owner UID:GID gives it away",
    ),
    (
        &["certificate", "pkcs12", "trust-service"],
        "`tender certificate trust HOST:PORT --fingerprint SHA-256`",
    ),
    (&["components", "install", "extract"], "`tender component install FILE --no-enable`"),
    (&["components", "install", "process-hook"], "`tender component install FILE`"),
    (
        &["components", "search"],
        "`tender component list`; there is no registry, `tender component install` takes files",
    ),
    (&["internal", "config", "output"], "`tender config get zowe`, `tender config get components`"),
    (&["internal", "container", "init"], "`tender launcher run` in the container"),
    (&["internal", "container", "cleanup"], "`tender launcher run`, which cleans up itself"),
    (&["internal", "container", "prestop"], "`tender stop`"),
    (&["support", "verify-fingerprints"], "`tender verify`"),
];

/// Verbs that need z/OS.
const OF_ZOS: &[&[&str]] = &[
    &["init", "mvs"],
    &["init", "vsam"],
    &["init", "apfauth"],
    &["init", "stc"],
    &["certificate", "keyring-jcl"],
    &["migrate"],
    &["sample"],
];

/// Why a line of `zwe` is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ZweError {
    /// The verb needs z/OS.
    #[error("ZWEL0120E `zwe {0}` needs z/OS; there is nothing like it on this system")]
    NeedsZos(String),
    /// The verb is done in another way.
    #[error("ZWEL0104E `zwe {verb}` is done in another way here: {ours}")]
    Elsewhere {
        /// The verb.
        verb: String,
        /// Our command.
        ours: &'static str,
    },
    /// There is no such verb.
    #[error("ZWEL0104E `zwe {0}` is no command; `tender --help` lists those there are")]
    Unknown(String),
    /// The verb has no such option.
    #[error("ZWEL0102E `zwe {verb}` takes no {option} here")]
    Option {
        /// The verb.
        verb: String,
        /// The option.
        option: String,
    },
    /// An option is missing.
    #[error("ZWEL0106E `zwe {verb}` needs {option}")]
    Missing {
        /// The verb.
        verb: String,
        /// The option.
        option: &'static str,
    },
}

impl ZweError {
    /// Returns what the process ends with.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::NeedsZos(_) => NEEDS_ZOS,
            _ => ReturnCode::Syntax as u8,
        }
    }
}

/// Turns the operands of `zwe` into those of `tender`.
pub(crate) fn translated(operands: &[String]) -> Result<Vec<String>, ZweError> {
    let count = operands.iter().take_while(|word| !word.starts_with('-')).count();
    let words: Vec<&str> = operands[..count].iter().map(String::as_str).collect();
    if words.is_empty() {
        return Ok(vec!["--help".to_owned()]);
    }
    let verb = VERBS.iter().find(|verb| verb.words == words).ok_or_else(|| unknown(&words))?;
    let mut ours: Vec<String> = verb.ours.iter().map(|word| (*word).to_owned()).collect();
    let mut halves = [None, None];
    let mut rest = operands[count..].iter();
    while let Some(word) = rest.next() {
        let find = |table: &[(&str, &'static str)]| {
            table.iter().find(|(theirs, _)| theirs == word).map(|(_, ours)| *ours)
        };
        let half = verb.joined.as_ref().and_then(|joined| {
            [joined.first, joined.second].iter().position(|names| names.contains(&word.as_str()))
        });
        // The verb's own meaning of an option goes before the common one: -d, -o and -e mean different things.
        if let Some(half) = half {
            halves[half] = rest.next().cloned();
        } else if verb.operand.contains(&word.as_str()) {
            ours.extend(rest.next().cloned());
        } else if let Some(flag) = find(verb.flags).or_else(|| find(COMMON_FLAGS)) {
            ours.extend((!flag.is_empty()).then(|| flag.to_owned()));
        } else if let Some(option) = find(verb.options).or_else(|| find(COMMON_OPTIONS)) {
            let value = rest.next().cloned();
            if !option.is_empty() {
                ours.push(option.to_owned());
                ours.extend(value);
            }
        } else {
            return Err(ZweError::Option { verb: words.join(" "), option: word.clone() });
        }
    }
    if let Some(joined) = &verb.joined
        && !ours.iter().any(|word| word == "--help")
    {
        let missing = |option| ZweError::Missing { verb: words.join(" "), option };
        let [first, second] = halves;
        let first = first.ok_or_else(|| missing(joined.first[0]))?;
        let second = second.ok_or_else(|| missing(joined.second[0]))?;
        // Right behind the words of the verb, where the last of them may be an option that wants it.
        ours.insert(verb.ours.len(), format!("{first}{}{second}", joined.between));
    }
    Ok(ours)
}

/// Says why a verb is none of ours.
fn unknown(words: &[&str]) -> ZweError {
    let verb = words.join(" ");
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == words) {
        return ZweError::Elsewhere { verb, ours };
    }
    if OF_ZOS.iter().any(|theirs| words.starts_with(theirs)) {
        return ZweError::NeedsZos(verb);
    }
    ZweError::Unknown(verb)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn line(text: &str) -> Result<String, ZweError> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        translated(&words).map(|words| words.join(" "))
    }

    #[test]
    fn lines_of_zwe_become_ours() {
        let pairs = [
            ("start -c /i/zowe.yaml -i lpar1 -l /tmp -v", "start --config /i/zowe.yaml --ha-instance lpar1"),
            ("config get --path zowe.job.name", "config get zowe.job.name"),
            (
                "components install -o x.zip --skip-enable -e no -d",
                "component install x.zip --no-enable --check",
            ),
            ("components disable --component x --ha-instance a", "component disable x --ha-instance a"),
            ("internal get-launch-components -s", "component list --launched --quiet"),
            ("internal start prepare -c x -i a", "launcher prepare --output text --config x --ha-instance a"),
            ("internal start component --component x --run-in-background", "start x --no-wait"),
            ("internal config set -p a.b -e 1 -c x", "config set a.b=1 --config x"),
            ("certificate verify-service --port 1 --host h", "certificate verify --service h:1"),
            ("diagnose -e ZWEL0157E", "diagnose ZWEL0157E"),
            (
                "init certificate --allow-overwrite --update-config",
                "certificate init --overwrite --update-config",
            ),
            ("", "--help"),
        ];
        for (theirs, ours) in pairs {
            assert_eq!(line(theirs).unwrap(), ours, "{theirs}");
        }
    }

    #[test]
    fn verbs_of_zos_and_options_that_are_not_here_are_refused() {
        for theirs in ["init vsam", "init apfauth -c x", "certificate keyring-jcl generate"] {
            assert_eq!(line(theirs).unwrap_err().code(), NEEDS_ZOS, "{theirs}");
        }
        for theirs in ["start prepare", "nonsense", "start --fast", "internal config set --path a"] {
            assert_eq!(line(theirs).unwrap_err().code(), 24, "{theirs}");
        }
        let told = line("certificate pkcs12 create cert -d x").unwrap_err().to_string();
        assert!(told.contains("`tender certificate init"), "{told}");
    }

    #[test]
    fn verbs_that_are_done_elsewhere_name_commands_of_ours() {
        use clap::CommandFactory as _;
        let tender = crate::Tender::command();
        for (verb, ours) in ELSEWHERE {
            assert!(!VERBS.iter().any(|known| known.words == *verb), "{verb:?} is translated");
            let mut command = &tender;
            let words = ours.split('`').nth(1).unwrap().split_whitespace().skip(1);
            for word in words {
                if !command.has_subcommands() {
                    break;
                }
                command = command.find_subcommand(word).unwrap_or_else(|| panic!("{ours}: no {word}"));
            }
        }
    }

    #[test]
    fn every_verb_is_a_command_of_ours() {
        for verb in VERBS.iter().filter(|verb| verb.words != ["version"]) {
            let mut words: Vec<&str> = vec!["tender"];
            words.extend(verb.ours);
            words.extend(verb.flags.iter().map(|(_, ours)| *ours).filter(|word| !word.is_empty()).take(1));
            if !verb.operand.is_empty() {
                words.push("operand");
            }
            if verb.joined.as_ref().is_some_and(|joined| joined.between == '=') {
                words.push("key=value");
            } else if verb.joined.is_some() {
                words.insert(1 + verb.ours.len(), "host:1");
            }
            crate::Tender::try_parse_from(&words).unwrap_or_else(|fault| panic!("{words:?}: {fault}"));
        }
    }
}
