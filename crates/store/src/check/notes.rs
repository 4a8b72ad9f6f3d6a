//! Checking notes: whether they open, and none is missing before another one.

use uuid::Uuid;

use super::report::Problem;
use crate::backend::Key;
use crate::error::{Error, Result};
use crate::format::place;
use crate::format::record::{Note, Record};
use crate::repository::Repository;

/// How often a note is read before what is wrong with it is believed: keys may have changed.
const LOOKS_MAX: usize = 2;

impl Repository {
    /// What is wrong with the tenant's note number `n` about `subject`, or with the one before it.
    ///
    /// # Errors
    /// If it cannot be said.
    pub(super) fn check_note(
        &self,
        (tenant, subject, n): (Uuid, Uuid, u64),
    ) -> Result<Vec<Problem>> {
        let key = place::note(tenant, subject, n);
        let mut problems = Vec::new();
        match self.look_at_note(tenant, &key) {
            Ok(()) => {}
            Err(error) if error.is_no_answer() => return Err(error),
            // Keys were read again: what does not open now is wrong.
            Err(error) => problems.push(Problem::of_key(&key, &error)),
        }
        // Notes stay, and numbers have no gaps.
        if n > 1 {
            let before = place::note(tenant, subject, n - 1);
            if self.backend.size(&before)?.is_none() {
                let missing = Error::Missing { object: before.to_string() };
                problems.push(Problem::of_key(&before, &missing));
            }
        }
        Ok(problems)
    }

    fn look_at_note(&self, tenant: Uuid, key: &Key) -> Result<()> {
        let mut looks = 1;
        loop {
            let opened = self.look_at_note_once(tenant, key);
            if opened.is_ok() || looks == LOOKS_MAX {
                return opened;
            }
            self.forget_tenant(tenant);
            looks += 1;
        }
    }

    fn look_at_note_once(&self, tenant: Uuid, key: &Key) -> Result<()> {
        let keys = match self.tenant(tenant) {
            Ok(Some(keys)) => keys,
            Ok(None) => return Err(Error::Missing { object: place::tenant_keys(tenant) }),
            Err(error) if error.is_no_answer() => return Err(error),
            // Destroyed on purpose; or damaged, which is named with the key itself.
            Err(_) => return Ok(()),
        };
        let object = self.backend.get(key)?;
        let object = object.ok_or_else(|| Error::Missing { object: key.to_string() })?;
        Note::open(&object, key, keys.as_ref()).map(drop)
    }
}
