//! Format v1, from outside: what is written is read, what is changed is detected (P4, P18, P29).

mod decoders;
mod envelope;
mod golden;
mod keys;
mod pack;
mod samples;
mod sharing;
