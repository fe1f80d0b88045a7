//! The compiler of this machine.

use std::path::PathBuf;
use std::process::Command;

use crate::debian;
use crate::failure::Failure;
use crate::program;

/// What the compiler says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compiler {
    /// The triple that it builds for by itself.
    pub(crate) host: String,
    /// The number of its LLVM before the first point.
    llvm: String,
}

impl Compiler {
    /// Asks it.
    pub(crate) fn of_this_machine() -> Result<Self, Failure> {
        let output = program::output(Command::new("rustc").arg("-vV"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Self::read(&text).ok_or_else(|| Failure::Unexpected {
            what: "rustc names its host and its LLVM".to_owned(),
            found: text.trim().to_owned(),
        })
    }

    fn read(text: &str) -> Option<Self> {
        let after = |word: &str| text.lines().find_map(|line| line.strip_prefix(word));
        let llvm = after("LLVM version: ")?.split('.').next()?;
        Some(Self { host: after("host: ")?.to_owned(), llvm: llvm.to_owned() })
    }

    /// Returns the program that merges profiles of this LLVM: rustup's, or else Debian's, which root gets installed.
    pub(crate) fn profdata(&self) -> Result<PathBuf, Failure> {
        let output = program::output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let of_rustup = sysroot.join("lib/rustlib").join(&self.host).join("bin/llvm-profdata");
        if of_rustup.exists() {
            return Ok(of_rustup);
        }
        let (of_debian, package) = (format!("llvm-profdata-{}", self.llvm), format!("llvm-{}", self.llvm));
        let is_there = || program::works(&[&of_debian, "--version"]);
        if !is_there() && debian::is_root() && program::works(&["apt-get", "--version"]) {
            println!("    apt-get install {package}");
            debian::apt_get(&["update"])?;
            debian::apt_get(&["install", "--yes", "--no-install-recommends", &package])?;
        }
        if is_there() {
            return Ok(of_debian.into());
        }
        Err(Failure::Missing {
            what: vec![format!("{of_debian} (for merging profiles)")],
            install: format!("rustup component add llvm-tools, or as root: apt-get install {package}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_llvm_are_read_from_what_the_compiler_says() {
        let said = "rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        let found = Compiler::read(said).unwrap();
        assert_eq!((found.host.as_str(), found.llvm.as_str()), ("x86_64-unknown-linux-gnu", "22"));
        assert_eq!(Compiler::read("host: x\n"), None);
    }
}
