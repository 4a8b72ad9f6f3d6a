//! Use cases of vaults' tags (TAG-01 … TAG-06, contract C17 … C21).

use cbr_model::VaultId;
use cbr_model::tag::Tag;
use cbr_model::vault::{Vault, VaultUse};

use super::quotas::tags_max;
use super::service::{Vaults, existing};
use crate::audit::Subject;
use crate::error::db;
use crate::rules::tags;
use crate::{Access, Error, Result};

/// Tag keys of a project, each with all its values.
pub type TagsInUse = Vec<(String, Vec<String>)>;

impl Vaults {
    /// Puts tags on a vault; a key that is there gets the new value (contract C17, C18).
    pub async fn put_tags(&self, access: &Access, vault: VaultId, new: Vec<Tag>) -> Result<()> {
        self.change_tags(access, vault, move |vault, limit| tags::with(&vault.tags, &new, limit))
            .await
    }

    /// Takes tags off a vault; keys that are not there are fine (contract C17).
    pub async fn remove_tags(
        &self,
        access: &Access,
        vault: VaultId,
        keys: Vec<String>,
    ) -> Result<()> {
        self.change_tags(access, vault, move |vault, _| tags::without(&vault.tags, &keys)).await
    }

    /// Takes one tag off a vault (contract C19).
    pub async fn remove_tag(&self, access: &Access, vault: VaultId, key: &str) -> Result<()> {
        self.change_tags(access, vault, |vault, _| tags::without_one(&vault.tags, key)).await
    }

    /// All tag keys and values of the project's vaults, in their order (contract C21).
    pub async fn tags_in_use(&self, access: &Access) -> Result<TagsInUse> {
        let mut tx = self.core.db.read().await.map_err(db("listing tags"))?;
        let tags = tx.vaults().tags_in_use(access.project()).await.map_err(db("listing tags"))?;
        let mut keys = TagsInUse::new();
        for tag in tags {
            match keys.last_mut() {
                Some((key, values)) if *key == tag.key => values.push(tag.value),
                _ => keys.push((tag.key, vec![tag.value])),
            }
        }
        Ok(keys)
    }

    async fn change_tags(
        &self,
        access: &Access,
        vault: VaultId,
        change: impl FnOnce(&Vault, usize) -> Result<Vec<Tag>> + Send,
    ) -> Result<()> {
        let mut tx = self.core.change(access, "changing tags").await?;
        let vault = existing(&mut tx, access.project(), vault).await?;
        if !vault.status.allows(VaultUse::Tag) {
            return Err(Error::VaultStatus { status: vault.status });
        }
        let tags = change(&vault, tags_max(&mut tx, access).await?)?;
        let vault = Vault { tags, ..vault };
        tx.vaults().update(&vault).await.map_err(db("changing tags"))?;
        tx.commit(Subject::new(vault.id, &vault.name)).await
    }
}
