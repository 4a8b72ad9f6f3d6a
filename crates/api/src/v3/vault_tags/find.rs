//! `ShowVaultResourceInstances`: finds vaults by their tags (contract C22).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::query::{PAGE_LIMIT_MAX, Page, TagFilter, TagMatch, ValueMatch, VaultFilter};
use cbr_model::vault::Vault as ModelVault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::v3::vaults::list::kinds;
use crate::v3::vaults::wire::{Tag, Vault};

/// The only system tag there is: the enterprise project of a vault.
const ENTERPRISE_PROJECT_KEY: &str = "_sys_enterprise_project_id";

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowVaultResourceInstances",
    verb: Verb::Post,
    path: "/v3/{project_id}/vault/resource_instances/action",
    group: "Vault tags",
    summary: "Finds or counts vaults by their tags.",
    admission: Admission::Project,
    action: Some("cbr:vaults:listResourceInstances"),
    event: None,
    success: 200,
    query: &[parameter("enterprise_project_id", Form::Text, "An id, or all_granted_eps.")],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request. Of the lists all that are there must hold.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ShowVaultResourceInstancesRequest)]
struct Request {
    /// `filter` or `count`.
    action: String,
    /// Only untagged vaults; the four lists are not looked at then.
    without_any_tag: Option<bool>,
    /// Each of these keys is there with one of its values.
    tags: Option<Vec<TagsReq>>,
    /// At least one of these is there.
    tags_any: Option<Vec<TagsReq>>,
    /// Not all of these are there.
    not_tags: Option<Vec<TagsReq>>,
    /// None of these is there.
    not_tags_any: Option<Vec<TagsReq>>,
    /// Only `_sys_enterprise_project_id`; not together with the other lists.
    sys_tags: Option<Vec<TagsReq>>,
    /// Text or number, 1 to 1000; only to filter.
    #[schema(value_type = Option<String>)]
    limit: Option<NumberOrText>,
    /// Text or number; only to filter.
    #[schema(value_type = Option<String>)]
    offset: Option<NumberOrText>,
    matches: Option<Vec<Match>>,
    /// `public` or `hybrid`.
    cloud_type: Option<String>,
    object_type: Option<String>,
}

/// A key with its values.
#[derive(Clone, Debug, Deserialize, ToSchema)]
struct TagsReq {
    key: String,
    /// One of these; empty: any. What begins with `*` is looked for inside the value.
    values: Vec<String>,
}

/// What the name of a vault is like.
#[derive(Debug, Deserialize, ToSchema)]
struct Match {
    /// `resource_name`.
    key: String,
    /// Empty: the name is empty. Otherwise it is looked for inside the name.
    value: String,
}

/// SDKs send texts, other clients numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(i64),
    Text(String),
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowVaultResourceInstancesResponse)]
struct Response {
    /// Absent when only counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<Vec<TagResource>>,
    total_count: u64,
}

/// A vault that was found.
#[derive(Debug, Serialize, ToSchema)]
struct TagResource {
    resource_id: String,
    resource_name: String,
    resource_detail: ResourceDetail,
    tags: Vec<Tag>,
    sys_tags: Vec<Tag>,
}

/// The vault itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstancesResourceDetail)]
struct ResourceDetail {
    vault: Vault,
}

/// `POST /v3/{project_id}/vault/resource_instances/action`
#[tracing::instrument(name = "api.vault_tags.find", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let is_count = match request.action.as_str() {
        "count" => true,
        "filter" => false,
        _ => return Err(ApiError::invalid("action", "filter or count")),
    };
    let page = request.page(is_count)?;
    let filter = request.filter(query.text("enterprise_project_id"))?;
    let (found, total_count) = match filter {
        None => (Vec::new(), 0),
        Some(filter) => {
            let listed = api.services.vaults.list(&access, &filter, page).await?;
            (listed.rows, listed.total)
        }
    };
    let resources = (!is_count).then(|| found.into_iter().map(TagResource::from).collect());
    Ok(Json(Response { resources, total_count }))
}

