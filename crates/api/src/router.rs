//! The router: every row of the operation table behind its guard.

use std::sync::Arc;

use axum::routing::MethodRouter;
use axum::{Router, middleware};
use cbr_env::{Clock, Random};
use cbr_service::Services;
use tower_http::catch_panic::CatchPanicLayer;

use crate::answer::{answer, panicked, unknown_method, unknown_path};
use crate::guard::{Guard, guard};
use crate::operation::Operation;
use crate::settings::Settings;
use crate::state::Api;
use crate::table::OPERATIONS;

/// The whole API as a service that can be served.
pub fn router(
    services: Services,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: Settings,
) -> Router {
    let api = Api::new(services, clock, random, settings);
    let mut router = Router::new();
    let is_shown = |operation: &&Operation| !(api.settings.is_strict && operation.is_extension());
    for operation in OPERATIONS.iter().filter(is_shown) {
        router = router.route(operation.path, mounted(&api, operation));
    }
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(api.clone(), answer))
        .with_state(api)
}

fn mounted(api: &Api, operation: &'static Operation) -> MethodRouter<Api> {
    let state = Guard { api: api.clone(), operation };
    (operation.mount)(operation.verb.filter())
        .route_layer(middleware::from_fn_with_state(state, guard))
}

#[cfg(test)]
mod tests {
    use axum::routing::on;

    use super::*;

    /// The router refuses overlapping routes with a panic when it is built.
    #[test]
    fn no_two_operations_want_the_same_route() {
        let mut router: Router = Router::new();
        for operation in OPERATIONS {
            router = router.route(operation.path, on(operation.verb.filter(), || async {}));
        }
        assert!(router.has_routes());
    }
}
