//! A member on the wire (contract C.M `Member`).

use cbr_model::member;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;

/// A project that a backup is shared with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(super) struct Member {
    /// Id of the offer; paths name members by `dest_project_id`.
    id: String,
    backup_id: String,
    dest_project_id: String,
    status: &'static str,
    /// The recipient's vault; null unless accepted.
    vault_id: Option<String>,
    /// The image the recipient made of it; always null.
    image_id: Option<String>,
    created_at: String,
    updated_at: Option<String>,
}

impl From<member::Member> for Member {
    fn from(member: member::Member) -> Self {
        Self {
            id: member.id.to_string(),
            backup_id: member.backup.to_string(),
            dest_project_id: member.recipient.to_string(),
            status: member.state.status().as_str(),
            vault_id: member.state.vault().map(|id| id.to_string()),
            image_id: member.image.map(|id| id.to_string()),
            created_at: time::format(member.created_at),
            updated_at: member.updated_at.map(time::format),
        }
    }
}

#[cfg(test)]
mod tests {
    use cbr_model::member::MemberState;
    use serde_json::json;

    use super::*;

    /// Contract C.0.
    #[test]
    fn a_member_has_the_golden_shape() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let project = "0605767b5780d5762fc5c0118072a564";
        let at = "2026-01-15T08:10:00.000001";
        let member = member::Member {
            id: id.parse().unwrap(),
            backup: id.parse().unwrap(),
            recipient: project.parse().unwrap(),
            state: MemberState::Pending,
            image: None,
            created_at: time::parse(at).unwrap(),
            updated_at: None,
        };
        let golden = json!({"id": id, "backup_id": id, "dest_project_id": project,
            "status": "pending", "vault_id": null, "image_id": null, "created_at": at,
            "updated_at": null});
        assert_eq!(serde_json::to_value(Member::from(member)).unwrap(), golden);
    }
}
