//! What accounts have, and who gives it to them (BIL-01, BIL-06).

use cbr_db::Tx;
use cbr_model::DomainId;
use cbr_model::billing::{BalanceEntry, EntryKind, Money};
use cbr_model::query::Page;

use super::service::Billing;
use crate::audit::Subject;
use crate::error::db;
use crate::identity::operator;
use crate::{Access, Error, Result};

const DOING: &str = "crediting an account";
/// The largest credit at once, in minor units.
const CREDIT_MAX: i64 = 1_000_000_000_000;
/// The longest reference and note of a credit, in characters.
const REFERENCE_CHARS_MAX: usize = 64;
const NOTE_CHARS_MAX: usize = 255;

/// An account as its people see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountState {
    /// Whose it is.
    pub domain: DomainId,
    /// What it has.
    pub balance: Money,
    /// Whether it owes more than it may.
    pub is_in_arrears: bool,
}

/// What an administrator gives to an account, or takes from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credit {
    /// To whom.
    pub domain: DomainId,
    /// How much, in minor units; negative takes.
    pub amount: i64,
    /// What it is known by: the same again changes nothing.
    pub reference: String,
    /// For people.
    pub note: String,
}

impl Billing {
    /// What the caller's account has.
    pub async fn account(&self, access: &Access) -> Result<AccountState> {
        let doing = "reading an account";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let domain = access.caller().domain.id;
        let balance = tx.balances().find(domain).await.map_err(db(doing))?;
        Ok(self.state(domain, balance.whole))
    }

    fn state(&self, domain: DomainId, balance: Money) -> AccountState {
        let is_in_arrears = balance < self.core.billing.driver.least();
        AccountState { domain, balance, is_in_arrears }
    }

    /// Gives to an account, or takes from it; what it has afterwards. With a reference that was used
    /// before for the same amount nothing changes. Vaults that only waited for it are available at once.
    /// For who runs the installation.
    pub async fn credit(&self, access: &Access, credit: Credit) -> Result<AccountState> {
        check(&credit)?;
        let mut tx = self.core.change_account(access, DOING).await?;
        check_operator(&mut tx, access).await?;
        let domain = tx.domains().find(credit.domain).await.map_err(db(DOING))?;
        let domain =
            domain.ok_or_else(|| Error::invalid("domain_id", "there is no such account"))?;
        let mut balance = tx.balances().find(domain.id).await.map_err(db(DOING))?;
        let (kind, reference) = (EntryKind::Credit, &credit.reference);
        let known = tx.balances().find_entry(domain.id, kind, reference).await;
        if let Some(known) = known.map_err(db(DOING))? {
            if known.amount != Money(credit.amount) {
                let reason = format!("it was used before, for {}", known.amount.0);
                return Err(Error::invalid("reference", reason));
            }
            return Ok(self.state(domain.id, balance.whole));
        }
        balance.whole = Money(balance.whole.0.saturating_add(credit.amount));
        tx.balances().set(domain.id, balance).await.map_err(db(DOING))?;
        let entry = BalanceEntry {
            kind,
            reference: credit.reference,
            amount: Money(credit.amount),
            balance: balance.whole,
            note: credit.note,
            at: tx.now(),
        };
        tx.balances().add_entry(domain.id, &entry).await.map_err(db(DOING))?;
        tx.commit(Subject::new(domain.id, &domain.name)).await?;
        if let Err(error) = self.sweep().await {
            // The credit is given; the next round does the rest.
            tracing::warn!(error = &error as &dyn std::error::Error, "looking after vaults failed");
        }
        Ok(self.state(domain.id, balance.whole))
    }

    /// Why the caller's account has what it has, newest first, and how many entries there are.
    pub async fn entries(&self, access: &Access, page: Page) -> Result<(Vec<BalanceEntry>, u64)> {
        let mut tx = self.core.db.read().await.map_err(db("listing entries"))?;
        let entries = tx.balances().entries(access.caller().domain.id, &page).await;
        entries.map_err(db("listing entries"))
    }
}

fn check(credit: &Credit) -> Result<()> {
    if credit.amount == 0 || credit.amount.unsigned_abs() > CREDIT_MAX.unsigned_abs() {
        let reason = format!("1 to {CREDIT_MAX} minor units, or as much less");
        return Err(Error::invalid("amount", reason));
    }
    let is_text = |text: &str, chars: std::ops::RangeInclusive<usize>| {
        chars.contains(&text.chars().count()) && !text.contains(char::is_control)
    };
    if !is_text(&credit.reference, 1..=REFERENCE_CHARS_MAX) {
        let reason = format!("1 to {REFERENCE_CHARS_MAX} characters");
        return Err(Error::invalid("reference", reason));
    }
    if !is_text(&credit.note, 0..=NOTE_CHARS_MAX) {
        return Err(Error::invalid("note", format!("at most {NOTE_CHARS_MAX} characters")));
    }
    Ok(())
}

/// Refuses everybody but an administrator of the account that runs the installation: money is not
/// what an account gives to itself.
pub(super) async fn check_operator(tx: &mut Tx, access: &Access) -> Result<()> {
    let caller = access.caller();
    let is_operator = operator(tx).await? == Some(caller.domain.id);
    if caller.is_administrator() && is_operator { Ok(()) } else { Err(Error::Forbidden) }
}
