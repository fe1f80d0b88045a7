//! The known keys, one line each.

/// What the value of a key may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The key alone; with a value it does nothing.
    Flag,
    /// `YES` or `NO`, in capitals.
    Choice,
    /// A decimal number.
    Number {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// The name of a server.
    Server,
    /// The name of a module: 1 to 8 of `A-Z 0-9 $ # @`, not beginning with a digit.
    Module,
    /// The name of a class: 1 to 8 of `A-Z 0-9 # @ $`, not beginning with a digit.
    Class,
    /// A Linux user, by name or by a uid above 0.
    User,
    /// An absolute path.
    Path,
    /// Absolute paths separated by `:`.
    Directories,
    /// Numbers and ranges, as in `1000-1999,2005`.
    Ranges {
        /// The smallest number.
        min: u32,
        /// The largest number.
        max: u32,
    },
    /// Anything.
    Text,
}

impl Kind {
    /// Says what a value must look like.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Flag => "the key alone, without a value".to_owned(),
            Self::Choice => "YES or NO, in capitals".to_owned(),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Server => "1 to 16 of A-Z 0-9 _ $ # @".to_owned(),
            Self::Module => "a module: 1 to 8 of A-Z 0-9 $ # @, not beginning with a digit".to_owned(),
            Self::Class => "a class: 1 to 8 of A-Z 0-9 # @ $, not beginning with a digit".to_owned(),
            Self::User => {
                "a user: a uid above 0, or 1 to 32 of a-z 0-9 _ -, beginning with a letter or _".to_owned()
            }
            Self::Path => "an absolute path without `..`".to_owned(),
            Self::Directories => "absolute paths without `..`, separated by `:`".to_owned(),
            Self::Ranges { min, max } => {
                format!("numbers and ranges from {min} to {max}, as in `{min}-{max}`, separated by commas")
            }
            Self::Text => "text".to_owned(),
        }
    }
}

/// One known key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name; one that ends in `.` is the beginning of a family, as `ZWES.PLUGIN.` is of `ZWES.PLUGIN.ECHO`.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What counts when it is left out; empty when nothing does.
    pub default: &'static str,
    /// One line about it.
    pub description: &'static str,
}

