//! Notes: what the caller wants to find again when its database is lost, and that no version's card says.
//!
//! A subject – anything of a tenant that has a UUID – has notes that are numbered from 1 without gaps, put only
//! if absent, and never changed or removed; so all agree on their order. They are read by name, one after the
//! other, and so is what a listing withholds between them and at the end. A number that was lost is not given again:
//! what came after it would come before.
//!
//! **Once.** Of one owner there is one note about a subject: a task that does its work again, or two workers of it
//! at once, find what was put. Who sleeps before a put finds its number taken.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Repository;
use crate::backend::{BackendExt, Decided, Key};
use crate::error::{Error, Result};
use crate::format::place::{self, Place};
use crate::format::record::{NOTE_BYTES_MAX, Note, Record, TEXT_BYTES_MAX};
use crate::planted::{self, Bug};

/// So many numbers in a row that are not listed are looked for by name: a listing may withhold some. Where
/// more are missing, somebody else made the name behind them.
const WITHHELD_MAX: u64 = 16;

/// A note that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Noted {
    /// Whose it is.
    pub tenant: Uuid,
    /// What it is about.
    pub subject: Uuid,
    /// Who made it.
    pub owner: String,
    /// What it says.
    pub content: Vec<u8>,
}

impl Repository {
    /// Keeps a note about something of a tenant, after those that are there. If `owner` has noted something
    /// about the subject already, that stays, and nothing is added: may be repeated.
    ///
    /// A tenant without data gets none: when the database is lost there is nothing that a note could be about.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `owner` has more than 4096 bytes or `content` more than a MiB; [`Error::NoKey`]
    /// with a maintenance key; what is wrong with the tenant's keys, if they ended meanwhile: the note may be there
    /// then, and who has the keys that count reads it.
    pub fn note(&self, tenant: Uuid, subject: Uuid, owner: &str, content: &[u8]) -> Result<()> {
        self.check_writable()?;
        if owner.len() > TEXT_BYTES_MAX || content.len() > NOTE_BYTES_MAX {
            return Err(Error::Invalid { what: "a note is too long".to_owned() });
        }
        let Some(keys) = self.tenant(tenant)? else { return Ok(()) };
        if !keys.opens_data() {
            return Err(Error::NoKey { object: place::note(tenant, subject, 1).to_string() });
        }
        let note = Note { owner: owner.to_owned(), content: content.to_vec() };
        let listed = self.listed_notes(&place::notes_about(tenant, subject))?;
        let listed = listed.into_values().next().unwrap_or_default();
        let last = listed.last().copied().unwrap_or_default();
        for n in with_withheld(&listed).chain(after(last)) {
            let key = place::note(tenant, subject, n);
            let there = self.backend.get(&key)?;
            if there.is_none() && n < last {
                continue;
            }
            let is_new = there.is_none();
            let is_blind = !is_new && planted::has(Bug::NotedTwice);
            let object =
                there.unwrap_or_else(|| note.seal(&key, keys.as_ref(), self.random.as_ref()));
            // Also what is there is put: only a put says that it is durable, and numbers have no gaps.
            let (object, is_ours) = match self.backend.put_decided(&key, &[&object])? {
                Decided::Ours => (object, is_new),
                Decided::Other(there) => (there, false),
            };
            match self.open_note(tenant, &key, &object) {
                Ok(found) if found.owner == owner && !is_blind => return Ok(()),
                // Our own: the keys it was sealed with ended meanwhile. The next number would be no better.
                Err(error) if is_ours || error.is_no_answer() => return Err(error),
                // Somebody else's, or nobody can read whose it is.
                Ok(_) | Err(_) => {}
            }
        }
        let key = place::note(tenant, subject, last);
        Err(Error::damaged(&key, "no number comes after it: this name is none of ours"))
    }

