//! Use cases of the processes that share a database.
//!
//! What works on a node's own disks, or is given out there, is bound to that node and waits for it.
//! A machine that is gone for good must not keep it: an operator, who knows that, gives its work to
//! another one. Nothing here does so by itself: a node that is frozen looks like one that is gone.
//! Should the operator be wrong, fencing numbers keep the old node's workers from saving anything (P14).

use cbr_db::{Db, Moved, NodeRecord};
use cbr_model::Timestamp;

use crate::Result;
use crate::error::db;

/// A node that said so within this time is taken to be there; it says so once a minute.
const FRESH_SECONDS: i64 = 180;

/// Why the work of a node was not given to another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It is the node that shall have it.
    Itself,
    /// There is no such node; these there are.
    Unknown(Vec<String>),
    /// It said so many seconds ago that it is there.
    StillThere(i64),
}

/// The nodes the database knows, by name, and the time it was asked at.
pub async fn nodes(database: &Db) -> Result<(Vec<NodeRecord>, Timestamp)> {
    let mut tx = database.read().await.map_err(db("listing nodes"))?;
    let nodes = tx.nodes().list().await.map_err(db("listing nodes"))?;
    Ok((nodes, tx.now()))
}

/// For how many seconds the node has not been heard of, if it is taken to be there.
pub fn heard_of(node: &NodeRecord, now: Timestamp) -> Option<i64> {
    let seconds = now.seconds() - node.seen_at?.seconds();
    (seconds < FRESH_SECONDS).then_some(seconds.max(0))
}

/// Gives everything bound to the node `other` to the node `own`. Repeating is fine. One that seems to
/// be there is left alone, unless the operator insists.
pub async fn take_over(
    database: &Db,
    own: &str,
    other: &str,
    insists: bool,
) -> Result<std::result::Result<Moved, Kept>> {
    let doing = "taking over a node";
    if own == other {
        return Ok(Err(Kept::Itself));
    }
    let mut tx = database.begin().await.map_err(db(doing))?;
    let nodes = tx.nodes().list().await.map_err(db(doing))?;
    let Some(node) = nodes.iter().find(|node| node.name == other) else {
        let others = nodes.into_iter().map(|node| node.name).filter(|name| name != own);
        return Ok(Err(Kept::Unknown(others.collect())));
    };
    if let Some(seconds) = heard_of(node, tx.now()).filter(|_| !insists) {
        return Ok(Err(Kept::StillThere(seconds)));
    }
    let moved = tx.nodes().take_over(other, own).await.map_err(db(doing))?;
    tx.commit().await.map_err(db(doing))?;
    tracing::warn!(
        other,
        own,
        moved.tasks,
        moved.exports,
        "the work of another node was taken over"
    );
    Ok(Ok(moved))
}
