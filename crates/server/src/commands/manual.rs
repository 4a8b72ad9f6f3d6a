//! `cbr completions` and `cbr man`: made from the command line's own definition.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use crate::failure::{Failure, Kind};
use crate::output::Output;

/// Print the completion script of a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    /// Runs the command.
    pub(crate) fn run(&self, mut command: clap::Command, output: Output) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "cbr", &mut script);
        output.raw(&script)
    }
}

/// Write the manual pages to a folder
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder, e.g. ~/.local/share/man/man1
    folder: PathBuf,
}

impl ManArgs {
    /// Runs the command.
    pub(crate) fn run(&self, command: clap::Command, output: Output) -> Result<(), Failure> {
        let lang = output.lang;
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| clap_mangen::generate_to(command, &self.folder))
            .map_err(|error| {
                Failure::new(
                    Kind::Failed,
                    lang.what_write_file(self.folder.display()),
                    error.to_string(),
                )
            })
    }
}
