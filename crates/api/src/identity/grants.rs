//! Which group or agency has which policy, and where (IAM-02): four operations in six kinds of place.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::identity::{Grant, GrantScope, Grantee};
use cbr_model::{DomainId, id::Id};

use super::roles::{ListResponse, list_of};
use super::row::account;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{
    AgencyInPath, DomainInPath, GroupInPath, IdParameter, OverAccount, PathId, ProjectInPath,
    RoleInPath,
};
use crate::operation::{Operation, Verb, schema_of};
use crate::state::Api;

/// Names and actions of listing, granting, checking and taking back.
type Four = [&'static str; 4];

/// A kind of place in which something is granted to a kind of grantee.
pub(crate) trait Place: 'static {
    /// The account or project of the path.
    type In: IdParameter + 'static;
    /// The group or agency of the path.
    type To: IdParameter + 'static;
    const NAMES: Four;
    const ACTIONS: Four;
    const LIST_PATH: &'static str;
    const PATH: &'static str;
    /// Who is meant, and where, by a caller of the account `own`.
    fn read(
        own: DomainId,
        place: Id<<Self::In as IdParameter>::Kind>,
        to: Id<<Self::To as IdParameter>::Kind>,
    ) -> Result<(Grantee, GrantScope), ApiError>;
}

pub(crate) const fn list_row<P: Place>() -> Operation {
    account(
        P::NAMES[0],
        (Verb::Get, P::LIST_PATH),
        "Lists the policies granted to a group or agency in this place.",
        P::ACTIONS[0],
        |filter| on(filter, list::<P>),
    )
    .gives(schema_of::<ListResponse>())
}

pub(crate) const fn grant_row<P: Place>() -> Operation {
    account(
        P::NAMES[1],
        (Verb::Put, P::PATH),
        "Grants a policy to a group or agency in this place.",
        P::ACTIONS[1],
        |filter| on(filter, grant::<P>),
    )
    .records("grantPolicy", "role")
    .succeeds_with(204)
}

pub(crate) const fn check_row<P: Place>() -> Operation {
    account(
        P::NAMES[2],
        (Verb::Head, P::PATH),
        "Says whether a policy is granted to a group or agency in this place.",
        P::ACTIONS[2],
        |filter| on(filter, check::<P>),
    )
    .succeeds_with(204)
}

pub(crate) const fn revoke_row<P: Place>() -> Operation {
    account(
        P::NAMES[3],
        (Verb::Delete, P::PATH),
        "Takes a policy back from a group or agency in this place.",
        P::ACTIONS[3],
        |filter| on(filter, revoke::<P>),
    )
    .records("revokePolicy", "role")
    .succeeds_with(204)
}

async fn list<P: Place>(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(place): PathId<P::In>,
    PathId(to): PathId<P::To>,
) -> Result<Json<ListResponse>, ApiError> {
    let (to, scope) = P::read(access.domain(), place, to)?;
    let roles = api.services.identity.granted(&access, to, scope).await?;
    Ok(Json(list_of(&roles, &api.settings, P::LIST_PATH)))
}

async fn grant<P: Place>(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(place): PathId<P::In>,
    PathId(to): PathId<P::To>,
    PathId(role): PathId<RoleInPath>,
) -> Result<(), ApiError> {
    let (to, scope) = P::read(access.domain(), place, to)?;
    Ok(api.services.identity.grant(&access, Grant { to, role, scope }).await?)
}

async fn check<P: Place>(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(place): PathId<P::In>,
    PathId(to): PathId<P::To>,
    PathId(role): PathId<RoleInPath>,
) -> Result<(), ApiError> {
    let (to, scope) = P::read(access.domain(), place, to)?;
    Ok(api.services.identity.check_granted(&access, Grant { to, role, scope }).await?)
}

async fn revoke<P: Place>(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(place): PathId<P::In>,
    PathId(to): PathId<P::To>,
    PathId(role): PathId<RoleInPath>,
) -> Result<(), ApiError> {
    let (to, scope) = P::read(access.domain(), place, to)?;
    Ok(api.services.identity.revoke(&access, Grant { to, role, scope }).await?)
}

/// Another account looks like an absent one.
fn refuse_other(own: DomainId, named: DomainId) -> Result<(), ApiError> {
    if named == own {
        return Ok(());
    }
    let message = format!("Account {named} does not exist.");
    Err(ApiError::new(ErrorCode::IdentityNotFound, message))
}

macro_rules! places {
    ($(
        $(#[$doc:meta])* $name:ident: $to:ident of $grantee:ident in $place:ident
        = $names:expr, $actions:expr, $list:literal, $path:literal, $scope:expr;
    )+) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl Place for $name {
            type In = $place;
            type To = $to;
            const NAMES: Four = $names;
            const ACTIONS: Four = $actions;
            const LIST_PATH: &'static str = $list;
            const PATH: &'static str = $path;

            fn read(
                own: DomainId,
                place: Id<<$place as IdParameter>::Kind>,
                to: Id<<$to as IdParameter>::Kind>,
            ) -> Result<(Grantee, GrantScope), ApiError> {
                let scope: fn(_, Id<<$place as IdParameter>::Kind>) -> Result<_, ApiError> = $scope;
                Ok((Grantee::$grantee(to), scope(own, place)?))
            }
        }
    )+};
}

