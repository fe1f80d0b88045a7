//! Passwords of stores: from a file or the environment, never from the command line.

use std::io;
use std::path::PathBuf;

use tender_certificate::{BundleError, Password, PasswordError, Secret};
use tender_package::ReturnCode;

use crate::error::{CommandError, RuntimeFault};

/// Where the password of a store comes from.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct PasswordArgs {
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A variable of the environment that holds the password
    #[arg(long, value_name = "NAME", conflicts_with = "password_file")]
    password_env: Option<String>,
}

impl PasswordArgs {
    /// Reads the password, when one was named.
    pub(super) fn read(&self) -> Result<Option<Secret>, CommandError> {
        let password = match (&self.password_file, &self.password_env) {
            (Some(path), _) => Password::File(path.clone()),
            (None, Some(name)) => Password::Environment(name.clone()),
            (None, None) => return Ok(None),
        };
        resolve(&password).map(Some)
    }
}

/// Reads the password in a file, when one was named.
pub(super) fn of_file(path: Option<PathBuf>) -> Result<Option<Secret>, CommandError> {
    path.map(|path| resolve(&Password::File(path))).transpose()
}

/// Gets the password that a reference stands for.
pub(super) fn resolve(password: &Password) -> Result<Secret, CommandError> {
    password.resolve().map_err(|fault| {
        let code = reference_code(&fault);
        RuntimeFault::new("ZWEL0150E", code, "failed to get a password").because(fault).into()
    })
}

/// Returns the code of a password that cannot be had.
pub(super) fn reference_code(fault: &PasswordError) -> ReturnCode {
    match fault {
        PasswordError::File { source, .. } => code(source),
        PasswordError::NoVariable { .. } => ReturnCode::Unknown,
        PasswordError::NoText { .. } => ReturnCode::Refused,
    }
}

/// Returns the code of a store that cannot be used.
pub(super) fn code(fault: &BundleError) -> ReturnCode {
    match fault {
        BundleError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => ReturnCode::Unknown,
        BundleError::Read { .. } => ReturnCode::Outside,
        BundleError::NoAlias { .. } => ReturnCode::Unknown,
        BundleError::Damaged { .. } => ReturnCode::Integrity,
        _ => ReturnCode::Refused,
    }
}

/// Says what went wrong with a store.
pub(super) fn bundle_fault(doing: &str) -> impl FnOnce(BundleError) -> CommandError + '_ {
    move |fault| {
        let hint = match &fault {
            BundleError::PasswordMissing { .. } | BundleError::Password { .. } => {
                Some("name it with --password-file or --password-env")
            }
            BundleError::Ambiguous { .. } => Some("choose one with --alias"),
            _ => None,
        };
        let mut told =
            RuntimeFault::new("ZWEL0178E", code(&fault), format!("failed to {doing}")).because(fault);
        told.hint = hint.map(str::to_owned);
        told.into()
    }
}
