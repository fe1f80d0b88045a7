//! What is linked into the process that has privilege: `cargo tree -p tender-xmemd` fits on a screen.

use std::collections::BTreeSet;
use std::process::Command;

/// Everything that may be in it, but for Tender's own crates. A new one is a line here, and a reason in the commit.
const ALLOWED: &[&str] = &[
    // The kernel.
    "bitflags",
    "landlock",
    "enumflags2",
    "libc",
    "linux-raw-sys",
    "nix",
    "rustix",
    "seccompiler",
    // Digests, signatures, secrets.
    "arrayvec",
    "aws-lc-rs",
    "aws-lc-sys",
    "blake3",
    "constant_time_eq",
    "cpufeatures",
    "memmap2",
    "zeroize",
    // JSON.
    "equivalent",
    "foldhash",
    "hashbrown",
    "indexmap",
    "itoa",
    "memchr",
    "serde",
    "serde_core",
    "serde_json",
    "zmij",
    // The profile database, which only the keeper opens.
    "fallible-iterator",
    "fallible-streaming-iterator",
    "hashlink",
    "libsqlite3-sys",
    "rusqlite",
    "smallvec",
    // Time, temporary files, errors.
    "cfg-if",
    "fastrand",
    "getrandom",
    "jiff",
    "jiff-core",
    "once_cell",
    "tempfile",
    "thiserror",
];
/// Lines of a screen.
const SCREEN_LINES: usize = 60;
const OWN: [&str; 7] = ["auxiliary", "identity", "parmlib", "saf", "worker", "xmem", "xmemd"];

/// Returns what is linked into the program here, without what only runs in the compiler.
fn tree(depth: &str) -> Vec<String> {
    let ended = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--offline", "--locked", "-p", "tender-xmemd", "--edges", "normal,no-proc-macro"])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{lib}", "--depth", depth])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap().lines().map(|line| line.replace('_', "-")).collect()
}

#[test]
fn server_is_made_of_what_is_listed_and_fits_on_a_screen() {
    let found: BTreeSet<String> = tree("99").into_iter().collect();
    let own: BTreeSet<String> = OWN.iter().map(|name| format!("tender-{name}")).collect();
    let allowed: BTreeSet<String> =
        ALLOWED.iter().map(|name| name.replace('_', "-")).chain(own.iter().cloned()).collect();
    let unknown: Vec<&String> = found.difference(&allowed).collect();
    assert!(unknown.is_empty(), "not on the list of what the privileged server is made of: {unknown:?}");
    let gone: Vec<&String> = allowed.difference(&found).collect();
    assert!(gone.is_empty(), "on the list and no longer in the server: {gone:?}");
    assert!(found.len() <= SCREEN_LINES, "{} crates do not fit on a screen", found.len());
    assert!(tree("1").len() <= SCREEN_LINES / 2, "too many direct dependencies");
}

#[test]
fn server_speaks_no_protocol_of_the_network_and_has_no_async_runtime() {
    // By what such crates are called, whoever adds one to the list above.
    const NEVER: &[&str] = &[
        "rustls",
        "openssl",
        "native-tls",
        "ring",
        "http",
        "hyper",
        "reqwest",
        "ureq",
        "h2",
        "tokio",
        "async",
        "smol",
        "mio",
        "futures",
        "yaml",
        "toml",
        "clap",
        "tracing-subscriber",
        "regex",
    ];
    for name in tree("99") {
        let is_one = |never: &&&str| {
            let parts: Vec<&str> = name.split('-').collect();
            name.starts_with(&format!("{never}-")) || parts.contains(*never)
        };
        let found = NEVER.iter().find(is_one);
        assert!(found.is_none(), "{name} does not belong into the privileged server");
    }
}
