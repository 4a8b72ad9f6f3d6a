//! Money: what a vault costs, and what an account has (BIL-01 … BIL-09, ADR 0022).
//!
//! Amounts are whole minor units of one currency, cents for instance. Prices are finer: an hour of a GB
//! costs a fraction of a cent, so they are in millionths of a minor unit, and so is what an hour
//! costs. Nothing is rounded away: what does not make up a whole unit is carried on.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;
use crate::operation::words;
use crate::order::{Period, PeriodUnit};
use crate::size::Gib;
use crate::vault::{Consistency, VaultKind};

/// Millionths in a minor unit.
pub const MILLIONTHS: u64 = 1_000_000;
/// The highest price, in millionths: 1000 minor units. Keeps every product within its type.
const PRICE_MAX: u64 = 1_000 * MILLIONTHS;

/// Whole minor units of the currency; negative: owed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Money(pub i64);

/// A price of one GB, in millionths of a minor unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Price(u64);

/// Not a price: not a decimal number of 0 to 1000 with at most six decimals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a price is 0 to 1000 minor units with at most 6 decimals, as in 0.0274")]
pub struct InvalidPrice;

impl Price {
    /// A price of so many millionths; none beyond the highest.
    pub fn from_millionths(millionths: u64) -> Option<Self> {
        (millionths <= PRICE_MAX).then_some(Self(millionths))
    }

    /// In millionths.
    pub const fn millionths(self) -> u64 {
        self.0
    }

    /// What so much costs for an hour, in millionths.
    pub const fn of_hour(self, size: Gib) -> u64 {
        self.0.saturating_mul(size.0)
    }

    /// What so much costs for so many units, in whole minor units, rounded up.
    pub fn of_units(self, size: Gib, units: u64) -> Money {
        let millionths = u128::from(self.0) * u128::from(size.0) * u128::from(units);
        let whole = millionths.div_ceil(u128::from(MILLIONTHS));
        Money(i64::try_from(whole).unwrap_or(i64::MAX))
    }
}

impl FromStr for Price {
    type Err = InvalidPrice;

    fn from_str(text: &str) -> Result<Self, InvalidPrice> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > 6 || whole.len() > 4 {
            return Err(InvalidPrice);
        }
        let whole: u64 = whole.parse().map_err(|_| InvalidPrice)?;
        let part: u64 = format!("{part:0<6}").parse().map_err(|_| InvalidPrice)?;
        Self::from_millionths(whole * MILLIONTHS + part).ok_or(InvalidPrice)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / MILLIONTHS, self.0 % MILLIONTHS)
    }
}

/// What vaults of one specification cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Prices {
    /// One GB for a started hour, charged by use.
    pub hour: Price,
    /// One GB for a month, ordered by months.
    pub month: Price,
    /// One GB for a year, ordered by years.
    pub year: Price,
}

/// What an hour is charged for (BIL-07).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charged {
    /// A vault of this specification, by its capacity.
    Vault(VaultKind, Consistency),
    /// An image, by what its backup holds.
    Image,
}

impl Charged {
    /// All, of vaults the dearest first: one whose specification changed in an hour is metered as the first
    /// that matches.
    pub const ALL: [Self; 7] = [
        Self::Vault(VaultKind::Server, Consistency::AppConsistent),
        Self::Vault(VaultKind::Server, Consistency::CrashConsistent),
        Self::Vault(VaultKind::Disk, Consistency::AppConsistent),
        Self::Vault(VaultKind::Disk, Consistency::CrashConsistent),
        Self::Vault(VaultKind::Turbo, Consistency::CrashConsistent),
        Self::Vault(VaultKind::File, Consistency::CrashConsistent),
        Self::Image,
    ];

    /// The words it is kept under.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Vault(kind, consistency) => (kind.as_str(), consistency.as_str()),
            Self::Image => ("image", "object_storage"),
        }
    }

    /// What these words mean.
    pub fn from_words(kind: &str, consistency: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.words() == (kind, consistency))
    }
}

/// What the operator asks for vaults and images.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PriceList {
    /// Its name, as in `EUR`.
    pub currency: String,
    /// Vaults of servers.
    pub server: Prices,
    /// Vaults of servers with databases.
    pub database: Prices,
    /// Vaults of disks.
    pub disk: Prices,
    /// Vaults of file systems.
    pub turbo: Prices,
    /// Vaults of files.
    pub file: Prices,
    /// Images, for an hour.
    pub image: Price,
}

impl Default for PriceList {
    fn default() -> Self {
        let free = Prices::default();
        Self {
            currency: "EUR".to_owned(),
            server: free,
            database: free,
            disk: free,
            turbo: free,
            file: free,
            image: Price(0),
        }
    }
}

impl PriceList {
    /// What an hour of one GB costs.
    pub const fn of_hour(&self, charged: Charged) -> Price {
        match charged {
            Charged::Vault(kind, consistency) => self.of(kind, consistency).hour,
            Charged::Image => self.image,
        }
    }

    /// What a vault of this specification costs.
    pub const fn of(&self, kind: VaultKind, consistency: Consistency) -> Prices {
        match (kind, consistency) {
            (VaultKind::Disk, _) => self.disk,
            (VaultKind::Turbo, _) => self.turbo,
            (VaultKind::File, _) => self.file,
            (VaultKind::Server, Consistency::CrashConsistent) => self.server,
            (VaultKind::Server, Consistency::AppConsistent) => self.database,
        }
    }
}

