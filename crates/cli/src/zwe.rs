//! The words of `zwe`, for scripts that call the command by that name.
//!
//! A verb that exists here is turned into ours; every other one, such as those that only make sense on z/OS, ends with
//! 120 as `zwe` itself does there.

/// What `zwe` ends with when a verb needs z/OS.
pub(crate) const NEEDS_ZOS: u8 = 120;

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
    Verb { words, ours, operand: &[], flags: &[], options: &[] }
}

const VERBS: &[Verb] = &[
    verb(&["start"], &["start"]),
    verb(&["stop"], &["stop"]),
    verb(&["version"], &["--version"]),
    verb(&["validate"], &["validate"]),
    verb(&["config", "validate"], &["config", "validate"]),
    Verb { operand: &["--path", "-p"], ..verb(&["config", "get"], &["config", "get"]) },
    Verb { operand: &["--path", "-p"], ..verb(&["internal", "config", "get"], &["config", "get"]) },
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
    verb(&["init", "certificate"], &["certificate", "init"]),
    Verb { options: &[("--target-dir", "--target-dir")], ..verb(&["support"], &["support"]) },
];

/// Why a line of `zwe` is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ZweError {
    /// The verb does not exist here.
    #[error("ZWEL0120E `zwe {0}` is not to be had here: it needs z/OS, or `tender` does it in another way")]
    Verb(String),
    /// The verb has no such option.
    #[error("ZWEL0102E `zwe {verb}` takes no {option} here")]
    Option {
        /// The verb.
        verb: String,
        /// The option.
        option: String,
    },
}

/// Turns the operands of `zwe` into those of `tender`.
pub(crate) fn translated(operands: &[String]) -> Result<Vec<String>, ZweError> {
    let count = operands.iter().take_while(|word| !word.starts_with('-')).count();
    let words: Vec<&str> = operands[..count].iter().map(String::as_str).collect();
    if words.is_empty() {
        return Ok(vec!["--help".to_owned()]);
    }
    let verb =
        VERBS.iter().find(|verb| verb.words == words).ok_or_else(|| ZweError::Verb(words.join(" ")))?;
    let mut ours: Vec<String> = verb.ours.iter().map(|word| (*word).to_owned()).collect();
    let mut rest = operands[count..].iter();
    while let Some(word) = rest.next() {
        let find = |table: &[(&str, &'static str)]| {
            table.iter().find(|(theirs, _)| theirs == word).map(|(_, ours)| *ours)
        };
        // The verb's own meaning of an option goes before the common one: -d, -o and -e mean different things.
        if verb.operand.contains(&word.as_str()) {
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
    Ok(ours)
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
            ("", "--help"),
        ];
        for (theirs, ours) in pairs {
            assert_eq!(line(theirs).unwrap(), ours, "{theirs}");
        }
    }

    #[test]
    fn verbs_of_zos_and_options_that_are_not_here_are_refused() {
        for theirs in ["init vsam", "init apfauth", "diagnose", "start prepare", "components search"] {
            assert!(matches!(line(theirs), Err(ZweError::Verb(_))), "{theirs}");
        }
        assert!(matches!(line("start --fast"), Err(ZweError::Option { .. })));
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
            crate::Tender::try_parse_from(&words).unwrap_or_else(|fault| panic!("{words:?}: {fault}"));
        }
    }
}
