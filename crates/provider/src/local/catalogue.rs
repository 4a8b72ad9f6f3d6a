//! What volumes and servers there are: pools, block devices and configuration, read
//! anew each time.
//!
//! In a pool `*.raw` and `*.img` are raw images and `*.qcow2` are qcow2 images.
//! Nothing else is a volume, and a format is never guessed from content. A volume
//! we made has a description beside it, `<file>.cbr.json`, with its id; the id of a
//! file somebody put there derives from the names of pool and file, so it is stable
//! as long as they are.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use cbr_model::{ResourceId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::config::{BlockDeviceConfig, LocalConfig, PoolConfig, ServerConfig};
use super::durable::Directory;
use super::place::{Access, Place};
use super::reach::{Twins, UnreachablePools};
use crate::error::{Doing, ProviderError, Result};
use crate::resource::{Attachment, VolumeFormat};

/// The namespace of the ids we derive; never to be changed.
const NAMESPACE: Uuid = Uuid::from_u128(0x9f1c_6a52_03c4_4b0e_8d57_2b6e_41a0_c7d3);

/// The pool that block devices are shown in.
pub(crate) const DEVICES_POOL: &str = "block_devices";

/// A volume, as it lies there.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: ResourceId,
    /// What people see. Of a volume of ours its users chose it, so it decides nothing.
    pub(crate) name: String,
    /// Whether a user of the service made the volume.
    pub(crate) is_ours: bool,
    pub(crate) description: String,
    pub(crate) created_at: Timestamp,
    pub(crate) place: Place,
    pub(crate) pool: String,
    pub(crate) availability_zone: String,
    /// The size of the disk, or why it cannot be used.
    pub(crate) size_bytes: std::result::Result<u64, String>,
}

/// A server, with its volumes found.
#[derive(Clone, Debug)]
pub(crate) struct ServerEntry {
    pub(crate) id: ResourceId,
    pub(crate) config: ServerConfig,
    pub(crate) volumes: Vec<ResourceId>,
    /// A volume that is not there, or not to be told from another.
    pub(crate) problem: Option<String>,
    /// Whether users of the service made it.
    pub(crate) is_made: bool,
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) entries: Vec<Entry>,
    pub(crate) servers: Vec<ServerEntry>,
    /// Servers whose records cannot be read: any volume that no other server has may be theirs.
    pub(crate) unread: Vec<String>,
    /// What of it is not known now.
    pub(crate) unreachable: UnreachablePools,
    /// Of the volumes that have the same id by mistake, the pool of the one that keeps it.
    pub(crate) twins: Twins,
}

/// What is written beside a volume of ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Sidecar {
    pub(crate) id: ResourceId,
    /// The file it was written for: a copy under another name is another volume.
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Microseconds since 1970.
    pub(crate) created_at: Timestamp,
}

impl Sidecar {
    /// The name of the description of a file.
    pub(crate) fn file_name(file: &str) -> String {
        format!("{file}.cbr.json")
    }
}

impl Entry {
    /// Whether this is its `pool/file`, or the name of a block device in the configuration.
    pub(crate) fn is_at(&self, wanted: &str) -> bool {
        match &self.place {
            Place::File { file, .. } => {
                wanted.split_once('/') == Some((self.pool.as_str(), file.as_str()))
            }
            Place::Device { .. } => {
                wanted.strip_prefix(DEVICES_POOL).and_then(|rest| rest.strip_prefix('/'))
                    == Some(self.name.as_str())
                    || wanted == self.name
            }
        }
    }
}

impl Catalogue {
    /// Reads everything that can be read. A pool that cannot be read is in the way of no other (RGN-07): it is
    /// named, and what is not found may lie in it.
    ///
    /// `known` says which pool keeps an id that was seen more than once.
    pub(crate) fn read(config: &LocalConfig, known: &Twins) -> Self {
        let mut entries = Vec::new();
        let mut unreachable = UnreachablePools::default();
        for pool in &config.pools {
            let before = entries.len();
            if let Err(error) = read_pool(pool, &mut entries) {
                entries.truncate(before);
                unreachable.add(&pool.name, &error);
            }
        }
        entries.extend(config.block_devices.iter().map(device_entry));
        let twins = separate_twins(&mut entries, |id| {
            known.get(id).filter(|keeper| unreachable.contains(keeper))
        });
        let servers = config.servers.iter();
        let servers = servers.map(|server| server_entry(server, &entries, &unreachable)).collect();
        Self { entries, servers, unread: Vec::new(), unreachable, twins }
    }

    /// `NotFound` only where every pool was read; otherwise `Unreachable`.
    pub(crate) fn volume(&self, id: ResourceId) -> Result<&Entry> {
        self.known_volume(id).ok_or_else(|| match self.unreachable.why() {
            None => ProviderError::not_found("volume", id),
            Some(why) => ProviderError::Unreachable { what: "volume", id: id.to_string(), why },
        })
    }

