//! The commands: one file each, one line each in [`Command`].

pub(crate) mod agent;
mod cache;
mod catalog;
mod certificate;
mod completion;
mod component;
mod config;
mod console;
mod desktop;
mod diagnose;
mod discovery;
pub(crate) mod envelope;
mod gateway;
mod instance;
pub(crate) mod launcher;
mod logs;
mod man;
mod quickstart;
mod reload;
mod restart;
mod saf;
mod security;
pub(crate) mod servmgr;
pub(crate) mod start;
pub(crate) mod status;
mod stop;
mod support;
pub(crate) mod validate;
mod verify;
mod xmem;

use std::path::PathBuf;

use clap::Subcommand;
use tender_package::Outcome;

use crate::error::CommandError;
use crate::progress::Bars;
use crate::render::Audience;

/// What every command is given: where things are and how to behave.
#[derive(Debug)]
pub(crate) struct Shell {
    /// `$TENDER_HOME`.
    pub(crate) home: PathBuf,
    /// Change nothing, say what would be done.
    pub(crate) is_check: bool,
    /// Who asks.
    pub(crate) operator: String,
    /// Progress bars.
    pub(crate) bars: Bars,
    /// For whom a command writes that says something before its end.
    pub(crate) audience: Audience,
}

impl Shell {
    /// Makes the surroundings of one command.
    pub(crate) fn new(home: PathBuf, is_check: bool, is_quiet: bool, audience: Audience) -> Self {
        let bars = Bars::new(is_quiet || audience == Audience::Machines);
        Self { home, is_check, operator: crate::home::operator(), bars, audience }
    }
}

/// Everything `tender` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The principal: levels, systems, fixes (the seed's SERVMGR)
    #[command(subcommand, visible_alias = "SERVMGR")]
    Servmgr(servmgr::Servmgr),
    /// Fixes in files: make, inspect and verify envelopes
    #[command(subcommand)]
    Envelope(envelope::Envelope),
    /// The managed system: set up, enrol, run, look
    #[command(subcommand)]
    Agent(agent::Agent),
    /// Instances: the directories that hold what a launcher needs
    #[command(subcommand)]
    Instance(instance::Instance),
    /// Starts the launcher of an instance, or components of a running one
    Start(start::Args),
    /// Stops an instance, or components of it
    Stop(stop::Args),
    /// Stops and starts components while the launcher stays
    Restart(restart::Args),
    /// Takes over changes; restarts only what they touch
    Reload(reload::Args),
    /// Shows the components of an instance: state, process, memory, ports
    Status(status::Args),
    /// Shows what components print
    Logs(logs::Args),
    /// Talks to the launcher in the operator's words
    Console(console::Args),
    /// The launcher itself, for service managers
    #[command(subcommand)]
    Launcher(launcher::Launcher),
    /// Checks a configuration and everything it leads to; changes and starts nothing
    Validate(validate::Args),
    /// The configuration: values, where they come from, what components get
    #[command(subcommand)]
    Config(config::Config),
    /// Components and extensions: install, upgrade, enable, check
    #[command(subcommand)]
    Component(component::Component),
    /// Certificates of an instance
    #[command(subcommand)]
    Certificate(certificate::Certificate),
    /// Who may do what: users, groups, profiles, decisions
    Saf(saf::Args),
    /// What the product needs defined in the security product
    #[command(subcommand)]
    Security(security::Security),
    /// The cross-memory server: install, run, ask
    #[command(subcommand)]
    Xmem(xmem::Xmem),
    /// The discovery service: who is there and where it runs
    #[command(subcommand)]
    Discovery(discovery::Discovery),
    /// The gateway: the one way in to all services
    #[command(subcommand)]
    Gateway(gateway::Gateway),
    /// The caching service: what services share
    #[command(subcommand)]
    Cache(cache::Cache),
    /// The catalog: services and their APIs, for people
    #[command(subcommand)]
    Catalog(catalog::Catalog),
    /// The desktop: applications of components, in windows
    #[command(subcommand)]
    Desktop(desktop::Desktop),
    /// Checks an instance from outside
    Verify(verify::Args),
    /// Collects what people need to find a fault, without secrets
    Support(support::Args),
    /// Explains a message of the launcher by its id
    Diagnose(diagnose::Args),
    /// Shows the whole path on this machine, step by step
    Quickstart(quickstart::Args),
    /// Writes the completion script of a shell
    Completion(completion::Args),
    /// Writes the manual pages into a directory
    Man(man::Args),
}

impl Command {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Servmgr(command) => command.run(shell),
            Self::Envelope(command) => command.run(shell),
            Self::Agent(command) => command.run(shell),
            Self::Instance(command) => command.run(shell),
            Self::Start(command) => command.run(shell),
            Self::Stop(command) => command.run(shell),
            Self::Restart(command) => command.run(shell),
            Self::Reload(command) => command.run(shell),
            Self::Status(command) => command.run(shell),
            Self::Logs(command) => command.run(shell),
            Self::Console(command) => command.run(shell),
            Self::Launcher(command) => command.run(shell),
            Self::Validate(command) => command.run(shell),
            Self::Config(command) => command.run(shell),
            Self::Component(command) => command.run(shell),
            Self::Certificate(command) => command.run(shell),
            Self::Saf(command) => command.run(shell),
            Self::Security(command) => command.run(shell),
            Self::Xmem(command) => command.run(shell),
            Self::Discovery(command) => command.run(shell),
            Self::Gateway(command) => command.run(shell),
            Self::Cache(command) => command.run(shell),
            Self::Catalog(command) => command.run(shell),
            Self::Desktop(command) => command.run(shell),
            Self::Verify(command) => command.run(shell),
            Self::Support(command) => command.run(shell),
            Self::Diagnose(command) => command.run(),
            Self::Quickstart(command) => command.run(shell),
            Self::Completion(command) => command.run(),
            Self::Man(command) => command.run(),
        }
    }
}
