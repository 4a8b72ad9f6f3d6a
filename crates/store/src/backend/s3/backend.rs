//! The backend itself: requests and their answers in the words of [`Backend`].

use std::fmt;
use std::io;
use std::sync::Arc;

use cbr_env::{Clock, Random, Timestamp};
use crc_fast::CrcAlgorithm::Crc64Nvme;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, GetResult, ObjectStore as _, PutMode, PutOptions, PutPayload,
};

use super::answer::{Failure, FailureKind};
use super::ask::Asker;
use super::calls::{Calls, Problem, Tried};
use super::client::connect;
use super::options::S3Options;
use crate::backend::{
    Backend, BackendError, Entry, Key, LIST_PAGE_MAX, OBJECT_BYTES_MAX, Op, Page, Probe, Put,
};

/// Metadata of every object: its CRC-64/NVME, so that a whole read proves itself whatever the store
/// does with checksums of its own.
const CRC: &str = "cbr-crc64nvme";
/// What is reserved for an object before its bytes arrive.
const RESERVED_BYTES_MAX: u64 = 64 << 20;

/// Objects in a bucket.
pub struct S3Backend {
    store: Arc<AmazonS3>,
    calls: Calls,
    prefix: String,
    sends_condition: bool,
    description: String,
    pub(super) asker: Asker,
}

impl fmt::Debug for S3Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Backend").field("at", &self.description).finish_non_exhaustive()
    }
}

impl S3Backend {
    /// Opens the place and makes sure that it answers.
    ///
    /// `clock` measures requests and waits between attempts; `random` spreads those pauses. No rule
    /// of safety uses either.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for settings that cannot work, an unknown bucket or account.
    pub fn open(
        options: &S3Options,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, BackendError> {
        let (store, http) = connect(options)?;
        let (store, asker) = (Arc::new(store), Asker::new(http, options));
        let calls = Calls::new(options, clock, random)?;
        let prefix = match options.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let description = format!("{} at {}", options.place(), options.endpoint);
        let sends_condition = options.send_condition;
        let backend = Self { store, calls, prefix, sends_condition, description, asker };
        backend.list("", None)?;
        Ok(backend)
    }

    /// How many requests may run at this moment.
    pub fn concurrency(&self) -> f64 {
        self.calls.limit()
    }

    pub(super) const fn calls(&self) -> &Calls {
        &self.calls
    }

    /// What all keys begin with, a slash at its end if it is not empty.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn now(&self) -> Timestamp {
        self.calls.now()
    }

    fn path(&self, key: &Key) -> Path {
        // Keys and the prefix need no escaping, so the path is the key.
        Path::from(format!("{}{key}", self.prefix))
    }

    /// A request for the object or for a part of it.
    fn request(&self, key: &Key, options: GetOptions, bytes: u64, most: u64) -> Tried<Answer> {
        let path = self.path(key);
        self.calls.call(bytes, || {
            let (store, path, options) = (Arc::clone(&self.store), path.clone(), options.clone());
            async move {
                let is_head = options.head;
                let found = store.get_opts(&path, options).await?;
                if found.meta.e_tag.is_none() {
                    // A page of a proxy, perhaps: every store names the state of its objects.
                    return Err(Problem::Answer("an answer without an ETag".to_owned()));
                }
                let size = found.meta.size;
                if is_head || size > most {
                    return Ok(Answer { size, bytes: Vec::new() });
                }
                Ok(Answer { size, bytes: read(found).await? })
            }
        })
    }

    /// Whether the object exists, asked in a way whose "no" says more than a status.
    fn confirm(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        let options = GetOptions::new().with_range(Some(0..1_u64));
        let tried = self.request(key, options, 0, OBJECT_BYTES_MAX);
        match tried.result {
            Ok(answer) => Ok(Some(answer.size)),
            Err(failure) if failure.kind == FailureKind::Absent => Ok(None),
            // There is an object, and it is empty.
            Err(failure) if failure.kind == FailureKind::OutOfRange => Ok(Some(0)),
            Err(failure) => Err(error(Op::Size, key.as_str(), failure)),
        }
    }
}

