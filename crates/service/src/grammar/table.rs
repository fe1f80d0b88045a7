//! The SERVMGR verbs of the specification and their keywords, as data.

/// What follows a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: the keyword is a switch.
    Nothing,
    /// Nothing: the keyword itself is the value, as in `NONESM`.
    Itself,
    /// One word; says what it is.
    Word(&'static str),
    /// All words up to the options; says what they are.
    Rest(&'static str),
}

/// One keyword of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyword {
    /// The word, in lower case.
    pub word: &'static str,
    /// The flag it stands for.
    pub flag: &'static str,
    /// What follows it.
    pub takes: Takes,
}

/// One verb with its operands.
#[derive(Debug, Clone, Copy)]
pub struct Phrase {
    /// First word: `srvlvl`, `system`, `managed`, `initialize`.
    pub group: &'static str,
    /// Second word, if the group has several.
    pub verb: Option<&'static str>,
    /// How many names stand before the release; none takes no release.
    pub release_after: Option<usize>,
    /// Names that stand before the first keyword may be read as one; the release counts.
    pub names_min: usize,
    /// Names at the most.
    pub names_max: usize,
    /// Its keywords.
    pub keywords: &'static [Keyword],
}

impl Phrase {
    /// Finds a keyword in any case.
    #[must_use]
    pub fn keyword(&self, word: &str) -> Option<&'static Keyword> {
        self.keywords.iter().find(|keyword| keyword.word.eq_ignore_ascii_case(word))
    }
}

const fn switch(word: &'static str, flag: &'static str) -> Keyword {
    Keyword { word, flag, takes: Takes::Nothing }
}

const fn itself(word: &'static str, flag: &'static str) -> Keyword {
    Keyword { word, flag, takes: Takes::Itself }
}

const fn word(word: &'static str, flag: &'static str, what: &'static str) -> Keyword {
    Keyword { word, flag, takes: Takes::Word(what) }
}

const fn rest(word: &'static str, flag: &'static str, what: &'static str) -> Keyword {
    Keyword { word, flag, takes: Takes::Rest(what) }
}

const fn level(verb: &'static str, names: usize, keywords: &'static [Keyword]) -> Phrase {
    Phrase {
        group: "srvlvl",
        verb: Some(verb),
        release_after: Some(0),
        names_min: 2,
        names_max: names,
        keywords,
    }
}

const fn system(verb: &'static str, names: usize, keywords: &'static [Keyword]) -> Phrase {
    Phrase {
        group: "system",
        verb: Some(verb),
        release_after: Some(0),
        names_min: 2,
        names_max: names,
        keywords,
    }
}

const MANY: usize = 1000;
const FORCE: Keyword = rest("force", "--force", "the reason");
const CHECK: Keyword = switch("check", "--check");
const ESM: Keyword = itself("esm", "--variant");
const NONESM: Keyword = itself("nonesm", "--variant");
const VARIANT: Keyword = word("variant", "--variant", "a variant, such as NONESM");
const HOSTNAME: Keyword = word("hostname", "--hostname", "a host name");
const IPADDRESS: Keyword = word("ipaddress", "--hostname", "an IP address");
const COMMTYPE: Keyword = word("commtype", "--commtype", "FTP");
const PORT: Keyword = word("port", "--port", "a port number");
const REQUIRE: Keyword = switch("require", "--require");
const NOREQUIRE: Keyword = switch("norequire", "--norequire");

static PHRASES: &[Phrase] = &[
    Phrase {
        group: "initialize",
        verb: None,
        release_after: Some(0),
        names_min: 1,
        names_max: 1,
        keywords: &[word("from", "--from", "the directory of the release"), CHECK],
    },
    Phrase {
        group: "managed",
        verb: None,
        release_after: None,
        names_min: 1,
        names_max: MANY,
        keywords: &[
            rest("reason", "--reason", "the reason"),
            word("until", "--until", "a time, such as 2026-12-24T18:00Z"),
            CHECK,
        ],
    },
    level(
        "add",
        2,
        &[
            word("basedon", "--basedon", "BASE or a level"),
            ESM,
            NONESM,
            VARIANT,
            rest("desc", "--desc", "a text"),
            CHECK,
        ],
    ),
    level("delete", 2, &[FORCE, CHECK]),
    level(
        "service",
        MANY,
        &[
            word("exclude", "--exclude", "a fix"),
            word("include", "--include", "a fix"),
            word("select", "--select", "a fix"),
            switch("restart", "--restart"),
            switch("abandon", "--abandon"),
            switch("build", "--build"),
            switch("status", "--status"),
            switch("redo", "--redo"),
            CHECK,
        ],
    ),
    level(
        "localmod",
        3,
        &[
            word("id", "--id", "an id, such as L0001"),
            word("replace", "--replace", "a part"),
            word("patch", "--patch", "a part"),
            word("add", "--add", "a part"),
            word("delete", "--delete", "a part"),
            word("drop", "--drop", "the id of a local modification"),
            word("reviewed", "--reviewed", "the id of a local modification"),
            word("from", "--from", "a file"),
            word("fixedin", "--fixed-in", "a fix"),
            rest("reason", "--reason", "the reason"),
            CHECK,
        ],
    ),
    level("package", 2, &[CHECK]),
    level("setlock", 3, &[CHECK]),
    level(
        "send",
        3,
        &[
            switch("test", "--test"),
            switch("stable", "--stable"),
            word("lose", "--lose", "a fix"),
            switch("repack", "--repack"),
            FORCE,
            CHECK,
        ],
    ),
    level("embargo", 3, &[rest("reason", "--reason", "the reason"), CHECK]),
    level("query", 2, &[word("system", "--system", "a system")]),
    level("vmfsetup", 3, &[]),
    level("compare", 3, &[]),
    level("promote", 2, &[FORCE, CHECK]),
    level("withdraw", 2, &[rest("reason", "--reason", "the reason"), CHECK]),
    system("add", 3, &[ESM, NONESM, VARIANT, HOSTNAME, IPADDRESS, COMMTYPE, PORT, REQUIRE, NOREQUIRE, CHECK]),
    system("delete", 2, &[FORCE, CHECK]),
    system(
        "modify",
        2,
        &[
            word("srvlvl", "--srvlvl", "a level"),
            ESM,
            NONESM,
            VARIANT,
            HOSTNAME,
            IPADDRESS,
            COMMTYPE,
            PORT,
            REQUIRE,
            NOREQUIRE,
            FORCE,
            CHECK,
        ],
    ),
    system("query", 2, &[]),
    system("servcheck", 2, &[switch("full", "--full")]),
    system("put2prod", 4, &[word("acknowledge", "--acknowledge", "a fix, or ALL"), FORCE, CHECK]),
    system("fallback", 2, &[CHECK]),
    system("unload", 2, &[CHECK]),
    system("absorb", MANY, &[word("into", "--into", "the new level"), CHECK]),
    system("audit", 2, &[word("last", "--last", "a number"), rest("renew", "--renew", "the reason"), CHECK]),
    Phrase {
        group: "system",
        verb: Some("exception"),
        release_after: Some(1),
        names_min: 3,
        names_max: MANY,
        keywords: &[rest("reason", "--reason", "the reason"), CHECK],
    },
];

/// Lists every verb of the seed's grammar.
#[must_use]
pub fn phrases() -> &'static [Phrase] {
    PHRASES
}

/// Lists the first words.
pub(super) fn groups() -> impl Iterator<Item = &'static str> {
    ["initialize", "managed", "srvlvl", "system"].into_iter()
}
