//! Faults of installing, with their return codes.

use std::path::PathBuf;

use tender_package::ReturnCode;
use tender_parmlib::{InstallError, ListError, ModuleError};

use crate::error::{CommandError, RuntimeFault};

/// Makes a fault of what could not be installed; the numbers of the original installer stand behind ours.
pub(super) fn install(doing: &str, fault: InstallError) -> CommandError {
    use InstallError as E;
    let (code, hint): (ReturnCode, &str) = match &fault {
        // 4 data set not found, 7 member not found.
        E::Missing { .. } => (ReturnCode::Unknown, "name the directory of the delivery with -d"),
        E::NotText { .. } => (ReturnCode::Syntax, "choose a path that is UTF-8"),
        E::NotADirectory { .. } | E::NotAFile { .. } => {
            (ReturnCode::Refused, "move away what is there, or choose another directory")
        }
        // 8 member in use.
        E::Busy { .. } => (ReturnCode::Busy, "run it again when that is finished"),
        E::Changed { .. } => (ReturnCode::Busy, "run it again"),
        E::Damaged { .. } | E::Journal { .. } => (ReturnCode::Integrity, "look at the disk"),
        E::Member { .. } => (ReturnCode::Refused, "mend the member, then run it again"),
        E::HalfDone { .. } => (ReturnCode::Partial, "run it again: it goes on taking back what was begun"),
        // 8 copy failed, 13 write.
        E::NotWritable { .. } => (ReturnCode::Outside, "run it as a user who may write there"),
        E::Io { .. } | E::TooLarge { .. } => (ReturnCode::Outside, "mend that, then run it again"),
        E::Program { .. } | E::NoUserTool | E::UserNotMade { .. } => {
            (ReturnCode::Outside, "create the users zwesiusr, zwesfrnt and zwesaux by hand")
        }
    };
    let id = if code == ReturnCode::Busy { "ZWES2103E" } else { "ZWES2102E" };
    RuntimeFault::new(id, code, doing).because(fault).with_hint(hint).into()
}

/// Makes a fault of a list of authorised modules that cannot be used.
pub(super) fn list(path: PathBuf, fault: ListError) -> CommandError {
    let text = format!("the list of authorised modules `{}` cannot be read", path.display());
    RuntimeFault::new("ZWES2104E", ReturnCode::Integrity, text)
        .because(fault)
        .with_hint("mend that line")
        .into()
}

/// Makes a fault of a module that cannot be used.
pub(super) fn module(fault: ModuleError) -> CommandError {
    let code = match &fault {
        ModuleError::NotFound { .. } => ReturnCode::Unknown,
        ModuleError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            ReturnCode::Unknown
        }
        ModuleError::Io { .. } | ModuleError::TooLarge { .. } => ReturnCode::Outside,
        ModuleError::Mismatch { .. } => ReturnCode::Integrity,
        _ => ReturnCode::Refused,
    };
    RuntimeFault::new("ZWES2105E", code, "the module cannot be authorised").because(fault).into()
}