struct Answer {
    size: u64,
    bytes: Vec<u8>,
}

/// The body of an answer, all of it and nothing else.
async fn read(found: GetResult) -> Result<Vec<u8>, Problem> {
    let expected = found.range.end.saturating_sub(found.range.start);
    let is_whole = expected == found.meta.size;
    let crc = found.attributes.get(&Attribute::Metadata(CRC.into())).map(|crc| crc.to_string());
    let reserved = expected.min(RESERVED_BYTES_MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(reserved).unwrap_or(0));
    let mut stream = found.into_stream();
    while let Some(part) = stream.next().await {
        let part = part?;
        if (bytes.len() + part.len()) as u64 > expected {
            return Err(Problem::Answer("more bytes than announced".to_owned()));
        }
        bytes.extend_from_slice(&part);
    }
    if bytes.len() as u64 != expected {
        return Err(Problem::Answer("fewer bytes than announced".to_owned()));
    }
    if is_whole && crc.is_some_and(|crc| crc != checksum(&bytes)) {
        return Err(Problem::Answer("the bytes do not match their checksum".to_owned()));
    }
    Ok(bytes)
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:016x}", crc_fast::checksum(Crc64Nvme, bytes))
}

fn error(op: Op, key: &str, failure: Failure) -> BackendError {
    let key = key.to_owned();
    match failure.kind {
        FailureKind::NoSpace => BackendError::NoSpace { op, key },
        kind if kind.may_be_retried() => {
            BackendError::Unavailable { op, key, source: io::Error::other(failure.text) }
        }
        _ => BackendError::Refused { op, key, reason: failure.text },
    }
}

