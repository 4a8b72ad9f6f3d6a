//! Logins of a user as they are counted: by the network they come from, and from anywhere
//! (reliability 9.2).

use std::net::IpAddr;

use cbr_db::{DbError, FailedLogins, Tx};
use cbr_model::UserId;
use cbr_model::network::network_of;

use crate::rules::lockout::{self, ANYWHERE_MAX, NETWORK_MAX};

/// One login of a user, and what failed before it.
#[derive(Debug)]
pub(super) struct Attempt {
    user: UserId,
    network: String,
    here: FailedLogins,
    anywhere: FailedLogins,
}

impl Attempt {
    /// What is known when somebody tries to log in from `source`.
    pub(super) async fn known(
        tx: &mut Tx,
        user: UserId,
        source: Option<IpAddr>,
    ) -> Result<Self, DbError> {
        // Where that is not known, all are counted together.
        let network = source.map_or_else(String::new, |address| network_of(address).to_string());
        let here = tx.login_failures().from(user, &network).await?;
        let anywhere = tx.login_failures().anywhere(user).await?;
        Ok(Self { user, network, here, anywhere })
    }

    /// Whether it is refused, whatever it shows.
    pub(super) fn is_locked(&self, tx: &Tx) -> bool {
        [&self.here, &self.anywhere].iter().any(|failed| lockout::is_locked(failed, tx.now()))
    }

    /// Counts it as failed.
    pub(super) async fn failed(self, tx: &mut Tx) -> Result<(), DbError> {
        let now = tx.now();
        let here = lockout::after_failure(self.here, now, NETWORK_MAX);
        let anywhere = lockout::after_failure(self.anywhere, now, ANYWHERE_MAX);
        if here.locked_until > self.here.locked_until {
            tracing::warn!(
                user.id = %self.user, network = self.network,
                "too many logins failed: no more from there for a while"
            );
        }
        if anywhere.locked_until > self.anywhere.locked_until {
            tracing::warn!(user.id = %self.user, "too many logins failed: no more for a while");
        }
        tx.login_failures().set_from(self.user, &self.network, here).await?;
        tx.login_failures().set_anywhere(self.user, anywhere).await.map(drop)
    }

    /// Forgets what failed before it from there; what failed from elsewhere goes on counting.
    pub(super) async fn succeeded(self, tx: &mut Tx) -> Result<(), DbError> {
        if self.here == FailedLogins::NONE {
            return Ok(());
        }
        tx.login_failures().set_from(self.user, &self.network, FailedLogins::NONE).await
    }
}
