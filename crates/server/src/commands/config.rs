//! `cbr config …`

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::commands::run_async;
use crate::config::{Config, EXAMPLE};
use crate::output::Output;
use crate::tls::Certificate;

/// Write and check configuration files
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print a configuration file that shows every key with its default
    Example,
    /// Check a configuration file
    Check {
        /// The file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

impl ConfigArgs {
    /// Runs the command.
    pub(crate) fn run(self, output: Output) -> Result<()> {
        match self.command {
            ConfigCommand::Example => output.raw(EXAMPLE.as_bytes())?,
            ConfigCommand::Check { config: path } => {
                let config = Config::load(Some(&path))?;
                config.http.check_address(config.http.listen)?;
                config.database.url()?;
                run_async(async { Certificate::load(&config.http).await.map(drop) })?;
                output.line(output.lang.done_check(path.display()))?;
            }
        }
        Ok(())
    }
}
