//! What the hints of all domains of a process may take together.

use std::sync::atomic::{AtomicU64, Ordering};

/// A hard bound on bytes. Whoever gets none does without.
#[derive(Debug)]
pub(crate) struct Budget {
    cap_bytes: u64,
    used_bytes: AtomicU64,
}

impl Budget {
    pub(crate) const fn new(cap_bytes: u64) -> Self {
        Self { cap_bytes, used_bytes: AtomicU64::new(0) }
    }

    /// Takes `bytes`, all of them or none.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.cap_bytes);
        self.used_bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    pub(crate) const fn cap_bytes(&self) -> u64 {
        self.cap_bytes
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Acquire)
    }
}
