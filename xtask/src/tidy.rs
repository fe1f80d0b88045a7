//! House rules that no lint knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::architecture::packages_built;
use crate::workspace::Workspace;

/// Names that say nothing; a helper lives with the noun it is about.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "shared", "types", "errors"];
/// Cryptography comes from aws-lc-rs alone; these would be a second provider.
const BANNED_PACKAGES: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls", "boring", "mbedtls"];
const LINES_MAX: usize = 1000;

/// Returns the Rust files that git knows or would take, relative to the workspace.
fn rust_files() -> Vec<PathBuf> {
    let root = Workspace::of_this_source().root().to_owned();
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "--", "*.rs"])
        .current_dir(&root)
        .output();
    let listed = output.ok().filter(|output| output.status.success());
    let mut files: Vec<PathBuf> = match listed {
        Some(output) => String::from_utf8(output.stdout).unwrap().lines().map(PathBuf::from).collect(),
        // An unpacked archive of the source has no git.
        None => walk(&root).iter().map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect(),
    };
    files.retain(|file| root.join(file).exists());
    assert!(files.len() > 10, "the workspace has more Rust files than {}", files.len());
    files
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            files.extend(walk(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(Workspace::of_this_source().root().join(file)).unwrap()
}

fn assert_none(offenders: &[String], rule: &str) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn files_and_directories_have_names_that_say_something() {
    let is_empty_name = |file: &Path| {
        file.iter().any(|part| EMPTY_NAMES.contains(&Path::new(part).file_stem().unwrap().to_str().unwrap()))
    };
    let offenders: Vec<_> = rust_files()
        .into_iter()
        .filter(|file| file.ends_with("mod.rs") || is_empty_name(file))
        .map(|file| file.display().to_string())
        .collect();
    assert_none(&offenders, "foo.rs beside foo/, never mod.rs; no utils, common, types, errors");
}

#[test]
fn files_stay_short_enough_to_read() {
    let offenders: Vec<_> = rust_files()
        .into_iter()
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, file)| format!("{lines} lines: {}", file.display()))
        .collect();
    assert_none(&offenders, "a file has one topic and at most 1000 lines");
}

#[test]
fn source_files_begin_with_what_they_are_about() {
    let offenders: Vec<_> = rust_files()
        .into_iter()
        .filter(|file| file.iter().any(|part| part == "src"))
        .filter(|file| !file.ends_with("tests.rs") && !read(file).starts_with("//!"))
        .map(|file| file.display().to_string())
        .collect();
    assert_none(&offenders, "the first line of a source file is a `//!` comment");
}

#[test]
fn libraries_never_print() {
    let prints = ["print", "eprint"].map(|name| [format!("{name}!("), format!("{name}ln!(")]).concat();
    let mut offenders = Vec::new();
    for file in rust_files() {
        let is_library = file.starts_with("crates")
            && !file.starts_with("crates/cli")
            && file.iter().any(|part| part == "src")
            && !file.ends_with("tests.rs");
        if !is_library {
            continue;
        }
        for (number, line) in read(&file).lines().enumerate() {
            let code = line.trim_start();
            if code.starts_with("#[cfg(test)]") {
                break;
            }
            if !code.starts_with("//") && prints.iter().any(|name| code.starts_with(name.as_str())) {
                offenders.push(format!("{}:{}", file.display(), number + 1));
            }
        }
    }
    assert_none(&offenders, "only crates/cli and xtask print");
}

#[test]
fn work_left_behind_has_no_hidden_marks() {
    let marks = [["to", "do!("].concat(), ["unimple", "mented!("].concat(), ["FIX", "ME"].concat()];
    let mut offenders = Vec::new();
    for file in rust_files() {
        for (number, line) in read(&file).lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                offenders.push(format!("{}:{}", file.display(), number + 1));
            }
        }
    }
    assert_none(&offenders, "nothing is left for later in the code");
}

#[test]
fn components_find_the_program_alike() {
    // Each component is delivered alone and cannot source a file of another: what stands in all of them stays the same.
    let components = Workspace::of_this_source().root().join("components");
    let scripts: Vec<_> = std::fs::read_dir(components).unwrap().map(|entry| entry.unwrap().path()).collect();
    let scripts: Vec<_> = scripts.iter().map(|path| path.join("bin/program.sh")).collect();
    let texts: Vec<_> = scripts.iter().map(|path| read(path)).collect();
    assert!(texts.len() >= 5, "{scripts:?}");
    let differ = scripts.iter().zip(&texts).filter(|(_, text)| **text != texts[0]);
    let offenders: Vec<_> = differ.map(|(path, _)| path.display().to_string()).collect();
    assert_none(&offenders, "program.sh is the same in every component");
}

#[test]
fn tree_has_one_crypto_provider() {
    let packages = packages_built();
    let names: Vec<_> = packages.iter().filter_map(|(package, _)| package.split(' ').next()).collect();
    let offenders: Vec<_> =
        names.iter().filter(|name| BANNED_PACKAGES.contains(name)).map(ToString::to_string).collect();
    assert_none(&offenders, "aws-lc-rs is the one crypto provider of the tree");
    assert!(names.contains(&"aws-lc-rs"));
}
