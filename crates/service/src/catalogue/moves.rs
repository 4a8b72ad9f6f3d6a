//! Where resources were moved since their last backup, by the notes in the store (docs/adr/0032). Pure.

use std::collections::BTreeMap;

use cbr_model::{ResourceId, Timestamp};
use cbr_store::Noted;
use uuid::Uuid;

use crate::card::{Card, MovedCard, NoteCard, VaultCard};

/// All moves, by resource, in their order.
#[derive(Debug, Default)]
pub(super) struct Moves(BTreeMap<ResourceId, Vec<MovedCard>>);

impl Moves {
    /// What notes say. Those of a resource are in their order; but after a rebuild into another project it may have some
    /// of two tenants, and then the newest backup that had moved by then tells which are older.
    pub(super) fn of(notes: Vec<Noted>) -> Self {
        let mut seen: BTreeMap<(Uuid, ResourceId), Timestamp> = BTreeMap::new();
        let mut moves: BTreeMap<ResourceId, Vec<(Timestamp, MovedCard)>> = BTreeMap::new();
        for note in notes {
            match NoteCard::decode(&note.content) {
                Ok(NoteCard { moved, .. }) => {
                    let newest = seen.entry((note.tenant, moved.resource)).or_insert(moved.newest);
                    // What was deleted since does not make a move older than the one before.
                    *newest = moved.newest.max(*newest);
                    moves.entry(moved.resource).or_default().push((*newest, moved));
                }
                Err(error) => {
                    tracing::warn!(subject = %note.subject, %error, "a note is none of ours");
                }
            }
        }
        let in_order = |mut moves: Vec<(Timestamp, MovedCard)>| {
            moves.sort_by_key(|(newest, _)| *newest);
            moves.into_iter().map(|(_, moved)| moved).collect()
        };
        Self(moves.into_iter().map(|(resource, moves)| (resource, in_order(moves))).collect())
    }

    /// Where a chain is whose newest card is `card`: in the vault of the card, or where its resource was moved since.
    pub(super) fn place<'a>(&'a self, card: &'a Card) -> &'a VaultCard {
        let mut place = &card.vault;
        for moved in self.0.get(&card.resource.id).into_iter().flatten() {
            // What was backed up later says itself where it was.
            if moved.from == place.id && card.backup.created_at <= moved.newest {
                place = &moved.to;
            }
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use cbr_model::VaultId;

    use super::*;

    /// Moves – from, to, and when the newest backup was ordered that moved –, the newest card's vault and time, and
    /// where its chain is.
    type Case = (&'static [(u128, u128, i64)], (u128, i64), u128);

    const A: u128 = 1;
    const B: u128 = 2;
    const C: u128 = 3;

    fn vault(n: u128) -> VaultId {
        VaultId::from_uuid(Uuid::from_u128(n))
    }

    fn card(vault_id: u128, at: i64) -> Card {
        let mut card = Card::decode(include_bytes!("../tests/card_v1.json")).unwrap();
        card.vault.id = vault(vault_id);
        card.backup.created_at = Timestamp(at);
        card
    }

    /// P8: the moves that came after a card, one after the other, say where its chain is.
    #[test]
    fn a_chain_is_where_it_was_moved_after_its_newest_backup() {
        let note = |from, to, newest| {
            let card = card(to, newest);
            let moved = MovedCard {
                resource: card.resource.id,
                from: vault(from),
                to: card.vault,
                newest: card.backup.created_at,
            };
            let content = NoteCard::moved(moved).encode();
            let (tenant, owner) = (Uuid::from_u128(9), String::new());
            Noted { tenant, subject: card.resource.id.as_uuid(), owner, content }
        };
        let cases: [Case; 10] = [
            (&[], (A, 5), A),
            (&[(A, B, 5)], (A, 5), B),
            // A backup that is older than the newest moved as well.
            (&[(A, B, 5)], (A, 4), B),
            // Bound to the first vault again, and backed up.
            (&[(A, B, 5)], (A, 6), A),
            // What stayed elsewhere when it was bound to A.
            (&[(A, B, 5)], (C, 4), C),
            (&[(A, B, 5), (B, A, 5)], (A, 5), A),
            (&[(A, B, 5), (B, A, 5), (A, B, 5)], (A, 5), B),
            // The newest was deleted before it moved back.
            (&[(A, B, 5), (B, A, 3)], (A, 3), A),
            (&[(A, B, 5), (B, A, 7)], (B, 7), A),
            (&[(A, B, 5), (B, C, 7)], (B, 7), C),
        ];
        for (moves, (at, newest), expected) in cases {
            let mut notes: Vec<Noted> =
                moves.iter().map(|(from, to, newest)| note(*from, *to, *newest)).collect();
            notes.push(Noted { content: b"something else".to_vec(), ..note(A, C, 9) });
            let moves = Moves::of(notes);
            assert_eq!(moves.place(&card(at, newest)).id, vault(expected), "{moves:?}");
        }
    }

    /// The layout is a promise to installations, as that of cards is.
    #[test]
    fn a_note_of_the_first_layout_is_read() {
        let text = include_str!("../tests/note_v1.json");
        let note = NoteCard::decode(text.as_bytes()).unwrap();
        assert_eq!(note.moved.to.name.as_str(), "vault-b");
        let written: serde_json::Value = serde_json::from_slice(&note.encode()).unwrap();
        let read: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(written, read, "nothing is dropped and nothing renamed");
        let newer = text.replacen("\"layout\": 1", "\"layout\": 2", 1);
        assert!(NoteCard::decode(newer.as_bytes()).is_err());
    }
}
