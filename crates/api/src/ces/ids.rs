//! Ids of alarms on the wire: two letters, and 22 letters and digits (contract F.6).

use cbr_model::id::{Alarm, AlarmRecord, AlarmTemplate, Id, Kind};
use uuid::Uuid;

use crate::error::{ApiError, ErrorCode, sentence};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LENGTH: usize = 22;

/// Something whose id is written like this.
pub(super) trait ShortId: Kind {
    /// What it begins with.
    const PREFIX: &'static str;
}

impl ShortId for Alarm {
    const PREFIX: &'static str = "al";
}

impl ShortId for AlarmTemplate {
    const PREFIX: &'static str = "at";
}

impl ShortId for AlarmRecord {
    const PREFIX: &'static str = "ah";
}

/// The id as it is written.
pub(super) fn short<K: ShortId>(id: Id<K>) -> String {
    let mut rest = id.as_uuid().as_u128();
    let mut digits = [b'0'; LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    let digits: String = digits.iter().map(|digit| char::from(*digit)).collect();
    format!("{}{digits}", K::PREFIX)
}

/// The id that is written like this.
pub(super) fn read<K: ShortId>(text: &str) -> Option<Id<K>> {
    let digits = text.strip_prefix(K::PREFIX)?.as_bytes();
    if digits.len() != LENGTH {
        return None;
    }
    let mut number: u128 = 0;
    for digit in digits {
        let value = DIGITS.iter().position(|known| known == digit)? as u128;
        number = number.checked_mul(62)?.checked_add(value)?;
    }
    Some(Id::from_uuid(Uuid::from_u128(number)))
}

/// The same; text that is no id is the id of nothing.
pub(super) fn known<K: ShortId>(text: &str) -> Result<Id<K>, ApiError> {
    read(text).ok_or_else(|| {
        let shown: String = text.chars().take(64).filter(|c| !c.is_control()).collect();
        let message = format!("{} {shown} does not exist", K::NAME);
        ApiError::new(ErrorCode::AlarmNotFound, sentence(&message))
    })
}

#[cfg(test)]
mod tests {
    use cbr_env::SeededRandom;
    use cbr_model::AlarmId;

    use super::*;

    #[test]
    fn every_id_is_written_in_24_letters_and_read_back() {
        let random = SeededRandom::new(1);
        let edge = [Uuid::nil(), Uuid::max()].map(AlarmId::from_uuid);
        for id in edge.into_iter().chain((0..100).map(|_| AlarmId::random(&random))) {
            let text = short(id);
            assert!(text.len() == 24 && text.starts_with("al"), "{text}");
            assert_eq!(read(&text), Some(id));
        }
        for bad in ["", "al", "at0000000000000000000000", "alzzzzzzzzzzzzzzzzzzzzzz", "al-000"] {
            assert_eq!(read::<Alarm>(bad), None, "{bad}");
        }
    }
}