impl Request {
    fn page(&self, is_count: bool) -> Result<Page, ApiError> {
        if is_count {
            if self.limit.is_some() || self.offset.is_some() {
                return Err(ApiError::invalid("limit", "counting has no pages"));
            }
            return Ok(Page { limit: 1, ..Page::default() });
        }
        let limit = match &self.limit {
            None => i64::from(PAGE_LIMIT_MAX),
            Some(limit) => limit.read("limit")?,
        };
        let limit = u32::try_from(limit).ok().filter(|n| (1..=PAGE_LIMIT_MAX).contains(n));
        let limit = limit
            .ok_or_else(|| ApiError::invalid("limit", format_args!("1 to {PAGE_LIMIT_MAX}")))?;
        let offset = self.offset.as_ref().map_or(Ok(0), |offset| offset.read("offset"))?;
        let offset = u64::try_from(offset);
        let offset = offset.map_err(|_| ApiError::invalid("offset", "0 or more"))?;
        Ok(Page { limit, offset, marker: None })
    }

    /// What is asked for; `None`: something this service never has, so nothing matches.
    fn filter(&self, enterprise_project: Option<&str>) -> Result<Option<VaultFilter>, ApiError> {
        let tags = self.tags()?;
        let mut enterprise_projects: Vec<String> = enterprise_project
            .filter(|id| *id != "all_granted_eps")
            .map(str::to_owned)
            .into_iter()
            .collect();
        enterprise_projects.extend(self.system_tag()?);
        let mut name = None;
        for Match { key, value } in self.matches.iter().flatten() {
            if key != "resource_name" {
                return Err(ApiError::invalid("matches", "the only key is resource_name"));
            }
            if value.chars().count() > 255 {
                return Err(ApiError::invalid("matches", "a value has at most 255 characters"));
            }
            // No vault has an empty name.
            if value.is_empty() {
                return Ok(None);
            }
            if name.replace(value.clone()).is_some() {
                return Err(ApiError::invalid("matches", "at most one"));
            }
        }
        let (object, cloud) = (self.object_type.as_deref(), self.cloud_type.as_deref());
        let Some(kinds) = kinds(object, None, cloud)? else { return Ok(None) };
        Ok(Some(VaultFilter { name, kinds, enterprise_projects, tags, ..VaultFilter::default() }))
    }

    fn tags(&self) -> Result<TagFilter, ApiError> {
        if self.without_any_tag == Some(true) {
            return Ok(TagFilter { is_untagged: true, ..TagFilter::default() });
        }
        Ok(TagFilter {
            all: matches("tags", self.tags.as_ref())?,
            any: matches("tags_any", self.tags_any.as_ref())?,
            not_all: matches("not_tags", self.not_tags.as_ref())?,
            not_any: matches("not_tags_any", self.not_tags_any.as_ref())?,
            is_untagged: false,
        })
    }

    /// The enterprise projects that the system tag asks for.
    fn system_tag(&self) -> Result<Vec<String>, ApiError> {
        let Some(tags) = &self.sys_tags else { return Ok(Vec::new()) };
        let others = [&self.tags, &self.tags_any, &self.not_tags, &self.not_tags_any];
        if others.into_iter().any(Option::is_some) {
            return Err(ApiError::invalid("sys_tags", "not together with other lists of tags"));
        }
        match tags.as_slice() {
            [tag] if tag.key == ENTERPRISE_PROJECT_KEY && !tag.values.is_empty() => {
                Ok(tag.values.clone())
            }
            _ => {
                let reason = format!("one tag, `{ENTERPRISE_PROJECT_KEY}`, with its values");
                Err(ApiError::invalid("sys_tags", reason))
            }
        }
    }
}

impl NumberOrText {
    fn read(&self, field: &str) -> Result<i64, ApiError> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) => text.parse().map_err(|why| ApiError::invalid(field, why)),
        }
    }
}

