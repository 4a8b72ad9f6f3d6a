//! Prints a generated document: `openapi` or `errors`. `cargo xtask gen` writes them into the tree.

use std::error::Error;
use std::io::Write as _;

fn main() -> Result<(), Box<dyn Error>> {
    let text = match std::env::args().nth(1).as_deref() {
        Some("openapi") => cbr_api::openapi_json()?,
        Some("errors") => cbr_api::error::reference_markdown(),
        _ => return Err("which document: openapi or errors?".into()),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
