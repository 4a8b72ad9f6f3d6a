//! Which buckets there are, and who may read them.

use std::sync::Arc;

use cbr_model::ProjectId;
use cbr_provider::Bucket;

/// The operator's buckets.
#[derive(Clone, Debug, Default)]
pub struct Buckets(Arc<Vec<ConfiguredBucket>>);

/// A bucket, as the operator has it.
#[derive(Clone, Debug)]
pub struct ConfiguredBucket {
    /// What it is called; no two are called the same.
    pub name: String,
    /// Where its images are.
    pub bucket: Arc<dyn Bucket>,
    /// Who may read all of it.
    pub projects: Vec<ProjectId>,
}

impl Buckets {
    /// These.
    pub fn new(buckets: Vec<ConfiguredBucket>) -> Self {
        Self(Arc::new(buckets))
    }

    /// The bucket of this name, if the project may read it. That there is one for others is not told.
    pub(crate) fn find(&self, project: ProjectId, name: &str) -> Option<Arc<dyn Bucket>> {
        let found = self.of(project).find(|one| one.name == name)?;
        Some(Arc::clone(&found.bucket))
    }

    /// Those that the project may read.
    pub(crate) fn of(&self, project: ProjectId) -> impl Iterator<Item = &ConfiguredBucket> {
        self.0.iter().filter(move |one| one.projects.contains(&project))
    }
}
