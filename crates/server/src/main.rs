//! The programme `cbr`: the service, the operator's tools and the client in one binary.

mod arbiter;
mod bootstrap;
mod cli;
mod client;
mod commands;
mod config;
mod connections;
mod courier;
mod data_dir;
mod failure;
mod image;
mod key_backup;
mod node;
mod output;
mod own_repository;
mod ready;
mod telemetry;
mod text;
mod tls;
mod wiring;
mod world;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};
use crate::commands::{block_on, run_async};
use crate::output::Output;
use crate::text::Lang;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.output, cli.lang.unwrap_or_else(Lang::of_environment));
    match run(cli.command, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(text) = failure::render(&error, output.lang) {
                output.note(text);
            }
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

fn run(command: Command, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => args.run(output),
        Command::Doctor(args) => run_async(args.run(output)),
        Command::Node(args) => run_async(args.run(output)),
        Command::Repo(args) => run_async(args.run(output)),
        Command::Config(args) => args.run(output),
        Command::Vault(args) => block_on(args.run(output)),
        Command::Policy(args) => block_on(args.run(output)),
        Command::Volume(args) => block_on(args.run(output)),
        Command::Image(args) => block_on(args.run(output)),
        Command::Server(args) => block_on(args.run(output)),
        Command::Backup(args) => block_on(args.run(output)),
        Command::Agent(args) => block_on(args.run(output)),
        Command::Alarm(args) => block_on(args.run(output)),
        Command::Topic(args) => block_on(args.run(output)),
        Command::Restore(args) => block_on(args.run(output)),
        Command::Checkpoint(args) => block_on(args.run(output)),
        Command::Task(args) => block_on(args.run(output)),
        Command::Iam(args) => run_async(args.run(output)),
        Command::Audit(args) => block_on(args.run(output)),
        Command::Billing(args) => block_on(args.run(output)),
        Command::Login(args) => block_on(args.run(output)),
        Command::Profile(args) => Ok(args.run(output)?),
        Command::Completions(args) => Ok(args.run(Cli::command(), output)?),
        Command::Man(args) => Ok(args.run(Cli::command(), output)?),
    }
}
