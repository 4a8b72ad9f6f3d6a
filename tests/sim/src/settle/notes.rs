//! At rest: every note that was acknowledged is there, once, and those of an actor in their order (P2, P14).

use std::collections::BTreeSet;

use cbr_store::{Repository, Result};

use super::Rest;

impl Rest<'_> {
    pub(super) fn notes(&self, repository: &Repository) -> Result<()> {
        let acknowledged = self.lock().model.notes.clone();
        let found = repository.notes()?;
        let mut seen = BTreeSet::new();
        for note in &found {
            let is_first = seen.insert((note.subject, &note.owner));
            self.demand(is_first, &format!("two notes of {}", note.owner));
            let is_right = note.content == note.owner.as_bytes();
            self.demand(is_right, &format!("the note of {} says something else", note.owner));
        }
        for number in self.chains() {
            let chain = self.plan.setting.chain(number);
            let of_chain = |note: &&cbr_store::Noted| {
                (note.tenant, note.subject) == (chain.tenant, chain.chain)
            };
            let there: Vec<&String> =
                found.iter().filter(of_chain).map(|note| &note.owner).collect();
            for ((_, _), owners) in acknowledged.iter().filter(|((of, _), _)| *of == number) {
                let of_actor: Vec<&String> =
                    there.iter().copied().filter(|owner| owners.contains(owner)).collect();
                let is_right = of_actor.iter().copied().eq(owners);
                self.demand(is_right, &format!("noted {owners:?}, there are {of_actor:?}"));
            }
        }
        Ok(())
    }
}
