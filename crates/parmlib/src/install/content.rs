//! What the installed files say.

use std::fmt::Write as _;
use std::path::Path;

use super::accounts::ACCOUNTS;
use crate::keys::{KEYS, Key, Kind, ServerName};

/// Width of the sample member: the columns of sequence numbers stay free.
const COLUMNS: usize = 72;

/// Keys that stand in a new member as they are, not as a comment.
const ACTIVE: [(&str, &str); 3] =
    [("ZWES.AUTH.CLASS", "ZOWE"), ("ZWES.SECMGMT.CLASS", "ZOWE"), ("ZWES.SECMGMT.AUTOREFRESH", "NO")];

/// Returns the member as it is shipped: every known key, with its meaning and its default.
#[must_use]
pub fn sample_member() -> String {
    let mut text = String::new();
    for line in [
        "Parameters of the cross-memory server.",
        "KEY=VALUE, nothing around `=`; the last of several counts.",
        "A `\\` at the end of a line continues it. YES and NO in capitals.",
        "Lines that begin with `*` are comments; take the `*` and the",
        "blank away to use one.",
    ] {
        writeln!(text, "* {line}").expect("a string takes everything");
    }
    for key in KEYS.iter().filter(|key| key.name.starts_with("ZWES.")) {
        text.push('\n');
        for line in wrapped(key.description) {
            writeln!(text, "* {line}").expect("a string takes everything");
        }
        match ACTIVE.iter().find(|(name, _)| *name == key.name) {
            Some((name, value)) => writeln!(text, "{name}={value}"),
            None => writeln!(text, "* {}", example(key)),
        }
        .expect("a string takes everything");
    }
    text
}

fn example(key: &Key) -> String {
    let name = key.name;
    match key.kind {
        _ if !key.default.is_empty() => format!("{name}={}", key.default),
        Kind::Module => format!("{name}ECHO=ECHOPL01"),
        Kind::Class => format!("{name}=ZOWE"),
        Kind::Path => format!("{name}=/var/lib/tender/saf.db"),
        Kind::Directories if !key.is_family() => format!("{name}=/usr/lib/tender/xmem"),
        Kind::Directories => format!("{name}current=/srv/one:/srv/two"),
        Kind::Ranges { max: 65_535, .. } => format!("{name}=80,443,1000-1023"),
        Kind::Ranges { .. } => format!("{name}=1000-1999,2005"),
        Kind::Text if name == "ZWES.CLIENT." => format!("{name}*.COLOUR=red"),
        _ if key.is_family() => format!("{name}TEXT=any text"),
        _ => name.to_owned(),
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is one");
        if !last.is_empty() && last.len() + 1 + word.len() > COLUMNS - 2 {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// Returns the file for systemd-sysusers.
#[must_use]
pub fn sysusers_text() -> String {
    let mut text = "# Users of the cross-memory server: no home, no login.\n".to_owned();
    for account in ACCOUNTS {
        writeln!(text, "u {:<8} - \"{}\" / -", account.name, account.title)
            .expect("a string takes everything");
    }
    text
}

/// Returns the start procedure for machines without systemd.
pub(super) fn script_text(program: &Path, parmlib: &Path, logs: &Path, home: &Path, suffix: &str) -> String {
    let [program, parmlib, logs, home] = [program, parmlib, logs, home].map(quoted);
    let default = ServerName::DEFAULT;
    format!(
        "#!/bin/sh\n\
         # Starts a cross-memory server and stays with it; stop it with SIGTERM or `tender xmem stop NAME`.\n\
         #   NAME={default} MEM={suffix} ZWESISTC [COLD] [DEBUG] [RESET(LOOKUP)] [KEY=VALUE]\n\
         set -eu\n\
         name=${{NAME:-{default}}}\n\
         member=${{MEM:-{suffix}}}\n\
         # What is NOSWAP and KEY(4) elsewhere: no core with secrets, room to lock them, killed last.\n\
         ulimit -c 0\n\
         ulimit -l 65536 2>/dev/null || :\n\
         [ \"$(id -u)\" -ne 0 ] || echo -900 >/proc/self/oom_score_adj 2>/dev/null || :\n\
         export TENDER_HOME={home}\n\
         umask 022\n\
         exec {program} run \"NAME=$name\" \"MEM=$member\" \"$@\" --parmlib {parmlib} --log {logs}/\"$name\".log\n"
    )
}

/// Quotes a path for a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}
