//! Pages of lists that do not come from the database.

use cbr_model::query::{Listing, Page};
use uuid::Uuid;

/// The wanted page of `rows`, which are in order of their ids.
pub(crate) fn cut<T>(rows: Vec<T>, page: Page, id: impl Fn(&T) -> Uuid) -> Listing<T> {
    let total = rows.len() as u64;
    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let rows = rows
        .into_iter()
        // By order and not by search: the marker's row may be gone by now.
        .skip_while(|row| page.marker.is_some_and(|marker| id(row) <= marker))
        .skip(offset)
        .take(page.limit as usize)
        .collect();
    Listing { rows, total }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract A.4: marker and offset, also after the marker's row has gone.
    #[test]
    fn pages_follow_marker_and_offset() {
        let rows = |ids: &[u128]| ids.iter().map(|n| Uuid::from_u128(*n)).collect::<Vec<_>>();
        let page = |limit, offset, marker: Option<u128>| Page {
            limit,
            offset,
            marker: marker.map(Uuid::from_u128),
        };
        let all = [1, 2, 4, 5];
        let table = [
            (page(1000, 0, None), vec![1, 2, 4, 5]),
            (page(2, 0, None), vec![1, 2]),
            (page(2, 0, Some(2)), vec![4, 5]),
            (page(2, 0, Some(3)), vec![4, 5]),
            (page(2, 3, None), vec![5]),
            (page(2, 1, Some(1)), vec![4, 5]),
            (page(2, 0, Some(5)), vec![]),
        ];
        for (page, want) in table {
            let got = cut(rows(&all), page, |id| *id);
            assert_eq!((got.rows, got.total), (rows(&want), 4), "{page:?}");
        }
    }
}
