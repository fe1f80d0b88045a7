//! System calls where there are no tables of them, which is said in the report.

use super::{ConfineError, Level, Mechanism, Report, Role};

/// Sets no filter.
#[expect(clippy::unnecessary_wraps, reason = "where there are tables it can fail")]
pub(super) fn apply(_role: Role, _more: &[libc::c_long], report: &mut Report) -> Result<(), ConfineError> {
    let why = format!("no tables for {}", std::env::consts::ARCH);
    report.note(Mechanism::Seccomp, Level::Missing(why));
    Ok(())
}
