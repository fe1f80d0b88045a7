//! Scripts of components: what interprets them, and how they are started.
//!
//! The reference sources `validate` and `configure` in a shell and feeds the text of `start` to one. Here a script of
//! the Bourne family is run as the text of `sh -c`, after our [prelude](crate::library), so that functions of the
//! library are there and the last command of a start script can take the place of the shell: the server itself is
//! the child. Everything else that is executable is executed as it is.

pub mod exports;
pub mod tail;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Longer texts do not fit an argument of a program (128 KiB on Linux); such scripts are sourced.
const TEXT_BYTES_MAX: usize = 100 * 1024;
/// What a first line is looked for in.
const HEAD_BYTES: usize = 512;

/// Says why a script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The manifest names a file that is not there.
    #[error("script `{}` named by the manifest is not there", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The manifest names a file outside the component.
    #[error("script `{name}` leads out of the component")]
    Outside {
        /// As the manifest says.
        name: String,
    },
    /// It is there but cannot be read.
    #[error("read script `{}`", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is neither a shell script nor executable.
    #[error("`{}` is neither a shell script nor executable", path.display())]
    NotExecutable {
        /// Where.
        path: PathBuf,
    },
}

/// A script and what interprets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The absolute path.
    pub path: PathBuf,
    /// What interprets it.
    pub interpreter: Interpreter,
}

/// What interprets a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interpreter {
    /// A shell of the Bourne family, at this path.
    Shell(PathBuf),
    /// The kernel finds out.
    Kernel,
}

/// Whether a script's exports are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exports {
    /// They are dropped.
    Dropped,
    /// They are written to descriptor 3.
    Kept,
}

impl Script {
    /// Finds the script at `relative`, as a manifest has it, of the component in `root`.
    pub fn find(root: &Path, relative: &Path) -> Result<Self, ScriptError> {
        let inside = relative.components().all(|part| {
            matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir)
        });
        if !inside || relative.as_os_str().is_empty() {
            return Err(ScriptError::Outside { name: relative.display().to_string() });
        }
        let path = root.join(relative);
        let read = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                ScriptError::Missing { path: path.clone() }
            }
            _ => ScriptError::Read { path: path.clone(), source },
        };
        let metadata = fs::metadata(&path).map_err(read)?;
        if !metadata.is_file() {
            return Err(ScriptError::Missing { path });
        }
        let mut head = Vec::with_capacity(HEAD_BYTES);
        File::open(&path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head)).map_err(read)?;
        let is_executable = metadata.permissions().mode() & 0o111 != 0;
        match interpreter(&head, is_executable) {
            Some(interpreter) => Ok(Self { path, interpreter }),
            None => Err(ScriptError::NotExecutable { path }),
        }
    }

    /// Returns the command that checks or configures: the script is sourced after `prelude`.
    ///
    /// With `exports` the environment it leaves is written to descriptor 3, separated by NUL bytes; the exit status is
    /// the script's own, also when it calls `exit`. A program that is no shell script may write such entries there
    /// itself.
    #[must_use]
    pub fn phase_command(&self, prelude: &str, exports: Exports) -> Vec<String> {
        let path = self.path.display().to_string();
        let Interpreter::Shell(shell) = &self.interpreter else { return vec![path] };
        let mut text = prelude.to_owned();
        if exports == Exports::Kept {
            text.push_str(exports::DUMP_TRAP);
        }
        text.push_str("\n. ");
        text.push_str(&shell_quoted(&path));
        text.push('\n');
        vec![shell.display().to_string(), "-c".to_owned(), text, path]
    }

    /// Returns the command that starts the component.
    ///
    /// The text of a shell script becomes the text of `sh -c` with its last command made an `exec`, where that is
    /// safe to see ([`tail`]), and its own path as `$0`. A text too long for that is sourced.
    pub fn start_command(&self, prelude: &str) -> Result<Vec<String>, ScriptError> {
        let path = self.path.display().to_string();
        let Interpreter::Shell(shell) = &self.interpreter else { return Ok(vec![path]) };
        let read = |source| ScriptError::Read { path: self.path.clone(), source };
        let text = fs::read_to_string(&self.path).map_err(read)?;
        let body = if text.len() + prelude.len() > TEXT_BYTES_MAX {
            format!(". {}", shell_quoted(&path))
        } else {
            tail::with_exec(&text)
        };
        Ok(vec![shell.display().to_string(), "-c".to_owned(), format!("{prelude}\n{body}"), path])
    }
}

/// Says what interprets a file that begins with `head`; `None` when nothing can.
fn interpreter(head: &[u8], is_executable: bool) -> Option<Interpreter> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(shebang) = line.strip_prefix(b"#!") else {
        // Scripts of the reference need neither a first line nor an execute bit.
        let is_text = !head.starts_with(b"\x7fELF") && !head.contains(&0);
        return if is_text {
            Some(Interpreter::Shell("/bin/sh".into()))
        } else {
            is_executable.then_some(Interpreter::Kernel)
        };
    };
    let shebang = String::from_utf8_lossy(shebang);
    let mut words = shebang.split_whitespace();
    let first = words.next().unwrap_or_default();
    let program = if first.ends_with("/env") { words.next().unwrap_or_default() } else { first };
    let name = program.rsplit('/').next().unwrap_or_default();
    match name {
        "sh" | "bash" | "dash" | "ksh" | "ksh93" | "mksh" | "ash" => {
            Some(Interpreter::Shell(shell_program(name)))
        }
        _ => is_executable.then_some(Interpreter::Kernel),
    }
}

/// Returns the program of a shell; the one of the system when that one is not installed.
fn shell_program(name: &str) -> PathBuf {
    ["/bin", "/usr/bin"]
        .map(|dir| Path::new(dir).join(name))
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| "/bin/sh".into())
}

/// Quotes a text so that a shell reads it as one word.
#[must_use]
pub fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
