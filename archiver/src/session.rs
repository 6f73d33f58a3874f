//! Writers' sessions: what tells a collector that somebody writes, and what takes the writer's
//! right to commit away when he seems to be dead.
//!
//! A writer creates `x/session/<id>` before it reads anything, heartbeats `x/session/<id>.<n>`
//! while it runs, and removes them all when it has committed or will never commit. `s/<id>`, the
//! name of its commit, is created by whoever comes first: by the writer, or by a collector that
//! puts a tombstone there. The rules, and why they suffice, are in [`prune`](mod@crate::prune).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::location::Location;
use crate::snapshot::UnixTime;
use crate::store::{ObjectName, Put};

/// How often a writer gives a sign of life.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(60);

/// Most bytes of a session object.
pub(crate) const SESSION_BYTES_MAX: u64 = 64 << 10;

/// What `x/session/<id>` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Version of this object, 1.
    pub version: u32,
    /// The machine that writes.
    pub host: String,
    /// When it began, by its own clock.
    pub started: UnixTime,
}

/// A writer's hold on its session.
///
/// Dropped without [`OpenSession::end`] it leaves its objects behind: a collector then has to
/// take the right to commit away before anything of the writer's is removed.
pub(crate) struct OpenSession {
    location: Arc<Location>,
    id: ObjectId,
    heart: JoinHandle<()>,
    pulse: Arc<Pulse>,
}

/// What the writer and its heart share.
#[derive(Default)]
struct Pulse {
    /// The number of the last heartbeat that was begun; 0 before the first.
    beats: AtomicU32,
    /// A collector has ended the session.
    lost: AtomicBool,
    stop: Notify,
}

/// A session's state as seen by the threads that work for it.
#[derive(Clone)]
pub(crate) struct SessionState {
    id: ObjectId,
    pulse: Arc<Pulse>,
}

/// Reads session `id`.
///
/// # Errors
/// [`Error::Store`], [`Error::Decrypt`], [`Error::Damaged`].
pub async fn load(location: &Location, id: ObjectId) -> Result<Session> {
    let name = ObjectName::Session(id);
    let message = location.store().get(name, SESSION_BYTES_MAX).await?;
    let plain = location.envelope().open(name, &message).await?;
    serde_json::from_slice(&plain)
        .map_err(|_| Error::Damaged { object: name, what: "it is not a session" })
}

impl OpenSession {
    /// Announces a writer, before it reads anything that a collector could be about to remove.
    pub(crate) async fn open(
        location: &Arc<Location>,
        host: &str,
        started: UnixTime,
        heartbeat_every: Duration,
    ) -> Result<Self> {
        let id = ObjectId::random();
        let name = ObjectName::Session(id);
        let session = Session { version: 1, host: host.to_owned(), started };
        // Strings and numbers under string keys: nothing that could fail.
        let plain = serde_json::to_vec(&session).unwrap_or_default();
        let message = location.envelope().seal(name, &plain).await?;
        if location.store().create(name, message).await? == Put::Occupied {
            return Err(Error::NameTaken { object: name });
        }
        if let Err(error) = location.confirm_epoch().await {
            location.store().delete(name).await?;
            return Err(error);
        }
        let pulse = Arc::new(Pulse::default());
        let heart = tokio::spawn(beat(location.clone(), id, pulse.clone(), heartbeat_every));
        Ok(Self { location: location.clone(), id, heart, pulse })
    }

    /// The session's name, which its snapshot will have.
    pub(crate) fn id(&self) -> ObjectId {
        self.id
    }

    /// What its threads look at.
    pub(crate) fn state(&self) -> SessionState {
        SessionState { id: self.id, pulse: self.pulse.clone() }
    }

    /// Requires that no collector has ended the session.
    ///
    /// After the commit and before it is acknowledged: a collector that finds the commit of a
    /// writer that seems dead removes the session first and only then looks which snapshots there
    /// are. Otherwise the writer's own repetition of its commit could bring a snapshot back that
    /// has been forgotten and collected in between.
    ///
    /// # Errors
    /// [`Error::Fenced`], [`Error::Store`].
    pub(crate) async fn confirm(&self) -> Result<()> {
        match self.location.store().size(ObjectName::Session(self.id)).await? {
            Some(_) => Ok(()),
            None => Err(Error::Fenced { id: self.id }),
        }
    }

    /// Ends the session: the writer has committed, or never will.
    ///
    /// What cannot be removed is left to a collector.
    pub(crate) async fn end(mut self) {
        self.pulse.stop.notify_one();
        // A heart that is in the middle of a beat ends it, so that nothing appears afterwards.
        let _ = (&mut self.heart).await;
        let beats = self.pulse.beats.load(Ordering::Acquire);
        for beat in [beats.saturating_sub(1), beats].into_iter().filter(|beat| *beat > 0) {
            let _ = self.location.store().delete(ObjectName::Heartbeat(self.id, beat)).await;
        }
        let _ = self.location.store().delete(ObjectName::Session(self.id)).await;
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

impl SessionState {
    /// Whether a collector is known to have ended the session.
    pub(crate) fn is_lost(&self) -> bool {
        self.pulse.lost.load(Ordering::Relaxed)
    }

    /// The session's name.
    pub(crate) fn id(&self) -> ObjectId {
        self.id
    }
}

/// Gives signs of life until told to stop, or until the session turns out to be ended: whoever
/// slept too long need not finish what cannot be committed.
async fn beat(location: Arc<Location>, id: ObjectId, pulse: Arc<Pulse>, every: Duration) {
    loop {
        tokio::select! {
            () = pulse.stop.notified() => return,
            () = tokio::time::sleep(every) => {}
        }
        if let Ok(None) = location.store().size(ObjectName::Session(id)).await {
            pulse.lost.store(true, Ordering::Relaxed);
            return;
        }
        let number = pulse.beats.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let name = ObjectName::Heartbeat(id, number);
        // One that fails is only missed; the next one may succeed.
        let _ = location.store().create(name, number.to_string().into()).await;
        if number > 1 {
            let _ = location.store().delete(ObjectName::Heartbeat(id, number - 1)).await;
        }
    }
}
