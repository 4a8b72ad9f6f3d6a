//! What operators and tools ask: health, metrics, the OpenAPI document.

pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod openapi;
