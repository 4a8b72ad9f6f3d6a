//! A fold: the beginning of a chain's log in one object.
//!
//! A copy, never a second truth: every record it repeats stays where it is, a fold may be absent
//! or lost at any time, and a check compares it with the records.

use super::{Abort, Claim, Delete, Outcome, Record};
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::envelope::ObjectKind;

/// The most sessions and the most deleted versions a fold repeats.
const SESSIONS_MAX: usize = 16 * 1024 * 1024;

/// The sessions from number 1 on, and what the delete records from number 1 on name. How many of
/// each is in the object's key.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Fold {
    /// By number; all of them have their verdict.
    pub sessions: Vec<FoldedSession>,
    /// How many delete records are folded.
    pub deletes: u64,
    /// The versions that are gone for good by them, ascending.
    pub deleted: Vec<u64>,
    /// The others that they put into the trash, ascending by number.
    pub moved: Vec<FoldedMove>,
}

/// A version that is or was in the trash, and is not gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoldedMove {
    /// The version.
    pub seq: u64,
    /// The number of the delete record that put it into the trash, or took it out again.
    pub record: u64,
    /// Whether it is there now.
    pub is_trashed: bool,
}

/// A claim and the verdict on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoldedSession {
    /// The claim.
    pub claim: Claim,
    /// The outcome without its long parts: a commit has no card, an abort no texts.
    pub outcome: Outcome,
    /// Of a commit: the BLAKE3 of the whole outcome object.
    pub hash: Option<[u8; 32]>,
}

impl FoldedSession {
    /// The outcome as a fold repeats it.
    pub fn shorten(outcome: &Outcome) -> Outcome {
        match outcome {
            Outcome::Commit(commit) => {
                let mut commit = commit.clone();
                commit.card = Vec::new();
                Outcome::Commit(commit)
            }
            Outcome::Abort(Abort { nonce, .. }) => {
                Outcome::Abort(Abort { nonce: *nonce, by: String::new(), reason: String::new() })
            }
        }
    }

    fn encode(&self, to: &mut Encoder) {
        self.claim.encode(to);
        self.outcome.encode(to);
        to.option(self.hash, |to, hash| to.raw(&hash));
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let claim = Claim::decode(from)?;
        let outcome = Outcome::decode(from)?;
        let hash = from.option(Decoder::array)?;
        if outcome.nonce() != claim.nonce {
            return Err(Malformed("a verdict on another claim"));
        }
        if Self::shorten(&outcome) != outcome {
            return Err(Malformed("a folded outcome with its long parts"));
        }
        if hash.is_some() != matches!(outcome, Outcome::Commit(_)) {
            return Err(Malformed("a commit without its hash, or an abort with one"));
        }
        Ok(Self { claim, outcome, hash })
    }
}

impl Record for Fold {
    const KIND: ObjectKind = ObjectKind::Fold;

    fn encode(&self, to: &mut Encoder) {
        to.count(self.sessions.len());
        for session in &self.sessions {
            session.encode(to);
        }
        to.varint(self.deletes);
        if !self.moved.is_empty() {
            encode_moves(&self.moved, to);
        }
        to.count(self.deleted.len());
        for seq in &self.deleted {
            to.varint(*seq);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        // Two nonces, a tag each, and texts that may be empty.
        let count = from.count(SESSIONS_MAX, 30)?;
        let sessions =
            (0..count).map(|_| FoldedSession::decode(from)).collect::<Decoded<Vec<_>>>()?;
        let deletes = from.varint()?;
        let moved = decode_moves(from)?;
        let count = from.count(SESSIONS_MAX, 1)?;
        let deleted = (0..count).map(|_| from.varint()).collect::<Decoded<Vec<_>>>()?;
        if !deleted.is_sorted_by(|a, b| a < b) {
            return Err(Malformed("deleted versions are not ascending"));
        }
        if deleted.len() as u64 > deletes.saturating_mul(Delete::SEQS_MAX as u64) {
            return Err(Malformed("more deleted versions than delete records can name"));
        }
        if moved.iter().any(|one| !(1..=deletes).contains(&one.record)) {
            return Err(Malformed("moved by a record that is not folded"));
        }
        if moved.iter().any(|one| deleted.binary_search(&one.seq).is_ok()) {
            return Err(Malformed("a version is gone and is not"));
        }
        Ok(Self { sessions, deletes, deleted, moved })
    }
}

/// What stands before the moved versions: more than a count can be, so that who knows no trash refuses
/// the fold and reads the records. Where there are none there is nothing, as before there was a trash.
const MOVES: u64 = SESSIONS_MAX as u64 + 1;

fn encode_moves(moved: &[FoldedMove], to: &mut Encoder) {
    to.varint(MOVES);
    to.count(moved.len());
    for one in moved {
        to.varint(one.seq);
        to.varint(one.record);
        to.u8(one.is_trashed.into());
    }
}

fn decode_moves(from: &mut Decoder<'_>) -> Decoded<Vec<FoldedMove>> {
    let mut ahead = from.clone();
    if ahead.varint()? != MOVES {
        return Ok(Vec::new());
    }
    *from = ahead;
    let decode_one = |from: &mut Decoder<'_>| {
        let (seq, record) = (from.varint()?, from.varint()?);
        let is_trashed = match from.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed("neither in the trash nor out of it")),
        };
        Ok(FoldedMove { seq, record, is_trashed })
    };
    let count = from.count(SESSIONS_MAX, 3)?;
    let moved = (0..count).map(|_| decode_one(from)).collect::<Decoded<Vec<_>>>()?;
    if moved.is_empty() || !moved.is_sorted_by(|a, b| a.seq < b.seq) {
        return Err(Malformed("moved versions are none, or not ascending"));
    }
    Ok(moved)
}
