//! Restoring into volumes.
//!
//! ```text
//!             prepare                    finish
//! (no mark) ───────────▶ mark: restoring ───────▶ (no mark)
//!     ▲       │ condemn     │ abandon (withdraw: back to what was before)
//!     │       └─────────────▼
//!     └──────────────── mark: failed ──▶ (prepare again)
//!     finish of another
//! ```
//! The mark is durable before the first byte is written, so a volume with half a
//! restore in it never looks sound (P1).

use std::sync::Arc;

use async_trait::async_trait;
use cbr_model::ResourceId;

use super::closable::Closable;
use super::guard::{self, Nobodys};
use super::in_use::Usage;
use super::service::{LocalProvider, Shared};
use super::state::{Power, RestoreMark};
use crate::disk::DiskWriter;
use crate::error::{Doing, ProviderError, Result};
use crate::provider::RestoreTarget;
use crate::resource::ServerStatus;
use crate::snapshot::SnapshotName;

/// Why a volume is in error whose damaged image was replaced by a restore that then wrote nothing.
const RENEWED: &str = "its damaged image was made anew for a restore that was not carried out";

#[async_trait]
impl RestoreTarget for LocalProvider {
    async fn prepare(
        &self,
        volume: ResourceId,
        needed_bytes: u64,
        name: &SnapshotName,
    ) -> Result<()> {
        self.refuse_if_server_runs(volume).await?;
        let name = *name;
        self.blocking("prepare a restore", move |shared| {
            shared.prepare(volume, needed_bytes, &name)
        })
        .await
    }

    async fn writer(&self, volume: ResourceId, name: &SnapshotName) -> Result<Arc<dyn DiskWriter>> {
        let name = *name;
        self.blocking("open a volume for restoring", move |shared| shared.writer(volume, &name))
            .await
    }

    async fn finish(&self, volume: ResourceId, name: &SnapshotName) -> Result<()> {
        let name = *name;
        self.blocking("finish a restore", move |shared| shared.finish(volume, &name)).await
    }

    async fn abandon(&self, volume: ResourceId, name: &SnapshotName, why: &str) -> Result<()> {
        let (name, why) = (*name, why.to_owned());
        self.blocking("abandon a restore", move |shared| shared.abandon(volume, &name, &why)).await
    }

    async fn condemn(&self, volume: ResourceId, name: &SnapshotName, why: &str) -> Result<()> {
        let (name, why) = (*name, why.to_owned());
        self.blocking("condemn a volume", move |shared| shared.condemn(volume, &name, &why)).await
    }

    async fn withdraw(&self, volume: ResourceId, name: &SnapshotName) -> Result<()> {
        let name = *name;
        self.blocking("withdraw a restore", move |shared| shared.withdraw(volume, &name)).await
    }

    async fn power_off(&self, server: ResourceId) -> Result<()> {
        let mut server = self.server_entry(server).await?;
        if server.is_made {
            // One whose volume is gone must be off before it is mended or deleted.
            server.problem = None;
        }
        self.set_power(&server, Power::Stopped).await
    }

    async fn power_on(&self, server: ResourceId) -> Result<()> {
        let server = self.server_entry(server).await?;
        self.refuse_if_restoring(server.volumes.clone()).await?;
        self.set_power(&server, Power::Running).await
    }
}

impl LocalProvider {
    /// Lifts the mark of a restore that another machine finished.
    pub(super) async fn unmark(&self, volume: ResourceId, name: &SnapshotName) -> Result<()> {
        let name = *name;
        self.blocking("lift the mark of a restore", move |shared| shared.unmark(volume, &name))
            .await
    }

    /// A server is not started while one of its disks is being written. The other direction is
    /// [`Self::refuse_if_server_runs`].
    async fn refuse_if_restoring(&self, volumes: Vec<ResourceId>) -> Result<()> {
        self.blocking("look for restores", move |shared| {
            for volume in volumes {
                let mark = shared.state.restore(volume)?;
                if let Some(RestoreMark { name, failure: None, .. }) = mark {
                    let why = format!("a restore, {name}, is writing to it");
                    return Err(ProviderError::in_use(volume, why));
                }
            }
            Ok(())
        })
        .await
    }

