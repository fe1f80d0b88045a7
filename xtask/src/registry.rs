//! PyPI and npm through their ordinary clients, asked again a few times before giving up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::program;

/// The wheels are for this platform, whatever machine fetches them.
const WHEEL_PLATFORMS: &[&str] =
    &["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"];
const ATTEMPTS_MAX: usize = 3;

/// Runs a registry's client a few times; that it fails every time is the registry's fault, not the code's.
pub(crate) fn ask(registry: &str, make: impl Fn() -> Command) -> Result<(), Failure> {
    let mut said = String::new();
    for _ in 0..ATTEMPTS_MAX {
        let output = program::output(&mut make())?;
        if output.status.success() {
            return Ok(());
        }
        said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Err(Failure::registry(registry, &said))
}

/// Returns pip of an environment of its own, made at first use; Debian's Python may not be changed.
fn pip(venv: &Path) -> Result<PathBuf, Failure> {
    let python = venv.join("bin/python");
    if !python.exists() {
        program::run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    }
    Ok(python)
}

/// Asks for a wheel of CPython 3.12 on this platform, without what it needs.
fn wheel(python: &Path, verb: &str) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", verb, "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.12"]);
    pip.args(["--abi", "cp312", "--abi", "abi3", "--abi", "none"]);
    pip.args(WHEEL_PLATFORMS.iter().flat_map(|platform| ["--platform", platform]));
    pip
}

/// Unpacks a wheel as pip installs it.
pub(crate) fn install_wheel(requirement: &str, dir: &Path, venv: &Path) -> Result<(), Failure> {
    let python = pip(venv)?;
    ask("PyPI", || {
        let mut pip = wheel(&python, "install");
        pip.args(["--no-compile", "--upgrade", "--target"]).arg(dir).arg(requirement);
        pip
    })?;
    // What pip notes about its own run is not part of the release.
    for entry in fs::read_dir(dir).map_err(Failure::file("read", dir))? {
        let path = entry.map_err(Failure::file("read", dir))?.path();
        for name in ["INSTALLER", "REQUESTED"] {
            let note = path.join(name);
            if note.exists() {
                fs::remove_file(&note).map_err(Failure::file("remove", &note))?;
            }
        }
    }
    Ok(())
}

/// Fetches a wheel into an empty directory and returns its path.
pub(crate) fn download_wheel(requirement: &str, dir: &Path, venv: &Path) -> Result<PathBuf, Failure> {
    let python = pip(venv)?;
    ask("PyPI", || {
        let mut pip = wheel(&python, "download");
        pip.arg("--dest").arg(dir).arg(requirement);
        pip
    })?;
    only_file(dir)
}

/// Fetches a package as published and unpacks it.
pub(crate) fn unpack_npm_package(package: &str, dir: &Path) -> Result<(), Failure> {
    let packed = dir.with_extension("packed");
    for made in [&packed, dir] {
        fs::create_dir_all(made).map_err(Failure::file("make", made))?;
    }
    ask("npm", || {
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", "--pack-destination"]).arg(&packed).arg(package);
        npm
    })?;
    let mut tar = Command::new("tar");
    program::run(tar.arg("-xzf").arg(only_file(&packed)?).arg("-C").arg(dir).arg("--strip-components=1"))?;
    fs::remove_dir_all(&packed).map_err(Failure::file("remove", &packed))
}

/// Installs a package with what it needed on a day; no script of it is run.
pub(crate) fn install_npm_tree(package: &str, before: &str, dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(Failure::file("make", dir))?;
    ask("npm", || {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]);
        npm.args(["--no-package-lock", "--prefix"]).arg(dir).arg(format!("--before={before}")).arg(package);
        npm
    })
}

fn only_file(dir: &Path) -> Result<PathBuf, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(Failure::file("read", dir))? {
        files.push(entry.map_err(Failure::file("read", dir))?.path());
    }
    match <[PathBuf; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(files) => Err(Failure::Unexpected {
            what: format!("the registry gave one file into {}", dir.display()),
            found: format!("{} files", files.len()),
        }),
    }
}
