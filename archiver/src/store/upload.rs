//! An object that is uploaded while it is being made.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use object_store::{
    MultipartUpload, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::{ObjectName, Store};
use crate::error::{Error, Result, StoreOperation};

/// Most parts of one upload that are on their way at once; with their length they bound the
/// memory that an upload holds.
const PARTS_IN_FLIGHT_MAX: usize = 4;

/// A streamed upload: parts go out while later ones are made, and the object appears whole or
/// not at all.
///
/// A single part becomes one plain request; more become a multipart upload, whose parts must all
/// have the same length of at least 5 MiB, the last one excepted.
pub struct Upload {
    store: Arc<Store>,
    name: ObjectName,
    first: Option<UploadPart>,
    multipart: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<object_store::Result<()>>,
}

/// Bytes of an upload, with the room that they take, which is given back when the store has them.
pub struct UploadPart {
    /// What is stored.
    pub bytes: Bytes,
    /// A store may keep `bytes` for longer, but who makes them may go on then.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Upload {
    pub(super) fn new(store: Arc<Store>, name: ObjectName) -> Self {
        Self { store, name, first: None, multipart: None, parts: JoinSet::new() }
    }

    /// Hands over the next part; waits while too many are on their way.
    ///
    /// # Errors
    /// [`Error::Store`] of this part or of an earlier one.
    pub async fn part(&mut self, part: UploadPart) -> Result<()> {
        if self.multipart.is_none() {
            let Some(first) = self.first.take() else {
                self.first = Some(part);
                return Ok(());
            };
            self.start().await?;
            self.send(first).await?;
        }
        self.send(part).await
    }

    /// Completes the object.
    ///
    /// # Errors
    /// [`Error::Store`]; the object does not exist then.
    pub async fn finish(mut self) -> Result<()> {
        let Some(mut multipart) = self.multipart.take() else {
            return self.put_whole().await;
        };
        while let Some(done) = self.parts.join_next().await {
            self.check(done)?;
        }
        self.store.traffic.requests.fetch_add(1, Ordering::Relaxed);
        multipart.complete().await.map_err(|e| self.error(e))?;
        Ok(())
    }

    /// Gives up and removes what was sent, as far as the store lets.
    pub async fn abort(mut self) {
        self.parts.shutdown().await;
        if let Some(mut multipart) = self.multipart.take() {
            // Nothing refers to the parts; a store that keeps them has a rule for such leftovers.
            let _ = multipart.abort().await;
        }
    }

    async fn put_whole(&mut self) -> Result<()> {
        let (bytes, _room) = match self.first.take() {
            Some(part) => (part.bytes, part.room),
            None => Default::default(),
        };
        let _permit = self.store.permit().await;
        self.store.traffic.bytes_written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let options = PutOptions { mode: PutMode::Overwrite, ..PutOptions::default() };
        let path = self.store.path(self.name);
        let put = self.store.inner.put_opts(&path, PutPayload::from_bytes(bytes), options);
        put.await.map_err(|e| self.error(e))?;
        Ok(())
    }

    async fn start(&mut self) -> Result<()> {
        self.store.traffic.requests.fetch_add(1, Ordering::Relaxed);
        let path = self.store.path(self.name);
        let start = self.store.inner.put_multipart_opts(&path, PutMultipartOptions::default());
        self.multipart = Some(start.await.map_err(|e| self.error(e))?);
        Ok(())
    }

    async fn send(&mut self, UploadPart { bytes, room }: UploadPart) -> Result<()> {
        while self.parts.len() >= PARTS_IN_FLIGHT_MAX {
            if let Some(done) = self.parts.join_next().await {
                self.check(done)?;
            }
        }
        let Some(multipart) = self.multipart.as_mut() else { return Ok(()) };
        self.store.traffic.bytes_written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let part = multipart.put_part(PutPayload::from_bytes(bytes));
        let store = self.store.clone();
        self.parts.spawn(async move {
            let (_room, _permit) = (room, store.permit().await);
            part.await
        });
        Ok(())
    }

    fn check(
        &self,
        done: std::result::Result<object_store::Result<()>, tokio::task::JoinError>,
    ) -> Result<()> {
        match done {
            Ok(part) => part.map_err(|e| self.error(e)),
            Err(source) => Err(self.error(object_store::Error::JoinError { source })),
        }
    }

    fn error(&self, source: object_store::Error) -> Error {
        self.store.error(StoreOperation::Create, self.name, source)
    }
}
