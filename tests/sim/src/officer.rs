//! Keys: made, changed, ended, destroyed. At most one actor of a run does this, as at most one
//! operator does.

use cbr_store::{Error, MasterKey, Result};

use crate::actor::{ATTEMPTS_MAX, Actor};
use crate::model::{Master, Reign, Shred};

impl Actor {
    pub(crate) fn rotate_tenant(&mut self, tenant: usize) {
        let id = self.setting.tenant(tenant);
        let has_data = self.world.lock().oracle.has_keys(id);
        // Whoever has no data has no key.
        if !has_data {
            return;
        }
        if self.repeat("keys", Some(tenant), |r| r.rotate_tenant(id).map(drop)) {
            self.world.lock().saw("a tenant's key was rotated");
        }
    }

    /// A second master key; a change that was begun is finished first.
    pub(crate) fn rotate_master(&mut self) {
        let new = {
            let mut inner = self.world.lock();
            let coming = inner.model.reigning(Reign::Coming).first().copied();
            let is_one = inner.model.reigning(Reign::InForce).len() == 1
                && inner.model.reigning(Reign::Ending).is_empty();
            match coming {
                Some(coming) => coming,
                None if is_one => {
                    let count = inner.model.masters.len();
                    let bytes = [u8::try_from(count).unwrap_or(0xfe) ^ 0xa0; 32];
                    inner.model.masters.push(Master { bytes, reign: Reign::Coming });
                    count
                }
                None => return,
            }
        };
        let key = self.master_key(new);
        if self.repeat("keys", None, |r| r.rotate_master(&key).map(drop)) {
            let mut inner = self.world.lock();
            inner.model.reign(new, Reign::InForce);
            inner.saw("a master key was rotated");
        }
    }

    fn master_key(&self, number: usize) -> MasterKey {
        MasterKey::from_bytes(self.world.lock().model.masters[number].bytes)
    }

    /// Ends the older of two master keys, or goes on with that.
    pub(crate) fn retire_master(&mut self) {
        let (old, new) = {
            let mut inner = self.world.lock();
            let reigning = inner.model.reigning(Reign::InForce);
            let ending = inner.model.reigning(Reign::Ending).first().copied();
            match (ending, reigning.as_slice()) {
                (Some(old), [.., new]) => (old, *new),
                (None, [old, new]) => {
                    inner.model.reign(*old, Reign::Ending);
                    (*old, *new)
                }
                _ => return,
            }
        };
        for _ in 0..ATTEMPTS_MAX {
            let began = self.begin("keys");
            match self.try_retire(old, new) {
                Ok(()) => {
                    let mut inner = self.world.lock();
                    inner.model.reign(old, Reign::Over);
                    inner.saw("a master key was retired");
                    return;
                }
                Err(error) => self.refused("keys", began, &error, None),
            }
        }
    }

    /// As `cbr repo key` does: with the old key as long as it opens the repository.
    fn try_retire(&mut self, old: usize, new: usize) -> Result<()> {
        let key = self.master_key(new);
        match self.open(old) {
            Ok(repository) => repository.retire_master(&key),
            Err(Error::WrongKey { .. }) => self.open(new)?.retire_master(&key),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn shred(&mut self, tenant: usize) {
        let id = self.setting.tenant(tenant);
        self.world.lock().model.shredded.entry(tenant).or_insert(Shred::Asked);
        if self.repeat("keys", Some(tenant), |r| r.shred_tenant(id, "the tenant left")) {
            let mut inner = self.world.lock();
            inner.model.shredded.insert(tenant, Shred::Done);
            inner.model.reigns += 1;
            inner.saw("a tenant was destroyed");
        }
    }
}