const GROUP_IN_ACCOUNT: Four = [
    "iam:permissions:listRolesForGroupOnDomain",
    "iam:permissions:grantRoleToGroupOnDomain",
    "iam:permissions:checkRoleForGroupOnDomain",
    "iam:permissions:revokeRoleFromGroupOnDomain",
];
const GROUP_IN_PROJECT: Four = [
    "iam:permissions:listRolesForGroupOnProject",
    "iam:permissions:grantRoleToGroupOnProject",
    "iam:permissions:checkRoleForGroupOnProject",
    "iam:permissions:revokeRoleFromGroupOnProject",
];
const GROUP_IN_ALL: Four = [
    "iam:permissions:listRolesForGroup",
    "iam:permissions:grantRoleToGroup",
    "iam:permissions:checkRoleForGroup",
    "iam:permissions:revokeRoleFromGroup",
];
const AGENCY_IN_ACCOUNT: Four = [
    "iam:permissions:listRolesForAgencyOnDomain",
    "iam:permissions:grantRoleToAgencyOnDomain",
    "iam:permissions:checkRoleForAgencyOnDomain",
    "iam:permissions:revokeRoleFromAgencyOnDomain",
];
const AGENCY_IN_PROJECT: Four = [
    "iam:permissions:listRolesForAgencyOnProject",
    "iam:permissions:grantRoleToAgencyOnProject",
    "iam:permissions:checkRoleForAgencyOnProject",
    "iam:permissions:revokeRoleFromAgencyOnProject",
];
const AGENCY_IN_ALL: Four = [
    "iam:permissions:listRolesForAgency",
    "iam:permissions:grantRoleToAgency",
    "iam:permissions:checkRoleForAgency",
    "iam:permissions:revokeRoleFromAgency",
];

places! {
    /// A group in the account as a whole.
    GroupOnAccount: GroupInPath of Group in DomainInPath = [
        "KeystoneListDomainPermissionsForGroup",
        "KeystoneAssociateGroupWithDomainPermission",
        "KeystoneCheckDomainPermissionForGroup",
        "KeystoneRemoveDomainPermissionFromGroup",
    ], GROUP_IN_ACCOUNT,
    "/v3/domains/{domain_id}/groups/{group_id}/roles",
    "/v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}",
    |own, named| refuse_other(own, named).map(|()| GrantScope::Account);

    /// A group in one project.
    GroupOnProject: GroupInPath of Group in ProjectInPath = [
        "KeystoneListProjectPermissionsForGroup",
        "KeystoneAssociateGroupWithProjectPermission",
        "KeystoneCheckProjectPermissionForGroup",
        "KeystoneRemoveProjectPermissionFromGroup",
    ], GROUP_IN_PROJECT,
    "/v3/projects/{id}/groups/{group_id}/roles",
    "/v3/projects/{id}/groups/{group_id}/roles/{role_id}",
    |_, project| Ok(GrantScope::Project(project));

    /// A group in all projects there are and will be.
    GroupOnAllProjects: GroupInPath of Group in DomainInPath = [
        "KeystoneListAllProjectPermissionsForGroup",
        "UpdateDomainGroupInheritRole",
        "KeystoneCheckroleForGroup",
        "DeleteDomainGroupInheritedRole",
    ], GROUP_IN_ALL,
    "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/inherited_to_projects",
    "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    |own, named| refuse_other(own, named).map(|()| GrantScope::AllProjects);

    /// An agency in the account as a whole.
    AgencyOnAccount: AgencyInPath of Agency in DomainInPath = [
        "ListDomainPermissionsForAgency",
        "AssociateAgencyWithDomainPermission",
        "CheckDomainPermissionForAgency",
        "RemoveDomainPermissionFromAgency",
    ], AGENCY_IN_ACCOUNT,
    "/v3.0/OS-AGENCY/domains/{domain_id}/agencies/{agency_id}/roles",
    "/v3.0/OS-AGENCY/domains/{domain_id}/agencies/{agency_id}/roles/{role_id}",
    |own, named| refuse_other(own, named).map(|()| GrantScope::Account);

    /// An agency in one project.
    AgencyOnProject: AgencyInPath of Agency in ProjectInPath = [
        "ListProjectPermissionsForAgency",
        "AssociateAgencyWithProjectPermission",
        "CheckProjectPermissionForAgency",
        "RemoveProjectPermissionFromAgency",
    ], AGENCY_IN_PROJECT,
    "/v3.0/OS-AGENCY/projects/{id}/agencies/{agency_id}/roles",
    "/v3.0/OS-AGENCY/projects/{id}/agencies/{agency_id}/roles/{role_id}",
    |_, project| Ok(GrantScope::Project(project));

    /// An agency in all projects there are and will be.
    AgencyOnAllProjects: AgencyInPath of Agency in DomainInPath = [
        "ListAllProjectsPermissionsForAgency",
        "AssociateAgencyWithAllProjectsPermission",
        "CheckAllProjectsPermissionForAgency",
        "RemoveAllProjectsPermissionFromAgency",
    ], AGENCY_IN_ALL,
    "/v3.0/OS-INHERIT/domains/{domain_id}/agencies/{agency_id}/roles/inherited_to_projects",
    "/v3.0/OS-INHERIT/domains/{domain_id}/agencies/{agency_id}/roles/{role_id}/inherited_to_projects",
    |own, named| refuse_other(own, named).map(|()| GrantScope::AllProjects);
}