    /// A volume that can be reached. None: it is not there, or not in what can be read.
    pub(crate) fn known_volume(&self, id: ResourceId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    pub(crate) fn server(&self, id: ResourceId) -> Result<&ServerEntry> {
        let found = self.servers.iter().find(|server| server.id == id);
        found.ok_or_else(|| ProviderError::not_found("server", id))
    }

    /// Refuses a volume of which it cannot be told whether a server has it (P1).
    pub(crate) fn refuse_unknown_owner(&self, volume: ResourceId) -> Result<()> {
        match self.unread.first() {
            Some(server) if self.attachments(volume).is_empty() => {
                let why = format!("the record of server {server} cannot be read, and may name it");
                Err(ProviderError::in_use(volume, why))
            }
            _ => Ok(()),
        }
    }

    /// The servers that have the volume.
    pub(crate) fn attachments(&self, volume: ResourceId) -> Vec<Attachment> {
        let place = |server: &ServerEntry| {
            let index = server.volumes.iter().position(|id| *id == volume)?;
            Some(Attachment { server: server.id, device: device_name(index), index })
        };
        self.servers.iter().filter_map(place).collect()
    }
}

/// The id of a server of this name.
pub(crate) fn server_id(name: &str) -> ResourceId {
    derived_id(&["server", name])
}

/// Where a server sees its disk number `index`: `/dev/vda` … `/dev/vdz`, `/dev/vdaa` …
pub(crate) fn device_name(mut index: usize) -> String {
    let mut letters = String::new();
    loop {
        letters.insert(0, char::from(b"abcdefghijklmnopqrstuvwxyz"[index % 26]));
        if index < 26 {
            return format!("/dev/vd{letters}");
        }
        index = index / 26 - 1;
    }
}

/// The format a file name tells; `None` for what is no volume.
pub(crate) fn format_of(file: &str) -> Option<VolumeFormat> {
    if file.starts_with('.') {
        return None;
    }
    match Path::new(file).extension()?.to_str()? {
        "raw" | "img" => Some(VolumeFormat::Raw),
        "qcow2" => Some(VolumeFormat::Qcow2),
        _ => None,
    }
}

fn read_pool(pool: &PoolConfig, entries: &mut Vec<Entry>) -> Result<()> {
    let doing = || format!("list pool {} at {}", pool.name, pool.path.display());
    let directory = pool.open().doing(doing)?;
    for file in directory.file_names().doing(doing)? {
        let Some(format) = format_of(&file) else { continue };
        entries.extend(file_entry(pool, &directory, &file, format));
    }
    Ok(())
}

/// What is to be said of a file; nothing of one that was deleted since the directory was read. One that
/// cannot be read is a volume that cannot be used, and in nobody else's way.
fn file_entry(
    pool: &PoolConfig,
    directory: &Directory,
    file: &str,
    format: VolumeFormat,
) -> Option<Entry> {
    let place = Place::File { directory: pool.path.clone(), file: file.to_owned(), format };
    let opened = match directory.open_file(file, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        opened => opened,
    };
    let about = opened.as_ref().ok().and_then(|file| file.metadata().ok());
    let size_bytes = opened
        .and_then(|opened| place.size_bytes(&opened))
        .unwrap_or_else(|error| Err(format!("{file} cannot be read: {error}")));
    let mut entry = Entry {
        id: derived_id(&["file", &pool.name, file]),
        name: file.to_owned(),
        is_ours: false,
        description: String::new(),
        created_at: about.as_ref().map_or(Timestamp(0), birth),
        place,
        pool: pool.name.clone(),
        availability_zone: pool.availability_zone.clone(),
        size_bytes,
    };
    match description(directory, file) {
        Ok(Some(described)) if described.file == file => {
            entry.id = described.id;
            entry.is_ours = true;
            entry.name = described.name;
            entry.description = described.description;
            entry.created_at = described.created_at;
        }
        Ok(_) => {}
        Err(why) => {
            // Files of ours are called by their id, so that its owner sees what is wrong with it.
            let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str());
            entry.id = stem.and_then(|stem| stem.parse().ok()).unwrap_or(entry.id);
            entry.size_bytes = Err(why);
        }
    }
    Some(entry)
}

/// What a file's description says; nothing: it has none.
fn description(directory: &Directory, file: &str) -> std::result::Result<Option<Sidecar>, String> {
    let name = Sidecar::file_name(file);
    let bytes = directory
        .read_small(&name)
        .map_err(|error| format!("its description {name} cannot be read: {error}"))?;
    let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
    bytes
        .map(parse)
        .transpose()
        .map_err(|error| format!("its description {name} is damaged: {error}"))
}

