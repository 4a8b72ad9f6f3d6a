//! What every client command starts from: a service to talk to and a place to write.

use std::future::Future;
use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::client::connection::{Connection, Environment};
use crate::client::lookup::{self, Noun};
use crate::client::profile::Profiles;
use crate::client::transport::Query;
use crate::client::{ApiError, Client, ConnectionArgs, wire};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::world::World;

/// A service to talk to and a place to write.
#[derive(Debug)]
pub(crate) struct Session {
    /// The service.
    pub(crate) client: Client,
    /// The place.
    pub(crate) output: Output,
}

impl Session {
    /// Finds out whom to talk to and gets ready.
    pub(crate) async fn open(args: &ConnectionArgs, output: Output) -> Result<Self, Failure> {
        let load = || match Profiles::path() {
            Some(path) => Profiles::load(&path, output.lang),
            None => Ok(Profiles::default()),
        };
        let connection = Connection::resolve(args, Environment::of_process(), load, output.lang)?;
        let client = Client::connect(connection, World::real(), output.lang).await?;
        Ok(Self { client, output })
    }

    /// The same, for commands about the account as a whole: no project is looked for.
    pub(crate) async fn open_account(
        args: &ConnectionArgs,
        output: Output,
    ) -> Result<Self, Failure> {
        let project = args.project.clone().unwrap_or_default();
        Self::open(&ConnectionArgs { project: Some(project), ..args.clone() }, output).await
    }

    /// The one thing a person means by a name or an id.
    pub(crate) async fn find(&self, noun: Noun, name: &str) -> Result<Value, Failure> {
        lookup::find(&self.client, noun, name, self.output.lang).await
    }

    /// The id of the one thing a person means by a name or an id.
    pub(crate) async fn find_id(&self, noun: Noun, name: &str) -> Result<String, Failure> {
        Ok(wire::text(&self.find(noun, name).await?, "/id"))
    }

    /// A failed request as a failure of `what`.
    pub(crate) fn failed(&self, what: String) -> impl FnOnce(ApiError) -> Failure {
        let lang = self.output.lang;
        move |error| error.failure(lang, what)
    }

    /// The ids of the tasks that match, newest first.
    pub(crate) async fn task_ids(
        &self,
        query: &[(&str, &str)],
        matches: impl Fn(&Value) -> bool,
    ) -> Result<Vec<String>, Failure> {
        let mut all: Query =
            query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        all.push(("limit".into(), "1000".into()));
        let body = self
            .client
            .get(&self.client.cbr("operation-logs"), all)
            .await
            .map_err(self.failed(self.output.lang.what_list_tasks()))?;
        let logs = wire::items(&body, "/operation_logs").iter().filter(|log| matches(log));
        Ok(logs.map(|log| wire::text(log, "/id")).collect())
    }

    /// Asks before something that cannot be undone. Scripts are not asked.
    pub(crate) fn confirm(&self, question: &str, yes: bool) -> Result<(), Failure> {
        if yes || !io::stdin().is_terminal() || !self.output.is_watched {
            return Ok(());
        }
        self.output.note(format_args!("{question} [y/N]"));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "是") {
            Ok(())
        } else {
            Err(Failure::new(
                Kind::Interrupted,
                self.output.lang.what_cancelled(),
                self.output.lang.why_cancelled(),
            ))
        }
    }
}

/// Returns when the process is told to stop, by Ctrl-C or SIGTERM.
pub(super) async fn stop_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        stopped = tokio::signal::ctrl_c() => stopped,
    }
}

/// Runs a client command on the calling thread.
pub(crate) fn block_on(future: impl Future<Output = Result<(), Failure>>) -> Result<()> {
    run_async(async { Ok(future.await?) })
}

/// Runs a command that waits for things on the calling thread.
pub(crate) fn run_async(future: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(future)
}
