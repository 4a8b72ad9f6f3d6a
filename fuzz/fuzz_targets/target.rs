//! Every target is this program under another name; what it does is in `tests/fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cbr_fuzz::run(env!("CARGO_BIN_NAME"), bytes));
