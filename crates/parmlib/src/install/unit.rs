//! The template of systemd units.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::keys::Settings;

/// The template; `tender-xmem@ZWESIS_STD.service` is one server.
pub const UNIT_FILE: &str = "tender-xmem@.service";

/// What a unit depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFacts {
    /// The program: ZWESIS01 in the load library.
    pub program: PathBuf,
    /// The directory of members.
    pub parmlib: PathBuf,
    /// The suffix of the member.
    pub suffix: String,
    /// Where the server keeps its things.
    pub home: PathBuf,
    /// Directories that the server must be able to write besides.
    pub written: Vec<PathBuf>,
    /// Programs of users are run: what would hold for the server alone must not hold for them.
    pub is_running_others: bool,
    /// Memory of other processes may be read.
    pub is_inspecting: bool,
}

impl UnitFacts {
    /// Adds what a member asks for.
    #[must_use]
    pub fn with_settings(mut self, settings: &Settings) -> Self {
        self.written = settings.places.iter().flat_map(|place| place.directories.clone()).collect();
        if let Some(directory) = settings.saf_database.as_deref().and_then(Path::parent) {
            self.written.push(directory.to_owned());
        }
        self.written.retain(|directory| !directory.starts_with(&self.home));
        self.written.sort();
        self.written.dedup();
        self.is_running_others = !settings.runas_uids.is_empty();
        self.is_inspecting = settings.is_inspect_on;
        self
    }
}

/// What the root process and its helpers need; everything else is out of reach.
const CAPABILITIES: &str = "CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_KILL CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE \
                            CAP_DAC_READ_SEARCH CAP_SYS_ADMIN CAP_SYS_CHROOT CAP_SYS_RESOURCE CAP_IPC_LOCK \
                            CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_AUDIT_WRITE";

/// Returns the text of the template.
///
/// KEY(4) and NOSWAP become: users of their own for all processes but one, no swap, no core, killed last, no new
/// privileges, a file system that can be read only. The last two lines of hardening are left out where users' programs
/// are run, which the same limits would bind.
#[must_use]
pub fn unit_text(facts: &UnitFacts) -> String {
    let mut text = format!(
        "# Written by `tender xmem install`; changes belong in a drop-in (`systemctl edit`).\n\
         [Unit]\nDescription=Tender cross-memory server %I\nDocumentation=man:tender-xmem(1)\nAfter=local-fs.target nss-user-lookup.target\n\n\
         [Service]\nType=exec\nExecStart={program} run NAME=%I MEM={suffix} --parmlib {parmlib}\n\
         ExecReload=/bin/kill -HUP $MAINPID\nEnvironment={home}\n\
         KillMode=mixed\nTimeoutStopSec=90s\nRestart=on-failure\nRestartSec=1s\n\
         # Wrong parameters, name held by another server, not authorised: starting again would not help.\n\
         RestartPreventExitStatus=8 16 20 21 22 24 28 32 44 45 80 88\n\n\
         RuntimeDirectory=tender\nRuntimeDirectoryPreserve=yes\nReadWritePaths={state}\n",
        program = quoted(&facts.program.display().to_string()),
        parmlib = quoted(&facts.parmlib.display().to_string()),
        suffix = facts.suffix,
        home = quoted(&format!("TENDER_HOME={}", facts.home.display())),
        state = quoted(&facts.home.display().to_string()),
    );
    for directory in &facts.written {
        // One that is not there yet must not keep the server from starting.
        writeln!(text, "ReadWritePaths={}", quoted(&format!("-{}", directory.display())))
            .expect("a string takes everything");
    }
    text.push_str(
        "\n# NOSWAP: secrets stay in memory, and memory stays.\n\
         MemorySwapMax=0\nLimitMEMLOCK=64M\nLimitCORE=0\nOOMScoreAdjust=-900\n\
         LimitNOFILE=65536\nTasksMax=16384\n\n\
         # KEY(4): nothing else gets at it, and it gets at nothing else.\n\
         NoNewPrivileges=yes\nProtectKernelTunables=yes\nProtectKernelModules=yes\nProtectKernelLogs=yes\n\
         ProtectClock=yes\nProtectHostname=yes\nLockPersonality=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\n\
         SystemCallArchitectures=native\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n\
         # Auxiliary servers get cgroups of their own.\nDelegate=yes\n",
    );
    let inspect = if facts.is_inspecting { " CAP_SYS_PTRACE" } else { "" };
    writeln!(text, "CapabilityBoundingSet={CAPABILITIES}{inspect}").expect("a string takes everything");
    text.push_str(if facts.is_running_others {
        "# ZWES.RUNAS.UIDS: users' programs run below this unit and must be able to write, and to compile as they run.\n\
         ProtectSystem=full\n"
    } else {
        "ProtectSystem=strict\nProtectHome=read-only\nPrivateTmp=yes\nMemoryDenyWriteExecute=yes\n"
    });
    text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
    text
}

/// Quotes a word for a unit.
pub(crate) fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', r"\\").replace('"', r#"\""#).replace('%', "%%").replace('$', "$$");
    if escaped.contains([' ', '\t', '"', '\'', ';']) { format!("\"{escaped}\"") } else { escaped }
}

/// Takes the value of a key apart as systemd does: blanks between words, quotes, `\` before a character, `%%`, `$$`.
pub(crate) fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = value.chars().peekable();
    while let Some(next) = rest.next() {
        let taken = match (next, quote) {
            ('\\', _) => rest.next().unwrap_or('\\'),
            ('%' | '$', _) if rest.next_if_eq(&next).is_some() => next,
            ('"' | '\'', None) => {
                quote = Some(next);
                word.get_or_insert_default();
                continue;
            }
            (_, Some(open)) if open == next => {
                quote = None;
                continue;
            }
            (blank, None) if blank.is_whitespace() => {
                words.extend(word.take());
                continue;
            }
            _ => next,
        };
        word.get_or_insert_default().push(taken);
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_were_quoted_are_read_back() {
        for word in
            ["-/srv/stage", "-/srv/a b", "/x\ty", r"/back\slash", "/a\"b", "/it's", "/100%", "/$HOME", "/a;b"]
        {
            assert_eq!(words(&quoted(word)), [word]);
            let two = format!("{} {}", quoted(word), quoted("/other"));
            assert_eq!(words(&two), [word, "/other"]);
        }
        assert_eq!(words(r#" a "b c"d  'e f' "" "#), ["a", "b cd", "e f", ""]);
        assert!(words(" \t").is_empty());
    }
}
