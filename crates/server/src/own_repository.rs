//! The service uses the repository that its database is about, and no other.
//!
//! A repository is made only where the database knows of none. So an empty mount point is never taken for
//! an empty repository, whose versions would have the names of those that are somewhere else (P1, P10).

use std::sync::Arc;

use anyhow::Result;
use cbr_db::Db;
use cbr_service::catalogue::{Expected, Lack, expected, keep, lack};
use cbr_store::Repository;
use tokio::runtime::Handle;
use uuid::Uuid;

/// Why the repository at hand is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepositoryError {
    /// There is none where there was one.
    #[error(
        "there is no repository in {place}, but the database is about one ({known}): is its file system \
         mounted, is it the right bucket? Nothing was made there. Where the database has no backups left, \
         `cbr repo accept --new` lets the next start make a new one; if they are lost for good: \
         docs/operations/recover.md"
    )]
    Missing {
        /// Where it should be.
        place: String,
        /// Which.
        known: String,
    },
    /// It is another one.
    #[error(
        "in {place} is repository {found}, but the database is about repository {known}: mount or \
         configure that one. No backup was read or written here. If this one is meant: cbr repo accept"
    )]
    Other {
        /// Where it is.
        place: String,
        /// Which is there.
        found: Uuid,
        /// Which should be.
        known: Uuid,
    },
    /// Two starts at once, neither of which knew of one.
    #[error(
        "in {place} is repository {found}, perhaps made just now, but another start kept repository {known} \
         for the same database meanwhile: configure that one. No backup was read or written here"
    )]
    Late {
        /// Where it is.
        place: String,
        /// Which is there.
        found: Uuid,
        /// Which was kept.
        known: Uuid,
    },
    /// An older release did not keep which it is, and this one has nothing of it.
    #[error(
        "the repository in {place} ({found}) has none of the {disks} disks that the database has backups of: \
         is the right file system mounted, is it the right bucket? No backup was read or written here. \
         If they are lost for good: `cbr repo accept` says how, and docs/operations/recover.md"
    )]
    Foreign {
        /// Where it is.
        place: String,
        /// Which is there.
        found: Uuid,
        /// So many disks are not in it.
        disks: usize,
    },
}

/// The repository at `place`: opened where the database knows of one, `made` where it knows of none.
/// What the database did not know it keeps. Waits for the database, so not for tasks of the runtime.
///
/// `is_empty` says whether there is nothing at all; `opened` must make nothing.
pub(crate) fn own(
    db: &Db,
    place: &str,
    is_empty: impl FnOnce() -> Result<bool>,
    opened: impl FnOnce() -> Result<Repository>,
    made: impl FnOnce() -> Result<Repository>,
) -> Result<Arc<Repository>> {
    let runtime = Handle::current();
    let before = runtime.block_on(expected(db))?;
    let known = match before {
        Expected::This(id) => Some(id.to_string()),
        Expected::Unnamed(disks) => Some(format!("{disks} disks; its id was not kept yet")),
        Expected::Nothing => None,
    };
    let repository = match known {
        None => made()?,
        Some(known) if is_empty()? => {
            return Err(RepositoryError::Missing { place: place.to_owned(), known }.into());
        }
        Some(_) => opened()?,
    };
    let (repository, place) = (Arc::new(repository), place.to_owned());
    let found = repository.id();
    if let Expected::Unnamed(_) = before {
        let lack = runtime.block_on(lack(db, Arc::clone(&repository)))?;
        refuse_foreign(lack, &place, found)?;
    }
    let known = runtime.block_on(keep(db, found))?;
    if known == found {
        return Ok(repository);
    }
    Err(match before {
        Expected::Nothing => RepositoryError::Late { place, found, known },
        Expected::This(_) | Expected::Unnamed(_) => RepositoryError::Other { place, found, known },
    }
    .into())
}

/// Whether it is the one that an older release wrote to. One disk says so: backups have random ids. Others may
/// have been lost by damage, which must not keep the rest from being used.
fn refuse_foreign(lack: Lack, place: &str, found: Uuid) -> Result<(), RepositoryError> {
    let Lack { missing, of, .. } = lack;
    if of > 0 && missing == of {
        return Err(RepositoryError::Foreign { place: place.to_owned(), found, disks: of });
    }
    if missing > 0 {
        tracing::warn!(repository.id = %found, missing, of, "the repository lacks disks of the database");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use cbr_service::catalogue::Lack;
    use uuid::Uuid;

    use super::{RepositoryError, refuse_foreign};
    use crate::config::Config;
    use crate::failure::exit_code;
    use crate::wiring::{Place, database, repository};
    use crate::{data_dir::DataDir, world::World};

    /// Starts as the service does, so far as the repository is concerned; its id.
    async fn start(data: &DataDir, path: &Path) -> anyhow::Result<uuid::Uuid> {
        let (config, world) = (Config::default(), World::real());
        let key = data.key(&config, &*world.random)?;
        let db = database(data, &config, &world).await?;
        let place = Place::Directory(path.to_owned());
        let opened = {
            let db = db.clone();
            let open = move || repository(&place, &config, &key, &db, &world).map(|it| it.id());
            tokio::task::spawn_blocking(open).await?
        };
        db.close().await?;
        opened
    }

    /// P1, P10: a database of an older release takes what has some of its disks, also if damage took others.
    #[test]
    fn a_repository_with_nothing_of_the_database_is_not_taken() {
        let refused =
            |missing, of| refuse_foreign(Lack { missing, of, taken: 0 }, "x", Uuid::nil()).err();
        assert!(matches!(refused(3, 3), Some(RepositoryError::Foreign { disks: 3, .. })));
        for (missing, of) in [(0, 0), (0, 3), (2, 3)] {
            assert!(refused(missing, of).is_none(), "{missing} of {of}");
        }
    }

    /// P1, P10: at an empty mount point, and where another repository is, nothing is made and nothing used;
    /// what is back is opened. A database that knows of none takes the one that is there (P8).
    #[tokio::test(flavor = "multi_thread")]
    async fn a_repository_that_is_not_there_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::create(&folder.path().join("data")).unwrap();
        let (path, away) = (folder.path().join("repository"), folder.path().join("away"));
        let id = start(&data, &path).await.unwrap();
        assert_eq!(start(&data, &path).await.unwrap(), id);

        fs::rename(&path, &away).unwrap();
        for is_mount_point in [false, true] {
            if is_mount_point {
                fs::create_dir(&path).unwrap();
            }
            let error = start(&data, &path).await.unwrap_err();
            let missing = error.downcast_ref::<RepositoryError>();
            assert!(matches!(missing, Some(RepositoryError::Missing { .. })), "{error:?}");
            assert_eq!(exit_code(&error), 4);
            assert!(error.to_string().contains("mounted"), "{error}");
        }
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "nothing was made");

        let second = DataDir::create(&folder.path().join("second")).unwrap();
        let key = data.path().join("master.key");
        fs::copy(key, second.path().join("master.key")).unwrap();
        let other = start(&second, &path).await.unwrap();
        let error = start(&data, &path).await.unwrap_err();
        match error.downcast_ref::<RepositoryError>() {
            Some(RepositoryError::Other { found, known, .. }) => {
                assert_eq!((*found, *known), (other, id));
            }
            _ => panic!("{error:?}"),
        }

        fs::remove_dir_all(&path).unwrap();
        fs::rename(&away, &path).unwrap();
        assert_eq!(start(&data, &path).await.unwrap(), id);
        fs::remove_file(data.path().join("cbr.db")).unwrap();
        assert_eq!(start(&data, &path).await.unwrap(), id, "of a lost database");
    }
}