    /// All notes of all tenants, those about one subject in their order. What cannot be read is logged and left
    /// out; [`Repository::check`] names it.
    pub fn notes(&self) -> Result<Vec<Noted>> {
        let mut notes = Vec::new();
        for tenant in self.key_tenants()? {
            match self.tenant(tenant) {
                Ok(Some(_)) => self.notes_of(tenant, &mut notes)?,
                Ok(None) | Err(Error::Shredded { .. }) => {}
                Err(error) if error.is_no_answer() => return Err(error),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(%tenant, error, "the notes of a tenant cannot be read");
                }
            }
        }
        Ok(notes)
    }

    fn notes_of(&self, tenant: Uuid, notes: &mut Vec<Noted>) -> Result<()> {
        for (subject, listed) in self.listed_notes(&place::notes(tenant))? {
            let mut last = 0;
            for n in with_withheld(&listed) {
                if n - last > 1 {
                    tracing::error!(%tenant, %subject, last, n, "notes are missing in between");
                }
                last = n;
                notes.extend(self.read_note(tenant, subject, n)?);
            }
            // What is not listed and cannot be read may be nothing at all.
            for n in after(last) {
                let Some(note) = self.read_note(tenant, subject, n)? else { break };
                notes.push(note);
            }
        }
        Ok(())
    }

    /// The numbers of the notes below a prefix, as they are listed, by subject.
    fn listed_notes(&self, prefix: &str) -> Result<BTreeMap<Uuid, BTreeSet<u64>>> {
        let mut subjects: BTreeMap<Uuid, BTreeSet<u64>> = BTreeMap::new();
        for entry in self.backend.list_all(prefix)? {
            if let Some(Place::Note(_, subject, n)) = Place::parse(&entry.key) {
                subjects.entry(subject).or_default().insert(n);
            }
        }
        Ok(subjects)
    }

    /// A note that is there and can be read; what is wrong with one is logged.
    fn read_note(&self, tenant: Uuid, subject: Uuid, n: u64) -> Result<Option<Noted>> {
        let key = place::note(tenant, subject, n);
        let read = match self.backend.get(&key) {
            Ok(Some(object)) => self.open_note(tenant, &key, &object),
            Ok(None) => return Ok(None),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok(Note { owner, content }) => Ok(Some(Noted { tenant, subject, owner, content })),
            Err(error) if error.is_no_answer() => Err(error),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%key, error, "unreadable note");
                Ok(None)
            }
        }
    }

    /// The note in `object`. A key that is not known may be new, of another process: keys are read again, once.
    fn open_note(&self, tenant: Uuid, key: &Key, object: &[u8]) -> Result<Note> {
        let open = || match self.tenant(tenant)? {
            Some(keys) => Note::open(object, key, keys.as_ref()),
            None => Err(Error::Missing { object: place::tenant_keys(tenant) }),
        };
        match open() {
            Err(Error::UnknownKey { .. }) => {
                self.forget_tenant(tenant);
                open()
            }
            opened => opened,
        }
    }
}

/// The numbers that are listed, with some that are not before each.
fn with_withheld(listed: &BTreeSet<u64>) -> impl Iterator<Item = u64> {
    let before = std::iter::once(0).chain(listed.iter().copied());
    before.zip(listed).flat_map(|(before, &n)| {
        let first = (before.saturating_add(1)).max(n.saturating_sub(WITHHELD_MAX));
        first..=n
    })
}

/// The numbers after `last`.
fn after(last: u64) -> impl Iterator<Item = u64> {
    last.checked_add(1).into_iter().flat_map(|first| first..=u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P8: names that nobody of us made cost no time.
    #[test]
    fn what_a_listing_withholds_is_looked_for_within_reason() {
        let numbers = |listed: &[u64]| -> Vec<u64> {
            with_withheld(&listed.iter().copied().collect()).collect()
        };
        assert_eq!(numbers(&[]), Vec::<u64>::new());
        assert_eq!(numbers(&[1, 2, 5]), [1, 2, 3, 4, 5]);
        assert_eq!(numbers(&[3]), [1, 2, 3]);
        let far = numbers(&[1, 1 << 60, u64::MAX]);
        assert_eq!(far.len(), 1 + 2 * (1 + usize::try_from(WITHHELD_MAX).unwrap()));
        assert_eq!(far.last(), Some(&u64::MAX));
        assert_eq!(after(u64::MAX).next(), None);
        assert_eq!(after(7).take(2).collect::<Vec<_>>(), [8, 9]);
    }
}
