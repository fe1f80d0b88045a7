//! What a configure script leaves in its environment for the start of its component.
//!
//! The shell writes its whole environment, separated by NUL bytes, when it ends; what differs from the environment it
//! was given is what it exported. Values with newlines and quotes survive, and the exit status stays the script's.

use std::collections::BTreeMap;

/// Names that a shell, the launcher or a login sets; they are never exports of a component.
const NOT_EXPORTS: &[&str] = &[
    "ENV",
    "LINENO",
    "LOGNAME",
    "LS_COLORS",
    "OLDPWD",
    "OPTARG",
    "OPTIND",
    "PPID",
    "PS1",
    "PS2",
    "PS4",
    "PWD",
    "SHELL",
    "SHLVL",
    "TENDER_COMPONENT",
    "TENDER_EXPORT_FD",
    "TENDER_OWN_PORTS",
    "TENDER_SCRIPT",
    "USER",
    "ZWELS_START_COMPONENT_ID",
    "ZWE_LAUNCH_COMPONENTS",
    "_",
    "display_log",
    "env_file",
    "expected_log_level_val",
    "expected_log_level_var",
    "key",
    "level",
    "line",
    "logger",
    "message",
    "print_formatted_function_available",
    "run_zowe_start_component_id",
    "service",
    "utils_dir",
];

/// Shell text after which the environment is written to descriptor 3 when the shell ends, however it ends.
///
/// A script with its own trap of EXIT takes this one's place; then nothing is written and the caller says so.
pub(super) const DUMP_TRAP: &str = "\ntrap 'tender_rc=$?; trap - EXIT; \
     /usr/bin/env -0 >&3 2>/dev/null || /bin/cat /proc/self/environ >&3; exit \"$tender_rc\"' EXIT";

/// Reads an environment that is separated by NUL bytes; what is no `NAME=value` with a usable name is left out.
#[must_use]
pub fn parse(dump: &[u8]) -> BTreeMap<String, String> {
    let entries = dump.split(|byte| *byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok());
    let pairs = entries.filter_map(|entry| entry.split_once('='));
    pairs.filter(|(name, _)| is_name(name)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns what differs from what was there `before`: the exports.
#[must_use]
pub fn exported<'b>(
    before: impl Fn(&str) -> Option<&'b str>,
    after: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let is_export = |name: &str, value: &String| {
        NOT_EXPORTS.binary_search(&name).is_err() && before(name) != Some(value.as_str())
    };
    after.into_iter().filter(|(name, value)| is_export(name, value)).collect()
}

/// Says whether a shell can use this name for a variable.
fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn excluded_names_are_sorted_for_the_search() {
        assert!(NOT_EXPORTS.is_sorted());
    }

    #[test]
    fn names_that_only_begin_like_excluded_ones_are_exports() {
        let after = map(&[("ENVIRONMENT", "1"), ("optional_x", "2"), ("ENV", "3"), ("PWD", "/")]);
        assert_eq!(exported(|_| None, after), map(&[("ENVIRONMENT", "1"), ("optional_x", "2")]));
    }

    #[test]
    fn unchanged_value_is_no_export_and_changed_one_is() {
        let before = |name: &str| ["A", "B"].contains(&name).then_some("1");
        assert_eq!(exported(before, map(&[("A", "1"), ("B", "2")])), map(&[("B", "2")]));
    }

    #[test]
    fn dump_with_newlines_functions_and_rubbish_gives_the_variables() {
        let dump = b"A=1\nB=2\0BASH_FUNC_f%%=() { :\n}\0C=x=y\0\0=no\0\xff=1\0";
        assert_eq!(parse(dump), map(&[("A", "1\nB=2"), ("C", "x=y")]));
    }
}