fn device_entry(device: &BlockDeviceConfig) -> Entry {
    let place = Place::Device { path: device.path.clone() };
    let opened = place.open(Access::Look);
    let created_at = opened.as_ref().ok().and_then(|file| file.metadata().ok());
    let size_bytes = opened
        .and_then(|file| place.size_bytes(&file))
        .unwrap_or_else(|error| Err(format!("{}: {error}", device.path.display())));
    Entry {
        id: derived_id(&["device", &device.name]),
        name: device.name.clone(),
        is_ours: false,
        description: String::new(),
        created_at: created_at.as_ref().map_or(Timestamp(0), birth),
        place,
        pool: DEVICES_POOL.to_owned(),
        availability_zone: device.availability_zone.clone(),
        size_bytes,
    }
}

/// A file that was copied together with its description keeps the id only once; one that cannot be used
/// does not take it from one that can, and nobody from one that cannot be read now: `elsewhere` says whose
/// it is then. Returns which pool keeps each id that more than one claims.
fn separate_twins<'p>(
    entries: &mut [Entry],
    elsewhere: impl Fn(&ResourceId) -> Option<&'p String>,
) -> Twins {
    let mut seen: HashMap<ResourceId, String> = HashMap::new();
    let mut twins = Twins::new();
    for is_usable in [true, false] {
        for entry in entries.iter_mut().filter(|entry| entry.size_bytes.is_ok() == is_usable) {
            let keeper = elsewhere(&entry.id).or_else(|| seen.get(&entry.id));
            let Some(keeper) = keeper else {
                seen.insert(entry.id, entry.pool.clone());
                continue;
            };
            twins.insert(entry.id, keeper.clone());
            tracing::warn!(volume.id = %entry.id, volume.pool = entry.pool, volume.name = entry.name,
                "two volumes claim the same id; this one gets another");
            if let Place::File { file, .. } = &entry.place {
                entry.id = derived_id(&["file", &entry.pool, file]);
            }
            seen.insert(entry.id, entry.pool.clone());
        }
    }
    twins
}

fn server_entry(
    server: &ServerConfig,
    entries: &[Entry],
    unreachable: &UnreachablePools,
) -> ServerEntry {
    let mut volumes = Vec::new();
    let mut problem = None;
    for wanted in &server.volumes {
        match find(wanted, entries) {
            Ok(id) if !volumes.contains(&id) => volumes.push(id),
            Ok(_) => problem = Some(format!("volume `{wanted}` is named twice")),
            Err(why) => problem = Some(unreachable.why().unwrap_or(why)),
        }
    }
    let id = server_id(&server.name);
    ServerEntry { id, config: server.clone(), volumes, problem, is_made: false }
}

/// The volume a configuration means: by its id, else by its place, else by its bare name.
///
/// The names of volumes of ours are not looked at: whoever may create a volume could put it into
/// a server of others, or that server into fault, by the name it chooses (P26).
fn find(wanted: &str, entries: &[Entry]) -> std::result::Result<ResourceId, String> {
    let ways: [&dyn Fn(&Entry) -> bool; 3] =
        [&|entry| entry.id.to_string() == wanted, &|entry| entry.is_at(wanted), &|entry| {
            !entry.is_ours && entry.name == wanted
        }];
    for is_meant in ways {
        let mut found = entries.iter().filter(|entry| is_meant(entry));
        match (found.next(), found.next()) {
            (None, _) => {}
            (Some(entry), None) => return Ok(entry.id),
            (Some(_), Some(_)) => {
                return Err(format!("there is more than one volume `{wanted}`: use the id"));
            }
        }
    }
    Err(format!(
        "there is no volume `{wanted}`; one that was created is meant by its id or by pool/file"
    ))
}

/// Parts are joined by `/`, which no part but the last may contain.
fn derived_id(parts: &[&str]) -> ResourceId {
    ResourceId::from_uuid(Uuid::new_v5(&NAMESPACE, parts.join("/").as_bytes()))
}

