//! The protocol of claims, deletions, collection and compaction, explored in every interleaving
//! (P9, P11; I3, I4): writers, a zombie, two collectors, a compactor, deletion of the head, undo.
//!
//! `state.rs` is what lies in the repository and where each process is; `writer.rs`,
//! `collector.rs`, `compactor.rs` are its steps, one per call of the backend; `rules.rs` says what
//! may be left out of them. The protocol as it is must have no counterexample; each rule left out
//! must have one, or the model would prove nothing.
//!
//! A process may be overtaken by any others between any two steps and for any time, also for
//! ever: that is a crash, and the second collector is the one that was started after it. Backends
//! are strongly consistent here; listings that lie are the matter of `tests/hostile`.

#![expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the rules are the model, which the checker passes by reference"
)]

mod collector;
mod compactor;
mod explore;
mod rules;
mod state;
mod writer;
