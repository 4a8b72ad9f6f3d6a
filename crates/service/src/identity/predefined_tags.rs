//! Tags that an account has defined, for its people to choose from (TAG-02; the tag service, TMS).

use cbr_model::tag::{PredefinedTag, Tag, check_tag};

use super::service::Identity;
use crate::access::AccountAccess;
use crate::audit::Subject;
use crate::error::db;
use crate::{Error, Result};

/// The most that are defined or removed at once, and the most an account has.
const AT_ONCE_MAX: usize = 50;
const PREDEFINED_MAX: usize = 500;

impl Identity {
    /// The tags that the account has defined, whose key and value contain these texts.
    pub async fn predefined_tags(
        &self,
        access: &AccountAccess,
        key: Option<&String>,
        value: Option<&String>,
    ) -> Result<Vec<PredefinedTag>> {
        let doing = "listing predefined tags";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        tx.predefined_tags().list(access.domain(), key, value).await.map_err(db(doing))
    }

    /// Defines tags, all or none. One that is defined already is as it was.
    pub async fn define_tags(&self, access: &AccountAccess, tags: &[Tag]) -> Result<()> {
        let doing = "defining tags";
        check(tags)?;
        let domain = access.domain();
        let mut tx = self.change(access.actor(), doing).await?;
        for tag in tags {
            tx.predefined_tags().insert(domain, tag).await.map_err(db(doing))?;
        }
        let all = tx.predefined_tags().list(domain, None, None).await.map_err(db(doing))?;
        if all.len() > PREDEFINED_MAX {
            return Err(Error::IdentityLimit { noun: "predefined tags", limit: PREDEFINED_MAX });
        }
        tx.commit(Subject::new("", names(tags))).await
    }

    /// Removes defined tags; what is not defined is fine. Resources keep theirs.
    pub async fn forget_tags(&self, access: &AccountAccess, tags: &[Tag]) -> Result<()> {
        let doing = "removing predefined tags";
        check(tags)?;
        let mut tx = self.change(access.actor(), doing).await?;
        for tag in tags {
            tx.predefined_tags().delete(access.domain(), tag).await.map_err(db(doing))?;
        }
        tx.commit(Subject::new("", names(tags))).await
    }

    /// Defines a tag in the place of another.
    pub async fn replace_tag(&self, access: &AccountAccess, old: &Tag, new: &Tag) -> Result<()> {
        let doing = "changing a predefined tag";
        check(std::slice::from_ref(new))?;
        let domain = access.domain();
        let mut tx = self.change(access.actor(), doing).await?;
        if !tx.predefined_tags().delete(domain, old).await.map_err(db(doing))? {
            let id = format!("{}={}", old.key, old.value);
            return Err(Error::IdentityNotFound { noun: "predefined tag", id });
        }
        tx.predefined_tags().insert(domain, new).await.map_err(db(doing))?;
        tx.commit(Subject::new("", names(std::slice::from_ref(new)))).await
    }
}

fn check(tags: &[Tag]) -> Result<()> {
    if !(1..=AT_ONCE_MAX).contains(&tags.len()) {
        return Err(Error::invalid("tags", format!("1 to {AT_ONCE_MAX} at once")));
    }
    tags.iter().try_for_each(|tag| check_tag(tag).map_err(Error::Tags))
}

fn names(tags: &[Tag]) -> String {
    tags.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect::<Vec<_>>().join(", ")
}
