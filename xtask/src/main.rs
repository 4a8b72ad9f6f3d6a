//! Developer commands, run as `cargo xtask <command>`.
//!
//! Whatever CI checks here is a test as well, so `cargo test` finds it first.
//! Not here: anything the product needs at run time.

mod frozen;
mod generate;
mod requirements;
mod source;
mod tidy;
mod tree;

use std::io::Write as _;
use std::process::ExitCode;

use tree::Tree;

const USAGE: &str = "\
usage: cargo xtask <command>

  tidy      check the rules of the tree: edges, sizes, names, documents, frozen files
  gen       write the generated files (see docs/testing.md)
  freeze    put new migrations and golden files on the list of files that never change
";

fn main() -> ExitCode {
    match run(std::env::args().nth(1).as_deref()) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Option<&str>) -> anyhow::Result<ExitCode> {
    let root = tree::root();
    match command {
        Some("tidy") => {
            let complaints = tidy::check(&Tree::load(&root)?)?;
            for complaint in &complaints {
                say(&format!("{complaint}\n"));
            }
            say(&format!("tidy: {} complaints\n", complaints.len()));
            Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Some("gen") => {
            for path in generate::write(&Tree::load(&root)?)? {
                say(&format!("wrote {path}\n"));
            }
            Ok(ExitCode::SUCCESS)
        }
        Some("freeze") => {
            let added = frozen::freeze(&Tree::load(&root)?)?;
            say(&format!("froze {added} files\n"));
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            say(USAGE);
            Ok(ExitCode::from(2))
        }
    }
}

/// Prints; a reader that went away is no error of ours.
fn say(text: &str) {
    let _gone = std::io::stdout().write_all(text.as_bytes());
}
