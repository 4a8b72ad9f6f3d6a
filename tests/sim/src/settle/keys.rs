//! At rest: changes of keys that were interrupted are finished, and only the newest key opens.

use cbr_store::format::place::Place;
use cbr_store::{Error, MasterKey, Result};

use super::Rest;
use crate::model::Reign;

impl Rest<'_> {
    /// As an operator does who finds an interrupted change: the same again.
    pub(super) fn keys(&mut self) -> Result<()> {
        let coming = self.lock().model.reigning(Reign::Coming).first().copied();
        if let Some(coming) = coming {
            let key = self.master_key(coming);
            self.open(self.reigning())?.rotate_master(&key)?;
            self.lock().model.reign(coming, Reign::InForce);
        }
        let reigning = self.reigning();
        let old: Vec<usize> = {
            let inner = self.lock();
            let ended =
                |at: &usize| *at != reigning && inner.model.masters[*at].reign != Reign::Over;
            (0..inner.model.masters.len()).filter(ended).collect()
        };
        for old in old {
            let key = self.master_key(reigning);
            match self.open(old) {
                Ok(repository) => repository.retire_master(&key)?,
                Err(Error::WrongKey { .. }) => self.open(reigning)?.retire_master(&key)?,
                Err(error) => return Err(error),
            }
            self.lock().model.reign(old, Reign::Over);
        }
        if self.lock().model.masters.len() > 1 {
            // Who was late for the end of a master key gave up, and left a wrap that opens nothing. Whoever
            // ends the old key once more takes it away.
            let key = self.master_key(reigning);
            self.open(reigning)?.retire_master(&key)?;
        }
        self.shredded()?;
        self.only_one_opens();
        Ok(())
    }

    fn master_key(&self, number: usize) -> MasterKey {
        MasterKey::from_bytes(self.lock().model.masters[number].bytes)
    }

    /// What was destroyed is gone for good.
    fn shredded(&mut self) -> Result<()> {
        let tenants: Vec<usize> = self.lock().model.shredded.keys().copied().collect();
        for number in tenants {
            let tenant = self.plan.setting.tenant(number);
            let repository = self.open(self.reigning())?;
            repository.shred_tenant(tenant, "once more")?;
            let chains = (0..self.plan.chains).map(|chain| self.plan.setting.chain(chain));
            for chain in chains.filter(|chain| chain.tenant == tenant) {
                let listed = repository.versions(&chain);
                let is_refused = matches!(listed, Err(Error::Shredded { .. }));
                self.demand(is_refused, &format!("a destroyed tenant lists {listed:?}"));
            }
            repository.remove_shredded(tenant)?;
            let prefix = format!("t/{tenant}/");
            let left: Vec<String> = {
                let inner = self.lock();
                let of_tenant =
                    inner.objects.keys().filter(|key| key.as_str().starts_with(&prefix));
                let is_sign = |key: &&_| matches!(Place::parse(key), Some(Place::Shredded(..)));
                of_tenant.filter(|key| !is_sign(key)).map(ToString::to_string).collect()
            };
            self.demand(left.is_empty(), &format!("of a destroyed tenant there is {left:?}"));
        }
        Ok(())
    }

    /// No other master key than the newest opens anything.
    fn only_one_opens(&mut self) {
        let (reigning, count) = (self.reigning(), self.lock().model.masters.len());
        for other in (0..count).filter(|other| *other != reigning) {
            let opened = self.open(other).is_ok();
            self.demand(!opened, &format!("master key {other} is over and opens"));
        }
        if count == 1 {
            return;
        }
        let numbers: Vec<(String, u32)> = {
            let inner = self.lock();
            let by = |key: &_| match Place::parse(key)? {
                Place::TenantKey(..) => Some((key.to_string(), 0)),
                Place::TenantKeyBy(_, _, by) => Some((key.to_string(), by)),
                _ => None,
            };
            inner.objects.keys().filter_map(by).collect()
        };
        let newest = numbers.iter().map(|(_, by)| *by).max();
        let old: Vec<_> = numbers.iter().filter(|(_, by)| Some(*by) != newest).collect();
        self.demand(old.is_empty(), &format!("wraps by old master keys: {old:?}"));
    }
}
