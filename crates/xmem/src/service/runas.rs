//! RUNAS (23): a program run as the actor of the call.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limits::Invalid;
use super::{Request, ServiceId};
use crate::code::RunAsCode;

const PATH_BYTES_MAX: usize = 4095;
const TEXT_BYTES_MAX: usize = 8192;
const ARGUMENTS_MAX: usize = 256;
const ARGUMENTS_BYTES_MAX: usize = 128 * 1024;
const OUTPUT_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// What to run. The payload is a [`super::Parcel`] of this and the program's standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunAs {
    /// Absolute path of the program.
    pub program: String,
    /// Its arguments, without the program's own name.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Its environment: this and nothing else, but for HOME, USER, LOGNAME, SHELL and PATH where they are not said.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Absolute path to run in; the user's home when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Bytes of standard output, and as many of standard error, that are kept; at most 4 MiB.
    #[serde(default = "output_bytes")]
    pub output_bytes_max: u32,
}

const fn output_bytes() -> u32 {
    65_536
}

impl RunAs {
    /// A program without arguments, with 64 KiB of output.
    #[must_use]
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            directory: None,
            output_bytes_max: output_bytes(),
        }
    }
}

/// How it ended. Standard output and then standard error follow as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAsResult {
    /// The exit status, when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal, when one ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Bytes of standard output that follow.
    pub stdout_bytes: u32,
    /// Bytes of standard error that follow those.
    pub stderr_bytes: u32,
    /// Whether there was more of either.
    #[serde(default)]
    pub truncated: bool,
}

impl Request for RunAs {
    const SERVICE: ServiceId = ServiceId::RunAs;
    const EXAMPLES: &'static [&'static str] = &[
        r#"{"program": "/usr/bin/id", "arguments": ["-u"], "environment": {"LANG": "C"}, "directory": "/", "output_bytes_max": 65536}"#,
    ];
    type Answer = RunAsResult;

    fn validate(&self) -> Result<(), Invalid> {
        path(&self.program, "program")?;
        if let Some(directory) = &self.directory {
            path(directory, "directory")?;
        }
        if self.arguments.len() > ARGUMENTS_MAX || self.environment.len() > ARGUMENTS_MAX {
            let reason = format!("more than {ARGUMENTS_MAX} arguments or variables");
            return Err(Invalid::new(RunAsCode::TooLong, "arguments", reason));
        }
        let mut bytes = 0;
        for argument in &self.arguments {
            bytes += plain(argument, "arguments")?;
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains('=') {
                return Err(Invalid::new(RunAsCode::Control, "environment", "a name is empty or has ="));
            }
            bytes += plain(name, "environment")? + plain(value, "environment")?;
        }
        if bytes > ARGUMENTS_BYTES_MAX {
            let reason = format!("{bytes} bytes together, at most {ARGUMENTS_BYTES_MAX} are allowed");
            return Err(Invalid::new(RunAsCode::TooLong, "arguments", reason));
        }
        if self.output_bytes_max > OUTPUT_BYTES_MAX {
            let reason = format!("{} is above {OUTPUT_BYTES_MAX}", self.output_bytes_max);
            return Err(Invalid::new(RunAsCode::TooLong, "output_bytes_max", reason));
        }
        Ok(())
    }
}

fn path(value: &str, field: &'static str) -> Result<(), Invalid> {
    if value.is_empty() {
        return Err(Invalid::new(RunAsCode::Empty, field, "is empty"));
    }
    if value.len() > PATH_BYTES_MAX {
        return Err(Invalid::new(RunAsCode::TooLong, field, format!("more than {PATH_BYTES_MAX} bytes")));
    }
    if value.chars().any(char::is_control) {
        return Err(Invalid::new(RunAsCode::Control, field, "has a control character"));
    }
    if !value.starts_with('/') {
        return Err(Invalid::new(RunAsCode::NotAbsolute, field, "is not an absolute path"));
    }
    Ok(())
}

fn plain(value: &str, field: &'static str) -> Result<usize, Invalid> {
    if value.len() > TEXT_BYTES_MAX {
        return Err(Invalid::new(
            RunAsCode::TooLong,
            field,
            format!("one has more than {TEXT_BYTES_MAX} bytes"),
        ));
    }
    if value.contains('\0') {
        return Err(Invalid::new(RunAsCode::Control, field, "one has a NUL byte"));
    }
    Ok(value.len() + 1)
}
