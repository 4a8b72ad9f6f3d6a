//! Use cases of agencies: what an account lets another one do in its name (IAM-13).

use cbr_db::Tx;
use cbr_model::identity::Agency;
use cbr_model::{AgencyId, DomainId, Timestamp};

use super::credentials::DomainRef;
use super::service::Identity;
use super::sessions::find_domain;
use crate::access::AccountAccess;
use crate::audit::Subject;
use crate::error::db;
use crate::rules::identity::{AGENCIES_MAX, check_description, check_name, check_room};
use crate::{Error, Result};

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// The longest agency that ends, in days.
const DAYS_MAX: u32 = 3650;

/// How long an agency holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Duration {
    /// Until it is removed.
    Forever,
    /// So many days from now on.
    Days(u32),
}

impl Duration {
    fn end(self, from: Timestamp) -> Result<Option<Timestamp>> {
        match self {
            Self::Forever => Ok(None),
            Self::Days(days @ 1..=DAYS_MAX) => {
                Ok(Some(from.plus_seconds(i64::from(days) * DAY_SECONDS)))
            }
            Self::Days(_) => {
                Err(Error::invalid("duration", format!("FOREVER, ONEDAY, or 1 to {DAYS_MAX} days")))
            }
        }
    }
}

/// An agency to be made.
#[derive(Clone, Debug)]
pub struct AgencyText {
    /// Its name; unique in the account.
    pub name: String,
    /// The account that is trusted.
    pub trusted: DomainRef,
    /// Free text.
    pub description: String,
    /// How long it holds.
    pub duration: Duration,
}

impl Identity {
    /// Makes an agency, which is granted nothing yet.
    pub async fn create_agency(&self, access: &AccountAccess, text: AgencyText) -> Result<Agency> {
        let doing = "making an agency";
        check_name("name", &text.name)?;
        check_description(&text.description)?;
        let mut tx = self.change(access.actor(), doing).await?;
        let domain = access.domain();
        let others = tx.agencies().list(domain).await.map_err(db(doing))?;
        check_room("agencies", others.len(), AGENCIES_MAX)?;
        if others.iter().any(|other| other.name == text.name) {
            return Err(Error::IdentityTaken { noun: "agency", name: text.name });
        }
        let agency = Agency {
            id: AgencyId::random(&*self.random),
            domain,
            name: text.name,
            trusted: trusted(&mut tx, domain, &text.trusted).await?,
            description: text.description,
            created_at: tx.now(),
            expires_at: text.duration.end(tx.now())?,
        };
        tx.agencies().insert(&agency).await.map_err(db(doing))?;
        tx.commit(Subject::new(agency.id, &agency.name)).await?;
        Ok(agency)
    }

    /// The agencies of the account, by name.
    pub async fn agencies(&self, access: &AccountAccess) -> Result<Vec<Agency>> {
        let doing = "listing agencies";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        tx.agencies().list(access.domain()).await.map_err(db(doing))
    }

    /// An agency of the account.
    pub async fn agency(&self, access: &AccountAccess, id: AgencyId) -> Result<Agency> {
        let mut tx = self.db.read().await.map_err(db("reading an agency"))?;
        agency_of(&mut tx, access.domain(), id).await
    }

    /// Changes what is named; at once for all who act through it.
    pub async fn update_agency(
        &self,
        access: &AccountAccess,
        id: AgencyId,
        wanted: Option<DomainRef>,
        description: Option<String>,
        duration: Option<Duration>,
    ) -> Result<Agency> {
        let doing = "changing an agency";
        let mut tx = self.change(access.actor(), doing).await?;
        let mut agency = agency_of(&mut tx, access.domain(), id).await?;
        if let Some(wanted) = wanted {
            agency.trusted = trusted(&mut tx, agency.domain, &wanted).await?;
        }
        if let Some(description) = description {
            check_description(&description)?;
            agency.description = description;
        }
        if let Some(duration) = duration {
            agency.expires_at = duration.end(tx.now())?;
        }
        tx.agencies().update(&agency).await.map_err(db(doing))?;
        tx.commit(Subject::new(id, &agency.name)).await?;
        Ok(agency)
    }

    /// Removes an agency with all that was issued through it.
    pub async fn delete_agency(&self, access: &AccountAccess, id: AgencyId) -> Result<()> {
        let doing = "removing an agency";
        let mut tx = self.change(access.actor(), doing).await?;
        let agency = agency_of(&mut tx, access.domain(), id).await?;
        tx.agencies().delete(agency.domain, id).await.map_err(db(doing))?;
        tx.commit(Subject::new(id, &agency.name)).await
    }
}

async fn agency_of(tx: &mut Tx, domain: DomainId, id: AgencyId) -> Result<Agency> {
    let agency = tx.agencies().find(id).await.map_err(db("reading an agency"))?;
    agency
        .filter(|agency| agency.domain == domain)
        .ok_or_else(|| Error::IdentityNotFound { noun: "agency", id: id.to_string() })
}

/// Whom an agency trusts: another account of this installation.
async fn trusted(
    tx: &mut Tx,
    own: DomainId,
    wanted: &DomainRef,
) -> Result<cbr_model::identity::Domain> {
    let refused = |reason: &str| Error::invalid("trust_domain_name", reason);
    let found = find_domain(tx, wanted).await?;
    let found = found.ok_or_else(|| refused("there is no such account here"))?;
    if found.id == own {
        return Err(refused("an account needs no agency to act for itself"));
    }
    Ok(found)
}