fn birth(metadata: &Metadata) -> Timestamp {
    let known = metadata.created().or_else(|_| metadata.modified()).ok();
    let micros = known
        .and_then(|time| i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok());
    Timestamp(micros.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::local::config::PoolKind;

    fn pool(path: &Path) -> LocalConfig {
        let pool = PoolConfig {
            name: "images".into(),
            path: path.to_owned(),
            mount_point: None,
            kind: PoolKind::Directory,
            availability_zone: "local".into(),
            default_format: VolumeFormat::Raw,
        };
        LocalConfig { pools: vec![pool], ..LocalConfig::default() }
    }

    fn read(config: &LocalConfig) -> Catalogue {
        Catalogue::read(config, &Twins::new())
    }

    fn names(config: &LocalConfig) -> Vec<(String, bool)> {
        let entries = read(config).entries;
        entries.iter().map(|entry| (entry.name.clone(), entry.size_bytes.is_ok())).collect()
    }

    #[test]
    fn only_files_named_as_images_are_volumes() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        for name in ["a.raw", "b.img", "notes.txt", "noextension", ".hidden.raw", "c.RAW", "d.vmdk"]
        {
            write(name, "data");
        }
        write("empty.raw", "");
        write("not.qcow2", "data");
        std::fs::create_dir(dir.path().join("directory.raw")).unwrap();
        std::os::unix::fs::symlink("a.raw", dir.path().join("link.raw")).unwrap();
        let expected =
            [("a.raw", true), ("b.img", true), ("empty.raw", false), ("not.qcow2", false)];
        assert_eq!(names(&pool(dir.path())), expected.map(|(name, ok)| (name.to_owned(), ok)));
    }

    #[test]
    fn ids_are_stable_and_a_copied_description_does_not_double_a_volume() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("b.raw"), "data").unwrap();
        let config = pool(dir.path());
        let ids = || read(&config).entries.iter().map(|e| e.id).collect::<Vec<_>>();
        // A golden id: changing how it is derived would orphan every backup of such volumes.
        assert_eq!(ids()[0].to_string(), "bd8c7b0e-3b9b-59cb-88f9-3050351487f7");

        let id = ResourceId::from_uuid(Uuid::from_u128(7));
        let description = Sidecar {
            id,
            file: "b.raw".into(),
            name: "data".into(),
            description: String::new(),
            created_at: Timestamp(1),
        };
        let json = serde_json::to_vec(&description).unwrap();
        std::fs::write(dir.path().join("b.raw.cbr.json"), &json).unwrap();
        assert_eq!(ids(), [id]);
        // The copy sorts before the original and still does not take its id.
        std::fs::write(dir.path().join("a.raw"), "data").unwrap();
        std::fs::write(dir.path().join("a.raw.cbr.json"), &json).unwrap();
        assert_eq!(ids()[1], id);
        assert_ne!(ids()[0], id);
    }

    /// P5: what cannot be read of one disk is its own trouble, and nobody takes its identity.
    #[test]
    fn a_file_that_cannot_be_read_is_a_volume_of_its_own_and_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let ids = [7, 8].map(|n| ResourceId::from_uuid(Uuid::from_u128(n)));
        let ours = ids.map(|id| format!("{id}.raw"));
        for file in ["a.raw", "c.raw", "z.raw", &ours[0], &ours[1]] {
            std::fs::write(path(file), "data").unwrap();
        }
        std::os::unix::fs::symlink("elsewhere", path(&Sidecar::file_name(&ours[0]))).unwrap();
        std::fs::write(path(&Sidecar::file_name("c.raw")), vec![b' '; (1 << 20) + 1]).unwrap();
        // It was renamed by somebody who took its description with it, and put another file in its place.
        std::fs::write(path(&Sidecar::file_name(&ours[1])), "{").unwrap();
        let renamed = Sidecar {
            id: ids[1],
            file: "z.raw".into(),
            name: "data".into(),
            description: String::new(),
            created_at: Timestamp(1),
        };
        let json = serde_json::to_vec(&renamed).unwrap();
        std::fs::write(path(&Sidecar::file_name("z.raw")), json).unwrap();
        let config = pool(dir.path());
        let entries = read(&config).entries;
        let of = |file: &str| {
            entries.iter().find(|entry| entry.is_at(&format!("images/{file}"))).unwrap()
        };
        assert!(of("a.raw").size_bytes.is_ok());
        for unusable in ["c.raw", &ours[0], &ours[1]] {
            let why = of(unusable).size_bytes.clone().unwrap_err();
            assert!(why.contains("its description"), "{why}");
        }
        assert_eq!((of(&ours[0]).id, of("z.raw").id), (ids[0], ids[1]));
        let all: HashSet<ResourceId> = entries.iter().map(|entry| entry.id).collect();
        assert_eq!(all.len(), 5, "no two are one");
    }

    /// RGN-07: nobody may take what lies there for gone.
    #[test]
    fn a_pool_that_is_not_there_is_named_and_not_an_empty_list() {
        let catalogue = read(&pool(Path::new("/nonexistent/pool")));
        assert!(catalogue.unreachable.contains("images") && catalogue.entries.is_empty());
        let error = catalogue.volume(ResourceId::from_uuid(Uuid::from_u128(7))).unwrap_err();
        assert!(error.is_retryable() && error.is_unreachable() && !error.is_not_found());
        assert!(error.to_string().contains("pool images"), "{error}");
    }

    #[test]
    fn devices_are_counted_as_the_kernel_does() {
        let names = [0, 1, 25, 26, 27, 701, 702].map(device_name);
        assert_eq!(
            names.map(|name| name[7..].to_owned()),
            ["a", "b", "z", "aa", "ab", "zz", "aaa"]
        );
    }
}
