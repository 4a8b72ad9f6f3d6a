//! What follows `cbr iam`.

use clap::{Args, Subcommand};

use super::super::session::Session;
use super::{
    accounts, agencies, enterprise_projects, grants, groups, keys, mfa, mfa_reset, policies, users,
};
use crate::client::ConnectionArgs;
use crate::failure::Failure;
use crate::output::Output;

/// Say who may do what
#[derive(Debug, Args)]
pub(crate) struct IamArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: IamCommand,
}

#[derive(Debug, Subcommand)]
enum IamCommand {
    /// Users: people and programmes
    #[command(subcommand)]
    User(users::Command),
    /// Groups, and who is in them
    #[command(subcommand)]
    Group(groups::Command),
    /// Policies: what can be granted
    #[command(subcommand)]
    Policy(policies::Command),
    /// Which group has which policy, and where
    #[command(subcommand)]
    Grant(grants::Command),
    /// Access keys: at most two per user
    #[command(subcommand)]
    Key(keys::Command),
    /// Accounts, for who runs the installation
    #[command(subcommand)]
    Account(accounts::Command),
    /// Agencies: what another account may do in the name of this one
    #[command(subcommand)]
    Agency(agencies::Command),
    /// Enterprise projects: what vaults belong to across projects
    #[command(subcommand)]
    EnterpriseProject(enterprise_projects::Command),
    /// Second factors: codes of an authenticator beside the password
    #[command(subcommand)]
    Mfa(mfa::Command),
}

impl IamArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<()> {
        match self.command {
            IamCommand::Mfa(mfa::Command::Reset(args)) => mfa_reset::run(args, output).await,
            command => Ok(command.ask(&self.connection, output).await?),
        }
    }
}

impl IamCommand {
    /// Runs what asks the service.
    async fn ask(self, connection: &ConnectionArgs, output: Output) -> Result<(), Failure> {
        let session = Session::open_account(connection, output).await?;
        match self {
            Self::User(command) => command.run(&session).await,
            Self::Group(command) => command.run(&session).await,
            Self::Policy(command) => command.run(&session).await,
            Self::Grant(command) => command.run(&session).await,
            Self::Key(command) => command.run(&session).await,
            Self::Account(command) => command.run(&session).await,
            Self::Agency(command) => command.run(&session).await,
            Self::EnterpriseProject(command) => command.run(&session).await,
            Self::Mfa(command) => command.run(&session).await,
        }
    }
}
