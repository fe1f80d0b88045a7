//! Where Tender keeps its things: `$TENDER_HOME`.

use std::path::PathBuf;

/// Returns the directory that was asked for, that of `TENDER_HOME`, or the default of this user.
///
/// Shape: `/var/lib/tender` for root, otherwise `tender` in the XDG data directory; `None` when neither `HOME` nor
///        `XDG_DATA_HOME` says where that is.
pub(crate) fn locate(asked: Option<PathBuf>) -> Option<PathBuf> {
    let data_home = || {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))
    };
    let configured = || std::env::var_os("TENDER_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    asked.or_else(configured).or_else(|| {
        if rustix::process::geteuid().is_root() {
            Some(PathBuf::from("/var/lib/tender"))
        } else {
            Some(data_home()?.join("tender"))
        }
    })
}

/// Returns who is asking, for logs and audit records: the login name, or the number of the user.
pub(crate) fn operator() -> String {
    ["SUDO_USER", "LOGNAME", "USER"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
