//! The object store as the archiver sees it: typed names, objects that are created once and
//! never overwritten, bounded concurrency, counted requests.
//!
//! Everything below is `object_store`; wrappers compose over its trait, [`fault`] among them.
//! Nothing here knows what an object means.

pub mod connect;
pub mod fault;
mod name;
mod preflight;
mod upload;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::sync::Semaphore;

pub use self::name::{Family, Kind, ObjectName};
pub use self::preflight::{Capabilities, preflight};
pub use self::upload::{Upload, UploadPart};
use crate::entry::Timestamp;
use crate::error::{Error, Result, StoreOperation};

/// Most requests that one store handles at once.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 32;

/// One location's part of an object store.
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    root: Path,
    url: String,
    permits: Semaphore,
    traffic: Traffic,
}

/// What went over the wire, counted since the store was opened.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    bytes_written: AtomicU64,
    bytes_read: AtomicU64,
}

/// One object of a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The object's key below the location's root.
    pub key: String,
    /// The name that the key spells, unless it is none of ours.
    pub name: Option<ObjectName>,
    /// Length in bytes.
    pub size: u64,
    /// When the store took it, by the store's own clock.
    pub modified: Timestamp,
}

/// Whether a create-if-absent created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Put {
    /// The object now exists with the given bytes.
    Created,
    /// An object with other bytes stood there before.
    Occupied,
}

impl Store {
    /// Wraps `inner`, below the prefix `root`; `url` is what error messages call it.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, root: Path, url: String) -> Self {
        let permits = Semaphore::new(REQUESTS_IN_FLIGHT_MAX);
        Self { inner, root, url, permits, traffic: Traffic::default() }
    }

    /// The URL that the store was opened by.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What went over the wire so far.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Creates `name` with `bytes` unless it exists.
    ///
    /// An object that exists with exactly these bytes counts as created: every object that we
    /// write is unique, so it was an earlier attempt of ours whose reply got lost.
    ///
    /// # Errors
    /// [`Error::Store`] when the store refuses or cannot be reached.
    pub async fn create(&self, name: ObjectName, bytes: Bytes) -> Result<Put> {
        let result = {
            let _permit = self.permit().await;
            self.traffic.bytes_written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            self.inner
                .put_opts(&self.path(name), PutPayload::from_bytes(bytes.clone()), options)
                .await
        };
        match result {
            Ok(_) => Ok(Put::Created),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let present = self.get(name, bytes.len() as u64 + 1).await;
                match present {
                    Ok(present) if present == bytes => Ok(Put::Created),
                    Ok(_) | Err(Error::ObjectTooLong { .. }) => Ok(Put::Occupied),
                    Err(error) => Err(error),
                }
            }
            Err(source) => Err(self.error(StoreOperation::Create, name, source)),
        }
    }

    /// Starts a streamed upload of `name`, which nobody else writes: its id is fresh.
    #[must_use]
    pub fn upload(self: &Arc<Self>, name: ObjectName) -> Upload {
        Upload::new(self.clone(), name)
    }

    /// Reads the whole of `name`, at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::ObjectTooLong`] before anything is read.
    pub async fn get(&self, name: ObjectName, bytes_max: u64) -> Result<Bytes> {
        let _permit = self.permit().await;
        let fail = |source| self.error(StoreOperation::Read, name, source);
        let reply = self.inner.get(&self.path(name)).await.map_err(fail)?;
        if reply.meta.size > bytes_max {
            return Err(Error::ObjectTooLong { object: name, bytes: reply.meta.size, bytes_max });
        }
        let bytes = reply.bytes().await.map_err(fail)?;
        self.traffic.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    /// Reads the bytes `range` of `name`; fewer when the object ends before.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn get_range(&self, name: ObjectName, range: Range<u64>) -> Result<Bytes> {
        let _permit = self.permit().await;
        let bytes = self
            .inner
            .get_range(&self.path(name), range)
            .await
            .map_err(|source| self.error(StoreOperation::Read, name, source))?;
        self.traffic.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    /// The length of `name` in bytes; `None` when it does not exist.
    ///
    /// # Errors
    /// [`Error::Store`] for anything but absence.
    pub async fn size(&self, name: ObjectName) -> Result<Option<u64>> {
        let _permit = self.permit().await;
        match self.inner.head(&self.path(name)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(self.error(StoreOperation::Inspect, name, source)),
        }
    }

    /// Lists a family of objects, in no particular order, page by page as the stream is read.
    pub fn list(&self, family: Family) -> BoxStream<'static, Result<Listed>> {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        let prefix = match family.prefix() {
            Some(prefix) => Path::from(format!("{}/{prefix}", self.root)),
            None => self.root.clone(),
        };
        let (root, url) = (self.root.clone(), self.url.clone());
        self.inner
            .list(Some(&prefix))
            .map(move |item| match item {
                Ok(meta) => {
                    let key = relative(&root, &meta.location);
                    let modified = Timestamp {
                        seconds: meta.last_modified.timestamp(),
                        nanoseconds: meta.last_modified.timestamp_subsec_nanos(),
                    };
                    Ok(Listed { name: ObjectName::parse(&key), key, size: meta.size, modified })
                }
                Err(source) => Err(Error::Store {
                    operation: StoreOperation::List,
                    object: family.prefix().unwrap_or_default().to_owned(),
                    store: url.clone(),
                    source: Box::new(source),
                }),
            })
            .boxed()
    }

    /// Removes `name`; its absence is no error.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn delete(&self, name: ObjectName) -> Result<()> {
        let _permit = self.permit().await;
        match self.inner.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(self.error(StoreOperation::Delete, name, source)),
        }
    }

    /// Removes all of these, several at once.
    ///
    /// # Errors
    /// [`Error::Store`] of the first that cannot be removed; others may be gone then.
    pub async fn delete_all(&self, names: Vec<ObjectName>) -> Result<()> {
        futures::stream::iter(names)
            .map(|name| self.delete(name))
            .buffer_unordered(REQUESTS_IN_FLIGHT_MAX)
            .try_for_each(|()| futures::future::ok(()))
            .await
    }

    fn path(&self, name: ObjectName) -> Path {
        Path::from(format!("{}/{name}", self.root))
    }

    fn error(
        &self,
        operation: StoreOperation,
        name: ObjectName,
        source: object_store::Error,
    ) -> Error {
        let (object, store) = (name.to_string(), self.url.clone());
        Error::Store { operation, object, store, source: Box::new(source) }
    }

    async fn permit(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        // The semaphore is never closed; without a permit the request would only be unbounded.
        self.permits.acquire().await.ok()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Traffic {
    /// Requests sent, retries of the client below not counted.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of objects written.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    /// Bytes of objects read.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

fn relative(root: &Path, location: &Path) -> String {
    let (root, location) = (root.as_ref(), location.as_ref());
    let rest = location.strip_prefix(root).unwrap_or(location);
    rest.trim_start_matches('/').to_owned()
}
