//! Operation logs.

use cbr_db::NewTask;
use cbr_model::Timestamp;
use cbr_model::operation::{OperationDetails, OperationResource, OperationStatus, OperationType};
use cbr_model::query::{OperationFilter, Page};
use cbr_model::resource::ResourceKind;
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    a_log_shows_what_the_task_was_given,
    logs_are_found_by_each_filter,
    a_wish_to_cancel_reaches_unfinished_tasks_only,
}

fn logged(world: &World) -> NewTask {
    NewTask {
        operation: Some(OperationType::Backup),
        vault: Some(world.id()),
        vault_name: Some("Vault-1".into()),
        resource: Some(OperationResource {
            id: world.id(),
            name: "web-01".into(),
            kind: ResourceKind::Server,
        }),
        checkpoint: Some(world.id()),
        policy: Some(world.id()),
        backup: Some(world.id()),
        request_id: "req-1".into(),
        details: OperationDetails::Backup {
            backup_id: "b".into(),
            backup_name: "n".into(),
            incremental: None,
            app_consistency: None,
        },
        ..world.task()
    }
}

async fn a_log_shows_what_the_task_was_given(database: TestDatabase) {
    let world = World::on(database).await;
    let task = logged(&world);
    let mut tx = world.begin().await;
    tx.tasks().insert(&task).await.unwrap();
    let record = tx.operations().find(world.project, task.id).await.unwrap().unwrap();
    assert_eq!((record.kind.as_str(), &record.stage), ("toy", &task.stage));
    assert_eq!(record.backup, task.backup);
    let log = record.into_operation_log().unwrap();
    assert_eq!(
        (log.id, log.project, log.operation),
        (task.id, task.project, OperationType::Backup)
    );
    assert_eq!((log.vault, log.vault_name), (task.vault, task.vault_name));
    assert_eq!((log.resource, log.checkpoint), (task.resource, task.checkpoint));
    assert_eq!((log.policy, log.request_id), (task.policy, task.request_id));
    assert_eq!((log.details, log.error), (task.details, None));
    assert_eq!((log.status, log.progress), (OperationStatus::Waiting, 0));
    assert_eq!((log.created_at, log.started_at, log.ended_at), (tx.now(), None, None));
    assert_eq!(tx.operations().find(world.id(), task.id).await.unwrap(), None, "foreign");
}

/// Contract C51, TSK-03.
async fn logs_are_found_by_each_filter(database: TestDatabase) {
    let world = World::on(database).await;
    let wanted = logged(&world);
    let mut other = logged(&world);
    other.operation = Some(OperationType::Restore);
    other.vault_name = None;
    other.resource = None;
    other.request_id = "req-2".into();
    let mut tx = world.begin().await;
    tx.tasks().insert(&other).await.unwrap();
    tx.tasks().insert(&world.task()).await.unwrap();
    tx.tasks().insert(&wanted).await.unwrap();
    let lease_until = tx.now();
    let claim = cbr_db::Claim { node: "n", kinds: &["toy"], lease_until };
    for _ in 0..3 {
        let claimed = tx.tasks().claim(&claim).await.unwrap().unwrap();
        if claimed.id == wanted.id {
            let status = OperationStatus::Success;
            assert!(tx.tasks().end(claimed.id, claimed.fencing, "{}", status, None).await.unwrap());
            break;
        }
        let later = tx.now().plus_seconds(1);
        assert!(tx.tasks().postpone(claimed.id, 1, "{}", 0, later).await.unwrap());
    }
    let all = OperationFilter::default;
    let resource = wanted.resource.clone().unwrap();
    let one = [
        OperationFilter { operation: Some(OperationType::Backup), ..all() },
        OperationFilter { statuses: vec![OperationStatus::Success], ..all() },
        OperationFilter { vault: wanted.vault, ..all() },
        OperationFilter { vault_name: Some("ault-1".into()), ..all() },
        OperationFilter { resource: Some(resource.id), ..all() },
        OperationFilter { resource_name: Some("web".into()), ..all() },
        OperationFilter { resource_kind: Some(ResourceKind::Server), ..all() },
        OperationFilter { checkpoint: wanted.checkpoint, ..all() },
        OperationFilter { policy: wanted.policy, ..all() },
        OperationFilter { request_id: Some("req-1".into()), ..all() },
        OperationFilter { ended_until: Some(Timestamp(i64::MAX)), ..all() },
    ];
    for filter in one {
        let found = tx.operations().list(world.project, &filter, &Page::default()).await.unwrap();
        let ids: Vec<_> = found.rows.iter().map(|log| log.id).collect();
        assert_eq!((found.total, ids.as_slice()), (1, &[wanted.id][..]), "{filter:?}");
        let foreign = tx.operations().list(world.id(), &filter, &Page::default()).await.unwrap();
        assert_eq!(foreign.total, 0, "{filter:?} for a stranger");
    }
    let page = Page { limit: 1, ..Page::default() };
    let found = tx.operations().list(world.project, &all(), &page).await.unwrap();
    assert_eq!((found.total, found.rows.len()), (2, 1), "a task without operation is not shown");
    let later = OperationFilter { started_from: Some(tx.now().plus_seconds(1)), ..all() };
    let found = tx.operations().list(world.project, &later, &page).await.unwrap();
    assert_eq!(found.total, 0);
}

async fn a_wish_to_cancel_reaches_unfinished_tasks_only(database: TestDatabase) {
    let world = World::on(database).await;
    let mut task = logged(&world);
    task.run_at = Timestamp(9_000_000);
    let mut tx = world.begin().await;
    tx.tasks().insert(&task).await.unwrap();
    assert!(!tx.operations().request_cancel(world.id(), task.id).await.unwrap(), "foreign");
    assert!(tx.operations().request_cancel(world.project, task.id).await.unwrap());
    let claim = cbr_db::Claim { node: "n", kinds: &["toy"], lease_until: Timestamp(2_000_000) };
    let claimed = tx.tasks().claim(&claim).await.unwrap().unwrap();
    assert!(claimed.cancel_requested, "looked at now, not when it was due");
    let until = tx.now().plus_seconds(30);
    let renewed = tx.tasks().renew(task.id, claimed.fencing, 0, until).await.unwrap();
    assert_eq!(renewed, Some(true));
    let status = OperationStatus::Failed;
    assert!(tx.tasks().end(task.id, claimed.fencing, "{}", status, None).await.unwrap());
    assert!(!tx.operations().request_cancel(world.project, task.id).await.unwrap());
}
