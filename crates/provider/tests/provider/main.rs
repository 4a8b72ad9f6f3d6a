//! The contract on every provider and every kind of storage, and what is special to each.
//!
//! Loop mounts and loop devices need root and the tools of the file system; where
//! they are missing a test says `skipped: …` and why.

#[cfg(test)]
mod command_servers;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod encrypted;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod in_use;
#[cfg(test)]
mod names;
#[cfg(test)]
mod pools;
#[cfg(test)]
mod qemu;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tags;
#[cfg(test)]
mod torn_image;
