//! Reading and writing the file of a domain.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use cbr_env::{Random, RandomExt};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::chunk::{Chunk, PLAIN_BYTES_MAX, Part, enter};
use crate::cache::CacheFiles;
use crate::crypto::{SEAL_TAG_BYTES, SectionCipher, TenantKeys};
use crate::delete::memory::{MapMemory, NodeId};
use crate::error::Result;
use crate::format::codec::Encoder;
use crate::format::id::DomainId;
use crate::packs::Packs;

/// The largest file that is read or written, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 64 << 20;
/// So much more than there was is added before a file is made anew, in bytes.
const ADDED_BYTES_MIN: u64 = 256 << 10;
/// After so many failures in a row a process writes no more.
pub(super) const FAILURES_MAX: u8 = 3;
/// What a chunk begins with: the length of what is sealed, and the random id from which its key derives.
const HEAD_BYTES: usize = 4 + 16;
/// The chunk's place in the derivation of its key.
const SECTION: u16 = 1;
/// What the associated data begins with. Another number is another meaning of the bytes.
const FORMAT: &[u8] = b"cbr map memory 1";
/// What one release has read another one reads again: a mistake that was mended is not believed.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The kept memory of one repository.
#[derive(Debug)]
pub(crate) struct KeptMaps {
    files: Arc<dyn CacheFiles>,
    repository: Uuid,
    random: Arc<dyn Random>,
    failures: AtomicU8,
}

/// That of one of its domains.
pub(in crate::delete) struct KeptDomain<'a> {
    pub(super) kept: &'a KeptMaps,
    key: Zeroizing<[u8; 32]>,
    aad: Vec<u8>,
    pub(super) name: String,
}

/// What is known of the file, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::delete) struct KeptFile {
    /// What it was made with.
    made: u64,
    /// What it has.
    now: u64,
}

/// Why a file is not read on.
enum Bad {
    /// What is there was not sealed by us, or not for this.
    Strange(&'static str),
    /// Nobody knows what is there.
    Unreadable(io::Error),
}

impl From<io::Error> for Bad {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Strange("it is cut short"),
            _ => Self::Unreadable(error),
        }
    }
}

impl KeptMaps {
    pub(crate) const fn new(
        files: Arc<dyn CacheFiles>,
        repository: Uuid,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { files, repository, random, failures: AtomicU8::new(0) }
    }

    /// That of a domain; `None` with keys that open no map.
    pub(in crate::delete) fn of(
        &self,
        domain: DomainId,
        keys: &TenantKeys,
    ) -> Option<KeptDomain<'_>> {
        let key = keys.cache_key()?;
        let mut aad = Encoder::new();
        aad.raw(FORMAT);
        aad.bytes(RELEASE.as_bytes());
        aad.uuid(self.repository);
        aad.uuid(domain.tenant);
        aad.u8(domain.scope.tag());
        aad.uuid(domain.sharer);
        aad.u32(domain.epoch);
        Some(KeptDomain { kept: self, key, aad: aad.into_bytes(), name: file_name(&domain) })
    }

    /// As [`KeptDomain::compare`], of the domain of `packs`.
    pub(crate) fn compare(&self, packs: &Arc<Packs>, keys: &TenantKeys) -> Result<(u64, u64)> {
        self.of(*packs.domain(), keys).map_or(Ok((0, 0)), |domain| domain.compare(packs))
    }

    /// Nobody needs what is kept of a domain.
    pub(in crate::delete) fn forget(&self, domain: &DomainId) {
        self.remove(&file_name(domain));
    }

    /// Nobody shall have what is kept of a tenant. It was sealed with its keys.
    pub(crate) fn forget_tenant(&self, tenant: Uuid) {
        let of_tenant = format!("{tenant}-");
        let names = self.files.names().unwrap_or_default();
        names.iter().filter(|name| name.starts_with(&of_tenant)).for_each(|name| self.remove(name));
    }

    fn remove(&self, name: &str) {
        if let Err(error) = self.files.remove(name) {
            tracing::debug!(name, %error, "a cache file cannot be removed");
        }
    }

    /// Says once that nothing can be kept, and gives up after a while.
    fn failed(&self, name: &str, error: &io::Error) {
        if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                name, %error,
                "what was read of maps cannot be kept in the cache; a new process will read it again"
            );
        }
    }
}