impl Prices {
    /// What so much costs for a period.
    pub fn of_period(self, size: Gib, period: Period) -> Money {
        let price = match period.unit() {
            PeriodUnit::Month => self.month,
            PeriodUnit::Year => self.year,
        };
        price.of_units(size, u64::from(period.count()))
    }

    /// What so much more costs for the rest of a period that is paid: days at a thirtieth of a month's price.
    pub fn of_rest(self, more: Gib, days: u64) -> Money {
        let millionths = u128::from(self.month.0) * u128::from(more.0) * u128::from(days);
        let whole = millionths.div_ceil(30 * u128::from(MILLIONTHS));
        Money(i64::try_from(whole).unwrap_or(i64::MAX))
    }
}

/// What an account has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Balance {
    /// Whole units; negative: owed.
    pub whole: Money,
    /// Millionths of a unit that were used and not yet charged: less than a unit.
    pub carry: u64,
}

impl Balance {
    /// The balance after so many millionths were used, and the whole units it fell by.
    #[must_use]
    pub fn after(self, used_millionths: u64) -> (Self, Money) {
        let used = u128::from(self.carry) + u128::from(used_millionths);
        let fell = i64::try_from(used / u128::from(MILLIONTHS)).unwrap_or(i64::MAX);
        let carry = u64::try_from(used % u128::from(MILLIONTHS)).unwrap_or(0);
        (Self { whole: Money(self.whole.0.saturating_sub(fell)), carry }, Money(fell))
    }
}

words! {
    /// Why a balance changed.
    EntryKind {
        /// An administrator gave or took something.
        Credit = "credit",
        /// An order was paid.
        Order = "order",
        /// What was used in an hour.
        Usage = "usage",
    }
}

/// One change of a balance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BalanceEntry {
    /// Why.
    pub kind: EntryKind,
    /// What makes it the only one of its kind: a word of the administrator's, the order, the hour.
    pub reference: String,
    /// By how much; negative: less.
    pub amount: Money,
    /// What there was afterwards.
    pub balance: Money,
    /// For people.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

words! {
    /// What was done last about a vault that is not paid for.
    StepKind {
        /// It was seen.
        Noticed = "noticed",
        /// The vault was frozen.
        Frozen = "frozen",
        /// Its period was renewed.
        Renewed = "renewed",
    }
}

/// A step that was taken, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BillingStep {
    /// Which.
    pub kind: StepKind,
    /// Why: one of [`Charging::SCENES`](crate::vault::Charging::SCENES).
    pub scene: String,
    /// In observed time, microseconds: the clock that the next step waits for.
    pub observed: u64,
    /// By the wall clock, for people.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BIL-07: what is kept of an hour says what it was of.
    #[test]
    fn what_is_charged_is_known_by_its_words() {
        for one in Charged::ALL {
            let (kind, consistency) = one.words();
            assert_eq!(Charged::from_words(kind, consistency), Some(one));
        }
        assert_eq!(Charged::from_words("image", "crash_consistent"), None);
        let prices = PriceList { image: Price(7), ..PriceList::default() };
        assert_eq!(prices.of_hour(Charged::Image), Price(7));
    }

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    #[test]
    fn prices_are_decimal_numbers_and_never_floats() {
        assert_eq!(price("0.0274").millionths(), 27_400);
        assert_eq!(price("15").millionths(), 15_000_000);
        assert_eq!(price("1000").to_string(), "1000.000000");
        for bad in ["", "-1", "1.", ".5", "1.0000001", "1000.000001", "1e3", "1,5", "10000", " 1"] {
            assert_eq!(bad.parse::<Price>(), Err(InvalidPrice), "{bad}");
        }
        assert!(Price::from_millionths(PRICE_MAX + 1).is_none());
    }

    /// BIL-01: a period is charged in whole units, rounded up once; prices of months and years are two.
    #[test]
    fn periods_cost_their_own_price() {
        let prices = Prices { hour: price("0.01"), month: price("0.5"), year: price("5") };
        let months = Period::new(PeriodUnit::Month, 3).unwrap();
        let years = Period::new(PeriodUnit::Year, 2).unwrap();
        assert_eq!(prices.of_period(Gib(101), months), Money(152), "151.5");
        assert_eq!(prices.of_period(Gib(101), years), Money(1010));
        assert_eq!(prices.of_rest(Gib(100), 15), Money(25));
        assert_eq!(prices.of_rest(Gib(1), 1), Money(1), "rounded up");
        assert_eq!(prices.hour.of_hour(Gib(3)), 30_000);
        assert_eq!(Price(PRICE_MAX).of_hour(Gib(10_485_760)), 10_485_760 * PRICE_MAX);
    }

    /// Whatever the steps, not a millionth is lost.
    #[test]
    fn what_is_not_a_whole_unit_is_carried_on() {
        let mut balance = Balance { whole: Money(10), carry: 0 };
        let mut fell = 0;
        for _ in 0..1000 {
            let (after, units) = balance.after(2_740);
            (balance, fell) = (after, fell + units.0);
            assert!(balance.carry < MILLIONTHS);
        }
        assert_eq!((balance.whole, balance.carry, fell), (Money(8), 740_000, 2));
    }
}
