//! Notes: what the caller wants to find again when its database is lost, and that no version's card says.
//!
//! A subject – anything of a tenant that has a UUID – has notes that are numbered from 1 without gaps, put only
//! if absent, and never changed or removed; so all agree on their order. They are read by name, one after the
//! other, and so is what a listing withholds at the end.
//!
//! **Once.** Of one owner there is one note about a subject: a task that does its work again, or two workers of it
//! at once, find what was put. Who sleeps before a put finds its number taken.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Repository;
use crate::backend::{BackendExt, Decided};
use crate::crypto::TenantKeys;
use crate::error::{Error, Result};
use crate::format::place::{self, Place};
use crate::format::record::{NOTE_BYTES_MAX, Note, Record, TEXT_BYTES_MAX};
use crate::planted::{self, Bug};

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
    /// with a maintenance key.
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
        let mut n = 1;
        loop {
            let key = place::note(tenant, subject, n);
            let there = self.backend.get(&key)?;
            let is_blind = there.is_some() && planted::has(Bug::NotedTwice);
            let object =
                there.unwrap_or_else(|| note.seal(&key, keys.as_ref(), self.random.as_ref()));
            // Also what is there is put: only a put says that it is durable, and numbers have no gaps.
            let object = match self.backend.put_decided(&key, &[&object])? {
                Decided::Ours => object,
                Decided::Other(there) => there,
            };
            match Note::open(&object, &key, keys.as_ref()) {
                Ok(found) if found.owner == owner && !is_blind => return Ok(()),
                Ok(_) => n += 1,
                Err(error) if error.is_damage() => n += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// All notes of all tenants, those about one subject in their order. What cannot be read is logged and left
    /// out; [`Repository::check`] names it.
    pub fn notes(&self) -> Result<Vec<Noted>> {
        let mut notes = Vec::new();
        for tenant in self.key_tenants()? {
            match self.tenant(tenant) {
                Ok(Some(keys)) => self.notes_of(tenant, &keys, &mut notes)?,
                Ok(None) | Err(Error::Shredded { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(notes)
    }

    fn notes_of(&self, tenant: Uuid, keys: &TenantKeys, notes: &mut Vec<Noted>) -> Result<()> {
        // By subject, the last number that is listed; what is behind it shows by its name.
        let mut subjects: BTreeMap<Uuid, u64> = BTreeMap::new();
        for entry in self.backend.list_all(&place::notes(tenant))? {
            if let Some(Place::Note(_, subject, n)) = Place::parse(&entry.key) {
                let last = subjects.entry(subject).or_default();
                *last = n.max(*last);
            }
        }
        for (subject, last) in subjects {
            for n in 1.. {
                let key = place::note(tenant, subject, n);
                let read = match self.backend.get(&key) {
                    Ok(Some(object)) => Note::open(&object, &key, keys),
                    Ok(None) if n > last => break,
                    Ok(None) => Err(Error::Missing { object: key.to_string() }),
                    Err(error) => Err(error.into()),
                };
                match read {
                    Ok(Note { owner, content }) => {
                        notes.push(Noted { tenant, subject, owner, content });
                    }
                    Err(error) if error.is_damage() => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(%key, error, "unreadable note");
                        // What is not listed and cannot be read may be nothing at all.
                        if n > last {
                            break;
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}
