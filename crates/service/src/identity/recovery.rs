//! What somebody who holds the installation's data may do without a credential.
//!
//! An administrator whose authenticator is lost can be let in again by another one. Where there is no
//! other, the machine itself is the proof: who can write the database could do it anyway. So it is done
//! properly, with a record in the account's chain.

use cbr_db::Db;
use cbr_env::Random;
use cbr_model::audit::Event;

use crate::Result;
use crate::audit::{Subject, record_for_account};
use crate::error::db;

const RESET: Event = Event::new("resetMfaDevice", "user");

/// Why a second factor was not taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotReset {
    /// There is no such account.
    NoAccount,
    /// The account has no such user.
    NoUser,
    /// The user has no second factor.
    NoDevice,
}

/// Takes the second factor from a user, both by name, and ends the lock of its login: the password alone lets
/// it in again. What it holds of tokens and keys stays good.
pub async fn reset_second_factor(
    (database, random): (&Db, &dyn Random),
    account: &str,
    user: &str,
) -> Result<std::result::Result<(), NotReset>> {
    let doing = "taking a second factor away";
    let mut tx = database.begin().await.map_err(db(doing))?;
    let Some(domain) = tx.domains().find_by_name(account).await.map_err(db(doing))? else {
        return Ok(Err(NotReset::NoAccount));
    };
    let found = tx.users().find_by_name(domain.id, user).await.map_err(db(doing))?;
    let Some(user) = found else { return Ok(Err(NotReset::NoUser)) };
    if !tx.mfa_devices().delete(user.id).await.map_err(db(doing))? {
        return Ok(Err(NotReset::NoDevice));
    }
    tx.login_failures().forget(user.id).await.map_err(db(doing))?;
    let subject = Subject::new(user.id, &user.name);
    record_for_account(&mut tx, random, &domain, (RESET, subject)).await?;
    tx.commit().await.map_err(db(doing))?;
    Ok(Ok(()))
}
