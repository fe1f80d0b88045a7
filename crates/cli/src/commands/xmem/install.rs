//! `tender xmem install`.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tender_package::{Message, Outcome, ReturnCode, Table};
use tender_parmlib::{
    Before, Content, Found, InstallPlan, InstallRequest, Installed, MemberName, Procedure, ServerName,
    Severity, Step, commit, library, plan, recover,
};

use super::fault;
use super::places::{Places, server_name};
use super::running::Holder;
use crate::commands::Shell;
use crate::error::{CommandError, RuntimeFault};

/// Options of `tender xmem install`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything is staged first and put in place by renames; a failure takes all of it back, and running it again changes \
only what is not as it should be. An edited member is merged with the one that is shipped, never replaced.\n\n\
Without -r the start procedure is a unit in /etc/systemd/system where systemd runs, else the script ZWESISTC in the \
proclib directory beside the members.\n\n\
Examples:\n  \
tender xmem install -d /opt/tender -b /usr/lib/tender/xmem -a /etc/tender/xmem --dry-run\n  \
tender xmem install -d /opt/tender -b /usr/lib/tender/xmem -a /etc/tender/xmem --create-users")]
pub(crate) struct Args {
    /// The directory of the delivery; it has bin/tender-xmemd, or SZWEAUTH/ZWESIS01
    #[arg(short = 'd', value_name = "PREFIX", value_parser = library)]
    prefix: PathBuf,
    /// Where the modules ZWESIS01 and ZWESAUX go
    #[arg(short = 'b', value_name = "LOADLIB", value_parser = library)]
    loadlib: PathBuf,
    /// Where the member ZWESIPxx goes
    #[arg(short = 'a', value_name = "PARMLIB", value_parser = library)]
    parmlib: PathBuf,
    /// Where the start procedure goes
    #[arg(short = 'r', value_name = "PROCLIB", value_parser = library)]
    proclib: Option<PathBuf>,
    /// Where logs go; /var/log/tender for root, else `logs` where Tender keeps its things
    #[arg(short = 'l', value_name = "LOGDIR", value_parser = library)]
    logs: Option<PathBuf>,
    /// Name of the server, for ZWES.NAME in the member
    #[arg(long, value_name = "NAME", value_parser = server_name)]
    name: Option<ServerName>,
    /// Suffix of the member, 2 characters
    #[arg(long, value_name = "XX", default_value = "00", value_parser = MemberName::of_suffix)]
    mem: MemberName,
    /// Which start procedure
    #[arg(long, value_name = "KIND", value_parser = ["systemd", "script"])]
    procedure: Option<String>,
    /// Create the users zwesiusr, zwesfrnt and zwesaux if they are missing
    #[arg(long)]
    create_users: bool,
    /// Where the file for systemd-sysusers goes; /etc/sysusers.d for root, else none is written
    #[arg(long, value_name = "DIR", value_parser = library)]
    sysusers: Option<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    /// Installs, or says what would be done.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let request = self.request(shell)?;
        let is_check = shell.is_check || self.dry_run;
        let is_recovered = !is_check
            && recover(&request)
                .map_err(|cause| fault::install("an earlier run cannot be taken back", cause))?;
        let failed = |cause| fault::install("nothing is installed", cause);
        let found = Found::look(&request).map_err(failed)?;
        let made = plan(&request, &found).map_err(failed)?;
        let mut outcome = planned(&made);
        if is_check {
            outcome.say(Message::with_id("ZWES2111I", "nothing is changed"));
            return Ok(outcome);
        }
        let installed = commit(&made, &mut |point| tender_content::fault::point(point)).map_err(failed)?;
        if is_recovered || installed.is_recovered {
            outcome
                .say(Message::with_id("ZWES2112I", "an earlier run that was cut off was taken back first"));
        }
        told(&mut outcome, &made, &installed);
        if !made.is_empty() {
            let name = request.name.clone().unwrap_or_default();
            let is_running = Holder::of(&Places::find(shell)?.run_of(&name), &name).is_some();
            let steps = next_steps(&request, &made, is_running, shell).join("\n  ");
            outcome.say(Message::with_id("ZWES2119I", "installed").with_hint(format!("next:\n  {steps}")));
        }
        outcome.data = serde_json::json!({ "plan": made, "installed": installed });
        write_log(&request.logs, &outcome)?;
        Ok(outcome)
    }

    fn request(&self, shell: &Shell) -> Result<InstallRequest, CommandError> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| CommandError::File {
                doing: "find the place of",
                path: path.to_owned(),
                source,
            })
        };
        let is_root = rustix::process::geteuid().is_root();
        let parmlib = absolute(&self.parmlib)?;
        let is_systemd = match self.procedure.as_deref() {
            Some(kind) => kind == "systemd",
            // What sd_booted(3) asks.
            None => is_root && Path::new("/run/systemd/system").is_dir(),
        };
        let proclib = match &self.proclib {
            Some(proclib) => absolute(proclib)?,
            None if is_systemd => PathBuf::from("/etc/systemd/system"),
            None => parmlib.join("proclib"),
        };
        let logs = match &self.logs {
            Some(logs) => absolute(logs)?,
            None if is_root => PathBuf::from("/var/log/tender"),
            None => shell.home.join("logs"),
        };
        let sysusers = match &self.sysusers {
            Some(directory) => Some(absolute(directory)?),
            None => is_root.then(|| PathBuf::from("/etc/sysusers.d")),
        };
        if self.create_users && !is_root {
            let text = "users can only be created by root";
            return Err(RuntimeFault::new("ZWES2102E", ReturnCode::Refused, text)
                .with_hint("leave --create-users out: without root everything runs under your own user")
                .into());
        }
        Ok(InstallRequest {
            prefix: absolute(&self.prefix)?,
            loadlib: absolute(&self.loadlib)?,
            parmlib,
            proclib,
            procedure: if is_systemd { Procedure::Systemd } else { Procedure::Script },
            logs,
            member: self.mem.clone(),
            name: self.name.clone(),
            sysusers,
            is_creating_users: self.create_users,
            home: absolute(&shell.home)?,
        })
    }
}

