//! The reference of error codes as a document: `docs/api/errors.md`.

use std::fmt::Write as _;

use super::ErrorCode;

/// The text of `docs/api/errors.md`. Generated, so that it cannot go stale.
pub fn reference_markdown() -> String {
    let mut text = String::from(
        "# Error codes\n\n\
         Generated from `crates/api/src/error/code.rs` by `cargo xtask gen`; do not edit.\n\n\
         Every answer has a header `X-Request-Id`; the log has the cause of a failure under that id.\n\
         `BackupService.` and `APIG.` codes are the contract's. `CBRX.` codes are this server's own, for what\n\
         the contract has no word for. The shapes of the body are in [design.md](design.md).\n\n\
         | code | HTTP | meaning |\n|---|---|---|\n",
    );
    let mut rows: Vec<_> =
        ErrorCode::ALL.iter().map(|code| (code.wire(), code.meaning())).collect();
    rows.sort_by_key(|((_, wire), _)| *wire);
    for ((status, wire), meaning) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{wire}` | {} | {meaning} |", status.as_u16());
    }
    text
}
