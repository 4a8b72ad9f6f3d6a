//! The chain of digests over an account's records.
//!
//! Each digest is over the digest before it and the text of the record, so a record that is altered,
//! taken out, put in or moved breaks all that follow. What is cut off at the end is missed only by
//! who has noted a later head.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};
use cbr_db::{Columns, KeptTrace};
use cbr_model::audit::Trace;

/// The digest before the first record.
const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How far a chain reaches: noted elsewhere, it shows later that nothing before it was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// How many records there are.
    pub number: u64,
    /// The digest of the last one, in hexadecimal.
    pub digest: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { number: 0, digest: START.to_owned() }
    }
}

/// Where a chain is not what was recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// The first place at which it is not.
    pub number: u64,
    /// What is wrong there.
    pub reason: &'static str,
}

impl Head {
    /// The record at the place after this one, and its digest.
    pub(super) fn next(&self, trace: &Trace) -> serde_json::Result<KeptTrace> {
        let record = serde_json::to_string(trace)?;
        let digest = self.digest_with(&record);
        Ok(KeptTrace { columns: Columns::from(trace), record, digest })
    }

    /// SHA-256 of the digest before, a line feed, and the record; in hexadecimal.
    fn digest_with(&self, record: &str) -> String {
        let mut context = Context::new(&SHA256);
        context.update(self.digest.as_bytes());
        context.update(b"\n");
        context.update(record.as_bytes());
        let mut text = String::with_capacity(64);
        for byte in context.finish().as_ref() {
            write!(text, "{byte:02x}").unwrap_or_default();
        }
        text
    }

    /// Goes on by one record, if it is what was recorded.
    pub(super) fn follow(&self, kept: &KeptTrace) -> Result<Self, Broken> {
        let broken = |reason| Broken { number: self.number + 1, reason };
        if kept.columns.number != self.number + 1 {
            return Err(broken("the record is missing"));
        }
        if kept.digest != self.digest_with(&kept.record) {
            return Err(broken("the record or one before it was changed"));
        }
        let trace: Trace =
            serde_json::from_str(&kept.record).map_err(|_| broken("the record cannot be read"))?;
        if Columns::from(&trace) != kept.columns {
            return Err(broken("what lists show of the record was changed"));
        }
        Ok(Self { number: trace.number, digest: kept.digest.clone() })
    }
}

#[cfg(test)]
mod tests {
    use cbr_model::{DomainId, Timestamp, TraceId, UserId};
    use uuid::Uuid;

    use super::*;

    fn trace(number: u64) -> Trace {
        Trace {
            id: TraceId::from_uuid(Uuid::from_u128(number.into())),
            domain: DomainId::from_uuid(Uuid::from_u128(1)),
            number,
            project: None,
            at: Timestamp(5),
            user: UserId::from_uuid(Uuid::from_u128(2)),
            user_name: "admin".into(),
            domain_name: "acme".into(),
            service: "CBR".into(),
            name: "createVault".into(),
            resource_type: "vault".into(),
            resource_id: number.to_string(),
            resource_name: "v".into(),
            request_id: "req-1".into(),
            source_ip: None,
            request: None,
            refused: None,
            agency: None,
            home: None,
        }
    }

    fn chain(length: u64) -> Vec<KeptTrace> {
        let mut head = Head::default();
        (1..=length)
            .map(|number| {
                let kept = head.next(&trace(number)).unwrap();
                head = head.follow(&kept).unwrap();
                kept
            })
            .collect()
    }

    fn verify(chain: &[KeptTrace]) -> Result<Head, Broken> {
        chain.iter().try_fold(Head::default(), |head, kept| head.follow(kept))
    }

    fn broken_at(chain: &[KeptTrace]) -> Option<u64> {
        verify(chain).err().map(|broken| broken.number)
    }

    #[test]
    fn what_was_recorded_is_whole() {
        let head = verify(&chain(5)).unwrap();
        assert_eq!((head.number, head.digest.len()), (5, 64));
    }

    /// AUD-01: neither a change nor a gap, an addition or another order stays unseen.
    #[test]
    fn whatever_is_changed_is_seen_at_the_first_place() {
        let sound = chain(5);
        let mut altered = sound.clone();
        altered[2].record = altered[2].record.replace("admin", "other");
        assert_eq!(broken_at(&altered), Some(3));

        let mut shown = sound.clone();
        shown[2].columns.user_name = "other".into();
        assert_eq!(broken_at(&shown), Some(3));

        let mut without = sound.clone();
        without.remove(2);
        assert_eq!(broken_at(&without), Some(3));

        let mut swapped = sound.clone();
        swapped.swap(1, 2);
        assert_eq!(broken_at(&swapped), Some(2));

        // Altered with a digest that fits: the next one does not.
        let mut forged = sound;
        let before = Head { number: 2, digest: forged[1].digest.clone() };
        let mut other = trace(3);
        other.user_name = "other".into();
        forged[2] = before.next(&other).unwrap();
        assert_eq!(broken_at(&forged), Some(4));
    }
}