    async fn refuse_if_server_runs(&self, volume: ResourceId) -> Result<()> {
        let servers = self
            .blocking("find the servers of a volume", move |shared| {
                let catalogue = shared.catalogue()?;
                catalogue.volume(volume)?;
                let attachments = catalogue.attachments(volume);
                let servers = attachments.iter().filter_map(|a| catalogue.server(a.server).ok());
                Ok(servers.cloned().collect::<Vec<_>>())
            })
            .await?;
        for server in servers {
            let name = &server.config.name;
            match self.power_state(&server).await? {
                ServerStatus::Stopped => {}
                ServerStatus::Running => {
                    let why = format!("server {name} is running; stop it before restoring");
                    return Err(ProviderError::in_use(volume, why));
                }
                // RST-03
                ServerStatus::Fault { why } => {
                    let why = format!("server {name} is in fault: {why}");
                    return Err(ProviderError::refused(why, "repair the server first"));
                }
            }
        }
        Ok(())
    }
}

impl Shared {
    fn prepare(&self, volume: ResourceId, needed_bytes: u64, name: &SnapshotName) -> Result<()> {
        let _alone = self.changing();
        let catalogue = self.catalogue()?;
        let entry = catalogue.volume(volume)?;
        catalogue.refuse_unknown_owner(volume)?;
        let size_bytes = entry.size_bytes.clone().map_err(|why| {
            ProviderError::refused(format!("volume {volume} cannot be used: {why}"), "replace it")
        })?;
        // RST-09
        if size_bytes < needed_bytes {
            return Err(ProviderError::TooSmall { volume, size_bytes, needed_bytes });
        }
        let mark = self.state.restore(volume)?;
        let was_begun = mark.is_some();
        let mut failed_before = match mark {
            Some(RestoreMark { name: other, failure: None, .. }) if other != *name => {
                let why = format!("another restore, {other}, is writing to it");
                return Err(ProviderError::in_use(volume, why));
            }
            Some(RestoreMark { failure: None, failed_before, .. }) => failed_before,
            Some(RestoreMark { failure, .. }) => failure,
            None => None,
        };
        if self.handles().writers.contains_key(&(*name, volume)) {
            return Ok(());
        }
        // Where a restore began before, what is overwritten now is nobody's: an image that the
        // interruption damaged need not be mended first. One that was prepared and not written to
        // is not damaged: it was sound when it was marked.
        let nobodys = was_begun.then_some(Nobodys { bytes: needed_bytes, disk_bytes: size_bytes });
        let marked = |failed_before| {
            let mark = RestoreMark { name: *name, failure: None, failed_before };
            self.state.set_restore(volume, &mark)
        };
        // From then on there is nothing on it to go back to, and withdrawing must not say there is.
        let mut renews = || {
            failed_before = Some(RENEWED.to_owned());
            marked(failed_before.clone())
        };
        // Locked first, marked second, written to last.
        let nobodys =
            nobodys.map(|nobodys| (nobodys, &mut renews as &mut dyn FnMut() -> Result<()>));
        let writer = guard::open_writer(volume, &entry.place, &Usage::scan(), nobodys)?;
        marked(failed_before)?;
        self.handles().writers.insert((*name, volume), Arc::new(Closable::new(writer)));
        Ok(())
    }

    fn writer(&self, volume: ResourceId, name: &SnapshotName) -> Result<Arc<dyn DiskWriter>> {
        let _alone = self.changing();
        match self.state.restore(volume)? {
            Some(mark) if mark.name == *name && mark.failure.is_none() => {}
            _ => return Err(ProviderError::not_found("prepared restore", name)),
        }
        if let Some(writer) = self.handles().writers.get(&(*name, volume)) {
            return Ok(Arc::clone(writer) as Arc<dyn DiskWriter>);
        }
        // After a restart of ours: somebody may have taken the volume meanwhile.
        let catalogue = self.catalogue()?;
        let place = &catalogue.volume(volume)?.place;
        let writer = guard::open_writer(volume, place, &Usage::scan(), None)?;
        let writer = Arc::new(Closable::new(writer));
        self.handles().writers.insert((*name, volume), Arc::clone(&writer));
        Ok(writer)
    }