/// Shows a plan.
fn planned(plan: &InstallPlan) -> Outcome {
    let mut outcome = Outcome { data: serde_json::json!({ "plan": plan }), ..Outcome::default() };
    let mut table = Table::new("", &["what", "where", "is", "will be"]);
    for step in &plan.steps {
        let row = match step {
            Step::Directory { path, mode } => [
                "directory".to_owned(),
                path.display().to_string(),
                "absent".to_owned(),
                format!("made, {mode:04o}"),
            ],
            Step::File { what, path, before, content, .. } => {
                let (is, will_be) = match before {
                    Before::Absent => ("absent", described(content)),
                    Before::Same => ("as it should be", "left alone".to_owned()),
                    Before::Other { .. } => ("another", described(content)),
                };
                [(*what).to_owned(), path.display().to_string(), is.to_owned(), will_be]
            }
            Step::Users { names, .. } => {
                ["users".to_owned(), names.join(" "), "absent".to_owned(), "created".to_owned()]
            }
        };
        table.row(row);
    }
    outcome.tables.push(table);
    for change in &plan.member_changes {
        outcome.say(Message::with_id("ZWES2113I", format!("member: {change}")));
    }
    for warning in &plan.member_warnings {
        outcome.say(Message::with_id("ZWES2114W", format!("member: {warning}")));
    }
    for problem in &plan.member_problems {
        let id = if problem.severity == Severity::Error { "ZWES2115W" } else { "ZWES2114W" };
        outcome.say(Message::with_id(id, format!("member: {problem}")));
    }
    if let Some(error) = &plan.member_error {
        outcome.say(Message::with_id("ZWES2115W", format!("member: {error}: the server will not start")));
    }
    if !plan.missing_users.is_empty() && rustix::process::geteuid().is_root() {
        let text = format!("users that the server needs are not there: {}", plan.missing_users.join(", "));
        outcome.say(Message::with_id("ZWES2116W", text).with_hint("--create-users creates them"));
    }
    outcome
}

fn described(content: &Content) -> String {
    match content {
        Content::Module { from, .. } => format!("a copy of {}", from.display()),
        Content::Text(text) => format!("written, {} lines", text.lines().count()),
    }
}

fn told(outcome: &mut Outcome, plan: &InstallPlan, installed: &Installed) {
    if plan.is_empty() {
        outcome.say(Message::with_id("ZWES2117I", "everything was as it should be"));
        return;
    }
    let text = format!("{} files written, {} left alone", installed.written.len(), installed.unchanged.len());
    outcome.say(Message::with_id("ZWES2118I", text));
}

/// Returns the commands that lead from here to a first call, each to be copied as it is.
fn next_steps(request: &InstallRequest, plan: &InstallPlan, is_running: bool, shell: &Shell) -> Vec<String> {
    let is_root = rustix::process::geteuid().is_root();
    let mut steps = Vec::new();
    let name = request.name.as_ref().map_or(ServerName::DEFAULT, ServerName::as_str);
    let server = if name == ServerName::DEFAULT { String::new() } else { format!(" --server {name}") };
    if is_running {
        // It goes on as the new program, without a call that fails; the old line is for the way back.
        steps.push(format!("tender xmem apf add {}", request.loadlib.display()));
        steps.push(format!("tender xmem modify REPLACE{server}"));
        steps.push(format!("tender xmem call STATUS hello{server}"));
        return steps;
    }
    if is_root && !request.is_creating_users && !plan.missing_users.is_empty() {
        steps.push("tender xmem schedule --apply".to_owned());
    }
    steps.push(format!("tender xmem apf add {}", request.loadlib.display()));
    if !shell.home.join("saf.db").exists() && !shell.home.join("saf").is_dir() {
        steps.push("tender saf create".to_owned());
    }
    steps.push("tender security init".to_owned());
    if !is_root {
        // What `security init` gives to root alone, for the user whose server it is.
        let user = &shell.operator;
        steps.push(format!("tender saf adduser {user}"));
        for (profile, access) in [
            ("zwes.is", "read"),
            ("'zwes.is.srv.**'", "read"),
            ("'zwes.is.oper.**'", "update"),
            ("zwes.is.explain", "read"),
        ] {
            steps.push(format!("tender saf permit {profile} 'class(facility) id({user}) access({access})'"));
        }
    }
    steps.push(match request.procedure {
        Procedure::Systemd => format!("systemctl daemon-reload && systemctl enable --now tender-xmem@{name}"),
        Procedure::Script => match request.member.suffix() {
            None | Some("00") => format!("tender xmem start NAME={name}"),
            Some(suffix) => format!("tender xmem start NAME={name} MEM={suffix}"),
        },
    });
    steps.push(format!("tender xmem call STATUS hello{server}"));
    steps
}

/// Writes down what was done, for nobody else to read.
fn write_log(directory: &Path, outcome: &Outcome) -> Result<(), CommandError> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let path = directory.join(format!("tender-xmem-install-{now}-{}.log", std::process::id()));
    let text = crate::render::text(outcome).unwrap_or_default();
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|source| CommandError::File {
        doing: "write the log of an installation that is done,",
        path,
        source,
    })
}
