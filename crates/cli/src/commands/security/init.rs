//! `tender security init`.

use tender_package::{Message, Outcome};
use tender_saf::{Esm, SetupNames};

use crate::commands::Shell;
use crate::commands::saf::{Which, code, commit, context, open, store_fault};
use crate::error::{CommandError, RuntimeFault};
use crate::live::Live;

/// What lets an ordinary user call, to be copied.
const FIRST_CALLER: &str = "  tender saf adduser ann\n  \
                            tender saf permit zwes.is 'class(facility) id(ann) access(read)'\n  \
                            tender saf permit 'zwes.is.srv.**' 'class(facility) id(ann) access(read)'";

/// Options of `tender security init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "For `tender` the definitions are made in the authorisation database; what is there already stays \
                        as it is, and a difference is reported with 4. For the others the commands are printed, each \
                        with the command that shows whether it is needed.\n\n\
                        Examples:\n  tender security init --dry-run\n  tender security init --esm racf > zwesecur.txt"
)]
pub(crate) struct Args {
    /// The security product: tender, racf, acf2 or tss
    #[arg(long, default_value = "tender")]
    esm: Esm,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print a file for systemd-sysusers with the groups, and the users that `xmem install` does not make, and do
    /// nothing else
    #[arg(long, conflicts_with = "dry_run")]
    sysusers: bool,
    /// Group of the administrators
    #[arg(long, value_name = "GROUP", default_value = "ZWEADMIN")]
    admin_group: String,
    /// Group of the users of started tasks; that of the administrators when left out
    #[arg(long, value_name = "GROUP")]
    task_group: Option<String>,
    /// User of the main server
    #[arg(long, value_name = "USER", default_value = "ZWESVUSR")]
    server_user: String,
    /// User of the cross-memory server
    #[arg(long, value_name = "USER", default_value = "ZWESIUSR")]
    xmem_user: String,
    /// User of the auxiliary servers; when left out ZWESAUX for `tender`, where they must not share a user with the
    /// server, and that of the cross-memory server for the others
    #[arg(long, value_name = "USER")]
    aux_user: Option<String>,
    /// First qualifier of the data sets
    #[arg(long, value_name = "HLQ", default_value = "ZWE")]
    prefix: String,
    /// The product's own class
    #[arg(long, value_name = "CLASS", default_value = "ZOWE")]
    class: String,
    #[command(flatten)]
    which: Which,
}

impl Args {
    fn names(&self) -> SetupNames {
        let upper = |text: &str| text.to_uppercase();
        SetupNames {
            admin_group: upper(&self.admin_group),
            task_group: upper(self.task_group.as_ref().unwrap_or(&self.admin_group)),
            system_group: upper(&self.admin_group),
            server_user: upper(&self.server_user),
            xmem_user: upper(&self.xmem_user),
            aux_user: upper(self.aux_user.as_ref().unwrap_or(&self.xmem_user)),
            prefix: upper(&self.prefix),
            class: upper(&self.class),
            ..SetupNames::default()
        }
    }

    /// Makes the definitions, or prints the commands that make them.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let names = self.names();
        if self.sysusers {
            let installed: Vec<&str> = tender_parmlib::ACCOUNTS.iter().map(|account| account.name).collect();
            return printed(shell, &tender_saf::sysusers_text(&names, &installed));
        }
        if self.esm != Esm::Tender {
            return printed(shell, &tender_saf::setup_text(&names, self.esm));
        }
        let store = open(&self.which.path(shell))?;
        let (database, _) =
            store.load().map_err(|fault| store_fault("failed to read the authorisation database", fault))?;
        let plan = tender_saf::setup_database(&database, &names, &context(shell)).map_err(|fault| {
            let code = code(fault.return_code());
            CommandError::from(RuntimeFault::new("ZWES2015E", code, "nothing is defined").because(fault))
        })?;
        let is_check = shell.is_check || self.dry_run;
        let is_new = !plan.changes.is_empty();
        let mut outcome = commit(shell, is_check, &*store, "security init".to_owned(), plan)?;
        if is_new && !is_check {
            outcome.say(
                Message::with_id(
                    "ZWES2016I",
                    "root may call the services that change nothing; nobody else may",
                )
                .with_hint(format!("to let the Linux user ann in:\n{FIRST_CALLER}")),
            );
        }
        Ok(outcome)
    }
}

/// Prints text as it is: it is to be kept in a file.
fn printed(shell: &Shell, text: &str) -> Result<Outcome, CommandError> {
    Live::new(shell.audience).line(text.trim_end()).map_err(CommandError::Print)?;
    Ok(Outcome { data: serde_json::json!({ "text": text }), ..Outcome::default() })
}