impl Backend for S3Backend {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        let bytes = body.concat();
        let length = bytes.len() as u64;
        if length > OBJECT_BYTES_MAX {
            return Err(BackendError::Oversized { key: key.to_string(), size_bytes: length });
        }
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::Metadata(CRC.into()), checksum(&bytes).into());
        let mode = if self.sends_condition { PutMode::Create } else { PutMode::Overwrite };
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        let (path, payload) = (self.path(key), PutPayload::from(bytes));
        let tried = self.calls.call(length, || {
            let (store, path) = (Arc::clone(&self.store), path.clone());
            let (payload, options) = (payload.clone(), options.clone());
            async move { Ok(store.put_opts(&path, payload, options).await.map(drop)?) }
        });
        match tried.result {
            Ok(()) => Ok(Put::Created),
            // Perhaps by an attempt of ours whose answer got lost.
            Err(failure) if failure.kind == FailureKind::Existed && tried.was_unclear => {
                Ok(Put::Unknown)
            }
            Err(failure) if failure.kind == FailureKind::Existed => Ok(Put::Existed),
            Err(failure)
                if failure.kind.may_have_happened()
                    || failure.kind == FailureKind::Conflict
                    || tried.was_unclear =>
            {
                tracing::warn!(%key, why = failure.text, "it is not known whether an object was put");
                Ok(Put::Unknown)
            }
            Err(failure) => Err(error(Op::Put, key.as_str(), failure)),
        }
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        let tried = self.request(key, GetOptions::new(), RESERVED_BYTES_MAX, OBJECT_BYTES_MAX);
        match tried.result {
            Ok(Answer { size, .. }) if size > OBJECT_BYTES_MAX => {
                Err(BackendError::Oversized { key: key.to_string(), size_bytes: size })
            }
            Ok(answer) => Ok(Some(answer.bytes)),
            Err(failure) if failure.kind == FailureKind::Absent => Ok(None),
            Err(failure) => Err(error(Op::Get, key.as_str(), failure)),
        }
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        into: &mut [u8],
    ) -> Result<Option<()>, BackendError> {
        let end = offset.saturating_add(into.len() as u64);
        let short = || BackendError::Short { key: key.to_string(), end };
        // A range without bytes, or beyond any object, cannot be asked for.
        if into.is_empty() || end > OBJECT_BYTES_MAX {
            return match self.size(key)? {
                None => Ok(None),
                Some(size) if offset <= size && into.is_empty() => Ok(Some(())),
                Some(_) => Err(short()),
            };
        }
        let options = GetOptions::new().with_range(Some(offset..end));
        let tried = self.request(key, options, into.len() as u64, u64::MAX);
        match tried.result {
            Ok(answer) if answer.bytes.len() == into.len() => {
                into.copy_from_slice(&answer.bytes);
                Ok(Some(()))
            }
            Ok(_) => Err(short()),
            Err(failure) if failure.kind == FailureKind::OutOfRange => Err(short()),
            Err(failure) if failure.kind == FailureKind::Absent => Ok(None),
            Err(failure) => Err(error(Op::GetRange, key.as_str(), failure)),
        }
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        let tried = self.request(key, GetOptions::new().with_head(true), 0, OBJECT_BYTES_MAX);
        match tried.result {
            Ok(answer) => Ok(Some(answer.size)),
            // An answer to HEAD has no body that could say what is absent.
            Err(Failure { kind: FailureKind::Absent | FailureKind::Refused, .. }) => {
                self.confirm(key)
            }
            Err(failure) => Err(error(Op::Size, key.as_str(), failure)),
        }
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        let full = format!("{}{prefix}", self.prefix);
        let offset = after.map(|key| format!("{}{key}", self.prefix));
        let tried = self.calls.call(0, || {
            let (store, full, offset) = (Arc::clone(&self.store), full.clone(), offset.clone());
            let options = PaginatedListOptions {
                offset,
                max_keys: Some(LIST_PAGE_MAX),
                ..PaginatedListOptions::default()
            };
            async move {
                let prefix = Some(full.as_str()).filter(|prefix| !prefix.is_empty());
                Ok(store.list_paginated(prefix, options).await?)
            }
        });
        let page = tried.result.map_err(|failure| error(Op::List, &full, failure))?;
        let mut entries = Vec::with_capacity(page.result.objects.len());
        let mut last = offset.unwrap_or_default();
        for object in &page.result.objects {
            let name = object.location.as_ref();
            // The "folder" that some tools make where our keys begin.
            if name.len() < self.prefix.len() && self.prefix.starts_with(name) {
                continue;
            }
            // A store that cannot sort or ignores `start-after` would make listings endless or partial.
            if !name.starts_with(&full) || *name <= *last {
                let reason = format!("its listing is not sorted, or not of what was asked: {name}");
                return Err(BackendError::Refused { op: Op::List, key: full, reason });
            }
            name.clone_into(&mut last);
            // What is no key is no object of ours.
            if let Ok(key) = Key::new(&name[self.prefix.len()..]) {
                entries.push(Entry { key, size_bytes: object.size });
            }
        }
        // A full page is followed by another request, whatever it says itself.
        let is_last = page.page_token.is_none() && page.result.objects.len() < LIST_PAGE_MAX;
        Ok(Page { entries, is_last })
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        let path = self.path(key);
        let tried = self.calls.call(0, || {
            let (store, path) = (Arc::clone(&self.store), path.clone());
            async move {
                let one = futures::stream::once(async { Ok(path) }).boxed();
                Ok(store.delete_stream(one).try_for_each(|_| async { Ok(()) }).await?)
            }
        });
        match tried.result {
            Ok(()) => Ok(()),
            Err(failure) if failure.kind == FailureKind::Absent => Ok(()),
            Err(failure) => Err(error(Op::Delete, key.as_str(), failure)),
        }
    }

    fn ask(&self, base: &str) -> Vec<Probe> {
        self.ask_bucket(base)
    }

    fn describe(&self) -> String {
        self.description.clone()
    }
}