impl Key {
    /// Says whether the name is only the beginning of one.
    #[must_use]
    pub fn is_family(&self) -> bool {
        self.name.ends_with('.')
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, description: &'static str) -> Key {
    Key { name, kind, default, description }
}

/// The largest uid that can be had: the two above mean "nobody known" and "no change".
pub(super) const UID_MAX: u32 = u32::MAX - 2;

/// Every key that the server knows.
pub const KEYS: &[Key] = &[
    key("NAME", Kind::Server, "ZWESIS_STD", "name of the server; counts more than ZWES.NAME"),
    key("COLD", Kind::Flag, "", "start without anything that an earlier server left"),
    key("DEBUG", Kind::Flag, "", "log everything"),
    key("RESET(LOOKUP)", Kind::Flag, "", "make the directory of servers anew"),
    key("ZWES.NAME", Kind::Server, "ZWESIS_STD", "name of the server"),
    key("ZWES.STRICT", Kind::Choice, "NO", "YES: unknown keys and wrong values end the start"),
    key(
        "ZWES.LOADLIB",
        Kind::Directories,
        "",
        "where modules are looked for; beside the server's own when left out",
    ),
    key("ZWES.PLUGIN.", Kind::Module, "", "module of a plug-in; the rest of the key is free"),
    key(
        "ZWES.PCSS_STACK_POOL_SIZE",
        Kind::Number { min: 1, max: 65_536 },
        "1024",
        "calls that the server has under way at once",
    ),
    key(
        "ZWES.PCSS_RECOVERY_POOL_SIZE",
        Kind::Number { min: 1, max: 1_048_576 },
        "8192",
        "calls that the server remembers at once, those waiting included",
    ),
    key(
        "ZWES.CHECKAUTH",
        Kind::Choice,
        "NO",
        "YES: privileged callers are checked too, as they always are here",
    ),
    key("ZWES.AUTH.CLASS", Kind::Class, "", "only class that AUTH answers questions about"),
    key("ZWES.SECMGMT.CLASS", Kind::Class, "", "class of the services on profiles"),
    key("ZWES.SECMGMT.AUTOREFRESH", Kind::Choice, "NO", "YES: refresh that class after each change"),
    key("ZWES.DEV_MODE", Kind::Choice, "NO", "YES: every development mode, with a loud warning"),
    key("ZWES.DEV_MODE.LPA", Kind::Choice, "NO", "YES: plug-ins are loaded anew at every start"),
    key("ZWES.USER.MONITOR", Kind::User, "zwesiusr", "user of the process that decides"),
    key("ZWES.USER.FRONT", Kind::User, "zwesfrnt", "user of the process that clients talk to"),
    key("ZWES.USER.AUXILIARY", Kind::User, "zwesaux", "user of the hosts of plug-ins"),
    key("ZWES.SAF.DATABASE", Kind::Path, "", "authorisation database; that of `tender saf` when left out"),
    key("ZWES.INSPECT", Kind::Choice, "NO", "YES: service INSPECT may read the memory of other processes"),
    key("ZWES.RUNAS.UIDS", Kind::Ranges { min: 1, max: UID_MAX }, "", "users that RUNAS may become; never 0"),
    key("ZWES.PORTS", Kind::Ranges { min: 1, max: 65_535 }, "", "ports that service PORT may open"),
    key("ZWES.PLACE.", Kind::Directories, "", "directories that service PLACE may write for this slot"),
    key(
        "ZWES.DRAIN_SECONDS",
        Kind::Number { min: 0, max: 3600 },
        "30",
        "how long a process that is being replaced finishes its calls",
    ),
    key(
        "ZWES.CALL_DEADLINE_MS",
        Kind::Number { min: 1, max: 3_600_000 },
        "30000",
        "the server's own deadline of a call",
    ),
    key(
        "ZWES.CALLS_PER_CONNECTION",
        Kind::Number { min: 1, max: 65_536 },
        "64",
        "calls of one connection that are under way at once",
    ),
    key(
        "ZWES.CALLS_PER_UID",
        Kind::Number { min: 1, max: 65_536 },
        "256",
        "calls of one user that are under way at once",
    ),
    key("ZWES.CONNECTIONS_MAX", Kind::Number { min: 1, max: 1_048_576 }, "4096", "connections of everybody"),
    key("ZWES.CONNECTIONS_PER_UID", Kind::Number { min: 1, max: 65_536 }, "256", "connections of one user"),
    key(
        "ZWES.LOG_LINES_PER_SECOND",
        Kind::Number { min: 1, max: 1_000_000 },
        "1000",
        "log lines of one connection; more are counted and left out",
    ),
    key(
        "ZWES.SPIN_US",
        Kind::Number { min: 0, max: 1000 },
        "50",
        "how long a ring is looked at before sleeping",
    ),
    key(
        "ZWES.USERNS",
        Kind::Choice,
        "NO",
        "YES: clients in other user namespaces, by the uid they have here",
    ),
    key(
        "ZWES.AUTH.ATTEMPTS",
        Kind::Number { min: 1, max: 1000 },
        "5",
        "wrong passwords in a row that a caller may try for a user before waiting",
    ),
    key(
        "ZWES.AUXILIARY.MEMORY_MIB",
        Kind::Number { min: 16, max: 1_048_576 },
        "1024",
        "memory that a plug-in may have",
    ),
    key(
        "ZWES.AUXILIARY.PROCESSES",
        Kind::Number { min: 1, max: 65_536 },
        "64",
        "processes and threads that a plug-in may have, where it has a cgroup",
    ),
    key(
        "ZWES.AUDIT.QUEUE_ENTRIES_MAX",
        Kind::Number { min: 16, max: 1_048_576 },
        "16384",
        "audit records that may wait for the disk",
    ),
    key(
        "ZWES.AUDIT.LINGER_MS",
        Kind::Number { min: 0, max: 1000 },
        "5",
        "how long audit records are collected",
    ),
    key(
        "ZWES.AUDIT.WAIT_MS",
        Kind::Number { min: 0, max: 60_000 },
        "2000",
        "how long a refusal waits for room",
    ),
    key(
        "ZWES.AUDIT.RETRY_MS",
        Kind::Number { min: 1, max: 60_000 },
        "500",
        "pause after a write that failed",
    ),
    key("ZWES.CLIENT.", Kind::Text, "", "what one client may read: ZWES.CLIENT.<uid, user or *>.<key>"),
    key("ZWES.PUBLIC.", Kind::Text, "", "what every client may read"),
];

/// Returns the line of the table that a key stands in.
///
/// A family itself, without anything behind its dot, is no key.
#[must_use]
pub fn known_key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        if key.is_family() {
            name.len() > key.name.len() && name.starts_with(key.name)
        } else {
            key.name == name
        }
    })
}

/// Returns the line of the table for a key that stands there as it is written here.
pub(crate) fn line(name: &'static str) -> &'static Key {
    known_key(name).expect("the code asks only for keys of the table; a test goes through all")
}
