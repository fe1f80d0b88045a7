//! Packs the example release into the binary, so that `tender quickstart` needs no other file.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let examples = Path::new("../../examples/720");
    println!("cargo::rerun-if-changed={}", examples.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?).join("examples.tar");
    let mut archive = tar::Builder::new(fs::File::create(out)?);
    archive.mode(tar::HeaderMode::Deterministic);
    archive.follow_symlinks(false);
    archive.append_dir_all("720", examples)?;
    archive.finish()
}
