//! Signatures already seen (P27).
//!
//! A signature has no nonce and its date counts whole seconds, so a client that
//! sends the same read twice within a second sends the same signature twice.
//! The rule that follows: a signature of a changing request is taken once; one of a
//! read may come again within [`READ_REPEAT_SECONDS`] after it was first seen.
//!
//! The memory is this process's own, and bounded; when it is full the oldest entry goes first. What was
//! used for a change is written into the database too, so that neither another node nor a restart, nor
//! a flood of others, makes it good again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use cbr_model::Timestamp;

/// How long a signed read may be repeated: the second its date names, and what a busy
/// network or server adds.
const READ_REPEAT_SECONDS: i64 = 10;

/// SHA-256 of a signature.
pub fn digest_of(signature: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, signature).as_ref());
    bytes
}

/// What has been seen.
#[derive(Debug)]
pub struct SeenSignatures {
    window_seconds: i64,
    entries_max: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    first: HashMap<[u8; 16], Timestamp>,
    order: VecDeque<([u8; 16], Timestamp)>,
}

impl SeenSignatures {
    /// Remembers each signature for twice `skew_seconds`, as long as its date is acceptable,
    /// and at most `entries_max` of them.
    pub fn new(skew_seconds: i64, entries_max: usize) -> Self {
        Self {
            window_seconds: skew_seconds.saturating_mul(2).saturating_add(1),
            entries_max,
            seen: Mutex::default(),
        }
    }

    /// When the date of a signature that is good at `now` refuses it, on every node: with a minute for
    /// clocks that differ.
    pub fn expires_at(&self, now: Timestamp) -> Timestamp {
        now.plus_seconds(self.window_seconds.saturating_add(60))
    }

    /// Whether a verified signature with this digest may be used now, as far as this process knows;
    /// remembers it.
    pub fn admit(&self, digest: [u8; 32], is_mutating: bool, now: Timestamp) -> bool {
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget(now.plus_seconds(-self.window_seconds), self.entries_max);
        if let Some(first) = seen.first.get(&short) {
            return !is_mutating && now.micros_since(*first) <= READ_REPEAT_SECONDS * 1_000_000;
        }
        seen.first.insert(short, now);
        seen.order.push_back((short, now));
        true
    }
}

impl Seen {
    fn forget(&mut self, before: Timestamp, entries_max: usize) {
        while let Some((signature, at)) = self.order.front()
            && (*at < before || self.order.len() >= entries_max)
        {
            self.first.remove(signature);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);

    /// P27.
    #[test]
    fn a_changing_request_is_taken_once() {
        let seen = SeenSignatures::new(900, 100);
        assert!(seen.admit(digest_of(b"a"), true, START));
        assert!(!seen.admit(digest_of(b"a"), true, START));
        assert!(!seen.admit(digest_of(b"a"), true, START.plus_seconds(1800)));
        assert!(seen.admit(digest_of(b"b"), true, START));
    }

    /// A client that polls twice in one second signs the same bytes twice.
    #[test]
    fn a_read_may_be_repeated_for_ten_seconds() {
        let seen = SeenSignatures::new(900, 100);
        assert!(seen.admit(digest_of(b"a"), false, START));
        assert!(seen.admit(digest_of(b"a"), false, START.plus_seconds(10)));
        assert!(!seen.admit(digest_of(b"a"), false, START.plus_seconds(11)));
    }

    #[test]
    fn memory_is_bounded_by_time_and_by_number() {
        let seen = SeenSignatures::new(900, 3);
        for name in [b"a", b"b", b"c", b"d"] {
            assert!(seen.admit(digest_of(name), true, START));
        }
        assert_eq!(seen.seen.lock().unwrap().first.len(), 3);
        assert!(seen.admit(digest_of(b"e"), true, START.plus_seconds(1802)));
        assert_eq!(seen.seen.lock().unwrap().first.len(), 1);
    }
}