impl KeptDomain<'_> {
    /// What others left, if nothing is known yet.
    pub(in crate::delete) fn load(&self, memory: &mut MapMemory) {
        if !memory.is_empty() {
            return;
        }
        match self.read(memory) {
            Ok(()) => {}
            // What was opened before is true all the same; the file is made anew with it.
            Err(Bad::Strange(why)) => {
                tracing::debug!(name = self.name, why, "a cache file is not believed, and goes");
                self.kept.remove(&self.name);
                memory.file = None;
                return;
            }
            Err(Bad::Unreadable(error)) => {
                tracing::debug!(name = self.name, %error, "a cache file cannot be read");
                self.kept.remove(&self.name);
                memory.file = None;
                return;
            }
        }
        // What is there already need not be written once more.
        memory.take_fresh();
    }

    fn read(&self, memory: &mut MapMemory) -> Result<(), Bad> {
        let Some((size, mut file)) = self.kept.files.open(&self.name)? else { return Ok(()) };
        if size > FILE_BYTES_MAX {
            return Err(Bad::Strange("it is too large"));
        }
        let (mut made, mut now) = (0, 0);
        while now < size {
            let mut head = [0; HEAD_BYTES];
            file.read_exact(&mut head)?;
            let mut id = [0; 16];
            id.copy_from_slice(&head[4..]);
            let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
            if length > PLAIN_BYTES_MAX + SEAL_TAG_BYTES {
                return Err(Bad::Strange("a chunk is too large"));
            }
            let mut sealed = vec![0; length];
            file.read_exact(&mut sealed)?;
            let cipher = SectionCipher::new(&self.key, &id, SECTION);
            let plain = cipher.open(&self.aad, &sealed).ok_or(Bad::Strange("it does not open"))?;
            let part = enter(&plain, memory).map_err(|wrong| Bad::Strange(wrong.0))?;
            now += (HEAD_BYTES + length) as u64;
            if part == Part::Made {
                made = now;
            }
        }
        memory.file = Some(KeptFile { made, now });
        Ok(())
    }

    /// Leaves what was read for others, if anything was.
    pub(in crate::delete) fn save(&self, memory: &mut MapMemory) {
        let fresh = memory.take_fresh();
        let has_failed = self.kept.failures.load(Ordering::Relaxed) >= FAILURES_MAX;
        if fresh.is_empty() || has_failed {
            return;
        }
        match self.write(memory, &fresh) {
            Ok(file) => {
                self.kept.failures.store(0, Ordering::Relaxed);
                memory.file = Some(file);
            }
            Err(error) => {
                self.kept.failed(&self.name, &error);
                // It may end in the middle of a chunk.
                self.kept.remove(&self.name);
                memory.file = None;
            }
        }
    }

    fn write(&self, memory: &MapMemory, fresh: &[NodeId]) -> io::Result<KeptFile> {
        if let Some(file) = memory.file {
            let added: Vec<u8> =
                self.sealed(memory, Part::Added, fresh.iter().copied()).flatten().collect();
            let after = file.now + added.len() as u64;
            if after <= 2 * file.made + ADDED_BYTES_MIN
                && after <= FILE_BYTES_MAX
                && let Some(now) = self.kept.files.append(&self.name, &added)?
            {
                return Ok(KeptFile { now, ..file });
            }
        }
        let mut room = FILE_BYTES_MAX;
        let mut whole = self.sealed(memory, Part::Made, memory.known()).take_while(|chunk| {
            let has_room = room >= chunk.len() as u64;
            room = room.saturating_sub(chunk.len() as u64);
            has_room
        });
        let now = self.kept.files.replace(&self.name, &mut whole)?;
        Ok(KeptFile { made: now, now })
    }

    /// Chunks that say what is known of these nodes.
    fn sealed<'m>(
        &'m self,
        memory: &'m MapMemory,
        part: Part,
        ids: impl Iterator<Item = NodeId> + 'm,
    ) -> impl Iterator<Item = Vec<u8>> + 'm {
        let mut ids = ids.peekable();
        std::iter::from_fn(move || {
            ids.peek()?;
            let mut chunk = Chunk::new(part);
            while let Some(id) = ids.peek()
                && chunk.add(memory, *id)
            {
                ids.next();
            }
            Some(self.seal(chunk.into_plain()))
        })
    }

    fn seal(&self, plain: Vec<u8>) -> Vec<u8> {
        let id: [u8; 16] = self.kept.random.bytes();
        let sealed = SectionCipher::new(&self.key, &id, SECTION).seal(&self.aad, plain);
        let mut chunk = Vec::with_capacity(HEAD_BYTES + sealed.len());
        let length = u32::try_from(sealed.len()).expect("a chunk has a limit");
        chunk.extend_from_slice(&length.to_le_bytes());
        chunk.extend_from_slice(&id);
        chunk.extend_from_slice(&sealed);
        chunk
    }
}

pub(super) fn file_name(domain: &DomainId) -> String {
    let DomainId { tenant, scope, sharer, epoch } = domain;
    format!("{tenant}-{}-{sharer}-{epoch}", scope.letter())
}
