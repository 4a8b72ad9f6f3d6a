//! Following tasks for one reader: what changes is sent, until all have ended.
//!
//! It looks into the database, so it sees what every node does. It holds no transaction while it waits,
//! and of a reader that takes nothing for a while it lets go.

use std::time::Duration;

use axum::response::sse::Event;
use cbr_model::{ProjectId, TaskId};
use cbr_service::Access;
use tokio::sync::mpsc::Sender;

use super::board::{Board, News, are_over};
use crate::error::ApiError;
use crate::shares::Place;
use crate::standing::Standing;
use crate::state::Api;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How often it asks whether the reader may still see it (P27: within a minute of a revocation).
const ASK_EVERY: Duration = Duration::from_secs(5);
/// After so long without an event a sign of life is sent.
const BEAT_EVERY: Duration = Duration::from_secs(15);
/// How long a reader may take for an event.
const PATIENCE: Duration = Duration::from_secs(30);
/// A stream ends after so long; its reader comes back if it wants.
const LIFETIME: Duration = Duration::from_hours(1);

/// Follows tasks for one reader.
pub(super) struct Follower {
    pub(super) api: Api,
    pub(super) access: Access,
    pub(super) standing: Standing,
    pub(super) tasks: Vec<TaskId>,
    pub(super) board: Board,
    /// Held as long as it follows.
    pub(super) _place: Place<ProjectId>,
}

/// Why a stream ends before the tasks do.
enum End {
    /// The reader takes nothing, or has left.
    Reader,
    /// It may not see it any more, or it cannot be told whether it may.
    Refused(ApiError),
    /// Nothing can be read of the tasks.
    Unreadable(ApiError),
    /// It went on for long enough.
    Lifetime,
}

impl Follower {
    /// Sends what changes until all tasks have ended, the reader leaves, or the service stops.
    pub(super) async fn run(mut self, events: Sender<Event>) {
        let stopping = self.api.settings.stopping.clone();
        let end = tokio::select! {
            () = stopping.cancelled() => return,
            () = events.closed() => return,
            end = self.follow(&events) => end,
        };
        match end {
            Ok(()) | Err(End::Reader | End::Lifetime) => {}
            Err(End::Refused(error)) => {
                tracing::info!(why = error.message, "a stream ended: its reader may not see it");
            }
            Err(End::Unreadable(error)) => {
                tracing::warn!(why = error.message, "a stream broke off");
            }
        }
    }

    async fn follow(&mut self, events: &Sender<Event>) -> Result<(), End> {
        let began = self.api.clock.monotonic_micros();
        let (mut asked, mut sent) = (began, began);
        loop {
            let logs = self.api.services.operations.states(&self.access, &self.tasks).await;
            let logs = logs.map_err(|error| End::Unreadable(error.into()))?;
            let news = self.board.news(&logs).map_err(|_| End::Unreadable(ApiError::unknown()))?;
            if !news.is_empty() {
                sent = self.api.clock.monotonic_micros();
            }
            for News { id, data } in news {
                let event = Event::default().id(id).event("operation-log").data(data);
                self.send(events, event).await?;
            }
            if are_over(&logs) {
                return self.send(events, Event::default().event("end").data("{}")).await;
            }
            self.api.clock.sleep(LOOK_EVERY).await;
            let now = self.api.clock.monotonic_micros();
            if is_due(asked, ASK_EVERY, now) {
                self.standing.holds().await.map_err(End::Refused)?;
                asked = now;
            }
            if is_due(sent, BEAT_EVERY, now) {
                self.send(events, Event::default().comment("")).await?;
                sent = now;
            }
            if is_due(began, LIFETIME, now) {
                return Err(End::Lifetime);
            }
        }
    }

    async fn send(&self, events: &Sender<Event>, event: Event) -> Result<(), End> {
        tokio::select! {
            sent = events.send(event) => sent.map_err(|_| End::Reader),
            () = self.api.clock.sleep(PATIENCE) => Err(End::Reader),
        }
    }
}

fn is_due(last_micros: u64, every: Duration, now_micros: u64) -> bool {
    u128::from(now_micros.saturating_sub(last_micros)) >= every.as_micros()
}