    fn finish(&self, volume: ResourceId, name: &SnapshotName) -> Result<()> {
        match self.state.restore(volume)? {
            // Finished before – unless nothing is known of it here, where nobody prepared it.
            None => return self.catalogue()?.volume(volume).map(drop),
            Some(mark) if mark.name == *name && mark.failure.is_none() => {}
            Some(_) => {
                let why = format!("restore {name} into volume {volume} was given up");
                return Err(ProviderError::refused(why, "restore again"));
            }
        }
        // After a restart of ours it is opened again, to make durable what was written.
        let doing = || format!("make the restored volume {volume} durable");
        self.writer(volume, name)?.flush().doing(doing)?;
        let _alone = self.changing();
        let writer = self.handles().writers.remove(&(*name, volume));
        let writer = writer.ok_or_else(|| ProviderError::not_found("prepared restore", name))?;
        if let Err(error) = writer.close_durable() {
            // A writer that failed stays broken, also for the next attempt (P20).
            self.handles().writers.insert((*name, volume), writer);
            return Err(error).doing(doing);
        }
        self.state.clear_restore(volume)
    }

    fn abandon(&self, volume: ResourceId, name: &SnapshotName, why: &str) -> Result<()> {
        let _alone = self.changing();
        self.close_writer(volume, name);
        match self.state.restore(volume)? {
            Some(RestoreMark { name: marked, failure: None, .. }) if marked == *name => {
                let failure = Some(why.to_owned());
                let mark = RestoreMark { name: *name, failure, failed_before: None };
                self.state.set_restore(volume, &mark)
            }
            // Finished, never begun, given up before, or another's by now.
            _ => Ok(()),
        }
    }

    /// The mark of who began it is in another machine's state; here it is made anew.
    fn condemn(&self, volume: ResourceId, name: &SnapshotName, why: &str) -> Result<()> {
        let _alone = self.changing();
        self.close_writer(volume, name);
        match self.state.restore(volume)? {
            Some(RestoreMark { name: marked, failure, .. })
                if marked != *name || failure.is_some() =>
            {
                Ok(())
            }
            _ => {
                let failure = Some(why.to_owned());
                let mark = RestoreMark { name: *name, failure, failed_before: None };
                self.state.set_restore(volume, &mark)
            }
        }
    }

    /// Whoever still has it writes nothing from now on.
    fn close_writer(&self, volume: ResourceId, name: &SnapshotName) {
        let writer = self.handles().writers.remove(&(*name, volume));
        if let Some(writer) = writer {
            writer.close();
        }
    }

    fn withdraw(&self, volume: ResourceId, name: &SnapshotName) -> Result<()> {
        let _alone = self.changing();
        self.close_writer(volume, name);
        match self.state.restore(volume)? {
            Some(mark) if mark.name == *name && mark.failure.is_none() => {
                match mark.failed_before {
                    None => self.state.clear_restore(volume),
                    failure => {
                        let mark = RestoreMark { name: *name, failure, failed_before: None };
                        self.state.set_restore(volume, &mark)
                    }
                }
            }
            // Never begun, withdrawn before, or another's.
            _ => Ok(()),
        }
    }

    /// What failed before is forgotten too: the volume was written as a whole since then.
    fn unmark(&self, volume: ResourceId, name: &SnapshotName) -> Result<()> {
        let _alone = self.changing();
        self.close_writer(volume, name);
        match self.state.restore(volume)? {
            Some(mark) if mark.name == *name && mark.failure.is_none() => {
                self.state.clear_restore(volume)
            }
            // Lifted before, or another's.
            _ => Ok(()),
        }
    }
}
