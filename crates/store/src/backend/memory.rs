//! A backend in memory, for tests and as the model of the others.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Backend, BackendError, Entry, Key, LIST_PAGE_MAX, Page, Put};

/// Objects in a map.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    objects: Mutex<BTreeMap<Key, Vec<u8>>>,
}

impl MemoryBackend {
    /// All objects, for tests that compare, damage or copy a whole repository.
    pub fn snapshot(&self) -> BTreeMap<Key, Vec<u8>> {
        self.lock().clone()
    }

    /// A backend with these objects.
    pub fn from_snapshot(objects: BTreeMap<Key, Vec<u8>>) -> Self {
        Self { objects: Mutex::new(objects) }
    }

    /// Puts these bytes there whatever was there: what a broken disk or an attacker does.
    pub fn overwrite(&self, key: &Key, bytes: Vec<u8>) {
        self.lock().insert(key.clone(), bytes);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Vec<u8>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for MemoryBackend {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        let mut objects = self.lock();
        if objects.contains_key(key) {
            return Ok(Put::Existed);
        }
        objects.insert(key.clone(), body.concat());
        Ok(Put::Created)
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.lock().get(key).cloned())
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        into: &mut [u8],
    ) -> Result<Option<()>, BackendError> {
        let objects = self.lock();
        let Some(object) = objects.get(key) else { return Ok(None) };
        let end = offset.saturating_add(into.len() as u64);
        let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
        let Some(part) = range.and_then(|(start, end)| object.get(start..end)) else {
            return Err(BackendError::Short { key: key.to_string(), end });
        };
        into.copy_from_slice(part);
        Ok(Some(()))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        Ok(self.lock().get(key).map(|object| object.len() as u64))
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        let objects = self.lock();
        let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        let mut found = objects
            .range((start, Bound::Unbounded))
            .filter(|(key, _)| key.as_str().starts_with(prefix))
            .map(|(key, object)| Entry { key: key.clone(), size_bytes: object.len() as u64 });
        let entries = found.by_ref().take(LIST_PAGE_MAX).collect();
        Ok(Page { entries, is_last: found.next().is_none() })
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.lock().remove(key);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}
