//! What follows `cbr iam`.

use clap::{Args, Subcommand};

use super::super::session::Session;
use super::{accounts, grants, groups, keys, mfa, policies, users};
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
    /// Second factors: codes of an authenticator beside the password
    #[command(subcommand)]
    Mfa(mfa::Command),
}

impl IamArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open_account(&self.connection, output).await?;
        match self.command {
            IamCommand::User(command) => command.run(&session).await,
            IamCommand::Group(command) => command.run(&session).await,
            IamCommand::Policy(command) => command.run(&session).await,
            IamCommand::Grant(command) => command.run(&session).await,
            IamCommand::Key(command) => command.run(&session).await,
            IamCommand::Account(command) => command.run(&session).await,
            IamCommand::Mfa(command) => command.run(&session).await,
        }
    }
}
