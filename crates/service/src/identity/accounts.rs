//! Use cases of accounts, for who runs the installation: the administrator of the first account.

use cbr_db::Tx;
use cbr_model::identity::{Domain, Project};
use cbr_model::{DomainId, ProjectId};
use zeroize::Zeroizing;

use super::credentials::{Bootstrapped, FirstAccount};
use super::service::{Identity, PROVIDER_PROJECT};
use crate::access::AccountAccess;
use crate::audit::Subject;
use crate::error::db;
use crate::rules::identity::{ACCOUNTS_MAX, check_name, check_room};
use crate::{Error, Result};

impl Identity {
    /// Makes an account with a project and an administrator, whose secrets are told only here; its
    /// `password` may be chosen, so that nothing is lost with an answer that does not arrive.
    pub async fn create_account(
        &self,
        access: &AccountAccess,
        wanted: FirstAccount,
        password: Option<Zeroizing<String>>,
    ) -> Result<Bootstrapped> {
        let doing = "making an account";
        let caller = access.actor().caller();
        if !caller.is_administrator() {
            return Err(Error::Forbidden);
        }
        for name in [&wanted.domain_name, &wanted.project_name, &wanted.user_name] {
            check_name("name", name)?;
        }
        let secrets = match password {
            Some(password) => self.chosen_secrets(password, &wanted.user_name).await?,
            None => self.new_secrets().await?,
        };
        let mut tx = self.change(access.actor(), doing).await?;
        if operator(&mut tx).await? != Some(access.domain()) {
            return Err(Error::Forbidden);
        }
        let there_are = tx.domains().count().await.map_err(db(doing))?;
        check_room("accounts", usize::try_from(there_are).unwrap_or(usize::MAX), ACCOUNTS_MAX)?;
        let name = wanted.domain_name;
        if tx.domains().find_by_name(&name).await.map_err(db(doing))?.is_some() {
            return Err(Error::IdentityTaken { noun: "account", name });
        }
        let domain = Domain { id: DomainId::random(&*self.random), name };
        tx.domains().insert(&domain).await.map_err(db(doing))?;
        let id = ProjectId::random(&*self.random);
        let project = Project { id, domain: domain.id, name: wanted.project_name, enabled: true };
        tx.projects().insert(&project).await.map_err(db(doing))?;
        let user = self.administrator(&mut tx, domain.id, &wanted.user_name, &secrets).await?;
        tx.commit(Subject::new(domain.id, &domain.name)).await?;
        Ok(secrets.told(domain.id, project.id, user))
    }
}

/// The account that runs the installation: the one of the first start.
pub(crate) async fn operator(tx: &mut Tx) -> Result<Option<DomainId>> {
    let doing = "reading who runs the installation";
    let Some(text) = tx.settings().find(PROVIDER_PROJECT).await.map_err(db(doing))? else {
        return Ok(None);
    };
    let id: ProjectId = text.parse().map_err(Error::internal(doing))?;
    Ok(tx.projects().find(id).await.map_err(db(doing))?.map(|project| project.domain))
}
