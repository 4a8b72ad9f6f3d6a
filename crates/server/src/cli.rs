//! The command line: what there is to say, not what it does.

use clap::{Parser, Subcommand};

use crate::commands::agent::AgentArgs;
use crate::commands::alarm::AlarmArgs;
use crate::commands::audit::AuditArgs;
use crate::commands::backup::BackupArgs;
use crate::commands::billing::BillingArgs;
use crate::commands::config::ConfigArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::iam::IamArgs;
use crate::commands::image::ImageArgs;
use crate::commands::login::{LoginArgs, ProfileArgs};
use crate::commands::manual::{CompletionsArgs, ManArgs};
use crate::commands::node::NodeArgs;
use crate::commands::policy::PolicyArgs;
use crate::commands::repo::RepoArgs;
use crate::commands::restore::RestoreArgs;
use crate::commands::serve::ServeArgs;
use crate::commands::server::ServerArgs;
use crate::commands::task::{CheckpointArgs, TaskArgs};
use crate::commands::topic::TopicArgs;
use crate::commands::vault::VaultArgs;
use crate::commands::volume::VolumeArgs;
use crate::output::Format;
use crate::text::Lang;

const AFTER_HELP: &str = "\
Whom to talk to: --bootstrap-file or --profile, else CBR_URL with CBR_ACCESS_KEY and
CBR_SECRET_KEY (or CBR_TOKEN) and CBR_PROJECT_ID, else the profile kept by `cbr login`.

Exit codes:
  0    done
  1    it was tried and failed, or the service is at fault
  2    the command line or the configuration is wrong, or a name is ambiguous
  3    what was named does not exist
  4    the service refuses the request as it stands
  5    no service answers
  6    the credential is missing, wrong or not enough
  7    not finished within --timeout (the work goes on)
  130  stopped at the keyboard";

/// Self-hosted cloud backup and recovery.
#[derive(Debug, Parser)]
#[command(name = "cbr", version, propagate_version = true, after_long_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// How results are written
    #[arg(long, short, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// Language of messages; otherwise as LC_ALL, LC_MESSAGES or LANG say
    #[arg(long, global = true, env = "CBR_LANG", value_enum, value_name = "LANGUAGE")]
    pub(crate) lang: Option<Lang>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(ServeArgs),
    Doctor(DoctorArgs),
    Config(ConfigArgs),
    Repo(RepoArgs),
    Node(NodeArgs),
    Vault(VaultArgs),
    Policy(PolicyArgs),
    Volume(VolumeArgs),
    Server(ServerArgs),
    Image(ImageArgs),
    Backup(BackupArgs),
    Agent(AgentArgs),
    Restore(RestoreArgs),
    Checkpoint(CheckpointArgs),
    Task(TaskArgs),
    Alarm(AlarmArgs),
    Topic(TopicArgs),
    Iam(IamArgs),
    Audit(AuditArgs),
    Billing(BillingArgs),
    Login(LoginArgs),
    Profile(ProfileArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        // Also what subcommands inherit, which `debug_assert` alone does not look at.
        let mut command = Cli::command();
        command.build();
        command.debug_assert();
    }

    #[test]
    fn connection_options_go_before_and_after_the_verb() {
        for line in [
            ["cbr", "vault", "--url", "http://x", "list"],
            ["cbr", "vault", "list", "--url", "http://x"],
        ] {
            assert!(Cli::try_parse_from(line).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn an_update_without_a_change_is_refused() {
        assert!(Cli::try_parse_from(["cbr", "vault", "update", "v"]).is_err());
        assert!(Cli::try_parse_from(["cbr", "vault", "update", "v", "--size", "5"]).is_ok());
    }
}
