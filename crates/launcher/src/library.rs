//! The library of shell functions that scripts of components rely on.
//!
//! Scripts written for the reference call functions of its library (`print_message`, `validate_this`, `require_java`
//! …) or read `$ZWE_zowe_runtimeDirectory/bin/libs/index.sh` themselves. The functions are in `lib.sh`, which is
//! written into the private directory of the HA instance and read before each script. What only makes sense on z/OS,
//! and readers of YAML and JSON, are not there: `tender config get` does that.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::layout::{LayoutError, write_generated};
use crate::script::shell_quoted;

const LIBRARY: &str = include_str!("library/lib.sh");
/// What scripts of the reference read, below the runtime directory.
const ENTRY_FILES: &[&str] = &["bin/libs/index.sh", "bin/libs/configmgr-index.sh"];

/// Says why the library could not be put in place.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file could not be written.
    #[error("write the shell library")]
    Write(#[from] LayoutError),
    /// A directory or link could not be made.
    #[error("make `{}`", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Writes the library into `private` and returns the shell text that reads it.
pub fn install(private: &Path) -> Result<String, LibraryError> {
    let path = private.join("lib.sh");
    // Started components read it again at each restart: it is replaced only when another version of us runs.
    write_generated(&path, LIBRARY.as_bytes(), 0o644)?;
    Ok(format!(". {}", shell_quoted(&path.display().to_string())))
}

/// Says whether a script reads the library of the reference, which this runtime does not bring.
#[must_use]
pub fn is_expected_in(runtime: &Path, script: &str) -> bool {
    ENTRY_FILES.iter().any(|file| script.contains(file) && !runtime.join(file).exists())
}

/// Makes `private/runtime` look like the runtime directory, with our library where scripts of the reference read it.
///
/// The runtime directory itself is never written to. The look-alike is a directory of links; a component whose
/// scripts read the library of the reference gets it as `ZWE_zowe_runtimeDirectory`.
pub fn look_alike(private: &Path, runtime: &Path) -> Result<PathBuf, LibraryError> {
    let place = private.join("runtime");
    let make = |path: &Path| {
        let path = path.to_owned();
        move |source| LibraryError::Make { path, source }
    };
    let libs = place.join("bin/libs");
    fs::create_dir_all(&libs).map_err(make(&libs))?;
    link_entries(runtime, &place, &["bin"]).map_err(make(&place))?;
    if runtime.join("bin").is_dir() {
        link_entries(&runtime.join("bin"), &place.join("bin"), &["libs"]).map_err(make(&place))?;
    }
    if runtime.join("bin/libs").is_dir() {
        link_entries(&runtime.join("bin/libs"), &libs, &["index.sh", "configmgr-index.sh"])
            .map_err(make(&libs))?;
    }
    for file in ENTRY_FILES {
        write_generated(&place.join(file), LIBRARY.as_bytes(), 0o644)?;
    }
    Ok(place)
}

/// Makes `to` hold a link for every entry of `from` but `except`; links that lead nowhere any more are removed.
fn link_entries(from: &Path, to: &Path, except: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(to)? {
        let path = entry?.path();
        if path.is_symlink()
            && fs::read_link(&path).is_ok_and(|target| target.parent() != Some(from) || !path.exists())
        {
            fs::remove_file(&path)?;
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if except.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        match symlink(entry.path(), to.join(entry.file_name())) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn run(shell: &str, text: &str) -> (Option<i32>, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let prelude = install(dir.path()).unwrap();
        let output = Command::new(shell).args(["-c", &format!("{prelude}\n{text}")]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    #[test]
    fn functions_work_in_both_shells() {
        for shell in ["/bin/dash", "/bin/bash"] {
            let (code, out, _) =
                run(shell, "print_message hello; item_in_list a,bc,d bc; item_in_list abc b; upper_case x");
            assert_eq!((code, out.as_str()), (Some(0), "hello\ntrue\nX\n"), "{shell}");
            let (code, _, error) = run(shell, "print_formatted_error ZWELS a 'it broke'");
            assert_eq!(code, Some(0));
            assert!(error.contains("<ZWELS:") && error.contains("ERROR (a) it broke"), "{error}");
        }
    }

    #[test]
    fn failed_check_counts_and_ends_the_script() {
        let (code, _, error) =
            run("/bin/sh", "validate_this 'echo why; false' disk; check_runtime_validation_result");
        assert_eq!(code, Some(1));
        assert!(error.contains("disk: why"), "{error}");
    }

    #[test]
    fn port_in_use_is_refused_and_a_free_one_is_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (code, _, error) = run("/bin/sh", &format!("validate_port_available {port}"));
        assert_eq!(code, Some(1));
        assert!(error.contains(&port.to_string()), "{error}");
        drop(listener);
        assert_eq!(run("/bin/sh", &format!("validate_port_available {port}")).0, Some(0));
    }

    #[test]
    fn look_alike_follows_the_runtime_and_brings_the_library() {
        let dir = tempfile::tempdir().unwrap();
        let (runtime, private) = (dir.path().join("runtime"), dir.path().join("private"));
        fs::create_dir_all(runtime.join("components/a")).unwrap();
        fs::create_dir_all(&private).unwrap();
        assert!(is_expected_in(&runtime, ". ${ZWE_zowe_runtimeDirectory}/bin/libs/index.sh"));
        let place = look_alike(&private, &runtime).unwrap();
        assert!(place.join("components/a").is_dir());
        fs::remove_dir_all(runtime.join("components")).unwrap();
        fs::write(runtime.join("manifest.json"), "{}").unwrap();
        look_alike(&private, &runtime).unwrap();
        assert!(!place.join("components").is_symlink() && place.join("manifest.json").exists());
        let script = format!(". {}/bin/libs/index.sh; print_message ok", place.display());
        let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        assert_eq!(output.stdout, b"ok\n");
    }
}
