//! The seeds of every target, changed by chance: never a panic, and never more memory than is due
//! (P24, P29). The same for longer, with coverage: `fuzz/`, `scripts/soak`.
#![expect(clippy::unwrap_used, reason = "a test may stop anywhere")]

use cbr_env::{Random, SeededRandom};
use cbr_fuzz::{TARGETS, Target};

/// Changes of a target's seeds: fewer where one takes long, because it goes through a file or a socket.
/// `CBR_CHANGES=objects:1000000` makes so many of that target, and leaves the others alone.
fn changes(target: &Target) -> u64 {
    if let Ok(wanted) = std::env::var("CBR_CHANGES") {
        let (name, count) = wanted.split_once(':').expect("CBR_CHANGES=TARGET:NUMBER");
        return if name == target.name { count.parse().expect("a number") } else { 0 };
    }
    match target.name {
        "image" => 100,
        "s3" => 400,
        _ => 4000,
    }
}

/// Numbers by chance.
struct Chance(SeededRandom);

impl Chance {
    fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % end.max(1) as u64).unwrap()
    }

    /// One to four small changes, or a splice with another seed.
    fn change(&self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let byte = || u8::try_from(self.below(256)).unwrap();
            match self.below(8) {
                0 | 1 => {
                    bytes.get_mut(at).into_iter().for_each(|there| *there ^= 1 << self.below(8));
                }
                2 => bytes.get_mut(at).into_iter().for_each(|there| *there = byte()),
                3 => bytes
                    .get_mut(at)
                    .into_iter()
                    .for_each(|there| *there = [0, 255, 127, 128][self.below(4)]),
                4 => bytes.truncate(at),
                5 => drop(
                    bytes.splice(at..at, (0..self.below(12)).map(|_| byte()).collect::<Vec<_>>()),
                ),
                6 => drop(bytes.drain(at..(at + self.below(9)).min(bytes.len()))),
                _ => {
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[self.below(other.len() + 1)..]);
                }
            }
        }
        bytes
    }
}

/// How many changes were tried.
fn attack(target: &Target, seed: u64) -> u64 {
    let (seeds, chance) = ((target.seeds)(), Chance(SeededRandom::new(seed)));
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    for bytes in &seeds {
        (target.run)(bytes);
    }
    let changes = changes(target);
    for change in 0..changes {
        let pick = || &seeds[chance.below(seeds.len())];
        let bytes = chance.change(pick(), pick());
        let ran = std::panic::catch_unwind(|| (target.run)(&bytes));
        if let Err(panic) = ran {
            panic!("{}, change {change}: {panic:?}\n{}", target.name, hex::encode(&bytes));
        }
    }
    changes
}

/// What a process has used of memory at most, in bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn no_change_of_good_bytes_breaks_anything_that_reads_them() {
    for (seed, target) in (1..).zip(&TARGETS).filter(|(_, target)| changes(target) > 0) {
        let line = format!("changed bytes, {}: {} changes\n", target.name, attack(target, seed));
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }
    let peak = peak_bytes();
    assert!(peak < 512 << 20, "{peak} bytes of memory");
}
