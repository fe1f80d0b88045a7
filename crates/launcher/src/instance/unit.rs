//! The systemd unit of an instance.

use std::fmt::Write as _;
use std::path::Path;

/// What a unit says.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'u> {
    /// The instance directory.
    pub directory: &'u Path,
    /// The HA instance id, when several share the directory.
    pub ha_id: Option<&'u str>,
    /// The `tender` program.
    pub program: &'u Path,
    /// Who runs it; systemd's own user when there is none.
    pub user: Option<&'u str>,
}

/// Returns the text of the unit.
///
/// `Delegate=yes` gives the launcher cgroups of its own, `KillMode=mixed` signals the launcher alone, which then stops
/// the components in their order. Type `notify`: the unit is active when every component is READY.
#[must_use]
pub fn text(unit: &Unit<'_>) -> String {
    let directory = quoted(&unit.directory.display().to_string());
    let program = quoted(&unit.program.display().to_string());
    let ha = unit.ha_id.map(|id| format!(" --ha-instance {}", quoted(id))).unwrap_or_default();
    let mut text = format!(
        "[Unit]\nDescription=Tender instance {}\nAfter=network-online.target\nWants=network-online.target\n\n\
         [Service]\nType=notify\nNotifyAccess=main\n",
        unit.directory.display().to_string().replace('%', "%%")
    );
    if let Some(user) = unit.user {
        writeln!(text, "User={user}").expect("a string takes everything");
    }
    write!(
        text,
        "ExecStart={program} launcher run --instance {directory}{ha}\n\
         ExecReload={program} reload --instance {directory}{ha}\n\
         Delegate=yes\nKillMode=mixed\nTimeoutStartSec=30min\nTimeoutStopSec=5min\nRestart=on-failure\nRestartSec=5s\n\
         # Refused by a rule, held by another launcher, wrong syntax, not there: starting again would not help.\n\
         RestartPreventExitStatus=16 20 24 28\n\n[Install]\nWantedBy=multi-user.target\n"
    )
    .expect("a string takes everything");
    text
}

/// Quotes a word for a command line in a unit.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', r"\\").replace('"', r#"\""#).replace('%', "%%").replace('$', "$$");
    if escaped.contains([' ', '\t', '"', '\'', ';']) { format!("\"{escaped}\"") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_quotes_what_systemd_would_expand() {
        let unit = Unit {
            directory: Path::new("/srv/my instance/100%"),
            ha_id: Some("lpar1"),
            program: Path::new("/usr/bin/tender"),
            user: Some("zowe"),
        };
        let text = text(&unit);
        assert!(text.contains("run --instance \"/srv/my instance/100%%\" --ha-instance lpar1\n"), "{text}");
        for line in ["Type=notify\n", "User=zowe\n", "Delegate=yes\n", "KillMode=mixed\n"] {
            assert!(text.contains(line), "{text}");
        }
    }
}