fn matches(field: &str, list: Option<&Vec<TagsReq>>) -> Result<Vec<TagMatch>, ApiError> {
    let Some(list) = list else { return Ok(Vec::new()) };
    if list.is_empty() {
        return Err(ApiError::invalid(field, "a list that is there is not empty"));
    }
    let value = |text: &String| match text.strip_prefix('*') {
        Some(part) => ValueMatch::Contains(part.to_owned()),
        None => ValueMatch::Is(text.clone()),
    };
    let read = |tag: &TagsReq| TagMatch {
        key: tag.key.clone(),
        values: tag.values.iter().map(value).collect(),
    };
    Ok(list.iter().map(read).collect())
}

impl From<ModelVault> for TagResource {
    fn from(vault: ModelVault) -> Self {
        Self {
            resource_id: vault.id.to_string(),
            resource_name: vault.name.to_string(),
            tags: vault.tags.iter().cloned().map(Tag::from).collect(),
            sys_tags: Vec::new(),
            resource_detail: ResourceDetail { vault: vault.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: serde_json::Value) -> Result<Option<VaultFilter>, ApiError> {
        let request: Request = serde_json::from_value(body).unwrap();
        request.page(request.action == "count")?;
        request.filter(None)
    }

    /// Contract C22: `*` looks inside, no values mean any; untagged wins over the lists.
    #[test]
    fn lists_become_conditions() {
        let body = json!({"action": "filter", "tags": [{"key": "k", "values": ["a", "*b"]}],
                          "not_tags_any": [{"key": "n", "values": []}]});
        let filter = read(body).unwrap().unwrap().tags;
        assert_eq!(
            filter.all[0].values,
            [ValueMatch::Is("a".into()), ValueMatch::Contains("b".into())]
        );
        assert!(filter.not_any[0].values.is_empty());
        let body = json!({"action": "filter", "without_any_tag": true, "tags": []});
        assert_eq!(
            read(body).unwrap().unwrap().tags,
            TagFilter { is_untagged: true, ..TagFilter::default() }
        );
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let bad = [
            json!({"action": "filter", "tags": []}),
            json!({"action": "filter", "limit": "0"}),
            json!({"action": "filter", "limit": 1001}),
            json!({"action": "filter", "limit": "x"}),
            json!({"action": "filter", "offset": "-1"}),
            json!({"action": "count", "limit": "1"}),
            json!({"action": "count", "offset": 0}),
            json!({"action": "filter", "cloud_type": "odd"}),
            json!({"action": "filter", "matches": [{"key": "name", "value": "x"}]}),
            json!({"action": "filter", "matches": [{"key": "resource_name", "value": "x"},
                                                   {"key": "resource_name", "value": "y"}]}),
            json!({"action": "filter", "sys_tags": []}),
            json!({"action": "filter", "sys_tags": [{"key": "k", "values": ["0"]}]}),
            json!({"action": "filter", "tags": [{"key": "k", "values": []}],
                   "sys_tags": [{"key": ENTERPRISE_PROJECT_KEY, "values": ["0"]}]}),
        ];
        for body in bad {
            assert!(read(body.clone()).is_err(), "{body}");
        }
        let system = json!({"action": "count",
                            "sys_tags": [{"key": ENTERPRISE_PROJECT_KEY, "values": ["0"]}]});
        assert_eq!(read(system).unwrap().unwrap().enterprise_projects, ["0"]);
    }

    #[test]
    fn what_no_vault_is_matches_nothing() {
        for body in [
            json!({"action": "filter", "object_type": "vmware"}),
            json!({"action": "filter", "object_type": "disk", "cloud_type": "hybrid"}),
            json!({"action": "filter", "matches": [{"key": "resource_name", "value": ""}]}),
        ] {
            assert_eq!(read(body.clone()).unwrap(), None, "{body}");
        }
    }
}
