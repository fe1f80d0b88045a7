//! Signals and their names; the numbers are those of x86-64, s390x and aarch64 alike.

use rustix::process::Signal;

const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// Returns the signal with a name, with or without `SIG`, in any case.
pub(crate) fn named(name: &str) -> Option<Signal> {
    let name = name.trim().to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let number = NAMES.iter().find(|(known, _)| *known == name)?.1;
    Signal::from_named_raw(number)
}

/// Returns the name of a signal without `SIG`, or its number.
pub(crate) fn name(number: i32) -> String {
    NAMES
        .iter()
        .find(|(_, known)| *known == number)
        .map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_signals_are_those_of_the_system() {
        assert_eq!(named("TERM"), Some(Signal::TERM));
        assert_eq!(named("sigusr1"), Some(Signal::USR1));
        assert_eq!(named("NONE"), None);
        for (known, number) in NAMES {
            assert_eq!(named(known).unwrap().as_raw(), *number);
            assert_eq!(name(*number), *known);
        }
        assert_eq!(name(40), "40");
    }
}
