//! Conditions on the tags of a vault (contract C22).

use cbr_model::query::{TagFilter, TagMatch, ValueMatch};

use crate::engine::Engine;
use crate::sql::Sql;

/// ` AND …` for each part of the filter; the vault is `t`.
pub(crate) fn and_tags(sql: &mut Sql, engine: Engine, filter: &TagFilter) {
    let parts = [
        (&filter.all, " AND (", " AND "),
        (&filter.any, " AND (", " OR "),
        (&filter.not_all, " AND NOT (", " AND "),
        (&filter.not_any, " AND NOT (", " OR "),
    ];
    for (tags, before, between) in parts {
        for (i, tag) in tags.iter().enumerate() {
            sql.text(if i == 0 { before } else { between });
            has_tag(sql, engine, tag);
        }
        sql.text(if tags.is_empty() { "" } else { ")" });
    }
    if filter.is_untagged {
        sql.text(" AND NOT EXISTS (SELECT 1 FROM vault_tags g WHERE g.vault_id = t.id)");
    }
}

fn has_tag(sql: &mut Sql, engine: Engine, tag: &TagMatch) {
    sql.text("EXISTS (SELECT 1 FROM vault_tags g WHERE g.vault_id = t.id");
    sql.and_equal("g.key", Some(&tag.key));
    for (i, value) in tag.values.iter().enumerate() {
        sql.text(if i == 0 { " AND (" } else { " OR " });
        match value {
            ValueMatch::Is(text) => {
                sql.text("g.value = ").value(text);
            }
            ValueMatch::Contains(text) => {
                sql.text(engine.position_function()).text("(g.value, ").value(text).text(") > 0");
            }
        }
    }
    sql.text(if tag.values.is_empty() { ")" } else { "))" });
}
