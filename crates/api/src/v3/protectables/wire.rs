//! A protectable on the wire (contract C.0, C53).

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use cbr_model::ProjectId;
use cbr_model::resource::ResourceKind;
use cbr_service::protectables::{Native, Protectable as Found};
use cbr_service::volumes::VolumeView;
use serde::Serialize;
use utoipa::ToSchema;

use crate::ecs::wire::Server;
use crate::error::ApiError;
use crate::evs::wire::Volume;
use crate::time;
use crate::v3::vaults::wire::Vault;

/// A resource that a vault could take.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub(crate) struct Protectable {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// GB; a server's is the sum of its disks.
    size: u64,
    /// The native word.
    status: &'static str,
    /// A server's disks.
    children: Vec<Child>,
    /// The native object.
    detail: Detail,
    protectable: Verdict,
}

/// The native object of a protectable.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ProtectableDetail)]
enum Detail {
    /// A server.
    Server(Box<Server>),
    /// A disk.
    Volume(Box<Volume>),
}

/// A disk of a protectable server.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
#[schema(as = ProtectableChild)]
struct Child {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// GB.
    size: u64,
    status: &'static str,
    /// Always empty.
    children: Vec<String>,
    detail: Volume,
}

/// Whether it can be protected, and where it is.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
#[schema(as = ProtectableResult)]
struct Verdict {
    result: bool,
    /// Empty when it can be protected.
    code: String,
    /// Empty when it can be protected.
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The vault it is bound to.
    vault: Option<BoundTo>,
}

/// The vault a protectable is bound to.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
#[schema(as = ProtectableVault)]
struct BoundTo {
    #[serde(flatten)]
    vault: Vault,
    updated_at: String,
}

impl Protectable {
    /// `found` as a caller in `project` sees it.
    pub(crate) fn of(found: Found, project: ProjectId) -> Self {
        let reason = found.obstacle.as_ref().map(|obstacle| obstacle.reason.clone());
        Self {
            id: found.id().to_string(),
            name: found.name().to_owned(),
            kind: found.kind().as_str(),
            size: found.size().0,
            status: found.status(),
            protectable: Verdict {
                result: found.obstacle.is_none(),
                code: found.obstacle.map(|obstacle| obstacle.code).unwrap_or_default(),
                reason: reason.clone().unwrap_or_default(),
                message: reason,
                vault: found.vault.map(|vault| BoundTo {
                    updated_at: time::format(vault.updated_at),
                    vault: vault.into(),
                }),
            },
            children: found.children.into_iter().map(|disk| Child::of(disk, project)).collect(),
            detail: match found.native {
                Native::Server(server) => Detail::Server(Box::new(Server::of(server, project))),
                Native::Volume(volume) => Detail::Volume(Box::new(Volume::of(volume, project))),
            },
        }
    }
}

impl Child {
    fn of(disk: VolumeView, project: ProjectId) -> Self {
        Self {
            id: disk.id.to_string(),
            name: disk.name.clone(),
            kind: ResourceKind::Volume.as_str(),
            size: disk.size.0,
            status: disk.status.as_str(),
            children: vec![],
            detail: Volume::of(disk, project),
        }
    }
}

/// `{protectable_type}` in a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProtectableType {
    /// Servers or disks.
    Offered(ResourceKind),
    /// A type of the contract that this service has none of.
    Empty,
}

impl<S: Send + Sync> FromRequestParts<S> for ProtectableType {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        const NAME: &str = "protectable_type";
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::invalid(NAME, "it is not UTF-8"))?;
        match params.iter().find(|(name, _)| *name == NAME).map_or("", |(_, word)| word) {
            "server" => Ok(Self::Offered(ResourceKind::Server)),
            "disk" => Ok(Self::Offered(ResourceKind::Volume)),
            "turbo" | "workspace" | "workspace_v2" => Ok(Self::Empty),
            _ => Err(ApiError::invalid(NAME, "server, disk, turbo, workspace or workspace_v2")),
        }
    }
}
