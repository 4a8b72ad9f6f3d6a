//! Notes beside the versions.

use crate::actor::Actor;

impl Actor {
    /// Notes something about a chain, again and again until it is there.
    pub(crate) fn note(&mut self, number: usize) {
        // A tenant without data has nothing to note.
        let has_data = {
            let inner = self.world.lock();
            let tenant = |chain: usize| self.setting.tenant_of(chain);
            inner.model.versions.keys().any(|(chain, _)| tenant(*chain) == tenant(number))
        };
        if !has_data {
            return;
        }
        let (count, chain) = (self.next_count(), self.chain(number));
        let owner = format!("actor {} note {count}", self.me);
        let note =
            |r: &cbr_store::Repository| r.note(chain.tenant, chain.chain, &owner, owner.as_bytes());
        if self.repeat("note", Some(number), note) {
            let mut inner = self.world.lock();
            inner.saw("a note was kept");
            inner.model.notes.entry((number, self.me)).or_default().push(owner);
        }
    }
}
